//! The commands of a guide, run as its readers run them.

use std::process::Stdio;
use std::time::Duration;

use e2e::controlplane::ControlPlane;
use e2e::install::workspace;
use tokio::process::Command;

/// Far longer than anything here takes on an idle machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// The text of a guide below a heading, up to the next one of that rank.
pub(crate) fn section(file: &str, heading: &str) -> String {
    let guide = std::fs::read_to_string(workspace(file)).unwrap();
    let section = guide.split_once(heading).unwrap_or_else(|| panic!("{file} has no {heading}")).1;
    section.split("\n## ").next().unwrap().to_owned()
}

/// The commands in a text, but for those about the policy that is the reader's own.
pub(crate) fn commands(text: &str) -> Vec<String> {
    let text = text.replace("\\\n", " ");
    let lines = text.lines().filter(|line| line.starts_with("    ")).map(str::trim);
    lines.filter(|line| line.starts_with("kubectl ") && !line.contains("my-policy.yaml")).map(str::to_owned).collect()
}

/// Runs the commands in a text, one after another, and answers what they printed.
pub(crate) async fn follow(plane: &ControlPlane, text: &str) -> String {
    let commands = commands(text);
    assert!(!commands.is_empty(), "no command in {text}");
    let mut printed = String::new();
    for command in commands {
        let mut shell = Command::new("/bin/sh");
        let path = format!("{}:/usr/bin:/bin", plane.kubectl_path().parent().unwrap().display());
        shell.args(["-ec", &command]).current_dir(workspace("")).stdin(Stdio::null()).kill_on_drop(true);
        shell.env_clear().env("PATH", path).env("HOME", plane.dir()).env("KUBECONFIG", plane.kubeconfig());
        let output = tokio::time::timeout(PATIENCE, shell.output()).await.unwrap().unwrap();
        let says = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {says}");
        printed.push_str(&String::from_utf8_lossy(&output.stdout));
    }
    printed
}
