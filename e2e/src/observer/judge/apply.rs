//! One event: judged, remembered and taken over.

use api::{Shadow, State};

use super::{
    BudgetFacts, Change, Desired, HostChange, Judge, Memory, NodeFacts, PodFacts, PolicyFacts, Seen, ShadowFacts,
    Timestamp, beginning, budgets, limits, pods, reboots, restore, timeline, versions, written,
};

impl Judge {
    pub(super) fn apply(&mut self, seen: Seen) {
        match seen {
            Seen::Node(Change::Applied(node)) => self.node(node),
            Seen::Node(Change::Deleted(node)) => self.node_gone(&node),
            Seen::Shadow(Change::Applied(shadow)) => self.shadow(&shadow),
            Seen::Shadow(Change::Deleted(shadow)) => self.shadow_gone(&shadow),
            Seen::Policy(Change::Applied(policy)) => self.policy(&policy),
            Seen::Policy(Change::Deleted(policy)) => self.cluster.views.remove(self.now, &policy.name),
            Seen::Pod(Change::Applied(pod)) => self.pod(pod, false),
            Seen::Pod(Change::Deleted(pod)) => self.pod(pod, true),
            Seen::Budget(Change::Applied(budget)) => self.put_budget(budget),
            Seen::Budget(Change::Deleted(budget)) => self.budget_gone(&budget),
        }
    }

    fn node(&mut self, after: NodeFacts) {
        let name = after.name.clone();
        let before = self.cluster.nodes.get(&name).map(|record| &record.facts).filter(|old| old.uid == after.uid);
        let managers = before.map(|before| before.managers.as_slice()).unwrap_or_default();
        self.writes.note(self.now, ("node", &name, after.version), managers, &after.managers);
        if let Some(before) = before.cloned() {
            let owned = self.cluster.shadow_of(&after).is_some();
            let memory = self.memories.entry(name.clone()).or_default();
            restore::remember(memory, &before, &after);
            let mut found = beginning::judge(self.now, self.listed, memory, owned, (&before, &after));
            found.extend(restore::judge(self.now, memory, owned, &before, &after));
            self.found(found);
            self.tell(&name, timeline::node_changes(&before, &after));
        }
        self.cluster.put_node(self.now, after);
        self.count(&name);
    }

    fn node_gone(&mut self, node: &NodeFacts) {
        self.cluster.remove_node(self.now, &node.name);
        self.memories.entry(node.name.clone()).or_default().forget_node();
        self.tell(&node.name, ["Node deleted".to_owned()]);
        self.count(&node.name);
    }

    fn shadow(&mut self, after: &ShadowFacts) {
        let name = after.node.clone();
        let before = self.cluster.shadows.insert(name.clone(), after.clone());
        let managers = before.as_ref().map(|before| before.managers.as_slice()).unwrap_or_default();
        self.writes.note(self.now, ("shadow", &after.name, after.version), managers, &after.managers);
        let before = match before.map(|before| before.shadow) {
            None => None,
            Some(Ok(before)) => Some(before),
            // What cannot be compared cannot be judged.
            Some(Err(_)) => after.shadow.as_ref().ok().cloned(),
        };
        self.cluster.note_run(written(&after.managers, self.now), &name);
        if let Some(shadow) = after.readable() {
            self.tell(&name, timeline::shadow_changes(before.as_deref(), shadow));
            self.desired(before.as_deref(), after, shadow);
        }
        self.count(&name);
    }

    fn desired(&mut self, before: Option<&Shadow>, written: &ShadowFacts, after: &Shadow) {
        let idle = Desired::default();
        let before = before.map_or(&idle, |before| &before.desired);
        let forgotten = Memory::default();
        let memory = self.memories.get(&written.node).unwrap_or(&forgotten);
        let found = limits::judge(self.now, &self.cluster, memory, (before, written));
        self.found(found);
        self.remember_spec(&written.node, Some(&after.desired));
    }

    fn shadow_gone(&mut self, shadow: &ShadowFacts) {
        self.cluster.shadows.remove(&shadow.node);
        self.cluster.runs.remove(&shadow.node);
        self.remember_spec(&shadow.node, Some(&Desired { state: State::Idle, ..Desired::default() }));
        self.tell(&shadow.node, ["shadow deleted".to_owned()]);
        self.count(&shadow.node);
    }

    fn policy(&mut self, after: &PolicyFacts) {
        let before = self.cluster.views.now().and_then(|view| view.policies.get(&after.name));
        let managers = before.map(|before| before.managers.as_slice()).unwrap_or_default();
        self.writes.note(self.now, ("policy", &after.name, after.version), managers, &after.managers);
        let before = before.cloned();
        self.cluster.views.put(self.now, after.clone());
        let found = versions::claims(self.now, &self.cluster, before.as_ref(), after);
        self.found(found);
    }

    fn pod(&mut self, after: PodFacts, gone: bool) {
        if let Some(before) = self.cluster.pods.get(&after.uid).map(|record| &record.facts) {
            let node = pods::drained_from(&self.cluster, before, &after, gone);
            if let Some(node) = node.map(|node| node.name.clone()) {
                let drained = self.cluster.nodes.get(&node).map(|record| &record.facts);
                let found = drained.and_then(|node| budgets::judge(self.now, &self.cluster, node, (before, &after)));
                self.found(found);
                *self.report.evictions.entry(node.clone()).or_default() += 1;
                self.tell(&node, [format!("pod {} leaves", after.path())]);
            }
        }
        let agent = after.node.clone().filter(|_| after.is_agent());
        if gone {
            self.cluster.remove_pod(self.now, &after);
        } else {
            self.cluster.put_pod(self.now, after);
        }
        if let Some(node) = agent {
            self.count(&node);
        }
    }

    fn budget_gone(&mut self, budget: &BudgetFacts) {
        self.cluster.budgets.remove(&format!("{}/{}", budget.namespace, budget.name));
    }

    pub(super) fn host(&mut self, at: Timestamp, node: &str, change: HostChange) {
        let memory = self.memories.entry(node.to_owned()).or_default();
        let what = match &change {
            HostChange::Down { approved: true } => "host rebooted by its agent".to_owned(),
            HostChange::Down { approved: false } => "host down by somebody else".to_owned(),
            HostChange::Up { version } => format!("host up in {version}"),
        };
        let found = match change {
            HostChange::Down { approved: true } => {
                *self.report.reboots.entry(node.to_owned()).or_default() += 1;
                reboots::down(at, &self.cluster, memory, node, &self.namespace)
            }
            HostChange::Down { approved: false } => {
                memory.down = None;
                Vec::new()
            }
            HostChange::Up { version } => {
                let from = self.running.insert(node.to_owned(), version.clone());
                reboots::up(at, memory, node, from.as_ref(), &version).into_iter().collect()
            }
        };
        self.found(found);
        timeline::add(&mut self.report.timeline, at, node, [what]);
    }
}
