//! Whether a marked node is to be given back although no agent asks for it.

use std::time::Duration;

use api::shadow::NodeRef;
use api::{Shadow, State};

/// How long a node must look unattended before it is given back: an agent that was just restarted does it itself, and one
/// whose node was just taken out of the operator's hands must be gone before the cordon goes.
const SETTLED: Duration = Duration::from_secs(30);
/// The same for a node without a shadow: its agent creates one when it comes up.
const WITHOUT_SHADOW: Duration = Duration::from_secs(600);

/// What is known of a marked node.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// Which Node it is.
    pub node: &'a NodeRef,
    /// Whether it carries the label that makes it the operator's.
    pub managed: bool,
    /// The shadow of its name.
    pub shadow: Option<&'a Shadow>,
    /// Whether an agent's pod is Ready on it.
    pub agent_is_ready: bool,
}

/// Why nobody else gives the node back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unattended {
    /// The node is no longer the operator's.
    Unmanaged,
    /// It is asked to be Idle and its agent is silent.
    AgentSilent,
    /// It is asked to be Idle and its agent says that it is: the agent has nothing left to do, and no record of these marks.
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
            Self::Unmanaged => "given back: the node is no longer managed",
            Self::AgentSilent => "given back: the node is to be idle and its agent is silent",
            Self::Forgotten => "given back: the node is idle, and its agent knows nothing of these marks",
            Self::NoShadow => "given back: the node has no shadow",
        }
    }
}

/// Why nobody else gives a marked node back.
///
/// # Errors
/// When it is attended to, or is not to be given back.
pub fn unattended(standing: Standing<'_>) -> Result<Unattended, Attended> {
    if !standing.managed {
        return Ok(Unattended::Unmanaged);
    }
    // The shadow of a Node that was there before says nothing of this one.
    let Some(shadow) = standing.shadow.filter(|shadow| shadow.node == *standing.node) else {
        return Ok(Unattended::NoShadow);
    };
    match shadow.desired.state {
        State::Idle if standing.agent_is_ready && reports_idle(shadow) => Ok(Unattended::Forgotten),
        State::Idle if standing.agent_is_ready => Err(Attended::ByAgent),
        State::Idle => Ok(Unattended::AgentSilent),
        state => Err(Attended::Asked(state)),
    }
}

fn reports_idle(shadow: &Shadow) -> bool {
    shadow.observed.as_ref().is_some_and(|report| report.state == State::Idle)
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

    /// Asked to be Idle, with a report of `state`.
    fn reporting(state: State) -> Shadow {
        let version = semver::Version::new(1, 20, 0);
        let observed = api::shadow::Observed::new(state, version.clone(), version);
        Shadow { observed: Some(observed), ..in_state(State::Idle) }
    }

    fn judged(managed: bool, shadow: Option<&Shadow>, agent_is_ready: bool) -> Result<Unattended, Attended> {
        unattended(Standing { node: &id(), managed, shadow, agent_is_ready })
    }

    #[test]
    fn an_idle_node_is_given_back_when_its_agent_is_silent() {
        let idle = reporting(State::MonitoringUpdate);
        assert_eq!(judged(true, Some(&idle), false), Ok(Unattended::AgentSilent));
        assert_eq!(judged(true, Some(&idle), true), Err(Attended::ByAgent));
        assert_eq!(judged(true, Some(&in_state(State::Idle)), true), Err(Attended::ByAgent), "nothing reported yet");
    }

    #[test]
    fn marks_that_an_idle_agent_knows_nothing_of_are_undone() {
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
    fn an_unmanaged_node_is_given_back_in_every_state() {
        for state in State::ALL {
            assert_eq!(judged(false, Some(&in_state(state)), true), Ok(Unattended::Unmanaged));
        }
        assert_eq!(judged(false, None, false), Ok(Unattended::Unmanaged));
    }

    #[test]
    fn a_node_without_a_shadow_of_its_own_is_given_back_and_only_after_ten_minutes() {
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
