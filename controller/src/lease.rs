//! The Lease at the API server, and what the loop is told of it. What to do is decided in [`leadership`](crate::leadership).

use std::future::ready;
use std::time::Duration;

use futures::FutureExt as _;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client, Error, ResourceExt as _};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::leadership::{Answer, Bid, Candidate, LEASE_DURATION, RENEW_DEADLINE, Record, Step, Term};
use crate::write::WRITE_DEADLINE;

/// The Lease's name, in the namespace of the shadows.
const NAME: &str = "brupop-controller";
/// How long one request may take: short enough that a renewal whose answer is lost can be tried again within the term.
const REQUEST_DEADLINE: Duration = Duration::from_secs(3);
/// How long giving the Lease up may take in all. Whoever follows waits for its end otherwise.
const GIVE_UP_WITHIN: Duration = Duration::from_secs(3);

// The last write of a term has ended, one way or the other, before the Lease can be taken.
const _: () = assert!(RENEW_DEADLINE.as_secs() + WRITE_DEADLINE.as_secs() <= LEASE_DURATION.as_secs());

/// Whether this controller may act, as the loop sees it.
#[derive(Clone)]
pub(crate) struct Leadership {
    term: watch::Receiver<Option<Term>>,
    began: Option<Instant>,
    stop: CancellationToken,
}

impl Leadership {
    /// One that holds for as long as nobody cancels `stop`.
    #[cfg(test)]
    pub(crate) fn until(stop: CancellationToken) -> Self {
        let began = Instant::now();
        let until = began + Duration::from_secs(86_400);
        let (candidate, term) = watch::channel(Some(Term { began, until, orderly: true }));
        let stopped = stop.clone();
        tokio::spawn(async move {
            stopped.cancelled().await;
            drop(candidate);
        });
        Self { term, began: Some(began), stop }
    }

    /// Whether another write may be begun. Asked before each: a process that was frozen finds its term over.
    pub(crate) fn holds(&self) -> bool {
        !self.stop.is_cancelled() && self.current().is_some_and(|term| Instant::now() < term.until)
    }

    /// Waits for a term; `None` when the program ends.
    pub(crate) async fn gained(&mut self) -> Option<Term> {
        let gained = self.term.wait_for(|term| term.is_some_and(|term| Instant::now() < term.until));
        let term = self.stop.run_until_cancelled(gained).await?.ok().and_then(|term| *term);
        self.began = term.map(|term| term.began);
        term
    }

    /// Waits until the term is over or the program ends.
    pub(crate) async fn over(&mut self) {
        while self.holds() {
            let Some(until) = self.current().map(|term| term.until) else { return };
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = sleep_until(until) => {}
                changed = self.term.changed() => if changed.is_err() { return },
            }
        }
    }

    /// The term that was gained, for as long as it is the same one.
    fn current(&self) -> Option<Term> {
        self.term.borrow().filter(|term| Some(term.began) == self.began)
    }
}

/// Takes part in the election.
pub(crate) struct Election {
    leases: Api<Lease>,
    candidate: Candidate,
    acquired: Option<Timestamp>,
    term: watch::Sender<Option<Term>>,
}

impl Election {
    /// An election in `namespace`, and the leadership that follows from it.
    pub(crate) fn new(
        client: &Client,
        namespace: &str,
        identity: String,
        stop: CancellationToken,
    ) -> (Self, Leadership) {
        let (term, receiver) = watch::channel(None);
        let leases = Api::namespaced(client.clone(), namespace);
        let candidate = Candidate::new(identity);
        (Self { leases, candidate, acquired: None, term }, Leadership { term: receiver, began: None, stop })
    }

    /// Takes part until `stop`, or until the loop has ended before that; then gives the Lease up, but only once `idle` says that no
    /// write is under way any more. It never takes part again: a program whose loop has ended leaves the lead to others.
    pub(crate) async fn run(mut self, stop: CancellationToken, mut idle: oneshot::Receiver<()>) -> anyhow::Result<()> {
        let ended = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            ended = &mut idle => Some(ended.is_ok()),
            () = self.campaign() => None,
        };
        let is_idle = match ended {
            Some(is_idle) => is_idle,
            None => timeout(WRITE_DEADLINE, idle).await.is_ok_and(|idle| idle.is_ok()),
        };
        if self.candidate.term().is_some() && is_idle {
            match timeout(GIVE_UP_WITHIN, self.give_up()).await {
                Ok(Answer::Lease(_)) => tracing::info!(lease = NAME, "lease given up"),
                other => tracing::warn!(lease = NAME, outcome = ?other, "lease not given up; it will expire"),
            }
        }
        stop.cancelled().await;
        Ok(())
    }

    async fn campaign(&mut self) {
        loop {
            let step = self.candidate.step(Instant::now(), fastrand::f64());
            // Before anything is waited for: what ends here must end now.
            self.publish();
            match step {
                Step::Wait(until) => sleep_until(until).await,
                Step::Read => {
                    let answer = self.read().await;
                    self.candidate.read(answer, Instant::now(), fastrand::f64());
                }
                Step::Write(bid) => {
                    let sent = Instant::now();
                    let holder = Some(self.candidate.identity().to_owned());
                    let answer = self.write(&bid, holder).await;
                    self.candidate.written(&bid, sent, answer, Instant::now(), fastrand::f64());
                }
            }
            self.publish();
        }
    }

    fn publish(&self) {
        let term = self.candidate.term();
        let before = self.term.send_replace(term);
        match (before.map(|term| term.began), term.map(|term| term.began)) {
            (None, Some(_)) => tracing::info!(lease = NAME, identity = self.candidate.identity(), "lease acquired"),
            (Some(_), None) => tracing::warn!(lease = NAME, identity = self.candidate.identity(), "lease lost"),
            _ => {}
        }
    }

    async fn give_up(&mut self) -> Answer {
        let answer = self.read().await;
        self.candidate.read(answer, Instant::now(), 0.0);
        match self.candidate.give_up() {
            Some(bid) => self.write(&bid, None).await,
            None => Answer::Conflict,
        }
    }

    async fn read(&self) -> Answer {
        let read = self.leases.get_opt(NAME).map(|read| read.map(|lease| lease.as_ref().map(record)));
        answer(timeout(REQUEST_DEADLINE, read).await.ok())
    }

    async fn write(&mut self, bid: &Bid, holder: Option<String>) -> Answer {
        let now = runtime::clock::now();
        if bid.begins.is_some() {
            self.acquired = Some(now);
        }
        let lease = lease(bid, holder, self.acquired, now);
        let params = PostParams::default();
        let written = match &bid.version {
            None => self.leases.create(&params, &lease).boxed(),
            Some(_) => self.leases.replace(NAME, &params, &lease).boxed(),
        };
        let written = written.then(|written| ready(written.map(|lease| Some(record(&lease)))));
        answer(timeout(REQUEST_DEADLINE, written).await.ok())
    }
}

fn answer(result: Option<kube::Result<Option<Record>>>) -> Answer {
    match result {
        Some(Ok(record)) => Answer::Lease(record),
        // Deleted meanwhile, or created by somebody else: not as it was seen.
        Some(Err(Error::Api(status))) if status.code == 404 || status.code == 409 => Answer::Conflict,
        Some(Err(error)) => {
            tracing::warn!(lease = NAME, %error, "request failed");
            Answer::Unknown
        }
        None => {
            tracing::warn!(lease = NAME, "request not answered in time");
            Answer::Unknown
        }
    }
}

fn record(lease: &Lease) -> Record {
    let spec = lease.spec.clone().unwrap_or_default();
    let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    Record {
        holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
        version: lease.resource_version().unwrap_or_default(),
        duration: seconds.map_or(LEASE_DURATION, Duration::from_secs),
        transitions: spec.lease_transitions.unwrap_or_default(),
    }
}

/// The times are for people who look: no controller decides by another's clock.
fn lease(bid: &Bid, holder: Option<String>, acquired: Option<Timestamp>, now: Timestamp) -> Lease {
    let seconds = if holder.is_some() { LEASE_DURATION.as_secs() } else { 1 };
    Lease {
        metadata: ObjectMeta {
            name: Some(NAME.to_owned()),
            resource_version: bid.version.clone(),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: holder,
            lease_duration_seconds: i32::try_from(seconds).ok(),
            lease_transitions: Some(bid.transitions),
            acquire_time: acquired.map(MicroTime),
            renew_time: Some(MicroTime(now)),
            ..LeaseSpec::default()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{Method, Request, Response};
    use kube::client::Body;
    use serde_json::{Value, json};
    use tower_test::mock::{Handle, pair};

    type Server = Handle<Request<Body>, Response<Body>>;

    /// Takes one request, answers it, and says what it was.
    async fn serve(server: &mut Server, code: u16, mut answer: Value) -> (Method, Value) {
        let (request, send) = server.next_request().await.unwrap();
        let method = request.method().clone();
        let body = request.into_body().collect_bytes().await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        if answer.is_null() {
            answer = body.clone();
            answer["metadata"]["resourceVersion"] = json!("1");
        }
        let answer = serde_json::to_vec(&answer).unwrap();
        send.send_response(Response::builder().status(code).body(Body::from(answer)).unwrap());
        (method, body)
    }

    fn missing() -> Value {
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404, "message": ""})
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_that_ends_gives_the_lease_up_once_no_write_is_under_way() {
        let (service, mut server) = pair::<Request<Body>, Response<Body>>();
        let client = Client::new(service, "default");
        let stop = CancellationToken::new();
        let (election, mut leadership) = Election::new(&client, "ns", "me".to_owned(), stop.clone());
        let (idle, is_idle) = oneshot::channel();
        let running = tokio::spawn(election.run(stop.clone(), is_idle));
        assert_eq!(serve(&mut server, 404, missing()).await.0, Method::GET);
        let (method, lease) = serve(&mut server, 201, Value::Null).await;
        assert_eq!((method, &lease["spec"]["holderIdentity"]), (Method::POST, &json!("me")));
        assert!(leadership.gained().await.unwrap().orderly);
        assert!(leadership.holds());
        stop.cancel();
        assert!(!leadership.holds(), "nothing is begun any more");
        idle.send(()).unwrap();
        let mut stored = lease.clone();
        stored["metadata"]["resourceVersion"] = json!("1");
        assert_eq!(serve(&mut server, 200, stored).await.0, Method::GET);
        let (method, lease) = serve(&mut server, 200, Value::Null).await;
        assert_eq!((method, &lease["spec"]["holderIdentity"]), (Method::PUT, &Value::Null));
        assert_eq!(lease["metadata"]["resourceVersion"], "1");
        running.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_ends_before_the_program_leaves_the_lead_to_others() {
        for clean in [true, false] {
            let (service, mut server) = pair::<Request<Body>, Response<Body>>();
            let client = Client::new(service, "default");
            let stop = CancellationToken::new();
            let (election, mut leadership) = Election::new(&client, "ns", "me".to_owned(), stop.clone());
            let (idle, is_idle) = oneshot::channel();
            let running = tokio::spawn(election.run(stop.clone(), is_idle));
            serve(&mut server, 404, missing()).await;
            let (_, mut lease) = serve(&mut server, 201, Value::Null).await;
            leadership.gained().await.unwrap();
            if clean {
                idle.send(()).unwrap();
                lease["metadata"]["resourceVersion"] = json!("1");
                serve(&mut server, 200, lease).await;
                let (method, lease) = serve(&mut server, 200, Value::Null).await;
                assert_eq!((method, &lease["spec"]["holderIdentity"]), (Method::PUT, &Value::Null));
            } else {
                drop(idle);
            }
            let more = timeout(Duration::from_secs(3600), server.next_request()).await;
            assert!(more.is_err(), "it is neither renewed nor taken again");
            stop.cancel();
            running.await.unwrap().unwrap();
        }
    }
}
