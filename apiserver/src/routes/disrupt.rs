//! POST on exclude-from-lb and cordon-and-drain.

use std::sync::Arc;
use std::time::Duration;

use api::wire::DrainProgress;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use tokio::time::{Instant, sleep};

use super::{Head, admit_without_body};
use crate::app::App;
use crate::identity::Identity;
use crate::node::{Disruption, NotAllowed};
use crate::operations::{NotDisrupted, Outcome, disrupt, drain, vetoed};
use crate::preferences;
use crate::refusal::Refusal;

/// How often it is looked whether an original agent, which is made to wait, may go on.
const RECHECK: Duration = Duration::from_secs(3);

/// Takes the caller's node out of the load balancers.
pub async fn exclude(State(app): State<Arc<App>>, head: Head, body: Body) -> Result<Response, Refusal> {
    let (identity, _admitted) = admit_without_body(&app, &head, body).await?;
    loop {
        match disrupt(&app, &identity, Disruption::Exclusion).await {
            Ok(_) => return Ok(StatusCode::OK.into_response()),
            Err(not) => wait_or_refuse(&identity, not).await?,
        }
    }
}

/// Cordons the caller's node and evicts its pods.
pub async fn cordon_and_drain(State(app): State<Arc<App>>, head: Head, body: Body) -> Result<Response, Refusal> {
    let (identity, _admitted) = admit_without_body(&app, &head, body).await?;
    let until = preferences::wait(&head.headers).map(|wait| Instant::now() + wait);
    loop {
        match once(&app, &identity, until).await {
            Ok(Outcome::Drained) => return Ok(StatusCode::OK.into_response()),
            Ok(Outcome::Unfinished(progress)) => return Ok(accepted(progress)),
            Err(not) => wait_or_refuse(&identity, not).await?,
        }
        if until.is_some_and(|until| until <= Instant::now()) {
            return Ok(accepted(DrainProgress::default()));
        }
    }
}

async fn once(app: &App, identity: &Identity, until: Option<Instant>) -> Result<Outcome, NotDisrupted> {
    let record = disrupt(app, identity, Disruption::Cordon).await.inspect_err(|not| {
        if let NotDisrupted::NotAllowed(NotAllowed::Vetoed { drain }) = not {
            vetoed(app, identity, *drain);
        }
    })?;
    drain(app, identity, &record, until).await
}

fn accepted(progress: DrainProgress) -> Response {
    (StatusCode::ACCEPTED, Json(progress)).into_response()
}

/// Ours is told that it may not; an original would make a crash of that, and waits until it may.
async fn wait_or_refuse(identity: &Identity, not: NotDisrupted) -> Result<(), Refusal> {
    match not {
        NotDisrupted::NotAllowed(not_allowed) if !identity.ours => {
            tracing::debug!(node = identity.node, %not_allowed, "original agent waits");
            sleep(RECHECK.mul_f64(0.75 + 0.5 * fastrand::f64())).await;
            Ok(())
        }
        not => Err(not.into()),
    }
}
