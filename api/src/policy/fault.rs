//! What is wrong with a policy: each fault with the path of its field, in words that say what would be right.

use std::fmt;

use thiserror::Error;

use crate::amount::InvalidAmount;
use crate::duration::InvalidDuration;
use crate::health::InvalidNodePath;
use crate::label::{InvalidLabelKey, InvalidLabelValue};
use crate::schedule::InvalidCron;
use crate::versions;

/// What is wrong with a policy; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidPolicy(Vec<Problem>);

/// One thing that is wrong with a policy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: {fault}")]
pub struct Problem {
    /// The field's path as `kubectl explain` takes it, with indices. Example: `spec.schedule.windows[0].start`.
    pub field: String,
    /// What is wrong there.
    pub fault: Fault,
}

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// It is longer, shorter, larger or smaller than the schema allows, in the schema's words.
    #[error("{0}")]
    Limit(String),
    /// An amount of nodes cannot be read.
    #[error(transparent)]
    Amount(#[from] InvalidAmount),
    /// A label key cannot be read.
    #[error(transparent)]
    LabelKey(#[from] InvalidLabelKey),
    /// A label value cannot be read.
    #[error(transparent)]
    LabelValue(#[from] InvalidLabelValue),
    /// An operator of a selector that Kubernetes does not have.
    #[error("{0:?} is not an operator: write In, NotIn, Exists or DoesNotExist")]
    Operator(String),
    /// `In` and `NotIn` compare with values.
    #[error("{0} needs at least one value")]
    ValuesMissing(String),
    /// `Exists` and `DoesNotExist` compare with nothing.
    #[error("{0} takes no values: leave them out, or write In or NotIn")]
    ValuesUnused(String),
    /// A duration cannot be read.
    #[error(transparent)]
    Duration(#[from] InvalidDuration),
    /// A window would stay open for longer than windows may.
    #[error("{0:?} is too long: a window may stay open for at most 31d")]
    LongWindow(String),
    /// When a window opens cannot be read.
    #[error(transparent)]
    Cron(#[from] InvalidCron),
    /// No time zone of that name.
    #[error("{0:?} is not a time zone: write an IANA name, for example Europe/Berlin or UTC")]
    TimeZone(String),
    /// A point in time cannot be read.
    #[error("{0:?} is not a point in time: write RFC 3339 with an offset, for example 2026-12-20T00:00:00+01:00")]
    Time(String),
    /// A blackout ends before or when it starts.
    #[error("{0:?} is not after the start: a blackout must end after it starts")]
    EndsBeforeStart(String),
    /// A semver range cannot be read.
    #[error("{text:?} is not a semver range ({why}): write for example \">=1.19, <1.21\"")]
    Constraint {
        /// The text.
        text: String,
        /// The parser's words.
        why: String,
    },
    /// No policy can have that name.
    #[error("{0:?} is not the name of a policy: lower-case letters, digits, \"-\" and \".\"")]
    PolicyName(String),
    /// Twice the same key in a list that is keyed.
    #[error("{0:?} is there twice: name it once")]
    Twice(String),
    /// A policy that waits for itself.
    #[error("{0:?} is this policy itself: name the policy whose nodes go first")]
    AfterItself(String),
    /// Policies that wait for each other.
    #[error("closes a cycle in which no policy can go first: {}", versions::told(.0))]
    Cycle(Vec<String>),
    /// A path into the Node cannot be read, or reads what is not kept.
    #[error(transparent)]
    NodePath(#[from] InvalidNodePath),
}

impl InvalidPolicy {
    /// The problems, at most 32, in the order of the fields.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.0
    }

    /// The problems, if there are any.
    pub(super) fn of(problems: Vec<Problem>) -> Option<Self> {
        (!problems.is_empty()).then_some(Self(problems))
    }

    /// For a value that could not be read although nothing was found wrong, which is a defect of the parser.
    pub(super) fn unexplained() -> Self {
        Self(vec![Problem { field: "spec".to_owned(), fault: Fault::Limit("cannot be read".to_owned()) }])
    }
}

impl fmt::Display for InvalidPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for InvalidPolicy {}

/// Problems of a policy that are told; nobody reads more of them, and a stored object has room for tens of thousands.
const MAX_PROBLEMS: usize = 32;

/// Problems as they are found; one for each field, so that the first word about it stands.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Problem>);

impl Findings {
    pub(super) fn add(&mut self, field: impl Into<String>, fault: impl Into<Fault>) {
        if self.0.len() >= MAX_PROBLEMS {
            return;
        }
        let field = field.into();
        if !self.0.iter().any(|problem| problem.field == field) {
            self.0.push(Problem { field, fault: fault.into() });
        }
    }

    /// The value, or `None` when there is a fault instead, which is noted.
    pub(super) fn take<T, E: Into<Fault>>(&mut self, field: impl Into<String>, read: Result<T, E>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(fault) => {
                self.add(field, fault);
                None
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.0
    }
}
