//! Shell text → plain words: continuations, `$IFS`, quotes and backslashes inside words, braces, variables, `$'…'`.
//!
//! No shell: only the lines that hold such a spelling are rewritten, each one once, and what is unclear stays.

use super::marks::{CERTAIN, CONTINUES, IN_LITERAL, IN_WORD, OPENS, Spells, in_word, is_mark, means_itself};
use std::collections::HashMap;

/// Longest line rewritten; the rest of a longer one is left out.
const MAX_LINE: usize = 16 << 10;
const MAX_VARIABLES: usize = 64;
const MAX_NAME: usize = 32;
const MAX_VALUE: usize = 256;
/// The longest text whose quotes are taken off.
const MAX_QUOTED: usize = 64;
const MAX_BRACE: usize = 512;
/// The longest part of a command's name on each side of a backslash.
const MAX_BROKEN: usize = 6;
/// The most words that are put into a format.
const MAX_WORDS: usize = 8;
const MAX_DEPTH: usize = 3;

/// What is written for each byte read, at most: a variable's value is longer than its name.
const MAX_GROWTH: usize = 4;
/// Braces looked into on one line.
const MAX_BRACES: usize = 32;

/// The variables a text uses, and what it has assigned to them so far.
struct Variables {
    values: HashMap<Vec<u8>, Option<Vec<u8>>>,
    /// The bytes that end a name.
    ends: [bool; 256],
}

impl Variables {
    /// Those that `text` uses somewhere: of what nobody uses no value is kept.
    fn used_in(text: &[u8]) -> Self {
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

    fn value(&self, name: &[u8]) -> Option<&[u8]> {
        self.values.get(name)?.as_deref()
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

/// The rewritten text, which stops growing at its limit.
struct Plain {
    bytes: Vec<u8>,
    limit: usize,
    braces: usize,
}

impl Plain {
    fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), limit, braces: MAX_BRACES }
    }

    fn push(&mut self, byte: u8) {
        self.extend_from_slice(&[byte]);
    }

    fn extend_from_slice(&mut self, bytes: &[u8]) {
        let room = self.limit.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn last(&self) -> Option<&u8> {
        self.bytes.last()
    }
}

/// The lines of a text that spell something in a shell's way, rewritten plainly and in their order.
pub(super) struct Shell<'t> {
    text: &'t [u8],
    /// Its lines before that were looked at.
    done: usize,
    /// Looked for when the first line is rewritten.
    variables: Option<Variables>,
    joined: Vec<u8>,
    out: Plain,
}

impl<'t> Shell<'t> {
    pub(super) fn new(text: &'t [u8]) -> Self {
        Self {
            text,
            done: 0,
            variables: None,
            joined: Vec::new(),
            out: Plain::new(text.len() * MAX_GROWTH + MAX_VALUE),
        }
    }

    /// A mark stands at `at` that may spell something.
    pub(super) fn mark(&mut self, at: usize, spells: Spells) {
        if at < self.done {
            return;
        }
        let Self { text, done, .. } = *self;
        let spelt = spells & CERTAIN != 0
            || (spells & IN_WORD != 0 && breaks_word(text[at - 1], &text[at + 1..]))
            || (spells & OPENS != 0 && quotes_word(&text[at..]))
            || (spells & IN_LITERAL != 0 && breaks_literal_word(&text[at..]));
        if !spelt && spells & CONTINUES == 0 {
            return;
        }
        let start = memchr::memrchr(b'\n', &text[done..at]).map_or(done, |n| done + n + 1);
        self.done = self.line(start, spelt);
    }

    /// `None` when no line spells anything.
    pub(super) fn finish(self) -> Option<Vec<u8>> {
        let Plain { bytes, .. } = self.out;
        (!bytes.is_empty()).then_some(bytes)
    }

    /// Rewrites the line that begins at `start`, with those it is continued on, if it is or if it spells something; answers
    /// where it ends.
    fn line(&mut self, start: usize, spelt: bool) -> usize {
        let Self { text, done, variables, joined, out } = self;
        let variables = variables.get_or_insert_with(|| Variables::used_in(text));
        assignments(&text[*done..start], variables);
        joined.clear();
        let mut was_joined = false;
        let mut rest = &text[start..];
        let bare = loop {
            let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |n| n + 1);
            let (line, after) = rest.split_at(end);
            rest = after;
            let bare = line.strip_suffix(b"\n").unwrap_or(line);
            let bare = bare.strip_suffix(b"\r").unwrap_or(bare);
            let continued =
                bare.strip_suffix(b"\\").or_else(|| bare.strip_suffix(b" ^")).or_else(|| bare.strip_suffix(b" `"));
            match continued {
                Some(head) if joined.len() < MAX_LINE && !rest.is_empty() => {
                    joined.extend_from_slice(head);
                    was_joined = true;
                }
                None if was_joined && !rest.is_empty() && is_comment(bare) => {}
                // It goes on without a mark that says so.
                None if was_joined
                    && joined.len() < MAX_LINE
                    && !rest.is_empty()
                    && bare.trim_ascii_end().ends_with(b"|") =>
                {
                    joined.extend_from_slice(bare);
                }
                _ => break bare,
            }
        };
        let whole: &[u8] = if was_joined {
            joined.extend_from_slice(bare);
            joined
        } else {
            bare
        };
        let whole = &whole[..whole.len().min(MAX_LINE)];
        assignments(whole, variables);
        if was_joined || spelt {
            out.braces = MAX_BRACES;
            rewrite(whole, variables, MAX_DEPTH, out);
            out.push(b'\n');
        }
        text.len() - rest.len()
    }
}

/// Whether a line within a command is a comment, as in a Dockerfile, and no part of a command that is commented out.
fn is_comment(line: &[u8]) -> bool {
    let text = line.trim_ascii_start();
    let word = text.iter().find(|b| !matches!(b, b'#' | b' ' | b'\t'));
    text.starts_with(b"#") && !matches!(word, Some(b'|' | b'&' | b'>' | b'<' | b'-'))
}

/// Whether a quote in the midst of a word, as in `r''m`, is more than an apostrophe of English.
fn breaks_word(before: u8, after: &[u8]) -> bool {
    let end = after.iter().position(|b| !b.is_ascii_alphanumeric()).unwrap_or(after.len());
    let closed = matches!(after.get(end), Some(b'\'' | b'"'));
    let english = matches!(after[..end], [b't' | b's' | b'd' | b'm'] | [b'r' | b'v', b'e'] | [b'l', b'l']);
    !(before.is_ascii_alphabetic() && english && !closed)
}

/// Whether a quote of a literal's own, behind a word, is no end of what it quotes: as in `"r\"m\" -rf"`.
fn breaks_literal_word(rest: &[u8]) -> bool {
    let after = rest.get(2..).unwrap_or_default();
    let after = if after.starts_with(&rest[..2]) { &after[2..] } else { after };
    after.first().is_some_and(|b| in_word(*b))
}

/// Whether a word stands in quotes it does not need, as in `"rm" -rf`.
fn quotes_word(quoted: &[u8]) -> bool {
    let inner = quoted[1..].iter().take(MAX_QUOTED + 1).take_while(|b| means_itself(**b)).count();
    let (inner, rest) = quoted[1..].split_at(inner);
    let blank = |b: Option<&u8>| b.is_none_or(u8::is_ascii_whitespace);
    !inner.is_empty() && rest.first() == quoted.first() && blank(rest.get(1)) && simple(inner)
}

/// What stands before the closing quote.
fn closing(text: &[u8], quote: u8) -> Option<&[u8]> {
    let window = &text[..text.len().min(MAX_VALUE)];
    memchr::memchr(quote, window).map(|n| &window[..n])
}

/// A quoted text that means the same without its quotes.
fn simple(text: &[u8]) -> bool {
    text.len() <= MAX_QUOTED && text.iter().all(|b| means_itself(*b)) && !text.windows(3).any(|w| w == b"IFS")
}

/// Notes every `name=value` of the lines that gives a used variable its value.
fn assignments(lines: &[u8], variables: &mut Variables) {
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
            let ends = |b: &u8| b.is_ascii_whitespace() || b";&|)\"'`<>".contains(b);
            &rest[..rest.iter().position(ends).unwrap_or(rest.len())]
        };
        if value.len() > MAX_VALUE || value.starts_with(b"=") {
            continue;
        }
        let mut plain = Plain::new(MAX_VALUE);
        rewrite(value, variables, 1, &mut plain);
        variables.values.insert(name.to_vec(), Some(plain.bytes));
    }
}

fn rewrite(line: &[u8], variables: &Variables, depth: usize, out: &mut Plain) {
    let mut rest = line;
    while !rest.is_empty() {
        let plain = rest.iter().position(|b| is_mark(*b)).unwrap_or(rest.len());
        out.extend_from_slice(&rest[..plain]);
        rest = &rest[plain..];
        let Some(&first) = rest.first() else { return };
        let used = match first {
            b'\\' => backslash(rest, out),
            b'\'' | b'"' => quote(rest, variables, depth, out),
            b'$' => dollar(rest, variables, depth, out),
            b'{' => brace(rest, variables, depth, out),
            b'`' => command(rest, 1, b'`', variables, depth, out),
            b'^' if out.last().is_some_and(u8::is_ascii_alphabetic)
                && rest.get(1).is_some_and(u8::is_ascii_alphabetic) =>
            {
                1
            }
            _ => 0,
        };
        if used == 0 {
            out.push(first);
        }
        rest = &rest[used.max(1)..];
    }
}

/// `\c` is `c`; `\x41`, `\101` and `\u0041` are `A`. In a literal of a program each is written twice.
fn backslash(rest: &[u8], out: &mut Plain) -> usize {
    if let Some((inner, used)) = quoted_in_literal(rest, out.bytes.last()) {
        out.extend_from_slice(inner);
        return used;
    }
    if let [_, b'\\', c, after @ ..] = rest
        && c.is_ascii_alphabetic()
        && breaks_name(&out.bytes, *c, after)
    {
        out.push(*c);
        return 3;
    }
    let number = |digits: Option<&[u8]>, radix| {
        let value = u32::from_str_radix(std::str::from_utf8(digits?).ok()?, radix).ok()?;
        u8::try_from(value).ok().filter(|b| b.is_ascii_graphic() || *b == b' ')
    };
    let (decoded, used) = match rest.get(1) {
        Some(b'x') => (number(rest.get(2..4), 16), 4),
        Some(b'u') => (number(rest.get(2..6), 16), 6),
        Some(b'0'..=b'3') => (number(rest.get(1..4), 8), 4),
        _ => (None, 2),
    };
    // A line's end that is written out, beside a row of a table.
    if rest.starts_with(b"\\n| ") || (rest.starts_with(b"\\n") && out.bytes.ends_with(b" |")) {
        out.push(b'\n');
        return 2;
    }
    match (decoded, rest.get(1)) {
        (Some(byte), _) => {
            out.push(byte);
            used
        }
        (None, Some(&c)) => {
            out.push(c);
            2
        }
        (None, None) => 0,
    }
}

/// What stands between the quotes of a word that is part of a literal, as in `"r\"m\" -rf"`, and how long that is.
fn quoted_in_literal<'t>(rest: &'t [u8], before: Option<&u8>) -> Option<(&'t [u8], usize)> {
    let (mark, quoted) = rest.split_at_checked(2)?;
    let quote = mark.last().filter(|b| matches!(b, b'"' | b'\''))?;
    let inner = &quoted[..closing(quoted, *quote)?.len()].strip_suffix(b"\\")?;
    let after = quoted.get(inner.len() + 2);
    let of_word = |b: Option<&u8>| b.is_some_and(|b| in_word(*b));
    let (follows, goes_on) = (of_word(before), of_word(after));
    let breaks = if inner.is_empty() { follows && goes_on } else { follows || goes_on };
    (breaks && simple(inner)).then_some((inner, inner.len() + 4))
}

/// Whether a backslash that is written twice breaks the name of a command, as in `cu\\rl`: a short one, and no end of a line.
fn breaks_name(before: &[u8], letter: u8, after: &[u8]) -> bool {
    let is_end = matches!(letter, b'n' | b't') || (letter == b'r' && after.starts_with(b"\\"));
    let head = before.iter().rev().take_while(|b| b.is_ascii_alphabetic()).count();
    let tail = after.iter().take_while(|b| b.is_ascii_alphabetic()).count();
    let begins =
        before.len().checked_sub(head + 1).is_none_or(|at| !in_word(before[at]) && !b":\\%".contains(&before[at]));
    let ends =
        after.get(tail).is_none_or(|b| matches!(b, b' ' | b'\t' | b'"' | b'\'' | b'`' | b';' | b'|' | b'&' | b')'));
    !is_end && (1..=MAX_BROKEN).contains(&head) && tail <= MAX_BROKEN && begins && ends
}

/// What `printf` makes of its format, with which `text` begins, and the words behind it, and how long that is.
fn formatted(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut rest = text;
    let format = shell_word(&mut rest)?;
    let parts: Vec<&[u8]> = split_at_holes(format);
    let mut words = Vec::new();
    while let Some(word) = shell_word(&mut rest) {
        words.push(word);
    }
    let holes = parts.len() - 1;
    if holes == 0 || words.is_empty() || words.len() > MAX_WORDS || format.contains(&b'$') {
        return None;
    }
    let mut made = Vec::new();
    for filled in words.chunks(holes) {
        for (n, part) in parts.iter().enumerate() {
            made.extend_from_slice(part);
            made.extend_from_slice(filled.get(n).copied().unwrap_or_default());
        }
    }
    (!made.contains(&b'%')).then_some((made, text.len() - rest.len()))
}

/// The parts of a format between its `%s`, a line's end behind the last one left out.
fn split_at_holes(format: &[u8]) -> Vec<&[u8]> {
    let mut rest = format.strip_suffix(b"\\n").unwrap_or(format);
    let mut parts = Vec::new();
    while let Some(at) = memchr::memmem::find(rest, b"%s") {
        parts.push(&rest[..at]);
        rest = &rest[at + 2..];
    }
    parts.push(rest);
    parts
}

/// Takes the next word of a command from `text`, without its quotes; `None` where the command ends.
fn shell_word<'t>(text: &mut &'t [u8]) -> Option<&'t [u8]> {
    let rest = text.trim_ascii_start();
    let first = rest.first()?;
    if matches!(first, b'"' | b'\'') {
        let word = closing(&rest[1..], *first)?;
        *text = &rest[word.len() + 2..];
        return Some(word);
    }
    let ends = |b: &u8| b.is_ascii_whitespace() || b";&|)\"'`<>".contains(b);
    let word = &rest[..rest.iter().position(ends).unwrap_or(rest.len())];
    *text = &rest[word.len()..];
    (!word.is_empty()).then_some(word)
}

fn quote(rest: &[u8], variables: &Variables, depth: usize, out: &mut Plain) -> usize {
    if let Some(before) = out.bytes.strip_suffix(b"printf ").map(<[u8]>::len)
        && depth > 0
        && let Some((made, used)) = formatted(rest)
    {
        out.bytes.truncate(before);
        rewrite(&made, variables, depth - 1, out);
        return used;
    }
    let Some(inner) = closing(&rest[1..], rest[0]).filter(|i| simple(i)) else { return 0 };
    if rest[0] == b'"' && depth > 0 {
        rewrite(inner, variables, depth - 1, out);
    } else {
        out.extend_from_slice(inner);
    }
    inner.len() + 2
}

fn dollar(rest: &[u8], variables: &Variables, depth: usize, out: &mut Plain) -> usize {
    let letter = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphabetic);
    match rest.get(1) {
        Some(b'\'') => {
            let Some(inner) = closing(&rest[2..], b'\'') else { return 0 };
            let mut at = 0;
            while at < inner.len() {
                let used = if inner[at] == b'\\' { backslash(&inner[at..], out) } else { 0 };
                if used == 0 {
                    out.push(inner[at]);
                }
                at += used.max(1);
            }
            inner.len() + 3
        }
        Some(b'"') => 1,
        Some(b'(') => command(rest, 2, b')', variables, depth, out),
        // An empty parameter between two letters or at the end of a word: `c$@url`, `sh$@ -c`.
        Some(b'@' | b'*' | b'1'..=b'9') if letter(out.last()) && letter(rest.get(2)) => 2,
        Some(b'@' | b'*') if letter(out.last()) && rest.get(2).is_some_and(|b| matches!(b, b' ' | b'\t')) => 2,
        Some(b'{') => {
            let Some(close) = memchr::memchr(b'}', &rest[..rest.len().min(64)]) else { return 0 };
            let inner = &rest[2..close];
            if inner.starts_with(b"IFS") {
                out.push(b' ');
            } else if matches!(inner, b"@" | b"*" | b"9") && letter(out.last()) && letter(rest.get(close + 1)) {
            } else if let Some(value) = variables.value(inner) {
                out.extend_from_slice(value);
            } else {
                return 0;
            }
            close + 1
        }
        Some(_) => {
            let name = &rest[1..];
            let name =
                &name[..name.iter().position(|b| !(b.is_ascii_alphanumeric() || *b == b'_')).unwrap_or(name.len())];
            if let Some(tail) = name.strip_prefix(b"IFS") {
                out.push(b' ');
                let nine = tail.is_empty() && rest[4..].starts_with(b"$9");
                return 4 + if nine { 2 } else { 0 };
            }
            let Some(value) = variables.value(name) else { return 0 };
            out.extend_from_slice(value);
            name.len() + 1
        }
        None => 0,
    }
}

/// `$(echo word)` is `word`, and so are `$(which word)` and `$(rev <<< drow)`.
fn command(rest: &[u8], open: usize, close: u8, variables: &Variables, depth: usize, out: &mut Plain) -> usize {
    let inner = &rest[open..rest.len().min(MAX_VALUE)];
    let Some(end) = memchr::memchr(close, inner) else { return 0 };
    if let Some(program) = sought(&inner[..end]) {
        out.extend_from_slice(program);
        return open + end + 1;
    }
    if depth > 0
        && let Some((made, _)) = inner[..end].strip_prefix(b"printf ").and_then(formatted)
    {
        rewrite(&made, variables, depth - 1, out);
        return open + end + 1;
    }
    let words = [&b"echo "[..], b"printf ", b"echo -n ", b"printf %s "]
        .iter()
        .rev()
        .find_map(|p| inner[..end].strip_prefix(*p));
    let Some(words) = words.filter(|w| depth > 0 && !w.iter().any(|b| matches!(b, b'|' | b';' | b'<' | b'>'))) else {
        let Some(word) = undone(&inner[..end]) else { return 0 };
        out.extend_from_slice(&word);
        return open + end + 1;
    };
    rewrite(words, variables, depth - 1, out);
    open + end + 1
}

/// The name of a program whose path is asked for.
fn sought(command: &[u8]) -> Option<&[u8]> {
    let command = command.trim_ascii();
    let name =
        [&b"which "[..], b"command -v ", b"type -p "].iter().find_map(|p| command.strip_prefix(*p))?.trim_ascii();
    (!name.is_empty() && name.iter().all(|b| in_word(*b))).then_some(name)
}

/// The word that a program of everyday turns back to what it was: `echo cm0= | base64 -d`, `rev <<< mr`.
fn undone(command: &[u8]) -> Option<Vec<u8>> {
    let (word, program) = match memchr::memchr(b'|', command) {
        Some(bar) => (command.strip_prefix(b"echo ")?.get(..bar.checked_sub(5)?)?, &command[bar + 1..]),
        None => memchr::memmem::find(command, b"<<<").map(|at| (&command[at + 3..], &command[..at]))?,
    };
    let word = word.trim_ascii();
    let word = word.strip_prefix(b"-n ").unwrap_or(word).trim_ascii();
    let word = match word {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => inner,
        _ => word,
    };
    let plain = match program.trim_ascii() {
        b"rev" => word.iter().rev().copied().collect(),
        b"base64 -d" | b"base64 -D" | b"base64 --decode" => {
            let end = word.iter().rposition(|b| *b != b'=').map_or(0, |n| n + 1);
            data_encoding::BASE64_NOPAD.decode(&word[..end]).ok()?
        }
        b"xxd -r -p" | b"xxd -p -r" => data_encoding::HEXLOWER_PERMISSIVE.decode(word).ok()?,
        _ => return None,
    };
    let plain = plain.trim_ascii_end();
    let is_text = !plain.is_empty() && plain.iter().all(|b| b.is_ascii_graphic() || *b == b' ');
    is_text.then(|| plain.to_vec())
}

/// `{rm,-rf,/}` is `rm -rf /`, and `/etc/{passwd,shadow}` is two words.
fn brace(rest: &[u8], variables: &Variables, depth: usize, out: &mut Plain) -> usize {
    if out.braces == 0 {
        return 0;
    }
    out.braces -= 1;
    let window = &rest[..rest.len().min(MAX_BRACE)];
    let mut level = 0_usize;
    let mut commas = Vec::new();
    let mut quoted = None;
    let mut end = None;
    for (i, &b) in window.iter().enumerate() {
        if let Some(q) = quoted {
            quoted = (b != q).then_some(q);
            continue;
        }
        match b {
            b'\'' | b'"' => quoted = Some(b),
            b'{' => level += 1,
            b'}' => {
                level -= 1;
                if level == 0 {
                    end = Some(i);
                    break;
                }
            }
            b',' if level == 1 => commas.push(i),
            // A member's name ends so: an object, no list of words.
            b':' if matches!(window[i - 1], b'"' | b'\'') => return 0,
            b if b.is_ascii_whitespace() => return 0,
            _ => {}
        }
    }
    let (Some(end), true) = (end, !commas.is_empty() && commas.len() < 16 && depth > 0) else { return 0 };
    let stem_at = out.bytes.iter().rposition(|&b| !in_word(b)).map_or(0, |n| n + 1);
    let stem = out.bytes[stem_at..].to_vec();
    if stem.last().is_some_and(|b| *b != b'/') {
        return 0;
    }
    let mut from = 1;
    for (n, to) in commas.iter().copied().chain([end]).enumerate() {
        if n > 0 {
            out.push(b' ');
            out.extend_from_slice(&stem);
        }
        rewrite(&window[from..to], variables, depth - 1, out);
        from = to + 1;
    }
    end + 1
}

#[cfg(test)]
mod tests;
