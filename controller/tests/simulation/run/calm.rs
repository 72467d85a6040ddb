//! The end of the faults.

use api::names;
use api::shadow::FailureKind;
use semver::Version;

use super::Course;
use super::faults::annotate;
use crate::host::set_ready;

impl Course {
    /// The faults stop, and what stands in a node's way is taken away; but some cordons stay.
    pub(super) fn calm(&mut self) {
        self.world.calm = true;
        for at in 0..self.hosts.len() {
            let name = self.hosts[at].name.clone();
            self.hosts[at].failing = 0;
            self.label(&name, true);
            annotate(&mut self.world, &name, names::HOLD_ANNOTATION, None);
            self.observer.hold(&self.world, &name, false);
            let failed = self.failed_on(&name).unwrap_or_else(|| self.hosts[at].offered.clone()).to_string();
            annotate(&mut self.world, &name, names::FAILURE_ACKNOWLEDGED_ANNOTATION, Some(&failed));
            if !self.hosts[at].is_down() {
                set_ready(&mut self.world, &name, true);
                self.world.set_agent_ready(&name, true);
            }
            // An original agent has activated by the time it has staged: its node keeps its place and waits behind a cordon.
            let lifted = self.hosts[at].original || self.world.chance(50);
            if lifted && self.world.cordoned.remove(&name) {
                self.world.edit_node(&name, |node| node.spec.as_mut().unwrap().unschedulable = Some(false));
            }
        }
    }

    /// The version that a node has failed on, as far as anybody knows.
    fn failed_on(&self, name: &str) -> Option<Version> {
        let report = self.world.shadow(name)?.observed.clone()?;
        let fallback = report.failure.filter(|failure| failure.kind == FailureKind::Fallback);
        report.failed.map(|failed| failed.version).or_else(|| fallback.map(|failure| failure.version))
    }
}
