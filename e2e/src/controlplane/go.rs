//! The Go compiler.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use super::screen::Progress;
use super::spawner;
use super::toolset::{CONTROL_PLANE, Toolset};

/// A cold build takes five minutes on two idle processors, the download of the modules one more; a slow or busy machine gets
/// ten times that.
pub(super) const DEADLINE: Duration = Duration::from_secs(60 * 60);
/// How often there is a line while building.
const PROGRESS: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(200);
/// How many of the compiler's last lines an error carries.
const ERROR_LINES: usize = 20;

/// Fails with one sentence that says what to install on a machine without the compiler.
pub(super) fn require() -> anyhow::Result<()> {
    let mut version = Command::new("go");
    version.arg("version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match version.status() {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => bail!(
            "there is no `go` in the PATH: install Go 1.26 or newer (https://go.dev/dl), or let KUBEBUILDER_ASSETS name a folder \
             with {}",
            CONTROL_PLANE.programs.join(", ")
        ),
        Err(error) => Err(error).context("cannot start go"),
    }
}

/// Builds the tools of the module in `folder` into `bin`, with progress on the screen.
pub(super) fn install_tools(folder: &Path, bin: &Path, tools: &Toolset, started: Instant) -> anyhow::Result<()> {
    let version = kubernetes_version(tools.go_mod);
    let mut go = spawner::interrupted("go");
    go.args(["install", "-v", "-trimpath", "-ldflags", &linker_flags(version), "tool"]);
    go.current_dir(folder).env("GOBIN", bin).env("CGO_ENABLED", "0").env("GOWORK", "off");
    // Programs for this machine, whatever the caller is used to cross-compile.
    go.env_remove("GOOS").env_remove("GOARCH");
    go.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());

    let mut child = spawner::spawn(go)?;
    let stderr = child.stderr.take().context("go has no standard error")?;
    let packages = AtomicUsize::new(0);
    let mut progress = Progress::new(started, PROGRESS);
    thread::scope(|scope| {
        let reader = scope.spawn(|| last_lines(stderr, &packages));
        let status = loop {
            if let Some(status) = child.try_wait().context("cannot wait for go")? {
                break status;
            }
            if started.elapsed() > DEADLINE {
                child.kill().context("cannot stop go")?;
            }
            let compiled = packages.load(Ordering::Relaxed);
            progress.say(|elapsed| format!("building {}: {elapsed}, {compiled} packages", tools.title));
            thread::sleep(POLL);
        };
        let lines = Vec::from(reader.join().unwrap_or_default()).join("\n");
        ensure!(status.success(), "go install ended with {status}:\n{lines}");
        Ok(())
    })
}

/// The folder that Go keeps a module in: of one that the module in `folder` requires, or of one with a version of its own, which
/// is fetched and held against `go.sum`.
pub(super) fn module_folder(folder: &Path, module: &str) -> anyhow::Result<PathBuf> {
    if module.contains('@') {
        let answer: Value = serde_json::from_str(&answer(folder, &["mod", "download", "-json", module])?)?;
        return answer["Dir"].as_str().map(PathBuf::from).with_context(|| format!("go has no folder of {module}"));
    }
    Ok(PathBuf::from(answer(folder, &["list", "-m", "-f", "{{.Dir}}", module])?.trim()))
}

fn answer(folder: &Path, args: &[&str]) -> anyhow::Result<String> {
    let mut go = Command::new("go");
    go.args(args).current_dir(folder).env("GOWORK", "off").stdin(Stdio::null());
    let output = go.output().context("cannot start go")?;
    // With `-json` errors are on the standard output.
    let (error, text) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    ensure!(output.status.success(), "go {}: {} {}", args.join(" "), error.trim(), text.trim());
    Ok(text.into_owned())
}

/// The version of Kubernetes that `go.mod` pins, such as `v1.36.3`.
fn kubernetes_version(go_mod: &str) -> Option<&str> {
    let version = go_mod.lines().find_map(|line| line.trim().strip_prefix("k8s.io/kubernetes "))?;
    version.split_whitespace().next()
}

/// Strips the programs, and stamps Kubernetes' own with their version: otherwise they call themselves `v0.0.0-master`.
fn linker_flags(version: Option<&str>) -> String {
    let Some(version) = version else {
        return "-s -w".to_owned();
    };
    let mut parts = version.trim_start_matches('v').split('.');
    let (major, minor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let mut flags = vec!["-s -w".to_owned()];
    for package in ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"] {
        for (name, value) in
            [("gitVersion", version), ("gitMajor", major), ("gitMinor", minor), ("gitTreeState", "clean")]
        {
            flags.push(format!("-X {package}.{name}={value}"));
        }
    }
    flags.join(" ")
}

/// Counts the packages `go` names while it compiles them, and keeps the last of the other lines for the error.
fn last_lines(stderr: impl Read, packages: &AtomicUsize) -> VecDeque<String> {
    let mut lines = VecDeque::new();
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        if !line.contains(' ') {
            packages.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        if lines.len() == ERROR_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_counted_and_the_last_errors_are_kept() {
        let errors: Vec<_> = (0..30).map(|n| format!("x.go:{n}: undefined: y")).collect();
        let packages = AtomicUsize::new(0);
        let lines =
            last_lines(format!("internal/abi\nk8s.io/api/core/v1\n{}", errors.join("\n")).as_bytes(), &packages);
        assert_eq!(packages.into_inner(), 2);
        assert_eq!(Vec::from(lines), errors[30 - ERROR_LINES..]);
    }

    #[test]
    fn the_stamped_version_is_the_pinned_one() {
        let go_mod = "require (\n\tk8s.io/kubectl v0.2.0\n\tk8s.io/kubernetes v1.2.3 // indirect\n)\n";
        assert_eq!(kubernetes_version(go_mod), Some("v1.2.3"));
        assert!(kubernetes_version(CONTROL_PLANE.go_mod).is_some());

        let flags = linker_flags(Some("v1.2.3"));
        assert!(flags.starts_with("-s -w -X k8s.io/component-base/version.gitVersion=v1.2.3 -X "), "{flags}");
        assert!(flags.contains(" -X k8s.io/client-go/pkg/version.gitMinor=2 "), "{flags}");
    }
}
