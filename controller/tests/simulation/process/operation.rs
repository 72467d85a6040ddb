//! A write under way, with everything that can become of it.

use api::BottlerocketShadow;
use controller::action::{Action, Verb, stored};
use controller::own_writes::Outcome;
use kube::ResourceExt as _;

use super::{Seen, WRITE_DEADLINE};
use crate::observer::Observer;
use crate::world::{Refused, World};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Write,
    ReadNode,
    Reinstate,
}

/// A write under way, with the read and the second write that may follow it.
pub(crate) struct Operation {
    pub(super) action: Action,
    seen: Seen,
    stage: Stage,
    /// When it takes effect, if it does and has not yet.
    pub(super) lands: Option<u64>,
    pub(super) sent: u64,
    answers: u64,
    answer_is_lost: bool,
    result: Result<BottlerocketShadow, Refused>,
    written: Option<BottlerocketShadow>,
    /// The approval was refused once when it was to be reinstated.
    refused: bool,
}

impl Operation {
    pub(super) fn new(action: Action, seen: Seen, world: &mut World) -> Self {
        let result = Err(Refused::Conflict);
        let mut new = Self {
            action,
            seen,
            stage: Stage::Write,
            lands: None,
            sent: 0,
            answers: 0,
            answer_is_lost: false,
            result,
            written: None,
            refused: false,
        };
        new.send(world);
        new
    }

    fn send(&mut self, world: &mut World) {
        let lost = !world.calm && world.chance(8);
        let takes = if lost || world.chance(10) { world.random.u64(..=WRITE_DEADLINE) } else { world.random.u64(..2) };
        self.lands = (!lost || world.chance(50)).then_some(world.time + takes);
        self.sent = world.time;
        // An error may be answered before the write takes effect.
        let early = lost && world.chance(30);
        self.answers = world.time
            + if early {
                0
            } else if lost {
                WRITE_DEADLINE
            } else {
                takes
            };
        self.answer_is_lost = lost;
    }

    /// Takes effect if it is time. A second copy of a request changes nothing: its precondition does not hold any more.
    pub(crate) fn land(&mut self, world: &mut World, observer: &mut Observer) -> bool {
        if self.lands.is_none_or(|lands| lands > world.time) {
            return false;
        }
        self.lands = None;
        if self.stage == Stage::ReadNode {
            return true;
        }
        let on = (self.stage == Stage::Reinstate).then(|| self.written.as_ref().unwrap().resource_version().unwrap());
        self.result = world.desired(&self.action, on.as_deref());
        if self.result.is_ok() && self.stage == Stage::Write {
            observer.wrote(world, &self.action, self.seen);
        }
        if world.chance(5) {
            assert!(world.desired(&self.action, on.as_deref()).is_err(), "a doubled write takes effect twice");
        }
        true
    }

    /// What became of it, once that is as known as it will ever be.
    pub(super) fn finish(&mut self, world: &mut World) -> Option<Option<Outcome>> {
        if self.answers > world.time {
            return None;
        }
        match self.stage {
            _ if self.answer_is_lost => Some(Some(self.unknown())),
            Stage::Write => match self.result.clone() {
                Err(Refused::Conflict) => Some(None),
                Err(Refused::Gone) => Some(Some(Outcome::Gone)),
                Ok(_) if self.action.verb == Verb::Delete => Some(Some(Outcome::Gone)),
                Ok(stored) if self.action.withdraws_an_approval() => {
                    self.written = Some(stored);
                    self.stage = Stage::ReadNode;
                    self.send(world);
                    None
                }
                Ok(stored) => Some(Some(Outcome::Stored(Box::new(stored)))),
            },
            Stage::ReadNode => {
                let written = self.written.clone().unwrap();
                let node = world.nodes.rows.get(&self.action.node);
                if node.is_some_and(|node| self.action.came_too_late(node)) {
                    self.stage = Stage::Reinstate;
                    self.send(world);
                    return None;
                }
                Some(Some(Outcome::Stored(Box::new(written))))
            }
            Stage::Reinstate => match self.result.clone() {
                Ok(stored) => Some(Some(Outcome::Stored(Box::new(stored)))),
                Err(Refused::Gone) => Some(Some(Outcome::Gone)),
                Err(Refused::Conflict) if self.refused => Some(Some(self.unknown())),
                Err(Refused::Conflict) => match withdrawn(&self.action, world) {
                    Ok(found) => {
                        self.refused = true;
                        self.written = Some(found);
                        self.send(world);
                        None
                    }
                    Err(settled) => Some(Some(settled)),
                },
            },
        }
    }

    fn unknown(&self) -> Outcome {
        Outcome::Unknown(Box::new(self.action.clone()))
    }
}

/// The shadow as it is stored, if it still asks for what `action` wrote when it withdrew an approval; else what that means.
fn withdrawn(action: &Action, world: &World) -> Result<BottlerocketShadow, Outcome> {
    let Some(found) = world.shadows.rows.get(&action.shadow) else { return Err(Outcome::Gone) };
    let found = found.0.as_ref().unwrap().clone();
    let same = found.uid().as_ref() == Some(&action.uid) && found.spec == stored(&action.desired);
    if same && action.withdraws_an_approval() { Ok(found) } else { Err(Outcome::Stored(Box::new(found))) }
}

/// What became of a write whose answer was lost. An approval that was withdrawn too late is reinstated.
pub(super) fn settled(action: &Action, world: &mut World) -> Outcome {
    let found = match withdrawn(action, world) {
        Ok(found) => found,
        Err(settled) => return settled,
    };
    let too_late = world.nodes.rows.get(&action.node).is_some_and(|node| action.came_too_late(node));
    let version = found.resource_version().filter(|_| too_late);
    let reinstated = version.map(|version| world.desired(action, Some(&version)).unwrap());
    Outcome::Stored(Box::new(reinstated.unwrap_or(found)))
}
