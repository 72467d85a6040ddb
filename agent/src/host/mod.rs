//! The client of a Bottlerocket host's local update API: HTTP/1.1 over a unix socket, typed answers, no decisions.
//!
//! ```text
//! GET  /os                                                   200
//! GET  /updates/status                                       200 | 404 none since the boot | 423 a command runs | 500
//! POST /actions/{refresh,prepare,activate,deactivate}-update 204 begun | 423 | 409 | 404 | 500
//! POST /actions/reboot                                       204 | 500
//! GET  /settings, PATCH /settings, POST /tx/commit_and_apply see `settings`
//! ```

mod settings;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use semver::Version;
use serde::Deserialize;
use tokio::net::UnixStream;

use crate::http::{Dial, Dialing, NoAnswer, Stream, exchange};
use crate::observe;
use crate::outcome::Asked;
use crate::updates::{Command, UpdateStatus, Updates};

/// The server has one thread; it answers in milliseconds unless it is stuck.
const DEADLINE: Duration = Duration::from_secs(10);
/// A reboot is answered when `systemctl reboot` returns.
const REBOOT_DEADLINE: Duration = Duration::from_secs(40);
/// A status has some kilobytes; the standard error of the last command, which is part of it, has no limit.
const LONGEST_BODY: usize = 1 << 20;
/// Longest text taken over from a refusal, in characters.
const LONGEST_TEXT: usize = 200;

/// A host.
#[derive(Clone)]
pub struct BottlerocketHost {
    dial: Arc<dyn Dial>,
}

/// A unix socket by its path, so that a socket that was re-created is found.
struct Socket(PathBuf);

impl Dial for Socket {
    fn dial(&self) -> Dialing<'_> {
        Box::pin(async { Ok(Box::new(UnixStream::connect(&self.0).await?) as Box<dyn Stream>) })
    }
}

#[derive(Deserialize)]
struct Os {
    version_id: Version,
}

impl BottlerocketHost {
    /// The host behind a socket.
    #[must_use]
    pub fn at(socket: PathBuf) -> Self {
        Self::over(Arc::new(Socket(socket)))
    }

    /// The host behind connections of another kind.
    #[must_use]
    pub fn over(dial: Arc<dyn Dial>) -> Self {
        Self { dial }
    }

    /// Asks for the running version, which does not change under one boot.
    ///
    /// # Errors
    /// The host as it is to be observed when it gives no answer.
    pub async fn running(&self) -> Result<Version, observe::Host> {
        let answer = self.ask(Method::GET, "/os", DEADLINE).await.map_err(|error| away(&error))?;
        let os = serde_json::from_slice::<Os>(answer.body());
        match (answer.status(), os) {
            (StatusCode::OK, Ok(os)) => Ok(os.version_id),
            (StatusCode::OK, Err(error)) => Err(silent(format!("/os cannot be read: {error}"))),
            _ => Err(silent(format!("/os: {}", refusal(&answer)))),
        }
    }

    /// Asks for the update status.
    ///
    /// # Errors
    /// The host as it is to be observed when it gives no answer.
    pub async fn updates(&self) -> Result<Updates, observe::Host> {
        let answer = match self.ask(Method::GET, "/updates/status", DEADLINE).await {
            Ok(answer) => answer,
            Err(NoAnswer::Body(error)) => return Ok(Updates::Unreadable(error.to_string())),
            Err(error) => return Err(away(&error)),
        };
        Ok(match answer.status() {
            StatusCode::OK => match serde_json::from_slice::<UpdateStatus>(answer.body()) {
                Ok(status) => Updates::Known(Box::new(status)),
                Err(error) => Updates::Unreadable(error.to_string()),
            },
            StatusCode::LOCKED => Updates::Busy,
            // An unknown path has no body.
            StatusCode::NOT_FOUND if !answer.body().is_empty() => Updates::Uninitialised,
            _ => Updates::Unreadable(refusal(&answer)),
        })
    }

    /// Asks for an action. That it has begun says nothing about its outcome.
    pub async fn command(&self, command: Command) -> Asked {
        let path = match command {
            Command::Refresh => "/actions/refresh-updates",
            Command::Prepare => "/actions/prepare-update",
            Command::Activate => "/actions/activate-update",
            Command::Deactivate => "/actions/deactivate-update",
            Command::Other => return Asked::Failed("there is no such action".to_owned()),
        };
        self.post(path, DEADLINE).await
    }

    /// Asks for a reboot.
    pub async fn reboot(&self) -> Asked {
        self.post("/actions/reboot", REBOOT_DEADLINE).await
    }

    async fn post(&self, path: &'static str, deadline: Duration) -> Asked {
        let answer = match self.ask(Method::POST, path, deadline).await {
            Ok(answer) => answer,
            Err(NoAnswer::Connect(error)) => return Asked::Failed(format!("cannot connect: {error}")),
            Err(error) => return Asked::NoAnswer(error.to_string()),
        };
        match answer.status() {
            StatusCode::NO_CONTENT | StatusCode::OK | StatusCode::ACCEPTED => Asked::Started,
            StatusCode::LOCKED => Asked::Busy,
            StatusCode::CONFLICT => Asked::NotAllowed,
            StatusCode::NOT_FOUND if answer.body().is_empty() => Asked::Unsupported(refusal(&answer)),
            StatusCode::NOT_FOUND => Asked::Gone(refusal(&answer)),
            StatusCode::INTERNAL_SERVER_ERROR
                if answer.body().starts_with(b"Unable to start the update dispatcher") =>
            {
                Asked::Unsupported(refusal(&answer))
            }
            _ => Asked::Failed(refusal(&answer)),
        }
    }

    async fn ask(&self, method: Method, path: &'static str, deadline: Duration) -> Result<Response<Bytes>, NoAnswer> {
        let mut request = Request::new(Full::default());
        *request.method_mut() = method;
        *request.uri_mut() = http::Uri::from_static(path);
        self.send(request, deadline).await
    }

    async fn send(&self, mut request: Request<Full<Bytes>>, deadline: Duration) -> Result<Response<Bytes>, NoAnswer> {
        request.headers_mut().insert(http::header::HOST, http::HeaderValue::from_static("localhost"));
        exchange(self.dial.as_ref(), request, LONGEST_BODY, deadline).await
    }
}

fn away(error: &NoAnswer) -> observe::Host {
    let refused = matches!(error, NoAnswer::Connect(_));
    observe::Host::Away { why: error.to_string(), refused }
}

fn silent(why: String) -> observe::Host {
    observe::Host::Away { why, refused: false }
}

/// Status and text of a refusal.
fn refusal(answer: &Response<Bytes>) -> String {
    let text = String::from_utf8_lossy(answer.body());
    let text: String = text.trim().chars().take(LONGEST_TEXT).collect();
    if text.is_empty() { answer.status().to_string() } else { text }
}
