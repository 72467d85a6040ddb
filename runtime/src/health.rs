//! What a program says about itself: `/livez`, `/readyz` and `/metrics`.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::{Registry, TEXT_FORMAT, TextEncoder};
use tokio::time::Instant;

/// Readiness and liveness of one program; clones are the same thing.
///
/// Ready is a program whose every [`Condition`] is met, alive is one whose every [`Heartbeat`] is recent. Conditions and
/// heartbeats are made before the server starts: a program without any is ready and alive.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<Signs>>);

#[derive(Debug, Default)]
struct Signs {
    conditions: BTreeMap<&'static str, bool>,
    heartbeats: BTreeMap<&'static str, Beat>,
}

#[derive(Debug)]
struct Beat {
    last: Instant,
    max_age: Duration,
    /// Whether the loop has said that it will not go on.
    ended: bool,
}

/// One named thing that readiness depends on.
#[derive(Clone, Debug)]
pub struct Condition {
    name: &'static str,
    health: Health,
}

/// The sign of life of one loop.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    name: &'static str,
    health: Health,
}

impl Health {
    /// Makes readiness depend on one more condition, not met yet.
    #[must_use]
    pub fn condition(&self, name: &'static str) -> Condition {
        self.signs().conditions.insert(name, false);
        Condition { name, health: self.clone() }
    }

    /// Makes liveness depend on one more loop. It counts as alive from now until `max_age` has passed without a
    /// [`Heartbeat::beat`], so that a stuck loop gets the process restarted; `max_age` is several times the longest round.
    #[must_use]
    pub fn heartbeat(&self, name: &'static str, max_age: Duration) -> Heartbeat {
        self.signs().heartbeats.insert(name, Beat { last: Instant::now(), max_age, ended: false });
        Heartbeat { name, health: self.clone() }
    }

    /// The conditions that are not met, sorted by name.
    #[must_use]
    pub fn not_ready(&self) -> Vec<&'static str> {
        self.signs().conditions.iter().filter(|(_, met)| !**met).map(|(name, _)| *name).collect()
    }

    /// The loops without a recent sign of life, and those that have given up, sorted by name, with the time since the last one.
    #[must_use]
    pub fn stuck(&self) -> Vec<(&'static str, Duration)> {
        let ages = self
            .signs()
            .heartbeats
            .iter()
            .map(|(name, beat)| (*name, beat.last.elapsed(), beat.max_age, beat.ended))
            .collect::<Vec<_>>();
        ages.into_iter().filter(|(_, age, max, ended)| *ended || age > max).map(|(name, age, ..)| (name, age)).collect()
    }

    /// `/livez` and `/readyz`: 200 `ok`, or 503 with what is missing, as plain text.
    pub fn routes(&self) -> Router {
        Router::new().route("/livez", get(livez)).route("/readyz", get(readyz)).with_state(self.clone())
    }

    /// The lock is held for plain assignments only, so a poisoned one is as good as any.
    fn signs(&self) -> MutexGuard<'_, Signs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Condition {
    /// Says whether the condition is met. A change is logged.
    pub fn set(&self, met: bool) {
        let before = self.health.signs().conditions.insert(self.name, met);
        if before != Some(met) {
            tracing::info!(condition = self.name, met, "readiness condition changed");
        }
    }
}

impl Heartbeat {
    /// A sign of life, to be given once a round.
    pub fn beat(&self) {
        if let Some(beat) = self.health.signs().heartbeats.get_mut(self.name) {
            beat.last = Instant::now();
        }
    }

    /// Says that the loop cannot go on: the program is not alive from now on, whatever sign of life still comes.
    pub fn give_up(&self) {
        if let Some(beat) = self.health.signs().heartbeats.get_mut(self.name) {
            beat.ended = true;
        }
    }
}

/// `/metrics`: everything in the registry in Prometheus' text format.
pub fn metrics_routes(registry: Registry) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(registry)
}

async fn livez(State(health): State<Health>) -> Response {
    let stuck = health.stuck();
    answer("stuck", &stuck.iter().map(|(name, age)| format!("{name} for {}s", age.as_secs())).collect::<Vec<_>>())
}

async fn readyz(State(health): State<Health>) -> Response {
    answer("not ready", &health.not_ready())
}

fn answer<S: Borrow<str>>(what: &str, missing: &[S]) -> Response {
    if missing.is_empty() {
        return "ok\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("{what}: {}\n", missing.join(", "))).into_response()
}

async fn metrics(State(registry): State<Registry>) -> Response {
    match TextEncoder::new().encode_to_string(&registry.gather()) {
        Ok(text) => ([(CONTENT_TYPE, TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use prometheus::IntCounter;
    use tokio::time::advance;
    use tower::ServiceExt;

    use super::*;

    async fn ask(routes: Router, path: &str) -> (u16, String, String) {
        let response = routes.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        let kind = response.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
        let status = response.status().as_u16();
        let text = to_bytes(response.into_body(), 1 << 16).await.unwrap();
        (status, kind, String::from_utf8(text.to_vec()).unwrap())
    }

    fn plain(status: u16, text: &str) -> (u16, String, String) {
        (status, "text/plain; charset=utf-8".to_owned(), text.to_owned())
    }

    #[tokio::test]
    async fn readiness_names_every_condition_that_is_not_met() {
        let health = Health::default();
        let (sync, lease) = (health.condition("first sync"), health.condition("certificate"));
        assert_eq!(ask(health.routes(), "/readyz").await, plain(503, "not ready: certificate, first sync\n"));
        sync.set(true);
        assert_eq!(ask(health.routes(), "/readyz").await, plain(503, "not ready: certificate\n"));
        lease.set(true);
        assert_eq!(ask(health.routes(), "/readyz").await, plain(200, "ok\n"));
        sync.set(false);
        assert_eq!(ask(health.routes(), "/readyz").await, plain(503, "not ready: first sync\n"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_without_a_beat_turns_liveness_red_until_it_beats_again() {
        let health = Health::default();
        let plan = health.heartbeat("plan", Duration::from_secs(60));
        let _lease = health.heartbeat("lease", Duration::from_secs(90));
        advance(Duration::from_secs(60)).await;
        assert_eq!(ask(health.routes(), "/livez").await, plain(200, "ok\n"));
        advance(Duration::from_secs(1)).await;
        assert_eq!(ask(health.routes(), "/livez").await, plain(503, "stuck: plan for 61s\n"));
        plan.beat();
        assert_eq!(ask(health.routes(), "/livez").await, plain(200, "ok\n"));
        advance(Duration::from_secs(61)).await;
        assert_eq!(ask(health.routes(), "/livez").await, plain(503, "stuck: lease for 122s, plan for 61s\n"));
        assert_eq!(ask(health.routes(), "/readyz").await, plain(200, "ok\n"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_gives_up_turns_liveness_red_at_once_and_for_good() {
        let health = Health::default();
        let plan = health.heartbeat("plan", Duration::from_secs(60));
        advance(Duration::from_secs(3)).await;
        plan.give_up();
        assert_eq!(ask(health.routes(), "/livez").await, plain(503, "stuck: plan for 3s\n"));
        plan.beat();
        assert_eq!(ask(health.routes(), "/livez").await, plain(503, "stuck: plan for 0s\n"));
    }

    #[tokio::test]
    async fn metrics_are_in_the_text_format() {
        let registry = Registry::new();
        let drains = IntCounter::new("drains_total", "Drains.").unwrap();
        registry.register(Box::new(drains.clone())).unwrap();
        drains.inc();
        let (status, kind, text) = ask(metrics_routes(registry), "/metrics").await;
        assert_eq!((status, kind.as_str()), (200, "text/plain; version=0.0.4"));
        assert!(text.ends_with("# TYPE drains_total counter\ndrains_total 1\n"), "{text}");
    }
}
