//! The rollout as text: one row for each node and a progress line.

use std::collections::BTreeMap;

use api::{BottlerocketShadow, State};
use kube::ResourceExt;
use semver::Version;

/// Longest message that is shown.
const MESSAGE_WIDTH: usize = 60;

/// One node as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    state: String,
    version: String,
    activity: String,
    message: String,
}

/// What is shown, by node.
pub(super) type Rows = BTreeMap<String, Row>;

pub(super) fn rows(shadows: &[BottlerocketShadow]) -> Rows {
    shadows.iter().map(|shadow| (node(shadow), row(shadow))).collect()
}

fn node(shadow: &BottlerocketShadow) -> String {
    let name = shadow.name_any();
    name.strip_prefix("brs-").map(ToOwned::to_owned).unwrap_or(name)
}

fn row(shadow: &BottlerocketShadow) -> Row {
    let Some(status) = &shadow.status else {
        return Row { state: "-".into(), version: "-".into(), activity: "-".into(), message: String::new() };
    };
    let held = status.conditions.iter().flatten().find(|condition| condition.type_ == "Held");
    let message = match (&status.message, held) {
        (_, Some(held)) => format!("{}: {}", held.reason, held.message),
        (Some(message), None) => message.clone(),
        (None, None) => String::new(),
    };
    Row {
        state: status.current_state.as_str().to_owned(),
        version: status.current_version.clone(),
        activity: status.activity.map_or_else(|| "-".to_owned(), |activity| format!("{activity:?}")),
        message: message.chars().take(MESSAGE_WIDTH).collect(),
    }
}

/// The table with its head.
pub(super) fn table(rows: &Rows) -> Vec<String> {
    let widest = |column: fn(&Row) -> &String, least: usize| {
        rows.values().map(|row| column(row).chars().count()).max().unwrap_or_default().max(least)
    };
    let node_width = rows.keys().map(|node| node.chars().count()).max().unwrap_or_default().max("NODE".len());
    let state_width = widest(|row| &row.state, "STATE".len());
    let version_width = widest(|row| &row.version, "VERSION".len());
    let activity_width = widest(|row| &row.activity, "ACTIVITY".len());
    let line = |node: &str, state: &str, version: &str, activity: &str, message: &str| {
        let line = format!(
            "{node:<node_width$}  {state:<state_width$}  {version:<version_width$}  {activity:<activity_width$}  {message}"
        );
        line.trim_end().to_owned()
    };
    let head = line("NODE", "STATE", "VERSION", "ACTIVITY", "MESSAGE");
    let body = rows.iter().map(|(node, row)| line(node, &row.state, &row.version, &row.activity, &row.message));
    std::iter::once(head).chain(body).collect()
}

/// How many nodes run `version`, as a bar.
pub(super) fn progress(shadows: &[BottlerocketShadow], version: &Version, seconds: u64) -> String {
    let done = shadows.iter().filter(|shadow| is_done(shadow, version)).count();
    let all = shadows.len().max(1);
    let filled = done * 30 / all;
    format!("[{}{}] {done}/{} nodes updated, {seconds} s", "#".repeat(filled), ".".repeat(30 - filled), shadows.len())
}

fn is_done(shadow: &BottlerocketShadow, version: &Version) -> bool {
    let done = |status: &api::BottlerocketShadowStatus| {
        status.current_state == State::Idle && status.current_version == version.to_string()
    };
    shadow.spec.state == State::Idle && shadow.status.as_ref().is_some_and(done)
}

/// One line for each node that is shown differently now.
pub(super) fn changes(before: &Rows, now: &Rows) -> Vec<String> {
    let changed = now.iter().filter(|(node, row)| before.get(*node) != Some(*row));
    changed
        .map(|(node, row)| {
            format!("{node}: {} {} {} {}", row.state, row.version, row.activity, row.message).trim_end().to_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::shadow::{Activity, BottlerocketShadowSpec};

    fn shadow(node: &str, version: &str, activity: Activity) -> BottlerocketShadow {
        let mut shadow = BottlerocketShadow::new(&format!("brs-{node}"), BottlerocketShadowSpec::default());
        let status = serde_json::json!({
            "current_version": version, "target_version": version, "current_state": "Idle", "crash_count": 0,
            "activity": activity, "message": "all is well",
        });
        shadow.status = serde_json::from_value(status).unwrap();
        shadow
    }

    #[test]
    fn columns_are_as_wide_as_they_need_to_be() {
        let shadows = [shadow("a", "1.50.0", Activity::Idle), shadow("node-10", "1.51.0", Activity::Draining)];
        let expected = [
            "NODE     STATE  VERSION  ACTIVITY  MESSAGE",
            "a        Idle   1.50.0   Idle      all is well",
            "node-10  Idle   1.51.0   Draining  all is well",
        ];
        assert_eq!(table(&rows(&shadows)), expected);
    }

    #[test]
    fn only_what_changed_is_said_again() {
        let before = rows(&[shadow("a", "1.50.0", Activity::Idle), shadow("b", "1.50.0", Activity::Idle)]);
        let now = rows(&[shadow("a", "1.50.0", Activity::Idle), shadow("b", "1.50.0", Activity::Staging)]);
        assert_eq!(changes(&before, &now), ["b: Idle 1.50.0 Staging all is well"]);
        assert!(changes(&now, &now).is_empty());
    }

    #[test]
    fn the_bar_fills_with_updated_nodes() {
        let shadows = [shadow("a", "1.50.0", Activity::Idle), shadow("b", "1.51.0", Activity::Idle)];
        let bar = progress(&shadows, &Version::new(1, 51, 0), 7);
        assert_eq!(bar, "[###############...............] 1/2 nodes updated, 7 s");
    }
}
