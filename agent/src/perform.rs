//! From a step to its effect. Nothing is decided here.

use api::shadow::BottlerocketShadowStatus;
use api::{ApprovalId, BottlerocketShadow};
use std::pin::pin;

use crate::apiserver::{Apiserver, CallError, Found, Stored};
use crate::feed::Feed;
use crate::host::BottlerocketHost;
use crate::observe::Sight;
use crate::outcome::{Drained, Outcome};
use crate::step::Act;

/// Seconds for which a drain is asked to stay in its request: short at first, so that what blocks it is soon seen.
const FIRST_DRAIN_WAIT: u32 = 5;
const DRAIN_WAIT: u32 = 30;

/// What steps act on.
pub struct Hands {
    /// The host.
    pub host: BottlerocketHost,
    /// The apiserver.
    pub apiserver: Apiserver,
    /// The shadow.
    pub feed: Feed,
}

impl Hands {
    /// Performs one step. `draining` says whether the drain has been seen to go on before.
    pub async fn perform(&mut self, act: &Act, draining: bool) -> Outcome {
        match act {
            Act::GiveUp => Outcome::Waited,
            Act::Wait(time) => {
                // Either way the next observation tells.
                let _ = tokio::time::timeout(*time, self.feed.changed()).await;
                Outcome::Waited
            }
            Act::Command(command) => Outcome::Asked(self.host.command(*command).await),
            Act::Reboot => Outcome::Asked(self.host.reboot().await),
            Act::ReadLock => self.host.lock().await.map_or_else(Outcome::LockFailed, Outcome::Lock),
            Act::Pin { from, to, .. } => self.lock(from, &to.to_string()).await,
            Act::Unpin { from, to } => self.lock(from, to).await,
            Act::Create => self.create().await,
            Act::Observed(status) => self.report(status).await,
            Act::Reread => self.reread().await.unwrap_or_else(failed),
            Act::Uncordon => given_back(self.apiserver.uncordon().await),
            Act::Include => given_back(self.apiserver.include().await),
            Act::Exclude(_) => self.apiserver.exclude().await.map_or_else(failed, Outcome::Drained),
            Act::Drain { approval, .. } => {
                self.drain(approval, if draining { DRAIN_WAIT } else { FIRST_DRAIN_WAIT }).await
            }
        }
    }

    /// Nothing is changed unless the lock is what it was when that was decided.
    async fn lock(&self, from: &str, to: &str) -> Outcome {
        match self.host.lock().await {
            Ok(lock) if lock != from => Outcome::Lock(lock),
            Ok(_) => self.host.set_lock(to).await.map_or_else(Outcome::LockFailed, |()| Outcome::LockSet),
            Err(error) => Outcome::LockFailed(error),
        }
    }

    async fn create(&mut self) -> Outcome {
        match self.apiserver.create().await {
            Ok(found) => self.take(&found),
            Err(error) => failed(error),
        }
    }

    fn take(&mut self, found: &BottlerocketShadow) -> Outcome {
        Outcome::Shadow(self.feed.take(found))
    }

    async fn report(&mut self, status: &BottlerocketShadowStatus) -> Outcome {
        let Sight::Known(shadow) = self.feed.sight() else { return Outcome::Conflict };
        let version = shadow.resource_version.clone();
        match self.apiserver.report(status, &version).await {
            Ok(Stored::As(Some(version))) => {
                self.feed.stored(status, &version);
                Outcome::Shadow(None)
            }
            Ok(Stored::As(None)) => self.reread().await.unwrap_or_else(failed),
            Ok(Stored::Conflict) => match self.reread().await {
                Ok(_) => Outcome::Conflict,
                Err(error) => failed(error),
            },
            Ok(Stored::Missing) => {
                self.feed.lose();
                Outcome::Shadow(None)
            }
            Err(error) => failed(error),
        }
    }

    async fn reread(&mut self) -> Result<Outcome, CallError> {
        match self.apiserver.read_through().await? {
            Found::Shadow(found) => Ok(self.take(&found)),
            Found::Missing => {
                self.feed.lose();
                Ok(Outcome::Shadow(None))
            }
            Found::Unchanged => {
                Err(CallError::Nonsense("not modified, though nothing was said to be known".to_owned()))
            }
        }
    }

    /// The request is dropped, which ends the drain, as soon as the shadow no longer shows this approval.
    async fn drain(&mut self, approval: &ApprovalId, wait: u32) -> Outcome {
        let apiserver = self.apiserver.clone();
        let mut call = pin!(apiserver.drain(wait));
        loop {
            tokio::select! {
                biased;
                answer = &mut call => return match answer {
                    Ok(drained) => Outcome::Drained(drained),
                    Err(error) => failed(error),
                },
                () = self.feed.changed() => {
                    let same = matches!(self.feed.sight(), Sight::Known(shadow) if shadow.desired.approval().as_ref() == Some(approval));
                    if !same {
                        return Outcome::Drained(Drained::Interrupted);
                    }
                }
            }
        }
    }
}

fn given_back(answer: Result<bool, CallError>) -> Outcome {
    match answer {
        Ok(true) => Outcome::GivenBack,
        Ok(false) => Outcome::NotGivingBack,
        Err(error) => failed(error),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the end of a chain of results")]
fn failed(error: CallError) -> Outcome {
    Outcome::CallFailed(error.to_string())
}
