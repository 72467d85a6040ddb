//! The policies, and what people make of them.

use serde_json::{Value, json};

use super::{Course, POOLS};

impl Course {
    pub(super) fn random_spec(&mut self, pool: &str) -> Value {
        let random = &mut self.world.random;
        let limits = [json!(1), json!(1), json!(2), json!("40%"), json!("unlimited")];
        let unavailable = [json!(null), json!(null), json!(1), json!(2), json!("60%")];
        let drains = [json!(null), json!({"timeout": "10m"}), json!({"timeout": "1h", "onTimeout": "Force"})];
        let nights = json!({"windows": [{"start": "*/15 * * * *", "duration": "6m"}]});
        let schedules = [json!(null), nights];
        let first = json!({"after": [{"policy": POOLS[0], "soak": "2m"}]});
        let ranges = [json!(null), json!({"constraint": "<1.21"}), json!({"minimumAge": "5m"})];
        let versions = ranges.into_iter().chain((pool != POOLS[0]).then_some(first)).collect::<Vec<_>>();
        let gates = [json!(null), json!({"minReadySeconds": 20, "timeout": "3m"})];
        let halts = [json!(null), json!({"haltAfter": 2}), json!({"haltAfter": 3})];
        let mut spec = json!({
            "nodeSelector": {"matchLabels": {"pool": pool}},
            "priority": 0,
            "maxConcurrentUpdates": limits[random.usize(..limits.len())],
            "maxUnavailable": unavailable[random.usize(..unavailable.len())],
            "topologyKey": (random.u32(..100) < 30).then_some("zone"),
            "drain": drains[random.usize(..drains.len())],
            "schedule": schedules[random.usize(..schedules.len())],
            "versions": versions[random.usize(..versions.len())],
            "health": gates[random.usize(..gates.len())],
            "failures": halts[random.usize(..halts.len())],
            "paused": false,
        });
        if self.rules.plain {
            spec.as_object_mut()
                .unwrap()
                .retain(|field, _| !["schedule", "versions", "health", "failures"].contains(&field.as_str()));
            spec["failures"] = json!({"haltAfter": "100%"});
        }
        spec
    }

    pub(super) fn set_policy(&mut self, pool: &'static str, spec: Value) {
        self.world.put_policy(pool, &spec);
        if spec["paused"] == true {
            self.observer.paused_since.entry(pool.to_owned()).or_insert(self.world.time);
        } else {
            self.observer.paused_since.remove(pool);
        }
        self.specs.insert(pool, spec);
    }

    /// Somebody edits a policy: all of it, its nodes or its rank among the others alone; or deletes it.
    pub(super) fn edit_policy(&mut self) {
        let pool = POOLS[self.world.random.usize(..2)];
        if self.world.chance(15) {
            self.world.remove_policy(pool);
            self.observer.moved = self.world.time;
            return;
        }
        let mut spec = if self.world.chance(50) { self.random_spec(pool) } else { self.specs[pool].clone() };
        spec["paused"] = json!(self.world.chance(40));
        if self.world.chance(50) {
            spec["nodeSelector"] = self.random_selector(pool);
        }
        if self.world.chance(30) {
            spec["priority"] = json!(self.world.random.i32(-1..2));
        }
        let known = self.specs[pool].clone();
        let exists = self.world.policies.rows.contains_key(pool);
        if !exists || ["nodeSelector", "priority"].iter().any(|field| spec[*field] != known[*field]) {
            self.observer.moved = self.world.time;
        }
        self.set_policy(pool, spec);
    }

    fn random_selector(&mut self, pool: &str) -> Value {
        let other = if pool == POOLS[0] { POOLS[1] } else { POOLS[0] };
        let by = |operator: &str, key: &str, values: Option<Value>| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
        let selectors = [
            json!({"matchLabels": {"pool": pool}}),
            json!({"matchLabels": {"pool": pool, "zone": "one"}}),
            json!({"matchLabels": {"pool": other}}),
            json!({}),
            by("In", "pool", Some(json!([pool, other]))),
            by("NotIn", "pool", Some(json!([other]))),
            by("Exists", "zone", None),
            by("DoesNotExist", "pool", None),
        ];
        selectors[self.world.random.usize(..selectors.len())].clone()
    }

    /// The last edit, after which every node has one policy. Cordons that stay would leave no room under `maxUnavailable`: that
    /// is not what is waited for.
    pub(super) fn lift_what_holds(&mut self) {
        let layered = self.world.chance(30);
        for pool in POOLS {
            let mut spec = self.random_spec(pool);
            if layered && pool == POOLS[0] {
                spec["nodeSelector"] = json!({});
                spec["priority"] = json!(-1);
            }
            if !self.world.cordoned.is_empty() {
                spec["maxUnavailable"] = json!(null);
            }
            if self.world.chance(80) {
                // To wait for windows takes many turns.
                spec["schedule"] = json!(null);
            }
            // Of what holds a version only its age passes by itself.
            if spec["versions"]["minimumAge"].is_null() {
                spec["versions"] = json!(null);
            }
            self.set_policy(pool, spec);
        }
    }
}
