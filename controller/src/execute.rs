//! Executes actions. It chooses nothing: an action is one write, and what follows from the answer is fixed.

use std::future::ready;

use api::BottlerocketShadow;
use futures::{StreamExt as _, stream};
use kube::ResourceExt as _;

use crate::{
    action::{Action, Verb},
    lease::Mandate,
    own_writes::Outcome,
    write::{WriteError, Writer},
};

/// Most writes under way at once.
const CONCURRENCY: usize = 16;

/// What became of one action.
pub(crate) struct Executed {
    pub(crate) action: Action,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) error: Option<WriteError>,
}

/// Executes `actions`, several at once. None is begun after the mandate has ended.
pub(crate) async fn execute(writer: &Writer, mandate: &Mandate, actions: Vec<Action>) -> Vec<Executed> {
    let begun = stream::iter(actions).take_while(|_| ready(mandate.holds()));
    begun.map(|action| one(writer, action)).buffer_unordered(CONCURRENCY).collect().await
}

async fn one(writer: &Writer, action: Action) -> Executed {
    let written = match action.verb {
        Verb::Delete => writer.delete(&action).await.map(|()| Outcome::Gone),
        verb if verb.takes_back_a_go() && action.before.go().is_some() => take_back(writer, &action).await,
        _ => writer.order(&action).await.map(stored),
    };
    match written {
        Ok(outcome) => Executed { action, outcome: Some(outcome), error: None },
        Err(error) => {
            let outcome = match error {
                WriteError::Gone => Some(Outcome::Gone),
                WriteError::Unknown(_) => Some(Outcome::Unknown),
                WriteError::Conflict | WriteError::Refused(_) => None,
            };
            Executed { action, outcome, error: Some(error) }
        }
    }
}

/// Takes a go back: first the shadow is written, then the Node is read past the caches. If it carries the marks of that very
/// go the disruption had begun, and the same go is put back. The apiserver does the same from the other side: it writes its
/// marks first and reads the shadow then, so that one of the two always sees the other.
async fn take_back(writer: &Writer, action: &Action) -> Result<Outcome, WriteError> {
    let written = writer.order(action).await?;
    let node = match writer.node(&action.node).await {
        Ok(node) => node,
        // Without the answer the next plan decides by what the watch shows of the Node.
        Err(_) => return Ok(stored(written)),
    };
    if !action.came_too_late(&node) {
        return Ok(stored(written));
    }
    tracing::info!(node = action.node, "go was used before it was taken back and is put back");
    let resource_version = written.resource_version().unwrap_or_default();
    match writer.replace_order(&action.shadow, &action.uid, &resource_version, &action.before).await {
        Ok(restored) => Ok(stored(restored)),
        Err(WriteError::Unknown(why)) => Err(WriteError::Unknown(why)),
        Err(_) => Ok(stored(written)),
    }
}

fn stored(object: BottlerocketShadow) -> Outcome {
    Outcome::Stored(Box::new(object))
}
