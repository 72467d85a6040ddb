//! One attack after the other.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, sleep_until};

use super::args::Args;
use super::attack::{Attack, Field};
use super::gains::{Gains, Got};
use super::ledger::{Ledger, Seen};
use super::memory;
use super::table::render;
use super::victim::{Kind, Victim};

/// How long the honest load is alone before each attack.
const ALONE: Duration = Duration::from_secs(4);

/// What came of one attack.
pub(super) struct Outcome {
    pub(super) attack: &'static str,
    /// Resident memory under honest load alone, in bytes.
    pub(super) rest: u64,
    /// The most of it until the attack's end; `None`: the process has ended.
    pub(super) highest: Option<u64>,
    pub(super) got: Got,
    pub(super) honest: Vec<(Kind, Seen)>,
}

/// Runs the attacks that were asked for and prints what came of them.
///
/// # Errors
/// When an attack is unknown, or the honest load cannot be set up.
pub(crate) async fn run<V: Victim>(victim: &V, attacks: Vec<Attack>, args: &Args) -> anyhow::Result<()> {
    if cfg!(debug_assertions) {
        println!("built without optimisation: the figures say little");
    }
    let limit = memory::limit(V::DEPLOYMENT)?;
    let attacks = args.chosen(attacks)?;
    // They have machines of their own: here, at least threads.
    let attackers = Builder::new_multi_thread().worker_threads(2).enable_all().thread_name("attacker").build()?;
    let mut outcomes = Vec::new();
    for attack in &attacks {
        println!("{}: {}", attack.name, attack.what);
        let outcome = one(victim, attack, args.window(), &attackers).await;
        match outcome.with_context(|| format!("attack {}", attack.name)) {
            Ok(outcome) => outcomes.push(outcome),
            Err(error) => {
                attackers.shutdown_background();
                return Err(error);
            }
        }
    }
    attackers.shutdown_background();
    println!("\n{}", render(&outcomes, V::AIM, limit));
    Ok(())
}

async fn one<V: Victim>(victim: &V, attack: &Attack, window: Duration, attackers: &Runtime) -> anyhow::Result<Outcome> {
    victim.renew(ALONE + window).await?;
    let ledger = Ledger::default();
    let from = Instant::now() + ALONE;
    let until = from + window;
    let attacked = async {
        sleep_until(from).await;
        let rest = victim.process().resident_bytes().context("the server has ended before the attack")?;
        let gains = Arc::new(Gains::default());
        let field = Field { server: victim.server().clone(), gains: gains.clone() };
        let attack = attackers.spawn(attack.begin(field));
        sleep_until(until).await;
        let highest = victim.process().highest_resident_bytes();
        let got = gains.so_far();
        attack.abort();
        anyhow::Ok((rest, highest, got))
    };
    let ((), attacked) = tokio::join!(victim.honest(&ledger, until), attacked);
    let (rest, highest, got) = attacked?;
    let honest = V::KINDS.iter().map(|kind| (*kind, ledger.seen(kind.name, from))).collect();
    Ok(Outcome { attack: attack.name, rest, highest, got, honest })
}
