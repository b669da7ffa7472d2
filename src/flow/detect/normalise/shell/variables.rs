//! The variables of a text, and what they hold.

use super::expand::{MAX_VALUE, Plain, bare, closing, rewrite, simple};
use std::collections::HashMap;

pub(super) const MAX_VARIABLES: usize = 64;
const MAX_NAME: usize = 32;

/// The variables of every shell that hold a path, or paths, from the root.
const FROM_ROOT: &[&[u8]] = &[b"HOME", b"PATH", b"PWD", b"OLDPWD", b"SHELL", b"BASH", b"TMPDIR", b"XDG_RUNTIME_DIR"];

/// The variables a text uses, and what it has assigned to them so far.
pub(super) struct Variables {
    values: HashMap<Vec<u8>, Option<Vec<u8>>>,
    /// The bytes that end a name.
    ends: [bool; 256],
}

impl Variables {
    /// Those that `text` uses somewhere: of what nobody uses no value is kept.
    pub(super) fn used_in(text: &[u8]) -> Self {
        let mut used = Self { values: HashMap::new(), ends: [false; 256] };
        for at in memchr::memchr_iter(b'$', text) {
            if used.values.len() < MAX_VARIABLES
                && let Some(name) = name_of(&text[at + 1..])
                && let Some(last) = name.last()
            {
                used.ends[usize::from(*last)] = true;
                used.values.insert(name, None);
            }
        }
        used
    }

    /// Whether a name may end with what stands before this.
    fn may_end(&self, before: &[u8]) -> bool {
        before.last().is_some_and(|last| self.ends[usize::from(*last)])
    }

    pub(super) fn value(&self, name: &[u8]) -> Option<&[u8]> {
        self.values.get(name)?.as_deref()
    }

    /// The part of a value that `name:offset:length` says, as it stands between braces. Of no variable nothing is nothing,
    /// and of those that hold a path the first character is known.
    pub(super) fn part(&self, inner: &[u8]) -> Option<&[u8]> {
        let mut words = inner.split(|b| *b == b':');
        let (name, offset, length) = (words.next()?, number(words.next()?)?, words.next().map(number));
        if words.next().is_some() || name.is_empty() || length == Some(None) {
            return None;
        }
        let value = match (self.value(name), offset, length.flatten()) {
            (_, _, Some(0)) => &b""[..],
            (Some(value), ..) => value,
            (None, 0, Some(1)) if FROM_ROOT.contains(&name) => b"/",
            _ => return None,
        };
        let from = offset.min(value.len());
        let to = length.flatten().map_or(value.len(), |length| (from + length).min(value.len()));
        value.get(from..to)
    }

    /// What `name:-other` says: the other where no value is known, and may be none. The same with an equals sign, or without
    /// the colon.
    pub(super) fn or_else<'t>(&'t self, inner: &'t [u8]) -> Option<&'t [u8]> {
        let name = inner.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
        let (name, rest) = inner.split_at(name);
        let rest = rest.strip_prefix(b":").unwrap_or(rest);
        let other = rest.strip_prefix(b"-").or_else(|| rest.strip_prefix(b"="))?;
        let may_be_unset = !name.is_empty() && !FROM_ROOT.contains(&name);
        let plain = may_be_unset && !other.is_empty() && simple(other);
        plain.then(|| self.value(name).unwrap_or(other))
    }
}

/// The number that a few digits are.
fn number(digits: &[u8]) -> Option<usize> {
    let digits = digits.trim_ascii();
    let few = (1..=3).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    few.then(|| digits.iter().fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0')))
}

/// The name of the variable after a `$`; a line may be continued in its midst.
fn name_of(text: &[u8]) -> Option<Vec<u8>> {
    let mut rest = text.strip_prefix(b"{").unwrap_or(text);
    let mut name = Vec::new();
    while let Some((&first, after)) = rest.split_first() {
        match first {
            b'\\' => rest = after.strip_prefix(b"\n").or_else(|| after.strip_prefix(b"\r\n"))?,
            b if b == b'_' || b.is_ascii_alphabetic() || (b.is_ascii_digit() && !name.is_empty()) => {
                name.push(first);
                rest = after;
            }
            _ => break,
        }
        if name.len() > MAX_NAME {
            return None;
        }
    }
    (!name.is_empty()).then_some(name)
}

/// Notes every `name=value` of the lines that gives a used variable its value.
pub(super) fn assignments(lines: &[u8], variables: &mut Variables) {
    if variables.values.is_empty() {
        return;
    }
    for at in memchr::memchr_iter(b'=', lines) {
        if !variables.may_end(&lines[..at]) {
            continue;
        }
        let name_start =
            lines[..at].iter().rposition(|b| !(b.is_ascii_alphanumeric() || *b == b'_')).map_or(0, |n| n + 1);
        let name = &lines[name_start..at];
        let clear = name_start == 0
            || matches!(
                lines[name_start - 1],
                b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'(' | b'{' | b'"' | b'\'' | b'`' | b'>' | b'+'
            );
        if !clear || !variables.values.contains_key(name) {
            continue;
        }
        // One byte more than a value may have, its quotes aside.
        let rest = &lines[at + 1..lines.len().min(at + 1 + MAX_VALUE + 3)];
        let rest = &rest[..memchr::memchr(b'\n', rest).unwrap_or(rest.len())];
        let value = if let Some(&q @ (b'"' | b'\'')) = rest.first() {
            closing(&rest[1..], q).unwrap_or(b"")
        } else {
            bare(rest)
        };
        if value.len() > MAX_VALUE || value.starts_with(b"=") {
            continue;
        }
        let mut plain = Plain::new(MAX_VALUE);
        rewrite(value, variables, 1, &mut plain);
        variables.values.insert(name.to_vec(), Some(plain.bytes));
    }
}
