//! Points in time as the shadow stores them: RFC 3339 text, up to nanoseconds.

use std::sync::LazyLock;

use jiff::Timestamp;
use regex::Regex;

/// Longest text accepted for a timestamp: `2022-07-09T19:32:38.609610964+00:00` has 35 characters.
pub const MAX_LENGTH: u32 = 64;

/// Reads RFC 3339 with any offset, as the original's `+00:00` and our `Z`.
///
/// # Errors
/// When the text is no RFC 3339 timestamp or too long to be one.
pub fn parse(text: &str) -> Result<Timestamp, jiff::Error> {
    text.parse()
}

/// What the CRD's schema allows for points in time that people write: RFC 3339 with an offset, to the nanosecond at most.
pub const PATTERN: &str = r"^[12][0-9]{3}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$";

/// Reads RFC 3339 alone: [`parse`] also reads ISO 8601's other forms.
///
/// # Errors
/// `None` is not of the form that [`PATTERN`] gives.
pub fn parse_strictly(text: &str) -> Result<Timestamp, Option<jiff::Error>> {
    static FORM: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(PATTERN).ok());
    let of_the_form = FORM.as_ref().is_some_and(|form| form.is_match(text));
    if of_the_form { parse(text).map_err(Some) } else { Err(None) }
}

/// Writes `time` so that [`parse`] gives back the very same instant.
#[must_use]
pub fn render(time: Timestamp) -> String {
    time.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_original_writes() {
        let original = parse("2022-07-09T19:32:38.609610964+00:00").unwrap();
        assert_eq!(render(original), "2022-07-09T19:32:38.609610964Z");
        assert_eq!(parse(&render(original)).unwrap(), original);
    }

    #[test]
    fn strictly_rfc_3339_is_read() {
        for text in ["2026-12-20T00:00:00+01:00", "2026-12-20T00:00:00.123456789Z", "2026-02-28T23:59:59-23:59"] {
            assert_eq!(parse_strictly(text).ok(), parse(text).ok(), "{text}");
        }
        for text in [
            "2026-12-20T00:00:00",
            "2026-12-20",
            "2026-02-30T00:00:00Z",
            "2026-12-20 00:00:00Z",
            "2026-12-20T24:00:00Z",
            "2026-12-20T00:00Z",
            "2026-12-20T00:00:00+01",
            "2026-12-20T00:00:00z",
            "2026-12-20T00:00:60Z",
            "20261220T000000Z",
        ] {
            assert!(parse_strictly(text).is_err(), "{text}");
        }
    }

    #[test]
    fn refuses_a_time_without_an_offset() {
        assert!(parse("2022-07-09T19:32:38").is_err());
    }
}
