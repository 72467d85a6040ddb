//! Whoever waits for a plan sees at which policy it is.

#![expect(clippy::unwrap_used, reason = "a test's own data")]

mod cluster;

use cluster::Cluster;
use controller::plan::plan;
use controller::snapshot::{Place, Snapshot, Step};

const CLUSTER: &str = r#"
now: "2026-11-22T03:00:00Z"
policies:
  default:
    nodeSelector: {}
    health: {checks: [{name: disk, node: {jsonPath: "$.status.conditions[?@.type=='DiskPressure'].status", expect: ["False"]}}]}
nodes:
  a: {boot_id: boot-2}
shadows:
  a:
    spec: {state: STATE, version: "1.20.0", policy: default, state_transition_timestamp: "2026-11-22T02:00:00Z"}
    status:
      {current_state: STATE, current_version: "1.20.0", target_version: "1.20.0", crash_count: 0, agent_version: "0.1.0",
       rebooting: {version: "1.20.0", from_version: "1.19.0", boot_id: boot-1}}
"#;

fn snapshot(state: &str) -> Snapshot {
    serde_saphyr::from_str::<Cluster>(&CLUSTER.replace("STATE", state)).unwrap().snapshot()
}

fn place(step: Step) -> Option<Place> {
    Some(Place { policy: "default".to_owned(), uid: "uid-default".to_owned(), generation: Some(1), step })
}

#[test]
fn the_text_of_a_policy_is_read_and_evaluated_where_one_can_see_it() {
    let snapshot = snapshot("Idle");
    assert_eq!(snapshot.progress.last(), place(Step::Read));
    let _ = plan(&snapshot);
    assert_eq!(snapshot.progress.last(), place(Step::Schedule));
    let snapshot = self::snapshot("RebootedIntoUpdate");
    let _ = plan(&snapshot);
    assert_eq!(snapshot.progress.last(), place(Step::Check("disk".to_owned())));
    assert_eq!(snapshot.progress.now(), None);
}
