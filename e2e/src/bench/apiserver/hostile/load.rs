//! The honest load: agents that report, wait and come with new tokens, each from an address of its own.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agent::apiserver::{Apiserver, Found};
use agent::http::exchange;
use anyhow::Context;
use api::wire::PING;
use bytes::Bytes;
use futures::future::join_all;
use http::Request;
use http::header::HOST;
use http_body_util::Full;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::super::reports::one;
use super::super::site::{Caller, Site, each};
use crate::bench::hostile::{From, Kind, Ledger, Server, Victim, every, honest};
use crate::controlplane::Process;
use crate::fleet::APISERVER_NAME;
use crate::fleet::installation::ready;

const PING_EVERY: Duration = Duration::from_millis(200);
const NEW_TOKEN_EVERY: Duration = Duration::from_millis(250);
const REPORT_EVERY: Duration = Duration::from_secs(2);
/// How long an agent's long poll waits, in seconds, and the pause before it asks again where it was refused.
const POLL: u32 = 60;
const POLL_AGAIN: Duration = Duration::from_secs(1);
/// Until somebody who asks /ping gives up, as an agent does.
const PATIENCE: Duration = Duration::from_secs(15);
/// The addresses of those who ask /ping: beyond those of the agents.
const PINGERS: u16 = 1000;

/// A replica with agents.
pub(super) struct Attacked {
    site: Site,
    /// Whose token was stolen: no part of the honest load.
    stolen: Caller,
    /// Agents whose tokens nobody has reviewed yet.
    unknown: Mutex<VecDeque<Apiserver>>,
}

impl Attacked {
    pub(super) fn new(mut site: Site) -> anyhow::Result<Self> {
        let stolen = site.callers.pop().context("no agents")?;
        Ok(Self { site, stolen, unknown: Mutex::default() })
    }

    pub(super) const fn stolen(&self) -> &Caller {
        &self.stolen
    }

    async fn pings(&self, ledger: &Ledger, until: Instant) {
        let from = |number: usize| honest(PINGERS + u16::try_from(number % 8).unwrap_or(0));
        every(PING_EVERY, until, |number| ping(self.site.server.clone(), from(number), ledger.clone())).await;
    }

    async fn new_tokens(&self, ledger: &Ledger, until: Instant) {
        every(NEW_TOKEN_EVERY, until, |_| {
            let unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            introduce(unknown, ledger.clone())
        })
        .await;
    }

    async fn reports(&self, ledger: &Ledger, until: Instant) {
        let all = self.site.callers.iter().map(async |caller| {
            sleep(REPORT_EVERY.mul_f64(fastrand::f64())).await;
            let (mut version, mut number) = (None, fastrand::u64(1 << 32..1 << 40));
            while Instant::now() < until {
                let begun = Instant::now();
                number += 1;
                let stored = one(caller, number, &mut version).await;
                ledger.note("report", begun, stored.map(drop).ok_or_else(|| "not stored".to_owned()));
                sleep_until(begun + REPORT_EVERY).await;
            }
        });
        join_all(all).await;
    }

    /// Every agent waits for a change all the time.
    async fn polls(&self, ledger: &Ledger, until: Instant) {
        let all =
            self.site.callers.iter().map(|caller| timeout_at(until, poll(caller.apiserver.clone(), ledger.clone())));
        join_all(all).await;
    }
}

impl Victim for Attacked {
    const DEPLOYMENT: &'static str = "brupop-apiserver";
    const KINDS: &'static [Kind] = &[
        Kind { name: "ping", timed: true },
        Kind { name: "report", timed: true },
        Kind { name: "new token", timed: true },
        Kind { name: "long poll", timed: false },
    ];
    const AIM: Duration = Duration::from_secs(1);

    fn process(&self) -> &Process {
        &self.site.replica.process
    }

    fn server(&self) -> &Arc<Server> {
        &self.site.server
    }

    async fn renew(&self, load: Duration) -> anyhow::Result<()> {
        self.site.replica.process.restart()?;
        ready(&self.site.replica.process, self.site.replica.metrics_port).await?;
        let wanted = load.as_millis() / NEW_TOKEN_EVERY.as_millis() + 1;
        let callers: Vec<_> = self.site.callers.iter().cycle().take(usize::try_from(wanted)?).collect();
        let unknown = each(&callers, async |caller| self.site.with_a_new_token(caller).await).await?;
        *self.unknown.lock().unwrap_or_else(PoisonError::into_inner) = unknown.into();
        Ok(())
    }

    async fn honest(&self, ledger: &Ledger, until: Instant) {
        tokio::join!(
            self.pings(ledger, until),
            self.new_tokens(ledger, until),
            self.reports(ledger, until),
            self.polls(ledger, until)
        );
    }
}

async fn ping(server: Arc<Server>, address: std::net::Ipv4Addr, ledger: Ledger) {
    let begun = Instant::now();
    let asked = async {
        let request = Request::get(PING).header(HOST, APISERVER_NAME).body(Full::new(Bytes::new()));
        let request = request.map_err(|error| error.to_string())?;
        let answer = exchange(&From { server, address }, request, 1024, PATIENCE).await;
        let status = answer.map_err(|error| error.to_string())?.status();
        if status.is_success() { Ok(()) } else { Err(status.to_string()) }
    };
    ledger.note("ping", begun, asked.await);
}

/// The first call of an agent that nobody knows yet.
async fn introduce(unknown: Option<Apiserver>, ledger: Ledger) {
    let Some(agent) = unknown else { return };
    let begun = Instant::now();
    let outcome = match agent.read_through().await {
        Ok(Found::Shadow(_)) => Ok(()),
        Ok(_) => Err("no shadow".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    ledger.note("new token", begun, outcome);
}

async fn poll(agent: Apiserver, ledger: Ledger) {
    let mut known = String::from("0");
    loop {
        let begun = Instant::now();
        match agent.read_newer(&known, POLL).await {
            Ok(found) => {
                if let Found::Shadow(shadow) = found {
                    known = shadow.metadata.resource_version.unwrap_or_default();
                }
                ledger.note("long poll", begun, Ok(()));
            }
            Err(error) => {
                ledger.note("long poll", begun, Err(error.to_string()));
                sleep(POLL_AGAIN).await;
            }
        }
    }
}
