//! How long a whole rollout takes, over the best that any choice of nodes could: the real rules in virtual time, with hosts that take a
//! fixed time for each step, and a moment between what happens and the plan that knows of it.

use std::collections::BTreeSet;

use api::{BottlerocketShadow, State};
use controller::action::{Verb, stored};
use controller::plan::plan;
use controller::snapshot::{Objects, Parsed, WatchedNode, WatchedShadow};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use kube::core::DeserializeGuard;
use serde_json::json;

use crate::fleet;

const NODES: usize = 200;
const AT_ONCE: usize = 10;
/// Staging; draining and rebooting; restoring; reporting Idle.
const STEPS: [i64; 4] = [60, 240, 5, 1];
/// Between a report and the spec that answers it: the watch, ten milliseconds of gathering, the plan and the write.
const ROUND: SignedDuration = SignedDuration::from_millis(50);

pub(crate) fn print() -> anyhow::Result<()> {
    let node_time: i64 = STEPS.iter().sum();
    let ideal = i64::try_from(NODES.div_ceil(AT_ONCE))? * node_time;
    let took = Rollout::new()?.run()?;
    let over = (took.as_secs_f64() / SignedDuration::from_secs(ideal).as_secs_f64() - 1.0) * 100.0;
    println!(
        "\nmakespan of {NODES} nodes, {AT_ONCE} at once, {node_time} s each, {} ms from report to spec",
        ROUND.as_millis()
    );
    println!("  {:.1} s, ideal {ideal} s: {over:.2} % over", took.as_secs_f64());
    println!("  the original starts one node each 2-4 s, and uses a freed place only when the whole batch has ended");
    Ok(())
}

struct Host {
    node: WatchedNode,
    shadow: BottlerocketShadow,
    /// What it will have done, and when.
    next: Option<(Timestamp, State)>,
}

struct Rollout {
    hosts: Vec<Host>,
    policy: DeserializeGuard<api::UpdatePolicy>,
    parsed: Parsed,
    version: u64,
    now: Timestamp,
}

impl Rollout {
    fn new() -> anyhow::Result<Self> {
        let spec = json!({"nodeSelector": {}, "maxConcurrentUpdates": AT_ONCE});
        let host = |number: usize| -> anyhow::Result<Host> {
            let node = serde_json::from_value(fleet::node(number))?;
            let mut shadow: BottlerocketShadow = serde_json::from_value(fleet::shadow(number))?;
            if let Some(status) = &mut shadow.status {
                status.current_version = "1.50.0".to_owned();
            }
            Ok(Host { node, shadow, next: None })
        };
        Ok(Self {
            hosts: (0..NODES).map(host).collect::<anyhow::Result<_>>()?,
            policy: serde_json::from_value(fleet::policy(&spec))?,
            parsed: Parsed::default(),
            version: 1_000_000,
            now: "2026-11-22T02:00:00Z".parse()?,
        })
    }

    fn run(mut self) -> anyhow::Result<SignedDuration> {
        let began = self.now;
        let mut last = began;
        loop {
            // A plan that knows of everything so far, and another that knows of what the first has written.
            while self.round()? {
                self.now += ROUND;
            }
            let Some(next) = self.hosts.iter().filter_map(|host| Some(host.next.as_ref()?.0)).min() else { break };
            self.now = self.now.max(next);
            self.hosts_go_on();
            last = self.now;
            self.now += ROUND;
        }
        let done = |host: &Host| host.shadow.status.as_ref().is_some_and(|status| status.current_version == "1.51.0");
        anyhow::ensure!(self.hosts.iter().all(done), "the rollout has not arrived");
        Ok(last.duration_since(began))
    }

    fn hosts_go_on(&mut self) {
        for host in &mut self.hosts {
            let Some((_, state)) = host.next.take_if(|(at, _)| *at <= self.now) else { continue };
            self.version += 1;
            host.shadow.metadata.resource_version = Some(self.version.to_string());
            if let Some(status) = &mut host.shadow.status {
                status.current_state = state;
                if state == State::RebootedIntoUpdate {
                    status.current_version = "1.51.0".to_owned();
                }
            }
        }
    }

    /// Plans and executes; says whether anything was written.
    fn round(&mut self) -> anyhow::Result<bool> {
        let shadow = |host: &Host| WatchedShadow::from(&DeserializeGuard(Ok(host.shadow.clone())));
        let shadows: Vec<_> = self.hosts.iter().map(shadow).collect();
        let agents_ready: BTreeSet<_> = (0..NODES).map(fleet::name).collect();
        let objects = Objects {
            nodes: self.hosts.iter().map(|host| &host.node).collect(),
            shadows: shadows.iter().collect(),
            policies: vec![&self.policy],
            agents_ready,
        };
        let snapshot = self.parsed.snapshot(self.now, &objects);
        let actions = plan(&snapshot).actions;
        let wrote = !actions.is_empty();
        for action in actions {
            self.version += 1;
            let host = self.hosts.iter_mut().find(|host| host.node.name_any() == action.node);
            let Some(host) = host else { continue };
            host.shadow.spec = stored(&action.desired);
            host.shadow.metadata.resource_version = Some(self.version.to_string());
            let after = |step: usize| self.now + SignedDuration::from_secs(STEPS[step]);
            host.next = match action.verb {
                Verb::Start => Some((after(0), State::StagedAndPerformedUpdate)),
                Verb::Approve => Some((after(1), State::RebootedIntoUpdate)),
                Verb::Restore => Some((after(2), State::MonitoringUpdate)),
                Verb::Finish => Some((after(3), State::Idle)),
                _ => host.next.take(),
            };
        }
        Ok(wrote)
    }
}
