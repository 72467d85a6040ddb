//! A root in which there is nothing but one program and what Kubernetes brings it: the way to its API, a resolver's
//! configuration, the devices for random numbers.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// Mounts the devices, and becomes the program. Its first argument is the root.
const ENTER: &str = r#"root=$1; shift
for device in random urandom; do mount --bind "/dev/$device" "$root/dev/$device"; done
exec chroot "$root" "$@""#;

/// The root of one program.
pub(super) struct Root {
    folder: TempDir,
    name: String,
    /// What the program serves with and trusts.
    pub(super) certificate: rcgen::Certificate,
}

impl Root {
    /// Makes one. Names are looked up at `resolver`, and Kubernetes is at `kubernetes`.
    pub(super) fn of(programs: &Path, name: &str, resolver: &str, kubernetes: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("cannot create a root")?;
        let path = |file: &str| folder.path().join(file);
        for folder in ["dev", "etc", "tls"] {
            fs::create_dir(path(folder))?;
        }
        fs::copy(programs.join(name), path(name)).with_context(|| format!("cannot copy {name}"))?;
        let pair = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()])?;
        let kubeconfig = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: here\ncontexts: [{{name: here, context: {{cluster: here, user: here}}}}]\n\
             clusters: [{{name: here, cluster: {{server: \"{kubernetes}\", certificate-authority: /tls/tls.crt}}}}]\n\
             users: [{{name: here, user: {{token: none}}}}]\n"
        );
        for (file, text) in [
            ("dev/random", String::new()),
            ("dev/urandom", String::new()),
            ("etc/resolv.conf", format!("nameserver {resolver}\n")),
            ("tls/tls.crt", pair.cert.pem()),
            ("tls/tls.key", pair.signing_key.serialize_pem()),
            ("token", "none".to_owned()),
            ("kubeconfig", kubeconfig),
        ] {
            fs::write(path(file), text).with_context(|| format!("cannot write {file}"))?;
        }
        Ok(Self { folder, name: name.to_owned(), certificate: pair.cert })
    }

    /// Starts the program in it; it ends when what is returned is dropped.
    pub(super) fn start(&self, args: &[&str]) -> anyhow::Result<Child> {
        let log = fs::File::create(self.log())?;
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "/bin/sh", "-ec", ENTER, "sh"].map(OsStr::new));
        command.arg(self.folder.path()).arg(format!("/{}", self.name)).args(args);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("KUBECONFIG", "/kubeconfig");
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
        command.spawn().context("cannot start unshare (util-linux)")
    }

    /// What the program has written.
    pub(super) fn said(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}
