//! Executes actions. It chooses nothing: an action is one write, and what follows from the answer is fixed.

use std::future::ready;

use crate::action::{Action, Verb};
use crate::lease::Leadership;
use crate::own_writes::Outcome;
use crate::write::{WRITE_DEADLINE, WriteError, Writer};
use api::{BottlerocketShadow, Shadow};
use futures::{StreamExt as _, stream};
use runtime::health::Heartbeat;
use tokio::time::Instant;
use tracing::{Instrument as _, Span};

/// Most writes under way at once.
const CONCURRENCY: usize = 16;

/// What became of one action.
pub(crate) struct Executed {
    pub(crate) action: Action,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) error: Option<WriteError>,
    /// When an outcome that is unknown may be settled: whatever was sent for it has taken effect by then, or never will.
    pub(crate) settle_from: Instant,
}

/// Executes `actions`, several at once, with a sign of life for each. None is begun after leadership has ended.
pub(crate) async fn execute(
    writer: &Writer,
    leadership: &Leadership,
    heartbeat: &Heartbeat,
    actions: Vec<Action>,
) -> Vec<Executed> {
    let begun = stream::iter(actions).take_while(|_| ready(leadership.holds()));
    let executed = begun.map(|action| {
        let span = span(&action);
        one(writer, action).instrument(span)
    });
    let executed = executed.buffer_unordered(CONCURRENCY);
    executed.inspect(|_| heartbeat.beat()).collect().await
}

/// Reads what became of `actions`, whose outcomes are unknown, as [`execute`] executes them.
pub(crate) async fn settle_all(
    writer: &Writer,
    leadership: &Leadership,
    heartbeat: &Heartbeat,
    actions: Vec<Action>,
) -> Vec<(Action, Result<Outcome, WriteError>)> {
    let begun = stream::iter(actions).take_while(|_| ready(leadership.holds()));
    let settled = begun.map(|action| async {
        let outcome = settle(writer, &action).instrument(span(&action)).await;
        (action, outcome)
    });
    settled.buffer_unordered(CONCURRENCY).inspect(|_| heartbeat.beat()).collect().await
}

/// What the log lines of a write carry.
fn span(action: &Action) -> Span {
    tracing::info_span!("write", node = action.node, action = action.verb.as_str())
}

async fn one(writer: &Writer, action: Action) -> Executed {
    let written = match action.verb {
        Verb::Delete => writer.delete(&action).await.map(|()| Outcome::Gone),
        _ if action.withdraws_an_approval() => match writer.desired(&action).await {
            Ok(written) => finish_withdrawal(writer, &action, written).await,
            Err(error) => Err(error),
        },
        _ => writer.desired(&action).await.map(stored),
    };
    // The last request of an action has been sent by now; an answer that came early says nothing of when it takes effect.
    let settle_from = Instant::now() + WRITE_DEADLINE;
    match written {
        Ok(outcome) => Executed { action, outcome: Some(outcome), error: None, settle_from },
        Err(error) => {
            let outcome = match error {
                WriteError::Gone => Some(Outcome::Gone),
                WriteError::Unknown(_) => Some(Outcome::Unknown(Box::new(action.clone()))),
                WriteError::Conflict | WriteError::Refused(_) => None,
            };
            Executed { action, outcome, error: Some(error), settle_from }
        }
    }
}

/// Reads what became of an action whose outcome is unknown, and finishes it if it withdrew an approval.
///
/// # Errors
/// [`WriteError::Unknown`] when it cannot be told yet.
async fn settle(writer: &Writer, action: &Action) -> Result<Outcome, WriteError> {
    match writer.shadow(&action.shadow).await {
        Ok(found) if action.withdraws_an_approval() => finish_withdrawal(writer, action, found).await,
        Ok(found) => Ok(stored(found)),
        Err(WriteError::Gone) => Ok(Outcome::Gone),
        Err(error) => Err(unknown("shadow not read", &error)),
    }
}

/// Finishes a withdrawal once the shadow is written: the Node is read past the caches, and if it carries the record of that
/// very approval the disruption had begun, and the same approval is reinstated. The apiserver does the same from the other side: it
/// writes its record first and reads the shadow then, so that one of the two always sees the other.
///
/// As long as the Node has not been read, or the approval not been reinstated where it must be, nobody may count on either: the
/// outcome is unknown. The agent may report meanwhile, which refuses the write; it is tried once more on what is stored then.
async fn finish_withdrawal(writer: &Writer, action: &Action, found: BottlerocketShadow) -> Result<Outcome, WriteError> {
    if !is_withdrawn(action, &found)? {
        return Ok(stored(found));
    }
    match writer.node(&action.node).await {
        Ok(node) if action.came_too_late(&node) => {}
        Ok(_) | Err(WriteError::Gone) => return Ok(stored(found)),
        Err(error) => return Err(unknown("Node not read", &error)),
    }
    tracing::info!(node = action.node, "approval was used before it was withdrawn and is reinstated");
    let restored = match reinstate(writer, action, &found).await {
        Err(WriteError::Conflict) => match writer.shadow(&action.shadow).await {
            Ok(again) if is_withdrawn(action, &again)? => reinstate(writer, action, &again).await,
            again => again,
        },
        restored => restored,
    };
    match restored {
        Ok(restored) => Ok(stored(restored)),
        Err(WriteError::Gone) => Ok(Outcome::Gone),
        Err(error) => Err(unknown("approval not reinstated", &error)),
    }
}

async fn reinstate(
    writer: &Writer,
    action: &Action,
    found: &BottlerocketShadow,
) -> Result<BottlerocketShadow, WriteError> {
    let version = found.metadata.resource_version.as_deref().unwrap_or_default();
    writer.replace_desired(&action.shadow, &action.uid, version, &action.before).await
}

/// Whether the shadow is still the one that `action` withdrew the approval from, and asks for what it wrote then.
fn is_withdrawn(action: &Action, found: &BottlerocketShadow) -> Result<bool, WriteError> {
    if found.metadata.uid.as_ref() != Some(&action.uid) {
        return Ok(false);
    }
    let shadow = Shadow::try_from(found).map_err(|error| WriteError::Unknown(error.to_string()))?;
    Ok((shadow.desired.state, shadow.desired.since) == (action.desired.state, action.desired.since))
}

fn unknown(what: &str, error: &WriteError) -> WriteError {
    WriteError::Unknown(format!("{what}: {error}"))
}

fn stored(object: BottlerocketShadow) -> Outcome {
    Outcome::Stored(Box::new(object))
}

#[cfg(test)]
mod tests;
