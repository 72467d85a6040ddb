//! The client of the operator's apiserver: each call on a connection of its own, with the token and the authority as they lie
//! in their files at that moment, and with a deadline.

mod answer;
mod tls;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use api::BottlerocketShadow;
use api::shadow::BottlerocketShadowStatus;
use api::wire::{self, CreateBody, DrainProgress, NodeSelector, Reason};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, IF_MATCH};
use http::{HeaderValue, Method, Request, Response, StatusCode, request};
use http_body_util::Full;

pub use answer::{CallError, Found, Stored};
use answer::{parse, refused, tag};
pub use tls::TlsDial;

use crate::contact::Contact;
use crate::http::{Dial, exchange};
use crate::outcome::Drained;
use crate::step::AGENT_VERSION;

/// Until a call is answered that is not asked to wait.
const DEADLINE: Duration = Duration::from_secs(15);
/// A shadow is limited to some megabytes by Kubernetes; ours have a few kilobytes.
const LONGEST_BODY: usize = 4 << 20;

/// The apiserver, as the agent of one node calls it.
#[derive(Clone)]
pub struct Apiserver {
    dial: Arc<dyn Dial>,
    node: String,
    host: String,
    token_file: PathBuf,
    contact: Contact,
}

impl Apiserver {
    /// The apiserver behind `dial`, which answers to the name `host`.
    #[must_use]
    pub fn new(dial: Arc<dyn Dial>, host: String, node: String, token_file: PathBuf, contact: Contact) -> Self {
        Self { dial, node, host, token_file, contact }
    }

    /// Waits up to `wait` seconds for a shadow newer than `version`.
    ///
    /// # Errors
    /// When there is no answer or another refusal than that there is no shadow.
    pub async fn read_newer(&self, version: &str, wait: u32) -> Result<Found, CallError> {
        let path = format!("{}?resourceVersion={version}&timeoutSeconds={wait}", wire::NODE_RESOURCE);
        self.found(Request::get(path), DEADLINE + Duration::from_secs(wait.into())).await
    }

    /// Reads the shadow through to Kubernetes.
    ///
    /// # Errors
    /// As [`Apiserver::read_newer`].
    pub async fn read_through(&self) -> Result<Found, CallError> {
        self.found(Request::get(wire::NODE_RESOURCE).header(CACHE_CONTROL, "no-cache"), DEADLINE).await
    }

    async fn found(&self, request: request::Builder, deadline: Duration) -> Result<Found, CallError> {
        let answer = match self.call(request, Bytes::new(), deadline).await {
            Ok(answer) if answer.status() == StatusCode::NOT_MODIFIED => return Ok(Found::Unchanged),
            Ok(answer) => answer,
            Err(CallError::Refused { reason: Reason::NotFound, .. }) => return Ok(Found::Missing),
            Err(error) => return Err(error),
        };
        parse(&answer).map(|shadow| Found::Shadow(Box::new(shadow)))
    }

    /// Creates the shadow.
    ///
    /// # Errors
    /// When there is no answer or a refusal.
    pub async fn create(&self) -> Result<Box<BottlerocketShadow>, CallError> {
        let body = CreateBody { node_selector: NodeSelector { node_name: self.node.clone(), node_uid: String::new() } };
        let answer = self.call(Request::post(wire::NODE_RESOURCE), json(&body)?, DEADLINE).await?;
        parse(&answer).map(Box::new)
    }

    /// Stores a report that was computed from the shadow at `resource_version`.
    ///
    /// # Errors
    /// When there is no answer or another refusal than a conflict or a missing shadow.
    pub async fn report(&self, status: &BottlerocketShadowStatus, resource_version: &str) -> Result<Stored, CallError> {
        let request = Request::put(wire::NODE_RESOURCE).header(IF_MATCH, format!("\"{resource_version}\""));
        match self.call(request, json(status)?, DEADLINE).await {
            Ok(answer) => Ok(Stored::As(tag(&answer))),
            Err(error) => match error.reason() {
                Some(Reason::Conflict) => Ok(Stored::Conflict),
                Some(Reason::NotFound) => Ok(Stored::Missing),
                _ => Err(error),
            },
        }
    }

    /// Asks to cordon and drain, for an answer within `wait` seconds.
    ///
    /// # Errors
    /// When there is no answer or a refusal that does not concern the drain.
    pub async fn drain(&self, wait: u32) -> Result<Drained, CallError> {
        let request = Request::post(wire::CORDON_AND_DRAIN).header("prefer", format!("wait={wait}"));
        self.disrupt(request, DEADLINE + Duration::from_secs(wait.into())).await
    }

    /// Asks to take the node out of the load balancers.
    ///
    /// # Errors
    /// As [`Apiserver::drain`].
    pub async fn exclude(&self) -> Result<Drained, CallError> {
        self.disrupt(Request::post(wire::EXCLUDE_FROM_LB), DEADLINE).await
    }

    async fn disrupt(&self, request: request::Builder, deadline: Duration) -> Result<Drained, CallError> {
        match self.call(request, Bytes::new(), deadline).await {
            Ok(answer) if answer.status() == StatusCode::ACCEPTED => {
                parse::<DrainProgress>(&answer).map(Drained::Progress)
            }
            Ok(_) => Ok(Drained::Done),
            Err(error) => match error.reason() {
                Some(Reason::NoApproval) => Ok(Drained::NoApproval),
                Some(Reason::Vetoed) => Ok(Drained::Vetoed),
                Some(Reason::DrainTimedOut) => Ok(Drained::TimedOut),
                _ => Err(error),
            },
        }
    }

    /// Asks to restore the node. `false`: the apiserver does not see yet that it is to be.
    ///
    /// # Errors
    /// When there is no answer or another refusal.
    pub async fn uncordon(&self) -> Result<bool, CallError> {
        self.restore(wire::UNCORDON).await
    }

    /// Asks to let load balancers use the node again. `false`: as for [`Apiserver::uncordon`].
    ///
    /// # Errors
    /// As [`Apiserver::uncordon`].
    pub async fn include(&self) -> Result<bool, CallError> {
        self.restore(wire::REMOVE_EXCLUSION_FROM_LB).await
    }

    async fn restore(&self, path: &str) -> Result<bool, CallError> {
        match self.call(Request::post(path), Bytes::new(), DEADLINE).await {
            Ok(_) => Ok(true),
            Err(error) if error.reason() == Some(Reason::NotGivingBack) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn call(
        &self,
        request: request::Builder,
        body: Bytes,
        deadline: Duration,
    ) -> Result<Response<Bytes>, CallError> {
        let answer = self.attempt(request, body, deadline).await;
        match &answer {
            Ok(_) => self.contact.answered(),
            Err(error) if error.is_contact() => self.contact.answered(),
            Err(error) => self.contact.lost(error),
        }
        answer
    }

    async fn attempt(
        &self,
        request: request::Builder,
        body: Bytes,
        deadline: Duration,
    ) -> Result<Response<Bytes>, CallError> {
        let mut token = HeaderValue::try_from(self.token()?).map_err(|error| self.token_error(error.to_string()))?;
        token.set_sensitive(true);
        let mut request = request
            .header(HOST, &self.host)
            .header(wire::NODE_NAME_HEADER, &self.node)
            .header(wire::AGENT_VERSION_HEADER, AGENT_VERSION)
            .header(wire::TOKEN_HEADER, token)
            .body(Full::new(body))
            .map_err(|error| CallError::Nonsense(error.to_string()))?;
        if matches!(*request.method(), Method::PUT | Method::POST) {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let answer = exchange(self.dial.as_ref(), request, LONGEST_BODY, deadline).await?;
        if answer.status().is_success() || answer.status() == StatusCode::NOT_MODIFIED {
            return Ok(answer);
        }
        Err(refused(&answer))
    }

    /// The token file lies in memory, so reading it does not block.
    fn token(&self) -> Result<String, CallError> {
        match std::fs::read_to_string(&self.token_file) {
            Ok(token) => Ok(token.trim().to_owned()),
            Err(error) => Err(self.token_error(error.to_string())),
        }
    }

    fn token_error(&self, error: String) -> CallError {
        CallError::Token { path: self.token_file.clone(), error }
    }
}

fn json<T: serde::Serialize>(body: &T) -> Result<Bytes, CallError> {
    let text = serde_json::to_vec(body).map_err(|error| CallError::Nonsense(error.to_string()))?;
    Ok(text.into())
}
