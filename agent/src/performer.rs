//! From a step to its effect. Nothing is decided here.

use api::shadow::BottlerocketShadowStatus;
use api::{ApprovalId, BottlerocketShadow};
use std::pin::pin;

use crate::apiserver::{Apiserver, CallError, Found, Stored};
use crate::host::BottlerocketHost;
use crate::observe::ShadowReading;
use crate::outcome::{Drained, Outcome};
use crate::shadow::ShadowPoll;
use crate::step::Action;

/// Seconds for which a drain is asked to stay in its request: short at first, so that what blocks it is soon seen.
const FIRST_DRAIN_WAIT: u32 = 5;
const DRAIN_WAIT: u32 = 30;

/// What steps act on.
pub struct Performer {
    /// The host.
    pub host: BottlerocketHost,
    /// The apiserver.
    pub apiserver: Apiserver,
    /// The shadow.
    pub shadow: ShadowPoll,
}

impl Performer {
    /// Performs one step. `draining` says whether the drain has been seen to go on before.
    pub async fn perform(&mut self, action: &Action, draining: bool) -> Outcome {
        match action {
            Action::Exit => Outcome::Waited,
            Action::Wait(time) => {
                // Either way the next observation tells.
                let _ = tokio::time::timeout(*time, self.shadow.changed()).await;
                Outcome::Waited
            }
            Action::Command(command) => Outcome::Asked(self.host.command(*command).await),
            Action::Reboot => Outcome::Asked(self.host.reboot().await),
            Action::ReadLock => self.host.lock().await.map_or_else(Outcome::LockFailed, Outcome::Lock),
            Action::SetLock { from, to, .. } => self.lock(from, &to.to_string()).await,
            Action::RestoreLock { from, to } => self.lock(from, to).await,
            Action::Create => self.create().await,
            Action::Report(status) => self.report(status).await,
            Action::Reread => self.reread().await.unwrap_or_else(failed),
            Action::Uncordon => restored(self.apiserver.uncordon().await),
            Action::Include => restored(self.apiserver.include().await),
            Action::Exclude(_) => self.apiserver.exclude().await.map_or_else(failed, Outcome::Drained),
            Action::Drain { approval, .. } => {
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
        Outcome::Shadow(self.shadow.take(found))
    }

    async fn report(&mut self, status: &BottlerocketShadowStatus) -> Outcome {
        let ShadowReading::Known(shadow) = self.shadow.reading() else { return Outcome::Conflict };
        let version = shadow.resource_version.clone();
        match self.apiserver.report(status, &version).await {
            Ok(Stored::As(Some(version))) => {
                self.shadow.stored(status, &version);
                Outcome::Shadow(None)
            }
            Ok(Stored::As(None)) => self.reread().await.unwrap_or_else(failed),
            Ok(Stored::Conflict) => match self.reread().await {
                Ok(_) => Outcome::Conflict,
                Err(error) => failed(error),
            },
            Ok(Stored::Missing) => {
                self.shadow.lose();
                Outcome::Shadow(None)
            }
            Err(error) => failed(error),
        }
    }

    async fn reread(&mut self) -> Result<Outcome, CallError> {
        match self.apiserver.read_through().await? {
            Found::Shadow(found) => Ok(self.take(&found)),
            Found::Missing => {
                self.shadow.lose();
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
                () = self.shadow.changed() => {
                    let same = matches!(self.shadow.reading(), ShadowReading::Known(shadow) if shadow.desired.approval().as_ref() == Some(approval));
                    if !same {
                        return Outcome::Drained(Drained::Interrupted);
                    }
                }
            }
        }
    }
}

fn restored(answer: Result<bool, CallError>) -> Outcome {
    match answer {
        Ok(true) => Outcome::Restored,
        Ok(false) => Outcome::NotRestoring,
        Err(error) => failed(error),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the end of a chain of results")]
fn failed(error: CallError) -> Outcome {
    Outcome::CallFailed(error.to_string())
}
