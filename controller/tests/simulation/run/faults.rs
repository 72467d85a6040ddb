//! What people and machines do to a cluster, one thing in a turn at most.

use api::{State, names};
use semver::Version;

use super::{Course, POOLS};
use crate::host::{Host, set_ready};
use crate::process::Process;
use crate::world::World;

impl Course {
    pub(super) fn fault(&mut self) {
        if !self.world.chance(15) {
            return;
        }
        if self.rules.hasty && self.world.chance(50) {
            // What it does wrong it does in its first seconds.
            self.change_leader();
        }
        let at = self.world.random.usize(..self.hosts.len());
        let name = self.hosts[at].name.clone();
        let down = self.hosts[at].is_down();
        match self.world.random.u32(..18) {
            0 | 1 => self.change_leader(),
            2 | 3 | 14 => self.edit_policy(),
            4 if !down => set_ready(&mut self.world, &name, false),
            5 | 6 if !down => set_ready(&mut self.world, &name, true),
            7 if !down => {
                let ready = self.world.chance(60);
                self.world.set_agent_ready(&name, ready);
            }
            8 => {
                let held = self.world.chance(40);
                let hanging = self.hosts.iter().find(|host| held && host.hangs(&self.world));
                let name = hanging.map_or(name, |host| host.name.clone());
                annotate(&mut self.world, &name, names::HOLD_ANNOTATION, held.then_some("a test"));
                self.observer.hold(&self.world, &name, held);
            }
            9 => {
                let managed = self.world.chance(70);
                self.label(&name, managed);
            }
            10 if !down => self.hosts[at].restart(&mut self.world),
            11 => self.delete_node(at),
            12 => self.cordon(&name),
            13 => {
                self.world.jump += self.world.random.i64(-300..300);
                self.observer.jumped = Some(self.world.time);
            }
            15 => self.move_node(&name),
            16 => self.hang(at),
            17 => self.offer_a_newer_version(),
            _ => {}
        }
    }

    /// Every host is offered a newer version from now on.
    fn offer_a_newer_version(&mut self) {
        if self.rules.plain {
            return;
        }
        self.hosts.iter_mut().for_each(|host| host.offered = Version::new(1, 21, 0));
        self.observer.offered_since.get_or_insert(self.world.time);
    }

    /// An agent hangs: one that has an approval and has not used it, if there is any.
    fn hang(&mut self, at: usize) {
        let going = |host: &Host| {
            let shadow = self.world.shadow(&host.name);
            let going = shadow.is_some_and(|shadow| shadow.desired.state == State::RebootedIntoUpdate);
            going && self.world.record(&host.name).is_none()
        };
        let at = self.hosts.iter().position(going).unwrap_or(at);
        self.hosts[at].hang(&mut self.world);
    }

    /// Another controller leads; what the one before had under way takes effect late or never.
    fn change_leader(&mut self) {
        let idle = self.leader.under_way.is_empty() && self.leader.landing.is_empty();
        let orderly = idle && self.world.chance(50);
        if !orderly && !self.rules.hasty {
            // Until its lease has expired.
            for _ in 0..3 {
                self.late.append(&mut self.leader.under_way);
                self.late.append(&mut self.leader.landing);
                self.world.time += self.world.random.u64(1..5);
                for operation in &mut self.late {
                    operation.land(&mut self.world, &mut self.observer);
                }
            }
        }
        self.late.append(&mut self.leader.under_way);
        self.late.append(&mut self.leader.landing);
        self.leader = Process::start(&mut self.world, self.rules, orderly);
        self.observer.leads_since = self.world.time;
    }

    /// Somebody moves a node to the other pool.
    fn move_node(&mut self, name: &str) {
        self.observer.moved = self.world.time;
        self.world.edit_node(name, |node| {
            let pool = node.metadata.labels.as_mut().unwrap().get_mut("pool").unwrap();
            *pool = if pool == POOLS[0] { POOLS[1] } else { POOLS[0] }.to_owned();
        });
    }

    pub(super) fn label(&mut self, name: &str, managed: bool) {
        if managed == self.world.is_managed(name) {
            return;
        }
        self.world.edit_node(name, |node| {
            let labels = node.metadata.labels.as_mut().unwrap();
            if managed {
                labels.insert(names::UPDATER_INTERFACE_LABEL.into(), names::UPDATER_INTERFACE_VERSION.into());
            } else {
                labels.remove(names::UPDATER_INTERFACE_LABEL);
            }
        });
        self.world.flipped(name);
        self.world.set_agent_ready(name, managed);
    }

    /// The Node goes away, and a machine of the same name comes in its place.
    fn delete_node(&mut self, at: usize) {
        let name = self.hosts[at].name.clone();
        let pool = self.world.nodes.rows[&name].metadata.labels.as_ref().unwrap()["pool"].clone();
        self.world.nodes.remove(&name);
        self.observer.hold(&self.world, &name, false);
        self.world.cordoned.remove(&name);
        self.world.set_agent_ready(&name, false);
        self.world.put_node(&name, &pool);
        self.world.set_agent_ready(&name, true);
        self.world.flipped(&name);
        let gone = std::mem::replace(&mut self.hosts[at], Host::new(name, false));
        self.hosts[at].original = gone.original;
        self.hosts[at].offered = gone.offered;
        self.hosts[at].failing = gone.failing;
        self.hosts[at].flaw = gone.flaw;
    }

    /// Somebody cordons a node that nobody else is at.
    fn cordon(&mut self, name: &str) {
        if self.world.record(name).is_none() && !self.world.is_unschedulable(name) {
            self.world.set_record(name, None, true);
            self.world.cordoned.insert(name.to_owned());
        }
    }
}

pub(super) fn annotate(world: &mut World, name: &str, key: &str, value: Option<&str>) {
    world.edit_node(name, |node| {
        let annotations = node.metadata.annotations.get_or_insert_default();
        match value {
            Some(value) => annotations.insert(key.to_owned(), value.to_owned()),
            None => annotations.remove(key),
        };
    });
}
