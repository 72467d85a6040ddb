//! The client of the Kubernetes API: no retries of its own, and a deadline that the server knows of too.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use http::uri::PathAndQuery;
use http::{Method, Request, Uri};
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use tower::util::MapRequestLayer;

use crate::cluster::DEADLINE;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// A client from `KUBECONFIG` or from the pod's ServiceAccount, and the file with the token that it presents, where it has one.
///
/// # Errors
/// When there is neither, or what is there cannot be used.
pub async fn connect() -> anyhow::Result<(Client, Option<PathBuf>)> {
    let mut config = Config::infer().await.context("cannot find out how to reach Kubernetes")?;
    // A 429 of an eviction is an answer, which retries inside the client would hide for minutes.
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT);
    let token = config.auth_info.token_file.clone().map(PathBuf::from);
    let builder = ClientBuilder::try_from(config).context("cannot set up the Kubernetes client")?;
    Ok((builder.with_layer(&MapRequestLayer::new(with_deadline)).build(), token))
}

/// Tells the server by when a write is of use, so that one which we gave up on does not take effect much later.
fn with_deadline(mut request: Request<Body>) -> Request<Body> {
    if request.method() != Method::GET
        && let Some(uri) = bounded(request.uri(), DEADLINE)
    {
        *request.uri_mut() = uri;
    }
    request
}

fn bounded(uri: &Uri, deadline: Duration) -> Option<Uri> {
    let join = match uri.query() {
        None => "?",
        Some("") => "",
        Some(_) => "&",
    };
    let target = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let target = format!("{target}{join}timeout={}s", deadline.as_secs());
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(target.parse().ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_carries_its_deadline_and_keeps_its_other_parameters() {
        for (uri, expected) in [
            ("/api/v1/nodes/a", "/api/v1/nodes/a?timeout=5s"),
            ("/api/v1/nodes/a?", "/api/v1/nodes/a?timeout=5s"),
            ("/api/v1/nodes/a?fieldManager=m", "/api/v1/nodes/a?fieldManager=m&timeout=5s"),
            ("https://k:6443/x?", "https://k:6443/x?timeout=5s"),
        ] {
            let bounded = bounded(&uri.parse().unwrap(), DEADLINE).unwrap();
            assert_eq!(bounded, expected.parse::<Uri>().unwrap());
        }
    }

    #[test]
    fn a_read_is_left_alone() {
        let get = Request::get("/api/v1/pods?watch=true").body(Body::empty()).unwrap();
        assert_eq!(with_deadline(get).uri(), "/api/v1/pods?watch=true");
    }
}
