//! What is wrong with a rule file → its name, the place, the field.
//!
//! Nothing of what stands there is repeated: a secret may have been pasted for anything.

use super::Source;
use std::ops::Range;

/// What is wrong with a rule file, and where. Of the file's own words none is in it.
#[derive(Debug, thiserror::Error)]
#[error("{file} line {line}, column {column}: {}{problem}", .field.map_or_else(String::new, |field| format!("{field}: ")))]
pub struct RuleError {
    file: String,
    line: usize,
    column: usize,
    rule: Option<String>,
    field: Option<&'static str>,
    problem: String,
}

impl RuleError {
    /// The rule it is about, for who reads it at a terminal; `None` unless it is called by plain words.
    pub fn rule(&self) -> Option<&str> {
        self.rule.as_deref()
    }
}

/// Whether a name is of words someone would choose, and none a secret: short ones of lower-case letters alone.
pub fn is_plain(name: &str) -> bool {
    let word = |word: &str| (1..=12).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase());
    name.len() <= 40 && name.split(['.', '_', '-']).all(word)
}

/// Line and column of a place in a text, each from 1.
pub fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

/// What serde says of a value that does not fit, without the value: what kind of fault, and what was expected.
pub(super) fn without_input(message: &str) -> String {
    const KINDS: [&str; 6] =
        ["unknown field", "unknown variant", "invalid type", "invalid value", "invalid length", "duplicate field"];
    if message.starts_with("missing field") {
        return message.to_owned();
    }
    let kind = KINDS.into_iter().find(|kind| message.starts_with(kind)).unwrap_or("it does not belong here");
    let expected =
        message.rsplit_once(", expected ").map_or_else(String::new, |(_, text)| format!(", expected {text}"));
    format!("{kind}{expected}")
}

/// A complaint of one rule or vendor, which stands at `span`; of one of its fields, where that stands.
pub(super) fn error(
    source: Source<'_>,
    span: Range<usize>,
    rule: Option<&str>,
    field: Option<&'static str>,
    problem: impl Into<String>,
) -> RuleError {
    let at = field.and_then(|field| field_at(source.text, span.start, field)).unwrap_or(span.start);
    let (line, column) = position(source.text, at);
    let rule = rule.filter(|id| is_plain(id)).map(str::to_owned);
    RuleError { file: source.name.to_owned(), line, column, rule, field, problem: problem.into() }
}

/// Where the line of a field begins, in the table that begins at `start`.
fn field_at(text: &str, start: usize, field: &str) -> Option<usize> {
    let mut at = start;
    for (number, line) in text.get(start..)?.split_inclusive('\n').enumerate() {
        let key = line.trim_start();
        if number > 0 && key.starts_with('[') {
            return None;
        }
        if key.strip_prefix(field).is_some_and(|rest| rest.trim_start().starts_with('=')) {
            return Some(at + line.len() - key.len());
        }
        at += line.len();
    }
    None
}
