//! Whether a node with a disruption record is to be restored although no agent asks for it.

use std::time::Duration;

use api::shadow::NodeRef;
use api::{Shadow, State};

/// How long a node must look unattended before it is restored: an agent that was just restarted does it itself, and one
/// whose node has just ceased to be managed must be gone before the cordon goes.
const SETTLED: Duration = Duration::from_secs(30);
/// The same for a node without a shadow: its agent creates one when it comes up.
const WITHOUT_SHADOW: Duration = Duration::from_secs(600);

/// A Node that carries a disruption record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedNode {
    /// Which Node it is.
    pub id: NodeRef,
    /// Whether it carries the label that makes it the operator's.
    pub managed: bool,
}

/// Why nobody else restores the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unattended {
    /// The node is no longer the operator's.
    Unmanaged,
    /// It is asked to be Idle and its agent is silent.
    AgentSilent,
    /// It is asked to be Idle and its agent says that it is: the agent has nothing left to do, and does not know of this record.
    Forgotten,
    /// It has no shadow, so nothing says what is asked of it.
    NoShadow,
}

/// Why it is left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attended {
    /// It is not asked to be Idle.
    Asked(State),
    /// Its agent is there and will do it.
    ByAgent,
}

impl Unattended {
    /// One word, for metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unmanaged => "unmanaged",
            Self::AgentSilent => "agent_silent",
            Self::Forgotten => "forgotten",
            Self::NoShadow => "no_shadow",
        }
    }

    /// Every word, for metrics that show zeros.
    pub const WORDS: [&'static str; 4] = ["unmanaged", "agent_silent", "forgotten", "no_shadow"];

    /// For how long it must have been so.
    #[must_use]
    pub const fn patience(self) -> Duration {
        match self {
            Self::Unmanaged | Self::AgentSilent | Self::Forgotten => SETTLED,
            Self::NoShadow => WITHOUT_SHADOW,
        }
    }

    /// The sentence for people.
    #[must_use]
    pub const fn note(self) -> &'static str {
        match self {
            Self::Unmanaged => "restored: the node is no longer managed",
            Self::AgentSilent => "restored: the node is to be idle and its agent is silent",
            Self::Forgotten => "restored: the node is idle, and its agent knows nothing of this disruption",
            Self::NoShadow => "restored: the node has no shadow",
        }
    }
}

/// Why nobody else restores the node. `shadow` is the one of its name; `agent_is_ready` says whether an agent's pod is Ready on it.
///
/// # Errors
/// When it is attended to, or is not to be restored.
pub fn unattended(node: &RecordedNode, shadow: Option<&Shadow>, agent_is_ready: bool) -> Result<Unattended, Attended> {
    if !node.managed {
        return Ok(Unattended::Unmanaged);
    }
    // The shadow of a Node that was there before says nothing of this one.
    let Some(shadow) = shadow.filter(|shadow| shadow.node == node.id) else {
        return Ok(Unattended::NoShadow);
    };
    match shadow.desired.state {
        State::Idle if agent_is_ready && reports_idle(shadow) => Ok(Unattended::Forgotten),
        State::Idle if agent_is_ready => Err(Attended::ByAgent),
        State::Idle => Ok(Unattended::AgentSilent),
        state => Err(Attended::Asked(state)),
    }
}

fn reports_idle(shadow: &Shadow) -> bool {
    shadow.observed.as_ref().is_some_and(|observed| observed.state == State::Idle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::samples::{id, shadow};

    fn in_state(state: State) -> Shadow {
        let mut shadow = shadow();
        shadow.desired.state = state;
        shadow
    }

    /// Asked to be Idle, with an agent that reports `state`.
    fn reporting(state: State) -> Shadow {
        let version = semver::Version::new(1, 20, 0);
        let observed = api::shadow::Observed::new(state, version.clone(), version);
        Shadow { observed: Some(observed), ..in_state(State::Idle) }
    }

    fn judged(managed: bool, shadow: Option<&Shadow>, agent_is_ready: bool) -> Result<Unattended, Attended> {
        unattended(&RecordedNode { id: id(), managed }, shadow, agent_is_ready)
    }

    #[test]
    fn an_idle_node_is_restored_when_its_agent_is_silent() {
        let idle = reporting(State::MonitoringUpdate);
        assert_eq!(judged(true, Some(&idle), false), Ok(Unattended::AgentSilent));
        assert_eq!(judged(true, Some(&idle), true), Err(Attended::ByAgent));
        assert_eq!(judged(true, Some(&in_state(State::Idle)), true), Err(Attended::ByAgent), "nothing reported yet");
    }

    #[test]
    fn a_disruption_that_an_idle_agent_knows_nothing_of_is_undone() {
        assert_eq!(judged(true, Some(&reporting(State::Idle)), true), Ok(Unattended::Forgotten));
        assert_eq!(Unattended::Forgotten.patience(), SETTLED);
    }

    #[test]
    fn a_node_that_is_asked_for_anything_else_is_left_alone_whatever_its_agent_does() {
        for state in State::ALL.into_iter().filter(|state| *state != State::Idle) {
            for agent_is_ready in [false, true] {
                assert_eq!(judged(true, Some(&in_state(state)), agent_is_ready), Err(Attended::Asked(state)));
            }
        }
    }

    #[test]
    fn an_unmanaged_node_is_restored_in_every_state() {
        for state in State::ALL {
            assert_eq!(judged(false, Some(&in_state(state)), true), Ok(Unattended::Unmanaged));
        }
        assert_eq!(judged(false, None, false), Ok(Unattended::Unmanaged));
    }

    #[test]
    fn a_node_without_a_shadow_of_its_own_is_restored_and_only_after_ten_minutes() {
        let mut other = in_state(State::Idle);
        other.node.uid = "older".to_owned();
        for shadow in [None, Some(&other)] {
            assert_eq!(judged(true, shadow, true), Ok(Unattended::NoShadow));
        }
        assert_eq!(Unattended::NoShadow.patience(), Duration::from_secs(600));
    }

    #[test]
    fn every_word_is_listed_for_the_metrics() {
        let all = [Unattended::Unmanaged, Unattended::AgentSilent, Unattended::Forgotten, Unattended::NoShadow];
        assert_eq!(all.map(Unattended::as_str), Unattended::WORDS);
    }
}
