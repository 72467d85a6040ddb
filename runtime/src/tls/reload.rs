//! The certificate a server presents, kept up to date with a mounted folder.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus::{IntCounterVec, Opts, Registry};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::time::{MissedTickBehavior, interval};

use super::TlsError;
use super::pair::Pair;

/// The certificate that the next handshake presents. Open connections keep the one they began with.
#[derive(Debug)]
pub struct ServingCertificate(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for ServingCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// Watches the folder a [`ServingCertificate`] came from.
pub struct CertificateReloader {
    folder: PathBuf,
    serving: Arc<ServingCertificate>,
    /// What was last judged, whether it is served or was refused: each change is judged, logged and counted once.
    seen: Seen,
    reloads: IntCounterVec,
}

#[derive(Eq, PartialEq)]
enum Seen {
    Pair(Pair),
    Unreadable(String),
}

/// What one look at the folder came to.
#[derive(Debug)]
pub enum Reload {
    /// Nothing has changed since the last look.
    Unchanged,
    /// A new pair is served from now on.
    Accepted,
    /// What is there now cannot be served; the pair before it still is.
    Refused(TlsError),
}

impl CertificateReloader {
    /// How often [`CertificateReloader::run`] looks, unless there is a reason for something else. A kubelet takes up to a
    /// minute to bring a changed Secret to the folder, so this adds little.
    pub const EVERY: Duration = Duration::from_secs(10);

    /// Reads `tls.crt` (the chain, the server's own first) and `tls.key` (PKCS#8, PKCS#1 or SEC1) from a folder, and
    /// registers the metric `brupop_tls_certificate_reloads_total` with the label `outcome` (`accepted`, `refused`).
    ///
    /// # Errors
    /// When the folder has no pair that can be served, or the metric is already registered.
    pub async fn load(folder: &Path, registry: &Registry) -> anyhow::Result<(Arc<ServingCertificate>, Self)> {
        let pair = Pair::read(folder).await?;
        let serving = Arc::new(ServingCertificate(ArcSwap::from_pointee(pair.certified()?)));
        let help = "Changes of the mounted TLS certificate, by what became of them.";
        let reloads = IntCounterVec::new(Opts::new("brupop_tls_certificate_reloads_total", help), &["outcome"])?;
        for outcome in ["accepted", "refused"] {
            reloads.with_label_values(&[outcome]);
        }
        registry.register(Box::new(reloads.clone()))?;
        let reloader = Self { folder: folder.to_owned(), serving: serving.clone(), seen: Seen::Pair(pair), reloads };
        Ok((serving, reloader))
    }

    /// Looks at the folder again and again until `stop` resolves.
    pub async fn run(mut self, every: Duration, stop: impl Future<Output = ()>) {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let looking = async {
            loop {
                ticks.tick().await;
                self.look().await;
            }
        };
        tokio::select! {
            () = stop => {}
            () = looking => {}
        }
    }

    /// Looks at the folder once. A new pair is served if it can be; a refusal is logged.
    pub async fn look(&mut self) -> Reload {
        let (seen, certified) = match Pair::read(&self.folder).await {
            Err(TlsError::Changing { .. }) => return Reload::Unchanged,
            Err(error) => (Seen::Unreadable(causes(&error)), Err(error)),
            Ok(pair) => {
                let certified = pair.certified();
                (Seen::Pair(pair), certified)
            }
        };
        if seen == self.seen {
            return Reload::Unchanged;
        }
        self.seen = seen;
        match certified {
            Ok(certified) => {
                self.serving.0.store(Arc::new(certified));
                self.reloads.with_label_values(&["accepted"]).inc();
                tracing::info!(folder = %self.folder.display(), "serving a new certificate");
                Reload::Accepted
            }
            Err(error) => {
                self.reloads.with_label_values(&["refused"]).inc();
                let error_chain = causes(&error);
                tracing::error!(folder = %self.folder.display(), error = error_chain, "new certificate refused");
                Reload::Refused(error)
            }
        }
    }
}

/// An error and what caused it, in one line.
fn causes(error: &TlsError) -> String {
    anyhow::Chain::new(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Without the key.
impl fmt::Debug for CertificateReloader {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("CertificateReloader").field("folder", &self.folder).finish_non_exhaustive()
    }
}
