//! `cargo demo`: a fleet rolls on a real control plane, and everybody can watch.

mod args;
mod follow;
mod real;
mod screen;
mod summary;
mod view;
mod workloads;

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, ensure};
use api::names;

pub use args::Args;

use crate::controlplane::ControlPlane;
use crate::fleet::{Fleet, FleetOptions};
use crate::host::Release;
use crate::observer::{Observer, Report};
use screen::Screen;
use summary::Summary;

/// Runs the demo.
///
/// # Errors
/// When it cannot be set up, when not every node runs the new version in time, or when an invariant was broken.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let mut screen = Screen::new();
    if args.real_nodes {
        return real::run(&args, &mut screen).await;
    }
    let began = Instant::now();
    screen.line("building the programs and starting the control plane");
    let options =
        FleetOptions { nodes: args.nodes(), seed: args.seed, original: args.original(), ..FleetOptions::default() };
    let fleet = Fleet::start(options).await?;
    let observer = Observer::start(fleet.plane.client(), names::DEFAULT_NAMESPACE);
    fleet.hosts().for_each(|host| observer.follow(host));
    workloads::deploy(&fleet.plane).await?;
    fleet.reported(Fleet::FIRST_REPORTS).await?;
    screen.line(&format!("{} hosts are up after {:.1?}", args.nodes(), began.elapsed()));
    screen.line(&how_to_look_in(&fleet.plane));

    fleet.repository.publish(Release::new(args.release.clone()));
    screen.line(&format!("version {} is published; applying {}", args.release, args.policy.display()));
    apply_policy(&fleet.plane, &args.policy).await?;

    let rolling = Instant::now();
    let finished = follow::follow(&fleet.shadows(), &args, &mut screen).await;
    let makespan = rolling.elapsed();
    observer.settle().await;
    let report = observer.report();
    let metrics = fleet.apiserver_metrics().await.unwrap_or_default();
    let summary = Summary::new(&report, makespan, &metrics, fleet.boots().values().sum());
    screen.line(&summary.render());
    end(&args, &mut screen, finished, &report).await
}

/// Waits for Ctrl-C where that is wanted, and says whether all went as it should.
async fn end(args: &Args, screen: &mut Screen, finished: anyhow::Result<()>, report: &Report) -> anyhow::Result<()> {
    if args.keep {
        screen.line("the cluster stays up until Ctrl-C");
        tokio::signal::ctrl_c().await.context("cannot wait for Ctrl-C")?;
    }
    finished?;
    ensure!(report.since.is_some(), "the observer saw nothing");
    ensure!(report.breaches.is_empty(), "{} invariants were broken", report.breaches.len());
    Ok(())
}

async fn apply_policy(plane: &ControlPlane, policy: &Path) -> anyhow::Result<()> {
    // The one path in the arguments is relative to the workspace, where `cargo demo` is run from anywhere in it.
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let path = if policy.exists() { policy.to_owned() } else { workspace.join(policy) };
    plane.apply_path(&path).await.with_context(|| format!("policy {}", path.display()))
}

fn how_to_look_in(plane: &ControlPlane) -> String {
    let kubectl = plane.kubectl_path();
    let folder = kubectl.parent().unwrap_or(&kubectl);
    format!(
        "\nlook in from another terminal:\n  \
         export KUBECONFIG={} PATH={}:$PATH\n  \
         kubectl get brs -A -w\n  \
         kubectl get updatepolicies\n  \
         kubectl edit updatepolicy default\n",
        plane.kubeconfig().display(),
        folder.display(),
    )
}
