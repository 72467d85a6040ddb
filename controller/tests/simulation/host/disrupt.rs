//! What the apiserver does when an agent asks for a disruption.

use api::{
    ApprovalId, DisruptionRecord, Shadow,
    shadow::{Desired, FailureKind},
};

use super::{Call, Flaw, Host};
use crate::{observer::Observer, world::World};

impl Host {
    /// Cordon and drain, as the apiserver does it: the mark first, then the shadow is read, and only then is it cordoned.
    pub(super) fn disrupt(
        &mut self,
        world: &mut World,
        seen: &Shadow,
        approval: ApprovalId,
        observer: &mut Observer,
    ) -> bool {
        let now = world.now();
        let desired = world.shadow(&self.name).map(|shadow| shadow.desired.clone()).unwrap_or_default();
        let record = world.record(&self.name);
        let cordoned = world.is_unschedulable(&self.name);
        let here = desired.approval().as_ref() == Some(&approval);
        match self.call.clone() {
            Call::None => {
                let ours = record.as_ref().is_some_and(|record| record.approval == approval);
                if !here || (!ours && !self.in_time(&desired, now)) || (cordoned && record.is_none()) {
                    return false;
                }
                let first = DisruptionRecord::first(approval.clone(), now, false, None);
                if !ours {
                    let record = record.map_or(first, |record| DisruptionRecord {
                        approval: approval.clone(),
                        drain_began: None,
                        ..record
                    });
                    world.set_record(&self.name, Some(&record), cordoned);
                    // The apiserver may be killed here and leave its mark.
                    self.call = if world.chance(5) { Call::None } else { Call::Marked(approval) };
                    return true;
                }
                self.call = Call::Marked(approval);
                true
            }
            Call::Marked(called) => {
                let Some(record) = record.filter(|record| record.approval == called) else {
                    self.call = Call::None;
                    return true;
                };
                if called != approval || !here || (!record.cordoned && !self.in_time(&desired, now)) {
                    self.call = Call::None;
                    if !record.cordoned {
                        world.set_record(&self.name, None, cordoned);
                    }
                    return true;
                }
                if !record.cordoned {
                    observer.disrupts(world, &self.name, &desired);
                }
                let record = DisruptionRecord { cordoned: true, drain_began: Some(now), ..record };
                world.set_record(&self.name, Some(&record), true);
                if self.flaw == Flaw::Impatient {
                    self.drained = Some(approval.clone());
                }
                self.call = Call::Draining(approval, world.time + world.random.u64(5..300));
                true
            }
            Call::Draining(called, until) => {
                let goes_on = called == approval && here && record.is_some_and(|record| record.approval == approval);
                if !goes_on {
                    self.call = Call::None;
                } else if !cordoned || (until <= world.time && !self.original && world.chance(self.failing)) {
                    self.call = Call::None;
                    return self.fail(world, seen, FailureKind::Drain);
                } else if until <= world.time {
                    self.call = Call::None;
                    world.drained.insert(self.name.clone(), approval.clone());
                    self.drained = Some(approval);
                }
                true
            }
        }
    }
    /// Whether enough is left of the go to begin.
    fn in_time(&self, desired: &Desired, now: jiff::Timestamp) -> bool {
        let left = desired.disrupt_not_after.map(|expiry| expiry.duration_since(now).as_secs());
        left.is_some_and(|left| left >= 5 || self.flaw == Flaw::Late)
    }
}
