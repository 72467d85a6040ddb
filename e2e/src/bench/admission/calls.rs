//! What the admission of one policy costs, beside many nodes and policies: at the webhook itself, and for somebody who asks
//! kube-apiserver, with the webhook and without it.

use std::time::{Duration, Instant};

use anyhow::ensure;
use api::{UpdatePolicy, names};
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, Config};
use serde_json::{Value, json};

use super::args::{Args, Instead};
use super::cluster::fill;
use super::hostile;
use crate::bench::quantiles::Sample;
use crate::controlplane::ControlPlane;
use crate::controlplane::wait::eventually;
use crate::fleet::Programs;
use crate::fleet::admission::{self, Webhook};

const PATIENCE: Duration = Duration::from_secs(120);
/// Calls before those that count.
const WARM_UP: usize = 50;

/// Runs the benchmark and prints a table, times in milliseconds.
///
/// # Errors
/// When the control plane cannot be had, or a call fails.
pub async fn run(args: Args) -> anyhow::Result<()> {
    if let Some(Instead::Hostile(args)) = &args.instead {
        return hostile::run(args).await;
    }
    let programs = Programs::build_only("webhook").await?;
    let plane = ControlPlane::start().await?;
    let webhook = admission::install_from(&plane, &programs).await?;
    let policies = fill(&plane, args.nodes, args.policies).await?;

    println!("{} nodes, {} policies, one call at a time, in ms", args.nodes, args.policies);
    println!("{:<58} {:>6} {:>8} {:>8} {:>8}", "", "calls", "p50", "p99", "max");
    println!("{}", direct(&webhook, &policies, &args).await?.line("webhook, over HTTPS, connection kept"));
    let with = update(&policies, &args).await?;
    println!("{}", with.line("update through kube-apiserver (dry run), with the webhook"));
    let configurations: Api<ValidatingWebhookConfiguration> = Api::all(plane.client());
    configurations.delete("brupop-updatepolicies", &DeleteParams::default()).await?;
    is_asked_no_more(&policies).await?;
    let without = update(&policies, &args).await?;
    println!("{}", without.line("update through kube-apiserver (dry run), without it"));
    Ok(())
}

fn nowhere() -> anyhow::Result<UpdatePolicy> {
    Ok(serde_json::from_value(json!({
        "apiVersion": "brupop.bottlerocket.aws/v1alpha1", "kind": "UpdatePolicy", "metadata": {"name": "probe"},
        "spec": {"nodeSelector": {}, "schedule": {"timeZone": "Nowhere"}},
    }))?)
}

const DRY_RUN: fn() -> PostParams = || PostParams { dry_run: true, ..PostParams::default() };

async fn is_asked_no_more(policies: &Api<UpdatePolicy>) -> anyhow::Result<()> {
    let probe = nowhere()?;
    eventually("the webhook to be asked no more", PATIENCE, async || {
        Ok(policies.create(&DRY_RUN(), &probe).await.is_ok().then_some(()))
    })
    .await
}

async fn timed(args: &Args, mut call: impl AsyncFnMut(usize) -> anyhow::Result<()>) -> anyhow::Result<Sample> {
    for number in 0..WARM_UP {
        call(number).await?;
    }
    let mut took = Vec::with_capacity(args.calls);
    for number in 0..args.calls {
        let began = Instant::now();
        call(number).await?;
        took.push(began.elapsed());
    }
    Ok(Sample::new(took))
}

/// Somebody edits one policy after the other.
async fn update(policies: &Api<UpdatePolicy>, args: &Args) -> anyhow::Result<Sample> {
    let dry_run = PatchParams { dry_run: true, ..PatchParams::default() };
    timed(args, async |number| {
        let name = format!("policy-{}", number % args.policies.max(1));
        let limit = Patch::Merge(json!({"spec": {"maxConcurrentUpdates": number % 90 + 1}}));
        policies.patch(&name, &dry_run, &limit).await.map(drop)?;
        Ok(())
    })
    .await
}

/// What kube-apiserver sends, sent without it.
async fn direct(webhook: &Webhook, policies: &Api<UpdatePolicy>, args: &Args) -> anyhow::Result<Sample> {
    let ca = std::fs::read_to_string(webhook.certificates.join("ca.crt"))?;
    let mut config = Config::new(format!("https://127.0.0.1:{}", webhook.port).parse()?);
    config.root_cert = Some(vec![der(&ca)?]);
    config.default_retry = false;
    config.proxy_url = None;
    let client = Client::try_from(config)?;
    // As kube-apiserver knows it, with its defaults.
    let stored = serde_json::to_value(policies.get("policy-0").await?)?;
    caches_are_full(&client, &stored, args).await?;
    timed(args, async |number| {
        let mut asked = stored.clone();
        asked["spec"]["maxConcurrentUpdates"] = json!(number % 90 + 1);
        let answer: Value = client.request(review(&asked, &stored)?).await?;
        ensure!(answer["response"]["allowed"] == true, "refused: {answer}");
        Ok(())
    })
    .await
}

/// Waits until the webhook knows every node and the last policy, by its warnings.
async fn caches_are_full(client: &Client, stored: &Value, args: &Args) -> anyhow::Result<()> {
    let mut all = stored.clone();
    all["spec"]["nodeSelector"] = json!({});
    all["spec"]["maxConcurrentUpdates"] = json!(args.nodes);
    let expected = format!("{0} of {0} nodes may be out of the load balancers", args.nodes);
    let last = format!("policy-{}", args.policies.saturating_sub(1));
    let mut tied = all.clone();
    tied["spec"]["priority"] = json!(args.policies.saturating_sub(1));
    eventually("the webhook's caches to be full", PATIENCE, async || {
        let nodes: Value = client.request(review(&all, stored)?).await?;
        let policies: Value = client.request(review(&tied, stored)?).await?;
        let full = nodes["response"]["warnings"].to_string().contains(&expected)
            && policies["response"]["warnings"].to_string().contains(&last);
        Ok(full.then_some(()))
    })
    .await
}

pub(super) fn review(new: &Value, old: &Value) -> anyhow::Result<http::Request<Vec<u8>>> {
    let kind = json!({"group": names::GROUP, "version": "v1alpha1", "kind": "UpdatePolicy"});
    let resource = json!({"group": names::GROUP, "version": "v1alpha1", "resource": "updatepolicies"});
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "kind": kind, "resource": resource, "name": "policy-0",
            "operation": "UPDATE", "userInfo": {}, "object": new, "oldObject": old,
        },
    });
    let request = http::Request::post("/validate").header(http::header::CONTENT_TYPE, "application/json");
    Ok(request.body(review.to_string().into_bytes())?)
}

/// The certificate in a PEM file.
fn der(pem: &str) -> anyhow::Result<Vec<u8>> {
    use rustls_pki_types::pem::PemObject as _;
    let certificate = rustls_pki_types::CertificateDer::from_pem_slice(pem.as_bytes());
    Ok(certificate.map_err(|error| anyhow::anyhow!("the authority's certificate: {error}"))?.to_vec())
}
