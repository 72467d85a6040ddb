//! Durations as policies write them: `30m`, `1h30m`, `3d`.

use std::sync::LazyLock;

use jiff::{SignedDuration, Span, SpanRelativeTo};
use regex::Regex;
use thiserror::Error;

/// What the CRD's schema allows: days, hours, minutes and seconds, each at most once and in this order.
pub const PATTERN: &str = "^([0-9]{1,4}d)?([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,7}s)?$";

static FORM: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(PATTERN).ok());

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidDuration {
    /// Not of the form that [`PATTERN`] gives.
    #[error("{0:?} is not a duration: write it with units, for example 30m, 1h30m or 3d")]
    Syntax(String),
    /// Zero, which no field that takes a duration can mean.
    #[error("{0:?} is zero: a duration must be longer than that")]
    Zero(String),
    /// Longer than a drain may take.
    #[error("{0:?} is too long: a drain may take at most 7d")]
    LongDrain(String),
}

/// Reads a duration; a day has 24 hours.
///
/// # Errors
/// [`InvalidDuration`] names the text and what would be right.
pub fn parse(text: &str) -> Result<SignedDuration, InvalidDuration> {
    let syntax = || InvalidDuration::Syntax(text.to_owned());
    if text.is_empty() || text.len() > 24 || !FORM.as_ref().is_some_and(|form| form.is_match(text)) {
        return Err(syntax());
    }
    let span: Span = text.parse().map_err(|_| syntax())?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| syntax())?;
    if duration.is_zero() { Err(InvalidDuration::Zero(text.to_owned())) } else { Ok(duration) }
}

/// Longest that a drain may take: what a shadow's `drain.timeout_seconds` holds.
pub const LONGEST_DRAIN: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Reads the time a drain may take: at most [`LONGEST_DRAIN`].
///
/// # Errors
/// [`InvalidDuration`] names the text and what would be right.
pub fn parse_drain(text: &str) -> Result<SignedDuration, InvalidDuration> {
    let duration = parse(text)?;
    if duration > LONGEST_DRAIN { Err(InvalidDuration::LongDrain(text.to_owned())) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_add_up() {
        assert_eq!(parse("1h30m"), Ok(SignedDuration::from_mins(90)));
        assert_eq!(parse("3d"), Ok(SignedDuration::from_hours(72)));
        assert_eq!(parse("2m5s"), Ok(SignedDuration::from_secs(125)));
    }

    #[test]
    fn a_number_without_a_unit_is_refused() {
        for text in ["", "30", "-1h", "1.5h", "1 h", "m", "30 minutes", "1w", "1m1h", "1h1h", "12345678s"] {
            assert_eq!(parse(text), Err(InvalidDuration::Syntax(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn a_drain_takes_at_most_a_week() {
        assert_eq!(parse_drain("7d"), Ok(LONGEST_DRAIN));
        assert_eq!(parse_drain("7d1s"), Err(InvalidDuration::LongDrain("7d1s".to_owned())));
        assert_eq!(parse_drain("0s"), Err(InvalidDuration::Zero("0s".to_owned())));
    }

    #[test]
    fn zero_is_refused() {
        assert_eq!(parse("0s"), Err(InvalidDuration::Zero("0s".to_owned())));
    }
}
