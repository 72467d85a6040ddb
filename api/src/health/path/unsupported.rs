//! What it is that keeps a text out of the subset, for the sentence that its author gets.

use thiserror::Error;

use super::subset::{MAX_CONDITIONS, MAX_STEPS};

/// What a text has that is not asked of a Node, and what to write in its place.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unsupported {
    /// A function.
    #[error(
        "calls the function {0}(): compare instead, for example [?@.type=='DiskPressure' || @.type=='PIDPressure']"
    )]
    Function(String),
    /// `..`.
    #[error("looks at every depth with \"..\": name each step, for example $.status.conditions[*].type")]
    Descendants,
    /// A filter in a filter.
    #[error("has a filter inside a filter: compare names after @ with a text, for example [?@.type=='DiskPressure']")]
    NestedFilter,
    /// `$` in a filter.
    #[error("reads from \"$\" inside a filter: only \"@\" can be read there; ask for the other in a check of its own")]
    RootInFilter,
    /// `@.*`.
    #[error("has \"*\" inside a filter: name the one field to compare")]
    WildcardInFilter,
    /// `[a:b]`.
    #[error("takes a slice with \":\": write [*] for all of a list, or one index")]
    Slice,
    /// `['a','b']`.
    #[error("lists several things in one bracket: write a check for each")]
    Union,
    /// A backslash in a text.
    #[error("has a backslash in a text: texts have no escapes; around one quote write the other, ' or \"")]
    Escape,
    /// Something that is not printable ASCII.
    #[error("has the character {0:?}: write spaces, and printable ASCII")]
    Character(char),
    /// Parentheses within a condition or around some of them.
    #[error("groups conditions: write at most one pair of parentheses, around all of them, or a check for each group")]
    Group,
    /// Too many steps.
    #[error("has more than {MAX_STEPS} steps: a Node is not as deep")]
    Steps,
    /// Too many conditions.
    #[error("has more than {MAX_CONDITIONS} conditions in one filter: write several checks")]
    Conditions,
}

/// The first thing in `text` that is known by name. Each character is looked at once.
pub(super) fn construct(text: &str) -> Option<Unsupported> {
    let mut seen = Seen::default();
    for (at, c) in text.char_indices() {
        if !matches!(c, ' '..='~') {
            return Some(Unsupported::Character(c));
        }
        let found = match seen.quote {
            Some(_) if c == '\\' => Some(Unsupported::Escape),
            Some(quote) => {
                seen.quote = Some(quote).filter(|quote| *quote != c);
                None
            }
            None => seen.token(&text[..at], c, &text[at + 1..]),
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

/// What lies around the next character.
#[derive(Default)]
struct Seen {
    quote: Option<char>,
    /// Steps from the root.
    steps: usize,
    /// Brackets that are open.
    brackets: usize,
    /// Whether a filter has begun, and the conditions in it so far.
    filter: Option<usize>,
    /// Parentheses of this filter.
    parentheses: usize,
}

impl Seen {
    /// A character outside of quotes, with what is before and after it.
    fn token(&mut self, before: &str, c: char, after: &str) -> Option<Unsupported> {
        let in_filter = self.filter.is_some();
        let twice = after.starts_with(c);
        match c {
            '\'' | '"' => self.quote = Some(c),
            '.' if twice => return Some(Unsupported::Descendants),
            '$' if in_filter => return Some(Unsupported::RootInFilter),
            '*' if in_filter => return Some(Unsupported::WildcardInFilter),
            '?' if in_filter => return Some(Unsupported::NestedFilter),
            '?' => self.filter = Some(1),
            ':' if self.brackets > 0 => return Some(Unsupported::Slice),
            ',' if self.brackets > 0 => return Some(Unsupported::Union),
            '(' if in_filter => return self.parenthesis(before),
            // Around some of them.
            ')' if in_filter && after.trim_start().starts_with(['&', '|']) => return Some(Unsupported::Group),
            '&' | '|' if twice => return self.joined(),
            '.' if self.brackets == 0 => return self.step(),
            '[' => {
                self.brackets += 1;
                return if self.brackets == 1 { self.step() } else { None };
            }
            ']' => {
                self.brackets = self.brackets.saturating_sub(1);
                if self.brackets == 0 {
                    (self.filter, self.parentheses) = (None, 0);
                }
            }
            _ => {}
        }
        None
    }

    fn step(&mut self) -> Option<Unsupported> {
        self.steps += 1;
        (self.steps > MAX_STEPS).then_some(Unsupported::Steps)
    }

    fn joined(&mut self) -> Option<Unsupported> {
        let conditions = self.filter.as_mut()?;
        *conditions += 1;
        (*conditions > MAX_CONDITIONS).then_some(Unsupported::Conditions)
    }

    fn parenthesis(&mut self, before: &str) -> Option<Unsupported> {
        let word = before.rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next().unwrap_or_default();
        if !word.is_empty() {
            return Some(Unsupported::Function(word.to_owned()));
        }
        self.parentheses += 1;
        let leads = before.trim_end().ends_with('?');
        (self.parentheses > 1 || !leads).then_some(Unsupported::Group)
    }
}
