//! The honest load: somebody edits one policy after the other, through kube-apiserver.

use std::sync::Arc;
use std::time::Duration;

use api::UpdatePolicy;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::POLICIES;
use super::relay::Relay;
use crate::bench::hostile::{Kind, Ledger, Server, Victim};
use crate::controlplane::{ControlPlane, Process};
use crate::fleet::admission::Webhook;
use crate::fleet::installation::ready;

const EDIT_EVERY: Duration = Duration::from_millis(150);
/// For kube-apiserver to see that a connection was closed.
const SEEN: Duration = Duration::from_millis(50);
/// Longer than kube-apiserver waits for the webhook.
const PATIENCE: Duration = Duration::from_secs(15);
/// For the webhook's watches after its start.
const FILLING: Duration = Duration::from_secs(1);

const KEPT: Kind = Kind { name: "edit, connection kept", timed: true };
const NEW: Kind = Kind { name: "edit, new connection", timed: true };

/// A replica of the webhook that kube-apiserver asks through a relay.
pub(super) struct Attacked {
    server: Arc<Server>,
    relay: Relay,
    webhook: Webhook,
    policies: Api<UpdatePolicy>,
    /// Last, so that it outlives what talks to it.
    plane: ControlPlane,
}

impl Attacked {
    pub(super) async fn new(
        plane: ControlPlane,
        webhook: Webhook,
        policies: Api<UpdatePolicy>,
    ) -> anyhow::Result<Self> {
        let server = Arc::new(Server::new(webhook.port, "127.0.0.1", &webhook.certificates.join("ca.crt"))?);
        let relay = Relay::before(server.clone()).await?;
        let webhook = Webhook { port: relay.port(), ..webhook };
        webhook.configure_again(&plane).await?;
        Ok(Self { server, relay, webhook, policies, plane })
    }

    async fn edit(&self, number: usize) -> Result<(), String> {
        let name = format!("policy-{}", number % POLICIES);
        let limit = Patch::Merge(json!({"spec": {"maxConcurrentUpdates": fastrand::u32(1..1000)}}));
        // What etcd takes is no part of it.
        let dry_run = PatchParams { dry_run: true, ..PatchParams::default() };
        match timeout(PATIENCE, self.policies.patch(&name, &dry_run, &limit)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(kube::Error::Api(status))) => Err(status.message),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("no answer".to_owned()),
        }
    }
}

impl Victim for Attacked {
    const DEPLOYMENT: &'static str = "brupop-webhook";
    const KINDS: &'static [Kind] = &[KEPT, NEW];
    const AIM: Duration = Duration::from_millis(500);

    fn process(&self) -> &Process {
        &self.webhook.process
    }

    fn server(&self) -> &Arc<Server> {
        &self.server
    }

    async fn renew(&self, _: Duration) -> anyhow::Result<()> {
        self.webhook.process.restart()?;
        self.relay.cut();
        ready(&self.webhook.process, self.webhook.metrics_port).await?;
        self.webhook.is_asked(&self.plane).await?;
        sleep(FILLING).await;
        Ok(())
    }

    /// One edit at a time, as a person or a pipeline makes them; every other one needs a new connection.
    async fn honest(&self, ledger: &Ledger, until: Instant) {
        for number in 0.. {
            let kind = if number % 2 == 0 { KEPT } else { NEW };
            if kind.name == NEW.name {
                self.relay.cut();
                sleep(SEEN).await;
            }
            let begun = Instant::now();
            if begun >= until {
                break;
            }
            let outcome = self.edit(number).await;
            ledger.note(kind.name, begun, outcome);
            sleep_until(begun + EDIT_EVERY).await;
        }
    }
}
