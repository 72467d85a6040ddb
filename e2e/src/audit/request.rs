//! What service accounts asked of Kubernetes, as its audit log has it.

use serde_json::Value;

/// One request of a service account.
#[derive(Clone, Debug)]
pub struct Request {
    /// The service account.
    pub account: String,
    /// The namespace of what was asked for; empty for what is in none, and for lists of all.
    pub namespace: String,
    /// The API group.
    pub group: String,
    /// The resource, with its subresource after a slash.
    pub resource: String,
    /// The verb.
    pub verb: String,
    /// The path and query.
    pub uri: String,
    /// Whether no role allowed it. An admission policy that forbids is something else.
    pub forbidden: bool,
}

/// The requests of the service accounts of one namespace in an audit log. Lines that are still being written, and requests for
/// no resource, are left out.
#[must_use]
pub fn requests(log: &str, namespace: &str) -> Vec<Request> {
    let prefix = format!("system:serviceaccount:{namespace}:");
    let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events.filter_map(|event| request(&event, &prefix)).collect()
}

fn request(event: &Value, prefix: &str) -> Option<Request> {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let account = event["user"]["username"].as_str()?.strip_prefix(prefix)?.to_owned();
    let resource = event["objectRef"]["resource"].as_str()?;
    let resource = match event["objectRef"]["subresource"].as_str() {
        Some(subresource) => format!("{resource}/{subresource}"),
        None => resource.to_owned(),
    };
    Some(Request {
        account,
        resource,
        namespace: text("/objectRef/namespace"),
        group: text("/objectRef/apiGroup"),
        verb: text("/verb"),
        uri: text("/requestURI"),
        forbidden: event["responseStatus"]["code"] == 403
            && event["annotations"]["authorization.k8s.io/decision"] == "forbid",
    })
}
