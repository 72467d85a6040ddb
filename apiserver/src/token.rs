//! A caller's token, which nothing prints.

use std::fmt;

use sha2::{Digest, Sha256};

/// SHA-256 of a token: what a review is remembered by, so that no token outlives its request.
pub type Fingerprint = [u8; 32];

/// A ServiceAccount token as a caller sent it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Wraps the text of a token.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, for the one request that has it reviewed.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What it is remembered by.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Sha256::digest(self.0.as_bytes()).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_printed() {
        assert!(!format!("{:?}", Token::new("abc.def".to_owned())).contains("abc"));
    }

    #[test]
    fn equal_tokens_have_equal_fingerprints_and_others_do_not() {
        let print = |text: &str| Token::new(text.to_owned()).fingerprint();
        assert_eq!(print("a"), print("a"));
        assert_ne!(print("a"), print("b"));
    }
}
