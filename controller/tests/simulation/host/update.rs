//! What an agent does for each state that it is asked for.

use api::shadow::{FailureKind, Observed, RebootIntent};
use api::{Shadow, State};

use super::node::restore;
use super::{Call, Flaw, Host};
use crate::observer::Observer;
use crate::world::World;

impl Host {
    pub(super) fn rest(&mut self, world: &mut World, seen: &Shadow, reported: State) -> bool {
        match reported {
            State::Idle => self.tell_what_it_runs(world, seen),
            State::MonitoringUpdate => self.report(world, seen, |status| status.current_state = State::Idle),
            _ => self.restore(world, seen, State::Idle),
        }
    }

    /// Reports what runs and what is offered, where that has changed.
    fn tell_what_it_runs(&self, world: &mut World, seen: &Shadow) -> bool {
        let told = |report: &Observed| report.target_version == self.offered && report.current_version == self.running;
        !seen.observed.as_ref().is_some_and(told) && self.report(world, seen, |_| {})
    }

    pub(super) fn restore(&mut self, world: &mut World, seen: &Shadow, end: State) -> bool {
        self.active = false;
        self.call = Call::None;
        self.drained = None;
        let asked = world.shadow(&self.name).map(|shadow| shadow.desired.state);
        if !matches!(asked, Some(State::Idle | State::MonitoringUpdate)) || world.chance(5) {
            return true;
        }
        if self.flaw == Flaw::Careless {
            world.set_record(&self.name, None, world.is_unschedulable(&self.name));
        } else {
            restore(world, &self.name);
        }
        self.report(world, seen, |status| {
            status.current_state = end;
            status.rebooting = None;
            if end == State::MonitoringUpdate {
                status.crash_count = 0;
                status.state_transition_failure_timestamp = None;
                status.failure = None;
            }
        })
    }

    pub(super) fn stage(&mut self, world: &mut World, seen: &Shadow, reported: State) -> bool {
        self.call = Call::None;
        // A node that failed its health gate may be started on a newer version.
        let fresh = reported == State::Idle || (reported == State::RebootedIntoUpdate && !self.original);
        if !fresh || Some(&self.running) == seen.desired.version.as_ref() {
            return self.tell_what_it_runs(world, seen);
        }
        if world.chance(self.failing) {
            return self.fail(world, seen, FailureKind::Stage);
        }
        self.image = seen.desired.version.clone();
        if self.flaw == Flaw::Astray {
            self.image = Some(self.offered.clone());
        }
        self.active = self.original;
        self.report(world, seen, |status| {
            status.current_state = State::StagedAndPerformedUpdate;
            status.rebooting = None;
        })
    }

    pub(super) fn approval(&mut self, world: &mut World, seen: &Shadow, observer: &mut Observer) -> bool {
        let report = seen.observed.as_ref().unwrap();
        let version = seen.desired.version.clone().unwrap();
        let reinstated = report.state == State::ErrorReset && self.running == version;
        if !reinstated
            && matches!(report.state, State::RebootedIntoUpdate | State::ErrorReset | State::MonitoringUpdate)
        {
            return false;
        }
        if self.running == version {
            return self.report(world, seen, |status| status.current_state = State::RebootedIntoUpdate);
        }
        if report.rebooting.as_ref().is_some_and(|intent| intent.boot_id != self.boot_id()) {
            return self.fail(world, seen, FailureKind::Fallback);
        }
        if self.image.as_ref() != Some(&version) && (self.flaw != Flaw::Astray || self.image.is_none()) {
            self.image = Some(version);
            self.active = self.original;
            return true;
        }
        let Some(approval) = seen.desired.approval() else { return false };
        if self.drained.as_ref() != Some(&approval) && self.flaw != Flaw::Reckless {
            return self.disrupt(world, seen, approval, observer);
        }
        if !self.active {
            self.active = true;
            return true;
        }
        let boot_id = self.boot_id();
        if !self.original && report.rebooting.is_none() {
            let intent = RebootIntent { version: version.to_string(), from_version: self.running.to_string(), boot_id };
            return self.report(world, seen, |status| status.rebooting = Some(intent));
        }
        // The drain is asked for once more, which answers at once while the approval and its record are there. Not so an original.
        let there = world.shadow(&self.name).is_some_and(|shadow| shadow.desired.approval() == Some(approval.clone()))
            && world.record(&self.name).is_some_and(|record| record.approval == approval && record.cordoned);
        if !self.original && self.flaw != Flaw::Reckless && !there {
            self.drained = None;
            return true;
        }
        observer.reboots(world, &self.name, self.image.as_ref().unwrap_or(&version));
        self.restart(world);
        true
    }
}
