//! How a fleet comes up.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;
use futures::future::try_join_all;

use super::agents::{Agent, Site};
use super::installation::Installed;
use super::kubelet::Kubelet;
use super::options::FleetOptions;
use super::programs::Programs;
use super::tap::Tap;
use super::{Fleet, admission, agents, installation, nodes, original};
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
        let repository = Repository::of([options.version.clone()]);
        let hosts = (1..=options.nodes).map(|number| host(&plane, &options, &repository, number));
        let hosts = try_join_all(hosts).await?;
        let installed = installation::start_programs(&plane, &programs, &options.log_filter).await?;
        let webhook = admission::start(&plane, &programs, &options.log_filter).await?;
        let taps = taps(&options, &installed, &hosts).await?;
        let site =
            Site { plane: &plane, programs: &programs, certificates: &installed.certificates, options: &options };
        let agents = agents(site, &hosts, &taps, installed.apiserver_port).await?;
        let kubelets = hosts
            .into_iter()
            .zip(agents)
            .map(|(host, agent)| (host.name().to_owned(), Kubelet::start(plane.client(), host, agent)));
        let kubelets = kubelets.collect();
        Ok(Self {
            kubelets,
            taps,
            repository,
            controller: installed.controller,
            apiserver: installed.apiserver,
            webhook,
            controller_metrics_port: installed.controller_metrics,
            apiserver_metrics_port: installed.apiserver_metrics,
            apiserver_port: installed.apiserver_port,
            certificates: installed.certificates,
            programs,
            options,
            plane,
        })
    }
}

async fn agents(
    site: Site<'_>,
    hosts: &[Arc<Host>],
    taps: &BTreeMap<String, Tap>,
    apiserver_port: u16,
) -> anyhow::Result<Vec<Agent>> {
    let mixed = site.options.original.nodes > 0;
    let kubeconfig = if mixed { Some(original::install(site.plane).await?) } else { None };
    let agents = (1..).zip(hosts).map(async |(number, host): (usize, &Arc<Host>)| {
        let port = taps.get(host.name()).map_or(apiserver_port, Tap::port);
        match &kubeconfig {
            Some(kubeconfig) if site.options.is_original(number) => original::start(site, host, port, kubeconfig).await,
            _ => agents::start(site, host, port).await,
        }
    });
    try_join_all(agents).await
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
