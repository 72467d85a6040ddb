//! Label keys as Kubernetes takes them: an optional DNS prefix and a name.

use thiserror::Error;

/// Longest prefix, in bytes (Kubernetes `apimachinery/pkg/util/validation`, DNS-1123 subdomain).
const MAX_PREFIX: usize = 253;
/// Longest name, in bytes.
const MAX_NAME: usize = 63;

/// What the CRD's schema allows; the lengths of the two parts are left to [`parse_key`].
pub const KEY_PATTERN: &str = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$";

/// What the CRD's schema allows as the value of a label.
pub const VALUE_PATTERN: &str = r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$";

/// Why a text is no label value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{0:?} is not a label value: at most 63 letters, digits, \"-\", \"_\" and \".\", letters or digits at both ends"
)]
pub struct InvalidLabelValue(pub String);

/// Reads a label value, which may be empty.
///
/// # Errors
/// [`InvalidLabelValue`] names the text.
pub fn parse_value(text: &str) -> Result<&str, InvalidLabelValue> {
    if text.is_empty() || is_name(text) { Ok(text) } else { Err(InvalidLabelValue(text.to_owned())) }
}

/// Why a text is no label key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not a label key: write it as in topology.kubernetes.io/zone")]
pub struct InvalidLabelKey(pub String);

/// Reads a label key.
///
/// # Errors
/// [`InvalidLabelKey`] names the text.
pub fn parse_key(text: &str) -> Result<&str, InvalidLabelKey> {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    let good = is_name(name) && prefix.is_none_or(is_prefix);
    if good { Ok(text) } else { Err(InvalidLabelKey(text.to_owned())) }
}

fn is_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    name.len() <= MAX_NAME && bounded(name, |byte| byte.is_ascii_alphanumeric()) && name.bytes().all(inner)
}

fn is_prefix(prefix: &str) -> bool {
    let outer = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_label = |label: &str| bounded(label, outer) && label.bytes().all(|byte| outer(byte) || byte == b'-');
    prefix.len() <= MAX_PREFIX && prefix.split('.').all(is_label)
}

/// Whether there is a first and a last byte, and both are right.
fn bounded(text: &str, right: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    bytes.first().copied().is_some_and(&right) && bytes.last().copied().is_some_and(&right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_kubernetes_takes_are_read() {
        let longest = format!("{}/{}", ["a".repeat(63), "b".repeat(63)].join("."), "c".repeat(63));
        for key in ["zone", "topology.kubernetes.io/zone", "a_b.C-1", "x/y", &longest] {
            assert_eq!(parse_key(key), Ok(key));
        }
    }

    #[test]
    fn a_value_may_be_empty_and_has_no_prefix() {
        for value in ["", "blue", "eu-central-1a", "1.2_3", &"a".repeat(63)] {
            assert_eq!(parse_value(value), Ok(value));
        }
        for value in ["a/b", "-a", "a.", " ", "ä", &"a".repeat(64)] {
            assert_eq!(parse_value(value), Err(InvalidLabelValue(value.to_owned())));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        let long_name = "a".repeat(64);
        let long_prefix = format!("{}/a", "a".repeat(254));
        for text in
            ["", "/", "a/", "/a", "a/b/c", "-a", "a-", "a b", "Zone.io/a", "a..b/c", "ä", &long_name, &long_prefix]
        {
            assert_eq!(parse_key(text), Err(InvalidLabelKey(text.to_owned())), "{text}");
        }
    }
}
