//! One node: a simulated host, its agent, which is started again whenever it ends, and the double of the apiserver.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use agent::apiserver::Apiserver;
use agent::contact::Contact;
use agent::cycle::Cycle;
use agent::host::BottlerocketHost;
use agent::memory::Memory;
use agent::metrics::Metrics;
use agent::performer::Performer;
use agent::shadow::ShadowPoll;
use e2e::host::{Cause, Client, Deed, Happening, Host, HostEvent, HostOptions, Repository, Service, Span, Timings};
use http::StatusCode;
use jiff::Timestamp;
use runtime::health::Health;
use semver::Version;
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

use crate::double::{Double, Inside, Script};
use crate::interrupt::{Blow, Line, Peer, Scissors};

pub(crate) const OLD: Version = Version::new(1, 19, 0);
pub(crate) const NEW: Version = Version::new(1, 20, 0);

/// How long anything may take, in simulated time.
const PATIENCE: Duration = Duration::from_secs(4 * 3600);

/// The wall clock of the simulated time.
pub(crate) fn wall() -> Timestamp {
    thread_local! {
        static BEGAN: (Instant, Timestamp) = (Instant::now(), runtime::clock::now());
    }
    BEGAN.with(|(instant, time)| *time + instant.elapsed())
}

pub(crate) struct Node {
    pub(crate) host: Arc<Host>,
    pub(crate) repository: Repository,
    pub(crate) double: Double,
    pub(crate) scissors: Arc<Scissors>,
    /// Boots that were asked for by the agent without everything in place.
    pub(crate) breaches: Vec<String>,
    pub(crate) agents: u32,
    /// What the agents counted, one after the other.
    pub(crate) registries: Mutex<Vec<prometheus::Registry>>,
    /// The node's clock.
    pub(crate) wall: fn() -> Timestamp,
    /// What the agents say of themselves, one after the other.
    pub(crate) health: Health,
    /// When they were last heard, in seconds since 1970.
    pub(crate) last_contact: prometheus::Gauge,
    /// Whether they are heard.
    pub(crate) contact: Contact,
    /// Whether a boot was justified at the moment at which something was lost.
    was_justified: bool,
    /// Why an agent ended by itself last.
    pub(crate) last_words: Option<String>,
    folder: TempDir,
}

impl Node {
    pub(crate) async fn start(script: Script) -> Self {
        Self::cut(script, Scissors::default()).await
    }

    /// A node whose activations take `time`.
    pub(crate) async fn slow(script: Script, time: Duration) -> Self {
        let timings = Timings { activate: Span::exactly(time), ..Timings::default() };
        Self::made(script, Scissors::default(), timings).await
    }

    pub(crate) async fn cut(script: Script, scissors: Scissors) -> Self {
        Self::made(script, scissors, Timings::default()).await
    }

    async fn made(script: Script, scissors: Scissors, timings: Timings) -> Self {
        let last_contact = Metrics::register(&prometheus::Registry::new()).unwrap().last_contact;
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "token\n").unwrap();
        let repository = Repository::of([OLD, NEW]);
        let options = HostOptions { timings, ..HostOptions::new("a", folder.path().join("host"), OLD, 7) };
        let host = Arc::new(Host::start(options, repository.clone()).await.unwrap());
        Self {
            host,
            repository,
            double: Double::new(script),
            scissors: Arc::new(scissors),
            breaches: Vec::new(),
            agents: 0,
            registries: Mutex::default(),
            wall,
            health: Health::default(),
            contact: Contact::new(last_contact.clone()),
            last_contact,
            was_justified: false,
            last_words: None,
            folder,
        }
    }

    fn agent(&self) -> Cycle {
        let line = |peer| Arc::new(Line { peer, scissors: self.scissors.clone() });
        let registry = prometheus::Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        self.registries.lock().unwrap().push(registry);
        let apiserver = Apiserver::new(
            line(Peer::Apiserver(self.double.clone())),
            "apiserver".to_owned(),
            "a".to_owned(),
            self.folder.path().join("token"),
            self.contact.clone(),
        );
        Cycle {
            performer: Performer {
                host: BottlerocketHost::over(line(Peer::Host(self.host.socket().to_owned()))),
                shadow: ShadowPoll::new(apiserver.clone()),
                apiserver,
            },
            memory: Memory::new(Duration::from_secs(120)),
            boot_id_file: self.host.boot_id_file().to_owned(),
            wall: self.wall,
            metrics,
            heartbeat: self.health.heartbeat("cycle", agent::run::STUCK),
        }
    }

    /// Runs the node until `done`, and says how long that took.
    pub(crate) async fn until(&mut self, done: impl Fn(&Double, &Host) -> bool) -> Duration {
        let began = Instant::now();
        let double = self.double.clone();
        let run = async {
            loop {
                if !self.host.state().up {
                    sleep(Duration::from_millis(50)).await;
                    if began.elapsed() > PATIENCE {
                        return;
                    }
                    continue;
                }
                if self.live(&done).await {
                    return;
                }
            }
        };
        let in_time = timeout(PATIENCE, run).await.is_ok();
        let inside = double.look();
        let record = self.host.record();
        let text =
            record.iter().map(|(at, happening)| format!("{at} {happening:?}")).filter(|line| !line.contains("Refresh"));
        let last: Vec<_> = text.collect();
        assert!(in_time, "not done: {:?} {:?}\n{last:#?}", inside.spec(), inside.status());
        began.elapsed()
    }

    /// One life of the agent; true when all is done.
    async fn live(&mut self, done: &impl Fn(&Double, &Host) -> bool) -> bool {
        self.agents += 1;
        let mut events = self.host.subscribe();
        let mut agent = tokio::spawn(self.agent().run());
        let mut tick = tokio::time::interval(Duration::from_millis(250));
        loop {
            tokio::select! {
                () = self.scissors.blow.notified() => {
                    let ended = self.strike();
                    self.scissors.struck.notify_one();
                    if ended {
                        agent.abort();
                        // A new process, and all the more a new pod, takes a moment.
                        sleep(Duration::from_secs(1)).await;
                        break;
                    }
                }
                event = events.recv() => {
                    if let Ok(HostEvent::GoingDown { cause }) = event {
                        self.judge(cause);
                        break;
                    }
                }
                // A restarted container waits a little.
                ended = &mut agent => {
                    self.last_words = Some(format!("{:#}", ended.unwrap().unwrap_err()));
                    sleep(Duration::from_secs(1)).await;
                    break;
                }
                _ = tick.tick() => if done(&self.double, &self.host) {
                    agent.abort();
                    return true;
                }
            }
        }
        agent.abort();
        false
    }

    /// Has happen what is to happen. True when the agent ends with it.
    fn strike(&mut self) -> bool {
        let Some((_, blow, _)) = self.scissors.at else { return false };
        self.was_justified = self.double.look().justifies_boot(&self.host.state().boot_id);
        match blow {
            Blow::Kill => {}
            // Its going down ends the agent.
            Blow::PowerCycle => self.host.perform(Deed::PowerCycle),
            Blow::ShadowDeleted => self.double.edit(Inside::lose_shadow),
            Blow::NodeAnew => self.double.edit(Inside::lose_node),
            Blow::ApiserverAway => self.double.look().go_away(Duration::from_secs(180)),
            Blow::HostAway => self.leave_socket(Duration::from_secs(120)),
        }
        matches!(blow, Blow::Kill | Blow::NodeAnew)
    }

    fn leave_socket(&self, time: Duration) {
        self.host.set_service(Service::Dead).unwrap();
        let host = self.host.clone();
        tokio::spawn(async move {
            sleep(time).await;
            host.set_service(Service::Serving).unwrap();
        });
    }

    /// A machine takes a moment to go down: what justified the request may have been lost since it was made.
    fn judge(&mut self, cause: Cause) {
        if cause != Cause::RebootRequest(Client::Socket) || std::mem::take(&mut self.was_justified) {
            return;
        }
        let inside = self.double.look();
        if !inside.justifies_boot(&self.host.state().boot_id) {
            self.breaches.push(format!("{:?}", inside.status()));
        }
    }

    /// Requests to reboot that the host accepted from the agent.
    pub(crate) fn reboots(&self) -> usize {
        let asked = Happening::RebootRequested(Client::Socket, StatusCode::NO_CONTENT);
        self.host.record().iter().filter(|(_, happening)| *happening == asked).count()
    }

    /// Boots that the agent asked for. An agent that was killed before it read the answer asks again, of a machine that is
    /// going down already.
    pub(crate) fn boots_by_agent(&self) -> usize {
        let asked = Cause::RebootRequest(Client::Socket);
        self.host.boots().iter().filter(|boot| boot.cause == asked).count()
    }

    /// The version-lock as it is in the host's settings.
    pub(crate) fn lock(&self) -> Option<Version> {
        let settings = self.host.with(|machine, _| machine.datastore().settings());
        settings.updates.unwrap().version_lock.unwrap().version()
    }

    pub(crate) fn assert_updated(&self, context: &str) {
        let inside = self.double.look();
        let status = inside.status().unwrap();
        assert_eq!(self.breaches, Vec::<String>::new(), "{context}");
        assert_eq!(self.host.state().version, NEW, "{context}");
        assert_eq!(status.current_version, NEW.to_string(), "{context}");
        assert!(!inside.cordoned && inside.mark.is_none(), "{context}: not given back");
        assert!(inside.excluded.is_none(), "{context}: still out of the load balancers");
        assert_eq!((self.lock(), &status.version_lock_before), (None, &None), "{context}: still pinned");
        assert_eq!(status.rebooting, None, "{context}");
        assert_eq!(status.failure, None, "{context}");
        assert_eq!(status.crash_count, 0, "{context}");
    }
}

/// The node runs the new version and is at rest.
pub(crate) fn updated(double: &Double, host: &Host) -> bool {
    host.state().version == NEW && double.look().is_at_rest()
}

/// An update was started, and the node is at rest again.
pub(crate) fn ended(double: &Double, host: &Host) -> bool {
    host.state().up && double.look().script.starts == 0 && double.look().is_at_rest()
}
