//! Questions to a Node, as RFC 9535 JSONPath.
//!
//! ```text
//! text -subset-> a shape that costs little -jsonpath-rust-> query -reach-> what the controller keeps of a Node
//! ```
//!
//! The library's parser and its evaluation take exponential time where functions or filters are nested, so it is given no
//! text that `subset` has not let through.

mod reach;
pub(crate) mod subset;
mod unsupported;

use jsonpath_rust::parser::model::JpQuery;
use jsonpath_rust::parser::parse_json_path;
use jsonpath_rust::query::js_path_process;
use serde_json::Value;
use thiserror::Error;

pub use unsupported::Unsupported;

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
    /// RFC 9535 may have it, but it is more than is asked of a Node.
    #[error("{text:?} {construct}")]
    Unsupported {
        /// The text.
        text: String,
        /// What it has, and what to write in its place.
        construct: Unsupported,
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
        let owned = || text.to_owned();
        if !text.starts_with('$') {
            return Err(InvalidNodePath::KubectlForm { text: owned(), instead: from_kubectl(text) });
        }
        if !subset::contains(text) {
            return Err(match unsupported::construct(text) {
                Some(construct) => InvalidNodePath::Unsupported { text: owned(), construct },
                None => InvalidNodePath::Syntax(owned()),
            });
        }
        let query = parse_json_path(text).map_err(|_| InvalidNodePath::Syntax(owned()))?;
        if reach::is_kept(&query) {
            Ok(Self { text: owned(), query })
        } else {
            Err(InvalidNodePath::OutOfReach(owned()))
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

#[cfg(test)]
mod tests;
