use std::path::Path;

use prometheus::{Registry, TextEncoder};
use runtime::server::Limits;
use runtime::tls::{CertificateReloader, Reload, TlsError, client_config, server_config};
use tempfile::TempDir;
use tokio::time::Duration;

use crate::wire::{GET, Server, exchange, handshake, hello, own_certificate};

fn write(folder: &Path, certificate: &str, key: &str) {
    std::fs::write(folder.join("tls.crt"), certificate).unwrap();
    std::fs::write(folder.join("tls.key"), key).unwrap();
}

/// Puts a new pair into the folder and returns its certificate.
fn renew(folder: &Path) -> String {
    let own = own_certificate();
    write(folder, &own.cert.pem(), &own.signing_key.serialize_pem());
    own.cert.pem()
}

fn counted(registry: &Registry, outcome: &str) -> bool {
    let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    text.contains(&format!("brupop_tls_certificate_reloads_total{outcome}\n"))
}

#[tokio::test]
async fn a_renewed_certificate_serves_new_connections_and_drops_no_open_one() {
    let folder = TempDir::new().unwrap();
    let registry = Registry::new();
    let old = renew(folder.path());
    let (serving, mut reloader) = CertificateReloader::load(folder.path(), &registry).await.unwrap();
    let server = Server::start(Some(server_config(serving).unwrap()), hello(), Limits::default());
    let mut open = handshake(server.connect().await, &old, &[]).await.unwrap();
    exchange(&mut open, GET, "hello").await;
    assert!(matches!(reloader.look().await, Reload::Unchanged));

    let new = renew(folder.path());
    assert!(matches!(reloader.look().await, Reload::Accepted));
    exchange(&mut open, GET, "hello").await;
    let mut fresh = handshake(server.connect().await, &new, &[]).await.unwrap();
    exchange(&mut fresh, GET, "hello").await;
    assert!(handshake(server.connect().await, &old, &[]).await.is_err());
    assert!(counted(&registry, r#"{outcome="accepted"} 1"#) && counted(&registry, r#"{outcome="refused"} 0"#));
}

#[tokio::test]
async fn a_broken_pair_is_refused_once_per_change_and_the_old_one_kept() {
    let folder = TempDir::new().unwrap();
    let registry = Registry::new();
    let old = renew(folder.path());
    let (serving, mut reloader) = CertificateReloader::load(folder.path(), &registry).await.unwrap();
    let server = Server::start(Some(server_config(serving).unwrap()), hello(), Limits::default());

    let (one, other) = (own_certificate(), own_certificate());
    write(folder.path(), &one.cert.pem(), &other.signing_key.serialize_pem());
    assert!(matches!(reloader.look().await, Reload::Refused(TlsError::Pair(_))));
    assert!(matches!(reloader.look().await, Reload::Unchanged));
    write(folder.path(), "", "");
    assert!(matches!(reloader.look().await, Reload::Refused(TlsError::Certificate(_))));
    std::fs::remove_file(folder.path().join("tls.key")).unwrap();
    assert!(matches!(reloader.look().await, Reload::Refused(TlsError::Read { .. })));
    assert!(matches!(reloader.look().await, Reload::Unchanged));
    assert!(counted(&registry, r#"{outcome="accepted"} 0"#) && counted(&registry, r#"{outcome="refused"} 3"#));
    handshake(server.connect().await, &old, &[]).await.unwrap();

    let new = renew(folder.path());
    assert!(matches!(reloader.look().await, Reload::Accepted));
    handshake(server.connect().await, &new, &[]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_folder_is_looked_at_by_itself_until_the_stop() {
    let folder = TempDir::new().unwrap();
    let registry = Registry::new();
    renew(folder.path());
    let (_serving, reloader) = CertificateReloader::load(folder.path(), &registry).await.unwrap();
    let change = async {
        tokio::time::sleep(Duration::from_secs(15)).await;
        renew(folder.path());
        tokio::time::sleep(Duration::from_secs(10)).await;
    };
    reloader.run(CertificateReloader::EVERY, change).await;
    assert!(counted(&registry, r#"{outcome="accepted"} 1"#));
}

#[tokio::test]
async fn a_server_does_not_start_with_a_broken_pair() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "", "");
    let refused = CertificateReloader::load(folder.path(), &Registry::new()).await.unwrap_err();
    assert_eq!(format!("{refused:#}"), "no usable certificate: no items found");
}

#[test]
fn a_bundle_without_a_usable_certificate_is_refused() {
    assert!(matches!(client_config(b""), Err(TlsError::Certificate(_))));
    assert!(matches!(client_config(b"-----BEGIN CERTIFICATE-----\nAA"), Err(TlsError::Certificate(_))));
    let junk = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(client_config(junk), Err(TlsError::Config(_))));
    let bundle = [own_certificate().cert.pem(), own_certificate().cert.pem()].concat();
    assert!(client_config(bundle.as_bytes()).is_ok());
}
