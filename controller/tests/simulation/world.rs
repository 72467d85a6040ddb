//! What is stored, as it is, and as a watch that lags behind shows it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use api::policy::{PromotionStep, VersionSeen};
use api::{ApprovalId, BottlerocketShadow, DisruptionRecord, Shadow, UpdatePolicy, names};
use controller::action::{Action, Verb, stored};
use controller::shadow_status::ShadowStatus;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;
use kube::core::DeserializeGuard;
use serde_json::{Value, json};

/// Objects of one kind, and everything that ever became of them.
pub(crate) struct Table<T> {
    pub(crate) rows: BTreeMap<String, Rc<T>>,
    pub(crate) log: Vec<(String, Option<Rc<T>>)>,
}

impl<T> Table<T> {
    fn new() -> Self {
        Self { rows: BTreeMap::new(), log: Vec::new() }
    }

    fn put(&mut self, name: &str, row: T) {
        let row = Rc::new(row);
        self.rows.insert(name.to_owned(), row.clone());
        self.log.push((name.to_owned(), Some(row)));
    }

    pub(crate) fn remove(&mut self, name: &str) {
        if self.rows.remove(name).is_some() {
            self.log.push((name.to_owned(), None));
        }
    }
}

/// A table as far as a watch has shown it, and what a watch makes of its rows.
pub(crate) struct View<T, K> {
    pub(crate) at: usize,
    pub(crate) rows: BTreeMap<String, K>,
    read: fn(&Rc<T>) -> K,
}

impl<T, K> View<T, K> {
    pub(crate) fn new(read: fn(&Rc<T>) -> K) -> Self {
        Self { at: 0, rows: BTreeMap::new(), read }
    }

    /// Shows the changes up to `to`; says whether there were any.
    pub(crate) fn advance(&mut self, table: &Table<T>, to: usize) -> bool {
        let to = to.min(table.log.len());
        let changed = to > self.at;
        while self.at < to {
            let (name, row) = &table.log[self.at];
            match row {
                Some(row) => self.rows.insert(name.clone(), (self.read)(row)),
                None => self.rows.remove(name),
            };
            self.at += 1;
        }
        changed
    }
}

pub(crate) type StoredShadow = DeserializeGuard<BottlerocketShadow>;
pub(crate) type StoredPolicy = DeserializeGuard<UpdatePolicy>;

/// Why a write was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Conflict,
    Gone,
}

/// An annotation, and the record that was read from it.
type ReadRecord = (Option<String>, Option<DisruptionRecord>);

/// Everything that is stored, and the time.
pub(crate) struct World {
    /// Seconds since the beginning, which no clock jump touches.
    pub(crate) time: u64,
    /// How far the wall clocks are off.
    pub(crate) jump: i64,
    /// The faults have stopped.
    pub(crate) calm: bool,
    pub(crate) random: fastrand::Rng,
    pub(crate) nodes: Table<Node>,
    pub(crate) shadows: Table<StoredShadow>,
    pub(crate) policies: Table<StoredPolicy>,
    /// What the policies said, entry for entry of their log.
    pub(crate) specs: Vec<(String, Option<Value>)>,
    /// Nodes whose agent's pod is Ready.
    pub(crate) agents: Table<()>,
    /// Per node, how far the logs of nodes and agents had come when something from outside last changed what it counts for.
    pub(crate) flips: BTreeMap<String, (usize, usize)>,
    /// Nodes that somebody else has cordoned.
    pub(crate) cordoned: BTreeSet<String>,
    /// The approval under which each node was drained to the end last.
    pub(crate) drained: BTreeMap<String, ApprovalId>,
    parsed: RefCell<BTreeMap<String, Rc<Shadow>>>,
    record: RefCell<BTreeMap<String, ReadRecord>>,
    version: u64,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            time: 0,
            jump: 0,
            calm: false,
            random: fastrand::Rng::with_seed(seed),
            nodes: Table::new(),
            shadows: Table::new(),
            policies: Table::new(),
            specs: Vec::new(),
            agents: Table::new(),
            flips: BTreeMap::new(),
            cordoned: BTreeSet::new(),
            drained: BTreeMap::new(),
            parsed: RefCell::default(),
            record: RefCell::default(),
            version: 0,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        let seconds = i64::try_from(self.time).unwrap() + self.jump;
        "2026-11-22T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
    }

    pub(crate) fn chance(&mut self, percent: u32) -> bool {
        self.random.u32(..100) < percent
    }

    fn next_version(&mut self) -> String {
        self.version += 1;
        self.version.to_string()
    }

    pub(crate) fn put_policy(&mut self, name: &str, spec: &Value) {
        let version = self.next_version();
        let policy = json!({
            "apiVersion": "brupop.bottlerocket.aws/v1alpha1", "kind": "UpdatePolicy", "spec": spec,
            "metadata": {"name": name, "uid": format!("{name}-{version}"), "generation": 1, "resourceVersion": version},
        });
        self.policies.put(name, serde_json::from_value(policy).unwrap());
        self.specs.push((name.to_owned(), Some(spec.clone())));
    }

    pub(crate) fn remove_policy(&mut self, name: &str) {
        if self.policies.rows.contains_key(name) {
            self.policies.remove(name);
            self.specs.push((name.to_owned(), None));
        }
    }

    pub(crate) fn put_node(&mut self, name: &str, pool: &str) {
        let uid = format!("{name}-{}", self.version);
        let zone = if name.ends_with(['0', '2', '5']) { "one" } else { "two" };
        let node = json!({
            "metadata": {
                "name": name, "uid": uid, "annotations": {},
                "labels": {"pool": pool, "zone": zone, names::UPDATER_INTERFACE_LABEL: names::UPDATER_INTERFACE_VERSION},
            },
            "spec": {},
            "status": {
                "conditions": [{"type": "Ready", "status": "True"}],
                "nodeInfo": {
                    "bootID": "boot-0", "architecture": "", "containerRuntimeVersion": "", "kernelVersion": "",
                    "kubeProxyVersion": "", "kubeletVersion": "", "machineID": "", "operatingSystem": "", "osImage": "",
                    "systemUUID": "",
                },
            },
        });
        let mut node: Node = serde_json::from_value(node).unwrap();
        node.metadata.resource_version = Some(self.next_version());
        self.nodes.put(name, node);
    }

    /// Writes a Node that is there.
    pub(crate) fn edit_node(&mut self, name: &str, edit: impl FnOnce(&mut Node)) {
        let Some(mut node) = self.nodes.rows.get(name).map(|node| (**node).clone()) else { return };
        edit(&mut node);
        node.metadata.resource_version = Some(self.next_version());
        self.nodes.put(name, node);
    }

    pub(crate) fn set_record(&mut self, name: &str, record: Option<&DisruptionRecord>, unschedulable: bool) {
        self.edit_node(name, |node| {
            let annotations = node.metadata.annotations.get_or_insert_default();
            match record {
                Some(record) => annotations.insert(names::DISRUPTION_RECORD_ANNOTATION.to_owned(), record.encode()),
                None => annotations.remove(names::DISRUPTION_RECORD_ANNOTATION),
            };
            node.spec.get_or_insert_default().unschedulable = Some(unschedulable);
        });
    }

    /// The Node's record, parsed once for each version of it.
    pub(crate) fn record(&self, name: &str) -> Option<DisruptionRecord> {
        let node = self.nodes.rows.get(name)?;
        let mut parsed = self.record.borrow_mut();
        let known = parsed.get(name).filter(|(version, _)| *version == node.metadata.resource_version);
        if let Some((_, record)) = known {
            return record.clone();
        }
        let record = DisruptionRecord::decode(node.metadata.annotations.as_ref()).unwrap();
        parsed.insert(name.to_owned(), (node.metadata.resource_version.clone(), record.clone()));
        record
    }

    pub(crate) fn is_unschedulable(&self, name: &str) -> bool {
        let spec = self.nodes.rows.get(name).and_then(|node| node.spec.as_ref());
        spec.and_then(|spec| spec.unschedulable).unwrap_or(false)
    }

    pub(crate) fn is_managed(&self, name: &str) -> bool {
        self.nodes.rows.get(name).is_some_and(|node| node.labels().contains_key(names::UPDATER_INTERFACE_LABEL))
    }

    pub(crate) fn set_agent_ready(&mut self, name: &str, ready: bool) {
        match (self.agents.rows.contains_key(name), ready) {
            (false, true) => self.agents.put(name, ()),
            (true, false) => self.agents.remove(name),
            _ => return,
        }
        self.flipped(name);
    }

    /// Notes that something from outside has changed what a node counts for.
    pub(crate) fn flipped(&mut self, name: &str) {
        self.flips.insert(name.to_owned(), (self.nodes.log.len(), self.agents.log.len()));
    }

    /// The shadow, parsed; once for each version of it.
    pub(crate) fn shadow(&self, node: &str) -> Option<Rc<Shadow>> {
        let raw = self.raw_shadow(node)?;
        let mut parsed = self.parsed.borrow_mut();
        let known = parsed.get(node).filter(|known| raw.resource_version().as_ref() == Some(&known.resource_version));
        if let Some(known) = known {
            return Some(known.clone());
        }
        let shadow = Rc::new(Shadow::try_from(raw).unwrap());
        parsed.insert(node.to_owned(), shadow.clone());
        Some(shadow)
    }

    pub(crate) fn raw_shadow(&self, node: &str) -> Option<&BottlerocketShadow> {
        self.shadows.rows.get(&names::shadow_name(node)).map(|raw| raw.0.as_ref().unwrap())
    }

    pub(crate) fn put_shadow(&mut self, node: &str, mut shadow: BottlerocketShadow) -> BottlerocketShadow {
        shadow.metadata.resource_version = Some(self.next_version());
        self.shadows.put(&names::shadow_name(node), DeserializeGuard(Ok(shadow.clone())));
        shadow
    }

    /// The controller's clock of the boot and its verdict, if the shadow is as it was when they were decided.
    pub(crate) fn say(&mut self, said: ShadowStatus, clock: Option<Condition>) -> Option<BottlerocketShadow> {
        let mut shadow = self.raw_shadow(&said.node).cloned()?;
        let known = (shadow.uid()?, shadow.resource_version()?);
        let status = shadow.status.as_mut().filter(|_| known == (said.uid, said.resource_version))?;
        status.conditions = Some(clock.into_iter().collect());
        status.failed = said.failed;
        Some(self.put_shadow(&said.node, shadow))
    }

    /// What a policy's status knows of versions.
    pub(crate) fn know(&mut self, policy: &str, uid: &str, versions: Vec<VersionSeen>, under: Vec<PromotionStep>) {
        let Some(stored) = self.policies.rows.get(policy) else { return };
        let mut stored = stored.0.as_ref().unwrap().clone();
        if stored.metadata.uid.as_deref() == Some(uid) {
            let status = stored.status.get_or_insert_default();
            (status.versions, status.promoted_under) = (versions, under);
            stored.metadata.resource_version = Some(self.next_version());
            self.policies.put(policy, DeserializeGuard(Ok(stored)));
            let spec = self.specs.iter().rev().find(|(name, _)| name == policy).cloned();
            self.specs.extend(spec);
        }
    }

    /// The controller's write, with its preconditions: that of `action`, or the approval reinstated on top of it.
    pub(crate) fn desired(
        &mut self,
        action: &Action,
        reinstated_on: Option<&str>,
    ) -> Result<BottlerocketShadow, Refused> {
        let mut shadow = self.raw_shadow(&action.node).cloned().ok_or(Refused::Gone)?;
        let version = reinstated_on.unwrap_or(&action.resource_version);
        if shadow.uid().as_ref() != Some(&action.uid) || shadow.resource_version().as_deref() != Some(version) {
            return Err(Refused::Conflict);
        }
        if action.verb == Verb::Delete {
            self.shadows.remove(&action.shadow);
            return Ok(shadow);
        }
        shadow.spec = stored(if reinstated_on.is_some() { &action.before } else { &action.desired });
        Ok(self.put_shadow(&action.node, shadow))
    }
}
