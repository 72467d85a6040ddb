//! The form of the recordings.

use serde::Deserialize;

/// One line of the matrix: a state, an action, and what came of it.
pub(super) struct Line {
    pub(super) told: Told,
    /// The status body before the action, as it was on the wire.
    pub(super) before: String,
    /// The status body after it.
    pub(super) after: String,
}

/// What a line says about the exchange itself.
#[derive(Deserialize)]
pub(super) struct Told {
    pub(super) state: String,
    pub(super) action: String,
    pub(super) code: u16,
    pub(super) body: String,
    pub(super) polls_423: u32,
}

impl Line {
    pub(super) fn parse(line: &str) -> Self {
        let told = serde_json::from_str(line).expect("a line of the matrix");
        // The order of the keys matters, so the two statuses are cut out as text.
        let (_, rest) = line.split_once(r#", "before": "#).expect("a status before");
        let (before, rest) = rest.split_once(r#", "after": "#).expect("a status after");
        let (after, _) = rest.rsplit_once(r#", "polls_423": "#).expect("the end of the status after");
        Self { told, before: on_the_wire(before), after: on_the_wire(after) }
    }
}

/// The recording was re-formatted with a blank after each comma and colon, in the order of the wire; a text is a string.
fn on_the_wire(json: &str) -> String {
    if let Ok(text) = serde_json::from_str(json) {
        return text;
    }
    let mut wire = String::new();
    let (mut quoted, mut escaped) = (false, false);
    for char in json.chars() {
        if char == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = char == '\\' && !escaped;
        if quoted || char != ' ' {
            wire.push(char);
        }
    }
    wire
}

/// One exchange of the flow.
pub(super) struct Exchange {
    pub(super) name: String,
    pub(super) method: String,
    pub(super) path: String,
    /// Status line, headers and body, lines ending in `\n`.
    pub(super) answer: String,
}

/// Takes a recorded flow apart. Bodies are as long as their header says, so one may hold anything.
pub(super) fn exchanges(mut flow: &str) -> Vec<Exchange> {
    let mut exchanges = Vec::new();
    while !flow.is_empty() {
        let (title, rest) = flow.split_once('\n').expect("a title");
        let (name, request) = title.strip_prefix("### ").and_then(|title| title.split_once(": ")).expect("a name");
        let (method, path) = request.split_once(' ').expect("a request");
        let head = rest.find("\n\n").expect("a head") + 2;
        let length = content_length(&rest[..head]).unwrap_or(0);
        exchanges.push(Exchange {
            name: name.to_owned(),
            method: method.to_owned(),
            path: path.to_owned(),
            answer: rest[..head + length].to_owned(),
        });
        flow = rest[head + length..].strip_prefix('\n').expect("a line break after the body");
    }
    exchanges
}

pub(super) fn content_length(head: &str) -> Option<usize> {
    let line = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
    Some(line.trim().parse().expect("a length"))
}

/// `answer` with everything in its place that differs from one recording to the next: the date, the time of a command, and
/// the length of a body, which is checked against the body first.
pub(super) fn normal(answer: &str) -> String {
    let answer = match answer.split_once("\n\n") {
        Some((head, body)) if head.starts_with("HTTP/") => {
            if let Some(length) = content_length(head) {
                assert_eq!(length, body.len(), "content-length of {answer}");
            }
            let head: Vec<_> = head.lines().map(header).collect();
            format!("{}\n\n{body}", head.join("\n"))
        }
        _ => answer.to_owned(),
    };
    let Some((before, rest)) = answer.split_once(r#""timestamp":""#) else {
        return answer;
    };
    let (timestamp, after) = rest.split_once('"').expect("the end of a timestamp");
    assert!(timestamp.ends_with('Z'), "{timestamp}");
    timestamp.parse::<jiff::Timestamp>().expect("a timestamp");
    format!(r#"{before}"timestamp":"THEN"{after}"#)
}

fn header(line: &str) -> String {
    match line.split_once(": ") {
        Some(("date", date)) => {
            assert!(date.ends_with(" GMT"), "{date}");
            "date: NOW".to_owned()
        }
        Some(("content-length", _)) => "content-length: CHECKED".to_owned(),
        _ => line.to_owned(),
    }
}
