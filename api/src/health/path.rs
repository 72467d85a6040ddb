//! Questions to a Node, as RFC 9535 JSONPath.

use jsonpath_rust::{
    parser::{
        model::{
            Comparable, Comparison, Filter, FilterAtom, FnArg, JpQuery, Segment, Selector, SingularQuery,
            SingularQuerySegment, Test, TestFunction,
        },
        parse_json_path,
    },
    query::js_path_process,
};
use serde_json::Value;
use thiserror::Error;

/// What the controller keeps of a Node's status.
const KEPT_OF_STATUS: [&str; 4] = ["allocatable", "capacity", "conditions", "nodeInfo"];

/// Why a text is no question that can be asked of a Node.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidNodePath {
    /// It does not begin with `$`; with kubectl's form rewritten where it is one.
    #[error("{text:?} is not RFC 9535 JSONPath, which begins with \"$\": write {instead:?}")]
    KubectlForm {
        /// The text.
        text: String,
        /// What would be right.
        instead: String,
    },
    /// It cannot be read.
    #[error(
        "{0:?} is not RFC 9535 JSONPath: write for example \"$.status.conditions[?@.type=='DiskPressure'].status\""
    )]
    Syntax(String),
    /// It reads what the controller does not keep.
    #[error(
        "{0:?} reads more than is kept of a Node: begin with \"$.metadata.labels\", \"$.metadata.annotations\", \"$.spec.\" and a name, or \"$.status.\" and conditions, allocatable, capacity or nodeInfo"
    )]
    OutOfReach(String),
}

/// A question that can be asked of what the controller keeps of a Node.
#[derive(Debug, Clone, PartialEq)]
pub struct NodePath {
    text: String,
    query: JpQuery,
}

impl NodePath {
    /// Reads a question.
    ///
    /// # Errors
    /// [`InvalidNodePath`] names the text and what would be right.
    pub fn parse(text: &str) -> Result<Self, InvalidNodePath> {
        if !text.starts_with('$') {
            return Err(InvalidNodePath::KubectlForm { text: text.to_owned(), instead: from_kubectl(text) });
        }
        let query = parse_json_path(text).map_err(|_| InvalidNodePath::Syntax(text.to_owned()))?;
        let mut reader = Reader { text, fault: None };
        reader.query(&query);
        match reader.fault {
            None => Ok(Self { text: text.to_owned(), query }),
            Some(fault) => Err(fault),
        }
    }

    /// The question as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Every match, as text: strings as they are, everything else as JSON. None where the Node has nothing of the kind.
    #[must_use]
    pub fn answers(&self, node: &Value) -> Vec<String> {
        let matches = js_path_process(&self.query, node).unwrap_or_default();
        matches
            .into_iter()
            .map(|found| found.val())
            .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            .collect()
    }
}

/// `{.a}`, `.a` and `a` as RFC 9535.
fn from_kubectl(text: &str) -> String {
    let inner = text.trim().trim_start_matches('{').trim_end_matches('}').trim();
    let inner = inner.strip_prefix('$').unwrap_or(inner);
    let dot = if inner.starts_with(['.', '[']) || inner.is_empty() { "" } else { "." };
    // kubectl has `?(@.type=="Ready")`, which RFC 9535 reads as well.
    format!("${dot}{inner}")
}

/// Looks at everything that a query reads from the root.
struct Reader<'a> {
    text: &'a str,
    fault: Option<InvalidNodePath>,
}

impl Reader<'_> {
    fn query(&mut self, query: &JpQuery) {
        let first: Vec<Option<String>> = query.segments.iter().take(2).map(name_of).collect();
        self.reach(&first);
        self.segments(&query.segments);
    }

    /// The first two names of a path from the root; `None` is anything but one name.
    fn reach(&mut self, first: &[Option<String>]) {
        let kept = match first {
            [Some(root), Some(part)] => match root.as_str() {
                "metadata" => part != "managedFields",
                "status" => KEPT_OF_STATUS.contains(&part.as_str()),
                "spec" => true,
                _ => false,
            },
            _ => false,
        };
        if !kept {
            self.fault.get_or_insert_with(|| InvalidNodePath::OutOfReach(self.text.to_owned()));
        }
    }

    fn segments(&mut self, segments: &[Segment]) {
        for segment in segments {
            match segment {
                Segment::Descendant(inner) => self.segments(std::slice::from_ref(inner)),
                Segment::Selector(selector) => self.selector(selector),
                Segment::Selectors(selectors) => selectors.iter().for_each(|selector| self.selector(selector)),
            }
        }
    }

    fn selector(&mut self, selector: &Selector) {
        if let Selector::Filter(filter) = selector {
            self.filter(filter);
        }
    }

    fn filter(&mut self, filter: &Filter) {
        match filter {
            Filter::Or(filters) | Filter::And(filters) => filters.iter().for_each(|filter| self.filter(filter)),
            Filter::Atom(FilterAtom::Filter { expr, .. }) => self.filter(expr),
            Filter::Atom(FilterAtom::Test { expr, .. }) => self.test(expr),
            Filter::Atom(FilterAtom::Comparison(comparison)) => self.comparison(comparison),
        }
    }

    fn comparison(&mut self, comparison: &Comparison) {
        let (left, right) = comparison.vals();
        for side in [left, right] {
            match side {
                Comparable::Literal(_) | Comparable::SingularQuery(SingularQuery::Current(_)) => {}
                Comparable::Function(function) => self.function(function),
                Comparable::SingularQuery(SingularQuery::Root(segments)) => {
                    let names: Vec<_> = segments.iter().take(2).map(singular_name).collect();
                    self.reach(&names);
                }
            }
        }
    }

    fn test(&mut self, test: &Test) {
        match test {
            Test::RelQuery(segments) => self.segments(segments),
            Test::AbsQuery(query) => self.query(query),
            Test::Function(function) => self.function(function),
        }
    }

    fn function(&mut self, function: &TestFunction) {
        match function {
            // Such a function is nobody's.
            TestFunction::Custom(..) => {
                self.fault.get_or_insert_with(|| InvalidNodePath::Syntax(self.text.to_owned()));
            }
            TestFunction::Length(argument) => self.argument(argument),
            TestFunction::Value(argument) | TestFunction::Count(argument) => self.argument(argument),
            TestFunction::Search(one, other) | TestFunction::Match(one, other) => {
                self.argument(one);
                self.argument(other);
            }
        }
    }

    fn argument(&mut self, argument: &FnArg) {
        match argument {
            FnArg::Literal(_) => {}
            FnArg::Test(test) => self.test(test),
            FnArg::Filter(filter) => self.filter(filter),
        }
    }
}

fn name_of(segment: &Segment) -> Option<String> {
    match segment {
        Segment::Selector(Selector::Name(name)) => Some(unquoted(name)),
        Segment::Selectors(selectors) => match &selectors[..] {
            [Selector::Name(name)] => Some(unquoted(name)),
            _ => None,
        },
        _ => None,
    }
}

fn singular_name(segment: &SingularQuerySegment) -> Option<String> {
    match segment {
        SingularQuerySegment::Name(name) => Some(unquoted(name)),
        SingularQuerySegment::Index(_) => None,
    }
}

/// The parser leaves the quotes of `['name']` on.
fn unquoted(name: &str) -> String {
    name.trim_matches(|c| c == '\'' || c == '"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn node() -> Value {
        json!({
            "metadata": {"labels": {"topology.kubernetes.io/zone": "a"}, "annotations": {"example.com/disk": "ok"}},
            "spec": {"taints": [{"key": "x"}], "unschedulable": false},
            "status": {
                "conditions": [{"type": "Ready", "status": "True"}, {"type": "DiskPressure", "status": "False"}],
                "allocatable": {"cpu": "4"}, "capacity": {"cpu": "4"}, "nodeInfo": {"kernelVersion": "6.1"},
            },
        })
    }

    #[test]
    fn what_is_kept_can_be_asked_for() {
        for (path, answers) in [
            ("$.status.conditions[?@.type=='DiskPressure'].status", vec!["False"]),
            ("$.status.conditions[?(@.type==\"Ready\")].status", vec!["True"]),
            ("$.status.conditions[*].type", vec!["Ready", "DiskPressure"]),
            ("$['status']['nodeInfo']['kernelVersion']", vec!["6.1"]),
            ("$.metadata.labels['topology.kubernetes.io/zone']", vec!["a"]),
            ("$.metadata.annotations[\"example.com/disk\"]", vec!["ok"]),
            ("$.spec.unschedulable", vec!["false"]),
            ("$.spec.taints[?@.key == 'x' && $.status.allocatable.cpu == '4'].key", vec!["x"]),
            ("$.status.conditions[?match(@.type, 'Disk.*')].status", vec!["False"]),
            ("$.status.allocatable.gpu", vec![]),
        ] {
            let read = NodePath::parse(path).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(read.answers(&node()), answers, "{path}");
        }
    }

    #[test]
    fn what_is_not_kept_can_not() {
        for path in [
            "$",
            "$.*",
            "$..status",
            "$.status",
            "$.status.*",
            "$.status.images[0]",
            "$.status.addresses",
            "$.kind",
            "$.metadata.managedFields[0].manager",
            "$['status','spec'].conditions",
            "$.metadata",
            "$.spec",
            "$.spec.taints[?$.status.images]",
            "$.spec.taints[?@.key == $.status.phase]",
            "$.spec.taints[?length($.status.images) > 1]",
            "$['status']['images']",
        ] {
            assert_eq!(NodePath::parse(path), Err(InvalidNodePath::OutOfReach(path.to_owned())), "{path}");
        }
    }

    #[test]
    fn kubectls_form_is_refused_with_ours() {
        for (path, right) in [
            ("{.status.nodeInfo.kernelVersion}", "$.status.nodeInfo.kernelVersion"),
            (".spec.unschedulable", "$.spec.unschedulable"),
            ("{.status.conditions[?(@.type==\"Ready\")].status}", "$.status.conditions[?(@.type==\"Ready\")].status"),
            ("spec.unschedulable", "$.spec.unschedulable"),
            ("{$.spec.unschedulable}", "$.spec.unschedulable"),
        ] {
            let error = NodePath::parse(path).unwrap_err();
            assert!(matches!(&error, InvalidNodePath::KubectlForm { instead, .. } if instead == right), "{error}");
            assert!(NodePath::parse(right).is_ok(), "{right}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for path in
            ["$.", "$.status.conditions[", "$.status.conditions[?@.type=]", "$x", &format!("${}", "[?".repeat(200))]
        {
            assert_eq!(NodePath::parse(path), Err(InvalidNodePath::Syntax(path.to_owned())), "{path}");
        }
    }
}
