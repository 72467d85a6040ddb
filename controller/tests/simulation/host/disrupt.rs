//! What the apiserver does when an agent asks for a disruption.

use api::{
    GoId, Marks, Shadow,
    shadow::{FailureKind, Order},
};

use super::{Call, Flaw, Host};
use crate::{observer::Observer, world::World};

impl Host {
    /// Cordon and drain, as the apiserver does it: the mark first, then the shadow is read, and only then is it cordoned.
    pub(super) fn disrupt(&mut self, world: &mut World, seen: &Shadow, go: GoId, observer: &mut Observer) -> bool {
        let now = world.now();
        let order = world.shadow(&self.name).map(|shadow| shadow.order.clone()).unwrap_or_default();
        let marks = world.marks(&self.name);
        let cordoned = world.is_unschedulable(&self.name);
        let here = order.go().as_ref() == Some(&go);
        match self.call.clone() {
            Call::None => {
                let ours = marks.as_ref().is_some_and(|marks| marks.go == go);
                if !here || (!ours && !self.in_time(&order, now)) || (cordoned && marks.is_none()) {
                    return false;
                }
                let first = Marks::first(go.clone(), now, false, None);
                if !ours {
                    let marks = marks.map_or(first, |marks| Marks { go: go.clone(), drain_began: None, ..marks });
                    world.set_marks(&self.name, Some(&marks), cordoned);
                    // The apiserver may be killed here and leave its mark.
                    self.call = if world.chance(5) { Call::None } else { Call::Marked(go) };
                    return true;
                }
                self.call = Call::Marked(go);
                true
            }
            Call::Marked(called) => {
                let Some(marks) = marks.filter(|marks| marks.go == called) else {
                    self.call = Call::None;
                    return true;
                };
                if called != go || !here || (!marks.cordoned && !self.in_time(&order, now)) {
                    self.call = Call::None;
                    if !marks.cordoned {
                        world.set_marks(&self.name, None, cordoned);
                    }
                    return true;
                }
                if !marks.cordoned {
                    observer.disrupts(world, &self.name, &order);
                }
                let marks = Marks { cordoned: true, drain_began: Some(now), ..marks };
                world.set_marks(&self.name, Some(&marks), true);
                if self.flaw == Flaw::Impatient {
                    self.drained = Some(go.clone());
                }
                self.call = Call::Draining(go, world.time + world.random.u64(5..300));
                true
            }
            Call::Draining(called, until) => {
                let goes_on = called == go && here && marks.is_some_and(|marks| marks.go == go);
                if !goes_on {
                    self.call = Call::None;
                } else if !cordoned || (until <= world.time && !self.original && world.chance(self.failing)) {
                    self.call = Call::None;
                    return self.fail(world, seen, FailureKind::Drain);
                } else if until <= world.time {
                    self.call = Call::None;
                    world.drained.insert(self.name.clone(), go.clone());
                    self.drained = Some(go);
                }
                true
            }
        }
    }
    /// Whether enough is left of the go to begin.
    fn in_time(&self, order: &Order, now: jiff::Timestamp) -> bool {
        let left = order.disrupt_not_after.map(|expiry| expiry.duration_since(now).as_secs());
        left.is_some_and(|left| left >= 5 || self.flaw == Flaw::Late)
    }
}
