//! A small cluster for the rules' tests, whose writes are events for a judge.

use std::collections::{BTreeMap, BTreeSet};

use api::names::{
    APISERVER_FIELD_MANAGER, COMPONENT_LABEL, EXCLUDE_FROM_LOAD_BALANCERS_LABEL, UPDATER_INTERFACE_LABEL,
    UPDATER_INTERFACE_VERSION,
};
use api::shadow::{Desired, NodeRef, Observed};
use api::{ApprovalId, DisruptionRecord, Policy, Shadow, State, UpdatePolicySpec};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry};
use semver::Version;
use serde_json::{Value, json};

use super::breach::Rule;
use super::event::{Change, Event, HostChange, Seen};
use super::facts::{BudgetFacts, NodeFacts, PodFacts, PolicyFacts, ShadowFacts};
use super::judge::Judge;

/// Where the operator is installed.
pub(super) const NAMESPACE: &str = "brupop";

/// The version that nodes are updated to.
pub(super) fn new_version() -> Version {
    Version::new(1, 20, 0)
}

/// A cluster that a test writes to, and the judge that sees it.
pub(super) struct World {
    pub(super) judge: Judge,
    now: Timestamp,
    version: u64,
    nodes: BTreeMap<String, NodeFacts>,
    shadows: BTreeMap<String, ShadowFacts>,
    pods: BTreeMap<String, PodFacts>,
    policy: Value,
}

impl World {
    /// Idle nodes under one policy that lets `limit` of them be in flight. Everything was listed a minute ago.
    pub(super) fn new(nodes: &[&str], limit: Value) -> Self {
        let mut world = Self {
            judge: Judge::new(NAMESPACE),
            now: Timestamp::from_second(1_800_000_000).unwrap(),
            version: 100,
            nodes: BTreeMap::new(),
            shadows: BTreeMap::new(),
            pods: BTreeMap::new(),
            policy: json!({"nodeSelector": {}}),
        };
        world.policy["maxConcurrentUpdates"] = limit;
        for name in nodes {
            world.nodes.insert((*name).to_owned(), node(name));
            world.shadows.insert((*name).to_owned(), shadow(name));
            let agent =
                PodFacts { stays: true, namespace: NAMESPACE.to_owned(), ..pod(&format!("agent-{name}"), name) };
            let agent = PodFacts { labels: labels(&[(COMPONENT_LABEL, "agent")]), ..agent };
            world.pods.insert(agent.name.clone(), agent);
        }
        world.list();
        world.after(60);
        world
    }

    /// Has the judge list everything.
    pub(super) fn list(&mut self) {
        let nodes = self.nodes.values().cloned().map(|node| Seen::Node(Change::Applied(node)));
        let shadows = self.shadows.values().cloned().map(|shadow| Seen::Shadow(Change::Applied(shadow)));
        let pods = self.pods.values().cloned().map(|pod| Seen::Pod(Change::Applied(pod)));
        let policy = Seen::Policy(Change::Applied(self.policy_facts()));
        let all = nodes.chain(shadows).chain(pods).chain([policy]).collect();
        self.judge.list(self.now, all);
    }

    pub(super) fn after(&mut self, seconds: i64) -> &mut Self {
        self.after_millis(seconds * 1000)
    }

    pub(super) fn after_millis(&mut self, millis: i64) -> &mut Self {
        self.now = self.now.checked_add(SignedDuration::from_millis(millis)).unwrap();
        self
    }

    fn see(&mut self, seen: Seen) -> &mut Self {
        self.judge.see(Event::Cluster { at: self.now, seen: Box::new(seen) });
        self
    }

    fn next(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    fn policy_facts(&self) -> PolicyFacts {
        let spec: UpdatePolicySpec = serde_json::from_value(self.policy.clone()).unwrap();
        PolicyFacts {
            name: "default".to_owned(),
            version: self.version,
            generation: i64::try_from(self.version).ok(),
            priority: spec.priority,
            selector: api::policy::parse::selector(&spec).ok(),
            policy: Policy::try_from(&spec).map_err(|error| error.to_string()),
            promoted: BTreeSet::new(),
            managers: Vec::new(),
        }
    }

    /// Writes a policy, whose status calls these versions promoted.
    pub(super) fn put_policy(&mut self, name: &str, spec: Value, promoted: &[&str]) -> &mut Self {
        self.next();
        let own = std::mem::replace(&mut self.policy, spec);
        let promoted = promoted.iter().map(|version| (*version).to_owned()).collect();
        let facts = PolicyFacts { name: name.to_owned(), promoted, ..self.policy_facts() };
        self.policy = own;
        self.see(Seen::Policy(Change::Applied(facts)))
    }

    /// Edits the policy.
    pub(super) fn policy(&mut self, field: &str, value: Value) -> &mut Self {
        self.policy[field] = value;
        self.next();
        let facts = self.policy_facts();
        self.see(Seen::Policy(Change::Applied(facts)))
    }

    /// Another policy for all nodes.
    pub(super) fn other_policy(&mut self, name: &str, priority: i32) -> &mut Self {
        self.next();
        let facts = PolicyFacts { name: name.to_owned(), priority, ..self.policy_facts() };
        self.see(Seen::Policy(Change::Applied(facts)))
    }

    pub(super) fn remove_policy(&mut self) -> &mut Self {
        self.next();
        let facts = self.policy_facts();
        self.see(Seen::Policy(Change::Deleted(facts)))
    }

    /// Writes a Node.
    pub(super) fn node(&mut self, name: &str, change: impl FnOnce(&mut NodeFacts)) -> &mut Self {
        let facts = self.change_node(name, change);
        self.see(Seen::Node(Change::Applied(facts)))
    }

    /// Writes a Node, and the judge does not see it.
    pub(super) fn change_node(&mut self, name: &str, change: impl FnOnce(&mut NodeFacts)) -> NodeFacts {
        let version = self.next();
        let node = self.nodes.entry(name.to_owned()).or_insert_with(|| node(name));
        node.version = version;
        change(node);
        node.clone()
    }

    /// Deletes a Node.
    pub(super) fn delete_node(&mut self, name: &str) -> &mut Self {
        self.next();
        let facts = NodeFacts { version: self.version, ..self.nodes.remove(name).unwrap() };
        self.see(Seen::Node(Change::Deleted(facts)))
    }

    /// Writes a shadow.
    pub(super) fn shadow(&mut self, node: &str, change: impl FnOnce(&mut Shadow)) -> &mut Self {
        let version = self.next();
        let facts = self.shadows.get_mut(node).unwrap();
        facts.version = version;
        change(facts.shadow.as_mut().unwrap());
        let facts = facts.clone();
        self.see(Seen::Shadow(Change::Applied(facts)))
    }

    /// Writes a shadow that cannot be read.
    pub(super) fn unreadable(&mut self, node: &str) -> &mut Self {
        let version = self.next();
        let facts = ShadowFacts { version, shadow: Err("forged".to_owned()), ..self.shadows[node].clone() };
        self.see(Seen::Shadow(Change::Applied(facts)))
    }

    /// Writes a shadow's spec anew, but for its policy.
    fn desired(&mut self, node: &str, state: State, expires: Option<i64>) -> &mut Self {
        let now = self.now;
        self.shadow(node, |shadow| {
            shadow.desired = Desired {
                state,
                since: Some(now),
                version: Some(new_version()),
                policy: Some("default".to_owned()),
                disrupt_not_after: expires.map(|seconds| now.checked_add(SignedDuration::from_secs(seconds)).unwrap()),
                ..shadow.desired.clone()
            };
        })
    }

    /// Starts a node.
    pub(super) fn start(&mut self, node: &str) -> &mut Self {
        self.desired(node, State::StagedAndPerformedUpdate, None)
    }

    /// Approves a node for five minutes.
    pub(super) fn approval(&mut self, node: &str) -> &mut Self {
        self.approval_for(node, 300)
    }

    pub(super) fn approval_for(&mut self, node: &str, seconds: i64) -> &mut Self {
        self.desired(node, State::RebootedIntoUpdate, Some(seconds))
    }

    /// Asks for a node to be restored.
    pub(super) fn finish(&mut self, node: &str) -> &mut Self {
        self.shadow(node, |shadow| {
            shadow.desired = Desired { state: State::MonitoringUpdate, ..shadow.desired.clone() }
        })
    }

    /// Asks a node to be Idle.
    pub(super) fn idle(&mut self, node: &str) -> &mut Self {
        self.shadow(node, |shadow| shadow.desired = Desired::default())
    }

    /// Has the agent report a state.
    pub(super) fn reports(&mut self, node: &str, state: State) -> &mut Self {
        self.shadow(node, |shadow| shadow.observed.as_mut().unwrap().state = state)
    }

    /// The approval that a node has.
    pub(super) fn approval_of(&self, node: &str) -> ApprovalId {
        self.shadows[node].shadow.as_ref().unwrap().desired.approval().unwrap()
    }

    /// The first record under the approval that a node has, as the Node is now.
    pub(super) fn first_record(&self, name: &str) -> DisruptionRecord {
        let node = &self.nodes[name];
        DisruptionRecord::first(self.approval_of(name), self.now, node.unschedulable, node.exclusion().cloned())
    }

    /// Writes the first record under the approval that a node has.
    pub(super) fn record(&mut self, name: &str) -> &mut Self {
        let record = self.first_record(name);
        self.node(name, |node| node.record = Ok(Some(record)))
    }

    /// Cordons a Node, and notes it in its record.
    pub(super) fn cordon(&mut self, name: &str) -> &mut Self {
        let now = self.now;
        self.node(name, |node| {
            node.unschedulable = true;
            if let Ok(Some(record)) = &mut node.record {
                (record.cordoned, record.drain_began) = (true, Some(now));
            }
        })
    }

    /// Restores a Node.
    pub(super) fn uncordon(&mut self, name: &str) -> &mut Self {
        self.node(name, |node| (node.unschedulable, node.record) = (false, Ok(None)))
    }

    /// Writes a pod that runs on a node.
    pub(super) fn pod(&mut self, name: &str, on: &str, change: impl FnOnce(&mut PodFacts)) -> &mut Self {
        let version = self.next();
        let pod = self.pods.entry(name.to_owned()).or_insert_with(|| pod(name, on));
        pod.version = version;
        change(pod);
        let facts = pod.clone();
        self.see(Seen::Pod(Change::Applied(facts)))
    }

    /// The pod is gone.
    pub(super) fn delete_pod(&mut self, name: &str) -> &mut Self {
        self.next();
        let facts = PodFacts { version: self.version, ..self.pods.remove(name).unwrap() };
        self.see(Seen::Pod(Change::Deleted(facts)))
    }

    /// Writes the budget of all pods in the namespace `web`, which has granted these evictions.
    pub(super) fn budget(&mut self, granted: &[&str]) -> &mut Self {
        let facts = BudgetFacts {
            namespace: "web".to_owned(),
            name: "web".to_owned(),
            version: self.next(),
            selector: Some(kube::core::Selector::default()),
            granted: granted.iter().map(|pod| (*pod).to_owned()).collect::<BTreeSet<_>>(),
            allowed: 0,
        };
        self.see(Seen::Budget(Change::Applied(facts)))
    }

    /// A host's event.
    pub(super) fn host(&mut self, node: &str, change: HostChange) -> &mut Self {
        self.host_at(self.now, node, change)
    }

    /// A host's event of a moment ago.
    pub(super) fn host_at(&mut self, at: Timestamp, node: &str, change: HostChange) -> &mut Self {
        self.judge.see(Event::Host { at, node: node.to_owned(), change });
        self
    }

    pub(super) const fn now(&self) -> Timestamp {
        self.now
    }

    /// What was found so far, as rules.
    pub(super) fn rules(&self) -> Vec<Rule> {
        self.judge.breaches().iter().map(|breach| breach.rule).collect()
    }

    /// Fails unless there is no breach so far.
    #[track_caller]
    pub(super) fn clean(&mut self) -> &mut Self {
        assert_eq!(self.judge.breaches(), []);
        self
    }

    /// Fails unless there is exactly one breach, of this rule, whose message has these words.
    #[track_caller]
    pub(super) fn breach(&mut self, rule: Rule, words: &str) -> &mut Self {
        assert_eq!(self.rules(), [rule], "{:?}", self.judge.breaches());
        let message = &self.judge.breaches()[0].message;
        assert!(message.contains(words), "{message}");
        self
    }
}

pub(super) fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

pub(super) fn node(name: &str) -> NodeFacts {
    NodeFacts {
        name: name.to_owned(),
        uid: format!("uid-{name}"),
        version: 1,
        labels: labels(&[(UPDATER_INTERFACE_LABEL, UPDATER_INTERFACE_VERSION)]),
        unschedulable: false,
        record: Ok(None),
        ready: true,
        hold: None,
        acknowledged: None,
        ignore_window: None,
        managers: Vec::new(),
    }
}

pub(super) fn shadow(node: &str) -> ShadowFacts {
    let report = Observed {
        agent_version: Some("0.1.0".to_owned()),
        ..Observed::new(State::Idle, Version::new(1, 19, 0), new_version())
    };
    let shadow = Shadow {
        name: format!("brs-{node}"),
        uid: format!("uid-brs-{node}"),
        resource_version: "1".to_owned(),
        node: NodeRef { name: node.to_owned(), uid: format!("uid-{node}") },
        desired: Desired::default(),
        observed: Some(report),
        recorded_pin: None,
        conditions: Vec::new(),
    };
    let name = shadow.name.clone();
    ShadowFacts { name, node: node.to_owned(), version: 1, shadow: Ok(Box::new(shadow)), managers: Vec::new() }
}

pub(super) fn pod(name: &str, on: &str) -> PodFacts {
    PodFacts {
        namespace: "web".to_owned(),
        name: name.to_owned(),
        uid: format!("uid-{name}"),
        version: 1,
        labels: BTreeMap::new(),
        node: Some(on.to_owned()),
        running: true,
        finished: false,
        ready: true,
        terminating: false,
        stays: false,
        disrupted: None,
    }
}

/// The managed fields of an object whose cordon and exclusion are the apiserver's.
pub(super) fn by_the_apiserver() -> Vec<ManagedFieldsEntry> {
    let label = format!("f:{EXCLUDE_FROM_LOAD_BALANCERS_LABEL}");
    let fields = json!({"f:spec": {"f:unschedulable": {}}, "f:metadata": {"f:labels": {label: {}}}});
    vec![ManagedFieldsEntry {
        manager: Some(APISERVER_FIELD_MANAGER.to_owned()),
        fields_v1: Some(FieldsV1(fields)),
        ..ManagedFieldsEntry::default()
    }]
}
