//! A host of version 1.16.1, as a machine alone or behind a socket, with simulated time.

use std::time::Duration;

use bytes::Bytes;
use e2e::host::{Deed, Host, HostOptions, Machine, Release, Repository, Timings};
use http::{Request, StatusCode};
use jiff::Timestamp;
use semver::Version;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::capture::content_length;
use super::flow::Direction;

/// Time enough for anything the recording waited for.
const A_WHILE: Duration = Duration::from_secs(30);

pub(super) struct Rig {
    pub(super) repository: Repository,
    host: Kind,
}

enum Kind {
    Direct(Box<Machine>, Timestamp),
    Socket {
        host: Host,
        /// Goes with the rig.
        _dir: TempDir,
    },
}

fn repository() -> Repository {
    Repository::of(["1.17.0", "1.16.1", "1.16.0"].map(version))
}

pub(super) fn version(text: &str) -> Version {
    text.parse().unwrap()
}

impl Rig {
    pub(super) fn direct() -> Self {
        let repository = repository();
        let image = Release::new(version("1.16.1")).image;
        let machine = Machine::new(image, repository.clone(), Timings::default(), 116);
        let now = "2026-11-22T05:34:15.000000001Z".parse().unwrap();
        Self { repository, host: Kind::Direct(Box::new(machine), now) }
    }

    pub(super) async fn socket() -> Self {
        let repository = repository();
        let dir = tempfile::tempdir().unwrap();
        let options = HostOptions::new("recorded", dir.path(), version("1.16.1"), 116);
        let host = Host::start(options, repository.clone()).await.unwrap();
        Self { repository, host: Kind::Socket { host, _dir: dir } }
    }

    pub(super) fn with<R>(&mut self, act: impl FnOnce(&mut Machine, Timestamp) -> R) -> R {
        match &mut self.host {
            Kind::Direct(machine, now) => act(machine, *now),
            Kind::Socket { host, .. } => host.with(act),
        }
    }

    pub(super) fn perform(&mut self, deed: Deed) {
        self.with(|machine, now| machine.perform(deed, now));
    }

    pub(super) async fn settle(&mut self) {
        match &mut self.host {
            Kind::Direct(machine, now) => {
                *now += A_WHILE;
                machine.advance(*now);
            }
            Kind::Socket { .. } => tokio::time::sleep(A_WHILE).await,
        }
    }

    pub(super) async fn follow(&mut self, name: &str, direction: Direction) {
        match direction {
            Direction::Settle => self.settle().await,
            Direction::Do(deed) => self.perform(deed),
            Direction::Spoil(spoil) => self.with(|machine, _| spoil(machine)),
            Direction::Publish(publish) => publish(&self.repository),
            Direction::See(see) => {
                let status = self.with(|machine, _| machine.status().cloned());
                let status = status.unwrap_or_else(|| panic!("no status before {name}"));
                see(&status);
            }
        }
    }

    /// Status line, headers and body, with the line ends of the recording.
    pub(super) async fn exchange(&mut self, method: &str, path: &str) -> String {
        match &mut self.host {
            Kind::Direct(machine, now) => {
                let request = Request::builder().method(method).uri(path).body(Bytes::new()).unwrap();
                let (head, body) = machine.request(&request, *now).answer().expect("no answer").into_parts();
                let headers = head.headers.iter().map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()));
                let headers: String = headers.collect();
                let body = std::str::from_utf8(&body).unwrap();
                format!("HTTP/1.1 {}\n{headers}date: Sun, 22 Nov 2026 05:34:15 GMT\n\n{body}", reason(head.status))
            }
            Kind::Socket { host, .. } => {
                let mut stream = UnixStream::connect(host.socket()).await.unwrap();
                // As little as the real server is content with.
                stream.write_all(format!("{method} {path} HTTP/1.1\r\n\r\n").as_bytes()).await.unwrap();
                let (head, body) = read(&mut stream).await;
                format!("{}{body}", head.replace("\r\n", "\n"))
            }
        }
    }

    pub(super) async fn body(&mut self, method: &str, path: &str) -> String {
        let answer = self.exchange(method, path).await;
        answer.split_once("\n\n").unwrap().1.to_owned()
    }
}

fn reason(status: StatusCode) -> String {
    format!("{} {}", status.as_u16(), status.canonical_reason().unwrap())
}

/// Reads one answer off a connection that stays open.
pub(super) async fn read(stream: &mut UnixStream) -> (String, String) {
    let mut bytes = Vec::new();
    loop {
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "{}", String::from_utf8_lossy(&bytes));
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8(bytes[..end + 4].to_vec()).unwrap();
        let length = content_length(&head).unwrap_or(0);
        if bytes.len() >= end + 4 + length {
            assert_eq!(bytes.len(), end + 4 + length, "more than the answer to {head}");
            return (head, String::from_utf8(bytes[end + 4..].to_vec()).unwrap());
        }
    }
}
