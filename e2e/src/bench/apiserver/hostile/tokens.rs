//! Tokens that nobody has issued.

use std::iter::repeat_with;

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// Text that is no token at all.
pub(super) fn malformed() -> String {
    repeat_with(fastrand::alphanumeric).take(900).collect()
}

/// The claims of a token that somebody has stolen or guessed.
#[derive(Clone)]
pub(super) struct Claims {
    header: String,
    claims: Value,
}

impl Claims {
    pub(super) fn of(token: &str) -> anyhow::Result<Self> {
        let mut parts = token.split('.');
        let (header, claims) = (parts.next().context("no header")?, parts.next().context("no claims")?);
        Ok(Self { header: header.to_owned(), claims: serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims)?)? })
    }

    /// A token with these claims, but for its id, that nobody has signed: as plausible as can be without Kubernetes' key.
    pub(super) fn unsigned(&self) -> String {
        let mut claims = self.claims.clone();
        claims["jti"] = json!(format!("{:032x}", fastrand::u128(..)));
        let signature: Vec<u8> = repeat_with(|| fastrand::u8(..)).take(64).collect();
        let (claims, signature) = (URL_SAFE_NO_PAD.encode(claims.to_string()), URL_SAFE_NO_PAD.encode(signature));
        format!("{}.{claims}.{signature}", self.header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unsigned_token_says_what_the_real_one_says_and_is_another_each_time() {
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let real = json!({"aud": ["brupop-apiserver"], "jti": "1", "exp": 5});
        let token = format!("{}.{}.c2ln", encode(&json!({"alg": "ES256"})), encode(&real));
        let claims = Claims::of(&token).unwrap();
        let (one, other) = (claims.unsigned(), claims.unsigned());
        assert_ne!(one, other);
        let mut said = Claims::of(&one).unwrap();
        assert_eq!((one.split('.').count(), said.header == claims.header), (3, true));
        said.claims["jti"] = json!("1");
        assert_eq!(said.claims, real);
        assert!(!malformed().contains('.'));
        assert!(Claims::of("abc").is_err());
    }
}
