//! What a kubelet would do for the agent on one host: restart it when it ends, show its readiness on its pod, and report the
//! host's boots on the Node.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use api::names;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;

use super::agents::Agent;
use super::installation::is_ready;
use super::nodes::{annotate, down, up};
use crate::controlplane::{Process, stages};
use crate::host::{Host, HostEvent};

/// How often the agent's readiness is probed, and whether it still runs.
const PROBE_EVERY: Duration = Duration::from_millis(250);

/// The kubelet of one simulated host.
pub(super) struct Kubelet {
    host: Arc<Host>,
    agent: Process,
    pod: String,
    health_port: Option<u16>,
    _task: AbortOnDropHandle<()>,
}

impl Kubelet {
    pub(super) fn start(client: Client, host: Arc<Host>, agent: Agent) -> Self {
        let (process, pod, health_port) = (agent.process.clone(), agent.pod.clone(), agent.health_port);
        let duties = Duties {
            nodes: Api::all(client.clone()),
            pods: Api::namespaced(client, names::DEFAULT_NAMESPACE),
            host: host.clone(),
            agent,
            shown_ready: None,
        };
        let task = AbortOnDropHandle::new(tokio::spawn(duties.follow()));
        Self { host, agent: process, pod, health_port, _task: task }
    }

    pub(super) fn host(&self) -> &Arc<Host> {
        &self.host
    }

    pub(super) fn agent(&self) -> &Process {
        &self.agent
    }

    /// The name of the agent's pod.
    pub(super) fn pod(&self) -> &str {
        &self.pod
    }

    /// The port of the agent's health and metrics.
    pub(super) fn health_port(&self) -> Option<u16> {
        self.health_port
    }

    /// The pod is gone, and its agent with it.
    pub(super) fn end_agent(self) -> anyhow::Result<Arc<Host>> {
        let Self { host, agent, _task: task, .. } = self;
        // Nobody is left to start it again.
        drop(task);
        agent.kill().with_context(|| format!("agent of {}", host.name()))?;
        Ok(host)
    }
}

struct Duties {
    nodes: Api<Node>,
    pods: Api<Pod>,
    host: Arc<Host>,
    agent: Agent,
    shown_ready: Option<bool>,
}

impl Duties {
    async fn follow(mut self) {
        let mut events = self.host.subscribe();
        let mut probe = interval(PROBE_EVERY);
        probe.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_up = true;
        loop {
            tokio::select! {
                biased;
                event = events.recv() => match event {
                    Ok(HostEvent::GoingDown { .. }) => {
                        is_up = false;
                        self.go_down().await;
                    }
                    Ok(HostEvent::Up { boot_id, version, .. }) => {
                        self.on_node(up(&boot_id, &version)).await;
                        is_up = true;
                    }
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                },
                _ = probe.tick(), if is_up => self.probe().await,
            }
        }
    }

    /// The power is gone: with it the agent, at once and without a word.
    async fn go_down(&mut self) {
        if let Err(error) = self.agent.process.kill() {
            tracing::warn!(node = self.host.name(), %error, "agent not killed");
        }
        self.show_ready(false).await;
        self.on_node(down()).await;
    }

    async fn probe(&mut self) {
        if !self.agent.process.is_running()
            && let Err(error) = self.agent.process.restart()
        {
            tracing::warn!(node = self.host.name(), %error, "agent not restarted");
        }
        let ready = match self.agent.health_port {
            Some(port) => is_ready(port).await,
            None => self.agent.process.is_running(),
        };
        self.show_ready(ready).await;
    }

    async fn show_ready(&mut self, ready: bool) {
        if self.shown_ready == Some(ready) {
            return;
        }
        let annotation = json!({ stages::READY: if ready { None } else { Some("false") } });
        match annotate(&self.pods, &self.agent.pod, annotation).await {
            Ok(()) => self.shown_ready = Some(ready),
            Err(error) => tracing::warn!(pod = self.agent.pod, %error, "readiness not shown"),
        }
    }

    /// Reports on the Node, again and again until the API server has taken it.
    async fn on_node(&self, annotations: serde_json::Value) {
        for _ in 0..120 {
            match annotate(&self.nodes, self.host.name(), annotations.clone()).await {
                Ok(()) => return,
                Err(error) => tracing::warn!(node = self.host.name(), %error, "node not reported"),
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}
