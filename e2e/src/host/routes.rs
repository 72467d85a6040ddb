//! From a request to its answer: the endpoints that concern updates and settings.
//!
//! Endpoints of the real server that an update operator has no use for (`/`, `/services`, `/metadata`, `/report`, `/exec`,
//! ...) are answered like unknown paths, and so is `/settings/keypair`, which old hosts lack.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::machine::{Machine, StatusFile};
use super::record::Client;
use super::reply::{self, Reply};
use super::status::Command;

/// An endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    Os,
    Status,
    Action(Command),
    Reboot,
    Settings,
    PatchSettings,
    Transaction,
    Transactions,
    DiscardTransaction,
    Commit,
    Apply,
    CommitAndApply,
}

fn endpoint(method: &str, path: &str) -> Option<Endpoint> {
    if let Some(command) = Command::ALL.into_iter().find(|command| command.path() == path) {
        return (method == "POST").then_some(Endpoint::Action(command));
    }
    Some(match (method, path) {
        ("GET", "/os") => Endpoint::Os,
        ("GET", "/updates/status") => Endpoint::Status,
        ("POST", "/actions/reboot") => Endpoint::Reboot,
        ("GET", "/settings") => Endpoint::Settings,
        ("PATCH", "/settings") => Endpoint::PatchSettings,
        ("GET", "/tx") => Endpoint::Transaction,
        ("GET", "/tx/list") => Endpoint::Transactions,
        ("DELETE", "/tx") => Endpoint::DiscardTransaction,
        ("POST", "/tx/commit") => Endpoint::Commit,
        ("POST", "/tx/apply") => Endpoint::Apply,
        ("POST", "/tx/commit_and_apply") => Endpoint::CommitAndApply,
        _ => return None,
    })
}

/// Query parameters; of several with one name the last counts.
pub(super) type Query = BTreeMap<String, String>;

impl Machine {
    pub(super) fn route(&mut self, request: &Request<Bytes>, client: Client, now: Timestamp) -> Reply {
        if !self.power.answers() {
            return Reply::HangUp;
        }
        let path = request.uri().path();
        let endpoint = endpoint(request.method().as_str(), path);
        if client == Client::Socket {
            self.record.counts_mut().count_request(request.method(), path, endpoint.is_some());
            if let Some(mangled) = self.faults.answers.get(path) {
                return mangled.reply();
            }
        }
        let query = request.uri().query().unwrap_or_default();
        let query: Query = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let transaction = query.get("tx").map_or("default", String::as_str);
        Reply::Answer(match endpoint {
            None => reply::unknown(),
            Some(Endpoint::Action(command)) => return self.command(command, client, now),
            Some(Endpoint::Reboot) => return self.reboot(client, now),
            Some(Endpoint::Os) => self.os(&query),
            Some(Endpoint::Status) => self.show_status(),
            Some(Endpoint::Settings) => self.settings(&query),
            Some(Endpoint::PatchSettings) => self.patch_settings(request, transaction),
            Some(Endpoint::Transaction) => reply::ok_json(&self.datastore.pending(transaction)),
            Some(Endpoint::Transactions) => reply::ok_json(&self.datastore.transactions()),
            Some(Endpoint::DiscardTransaction) => reply::ok_json(&self.datastore.discard(transaction)),
            Some(Endpoint::Commit) => self.commit(transaction, false, client, now),
            Some(Endpoint::CommitAndApply) => self.commit(transaction, true, client, now),
            Some(Endpoint::Apply) => self.apply(&query, now),
        })
    }

    fn os(&self, query: &Query) -> Response<Bytes> {
        let prefix = query.get("prefix").map(String::as_str);
        let release = |field_prefix| reply::ok_json(&Value::Object(self.disk.running().os_release(field_prefix)));
        match prefix {
            None => release(""),
            Some("") => empty_input("prefix"),
            Some(prefix) if !prefix.starts_with("os") => release(prefix),
            Some("os" | "os.") => release(""),
            Some(prefix) => match prefix.strip_prefix("os.") {
                Some(field_prefix) => release(field_prefix),
                None => reply::ok_json(&Value::Object(Map::new())),
            },
        }
    }

    fn show_status(&self) -> Response<Bytes> {
        if self.faults.no_lock_folder {
            let words = "Unable to open update lock file: No such file or directory (os error 2)";
            return reply::bare(StatusCode::INTERNAL_SERVER_ERROR, words);
        }
        if self.worker.is_some() {
            let words = "Unable to obtain shared lock for reading update status: Resource temporarily unavailable (os error 11)";
            return reply::bare(StatusCode::LOCKED, words);
        }
        match &self.status {
            StatusFile::Present(status) => reply::ok_json(status),
            StatusFile::Corrupt => reply::bare(StatusCode::INTERNAL_SERVER_ERROR, "Update dispatcher failed"),
            StatusFile::Absent => {
                let words = "Update status is uninitialized, refresh-updates to initialize it";
                reply::bare(StatusCode::NOT_FOUND, words)
            }
        }
    }
}

pub(super) fn empty_input(name: &str) -> Response<Bytes> {
    reply::bare(StatusCode::BAD_REQUEST, format!("Input '{name}' cannot be empty"))
}
