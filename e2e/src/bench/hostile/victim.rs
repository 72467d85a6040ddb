//! What is attacked.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::ledger::Ledger;
use super::server::Server;
use crate::controlplane::Process;

/// One kind of honest calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// Whether it is a measure how long they take; of a long poll it is only whether it is cut.
    pub(crate) timed: bool,
}

/// A component on a real control plane, and the honest load on it.
pub(crate) trait Victim {
    /// The name of its Deployment.
    const DEPLOYMENT: &'static str;
    /// The honest calls.
    const KINDS: &'static [Kind];
    /// What 99 of 100 of them are to be answered within.
    const AIM: Duration;

    /// Its process.
    fn process(&self) -> &Process;

    /// Where it is attacked.
    fn server(&self) -> &Arc<Server>;

    /// Starts the process anew, so that nothing is left of an earlier attack, and readies `load` of honest load.
    fn renew(&self, load: Duration) -> impl Future<Output = anyhow::Result<()>>;

    /// Honest callers who note what they see until a moment; returns once the last of them has an answer or has given up.
    fn honest(&self, ledger: &Ledger, until: Instant) -> impl Future<Output = ()>;
}
