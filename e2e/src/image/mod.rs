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
    /// The version of the programs.
    pub version: String,
}

impl Default for Identity {
    /// What the shipped manifest names.
    fn default() -> Self {
        let version = env!("CARGO_PKG_VERSION");
        Self { reference: format!("bottlerocket-update-operator:v{version}"), version: version.to_owned() }
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
