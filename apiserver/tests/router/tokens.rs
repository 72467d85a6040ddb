//! Tokens as Kubernetes writes them, but signed by nobody.

use std::sync::LazyLock;

use api::names::{AGENT_SERVICE_ACCOUNT, TOKEN_AUDIENCE};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::site::beginning;

/// The cluster's issuer.
pub(crate) const ISSUER: &str = "https://kubernetes.default.svc";

/// The claims of the agent's token, which is good for the first hour of a test.
pub(crate) fn claims() -> Value {
    let now = beginning().as_second();
    json!({
        "aud": [TOKEN_AUDIENCE], "exp": now + 3600, "iat": now - 60, "nbf": now - 60, "iss": ISSUER,
        "kubernetes.io": {
            "namespace": "brupop",
            "node": {"name": "a", "uid": "node-uid"},
            "pod": {"name": "agent-a", "uid": "pod-uid"},
            "serviceaccount": {"name": AGENT_SERVICE_ACCOUNT, "uid": "account-uid"},
        },
        "sub": format!("system:serviceaccount:brupop:{AGENT_SERVICE_ACCOUNT}"),
    })
}

/// The claims with this in the place of what is there.
pub(crate) fn claims_with(pointer: &str, value: Value) -> Value {
    let mut claims = claims();
    *claims.pointer_mut(pointer).unwrap() = value;
    claims
}

/// A token with these claims.
pub(crate) fn token(claims: &Value) -> String {
    let encode = |part: String| URL_SAFE_NO_PAD.encode(part);
    format!("{}.{}.{}", encode(json!({"alg": "RS256"}).to_string()), encode(claims.to_string()), encode("s".to_owned()))
}

/// The token of the agent on node `a`, which Kubernetes knows.
pub(crate) fn good() -> &'static str {
    static GOOD: LazyLock<String> = LazyLock::new(|| token(&claims()));
    &GOOD
}

/// A token for a pod that there never was.
pub(crate) fn made_up(number: usize) -> String {
    let mut claims = claims_with("/kubernetes.io/pod", json!({"name": format!("agent-{number}"), "uid": "made-up"}));
    claims["jti"] = number.into();
    token(&claims)
}

/// Another token in the name of the agent's own pod.
pub(crate) fn in_the_agents_name(number: usize) -> String {
    token(&claims_with("/nbf", number.into()))
}
