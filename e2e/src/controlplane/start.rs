//! From nothing to a ready control plane.

use std::fs;
use std::io::ErrorKind;
use std::time::Duration;

use anyhow::{Context, bail};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};

use super::assets::Assets;
use super::cache::Cache;
use super::environment::Environment;
use super::flags::{self, Ports};
use super::kubeconfig::{self, Login};
use super::pki::{self, Authority, write_private};
use super::plane::ControlPlane;
use super::ports;
use super::process::Process;
use super::site::Site;
use super::slots::Slot;
use super::stages::STAGES;
use super::underlay::Underlay;
use super::wait::eventually;

/// Two to four seconds on an idle machine, and far more beside a build that takes every processor.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often other ports are tried when somebody took one between the choice and the start.
const ATTEMPTS: usize = 3;
/// How much of a server's log an error carries.
const LOG_LINES: usize = 15;

/// The user names that Kubernetes' own role bindings know, and the group that may do anything.
const USERS: [(&str, &str, Option<&str>); 3] = [
    ("kube-controller-manager", "system:kube-controller-manager", None),
    ("kube-scheduler", "system:kube-scheduler", None),
    ("kwok", "kwok", Some(ADMINISTRATORS)),
];
const ADMINISTRATORS: &str = "system:masters";
/// What the API is called by this machine, by nodes that are real, and in their pods.
const API_NAMES: [&str; 7] = [
    "127.0.0.1",
    "localhost",
    "172.31.0.1",
    "10.96.0.1",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
];

/// Who plays the nodes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Nodes {
    /// KWOK.
    Simulated,
    /// Kubelets, in the network of the control plane.
    Real,
}

/// What has been brought up.
struct Running {
    client: Client,
    server: String,
    authority: Authority,
    underlay: Option<Underlay>,
}

pub(super) async fn start(nodes: Nodes) -> anyhow::Result<ControlPlane> {
    let environment = Environment::read()?;
    let cache = Cache::in_home(&environment.cache_home);
    let (assets, environment) =
        tokio::task::spawn_blocking(move || Assets::locate(&environment).map(|assets| (assets, environment))).await??;
    let slot = Slot::take(&cache.slots()).await?;
    let site = Site::create(assets, &environment, slot)?;
    match bring_up(&site, nodes).await {
        Ok(Running { client, server, authority: cluster_authority, underlay }) => {
            let authority = Authority::new("brupop test programs")?;
            Ok(ControlPlane { client, server, authority, cluster_authority, underlay, site })
        }
        Err(error) => {
            site.keep();
            Err(error.context("the control plane did not start"))
        }
    }
}

async fn bring_up(site: &Site, nodes: Nodes) -> anyhow::Result<Running> {
    let authority = Authority::new("brupop test cluster")?;
    write_files(site, &authority)?;
    let underlay = match nodes {
        Nodes::Simulated => None,
        Nodes::Real => Some(Underlay::create(site).await?),
    };
    let folder = &site.folder;
    for _ in 0..ATTEMPTS {
        let (ports, server, flags) = match &underlay {
            None => {
                let ports = Ports { etcd: ports::free()?, etcd_peer: ports::free()?, apiserver: ports::free()? };
                (ports, ports.apiserver_url(), flags::apiserver(folder, &ports))
            }
            Some(network) => {
                let ports = Ports::OWN_NETWORK;
                (ports, network.api_url(), flags::apiserver_for_real_nodes(folder, &ports))
            }
        };
        let client = write_kubeconfigs(site, &authority, &ports, &server).await?;
        let network = underlay.as_ref();
        let servers = [
            site.spawn_server("etcd", flags::etcd(folder, &ports), network)?,
            site.spawn_server("kube-apiserver", flags, network)?,
        ];
        if let Some(ended) = until_ready(&servers, async || answers(&client).await).await? {
            if !ports::was_taken(&ended.log_tail(LOG_LINES)) {
                return Err(unexpected_end(&ended));
            }
            for server in &servers {
                server.kill()?;
            }
            remove_data(site)?;
            continue;
        }
        start_controllers(site, &client, network).await?;
        return Ok(Running { client, server, authority, underlay });
    }
    bail!("the free ports were taken by somebody else {ATTEMPTS} times")
}

async fn start_controllers(site: &Site, client: &Client, network: Option<&Underlay>) -> anyhow::Result<()> {
    let mut servers = vec![
        site.spawn_server("kube-controller-manager", flags::controller_manager(&site.folder), network)?,
        site.spawn_server("kube-scheduler", flags::scheduler(&site.folder), network)?,
    ];
    if network.is_none() {
        servers.push(site.spawn_server("kwok", flags::kwok(&site.folder), None)?);
    }
    // Made by the controller manager, and needed by every pod.
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
    let controllers_work = async || Ok(accounts.get_opt("default").await?.is_some());
    match until_ready(&servers, controllers_work).await? {
        Some(ended) => Err(unexpected_end(&ended)),
        None => Ok(()),
    }
}

/// Asks until the answer is yes, or one of the servers has ended: then it is the one returned.
async fn until_ready(
    servers: &[Process],
    mut ready: impl AsyncFnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<Option<Process>> {
    let names: Vec<_> = servers.iter().map(Process::name).collect();
    eventually(&names.join(" and "), PATIENCE, async || {
        if let Some(ended) = servers.iter().find(|server| !server.is_running()) {
            return Ok(Some(Some(ended.clone())));
        }
        Ok(ready().await?.then_some(None))
    })
    .await
}

fn unexpected_end(server: &Process) -> anyhow::Error {
    anyhow::anyhow!("{} has ended; its log ends with\n{}", server.name(), server.log_tail(LOG_LINES))
}

async fn answers(client: &Client) -> anyhow::Result<bool> {
    let request = http::Request::get("/readyz").body(Vec::new())?;
    Ok(client.request_text(request).await? == "ok")
}

fn write_files(site: &Site, authority: &Authority) -> anyhow::Result<()> {
    let pki = |name: &str| site.folder.pki().join(name);
    let server = authority.server("kube-apiserver", &API_NAMES)?;
    let kubelet_client = authority.client("kube-apiserver-kubelet-client", Some(ADMINISTRATORS))?;
    let (private, public) = pki::signing_key()?;
    write_private(&pki("ca.crt"), &authority.certificate())?;
    write_private(&pki("apiserver.crt"), &server.certificate)?;
    write_private(&pki("apiserver.key"), &server.key)?;
    write_private(&pki("kubelet-client.crt"), &kubelet_client.certificate)?;
    write_private(&pki("kubelet-client.key"), &kubelet_client.key)?;
    write_private(&pki("sa.key"), &private)?;
    write_private(&pki("sa.pub"), &public)?;
    fs::write(site.folder.stages(), STAGES)?;
    fs::write(site.folder.audit_policy(), include_str!("audit-policy.yaml"))?;
    Ok(())
}

/// Writes everybody's kubeconfig, and returns an administrator's client.
async fn write_kubeconfigs(site: &Site, authority: &Authority, ports: &Ports, server: &str) -> anyhow::Result<Client> {
    let folder = &site.folder;
    let ca = folder.pki().join("ca.crt");
    for (name, user, group) in USERS {
        let identity = authority.client(user, group)?;
        kubeconfig::write(&folder.kubeconfig(name), &ports.apiserver_url(), &ca, &Login::Certificate(&identity))?;
    }
    let identity = authority.client("administrator", Some(ADMINISTRATORS))?;
    let path = folder.admin_kubeconfig();
    kubeconfig::write(&path, server, &ca, &Login::Certificate(&identity))?;

    let kubeconfig = Kubeconfig::read_from(&path)?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    // Tests want to see a 429 rather than wait for its end.
    config.default_retry = false;
    config.proxy_url = None;
    Client::try_from(config).context("cannot make a client of the control plane")
}

fn remove_data(site: &Site) -> anyhow::Result<()> {
    match fs::remove_dir_all(site.folder.etcd_data()) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).context("cannot remove etcd's data"),
        _ => Ok(()),
    }
}
