//! What a token says of itself, looked at before it is sent anywhere.
//!
//! Nothing of it is verified: anybody can write such a token. So it serves to refuse, and to choose where a caller waits for
//! its review; nobody is ever let in by it. The claims are those of a `ServiceAccount` token that is bound to a pod
//! (<https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/>, "Schema for service account private
//! claims").

use api::names::{AGENT_SERVICE_ACCOUNT, TOKEN_AUDIENCE};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::Denied;
use crate::caller::Caller;
use crate::token::Token;

/// How far a token's times may be off. The API servers themselves tolerate a minute; their clocks, which wrote the times, and
/// ours may be up to four minutes apart besides.
pub const LEEWAY: SignedDuration = SignedDuration::from_mins(5);

/// What a token says that could be an agent's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenClaims {
    /// Who says that it issued the token.
    pub issuer: String,
    /// The name of the pod it is bound to.
    pub pod_name: String,
    /// That pod's uid.
    pub pod_uid: String,
    /// When it expires, in seconds since 1970.
    pub expires: i64,
    /// From when on it is good, likewise.
    pub begins: i64,
}

/// The payload, as far as it is looked at. The token's length bounds it, and `serde_json` its depth, to 128.
#[derive(Deserialize)]
struct Payload {
    iss: String,
    sub: String,
    #[serde(default)]
    aud: Audience,
    exp: i64,
    #[serde(default)]
    nbf: i64,
    #[serde(default)]
    iat: i64,
    #[serde(rename = "kubernetes.io", default)]
    kubernetes: Kubernetes,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

#[derive(Deserialize, Default)]
struct Kubernetes {
    namespace: Option<String>,
    serviceaccount: Option<Named>,
    pod: Option<Object>,
    node: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Object {
    name: String,
    uid: String,
}

impl TokenClaims {
    /// Reads the claims of a caller's token, which must be the agents' in `namespace` and not bound to another node than the
    /// caller names.
    ///
    /// # Errors
    /// The first thing for which no review would let the caller in.
    pub fn read(caller: &Caller, namespace: &str) -> Result<Self, Denied> {
        let payload: Payload = payload(&caller.token).ok_or(Denied::Malformed)?;
        if !payload.aud.contains(TOKEN_AUDIENCE) {
            return Err(Denied::OtherAudience);
        }
        let account = payload.sub.strip_prefix("system:serviceaccount:").ok_or(Denied::NoServiceAccount)?;
        let Kubernetes { namespace: claimed, serviceaccount, pod, node } = payload.kubernetes;
        let ours = account.split_once(':') == Some((namespace, AGENT_SERVICE_ACCOUNT))
            && claimed.is_none_or(|claimed| claimed == namespace)
            && serviceaccount.is_none_or(|account| account.name == AGENT_SERVICE_ACCOUNT);
        if !ours {
            return Err(Denied::OtherServiceAccount);
        }
        let pod = pod.ok_or(Denied::Unbound)?;
        if node.is_some_and(|node| node.name != caller.node) {
            return Err(Denied::OtherNode);
        }
        let begins = payload.nbf.max(payload.iat);
        Ok(Self { issuer: payload.iss, pod_name: pod.name, pod_uid: pod.uid, expires: payload.exp, begins })
    }

    /// What is odd about its times at this moment: Kubernetes will refuse the token, unless it is our clock that is wrong.
    #[must_use]
    pub fn untimely(&self, now: Timestamp) -> Option<Denied> {
        let (now, leeway) = (now.as_second(), LEEWAY.as_secs());
        if now.saturating_sub(self.expires) > leeway {
            Some(Denied::Expired)
        } else if self.begins.saturating_sub(now) > leeway {
            Some(Denied::NotYetValid)
        } else {
            None
        }
    }
}

/// The issuer that a token names, which may be anybody's.
#[must_use]
pub fn issuer(token: &Token) -> Option<String> {
    #[derive(Deserialize)]
    struct Issued {
        iss: String,
    }
    payload::<Issued>(token).map(|payload| payload.iss)
}

/// The payload of a token in the compact form of a JWT: three parts in base64url, of which the second is JSON.
fn payload<T: for<'a> Deserialize<'a>>(token: &Token) -> Option<T> {
    let mut parts = token.reveal().split('.');
    let (header, payload, signature) = (parts.next()?, parts.next()?, parts.next()?);
    let written = |part: &str| !part.is_empty() && part.bytes().all(is_base64url);
    if parts.next().is_some() || !written(header) || !written(signature) {
        return None;
    }
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

impl Audience {
    fn contains(&self, audience: &str) -> bool {
        match self {
            Self::One(one) => one == audience,
            Self::Several(several) => several.iter().any(|one| one == audience),
        }
    }
}

impl Default for Audience {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}
