//! The benchmark.

use std::time::Duration;

use semver::Version;
use tokio::time::sleep;

use super::args::Args;
use super::duration::UpdateDuration;
use super::follow::{Followed, begun, follow};
use super::footprint::Sampler;
use super::table::{Measured, Memory, Requests, render};
use crate::fleet::{Fleet, FleetOptions, OriginalAgents};

const OURS: &str = "node-1";
const ORIGINAL: &str = "node-2";
const NEW: Version = Version::new(1, 51, 0);
/// What agents check at in a cluster.
const CHECK_INTERVAL: Duration = Duration::from_secs(120);
/// Until what a start needs has been done.
const SETTLING: Duration = Duration::from_secs(10);

const POLICY: &str = "apiVersion: brupop.bottlerocket.aws/v1alpha1
kind: UpdatePolicy
metadata: {name: default}
spec: {nodeSelector: {}, maxConcurrentUpdates: unlimited}
";

/// Measures, and prints.
///
/// # Errors
/// When the fleet cannot be set up or an update does not end.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let original = usize::from(!args.alone);
    let fleet = Fleet::start(FleetOptions {
        nodes: 1 + original,
        check_interval: CHECK_INTERVAL,
        count_calls: true,
        release_programs: true,
        original: OriginalAgents { nodes: original, exclude_from_lb_wait: 0, faster: 1 },
        ..FleetOptions::default()
    })
    .await?;
    fleet.plane.apply(POLICY).await?;
    fleet.reported(Fleet::FIRST_REPORTS).await?;
    let sampler = Sampler::start(fleet.agent(OURS));
    sleep(SETTLING).await;
    println!("both agents are at rest; watching for {:?}", args.idle());
    sampler.take();
    let before = [counted(&fleet, OURS), counted(&fleet, if args.alone { OURS } else { ORIGINAL })];
    sleep(args.idle()).await;
    let idle_memory = sampler.take();
    let after = [counted(&fleet, OURS), counted(&fleet, if args.alone { OURS } else { ORIGINAL })];
    let idle = [less(after[0], before[0]), less(after[1], before[1])];
    println!("version {NEW} is published; agents look every {CHECK_INTERVAL:?}");
    fleet.publish(&NEW);
    let ours = async {
        let from = begun(&fleet, OURS).await?;
        sampler.take();
        let measured = update(&fleet, OURS, idle[0], args.idle(), from).await?;
        anyhow::Ok((measured, sampler.take()))
    };
    let originals = async {
        if args.alone {
            return Ok(None);
        }
        let from = begun(&fleet, ORIGINAL).await?;
        update(&fleet, ORIGINAL, idle[1], args.idle(), from).await.map(Some)
    };
    let ((measured, updating), original) = tokio::try_join!(ours, originals)?;
    println!("\n{}", render(&Memory { idle: idle_memory, updating }, &measured, original.as_ref()));
    Ok(())
}

async fn update(
    fleet: &Fleet,
    node: &str,
    idle: Requests,
    idle_for: Duration,
    from: jiff::Timestamp,
) -> anyhow::Result<Measured> {
    let before = counted(fleet, node);
    let followed = follow(fleet, node, &NEW, from).await?;
    let updating = less(counted(fleet, node), before);
    tell(node, &followed);
    let update = UpdateDuration::between(followed.from, followed.to, &fleet.host(node).record());
    Ok(Measured { idle_for, idle, updating, update })
}

/// What was seen on the way.
fn tell(node: &str, followed: &Followed) {
    println!("{node}: asked, reported, activity");
    for (at, (asked, reported, activity)) in &followed.steps {
        let since = at.duration_since(followed.from).as_secs_f64();
        let reported = reported.map_or("-", |state| state.as_str());
        let activity = activity.map_or_else(String::new, |activity| format!("{activity:?}"));
        println!("  {since:>7.2} s  {:<26} {reported:<26} {activity}", asked.as_str());
    }
    println!("  {:>7.2} s  restored", followed.to.duration_since(followed.from).as_secs_f64());
}

fn counted(fleet: &Fleet, node: &str) -> Requests {
    Requests { host: fleet.host(node).counts().total_requests(), apiserver: fleet.calls(node) }
}

fn less(after: Requests, before: Requests) -> Requests {
    Requests { host: after.host - before.host, apiserver: after.apiserver - before.apiserver }
}
