//! Removes the folder of a control plane whose process ended without doing so.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::Context;

/// Waits for the end of its standard input, which comes with the end of this process, however that ended. Programs that are
/// being killed at that moment may still write, so it removes until nothing is left, for ten seconds.
const SCRIPT: &str = r#"
read -r order
[ "$order" = leave ] && exit 0
tries=0
while [ -e "$1" ] && [ "$tries" -lt 100 ]; do
    rm -rf -- "$1"
    tries=$((tries + 1))
    [ -e "$1" ] && sleep 0.1
done
# Of nodes that were real: their groups are called like the folder, and empty by now.
for group in /sys/fs/cgroup/*/"${1##*/}"; do
    [ -d "$group" ] && find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null
done
exit 0
"#;

/// A shell that watches over one folder. It is the one child that outlives this process.
#[derive(Debug)]
pub(super) struct Janitor {
    shell: Child,
    orders: Option<ChildStdin>,
}

impl Janitor {
    pub(super) fn watch(folder: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "janitor"]).arg(folder).current_dir("/");
        // In a group of its own, so that a Ctrl-C does not reach it.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut shell = command.spawn().context("cannot start sh")?;
        let orders = shell.stdin.take();
        Ok(Self { shell, orders })
    }

    /// From now on the folder stays, whatever happens to this process.
    pub(super) fn leave(&mut self) {
        if let Some(mut orders) = self.orders.take() {
            // A janitor that has ended removes nothing either.
            let _ = orders.write_all(b"leave\n");
            drop(orders);
            let _ = self.shell.wait();
        }
    }

    #[cfg(test)]
    fn process_ends(mut self) {
        drop(self.orders.take());
        self.shell.wait().unwrap();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_goes_with_the_process() {
        let folder = tempfile::tempdir().unwrap().keep();
        std::fs::write(folder.join("file"), "").unwrap();
        Janitor::watch(&folder).unwrap().process_ends();
        assert!(!folder.exists());
    }

    #[test]
    fn a_folder_that_is_to_be_left_stays() {
        let folder = tempfile::tempdir().unwrap();
        Janitor::watch(folder.path()).unwrap().leave();
        assert!(folder.path().exists());
    }
}
