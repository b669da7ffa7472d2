//! The dotenv files that Hermes lets override its environment: a proxy line there leads past the guardian, a
//! line about roots to clients that do not trust it.

mod values;

pub use values::variables;

use super::contract::{is_ca_variable, is_proxy_variable};
use std::{
    ffi::OsStr,
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

/// A line that sets a proxy variable, or one about roots. Its value is not kept: it may hold a credential.
#[derive(Debug, PartialEq, Eq)]
pub struct Override {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The variable.
    pub name: String,
}

/// No dotenv file is read further.
pub const MAX_BYTES: u64 = 1 << 20;

/// The files Hermes reads, weakest first: its own, then the machine's.
pub fn files(hermes_home: &Path) -> [PathBuf; 2] {
    [hermes_home.join(".env"), PathBuf::from("/etc/hermes/.env")]
}

/// Every line of this file that sets a proxy variable, or one about whom to trust. A file that is not there, or not readable by us, sets none.
pub fn overrides(path: &Path) -> Vec<Override> {
    overrides_but(path, &|_, _| false)
}

/// The same, but for lines whose name and value are `ours`.
pub fn overrides_but(path: &Path, ours: &dyn Fn(&str, &str) -> bool) -> Vec<Override> {
    if !path.is_file() {
        return Vec::new();
    }
    let Ok(file) = File::open(path) else { return Vec::new() };
    let lines = BufReader::new(file.take(MAX_BYTES)).split(b'\n').map_while(Result::ok);
    let named = lines.zip(1..).filter_map(|(line, number)| Some((variable(&line, ours)?, number)));
    named.map(|(name, line)| Override { path: path.to_owned(), line, name }).collect()
}

fn variable(line: &[u8], ours: &dyn Fn(&str, &str) -> bool) -> Option<String> {
    let line = line.trim_ascii_start();
    let line = line.strip_prefix(b"export ").unwrap_or(line);
    let name = line.split(|b| *b == b'=').next().filter(|name| name.len() < line.len())?.trim_ascii();
    let name = std::str::from_utf8(name).ok()?;
    let plain = name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let decides = plain && (is_proxy_variable(OsStr::new(name)) || is_ca_variable(OsStr::new(name)));
    let value = || line.splitn(2, |b| *b == b'=').nth(1).and_then(|value| std::str::from_utf8(value).ok());
    (decides && !value().is_some_and(|value| ours(name, unquoted(value)))).then(|| name.to_owned())
}

fn unquoted(value: &str) -> &str {
    let value = value.trim();
    let inner = |quote| value.strip_prefix(quote).and_then(|rest: &str| rest.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_that_set_a_proxy_are_named() {
        for line in ["HTTPS_PROXY=http://x", " export no_proxy = *", "ALL_PROXY=", "http_proxy='y'\r"] {
            assert!(variable(line.as_bytes(), &|_, _| false).is_some(), "{line}");
        }
        assert!(variable(b"export SSL_CERT_FILE=/x", &|_, _| false).is_some());
        for line in ["# HTTPS_PROXY=http://x", "HTTPS_PROXY", "KEY=HTTPS_PROXY=1", "", "=_proxy", "a b_proxy=1"] {
            assert_eq!(variable(line.as_bytes(), &|_, _| false), None, "{line}");
        }
    }

    #[test]
    fn a_line_that_says_what_the_contract_says_is_ours_in_any_quotes() {
        let ours = |name: &str, value: &str| name == "HTTP_PROXY" && value == "http://us";
        for line in ["HTTP_PROXY=http://us", "export HTTP_PROXY = 'http://us'\r", "HTTP_PROXY=\"http://us\""] {
            assert_eq!(variable(line.as_bytes(), &ours), None, "{line}");
        }
        for line in ["HTTP_PROXY=http://us/x", "HTTPS_PROXY=http://us", "HTTP_PROXY='http://us", "HTTP_PROXY="] {
            assert!(variable(line.as_bytes(), &ours).is_some(), "{line}");
        }
    }
}
