//! Whether a query stays within what the controller keeps of a Node.

use jsonpath_rust::parser::model::{JpQuery, Segment, Selector};

/// What the controller keeps of a Node's status.
const KEPT_OF_STATUS: [&str; 4] = ["allocatable", "capacity", "conditions", "nodeInfo"];

/// Looks at the first two steps. Filters read from `@` alone, so that nothing else leads to the root.
pub(super) fn is_kept(query: &JpQuery) -> bool {
    let mut names = query.segments.iter().map(name_of);
    let (Some(Some(root)), Some(Some(part))) = (names.next(), names.next()) else { return false };
    match root {
        "metadata" => part != "managedFields",
        "status" => KEPT_OF_STATUS.contains(&part),
        "spec" => true,
        _ => false,
    }
}

/// The name that a step gives; `None` is anything but one name.
fn name_of(segment: &Segment) -> Option<&str> {
    match segment {
        // Some versions of the parser leave the quotes of `['name']` on.
        Segment::Selector(Selector::Name(name)) => Some(name.trim_matches(['\'', '"'])),
        _ => None,
    }
}
