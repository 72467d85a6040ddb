//! Points in time as the shadow stores them: RFC 3339 text, up to nanoseconds.

use jiff::Timestamp;

/// Longest text accepted for a timestamp: `2022-07-09T19:32:38.609610964+00:00` has 35 characters.
pub const MAX_LENGTH: u32 = 64;

/// Reads RFC 3339 with any offset, as the original's `+00:00` and our `Z`.
///
/// # Errors
/// When the text is no RFC 3339 timestamp or too long to be one.
pub fn parse(text: &str) -> Result<Timestamp, jiff::Error> {
    text.parse()
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
    fn refuses_a_time_without_an_offset() {
        assert!(parse("2022-07-09T19:32:38").is_err());
    }
}
