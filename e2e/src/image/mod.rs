//! The image, built from the local toolchain alone: an OCI archive with the four programs and nothing else.
//!
//! ```text
//! cargo, linked statically ─► Program ─► layer, config, manifest ─► index ─► archive
//!
//! Program, resolver ─► Root ─► check                 each runs in a root of its own
//! ```

mod archive;
mod check;
mod programs;
mod resolver;
mod root;

use std::collections::BTreeMap;
use std::fmt;

pub use archive::archive;
pub use check::check;
pub use programs::{NAMES, Program, programs, read};

/// Who the programs run as, user and group.
pub const USER: u32 = 65532;

/// What an image is called and says of itself.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The reference that a manifest names, such as `bottlerocket-update-operator:v0.1.0`.
    pub reference: String,
    /// What runs where a manifest names no command.
    pub command: Vec<String>,
    /// Its labels, by the names of the OCI image specification.
    pub labels: BTreeMap<&'static str, String>,
}

impl Identity {
    /// The operator's image, called so.
    #[must_use]
    pub fn operator(reference: &str) -> Self {
        let description = "Rolls Bottlerocket OS updates over a Kubernetes cluster, as policies say";
        let labels = [
            ("org.opencontainers.image.title", "bottlerocket-update-operator"),
            ("org.opencontainers.image.description", description),
            ("org.opencontainers.image.licenses", "Apache-2.0 OR MIT"),
            ("org.opencontainers.image.version", env!("CARGO_PKG_VERSION")),
        ];
        Self {
            reference: reference.to_owned(),
            command: vec!["/controller".to_owned(), "--help".to_owned()],
            labels: labels.into_iter().map(|(name, value)| (name, value.to_owned())).collect(),
        }
    }

    /// What the shipped manifest names.
    #[must_use]
    pub fn shipped() -> Self {
        Self::operator(&format!("bottlerocket-update-operator:v{}", env!("CARGO_PKG_VERSION")))
    }
}

/// A number of bytes for people.
#[derive(Clone, Copy, Debug)]
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Precise enough for a screen.
        #[expect(clippy::cast_precision_loss, reason = "sizes of programs are far below 2^52")]
        let mebibytes = self.0 as f64 / f64::from(1 << 20);
        write!(out, "{mebibytes:.1} MiB")
    }
}
