//! A double of the apiserver, with the least of a controller behind it.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use api::names::VERSION_LOCK_BEFORE_ANNOTATION;
use api::record::ApprovalId;
use api::shadow::{BottlerocketShadowSpec, BottlerocketShadowStatus, Pin, RebootIntent, State};
use api::wire::{self, DrainProgress, ErrorBody, Reason};
use api::{BottlerocketShadow, Shadow};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// What the double does other than to let everything through.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script {
    /// How long a drain takes.
    pub(crate) drain: Duration,
    /// Updates that are started.
    pub(crate) starts: u32,
    /// Drains that are answered as vetoed before they begin.
    pub(crate) vetoes: u32,
    /// Drains that are answered as timed out.
    pub(crate) timeouts: u32,
    /// Drains that are answered with `NoGo` although there is one.
    pub(crate) no_approvals: u32,
    /// Requests to give back that are refused.
    pub(crate) early_give_backs: u32,
    /// The approval is withdrawn, once, when the drain has begun.
    pub(crate) withdraw: bool,
    /// An approval is given.
    pub(crate) approval: bool,
    /// This version is ordered rather than the one the host would take.
    pub(crate) desired: Option<String>,
    /// Seconds between exclusion and drain.
    pub(crate) exclusion: i64,
}

impl Script {
    pub(crate) fn smooth() -> Self {
        Self { drain: Duration::from_secs(8), starts: 1, approval: true, ..Self::default() }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Inside {
    pub(crate) script: Script,
    pub(crate) shadow: Option<BottlerocketShadow>,
    version: u64,
    pub(crate) mark: Option<ApprovalId>,
    /// The record of the pin, on the Node.
    pub(crate) pin: Option<Pin>,
    pub(crate) cordoned: bool,
    /// Out of the load balancers since.
    pub(crate) excluded: Option<Instant>,
    /// When the drain was first asked for.
    pub(crate) drain_asked: Option<Instant>,
    /// How often the exclusion was asked for.
    pub(crate) exclusions: u32,
    drain_ends: Option<Instant>,
    /// How often marks were taken away.
    pub(crate) given_back: u32,
    /// Every status that was stored.
    pub(crate) reports: Vec<BottlerocketShadowStatus>,
    /// Requests by method and path, reads that waited apart.
    pub(crate) requests: u32,
    pub(crate) long_polls: u32,
    /// No connection between these two, and no answer to what is open.
    pub(crate) away: Option<(Instant, Instant)>,
}

/// The double; clones are the same.
#[derive(Clone)]
pub(crate) struct Double {
    inside: Arc<Mutex<Inside>>,
    changed: watch::Sender<u64>,
}

type Answer = Response<Bytes>;

impl Double {
    pub(crate) fn new(script: Script) -> Self {
        let inside = Inside { script, ..Inside::default() };
        Self { inside: Arc::new(Mutex::new(inside)), changed: watch::Sender::new(0) }
    }

    pub(crate) fn look(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap()
    }

    /// Changes the spec as a controller would, and whatever else.
    pub(crate) fn edit(&self, edit: impl FnOnce(&mut Inside)) {
        let mut inside = self.look();
        edit(&mut inside);
        inside.bump();
        self.changed.send_replace(inside.version);
    }

    pub(crate) async fn answer(&self, request: Request<Bytes>) -> Answer {
        if request.headers().get(wire::TOKEN_HEADER).is_none_or(|token| token != "token") {
            return refusal(StatusCode::UNAUTHORIZED, Reason::Unauthenticated);
        }
        let goes = self.look().away.map(|(goes, _)| goes);
        let answer = self.route(request);
        let Some(goes) = goes.filter(|goes| *goes > Instant::now()) else { return answer.await };
        match tokio::time::timeout_at(goes, answer).await {
            Ok(answer) => answer,
            Err(_) => std::future::pending().await,
        }
    }

    async fn route(&self, request: Request<Bytes>) -> Answer {
        self.look().requests += 1;
        match (request.method().clone(), request.uri().path()) {
            (Method::GET, wire::NODE_RESOURCE) => self.read(&request).await,
            (Method::POST, wire::NODE_RESOURCE) => self.create(),
            (Method::PUT, wire::NODE_RESOURCE) => self.store(&request),
            (Method::POST, wire::CORDON_AND_DRAIN) => self.drain(&request).await,
            (Method::POST, wire::UNCORDON) => self.give_back(|inside| inside.cordoned = false),
            (Method::POST, wire::EXCLUDE_FROM_LB) => self.exclude(),
            (Method::POST, wire::REMOVE_EXCLUSION_FROM_LB) => self.give_back(|inside| inside.excluded = None),
            _ => refusal(StatusCode::NOT_FOUND, Reason::NotFound),
        }
    }

    async fn read(&self, request: &Request<Bytes>) -> Answer {
        let query = request.uri().query().unwrap_or_default();
        let parameter = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        if let Some(version) = parameter("resourceVersion") {
            let version: u64 = version.parse().unwrap();
            let wait = Duration::from_secs(parameter("timeoutSeconds").unwrap().parse().unwrap());
            self.look().long_polls += 1;
            let mut changes = self.changed.subscribe();
            let newer = changes.wait_for(|now| *now > version);
            if timeout(wait, newer).await.is_err() {
                return empty(StatusCode::NOT_MODIFIED);
            }
        }
        match &self.look().shadow {
            Some(shadow) => object(shadow),
            None => refusal(StatusCode::NOT_FOUND, Reason::NotFound),
        }
    }

    fn create(&self) -> Answer {
        self.edit(|inside| {
            let mut shadow = BottlerocketShadow::new("brs-a", BottlerocketShadowSpec::default());
            shadow.metadata.uid = Some("u1".to_owned());
            shadow.metadata.owner_references = Some(vec![OwnerReference {
                api_version: "v1".to_owned(),
                kind: "Node".to_owned(),
                name: "a".to_owned(),
                uid: "n1".to_owned(),
                ..OwnerReference::default()
            }]);
            if let Some(pin) = &inside.pin {
                shadow.annotations_mut().insert(VERSION_LOCK_BEFORE_ANNOTATION.to_owned(), pin.encode());
            }
            inside.shadow = Some(shadow);
        });
        object(self.look().shadow.as_ref().unwrap())
    }

    fn store(&self, request: &Request<Bytes>) -> Answer {
        let expected = request.headers().get("if-match").unwrap().to_str().unwrap().trim_matches('"').to_owned();
        let status: BottlerocketShadowStatus = serde_json::from_slice(request.body()).unwrap();
        let mut inside = self.look();
        let version = inside.version.to_string();
        let Some(shadow) = &mut inside.shadow else { return refusal(StatusCode::NOT_FOUND, Reason::NotFound) };
        if version != expected {
            return refusal(StatusCode::CONFLICT, Reason::Conflict);
        }
        shadow.status = Some(status.clone());
        inside.pin = status.pin();
        inside.reports.push(status);
        inside.bump();
        let version = inside.version;
        let tag = format!("\"{version}\"");
        drop(inside);
        // The controller looks a moment later, as a real one does.
        let double = self.clone();
        self.changed.send_replace(version);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            double.control();
        });
        let mut answer = json_answer(StatusCode::OK, request.body().clone());
        answer.headers_mut().insert("etag", tag.parse().unwrap());
        answer
    }

    /// What the controller makes of the last report.
    pub(crate) fn control(&self) {
        let spec = self.look().next_spec();
        if let Some(spec) = spec {
            self.edit(|inside| inside.shadow.as_mut().unwrap().spec = spec);
        }
    }

    async fn drain(&self, request: &Request<Bytes>) -> Answer {
        let wait: u64 = request.headers()["prefer"].to_str().unwrap().strip_prefix("wait=").unwrap().parse().unwrap();
        let deadline = Instant::now() + Duration::from_secs(wait);
        loop {
            let ends = {
                let mut inside = self.look();
                let Some(approval) = inside.approval() else {
                    return refusal(StatusCode::CONFLICT, Reason::NoApproval);
                };
                let Inside { script, .. } = &mut *inside;
                for (left, reason) in [
                    (&mut script.no_approvals, Reason::NoApproval),
                    (&mut script.vetoes, Reason::Vetoed),
                    (&mut script.timeouts, Reason::DrainTimedOut),
                ] {
                    if *left > 0 {
                        *left -= 1;
                        return refusal(StatusCode::CONFLICT, reason);
                    }
                }
                let latest = Instant::now() + inside.script.drain;
                let ends = *inside.drain_ends.get_or_insert(latest);
                inside.mark = Some(approval);
                inside.cordoned = true;
                inside.drain_asked.get_or_insert_with(Instant::now);
                ends
            };
            self.withdraw();
            if ends <= Instant::now() {
                return empty(StatusCode::OK);
            }
            if deadline <= Instant::now() {
                let progress = DrainProgress { pods_left: 3, ..DrainProgress::default() };
                return json_answer(StatusCode::ACCEPTED, serde_json::to_vec(&progress).unwrap().into());
            }
            tokio::time::sleep_until(ends.min(deadline).min(Instant::now() + Duration::from_millis(500))).await;
        }
    }

    fn withdraw(&self) {
        if std::mem::take(&mut self.look().script.withdraw) {
            self.edit(|inside| {
                inside.script.approval = false;
                let shadow = inside.shadow.as_mut().unwrap();
                shadow.spec = BottlerocketShadowSpec {
                    state: State::StagedAndPerformedUpdate,
                    state_transition_timestamp: Some("2026-11-22T13:00:00Z".to_owned()),
                    disrupt_not_after: None,
                    ..shadow.spec.clone()
                };
            });
        }
    }

    fn exclude(&self) -> Answer {
        let mut inside = self.look();
        let Some(approval) = inside.approval() else { return refusal(StatusCode::CONFLICT, Reason::NoApproval) };
        inside.exclusions += 1;
        inside.mark = Some(approval);
        inside.excluded.get_or_insert_with(Instant::now);
        empty(StatusCode::OK)
    }

    fn give_back(&self, restore: impl FnOnce(&mut Inside)) -> Answer {
        let mut inside = self.look();
        let state = inside.shadow.as_ref().map_or(State::Idle, |shadow| shadow.spec.state);
        let early = inside.script.early_give_backs > 0;
        if early || !matches!(state, State::Idle | State::MonitoringUpdate) {
            inside.script.early_give_backs = inside.script.early_give_backs.saturating_sub(1);
            return refusal(StatusCode::CONFLICT, Reason::NotGivingBack);
        }
        restore(&mut inside);
        if !inside.cordoned && inside.excluded.is_none() && inside.mark.take().is_some() {
            inside.given_back += 1;
            inside.drain_ends = None;
        }
        empty(StatusCode::OK)
    }
}

impl Inside {
    /// Whether nobody is there.
    pub(crate) fn is_away(&self) -> bool {
        self.away.is_some_and(|(goes, comes)| (goes..comes).contains(&Instant::now()))
    }

    /// Nobody is there from now on, for `time`.
    pub(crate) fn go_away(&mut self, time: Duration) {
        self.away = Some((Instant::now(), Instant::now() + time));
    }

    fn bump(&mut self) {
        self.version += 1;
        let version = self.version.to_string();
        if let Some(shadow) = &mut self.shadow {
            shadow.metadata.resource_version = Some(version);
        }
    }

    /// Whether a boot is what the shadow and the Node ask for: drained under a mark, for the version that is named, with an
    /// intent under this boot.
    pub(crate) fn justifies_boot(&self, boot_id: &str) -> bool {
        let version = self.spec().and_then(|spec| spec.version.as_ref());
        let intended = self.intent().is_some_and(|it| it.boot_id == boot_id && Some(&it.version) == version);
        self.is_drained() && self.mark.is_some() && intended
    }

    /// The shadow is deleted. The controller starts the node again, if there is still something to do.
    pub(crate) fn lose_shadow(&mut self) {
        self.shadow = None;
        self.script.starts = 1;
    }

    /// The Node is registered anew: what was written on it is gone, and its shadow with it.
    pub(crate) fn lose_node(&mut self) {
        self.lose_shadow();
        (self.mark, self.pin, self.excluded, self.drain_ends) = (None, None, None, None);
        self.cordoned = false;
    }

    fn approval(&self) -> Option<ApprovalId> {
        Shadow::try_from(self.shadow.as_ref()?).ok()?.desired.approval()
    }

    pub(crate) fn spec(&self) -> Option<&BottlerocketShadowSpec> {
        self.shadow.as_ref().map(|shadow| &shadow.spec)
    }

    pub(crate) fn status(&self) -> Option<&BottlerocketShadowStatus> {
        self.shadow.as_ref()?.status.as_ref()
    }

    pub(crate) fn intent(&self) -> Option<&RebootIntent> {
        self.status()?.rebooting.as_ref()
    }

    /// Whether the pods are gone by the answer that was given.
    pub(crate) fn is_drained(&self) -> bool {
        self.cordoned && self.drain_ends.is_some_and(|ends| ends <= Instant::now())
    }

    pub(crate) fn is_at_rest(&self) -> bool {
        let idle = |state| state == State::Idle;
        self.spec().is_some_and(|spec| idle(spec.state) && spec.version.is_none())
            && self.status().is_some_and(|status| idle(status.current_state))
    }

    fn next_spec(&mut self) -> Option<BottlerocketShadowSpec> {
        use State::{ErrorReset, Idle, MonitoringUpdate, RebootedIntoUpdate, StagedAndPerformedUpdate};
        let status = self.status()?.clone();
        let spec = self.spec()?.clone();
        let since = format!("2026-11-22T12:00:{:02}Z", self.version % 60);
        let to =
            |state| BottlerocketShadowSpec { state, state_transition_timestamp: Some(since.clone()), ..spec.clone() };
        match (spec.state, status.current_state) {
            (Idle, Idle) if self.script.starts > 0 && status.target_version != status.current_version => {
                self.script.starts -= 1;
                Some(BottlerocketShadowSpec {
                    version: Some(self.script.desired.clone().unwrap_or(status.target_version)),
                    exclude_from_lb_wait_time_in_sec: Some(self.script.exclusion),
                    policy: Some("default".to_owned()),
                    ..to(StagedAndPerformedUpdate)
                })
            }
            (Idle, Idle) => spec.version.is_some().then(BottlerocketShadowSpec::default),
            (StagedAndPerformedUpdate, StagedAndPerformedUpdate) if self.script.approval => {
                Some(BottlerocketShadowSpec {
                    disrupt_not_after: Some("2999-01-01T00:00:00Z".to_owned()),
                    ..to(RebootedIntoUpdate)
                })
            }
            (RebootedIntoUpdate, RebootedIntoUpdate) => {
                Some(BottlerocketShadowSpec { disrupt_not_after: None, ..to(MonitoringUpdate) })
            }
            (MonitoringUpdate, MonitoringUpdate) => Some(to(Idle)),
            (StagedAndPerformedUpdate | RebootedIntoUpdate, ErrorReset) => {
                Some(BottlerocketShadowSpec { disrupt_not_after: None, ..to(Idle) })
            }
            _ => None,
        }
    }
}

fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = status;
    answer
}

fn json_answer(status: StatusCode, body: Bytes) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer
}

fn object(shadow: &BottlerocketShadow) -> Answer {
    json_answer(StatusCode::OK, json!(shadow).to_string().into())
}

fn refusal(status: StatusCode, reason: Reason) -> Answer {
    let body = ErrorBody { error: "refused".to_owned(), reason };
    json_answer(status, serde_json::to_vec(&body).unwrap().into())
}
