//! The optional request headers and their values: `Prefer: wait`, `If-Match`, `Cache-Control: no-cache`.

use std::time::Duration;

use api::wire::MAX_WAIT_SECONDS;
use http::HeaderMap;
use http::header::CACHE_CONTROL;

use crate::caller::{self, BadHeader};

/// How long the caller wants to be kept waiting before it gets a 202 (RFC 7240), at most [`MAX_WAIT_SECONDS`]. `None`
/// when it asks for no such thing, and, as that RFC has it, when it cannot be understood.
#[must_use]
pub fn wait(headers: &HeaderMap) -> Option<Duration> {
    let seconds = directives(headers, "prefer").find_map(|directive| {
        let (name, value) = directive.split_once('=')?;
        if !name.trim().eq_ignore_ascii_case("wait") {
            return None;
        }
        let value = value.split(';').next()?.trim().trim_matches('"');
        value.parse::<u32>().ok()
    })?;
    Some(Duration::from_secs(seconds.min(MAX_WAIT_SECONDS).into()))
}

/// Whether the caller wants what Kubernetes has now, not what the watch has brought so far.
#[must_use]
pub fn no_cache(headers: &HeaderMap) -> bool {
    directives(headers, CACHE_CONTROL.as_str()).any(|directive| directive.trim().eq_ignore_ascii_case("no-cache"))
}

/// The resourceVersion the caller's write is conditional on.
///
/// # Errors
/// When the header is not one entity tag with a resourceVersion in it.
pub fn if_match(headers: &HeaderMap) -> Result<Option<String>, BadHeader> {
    let malformed = BadHeader::Malformed("if-match");
    let Some(tag) = caller::optional(headers, "if-match", 64)? else {
        return Ok(None);
    };
    let inner = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
    let version = inner.ok_or(malformed)?;
    if version.is_empty() || !version.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(malformed);
    }
    Ok(Some(version.to_owned()))
}

fn directives<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter();
    values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn with(name: &'static str, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn a_wait_is_found_among_other_preferences_and_bounded() {
        let cases: [(&[&str], Option<u64>); 7] = [
            (&["wait=10"], Some(10)),
            (&["respond-async, WAIT=5"], Some(5)),
            (&["respond-async", "wait = \"7\"; x=1"], Some(7)),
            (&["wait=4000000000"], Some(300)),
            (&["wait=-1"], None),
            (&["wait"], None),
            (&["respond-async"], None),
        ];
        for (values, seconds) in cases {
            assert_eq!(wait(&with("prefer", values)), seconds.map(Duration::from_secs), "{values:?}");
        }
    }

    #[test]
    fn no_cache_is_found_among_other_directives() {
        assert!(no_cache(&with("cache-control", &["max-age=0, No-Cache"])));
        assert!(!no_cache(&with("cache-control", &["no-store"])));
    }

    #[test]
    fn if_match_is_one_quoted_resource_version() {
        assert_eq!(if_match(&HeaderMap::new()), Ok(None));
        assert_eq!(if_match(&with("if-match", &["\"123\""])), Ok(Some("123".to_owned())));
        for malformed in ["123", "*", "W/\"1\"", "\"\"", "\"1\", \"2\"", "\"a b\""] {
            assert!(if_match(&with("if-match", &[malformed])).is_err(), "{malformed}");
        }
        assert!(if_match(&with("if-match", &["\"1\"", "\"2\""])).is_err());
    }
}
