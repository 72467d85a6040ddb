//! The same on real kubelets.

use std::time::Instant;

use api::{BottlerocketShadow, names};
use kube::Api;

use super::args::Args;
use super::screen::Screen;
use super::summary::Summary;
use super::{apply_policy, end, follow, how_to_look_in};
use crate::host::Release;
use crate::image::Size;
use crate::observer::Observer;
use crate::real_nodes::{RealCluster, RealClusterOptions, available, table};

pub(super) async fn run(args: &Args, screen: &mut Screen) -> anyhow::Result<()> {
    available()?;
    let began = Instant::now();
    screen.line("building the image and starting real nodes: ten minutes the first time");
    let nodes = u8::try_from(args.nodes())?;
    let cluster = RealCluster::start(RealClusterOptions { nodes, ..RealClusterOptions::default() }).await?;
    screen.line(&format!(
        "{nodes} nodes are Ready after {:.1?}; the image has {}",
        began.elapsed(),
        Size(cluster.image_bytes)
    ));
    screen.line(&how_to_look_in(&cluster.plane));
    // Before the agents look: as shipped, they look again only after minutes.
    cluster.repository.publish(Release::new(args.release.clone()));
    let observer = Observer::start(cluster.plane.client(), names::DEFAULT_NAMESPACE);
    cluster.hosts().for_each(|host| observer.follow(host));
    let took = cluster.install().await?;
    screen.line(&format!("every pod is up {took:.1?} after `kubectl apply`; applying {}", args.policy.display()));
    apply_policy(&cluster.plane, &args.policy).await?;

    let rolling = Instant::now();
    let shadows: Api<BottlerocketShadow> = Api::namespaced(cluster.plane.client(), names::DEFAULT_NAMESPACE);
    let finished = follow::follow(&shadows, args, screen).await;
    let makespan = rolling.elapsed();
    observer.settle().await;
    let report = observer.report();
    let boots = cluster.hosts().map(|host| host.boots().len()).sum();
    screen.line(&Summary::new(&report, makespan, "", boots).render());
    match cluster.usage().await {
        Ok(usage) => screen.line(&table(&usage)),
        Err(error) => screen.line(&format!("what the pods take is not known: {error:#}")),
    }
    end(args, screen, finished, &report).await
}
