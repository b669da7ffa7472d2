//! A line of `scan --jsonl` → the text in it, or why there is none.

use posture::Direction;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// One line. What else it says, such as the label of a corpus, is the asker's own.
#[derive(Deserialize)]
pub(super) struct Line<'a> {
    #[serde(borrow)]
    pub(super) id: Cow<'a, str>,
    pub(super) direction: Direction,
    #[serde(borrow)]
    pub(super) text: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) host: Option<Cow<'a, str>>,
}

impl<'a> Line<'a> {
    /// # Errors
    /// What is wrong with it, in words that repeat none of it.
    pub(super) fn read(text: &'a [u8]) -> Result<Self, String> {
        serde_json::from_slice(text).map_err(|_| fault(text))
    }
}

/// Which field is wrong, and how. The parser's own words would repeat the text.
fn fault(text: &[u8]) -> String {
    let fields: Map<String, Value> = match serde_json::from_slice(text) {
        Ok(fields) => fields,
        Err(e) if e.is_data() => return r#"it is no object: {"id","direction","text"} is expected"#.to_owned(),
        Err(e) => return format!("it is not JSON, from column {} on", e.column()),
    };
    for name in ["id", "direction", "text", "host"] {
        match fields.get(name) {
            None | Some(Value::Null) if name == "host" => {}
            None => return format!(r#""{name}" is missing"#),
            Some(Value::String(said)) if name == "direction" && !Direction::ALL.iter().any(|d| d.as_str() == said) => {
                return r#""direction" is neither "outbound" nor "inbound""#.to_owned();
            }
            Some(Value::String(_)) => {}
            Some(_) => return format!(r#""{name}" is not text"#),
        }
    }
    "it has a field twice".to_owned()
}
