//! What the original asks of the host, through `apiclient raw`.
//!
//! ```text
//! /os                        each loop, and whenever the version matters
//! refresh, prepare, activate POST, limited
//! /updates/status            GET, limited
//! reboot                     POST
//! ```

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::Full;
use semver::Version;
use serde::Deserialize;
use tokio::net::UnixStream;
use tokio::sync::Mutex;

use super::http::exchange;
use super::time_scale::{Limit, Retries, TimeScale};

/// One limited request each so long, and so many at once.
const LIMIT_PERIOD: Duration = Duration::from_secs(10);
const LIMIT_BURST: u32 = 2;

/// The host behind a socket.
pub(super) struct Host {
    socket: PathBuf,
    scale: TimeScale,
    limit: Mutex<Limit>,
}

/// What the host's state allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum UpdateState {
    Idle,
    Available,
    Staged,
    Ready,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum CommandType {
    Refresh,
    Prepare,
    Activate,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
enum CommandStatus {
    Success,
    Failed,
    Unknown,
}

/// The last command; every field is required.
#[derive(Debug, Deserialize)]
struct Command {
    cmd_type: CommandType,
    cmd_status: CommandStatus,
    #[serde(rename = "timestamp")]
    _timestamp: String,
    #[serde(rename = "exit_status")]
    _exit_status: u32,
    #[serde(rename = "stderr")]
    _stderr: String,
}

#[derive(Debug, Deserialize)]
struct Image {
    version: Version,
}

/// The update status: the list and the last command are required.
#[derive(Debug, Deserialize)]
struct UpdateStatus {
    update_state: UpdateState,
    #[serde(rename = "available_updates")]
    _available_updates: Vec<Version>,
    chosen_update: Option<Image>,
    most_recent_command: Command,
}

#[derive(Deserialize)]
struct Os {
    version_id: Version,
}

impl Host {
    pub(super) fn at(socket: PathBuf, scale: TimeScale) -> Self {
        Self { socket, scale, limit: Mutex::new(Limit::new(scale, LIMIT_PERIOD, LIMIT_BURST)) }
    }

    /// The running version.
    pub(super) async fn version(&self) -> anyhow::Result<Version> {
        let body = self.call(Method::GET, "/os", false).await?;
        Ok(serde_json::from_slice::<Os>(&body).context("/os")?.version_id)
    }

    /// The version the host would update to, after a refresh.
    pub(super) async fn chosen(&self) -> anyhow::Result<Option<Version>> {
        self.call(Method::POST, "/actions/refresh-updates", true).await?;
        let status = self.status().await?;
        let last = &status.most_recent_command;
        ensure!(
            last.cmd_type == CommandType::Refresh && last.cmd_status == CommandStatus::Success,
            "the refresh failed, or somebody else is at work"
        );
        Ok(status.chosen_update.map(|image| image.version))
    }

    /// Writes the chosen image.
    pub(super) async fn prepare(&self) -> anyhow::Result<()> {
        self.expect(&[UpdateState::Available, UpdateState::Staged]).await?;
        self.call(Method::POST, "/actions/prepare-update", true).await?;
        let last = self.status().await?.most_recent_command;
        // Either is enough, so that a failed prepare passes and only the state that comes next stops it.
        ensure!(
            last.cmd_type == CommandType::Prepare || last.cmd_status == CommandStatus::Success,
            "the prepare failed, or somebody else is at work"
        );
        Ok(())
    }

    /// Has the written image booted next.
    pub(super) async fn activate(&self) -> anyhow::Result<()> {
        self.expect(&[UpdateState::Staged]).await?;
        self.call(Method::POST, "/actions/activate-update", true).await?;
        let last = self.status().await?.most_recent_command;
        ensure!(
            last.cmd_type == CommandType::Activate || last.cmd_status == CommandStatus::Success,
            "the activation failed, or somebody else is at work"
        );
        Ok(())
    }

    /// Reboots into the activated image.
    pub(super) async fn reboot(&self) -> anyhow::Result<()> {
        self.expect(&[UpdateState::Ready]).await?;
        self.call(Method::POST, "/actions/reboot", false).await?;
        Ok(())
    }

    async fn expect(&self, states: &[UpdateState]) -> anyhow::Result<()> {
        let state = self.status().await?.update_state;
        ensure!(states.contains(&state), "the update state is {state:?}, not {states:?}");
        Ok(())
    }

    async fn status(&self) -> anyhow::Result<UpdateStatus> {
        let body = self.call(Method::GET, "/updates/status", true).await?;
        serde_json::from_slice(&body).context("/updates/status")
    }

    async fn call(&self, method: Method, path: &'static str, limited: bool) -> anyhow::Result<Bytes> {
        self.scale
            .retry(Retries::HOST, async || {
                if limited {
                    self.limit.lock().await.ready().await;
                }
                self.attempt(&method, path).await.with_context(|| format!("{method} {path}"))
            })
            .await
    }

    async fn attempt(&self, method: &Method, path: &'static str) -> anyhow::Result<Bytes> {
        let stream = UnixStream::connect(&self.socket).await?;
        let request = Request::builder().method(method).uri(path).header(header::HOST, "localhost");
        let answer = exchange(stream, request.body(Full::default())?).await?;
        if !answer.status().is_success() {
            bail!("status {}: {}", answer.status().as_u16(), String::from_utf8_lossy(answer.body()));
        }
        Ok(answer.into_body())
    }
}
