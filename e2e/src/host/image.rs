//! What names an operating system image.

use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// An image; the field order is that of the update status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Architecture, as in `x86_64`.
    pub arch: String,
    /// Version, without a leading `v`.
    pub version: Version,
    /// Variant, as in `aws-k8s-1.28`.
    pub variant: String,
}

impl Image {
    /// What `GET /os` says while this image runs: the fields whose name begins with `prefix`.
    pub(super) fn os_release(&self, prefix: &str) -> Map<String, Value> {
        let Self { arch, version, variant } = self;
        [
            ("arch", arch.clone()),
            ("build_id", "deadbeef".to_owned()),
            ("pretty_name", format!("Bottlerocket OS {version} ({variant})")),
            ("variant_id", variant.clone()),
            ("version_id", version.to_string()),
        ]
        .into_iter()
        .filter(|(field, _)| field.starts_with(prefix))
        .map(|(field, value)| (field.to_owned(), Value::String(value)))
        .collect()
    }
}
