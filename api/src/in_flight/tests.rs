use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::select;
use semver::Version;

use super::*;
use crate::ApprovalId;
use crate::shadow::{Desired, Failed, NodeRef};

const OLD: Version = Version::new(1, 19, 0);
const NEW: Version = Version::new(1, 20, 0);
const ASKED: Timestamp = Timestamp::UNIX_EPOCH;

/// Everything that is known of a node.
#[derive(Debug, Clone)]
struct Node {
    managed: bool,
    record: Result<Option<DisruptionRecord>, Unreadable>,
    shadow: Option<Result<Shadow, Unreadable>>,
    acknowledged: Option<Version>,
    agent_ready: bool,
    minutes: i64,
}

impl Node {
    /// A managed node with a living agent of ours, that is asked to be in one state and reports another.
    fn new(asked: State, reports: State) -> Self {
        let observed = Observed { agent_version: Some("0.1.0".to_owned()), ..Observed::new(reports, OLD, NEW) };
        let version = (asked != State::Idle).then_some(NEW);
        let shadow = Shadow {
            name: "brs-a".to_owned(),
            uid: "1".to_owned(),
            resource_version: "1".to_owned(),
            node: NodeRef { name: "a".to_owned(), uid: "2".to_owned() },
            desired: Desired { state: asked, version, since: Some(ASKED), ..Desired::default() },
            observed: Some(observed),
            recorded_pin: None,
            conditions: Vec::new(),
        };
        Self {
            managed: true,
            record: Ok(None),
            shadow: Some(Ok(shadow)),
            acknowledged: None,
            agent_ready: true,
            minutes: 0,
        }
    }

    fn observed(mut self, change: impl FnOnce(&mut Observed)) -> Self {
        if let Some(Ok(shadow)) = &mut self.shadow {
            change(shadow.observed.as_mut().unwrap());
        }
        self
    }

    fn original(self) -> Self {
        self.observed(|observed| observed.agent_version = None)
    }

    fn failed(self, kind: Verdict, version: Version) -> Self {
        self.observed(|observed| observed.failed = Some(Failed { kind, version, time: ASKED }))
    }

    fn recorded(self) -> Self {
        Self { record: Ok(Some(record())), ..self }
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            managed: self.managed,
            record: self.record.as_ref().map(Option::as_ref).map_err(|unreadable| *unreadable),
            shadow: self.shadow.as_ref().map(|shadow| shadow.as_ref().map_err(|unreadable| *unreadable)),
            failure_acknowledged: self.acknowledged.as_ref(),
            agent_ready: self.agent_ready,
            now: ASKED + SignedDuration::from_mins(self.minutes),
        }
    }

    /// Whether it is in flight, and whether it is disrupted.
    fn counts(&self) -> (bool, bool) {
        (self.facts().is_in_flight(), self.facts().is_disrupted())
    }
}

fn record() -> DisruptionRecord {
    DisruptionRecord::first(ApprovalId { version: NEW, since: ASKED }, ASKED, false, None)
}

const NEITHER: (bool, bool) = (false, false);
const IN_FLIGHT: (bool, bool) = (true, false);
const DISRUPTED: (bool, bool) = (true, true);

#[test]
fn a_node_is_in_flight_by_its_spec_its_status_or_its_record() {
    use State::{ErrorReset, Idle, MonitoringUpdate, RebootedIntoUpdate, StagedAndPerformedUpdate};
    for (asked, reports, expected) in [
        (Idle, Idle, NEITHER),
        (StagedAndPerformedUpdate, Idle, IN_FLIGHT),
        (StagedAndPerformedUpdate, StagedAndPerformedUpdate, IN_FLIGHT),
        (RebootedIntoUpdate, StagedAndPerformedUpdate, DISRUPTED),
        (MonitoringUpdate, MonitoringUpdate, IN_FLIGHT),
        (Idle, MonitoringUpdate, IN_FLIGHT),
        (Idle, ErrorReset, IN_FLIGHT),
    ] {
        let node = Node::new(asked, reports);
        assert_eq!(node.counts(), expected, "{asked:?} and {reports:?}");
        assert_eq!(node.recorded().counts(), DISRUPTED, "{asked:?} and {reports:?} with a record");
    }
}

#[test]
fn what_is_not_there_does_not_count_and_what_cannot_be_read_does() {
    let bare = Node { shadow: None, ..Node::new(State::Idle, State::Idle) };
    assert_eq!(bare.counts(), NEITHER);
    assert_eq!(bare.clone().recorded().counts(), DISRUPTED);
    assert_eq!(Node { record: Err(Unreadable), ..bare.clone() }.counts(), DISRUPTED);
    assert_eq!(Node { shadow: Some(Err(Unreadable)), ..bare }.counts(), DISRUPTED);
    let unreported = Node::new(State::Idle, State::Idle);
    let Some(Ok(shadow)) = unreported.shadow.clone() else { unreachable!() };
    assert_eq!(Node { shadow: Some(Ok(Shadow { observed: None, ..shadow })), ..unreported }.counts(), NEITHER);
}

#[test]
fn a_node_that_nobody_is_left_to_act_on_counts_by_its_record_alone() {
    let back = || Node::new(State::Idle, State::MonitoringUpdate);
    for left in [
        Node { agent_ready: false, ..back() },
        Node { managed: false, ..back() },
        Node { managed: false, ..Node::new(State::RebootedIntoUpdate, State::StagedAndPerformedUpdate) },
        Node { minutes: 30, ..back().original() },
    ] {
        assert_eq!(left.counts(), NEITHER, "{left:?}");
        assert_eq!(left.recorded().counts(), DISRUPTED);
    }
    let asked = Node { agent_ready: false, ..Node::new(State::StagedAndPerformedUpdate, State::Idle) };
    assert_eq!(asked.counts(), IN_FLIGHT);
}

#[test]
fn an_original_agent_is_silent_by_the_time_alone() {
    let original =
        |minutes| Node { minutes, agent_ready: false, ..Node::new(State::Idle, State::ErrorReset).original() };
    assert_eq!(original(29).counts(), IN_FLIGHT);
    assert_eq!(original(30).counts(), NEITHER);
    assert_eq!(Node { minutes: 30, ..Node::new(State::Idle, State::ErrorReset) }.counts(), IN_FLIGHT);
}

#[test]
fn a_failed_node_is_not_in_flight_while_the_verdict_is_about_its_update() {
    let kept_out = || Node::new(State::RebootedIntoUpdate, State::RebootedIntoUpdate).recorded();
    let restored = || Node::new(State::Idle, State::RebootedIntoUpdate).recorded();
    for kind in [Verdict::NoBoot, Verdict::Fallback, Verdict::Health] {
        for node in [kept_out(), restored()] {
            assert_eq!(node.clone().failed(kind, NEW).counts(), NEITHER, "{kind:?}");
            assert_eq!(node.clone().failed(kind, OLD).counts(), DISRUPTED, "{kind:?} with another version");
            let acknowledged = Node { acknowledged: Some(NEW), ..node.failed(kind, NEW) };
            assert_eq!(acknowledged.counts(), DISRUPTED, "{kind:?} acknowledged");
        }
    }
    for asked in [State::StagedAndPerformedUpdate, State::MonitoringUpdate] {
        let again = Node::new(asked, State::RebootedIntoUpdate).recorded().failed(Verdict::Health, NEW);
        assert_eq!(again.counts(), DISRUPTED, "{asked:?}");
    }
    assert_eq!(kept_out().failed(Verdict::Unknown, NEW).counts(), DISRUPTED);
}

const STATES: [State; 5] = [
    State::Idle,
    State::StagedAndPerformedUpdate,
    State::RebootedIntoUpdate,
    State::MonitoringUpdate,
    State::ErrorReset,
];
const VERDICTS: [Verdict; 4] = [Verdict::NoBoot, Verdict::Fallback, Verdict::Health, Verdict::Unknown];

fn any_node() -> impl Strategy<Value = Node> {
    let version = || select(vec![OLD, NEW]);
    let failed = proptest::option::of((select(&VERDICTS[..]), version()));
    let record = select(vec![Ok(None), Ok(Some(record())), Err(Unreadable)]);
    let states = (select(&STATES[..]), select(&STATES[..]));
    let shape = (any::<bool>(), 0..4_u8, 0..60_i64, any::<bool>());
    (states, failed, record, proptest::option::of(version()), shape, any::<bool>()).prop_map(
        |((asked, reports), failed, record, acknowledged, (managed, shadow, minutes, agent_ready), original)| {
            let mut node = Node::new(asked, reports);
            node = if original { node.original() } else { node };
            node = failed.into_iter().fold(node, |node, (kind, version)| node.failed(kind, version));
            let shadow = match shadow {
                0 => None,
                1 => Some(Err(Unreadable)),
                _ => node.shadow,
            };
            Node { managed, record, shadow, acknowledged, agent_ready, minutes }
        },
    )
}

proptest! {
    #[test]
    fn a_disrupted_node_is_in_flight_and_a_failed_one_is_neither(node in any_node()) {
        let (in_flight, disrupted) = node.counts();
        prop_assert!(in_flight || !disrupted);
        prop_assert!(!(in_flight && node.facts().has_failed()));
    }

    #[test]
    fn a_record_keeps_a_node_in_flight_unless_it_has_failed(node in any_node()) {
        prop_assume!(node.record != Ok(None));
        prop_assert_eq!(node.counts(), if node.facts().has_failed() { NEITHER } else { DISRUPTED });
    }

    #[test]
    fn nothing_that_is_taken_away_from_a_node_brings_it_into_flight(node in any_node()) {
        let may_count = node.facts().is_in_flight() || node.facts().has_failed();
        for less in [
            Node { agent_ready: false, ..node.clone() },
            Node { managed: false, ..node.clone() },
            Node { shadow: None, ..node.clone() },
            Node { record: Ok(None), ..node.clone() },
            Node { minutes: node.minutes + 60, ..node },
        ] {
            prop_assert!(may_count || !less.facts().is_in_flight(), "{less:?}");
        }
    }

    #[test]
    fn an_acknowledgement_takes_no_node_out_of_flight(node in any_node()) {
        prop_assume!(node.facts().is_in_flight());
        for version in [OLD, NEW] {
            let acknowledged = Node { acknowledged: Some(version), ..node.clone() };
            // It may only be that another acknowledgement, of the version that failed, is replaced.
            prop_assert!(acknowledged.facts().is_in_flight() || node.acknowledged.is_some());
        }
    }
}
