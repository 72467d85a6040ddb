//! The part of RFC 9535 that is asked of a Node: a regular language, so that schema, webhook and controller can hold every
//! text against it in a time that grows with its length alone.
//!
//! ```text
//! path      = "$" step*                                          at most 8 steps
//! step      = ".name" | ".*" | "[" ("'name'" | "*" | index | filter) "]"
//! filter    = "?" condition (("&&" | "||") condition)*           at most 8 conditions; one pair of parentheses around them
//! condition = "!"? value | value ("==" | "!=" | "<" | "<=" | ">" | ">=") value
//! value     = "'text'" | number | true | false | null | "@" (".name" | "['name']" | index)*     at most 4 names after "@"
//! ```
//!
//! What passes costs the library at most steps x conditions x the size of the Node: each step leads deeper into it, no step
//! leads to one place twice, and no filter holds another. The pattern is a little wider than the grammar where that costs
//! nothing (a parenthesis without its partner); there the library refuses.

use std::sync::LazyLock;

use regex::Regex;

/// Most steps of a path. A Node is not as deep.
pub(super) const MAX_STEPS: usize = 8;
/// Most conditions of one filter.
pub(super) const MAX_CONDITIONS: usize = 8;
/// Most names after an `@`.
const MAX_NAMES: usize = 4;

const NAME: &str = "[A-Za-z_][A-Za-z0-9_]*";
/// A text in quotes: printable ASCII without the quote itself (`\x27` and `\x22`) and without a backslash (`\x5c`).
const TEXT: &str = r"(\x27[ -&(-\x5b\x5d-~]*\x27|\x22[ !#-\x5b\x5d-~]*\x22)";
const INDEX: &str = "-?[0-9]+";
const LITERAL: &str = "-?[0-9]+([.][0-9]+)?|true|false|null";

/// What the CRD's schema allows, as RE2 and as the regex crate have it. Go's regexp, which the API server uses, lets repetitions in
/// repetitions come to 1,000 at most; these come to 256.
pub(crate) static PATTERN: LazyLock<String> = LazyLock::new(|| {
    let names = format!(r"(\.{NAME}|\[({TEXT}|{INDEX})\]){{0,{MAX_NAMES}}}");
    let value = format!("(@{names}|{TEXT}|{LITERAL})");
    let condition = format!("!? *{value}( *(==|!=|<=?|>=?) *{value})?");
    let filter = format!(r"\? *\(? *({condition} *(&&|\|\|)? *){{1,{MAX_CONDITIONS}}}\)?");
    let step = format!(r"\.({NAME}|\*)|\[ *({TEXT}|\*|{INDEX}|{filter}) *\]");
    format!(r"^\$({step}){{0,{MAX_STEPS}}}$")
});

static FORM: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(&PATTERN).ok());

/// Whether `text` lies within.
pub(super) fn contains(text: &str) -> bool {
    FORM.as_ref().is_some_and(|form| form.is_match(text))
}
