//! "How many of these nodes": a number, a percentage, or no limit.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use thiserror::Error;

/// An amount of nodes, counted against a number of nodes that is known only later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// That many.
    Count(u32),
    /// That share of the nodes, 1 to 100.
    Percent(u8),
    /// No limit.
    Unlimited,
}

/// The largest number, far above what one cluster has in nodes.
pub const LARGEST: u32 = 100_000;

/// Why a value is no amount.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidAmount {
    /// A number below 1.
    #[error("{0} is not an amount: the smallest is 1 (use `paused: true` to stop)")]
    TooSmall(i32),
    /// A number above [`LARGEST`].
    #[error("{0} is not an amount: the largest is {LARGEST} (use \"100%\" for every node)")]
    TooLarge(i32),
    /// A percentage outside 1 to 100.
    #[error("{0:?} is not a percentage from \"1%\" to \"100%\"")]
    Percent(String),
    /// Any other text.
    #[error("{0:?} is not an amount: write a number, a percentage such as \"10%\"{1}")]
    Word(String, &'static str),
}

impl Amount {
    /// Reads a limit that may also be the word `unlimited`.
    ///
    /// # Errors
    /// [`InvalidAmount`] names the value and what would be right.
    pub fn parse_or_unlimited(raw: &IntOrString) -> Result<Self, InvalidAmount> {
        match raw {
            IntOrString::String(word) if word == "unlimited" => Ok(Self::Unlimited),
            other => Self::read(other, ", or \"unlimited\""),
        }
    }

    /// Reads a number or a percentage.
    ///
    /// # Errors
    /// [`InvalidAmount`] names the value and what would be right.
    pub fn parse(raw: &IntOrString) -> Result<Self, InvalidAmount> {
        Self::read(raw, "")
    }

    fn read(raw: &IntOrString, or: &'static str) -> Result<Self, InvalidAmount> {
        match raw {
            IntOrString::Int(number) => match u32::try_from(*number) {
                Ok(count) if count > LARGEST => Err(InvalidAmount::TooLarge(*number)),
                Ok(count) if count >= 1 => Ok(Self::Count(count)),
                _ => Err(InvalidAmount::TooSmall(*number)),
            },
            IntOrString::String(text) => match text.strip_suffix('%') {
                None => Err(InvalidAmount::Word(text.clone(), or)),
                Some(digits) => match digits.parse::<u8>() {
                    Ok(percent @ 1..=100) if !digits.starts_with(['0', '+']) => Ok(Self::Percent(percent)),
                    _ => Err(InvalidAmount::Percent(text.clone())),
                },
            },
        }
    }

    /// The number of nodes this amounts to out of `total`: percentages are rounded down, and never below one, so that a
    /// small fleet is still updated. `None` is no limit.
    #[must_use]
    pub fn of(self, total: usize) -> Option<usize> {
        match self {
            Self::Count(count) => Some(usize::try_from(count).unwrap_or(usize::MAX)),
            Self::Percent(percent) => Some((total.saturating_mul(usize::from(percent)) / 100).max(1)),
            Self::Unlimited => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> IntOrString {
        IntOrString::String(value.to_owned())
    }

    #[test]
    fn numbers_percentages_and_unlimited_are_read() {
        assert_eq!(Amount::parse(&IntOrString::Int(3)), Ok(Amount::Count(3)));
        assert_eq!(Amount::parse(&text("25%")), Ok(Amount::Percent(25)));
        assert_eq!(Amount::parse_or_unlimited(&text("unlimited")), Ok(Amount::Unlimited));
    }

    #[test]
    fn what_is_out_of_range_is_refused() {
        assert_eq!(Amount::parse(&IntOrString::Int(0)), Err(InvalidAmount::TooSmall(0)));
        assert_eq!(Amount::parse(&IntOrString::Int(-4)), Err(InvalidAmount::TooSmall(-4)));
        assert_eq!(Amount::parse(&IntOrString::Int(100_000)), Ok(Amount::Count(LARGEST)));
        assert_eq!(Amount::parse(&IntOrString::Int(100_001)), Err(InvalidAmount::TooLarge(100_001)));
        for percent in ["0%", "101%", "07%", "+5%", "-1%", "%", "1.5%"] {
            assert_eq!(Amount::parse(&text(percent)), Err(InvalidAmount::Percent(percent.to_owned())));
        }
        for word in ["unlimited", "all", "3", ""] {
            assert_eq!(Amount::parse(&text(word)), Err(InvalidAmount::Word(word.to_owned(), "")));
        }
    }

    #[test]
    fn a_percentage_is_rounded_down_but_never_to_nothing() {
        assert_eq!(Amount::Percent(25).of(7), Some(1));
        assert_eq!(Amount::Percent(50).of(7), Some(3));
        assert_eq!(Amount::Percent(1).of(3), Some(1));
        assert_eq!(Amount::Percent(100).of(9), Some(9));
        assert_eq!(Amount::Percent(10).of(0), Some(1));
        assert_eq!(Amount::Unlimited.of(7), None);
    }
}
