//! What the apiserver does when an agent asks for a disruption.

use api::shadow::{Desired, FailureKind};
use api::{ApprovalId, DisruptionRecord, Shadow};

use super::{Call, Flaw, Host};
use crate::observer::Observer;
use crate::world::World;

impl Host {
    /// Cordon and drain, as the apiserver does it: the record first, then the shadow is read, and only then is the Node cordoned.
    pub(super) fn disrupt(
        &mut self,
        world: &mut World,
        seen: &Shadow,
        approval: ApprovalId,
        observer: &mut Observer,
    ) -> bool {
        let desired = world.shadow(&self.name).map(|shadow| shadow.desired.clone()).unwrap_or_default();
        let here = desired.approval().as_ref() == Some(&approval);
        match std::mem::replace(&mut self.call, Call::None) {
            Call::None => here && self.record(world, &desired, approval),
            Call::Recorded(called) => {
                let record = world.record(&self.name).filter(|record| record.approval == called);
                if let Some(record) = record {
                    let approved = here && called == approval;
                    self.cordon(world, &desired, (approval, approved), record, observer);
                }
                true
            }
            Call::Draining(called, until) => {
                let record = world.record(&self.name);
                let goes_on = called == approval && here && record.is_some_and(|record| record.approval == approval);
                if !goes_on {
                    return true;
                }
                self.drain(world, seen, approval, until)
            }
        }
    }

    /// Writes the record, unless the approval ends too soon or the Node was cordoned by somebody else.
    fn record(&mut self, world: &mut World, desired: &Desired, approval: ApprovalId) -> bool {
        let record = world.record(&self.name);
        let cordoned = world.is_unschedulable(&self.name);
        if record.as_ref().is_some_and(|record| record.approval == approval) {
            self.call = Call::Recorded(approval);
            return true;
        }
        if !self.in_time(world, desired) || (cordoned && record.is_none()) {
            return false;
        }
        let record = match record {
            Some(earlier) => DisruptionRecord { approval: approval.clone(), drain_began: None, ..earlier },
            None => DisruptionRecord::first(approval.clone(), world.now(), false, None),
        };
        world.set_record(&self.name, Some(&record), cordoned);
        // The apiserver may be killed here and leave its record.
        self.call = if world.chance(5) { Call::None } else { Call::Recorded(approval) };
        true
    }

    /// Cordons the Node and begins to drain it, if the approval is still there; else removes a record under which nothing was done.
    fn cordon(
        &mut self,
        world: &mut World,
        desired: &Desired,
        (approval, approved): (ApprovalId, bool),
        record: DisruptionRecord,
        observer: &mut Observer,
    ) {
        if !approved || (!record.cordoned && !self.in_time(world, desired)) {
            if !record.cordoned {
                world.set_record(&self.name, None, world.is_unschedulable(&self.name));
            }
            return;
        }
        if !record.cordoned {
            observer.disrupts(world, &self.name, desired);
        }
        let record = DisruptionRecord { cordoned: true, drain_began: Some(world.now()), ..record };
        world.set_record(&self.name, Some(&record), true);
        if self.flaw == Flaw::Impatient {
            self.drained = Some(approval.clone());
        }
        self.call = Call::Draining(approval, world.time + world.random.u64(5..300));
    }

    /// Goes on with the drain, which may fail and ends at `until`.
    fn drain(&mut self, world: &mut World, seen: &Shadow, approval: ApprovalId, until: u64) -> bool {
        let over = until <= world.time;
        let cordoned = world.is_unschedulable(&self.name);
        if !cordoned || (over && !self.original && world.chance(self.failing)) {
            return self.fail(world, seen, FailureKind::Drain);
        }
        if over {
            world.drained.insert(self.name.clone(), approval.clone());
            self.drained = Some(approval);
        } else {
            self.call = Call::Draining(approval, until);
        }
        true
    }

    /// Whether enough is left of the approval to begin.
    fn in_time(&self, world: &World, desired: &Desired) -> bool {
        let left = desired.disrupt_not_after.map(|expiry| expiry.duration_since(world.now()).as_secs());
        left.is_some_and(|left| left >= 5 || self.flaw == Flaw::Late)
    }
}
