//! Tokens as the control plane would have issued them at another time.

use std::fs;

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::SignedDuration;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::Value;

use super::plane::ControlPlane;

impl ControlPlane {
    /// The token as it would be had it been issued `earlier`, signed with the control plane's own key: with all of its lifetime
    /// and more it has expired, with nothing it is as good as the token itself.
    ///
    /// # Errors
    /// When it is no token of this control plane.
    pub fn backdated(&self, token: &str, earlier: SignedDuration) -> anyhow::Result<String> {
        let key = fs::read(self.site.folder.pki().join("sa.key")).context("the key that signs tokens")?;
        backdated(token, earlier, &key)
    }
}

fn backdated(token: &str, earlier: SignedDuration, key: &[u8]) -> anyhow::Result<String> {
    let mut parts = token.split('.');
    let (header, claims) = (parts.next().context("no header")?, parts.next().context("no claims")?);
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims)?)?;
    for time in ["iat", "nbf", "exp"] {
        let issued = claims[time].as_i64().with_context(|| format!("no {time}"))?;
        claims[time] = (issued - earlier.as_secs()).into();
    }
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let key = PrivatePkcs8KeyDer::from_pem_slice(key).map_err(|error| anyhow::anyhow!("{error}"))?;
    let random = SystemRandom::new();
    let unusable = |_| anyhow::anyhow!("the key that signs tokens is of another kind");
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.secret_pkcs8_der(), &random);
    let signature = key.map_err(unusable)?.sign(&random, signed.as_bytes());
    let signature = signature.map_err(|_| anyhow::anyhow!("the token cannot be signed"))?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controlplane::pki::signing_key;

    #[test]
    fn the_times_are_moved_and_everything_else_is_kept() {
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let claims = json!({"sub": "a", "iat": 1_000_000, "nbf": 1_000_000, "exp": 1_003_600});
        let token = format!("{}.{}.signature", encode(&json!({"alg": "ES256", "kid": "k"})), encode(&claims));
        let (key, _) = signing_key().unwrap();
        let moved = backdated(&token, SignedDuration::from_hours(2), key.as_bytes()).unwrap();
        let parts: Vec<_> = moved.split('.').collect();
        assert_eq!((parts.len(), parts[0]), (3, token.split('.').next().unwrap()));
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
        assert_eq!(claims, json!({"sub": "a", "iat": 992_800, "nbf": 992_800, "exp": 996_400}));
        assert_eq!(URL_SAFE_NO_PAD.decode(parts[2]).unwrap().len(), 64);
        assert!(backdated("abc", SignedDuration::ZERO, key.as_bytes()).is_err());
    }
}
