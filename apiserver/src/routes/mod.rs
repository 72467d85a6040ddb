//! One function for each request: who is calling, may it, do it.

mod body;
mod create;
mod disrupt;
mod read;
mod report;
mod restore;

use api::BottlerocketShadow;
use api::wire::Reason;
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{ETAG, HeaderValue};
use http::{HeaderMap, StatusCode};
use kube::ResourceExt;

pub use body::without_body;
pub use create::create;
pub use disrupt::{cordon_and_drain, exclude};
pub use read::read;
pub use report::report;
pub use restore::{include, uncordon};

use crate::app::App;
use crate::identity::{Identity, authenticate};
use crate::in_flight::Place;
use crate::refusal::Refusal;

/// The largest body that is read: some twenty times the largest status the schema allows in practice.
pub const MAX_BODY: usize = 64 << 10;

/// The refusal of a larger one.
#[must_use]
pub fn too_large() -> Refusal {
    Refusal::new(Reason::TooLarge, format!("the body is larger than {MAX_BODY} bytes"))
}

/// Who is calling, with a place among what its node has in flight, which is taken for as long as it is held.
async fn admit<'a>(app: &'a App, headers: &HeaderMap) -> Result<(Identity, Place<'a>), Refusal> {
    let identity = authenticate(app, headers).await?;
    let place = app.in_flight.enter(&identity.node, identity.ours).await?;
    Ok((identity, place))
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
