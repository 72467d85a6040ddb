//! Text that people read: one printable line.
//!
//! What agents, hosts, people and policies write is repeated in conditions, Events and answers, which end on terminals. There
//! an escape sequence moves the cursor, a line break forges another line, and an override of the writing direction lets a text
//! read as another. What comes from an agent is refused ([`is_line`]); what the operator itself repeats is made a line
//! ([`line()`]).

use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Chars;
use std::sync::LazyLock;

/// Characters that no line has: the controls (C0, DEL, C1), the separators of lines and paragraphs, the formats, among them all
/// that turn the writing direction, and what is drawn as nothing (Unicode 17: general categories Cc, Cf, Zl and Zp, and the
/// property Default_Ignorable_Code_Point). A test holds them against the tables of the regex crate.
const UNPRINTABLE: [(char, char); 28] = [
    ('\0', '\u{1f}'),
    ('\u{7f}', '\u{9f}'),
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{600}', '\u{605}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{6dd}', '\u{6dd}'),
    ('\u{70f}', '\u{70f}'),
    ('\u{890}', '\u{891}'),
    ('\u{8e2}', '\u{8e2}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffb}'),
    ('\u{110bd}', '\u{110bd}'),
    ('\u{110cd}', '\u{110cd}'),
    ('\u{13430}', '\u{1343f}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
    // The blank pattern of Braille, which looks like a space and is none.
    ('\u{2800}', '\u{2800}'),
];

/// What the CRD's schema allows of a text that an agent reports, as RE2 and as the regex crate have it.
pub static PATTERN: LazyLock<String> = LazyLock::new(|| {
    let mut pattern = "^[^".to_owned();
    for (first, last) in UNPRINTABLE {
        // Writing into memory has no way to fail.
        let _ = write!(pattern, r"\x{{{:x}}}", u32::from(first));
        if last > first {
            let _ = write!(pattern, r"-\x{{{:x}}}", u32::from(last));
        }
    }
    pattern + "]*$"
});

/// Whether a line may have it.
#[must_use]
pub fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~') || !UNPRINTABLE.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

/// Whether all of a text may be shown as it is.
#[must_use]
pub fn is_line(text: &str) -> bool {
    text.chars().all(is_printable)
}

/// The text as a line of at most `longest` characters: sequences that colour a terminal and characters that are not printed go,
/// and whatever space there is between words, line breaks included, becomes one.
#[must_use]
pub fn line(text: &str, longest: usize) -> String {
    let mut line = String::with_capacity(text.len().min(longest));
    let (mut length, mut gap) = (0, false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            skip_sequence(&mut chars);
        } else if c.is_whitespace() || c.is_control() {
            gap = true;
        } else if is_printable(c) {
            let space = gap && length > 0;
            if length + usize::from(space) >= longest {
                break;
            }
            if space {
                line.push(' ');
            }
            line.push(c);
            length += 1 + usize::from(space);
            gap = false;
        }
    }
    line
}

/// Most names that one sentence has.
const MAX_NAMED: usize = 8;

/// Names for a sentence: `a and b`. There may be thousands, and the sentence may be said of thousands of nodes: of more than eight the
/// number of the others is given.
#[must_use]
pub fn names(names: &[&str]) -> String {
    let named = names.len().min(MAX_NAMED);
    let first = names[..named].join(" and ");
    match names.len() - named {
        0 => first,
        others => format!("{first} and {others} others"),
    }
}

/// What follows an escape: `[`, parameters and a letter (ECMA-48 control sequences, which set colours), `]` up to a bell or the
/// next escape (operating system commands, which set titles), or one character.
fn skip_sequence(chars: &mut Peekable<Chars<'_>>) {
    match chars.next() {
        Some('[') => {
            while chars.next_if(|c| matches!(c, ' '..='?')).is_some() {}
            let _ = chars.next_if(|c| matches!(c, '@'..='~'));
        }
        Some(']') => while chars.next_if(|c| !c.is_control()).is_some() {},
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_character_is_judged_as_unicode_has_it() {
        let unprintable =
            regex::Regex::new(r"^[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\x{2800}]$").unwrap();
        let mut buffer = [0; 4];
        for c in '\0'..=char::MAX {
            assert_eq!(!is_printable(c), unprintable.is_match(c.encode_utf8(&mut buffer)), "{c:?}");
        }
    }

    #[test]
    fn the_schemas_pattern_is_the_same_rule() {
        let pattern = regex::Regex::new(&PATTERN).unwrap();
        let mut buffer = [0; 4];
        for c in '\0'..=char::MAX {
            assert_eq!(is_printable(c), pattern.is_match(c.encode_utf8(&mut buffer)), "{c:?}");
        }
        assert!(pattern.is_match("") && pattern.is_match("3 Pods übrig") && !pattern.is_match("a\nb"));
    }

    #[test]
    fn what_others_print_becomes_a_line() {
        for (text, becomes) in [
            ("a line", "a line"),
            ("  two\r\n\tlines \n", "two lines"),
            ("\u{1b}[31merror\u{1b}[0m: no \u{1b}[1;38;5;9mroute", "error: no route"),
            ("\u{1b}]0;a title\u{7}done", "done"),
            ("ends \u{1b}[31", "ends"),
            ("\u{1b}", ""),
            ("safe \u{202e}txt.exe", "safe txt.exe"),
            ("a\u{200b}b\u{feff}c", "abc"),
            ("one\u{2028}two\u{2029}three\u{85}four", "one two three four"),
            ("naïve 日本語 שלום", "naïve 日本語 שלום"),
            ("\u{9b}31mC1", "31mC1"),
        ] {
            assert_eq!(line(text, 100), becomes, "{text:?}");
        }
        assert_eq!(line("ab cd", 3), "ab");
        assert_eq!(line("ab cd", 4), "ab c");
        assert_eq!(line("ab", 0), "");
    }

    #[test]
    fn a_sentence_has_a_bounded_number_of_names() {
        assert_eq!(names(&[]), "");
        assert_eq!(names(&["a"]), "a");
        assert_eq!(names(&["a"; 8]), ["a"; 8].join(" and "));
        assert_eq!(names(&["a"; 5000]), format!("{} and 4992 others", ["a"; 8].join(" and ")));
    }

    proptest! {
        #[test]
        fn a_line_is_a_line_and_stays_as_it_is(text in "\\PC*|.*|(?s).*|[\\x1b\\[\\];0-9mA ü\n\u{202e}]*", longest in 0_usize..80) {
            let made = line(&text, longest);
            prop_assert!(is_line(&made) && made.chars().count() <= longest && made.trim() == made);
            prop_assert_eq!(&line(&made, longest), &made);
        }
    }
}
