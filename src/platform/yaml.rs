//! Hermes' `config.yaml` → its scalars by path: read to tell an operator what it means, never to judge traffic.
//!
//! Tolerant: block style alone, a line at a time. What it does not understand it leaves out.

use std::{fs::File, io::Read, path::Path};

/// No configuration is read further.
const MAX_BYTES: u64 = 1 << 20;

/// The scalars of a file, each with its keys from the outermost. An element of a list has the key `-`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Scalars(Vec<(Vec<String>, String)>);

impl Scalars {
    /// The file's; a file that is not there, or not readable by us, has none.
    pub fn read(path: &Path) -> Self {
        let mut bytes = Vec::new();
        // A pipe would never end.
        if path.is_file()
            && let Ok(file) = File::open(path)
        {
            let _ = file.take(MAX_BYTES).read_to_end(&mut bytes);
        }
        Self::parse(&String::from_utf8_lossy(&bytes))
    }

    fn parse(text: &str) -> Self {
        let mut open: Vec<(usize, String)> = Vec::new();
        let mut found = Vec::new();
        for line in text.lines() {
            let mut rest = line.trim_start_matches(' ');
            let mut indent = line.len() - rest.len();
            if rest.is_empty() || rest.starts_with(['#', '%', '\t']) || rest.starts_with("---") {
                continue;
            }
            while let Some(element) = rest.strip_prefix("- ").or_else(|| (rest == "-").then_some("")) {
                // A list may stand at the indentation of its key, an element never at that of the one before.
                open.retain(|(at, key)| *at < indent || (*at == indent && key != "-"));
                open.push((indent, "-".to_owned()));
                rest = element.trim_start();
                indent += 2;
            }
            let (key, value) = match rest.split_once(": ").or_else(|| rest.strip_suffix(':').map(|key| (key, ""))) {
                Some((key, value)) if !key.starts_with(['{', '[', '"']) || key.ends_with('"') => (Some(key), value),
                _ => (None, rest),
            };
            if let Some(key) = key {
                open.retain(|(at, _)| *at < indent);
                open.push((indent, plain(key).to_owned()));
            }
            let value = plain(value);
            if !value.is_empty() {
                found.push((open.iter().map(|(_, key)| key.clone()).collect(), value.to_owned()));
            }
        }
        Self(found)
    }

    /// The values whose path ends so.
    pub fn ending<'s>(&'s self, keys: &'s [&str]) -> impl Iterator<Item = &'s str> {
        self.0.iter().filter(move |(path, _)| ends(path, keys)).map(|(_, value)| value.as_str())
    }

    /// The names directly below `above` that hold a value under `key`, in their order.
    pub fn holding<'s>(&'s self, above: &'s str, key: &'s str) -> impl Iterator<Item = &'s str> {
        self.0.iter().filter_map(move |(path, _)| match &path[..] {
            [first, name, last] if first == above && last == key => Some(name.as_str()),
            _ => None,
        })
    }

    /// The value at exactly this path.
    pub fn at(&self, keys: &[&str]) -> Option<&str> {
        self.0.iter().find(|(path, _)| path.len() == keys.len() && ends(path, keys)).map(|(_, value)| value.as_str())
    }
}

fn ends(path: &[String], keys: &[&str]) -> bool {
    path.len() >= keys.len() && path[path.len() - keys.len()..].iter().eq(keys)
}

/// A scalar without its quotes, or its comment.
fn plain(text: &str) -> &str {
    let text = text.trim();
    for quote in ['"', '\''] {
        if let Some((inner, _)) = text.strip_prefix(quote).and_then(|rest| rest.split_once(quote)) {
            return inner;
        }
    }
    if text.starts_with('#') { "" } else { text.split(" #").next().unwrap_or_default().trim_end() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# a comment
model:
  default: 'gpt'   # another
  base_url: \"http://127.0.0.1:8000/v1\"
custom_providers:
- name: one
  base_url: https://one.example/v1
- name: two
  base_url: https://two.example:8443
terminal:
    backend: docker
    env_passthrough: [HTTPS_PROXY, http_proxy]
mcp_servers:
  files:
    command: npx
    args: [\"-y\"]
    env:
      HTTPS_PROXY: x
  web:
    url: https://mcp.example
lists:
  - plain
  -
    deep: 1
";

    #[test]
    fn scalars_are_found_by_their_path() {
        let scalars = Scalars::parse(TEXT);
        assert_eq!(scalars.at(&["model", "default"]), Some("gpt"));
        let urls: Vec<_> = scalars.ending(&["base_url"]).collect();
        assert_eq!(urls, ["http://127.0.0.1:8000/v1", "https://one.example/v1", "https://two.example:8443"]);
        assert_eq!(scalars.at(&["custom_providers", "-", "name"]), Some("one"));
        assert_eq!(scalars.holding("mcp_servers", "command").collect::<Vec<_>>(), ["files"]);
        assert_eq!(scalars.at(&["mcp_servers", "files", "env", "HTTPS_PROXY"]), Some("x"));
        assert_eq!(scalars.at(&["terminal", "backend"]), Some("docker"));
        assert_eq!(scalars.at(&["lists", "-"]), Some("plain"));
        assert_eq!(scalars.at(&["lists", "-", "deep"]), Some("1"));
        assert_eq!(scalars.at(&["backend"]), None, "a path is whole");
    }

    #[test]
    fn what_is_no_such_file_has_nothing_or_little_and_never_fails() {
        for text in ["", ":", "- ", "-", "\t- a: b", "a: {b: c}", "\u{feff}", "'", "- - - x", "{\"a\": 1}"] {
            assert!(Scalars::parse(text).0.len() <= 1, "{text:?}");
        }
        assert_eq!(Scalars::read(Path::new("/nowhere/config.yaml")), Scalars::default());
    }
}
