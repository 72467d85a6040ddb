//! One function for each request: who is calling, may it, do it. Nothing of a body is read before it is known who is calling.

mod body;
mod create;
mod disrupt;
mod read;
mod report;
mod restore;

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use api::BottlerocketShadow;
use api::wire::Reason;
use axum::Json;
use axum::body::Body;
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::response::{IntoResponse, Response};
use http::header::{ETAG, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use kube::ResourceExt;
use runtime::server::{Connection, Proven};

pub use create::create;
pub use disrupt::{cordon_and_drain, exclude};
pub use read::read;
pub use report::report;
pub use restore::{include, uncordon};

use crate::app::App;
use crate::identity::Identity;
use crate::open_requests::OpenRequest;
use crate::operations::authenticate;
use crate::refusal::Refusal;

/// The largest body that is read: some twenty times the largest status the schema allows in practice.
pub const MAX_BODY: usize = 64 << 10;

/// The refusal of a larger one.
#[must_use]
pub fn too_large() -> Refusal {
    Refusal::new(Reason::TooLarge, format!("the body is larger than {MAX_BODY} bytes"))
}

/// A request's head, as far as it says who is calling, and from where.
pub struct Head {
    headers: HeaderMap,
    connection: Option<Connection>,
    peer: Option<IpAddr>,
}

impl<S: Sync> FromRequestParts<S> for Head {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
        Ok(Self { headers: parts.headers.clone(), connection: parts.extensions.get().cloned(), peer })
    }
}

/// What an admitted request holds for as long as it lasts.
struct Admitted {
    _request: OpenRequest,
    _proven: Option<Proven>,
}

/// Who is calling, counted among the open requests of its node. Until then the caller is unauthenticated, and each
/// address may have few such callers.
async fn admit(app: &App, head: &Head) -> Result<(Identity, Admitted), Refusal> {
    let identity = authenticate(app, &head.headers, head.peer).await?;
    let request = app.open_requests.enter(&identity.node, identity.ours).await?;
    let proven = head.connection.as_ref().map(Connection::proven);
    Ok((identity, Admitted { _request: request, _proven: proven }))
}

/// [`admit`] for a request that wants no body: one that is there is read away.
async fn admit_without_body(app: &App, head: &Head, body: Body) -> Result<(Identity, Admitted), Refusal> {
    let admitted = admit(app, head).await?;
    body::discard(body).await?;
    Ok(admitted)
}

/// Whether the shadow is that of the caller's Node, not of one that had its name before.
fn is_owned(shadow: &BottlerocketShadow, identity: &Identity) -> bool {
    let mut owners = shadow.owner_references().iter();
    owners.any(|owner| owner.kind == "Node" && owner.name == identity.node && owner.uid == identity.node_uid)
}

/// The caller's shadow as Kubernetes has it now.
async fn present(app: &App, identity: &Identity) -> Result<BottlerocketShadow, Refusal> {
    let shadow = app.cluster.shadow(&identity.node).await?;
    let owned = shadow.filter(|shadow| is_owned(shadow, identity));
    owned.ok_or_else(|| Refusal::no_shadow(&identity.node))
}

fn shadow_answer(status: StatusCode, mut shadow: BottlerocketShadow) -> Response {
    // Bookkeeping of the API server, larger than the rest; what the watch brings comes without it too.
    shadow.metadata.managed_fields = None;
    tagged((status, Json(&shadow)).into_response(), &shadow)
}

/// With the resourceVersion as entity tag.
fn tagged(mut response: Response, shadow: &BottlerocketShadow) -> Response {
    let version = shadow.resource_version().unwrap_or_default();
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}
