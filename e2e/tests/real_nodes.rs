//! The operator on real kubelets: `cargo test --test real_nodes -- --ignored --nocapture`, as root.

use std::time::{Duration, Instant};

use api::names;
use e2e::controlplane::wait::eventually;
use e2e::host::Release;
use e2e::image::Size;
use e2e::install::workspace;
use e2e::observer::Observer;
use e2e::real_nodes::{RealCluster, RealClusterOptions, table};
use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt as _;
use kube::api::ListParams;
use semver::Version;

/// A node takes half a minute on an idle machine.
const PATIENCE: Duration = Duration::from_secs(420);

fn rests_in(node: &Node, version: &Version) -> bool {
    let info = node.status.as_ref().and_then(|status| status.node_info.as_ref());
    let marked = node.annotations().contains_key(names::MARKS_ANNOTATION);
    let cordoned = node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true);
    !marked && !cordoned && info.is_some_and(|info| info.os_image.contains(&version.to_string()))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes root, runc, network plugins and the operator's image: ten minutes the first time"]
async fn three_real_nodes_are_updated_by_the_programs_in_their_pods() {
    let cluster = RealCluster::start(RealClusterOptions::default()).await.unwrap();
    let observer = Observer::start(cluster.plane.client(), names::DEFAULT_NAMESPACE);
    cluster.hosts().for_each(|host| observer.follow(host));
    let version = Version::new(1, 51, 0);
    // Before the agents look: as shipped, they look again only after minutes.
    cluster.repository.publish(Release::new(version.clone()));
    let began = Instant::now();
    println!("every pod is up {:.1?} after `kubectl apply`", cluster.install().await.unwrap());

    cluster.plane.apply_path(&workspace("samples/demo.yaml")).await.unwrap();
    let first = eventually("a node to be cordoned", PATIENCE, async || {
        let nodes = cluster.node_objects().list(&ListParams::default()).await?.items;
        let marked = nodes.iter().find(|node| node.annotations().contains_key(names::MARKS_ANNOTATION));
        Ok(marked.map(|node| node.name_any()))
    });
    println!("the first node, {}, updates after {:.1?}", first.await.unwrap(), began.elapsed());
    let updated = eventually("every node to be at rest in the new version", PATIENCE, async || {
        let nodes = cluster.node_objects().list(&ListParams::default()).await?.items;
        Ok(nodes.iter().all(|node| rests_in(node, &version)).then_some(nodes.len()))
    });
    assert_eq!(updated.await.unwrap(), 3);
    println!("three nodes run {version} {:.1?} after `kubectl apply`", began.elapsed());
    for host in cluster.hosts() {
        assert_eq!(host.boots().len(), 1, "{}", host.name());
    }
    for workload in ["deployment/brupop-controller-deployment", "deployment/brupop-apiserver", "daemonset/brupop-agent"]
    {
        cluster.rolled_out(workload).await.unwrap();
    }
    observer.settle().await;
    let report = observer.report();
    assert!(report.since.is_some() && report.breaches.is_empty(), "{:?}", report.breaches);
    println!("{}\nimage {}", table(&cluster.usage().await.unwrap()), Size(cluster.image_bytes));
}
