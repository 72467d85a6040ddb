//! An OCI image layout in one tar file, the same bytes for the same programs. `docker load`, `podman load` and
//! `ctr images import` take it.

use anyhow::Context;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use super::{Identity, Program, USER};

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A content-addressed part of an image.
struct Blob {
    media_type: &'static str,
    bytes: Vec<u8>,
}

impl Blob {
    fn of(media_type: &'static str, value: &Value) -> Self {
        Self { media_type, bytes: value.to_string().into_bytes() }
    }

    fn hex(&self) -> String {
        Sha256::digest(&self.bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn descriptor(&self) -> Value {
        json!({"mediaType": self.media_type, "digest": format!("sha256:{}", self.hex()), "size": self.bytes.len()})
    }
}

/// The archive of an image with these programs in its root.
///
/// # Errors
/// When a program's name is too long for a tar file.
pub fn archive(identity: &Identity, programs: &[Program]) -> anyhow::Result<Vec<u8>> {
    let layer = Blob { media_type: LAYER, bytes: layer(programs)? };
    let config = Blob::of(CONFIG, &config(identity, &layer));
    let manifest = Blob::of(
        MANIFEST,
        &json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config.descriptor(), "layers": [layer.descriptor()],
        }),
    );
    let mut descriptor = manifest.descriptor();
    descriptor["platform"] = json!({"os": "linux", "architecture": architecture()});
    let tag = identity.reference.rsplit_once(':').map_or("latest", |(_, tag)| tag);
    descriptor["annotations"] = json!({
        "io.containerd.image.name": qualified(&identity.reference), "org.opencontainers.image.ref.name": tag,
    });
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor]});

    let mut tar = Builder::new(Vec::new());
    append(&mut tar, "oci-layout", 0o644, json!({"imageLayoutVersion": "1.0.0"}).to_string().as_bytes())?;
    append(&mut tar, "index.json", 0o644, index.to_string().as_bytes())?;
    for blob in [&layer, &config, &manifest] {
        append(&mut tar, &format!("blobs/sha256/{}", blob.hex()), 0o644, &blob.bytes)?;
    }
    tar.into_inner().context("cannot finish the archive")
}

fn layer(programs: &[Program]) -> anyhow::Result<Vec<u8>> {
    let mut tar = Builder::new(Vec::new());
    for program in programs {
        append(&mut tar, &program.name, 0o755, &program.bytes)?;
    }
    tar.into_inner().context("cannot finish the layer")
}

/// A file of root's, without a time, so that equal contents are equal bytes.
fn append(tar: &mut Builder<Vec<u8>>, path: &str, mode: u32, bytes: &[u8]) -> anyhow::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(u64::try_from(bytes.len())?);
    tar.append_data(&mut header, path, bytes).with_context(|| format!("cannot add {path}"))
}

fn config(identity: &Identity, layer: &Blob) -> Value {
    json!({
        "os": "linux", "architecture": architecture(),
        "config": {
            "User": format!("{USER}:{USER}"),
            "WorkingDir": "/",
            "Cmd": identity.command,
            "Labels": identity.labels,
        },
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", layer.hex())]},
    })
}

/// What this architecture is called in images.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// A reference as container runtimes store it: a name without a registry is one of the default registry.
fn qualified(reference: &str) -> String {
    match reference.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => reference.to_owned(),
        Some(_) => format!("docker.io/{reference}"),
        None => format!("docker.io/library/{reference}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::io::Read as _;

    fn files(tar: &[u8]) -> BTreeMap<String, (u32, Vec<u8>)> {
        let mut archive = tar::Archive::new(tar);
        let files = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (entry.path().unwrap().to_str().unwrap().to_owned(), (entry.header().mode().unwrap(), bytes))
        });
        files.collect()
    }

    #[test]
    fn an_archive_leads_from_its_index_to_the_programs() {
        let programs = [Program { name: "agent".to_owned(), bytes: b"elf".to_vec() }];
        let identity = Identity::operator("operator:v1");
        let image = archive(&identity, &programs).unwrap();
        assert_eq!(image, archive(&identity, &programs).unwrap(), "the same bytes each time");
        let files_of = files(&image);
        let read = |path: &str| serde_json::from_slice::<Value>(&files_of[path].1).unwrap();
        let blob = |descriptor: &Value| {
            let digest = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap().to_owned();
            let bytes = files_of[&format!("blobs/sha256/{digest}")].1.clone();
            assert_eq!(descriptor["size"], bytes.len());
            let real: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(real, digest);
            bytes
        };
        let index = read("index.json");
        assert_eq!(index["manifests"][0]["annotations"]["io.containerd.image.name"], "docker.io/library/operator:v1");
        let manifest: Value = serde_json::from_slice(&blob(&index["manifests"][0])).unwrap();
        let config: Value = serde_json::from_slice(&blob(&manifest["config"])).unwrap();
        assert_eq!(config["config"]["User"], "65532:65532");
        let layer = blob(&manifest["layers"][0]);
        assert_eq!(config["rootfs"]["diff_ids"][0], manifest["layers"][0]["digest"]);
        let root = files(&layer);
        assert_eq!(root.len(), 1);
        assert_eq!(root["agent"], (0o755, b"elf".to_vec()));
    }

    #[test]
    fn a_reference_without_a_registry_is_one_of_the_default_registry() {
        for (reference, expected) in [
            ("operator:v1", "docker.io/library/operator:v1"),
            ("team/operator:v1", "docker.io/team/operator:v1"),
            ("registry.example.com/operator:v1", "registry.example.com/operator:v1"),
            ("localhost/operator:v1", "localhost/operator:v1"),
        ] {
            assert_eq!(qualified(reference), expected);
        }
    }
}
