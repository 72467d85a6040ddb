//! Runs each program of an image in a root that holds nothing else: it starts, looks a name up at a name server, and knows
//! the time zones.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::resolver;
use super::root::Root;
use crate::controlplane::wait::eventually;
use crate::fleet::installation::free_ports;

/// They start within a second on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// A name that only the name server knows.
const NAME: &str = "kubernetes.example";

/// Checks the programs in a folder.
///
/// # Errors
/// When one of them does not do what it should; the message has what it wrote.
pub async fn check(programs: &Path) -> anyhow::Result<()> {
    let server = resolver::bind().await?;
    let checks = async {
        for name in super::NAMES {
            starts(programs, name).await.with_context(|| name.to_owned())?;
            looks_up(programs, name).await.with_context(|| name.to_owned())?;
        }
        knows_time_zones(programs).await.context("webhook")
    };
    tokio::select! {
        checked = checks => checked,
        ended = resolver::serve(server) => ended.context("the name server"),
    }
}

async fn starts(programs: &Path, name: &str) -> anyhow::Result<()> {
    let root = Root::of(programs, name, resolver::ADDRESS, "https://127.0.0.1:1")?;
    let status = timeout(PATIENCE, root.start(&["--version"])?.wait()).await.context("it does not end")??;
    let said = root.said();
    ensure!(status.success() && said.starts_with(name), "--version: {status}: {said}");
    Ok(())
}

/// Whether it connects to a place that it has only a name of.
async fn looks_up(programs: &Path, name: &str) -> anyhow::Result<()> {
    let place = TcpListener::bind("127.0.0.1:0").await?;
    let port = place.local_addr()?.port();
    let root = Root::of(programs, name, resolver::ADDRESS, &format!("https://{NAME}:{port}"))?;
    let [main, metrics] = free_ports()?;
    let (main, metrics, port) = (format!("127.0.0.1:{main}"), format!("127.0.0.1:{metrics}"), port.to_string());
    let mut args = match name {
        "controller" => vec!["--metrics-listen", &metrics],
        "agent" => {
            vec!["--node-name", "a", "--apiserver-host", NAME, "--apiserver-port", &port, "--health-listen", &metrics]
        }
        _ => vec!["--listen", &main, "--metrics-listen", &metrics, "--tls-dir", "/tls"],
    };
    if name == "agent" {
        args.extend([
            "--ca-file",
            "/tls/tls.crt",
            "--token-file",
            "/token",
            "--boot-id-file",
            "/token",
            "--socket",
            "/none",
        ]);
    }
    let mut program = root.start(&args)?;
    let reached = tokio::select! {
        reached = timeout(PATIENCE, place.accept()) => reached.is_ok(),
        _ = program.wait() => false,
    };
    ensure!(reached, "no connection to {NAME}: {}", root.said());
    Ok(())
}

/// Whether a time zone is known as one, and another word is refused as none.
async fn knows_time_zones(programs: &Path) -> anyhow::Result<()> {
    let root = Root::of(programs, "webhook", resolver::ADDRESS, "https://127.0.0.1:1")?;
    let [main, metrics] = free_ports()?;
    let (listen, metrics) = (format!("127.0.0.1:{main}"), format!("127.0.0.1:{metrics}"));
    let _program = root.start(&["--listen", &listen, "--metrics-listen", &metrics, "--tls-dir", "/tls"])?;
    let mut config = Config::new(format!("https://{listen}").parse()?);
    config.root_cert = Some(vec![root.certificate.der().to_vec()]);
    config.default_retry = false;
    config.proxy_url = None;
    let client = Client::try_from(config)?;
    for (zone, exists) in [("Europe/Zurich", true), ("Europe/Nowhere", false)] {
        let answer = eventually("an answer", PATIENCE, async || {
            let answer: Value = client.request(review(zone)?).await?;
            Ok(Some(answer["response"].clone()))
        });
        let answer = answer.await.with_context(|| root.said())?;
        ensure!(answer.to_string().contains("is not a time zone") != exists, "{zone}: {answer}");
    }
    Ok(())
}

fn review(zone: &str) -> anyhow::Result<http::Request<Vec<u8>>> {
    let version = format!("{}/v1alpha1", api::names::GROUP);
    let policy = json!({
        "apiVersion": version, "kind": "UpdatePolicy", "metadata": {"name": "a"},
        "spec": {"nodeSelector": {}, "schedule": {"timeZone": zone}},
    });
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "a", "name": "a", "operation": "CREATE", "userInfo": {}, "object": policy,
            "kind": {"group": api::names::GROUP, "version": "v1alpha1", "kind": "UpdatePolicy"},
            "resource": {"group": api::names::GROUP, "version": "v1alpha1", "resource": "updatepolicies"},
        },
    });
    let request = http::Request::post("/validate").header(http::header::CONTENT_TYPE, "application/json");
    Ok(request.body(review.to_string().into_bytes())?)
}
