use api::names::{AGENT_SERVICE_ACCOUNT, TOKEN_AUDIENCE};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::samples::{NAMESPACE, evidence, pod};
use super::{Confidence, Denied, Evidence, LEEWAY, TokenClaims, authorize, confidence, issuer};
use crate::caller::Caller;
use crate::token::Token;

/// When the tokens of these tests were issued.
const ISSUED: i64 = 1_800_000_000;

fn caller(token: String) -> Caller {
    Caller { node: "a".to_owned(), node_uid: None, token: Token::new(token), agent_version: None }
}

/// The claims of an agent's token, as Kubernetes 1.36 writes them.
fn claims() -> Value {
    json!({
        "aud": [TOKEN_AUDIENCE], "exp": ISSUED + 600, "iat": ISSUED, "nbf": ISSUED, "iss": "https://k", "jti": "1",
        "kubernetes.io": {
            "namespace": NAMESPACE,
            "node": {"name": "a", "uid": "n"},
            "pod": {"name": "p", "uid": "u"},
            "serviceaccount": {"name": AGENT_SERVICE_ACCOUNT, "uid": "s"},
        },
        "sub": format!("system:serviceaccount:{NAMESPACE}:{AGENT_SERVICE_ACCOUNT}"),
    })
}

fn written(claims: &str) -> String {
    format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","kid":"k"}"#), URL_SAFE_NO_PAD.encode(claims))
}

fn read(claims: &Value) -> Result<TokenClaims, Denied> {
    TokenClaims::read(&caller(written(&claims.to_string())), NAMESPACE)
}

/// The claims with this in the place of what is there; `null` takes it away.
fn with(pointer: &str, value: Value) -> Value {
    let mut claims = claims();
    let (object, key) = pointer.rsplit_once('/').unwrap();
    let object = claims.pointer_mut(object).unwrap().as_object_mut().unwrap();
    let key = key.replace("~1", "/");
    if value.is_null() {
        object.remove(&key)
    } else {
        object.insert(key, value)
    };
    claims
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(ISSUED + seconds).unwrap()
}

#[test]
fn an_agents_token_is_read_with_and_without_what_only_newer_clusters_say() {
    let read_claims = read(&claims()).unwrap();
    assert_eq!((read_claims.issuer.as_str(), read_claims.pod_name.as_str()), ("https://k", "p"));
    assert_eq!(read_claims.pod_uid, "u");
    for older in
        [with("/kubernetes.io/node", Value::Null), with("/jti", Value::Null), with("/aud", json!(TOKEN_AUDIENCE))]
    {
        assert_eq!(read(&older).as_ref(), Ok(&read_claims), "{older}");
    }
    assert_eq!(issuer(&Token::new(written(&claims().to_string()))).as_deref(), Some("https://k"));
}

#[test]
fn what_no_review_would_let_in_is_refused() {
    let subject = |subject: &str| with("/sub", json!(subject));
    for (claims, denied) in [
        (with("/aud", json!(["https://kubernetes.default.svc"])), Denied::OtherAudience),
        (with("/aud", Value::Null), Denied::OtherAudience),
        (subject("kubernetes-admin"), Denied::NoServiceAccount),
        (subject("system:serviceaccount:brupop:default"), Denied::OtherServiceAccount),
        (subject(&format!("system:serviceaccount:web:{AGENT_SERVICE_ACCOUNT}")), Denied::OtherServiceAccount),
        (with("/kubernetes.io/namespace", json!("web")), Denied::OtherServiceAccount),
        (with("/kubernetes.io/serviceaccount", json!({"name": "default"})), Denied::OtherServiceAccount),
        (with("/kubernetes.io/pod", Value::Null), Denied::Unbound),
        (with("/kubernetes.io", Value::Null), Denied::Unbound),
        (with("/kubernetes.io/node", json!({"name": "b"})), Denied::OtherNode),
        (with("/exp", Value::Null), Denied::Malformed),
        (with("/exp", json!("soon")), Denied::Malformed),
        (with("/iss", Value::Null), Denied::Malformed),
        (with("/kubernetes.io/pod", json!({"name": "p"})), Denied::Malformed),
    ] {
        assert_eq!(read(&claims), Err(denied), "{claims}");
    }
}

#[test]
fn what_is_no_token_is_malformed() {
    let good = written(&claims().to_string());
    let (head, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = head.split_once('.').unwrap();
    for text in [
        "abc".to_owned(),
        "..".to_owned(),
        head.to_owned(),
        format!("{head}."),
        format!(".{payload}.{signature}"),
        format!("{good}.{signature}"),
        format!("{header}.{payload}=.{signature}"),
        format!("{header}.{payload}.sig+nature"),
        written("[]"),
        written(&"[".repeat(8 << 10)),
        written(&format!(r#"{{"iss":{}1{}}}"#, "[".repeat(4 << 10), "]".repeat(4 << 10))),
    ] {
        assert_eq!(TokenClaims::read(&caller(text.clone()), NAMESPACE), Err(Denied::Malformed), "{text}");
    }
}

#[test]
fn times_are_judged_with_a_leeway_on_both_sides() {
    let claims = read(&claims()).unwrap();
    let leeway = LEEWAY.as_secs();
    for (seconds, expected) in [
        (-leeway - 1, Some(Denied::NotYetValid)),
        (-leeway, None),
        (600 + leeway, None),
        (600 + leeway + 1, Some(Denied::Expired)),
    ] {
        assert_eq!(claims.untimely(at(seconds)), expected, "{seconds}");
    }
    for (begins, expires, expected) in [
        (i64::MAX, i64::MAX, Some(Denied::NotYetValid)),
        (i64::MIN, i64::MIN, Some(Denied::Expired)),
        (i64::MIN, i64::MAX, None),
        (i64::MAX, i64::MIN, Some(Denied::Expired)),
    ] {
        let claims = TokenClaims { begins, expires, ..claims.clone() };
        assert_eq!(claims.untimely(at(0)), expected, "{begins} to {expires}");
    }
}

#[test]
fn the_more_speaks_for_a_caller_the_better_it_stands() {
    let claims = read(&claims()).unwrap();
    let (known, doubt) = (pod(), Some(Denied::OtherIssuer));
    let mut other = pod();
    other.uid = "another".to_owned();
    let mut pending = pod();
    pending.node = None;
    for (pod, proven, doubt, expected) in [
        (Some(&known), true, doubt, Ok(Confidence::Proven)),
        (None, true, None, Ok(Confidence::Proven)),
        (Some(&known), false, None, Ok(Confidence::Known)),
        (Some(&known), false, doubt, Ok(Confidence::Unknown)),
        (Some(&other), false, None, Ok(Confidence::Unknown)),
        (Some(&pending), false, None, Ok(Confidence::Unknown)),
        (None, false, None, Ok(Confidence::Unknown)),
        (None, false, doubt, Err(Denied::OtherIssuer)),
        (Some(&other), false, doubt, Err(Denied::OtherIssuer)),
    ] {
        assert_eq!(confidence(&claims, pod, "a", proven, doubt), expected, "{pod:?} {proven} {doubt:?}");
    }
    assert_eq!(confidence(&claims, Some(&known), "b", true, None), Err(Denied::OtherNode));
    let finished = super::PodIdentity { finished: true, ..known };
    assert_eq!(confidence(&claims, Some(&finished), "a", true, None), Err(Denied::PodGone));
}

/// Values that are right more often than not.
fn mostly(right: &'static str) -> impl Strategy<Value = String> {
    prop_oneof![4 => Just(right.to_owned()), 1 => "[a-z]{0,3}"]
}

proptest! {
    /// What the full judgement would let in, were the token authentic, is not refused beforehand: within the leeway whether the
    /// watch knows the pod or not, and beyond it or with another issuer where the watch does.
    #[test]
    fn nobody_is_refused_beforehand_whom_the_review_would_let_in(
        (namespace, account) in (mostly(NAMESPACE), mostly(AGENT_SERVICE_ACCOUNT)),
        (pod_name, pod_uid) in (mostly("p"), mostly("u")),
        node in proptest::option::of(mostly("a")),
        calls in mostly("a"),
        seconds in -2000_i64..3000,
        foreign in any::<bool>(),
        known in any::<bool>(),
    ) {
        let mut said = claims();
        said["sub"] = format!("system:serviceaccount:{namespace}:{account}").into();
        said["kubernetes.io"] = json!({
            "namespace": namespace, "serviceaccount": {"name": account, "uid": "s"},
            "pod": {"name": pod_name, "uid": pod_uid},
        });
        if let Some(node) = &node {
            said["kubernetes.io"]["node"] = json!({"name": node, "uid": "n"});
        }
        let mut caller = caller(written(&said.to_string()));
        caller.node = calls;
        let mut evidence: Evidence = evidence();
        evidence.claims.namespace = namespace;
        evidence.claims.service_account = account;
        evidence.claims.pod_name = pod_name;
        evidence.claims.pod_uid = pod_uid;
        evidence.claims.node_name = node;
        let accepted = authorize(&evidence, &caller, NAMESPACE).is_ok();
        let shown = evidence.pod.as_ref().filter(|_| known);
        let looked = TokenClaims::read(&caller, NAMESPACE).and_then(|claims| {
            let doubt = foreign.then_some(Denied::OtherIssuer).or_else(|| claims.untimely(at(seconds)));
            confidence(&claims, shown, &caller.node, false, doubt).map(|confidence| (confidence, doubt))
        });
        if accepted && known {
            prop_assert!(looked.is_ok(), "{looked:?}");
        }
        if accepted && !foreign && (-LEEWAY.as_secs()..=600 + LEEWAY.as_secs()).contains(&seconds) {
            let expected = if known { Confidence::Known } else { Confidence::Unknown };
            prop_assert_eq!(looked, Ok((expected, None)));
        }
    }

    #[test]
    fn whatever_is_sent_as_a_token_is_read_or_refused(text in "[ -~]{0,200}", claims in "\\PC{0,200}") {
        prop_assert!(TokenClaims::read(&caller(text), NAMESPACE).is_err());
        let _ = TokenClaims::read(&caller(written(&claims)), NAMESPACE);
    }
}
