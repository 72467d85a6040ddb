//! Who a request says it comes from: its headers, read but not believed.

use api::text;
use api::wire::{AGENT_VERSION_HEADER, NODE_NAME_HEADER, NODE_UID_HEADER, TOKEN_HEADER};
use http::HeaderMap;
use thiserror::Error;

use crate::token::Token;

/// Longest name of a Node (a DNS subdomain).
const MAX_NODE_NAME: usize = 253;
/// Longest uid that is read; Kubernetes' own have 36 characters.
const MAX_UID: usize = 128;
/// Longest token that is read; a bound ServiceAccount token has about a kilobyte.
const MAX_TOKEN: usize = 12 << 10;
/// Longest agent version, as the shadow stores it.
const MAX_AGENT_VERSION: usize = 64;

/// What a request's headers say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The node it claims to run on.
    pub node: String,
    /// The uid it knows that Node by; may be left out.
    pub node_uid: Option<String>,
    /// Its proof.
    pub token: Token,
    /// The version of our agent; `None` is an agent of the original operator.
    pub agent_version: Option<String>,
}

impl Caller {
    /// Whether it is an agent of ours, which knows proper status codes. An original is made to wait instead.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.agent_version.is_some()
    }

    /// Reads the headers.
    ///
    /// # Errors
    /// When one is missing, there twice, or not what belongs there.
    pub fn read(headers: &HeaderMap) -> Result<Self, BadHeader> {
        let node = required(headers, NODE_NAME_HEADER, MAX_NODE_NAME)?;
        if !node.bytes().all(is_name_byte) || node.starts_with(['-', '.']) || node.ends_with(['-', '.']) {
            return Err(BadHeader::Malformed(NODE_NAME_HEADER));
        }
        Ok(Self {
            node,
            node_uid: optional(headers, NODE_UID_HEADER, MAX_UID)?,
            token: Token::new(required(headers, TOKEN_HEADER, MAX_TOKEN)?),
            agent_version: optional(headers, AGENT_VERSION_HEADER, MAX_AGENT_VERSION)?,
        })
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.'
}

/// A header that stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadHeader {
    /// It is not there.
    #[error("header {0} is missing")]
    Missing(&'static str),
    /// It is there more than once.
    #[error("header {0} is there more than once")]
    Doubled(&'static str),
    /// It is empty, too long or not what belongs there.
    #[error("header {0} is malformed")]
    Malformed(&'static str),
}

fn required(headers: &HeaderMap, name: &'static str, longest: usize) -> Result<String, BadHeader> {
    optional(headers, name, longest)?.ok_or(BadHeader::Missing(name))
}

/// The only value of a header, one printable line of ASCII and of a bounded length.
pub(crate) fn optional(headers: &HeaderMap, name: &'static str, longest: usize) -> Result<Option<String>, BadHeader> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(BadHeader::Doubled(name));
    }
    let text = value.to_str().map_err(|_| BadHeader::Malformed(name))?.trim();
    if text.is_empty() || text.len() > longest || !text::is_line(text) {
        return Err(BadHeader::Malformed(name));
    }
    Ok(Some(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn an_original_agent_is_read_and_known_by_what_it_does_not_send() {
        let read = Caller::read(&headers(&[
            (NODE_NAME_HEADER, "node-a.example"),
            (NODE_UID_HEADER, "u1"),
            (TOKEN_HEADER, "t"),
        ]));
        let caller = read.unwrap();
        assert_eq!((caller.node.as_str(), caller.node_uid.as_deref()), ("node-a.example", Some("u1")));
        assert!(!caller.is_ours());
    }

    #[test]
    fn our_agent_may_leave_the_uid_out() {
        let read =
            Caller::read(&headers(&[(NODE_NAME_HEADER, "a"), (TOKEN_HEADER, "t"), (AGENT_VERSION_HEADER, "0.1.0")]));
        let caller = read.unwrap();
        assert!(caller.is_ours());
        assert_eq!(caller.node_uid, None);
    }

    #[test]
    fn what_is_missing_doubled_or_malformed_is_named() {
        let long = "a".repeat(254);
        let cases: [(&[(&'static str, &str)], BadHeader); 8] = [
            (&[(TOKEN_HEADER, "t")], BadHeader::Missing(NODE_NAME_HEADER)),
            (&[(NODE_NAME_HEADER, "a")], BadHeader::Missing(TOKEN_HEADER)),
            (&[(NODE_NAME_HEADER, "a"), (NODE_NAME_HEADER, "a")], BadHeader::Doubled(NODE_NAME_HEADER)),
            (&[(NODE_NAME_HEADER, "a"), (TOKEN_HEADER, "t"), (TOKEN_HEADER, "u")], BadHeader::Doubled(TOKEN_HEADER)),
            (&[(NODE_NAME_HEADER, "a/../b"), (TOKEN_HEADER, "t")], BadHeader::Malformed(NODE_NAME_HEADER)),
            (&[(NODE_NAME_HEADER, &long), (TOKEN_HEADER, "t")], BadHeader::Malformed(NODE_NAME_HEADER)),
            (
                // The one control that HTTP lets through.
                &[(NODE_NAME_HEADER, "a"), (TOKEN_HEADER, "t"), (AGENT_VERSION_HEADER, "0.1\t0")],
                BadHeader::Malformed(AGENT_VERSION_HEADER),
            ),
            (&[(NODE_NAME_HEADER, "a"), (TOKEN_HEADER, " ")], BadHeader::Malformed(TOKEN_HEADER)),
        ];
        for (sent, refused) in cases {
            assert_eq!(Caller::read(&headers(sent)), Err(refused), "{sent:?}");
        }
    }
}
