//! What is printed.

use std::fmt::Write as _;
use std::time::Duration;

use super::duration::UpdateDuration;
use super::footprint::Footprint;

/// Requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Requests {
    pub(super) host: u64,
    pub(super) apiserver: u64,
}

/// What was measured of one agent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    pub(super) idle_for: Duration,
    pub(super) idle: Requests,
    pub(super) updating: Requests,
    pub(super) update: UpdateDuration,
}

/// What was measured of our agent alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    pub(super) idle: Footprint,
    pub(super) updating: Footprint,
}

/// The columns: aim, ours, the simulated original, and what is known of the real one (docs of its repository, and runs of its
/// program against a stub host: 11 MB resident, a process for each request to the host, 60 s of waiting after the boot, 135 s
/// for one node with a boot of 4 s).
pub(super) fn render(memory: &Memory, ours: &Measured, original: Option<&Measured>) -> String {
    let mut table = String::new();
    let mut row = |what: &str, aim: &str, ours: &str, simulated: &str, known: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(table, "{what:<44} {aim:>8} {ours:>10} {simulated:>20} {known:>14}");
    };
    row("", "aim", "agent", "simulated original", "real original");
    let of = |value: fn(&Measured) -> String| (value(ours), original.map_or_else(String::new, value));
    row("resident memory at rest, MiB", "< 8", &mebibytes(memory.idle.resident), "", "11 MB");
    row("  of which heap and stacks", "", &mebibytes(memory.idle.anonymous), "", "");
    row("resident memory while updating, MiB", "< 8", &mebibytes(memory.updating.resident), "", "");
    row("  of which heap and stacks", "", &mebibytes(memory.updating.anonymous), "", "");
    row("threads", "", &memory.updating.threads.to_string(), "", "");
    let spawned = if memory.idle.spawned || memory.updating.spawned { "some" } else { "0" };
    let (_, processes) = of(|measured| measured.updating.host.to_string());
    row("processes spawned", "0", spawned, &processes, "one each 5 s");
    let (mine, originals) = of(|measured| per_minute(measured.idle.host, measured.idle_for));
    row("requests to the host at rest, per minute", "", &mine, &originals, "12");
    let (mine, originals) = of(|measured| per_minute(measured.idle.apiserver, measured.idle_for));
    row("requests to the apiserver at rest, per minute", "", &mine, &originals, "");
    let (mine, originals) = of(|measured| measured.updating.host.to_string());
    row("requests to the host per update", "", &mine, &originals, "");
    let (mine, originals) = of(|measured| measured.updating.apiserver.to_string());
    row("requests to the apiserver per update", "", &mine, &originals, "");
    let (mine, originals) = of(|measured| seconds(measured.update.whole));
    row("one update, start to Idle, s", "", &mine, &originals, "135");
    let (mine, originals) = of(|measured| seconds(measured.update.commands));
    row("  the host's commands (download ...)", "", &mine, &originals, "");
    let (mine, originals) = of(|measured| seconds(measured.update.reboot));
    row("  shutdown and boot", "", &mine, &originals, "");
    let (mine, originals) = of(|measured| seconds(measured.update.own()));
    row("  own waiting, drain of an empty node included", "< 5", &mine, &originals, "");
    let (mine, originals) = of(|measured| seconds(measured.update.after_boot));
    row("    of which after the boot", "", &mine, &originals, "60");
    table
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn mebibytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn per_minute(count: u64, time: Duration) -> String {
    format!("{:.1}", count as f64 * 60.0 / time.as_secs_f64())
}

fn seconds(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(own: u64) -> Measured {
        Measured {
            idle_for: Duration::from_secs(120),
            idle: Requests { host: 8, apiserver: 4 },
            updating: Requests { host: 20, apiserver: 30 },
            update: UpdateDuration {
                whole: Duration::from_secs(own + 6),
                commands: Duration::from_secs(6),
                ..UpdateDuration::default()
            },
        }
    }

    #[test]
    fn every_figure_stands_beside_the_originals() {
        let idle = Footprint { resident: 6 << 20, anonymous: 1 << 20, threads: 2, spawned: false };
        let memory = Memory { idle, updating: Footprint { resident: 7 << 20, ..idle } };
        let table = render(&memory, &measured(3), Some(&measured(120)));
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let printed: Vec<_> = table.lines().map(words).collect();
        for line in [
            "resident memory at rest, MiB < 8 6.0 11 MB",
            "processes spawned 0 0 20 one each 5 s",
            "requests to the host at rest, per minute 4.0 4.0 12",
            "own waiting, drain of an empty node included < 5 3.0 120.0",
        ] {
            assert!(printed.iter().any(|printed| printed == line), "{line}\n{table}");
        }
    }
}
