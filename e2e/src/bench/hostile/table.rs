//! What is printed.

use std::fmt::Write as _;
use std::time::Duration;

use super::run::Outcome;
use super::victim::Kind;
use crate::bench::latency::Latencies;

/// Of a memory limit, in percent, what no attack should reach.
const SHARE: u64 = 50;

/// A line for each attack, with one for each kind of honest calls below it, and then what missed its aim.
pub(super) fn render(outcomes: &[Outcome], aim: Duration, limit: u64) -> String {
    let mut table = String::new();
    let mut row = |cells: [&str; 11]| {
        let [what, rest, highest, share, alone, attacked, failed, tries, answered, refused, cut] = cells;
        // Writing to a string cannot fail.
        let _ = writeln!(
            table,
            "{what:<26} {rest:>6} {highest:>8} {share:>7} {alone:>15} {attacked:>17} {failed:>11} {tries:>8} {answered:>9} {refused:>8} {cut:>7}"
        );
    };
    row(["", "memory,", "MiB", "of", "honest p50/p99,", "ms, under attack", "failed", "attacks", "", "", ""]);
    let limited = format!("{:.0} MiB", mebibytes(limit));
    row(["", "rest", "highest", &limited, "alone", "", "of all", "tried", "answered", "refused", "cut"]);
    row(["aim", "", "", &format!("<= {SHARE} %"), "", &format!("< {}", aim.as_millis()), "0", "", "", "", ""]);
    for outcome in outcomes {
        let got = [outcome.got.tries, outcome.got.answered, outcome.got.refused, outcome.got.cut];
        let [tries, answered, refused, cut] = got.map(|count| count.to_string());
        let (rest, highest) = (format!("{:.1}", mebibytes(outcome.rest)), outcome.highest.map(mebibytes));
        let highest = highest.map_or("ended".to_owned(), |highest| format!("{highest:.1}"));
        let share = outcome.highest.map_or(String::new(), |highest| format!("{} %", share(highest, limit)));
        row([outcome.attack, &rest, &highest, &share, "", "", "", &tries, &answered, &refused, &cut]);
        for (kind, seen) in &outcome.honest {
            let (alone, attacked) = (quantiles(*kind, &seen.alone), quantiles(*kind, &seen.attacked));
            let failed = format!("{} of {}", seen.attacked.failed, seen.attacked.failed + seen.attacked.count());
            row([&format!("  {}", kind.name), "", "", "", &alone, &attacked, &failed, "", "", "", ""]);
        }
    }
    let missed: Vec<_> = outcomes.iter().flat_map(|outcome| missed(outcome, aim, limit)).collect();
    let _ = match missed.as_slice() {
        [] => writeln!(table, "\nevery aim is met"),
        missed => writeln!(table, "\nmissed:\n{}", missed.join("\n")),
    };
    table
}

/// The aims that an attack made miss, and what an honest caller read first.
fn missed(outcome: &Outcome, aim: Duration, limit: u64) -> Vec<String> {
    let mut missed = Vec::new();
    let mut say = |what: String| missed.push(format!("  {}: {what}", outcome.attack));
    match outcome.highest {
        None => say("the process has ended".to_owned()),
        Some(highest) if share(highest, limit) > SHARE => {
            say(format!("memory {:.1} MiB, {} % of the limit", mebibytes(highest), share(highest, limit)));
        }
        Some(_) => {}
    }
    for (kind, seen) in &outcome.honest {
        let p99 = seen.attacked.percentile(99);
        if kind.timed && p99 >= aim {
            say(format!(
                "{}: p99 {} ms, alone {} ms",
                kind.name,
                p99.as_millis(),
                seen.alone.percentile(99).as_millis()
            ));
        }
        if seen.attacked.failed > 0 {
            let first = seen.failure.as_deref().unwrap_or_default();
            say(format!("{}: {} failed, the first: {first}", kind.name, seen.attacked.failed));
        }
        if kind.timed && seen.attacked.count() + seen.attacked.failed == 0 {
            say(format!("{}: no call has ended", kind.name));
        }
    }
    missed
}

fn quantiles(kind: Kind, latencies: &Latencies) -> String {
    if !kind.timed {
        return String::new();
    }
    if latencies.count() == 0 {
        return "-".to_owned();
    }
    let [p50, p99] = [50, 99].map(|percent| latencies.percentile(percent).as_millis());
    format!("{p50} / {p99}")
}

/// In percent, rounded up.
fn share(bytes: u64, limit: u64) -> u64 {
    (bytes * 100).div_ceil(limit.max(1))
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::hostile::gains::Got;
    use crate::bench::hostile::ledger::Seen;

    fn seen(millis: u64, failed: usize) -> Seen {
        let calls = (0..100).map(|number| (number >= failed).then(|| Duration::from_millis(millis)));
        let (second, failure) = (Duration::from_secs(1), (failed > 0).then(|| "503".to_owned()));
        let alone = Latencies::of([Some(Duration::from_millis(5))], second);
        Seen { alone, attacked: Latencies::of(calls, second), failure }
    }

    fn table(highest: Option<u64>, millis: u64, failed: usize) -> String {
        let got = Got { tries: 9, answered: 1, refused: 3, cut: 4 };
        let honest = vec![
            (Kind { name: "ping", timed: true }, seen(millis, failed)),
            (Kind { name: "long poll", timed: false }, seen(5000, 0)),
        ];
        let outcome = Outcome { attack: "bodies", rest: 20 << 20, highest, got, honest };
        render(&[outcome], Duration::from_secs(1), 512 << 20)
    }

    fn has(table: &str, line: &str) -> bool {
        table.lines().any(|printed| printed.split_whitespace().collect::<Vec<_>>().join(" ") == line)
    }

    #[test]
    fn every_attack_stands_with_what_it_took_and_what_honest_callers_saw() {
        let table = table(Some(40 << 20), 20, 0);
        for line in [
            "aim <= 50 % < 1000 0",
            "bodies 20.0 40.0 8 % 9 1 3 4",
            "ping 5 / 5 20 / 20 0 of 100",
            "long poll 0 of 100",
            "every aim is met",
        ] {
            assert!(has(&table, line), "{line}\n{table}");
        }
    }

    #[test]
    fn an_aim_that_is_missed_is_named_with_the_attack() {
        let missed = table(Some(300 << 20), 1000, 2);
        for line in [
            "bodies: memory 300.0 MiB, 59 % of the limit",
            "bodies: ping: p99 1000 ms, alone 5 ms",
            "bodies: ping: 2 failed, the first: 503",
        ] {
            assert!(has(&missed, line), "{line}\n{missed}");
        }
        assert!(has(&table(None, 20, 0), "bodies: the process has ended"));
    }
}
