//! The variables of a text, and what they hold.

use super::{
    expand::{MAX_VALUE, Plain, bare, closing, rewrite},
    functions::{Functions, begins_command},
    makefile::{Macros, definitions},
    output::shell_word,
};
use memchr::memmem;
use std::{collections::HashMap, ops::Range};

pub(super) const MAX_VARIABLES: usize = 64;
const MAX_NAME: usize = 32;
/// What empties one.
const UNSET: &[u8] = b"unset ";

/// The variables a text uses, and what it has assigned to them so far.
pub(super) struct Variables {
    values: HashMap<Vec<u8>, Option<Value>>,
    /// The bytes that end a name.
    ends: [bool; 256],
    /// Where it uses those that have no name.
    functions: Functions,
    /// Those of a makefile.
    pub(super) macros: Macros,
    /// The text empties some.
    unsets: bool,
    /// The line that is looked at.
    line: Range<usize>,
}

/// What a variable holds.
struct Value {
    text: Vec<u8>,
    /// It is a list of words.
    is_list: bool,
}

impl Variables {
    /// Those that `text` uses somewhere: of what nobody uses no value is kept.
    pub(super) fn used_in(text: &[u8]) -> Self {
        let mut used = Self {
            values: HashMap::new(),
            ends: [false; 256],
            functions: Functions::default(),
            macros: Macros::default(),
            unsets: false,
            line: 0..0,
        };
        let mut nameless = false;
        for at in memchr::memchr_iter(b'$', text) {
            used.macros.note(&text[at + 1..]);
            nameless |=
                matches!(text[at + 1..], [b'1'..=b'9' | b'@' | b'*', ..] | [b'{', b'1'..=b'9' | b'@' | b'*', ..]);
            if used.values.len() < MAX_VARIABLES
                && let Some(name) = name_of(&text[at + 1..])
                && let Some(last) = name.last()
            {
                used.ends[usize::from(*last)] = true;
                used.values.insert(name, None);
            }
        }
        if nameless {
            used.functions = Functions::of(text);
        }
        used.unsets = memmem::find(text, UNSET).is_some();
        definitions(text, &mut used);
        used
    }

    /// The line that is looked at is this one of the text.
    pub(super) fn enter(&mut self, line: Range<usize>) {
        self.line = line;
    }

    /// What a digit, `@` or `*` stands for in the line that is looked at.
    pub(super) fn nameless(&self, name: u8) -> Option<&[u8]> {
        self.functions.value(&self.line, name)
    }

    /// Whether a name may end with what stands before this.
    fn may_end(&self, before: &[u8]) -> bool {
        before.last().is_some_and(|last| self.ends[usize::from(*last)])
    }

    fn set(&mut self, name: &[u8], text: Vec<u8>) {
        self.values.insert(name.to_vec(), Some(Value { text, is_list: false }));
    }

    pub(super) fn value(&self, name: &[u8]) -> Option<&[u8]> {
        match name {
            [digit @ b'1'..=b'9'] => self.nameless(*digit),
            _ => self.item(name, 0),
        }
    }

    /// The words of a list, as they stood.
    pub(super) fn list(&self, name: &[u8]) -> Option<&[u8]> {
        Some(&self.values.get(name)?.as_ref()?.text)
    }

    /// One word of a list, counted from 0; of what is none, the first is all of it.
    pub(super) fn item(&self, name: &[u8], index: usize) -> Option<&[u8]> {
        let Value { text, is_list } = self.values.get(name)?.as_ref()?;
        if *is_list {
            text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).nth(index)
        } else {
            Some(&text[..]).filter(|_| index == 0)
        }
    }
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

/// Notes every `name=value` of the lines, which begin at `start`, that gives a used variable its value, and what `cd` and
/// `unset` make of one.
pub(super) fn assignments(lines: &[u8], start: usize, variables: &mut Variables) {
    if variables.values.is_empty() {
        return;
    }
    if variables.values.contains_key(&b"PWD"[..])
        && let Some(folder) = after_word(lines, b"cd ").filter(|folder| matches!(folder, [b'/' | b'~', ..]))
    {
        variables.set(b"PWD", folder.to_vec());
    }
    if variables.unsets
        && let Some(name) = after_word(lines, UNSET).filter(|name| variables.values.contains_key(*name))
    {
        variables.set(name, Vec::new());
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
        let (value, is_list) = match rest.first() {
            Some(&q @ (b'"' | b'\'')) => (closing(&rest[1..], q).unwrap_or(b""), false),
            Some(b'(') => (closing(&rest[1..], b')').unwrap_or(b"").trim_ascii(), true),
            _ => (bare(rest), false),
        };
        if value.len() > MAX_VALUE || value.starts_with(b"=") {
            continue;
        }
        variables.enter(start + at..start + at + 1);
        let mut plain = Plain::new(MAX_VALUE);
        rewrite(value, variables, 1, &mut plain);
        variables.values.insert(name.to_vec(), Some(Value { text: plain.bytes, is_list }));
    }
}

/// The word behind the last `command` of the lines, without its quotes.
fn after_word<'t>(lines: &'t [u8], command: &[u8]) -> Option<&'t [u8]> {
    let at = memmem::find_iter(lines, command).filter(|at| begins_command(&lines[..*at])).last()?;
    shell_word(&mut &lines[at + command.len()..]).filter(|word| word.len() <= MAX_VALUE)
}
