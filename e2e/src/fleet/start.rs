//! How a fleet comes up.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;
use futures::future::try_join_all;

use super::agents::Choice;
use super::installation::Installed;
use super::kubelet::Kubelet;
use super::options::FleetOptions;
use super::programs::Programs;
use super::takeover::{Agentless, Bare};
use super::tap::Tap;
use super::{Fleet, installation, nodes, original};
use crate::controlplane::ControlPlane;
use crate::host::{Host, HostOptions, Repository};

impl Fleet {
    /// Builds the programs, starts the control plane and the hosts, installs the operator and starts its programs, one agent
    /// for each host. There is no policy yet.
    ///
    /// # Errors
    /// When any of that fails; the message says what.
    pub async fn start(options: FleetOptions) -> anyhow::Result<Self> {
        let programs = if options.release_programs {
            Programs::for_release(options.original.nodes > 0).await?
        } else {
            Programs::build().await?
        };
        let plane = ControlPlane::start().await?;
        installation::apply_manifests(&plane).await?;
        let ready = Bare::on(plane, programs, options).await?.run_programs().await?;
        let Bare { options, hosts, .. } = &ready.cluster;
        let taps = taps(options, &ready.installed, hosts).await?;
        let kubelets = kubelets(&ready, &taps).await?;
        Ok(ready.with_kubelets(kubelets, taps))
    }
}

async fn kubelets(ready: &Agentless, taps: &BTreeMap<String, Tap>) -> anyhow::Result<Vec<Kubelet>> {
    let Bare { options, hosts, plane, .. } = &ready.cluster;
    let originals = if options.original.nodes > 0 { Some(original::install(plane).await?) } else { None };
    let kubelets = (1..).zip(hosts).map(|(number, host): (usize, &Arc<Host>)| {
        let port = taps.get(host.name()).map_or(ready.installed.apiserver_port, Tap::port);
        let choice = match &originals {
            Some(kubeconfig) if options.is_original(number) => Choice::Original(kubeconfig.clone()),
            _ => Choice::Ours,
        };
        Kubelet::start(ready.launcher(host, port, choice))
    });
    try_join_all(kubelets).await
}

async fn taps(
    options: &FleetOptions,
    installed: &Installed,
    hosts: &[Arc<Host>],
) -> anyhow::Result<BTreeMap<String, Tap>> {
    let mut taps = BTreeMap::new();
    for host in hosts.iter().filter(|_| options.count_calls) {
        taps.insert(host.name().to_owned(), Tap::before(installed.apiserver_port).await?);
    }
    Ok(taps)
}

/// A host that is up, and its Node.
pub(super) async fn host(
    plane: &ControlPlane,
    options: &FleetOptions,
    repository: &Repository,
    number: usize,
) -> anyhow::Result<Arc<Host>> {
    let name = format!("node-{number}");
    let seed = options.seed.wrapping_mul(1_000).wrapping_add(u64::try_from(number)?);
    let folder = plane.dir().join("hosts").join(&name);
    let made =
        HostOptions { timings: options.timings, ..HostOptions::new(&name, folder, options.version.clone(), seed) };
    let host = Host::start(made, repository.clone()).await?;
    let state = host.state();
    let labels = (options.labels)(number);
    nodes::create(plane, &name, &labels, &state.boot_id, &state.version).await.context("simulated host")?;
    Ok(Arc::new(host))
}
