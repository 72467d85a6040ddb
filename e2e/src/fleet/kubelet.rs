//! What a kubelet would do for the agent on one host: run one for each pod that it gets, restart it when it ends, show its
//! readiness on its pod, and report the host's boots on the Node.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api::names;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Api;
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;

use super::agents::{Agent, Launcher};
use super::installation::is_ready;
use super::node_pods::NodePods;
use super::nodes::{annotate, down, up};
use super::pods::{self, AgentPod};
use crate::controlplane::{Process, stages};
use crate::host::{Host, HostEvent};

/// How often the agent's readiness is probed, and whether it still runs.
const PROBE_EVERY: Duration = Duration::from_millis(250);

/// The kubelet of one simulated host.
pub(super) struct Kubelet {
    launcher: Launcher,
    agent: Arc<Mutex<Agent>>,
    _task: AbortOnDropHandle<()>,
}

impl Kubelet {
    /// Returns when the agent of the node's pod has been started.
    pub(super) async fn start(launcher: Launcher) -> anyhow::Result<Self> {
        let client = launcher.site.client.clone();
        let pod = pods::on_node(client.clone(), launcher.host.name()).await?;
        let first = launcher.start(&pod).await?;
        let agent = Arc::new(Mutex::new(first.clone()));
        let duties = Duties {
            nodes: Api::all(client.clone()),
            pods: Api::namespaced(client, names::DEFAULT_NAMESPACE),
            launcher: launcher.clone(),
            running: Some(first),
            latest: agent.clone(),
            is_up: true,
            shown_ready: None,
        };
        Ok(Self { launcher, agent, _task: AbortOnDropHandle::new(tokio::spawn(duties.follow())) })
    }

    pub(super) fn host(&self) -> &Arc<Host> {
        &self.launcher.host
    }

    /// The process of the agent that was started last.
    pub(super) fn agent(&self) -> Process {
        self.lock().process.clone()
    }

    /// The pod of that agent.
    pub(super) fn pod(&self) -> AgentPod {
        self.lock().pod.clone()
    }

    /// The file with the token of that pod.
    pub(super) fn token_file(&self) -> PathBuf {
        self.pod().token_file(self.host())
    }

    /// The port of the agent's health and metrics.
    pub(super) fn health_port(&self) -> Option<u16> {
        self.lock().health_port
    }

    /// Gives the agent's pod another token.
    pub(super) async fn renew_token(&self) -> anyhow::Result<()> {
        self.pod().write_token(self.launcher.site.client.clone(), self.host()).await.map(drop)
    }

    fn lock(&self) -> MutexGuard<'_, Agent> {
        self.agent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Duties {
    nodes: Api<Node>,
    pods: Api<Pod>,
    launcher: Launcher,
    /// The agent whose pod has not been deleted.
    running: Option<Agent>,
    /// The one that was started last.
    latest: Arc<Mutex<Agent>>,
    is_up: bool,
    shown_ready: Option<bool>,
}

impl Duties {
    async fn follow(mut self) {
        let mut events = self.launcher.host.subscribe();
        let mut pods = NodePods::watch(self.pods.clone(), self.launcher.host.name());
        let mut probe = interval(PROBE_EVERY);
        probe.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                event = events.recv() => match event {
                    Ok(HostEvent::GoingDown { .. }) => self.go_down().await,
                    Ok(HostEvent::Up { boot_id, version, .. }) => {
                        self.on_node(up(&boot_id, &version)).await;
                        self.is_up = true;
                    }
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                },
                () = pods.changed() => if pods.are_known() {
                    self.run(pods.latest()).await;
                },
                _ = probe.tick(), if self.is_up => {
                    if pods.are_known() {
                        // Again, for a start that failed.
                        self.run(pods.latest()).await;
                    }
                    self.probe().await;
                }
            }
        }
    }

    /// Runs the agent of the node's pod and of no other. The agent of a pod that was deleted is asked to end; the next one is
    /// another process with a token of its own.
    async fn run(&mut self, wanted: Option<AgentPod>) {
        let node = self.launcher.host.name().to_owned();
        if let Some(agent) = self.running.take_if(|agent| wanted.as_ref() != Some(&agent.pod)) {
            self.shown_ready = None;
            if let Err(error) = agent.process.stop(agent.pod.grace).await {
                tracing::warn!(node, %error, "agent of a deleted pod not stopped");
            }
        }
        let Some(pod) = wanted.filter(|_| self.is_up && self.running.is_none()) else { return };
        match self.launcher.start(&pod).await {
            Ok(agent) => {
                *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = agent.clone();
                self.running = Some(agent);
            }
            Err(error) => tracing::warn!(node, error = format!("{error:#}"), "agent of a pod not started"),
        }
    }

    /// The power is gone: with it the agent, at once and without a word.
    async fn go_down(&mut self) {
        self.is_up = false;
        if let Some(agent) = &self.running
            && let Err(error) = agent.process.kill()
        {
            tracing::warn!(node = self.launcher.host.name(), %error, "agent not killed");
        }
        self.show_ready(false).await;
        self.on_node(down()).await;
    }

    async fn probe(&mut self) {
        let Some(Agent { process, health_port, .. }) = &self.running else { return };
        if !process.is_running()
            && let Err(error) = process.restart()
        {
            tracing::warn!(node = self.launcher.host.name(), %error, "agent not restarted");
        }
        let ready = match *health_port {
            Some(port) => is_ready(port).await,
            None => process.is_running(),
        };
        self.show_ready(ready).await;
    }

    async fn show_ready(&mut self, ready: bool) {
        let Some(Agent { pod, .. }) = self.running.as_ref().filter(|_| self.shown_ready != Some(ready)) else { return };
        let annotation = json!({ stages::READY: if ready { None } else { Some("false") } });
        match annotate(&self.pods, &pod.name, annotation).await {
            Ok(()) => self.shown_ready = Some(ready),
            Err(error) => tracing::warn!(pod = pod.name, %error, "readiness not shown"),
        }
    }

    /// Reports on the Node, again and again until the API server has taken it.
    async fn on_node(&self, annotations: serde_json::Value) {
        for _ in 0..120 {
            match annotate(&self.nodes, self.launcher.host.name(), annotations.clone()).await {
                Ok(()) => return,
                Err(error) => tracing::warn!(node = self.launcher.host.name(), %error, "node not reported"),
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}
