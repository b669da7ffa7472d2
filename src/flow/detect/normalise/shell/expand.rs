//! A line as a shell reads it → the words it means, as far as they are plain.

use super::{
    super::marks::{in_word, is_mark, means_itself},
    output::{command, formatted},
    parameter::expanded,
    ticks,
    variables::Variables,
};

/// The longest text between two quotes or brackets, and the longest value of a variable.
pub(super) const MAX_VALUE: usize = 256;
/// The longest text whose quotes are taken off.
pub(super) const MAX_QUOTED: usize = 64;
/// The longest text between braces.
const MAX_BRACE: usize = 512;
/// The longest part of a command's name on each side of a backslash.
const MAX_BROKEN: usize = 6;
/// The most words, and the most bytes, that the lists of one word stand for.
const MAX_WORDS: usize = 32;
const MAX_PRODUCT: usize = 2 << 10;
/// Braces looked into on one line.
pub(super) const MAX_BRACES: usize = 32;

/// The rewritten text, which stops growing at its limit.
pub(super) struct Plain {
    pub(super) bytes: Vec<u8>,
    limit: usize,
    /// Braces that may still be looked into on this line.
    pub(super) braces: usize,
}

impl Plain {
    pub(super) fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), limit, braces: MAX_BRACES }
    }

    pub(super) fn push(&mut self, byte: u8) {
        self.extend_from_slice(&[byte]);
    }

    pub(super) fn extend_from_slice(&mut self, bytes: &[u8]) {
        let room = self.limit.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn is_full(&self) -> bool {
        self.bytes.len() >= self.limit
    }

    fn last(&self) -> Option<&u8> {
        self.bytes.last()
    }
}

/// What stands before the closing quote.
pub(super) fn closing(text: &[u8], quote: u8) -> Option<&[u8]> {
    let window = &text[..text.len().min(MAX_VALUE)];
    memchr::memchr(quote, window).map(|n| &window[..n])
}

/// The word without quotes that `text` begins with.
pub(super) fn bare(text: &[u8]) -> &[u8] {
    let ends = |b: &u8| b.is_ascii_whitespace() || b";&|)\"'`<>".contains(b);
    &text[..text.iter().position(ends).unwrap_or(text.len())]
}

/// A quoted text that means the same without its quotes.
pub(super) fn simple(text: &[u8]) -> bool {
    text.len() <= MAX_QUOTED && text.iter().all(|b| means_itself(*b)) && !text.windows(3).any(|w| w == b"IFS")
}

pub(super) fn rewrite(line: &[u8], variables: &Variables, depth: usize, out: &mut Plain) {
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
            b'`' => match ticks::rest_of_word(&out.bytes, rest) {
                Some((plain, used)) => {
                    out.extend_from_slice(&plain);
                    used
                }
                None => command(rest, 1, b'`', variables, depth, out),
            },
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
        Some(b'(') => {
            let name = closing(&rest[2..], b')');
            let Some((name, value)) = name.and_then(|name| Some((name, variables.macros.value(name)?))) else {
                return command(rest, 2, b')', variables, depth, out);
            };
            out.extend_from_slice(value);
            name.len() + 3
        }
        Some(name @ (b'@' | b'*' | b'1'..=b'9'))
            if let Some(value) = variables.nameless(*name).filter(|_| !rest.get(2).is_some_and(u8::is_ascii_digit)) =>
        {
            out.extend_from_slice(value);
            2
        }
        // An empty parameter between two letters or at the end of a word: `c$@url`, `sh$@ -c`.
        Some(b'@' | b'*' | b'1'..=b'9') if letter(out.last()) && letter(rest.get(2)) => 2,
        Some(b'@' | b'*') if letter(out.last()) && rest.get(2).is_some_and(|b| matches!(b, b' ' | b'\t')) => 2,
        Some(b'{') => {
            let Some(close) = memchr::memchr(b'}', &rest[..rest.len().min(64)]) else { return 0 };
            let inner = &rest[2..close];
            let of_ifs = inner.starts_with(b"IFS");
            if let Some(value) = expanded(inner, variables).filter(|value| !of_ifs || value.is_empty()) {
                out.extend_from_slice(&value);
            } else if of_ifs {
                out.push(b' ');
            } else if !(matches!(inner, b"@" | b"*" | b"9") && letter(out.last()) && letter(rest.get(close + 1))) {
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

/// `{rm,-rf,/}` is `rm -rf /`, `/etc/{passwd,shadow}` is two words, as is `~/.ssh/id_{rsa,dsa}`, and
/// `~/.{ssh,gnupg}/id_{rsa,dsa}` four.
fn brace(rest: &[u8], variables: &Variables, depth: usize, out: &mut Plain) -> usize {
    if out.braces == 0 {
        return 0;
    }
    out.braces -= 1;
    let window = &rest[..rest.len().min(MAX_BRACE)];
    let Some((commas, end)) = list(window).filter(|_| depth > 0) else { return 0 };
    let stem_at = out.bytes.iter().rposition(|&b| !in_word(b)).map_or(0, |n| n + 1);
    let stem = out.bytes[stem_at..].to_vec();
    let in_name = stem.ends_with(b"_") && stem.contains(&b'/');
    if !(stem.is_empty() || stem.ends_with(b"/") || stem.ends_with(b"/.") || in_name) {
        return 0;
    }
    // Each word of the lists behind it counts as one more that was looked into.
    let (tails, used) = match tails(&window[end + 1..]) {
        (tails, used) if tails.len() - 1 <= out.braces => (tails, used),
        _ => (vec![Vec::new()], 0),
    };
    out.braces -= tails.len() - 1;
    let mut from = 1;
    for (n, to) in commas.into_iter().chain([end]).enumerate() {
        if out.is_full() {
            break;
        }
        if n > 0 {
            out.push(b' ');
            out.extend_from_slice(&stem);
        }
        let at = out.bytes.len();
        rewrite(&window[from..to], variables, depth - 1, out);
        let word = out.bytes[at..].to_vec();
        out.extend_from_slice(&tails[0]);
        for tail in &tails[1..] {
            for part in [b" ", &stem[..], &word, tail] {
                out.extend_from_slice(part);
            }
        }
        from = to + 1;
    }
    end + 1 + used
}

/// Where the commas of the list stand that `window` begins with, and where its brace is closed.
fn list(window: &[u8]) -> Option<(Vec<usize>, usize)> {
    let mut level = 0_usize;
    let mut commas = Vec::new();
    let mut quoted = None;
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
                    return (!commas.is_empty() && commas.len() < 16).then_some((commas, i));
                }
            }
            b',' if level == 1 => commas.push(i),
            // A member's name ends so: an object, no list of words.
            b':' if matches!(window[i - 1], b'"' | b'\'') => return None,
            b if b.is_ascii_whitespace() => return None,
            _ => {}
        }
    }
    None
}

/// How the word goes on behind a list, with all that its other lists stand for, and how long that is written.
fn tails(text: &[u8]) -> (Vec<Vec<u8>>, usize) {
    let mut tails = vec![Vec::new()];
    let mut at = 0;
    while let Some(&b) = text.get(at) {
        let (commas, end) = match b {
            b'{' => match list(&text[at..]) {
                Some(list) => list,
                None => break,
            },
            b if in_word(b) => {
                for tail in &mut tails {
                    tail.push(b);
                }
                at += 1;
                continue;
            }
            _ => break,
        };
        let bounds: Vec<usize> = [0].into_iter().chain(commas).chain([end]).collect();
        let words = || bounds.windows(2).map(|w| &text[at + w[0] + 1..at + w[1]]);
        let plain = words().all(|word| word.iter().all(|b| in_word(*b)));
        let made = words().map(<[u8]>::len).max().unwrap_or(0) + tails.iter().map(Vec::len).max().unwrap_or(0);
        let count = tails.len() * (bounds.len() - 1);
        if !plain || count > MAX_WORDS || count * made > MAX_PRODUCT {
            break;
        }
        tails = tails.iter().flat_map(|tail| words().map(move |word| [tail, word].concat())).collect();
        at += end + 1;
    }
    (tails, at)
}
