//! A call that puts literals together → the one they are: `"".join(["a", "b"])`, `["a", "b"].join("")`,
//! `"%s%s" % ("a", "b")`, `Sprintf("%s%s", "a", "b")`, `"{1}{0}" -f "b","a"`, `"a","b" -join ""`.

use std::ops::Range;

/// How far before its end a literal begins, and how many are put into it.
const LONGEST: usize = 128;
const MOST: usize = 256;
/// How long a literal is that is made.
const MOST_MADE: usize = 1 << 10;

/// What a literal is in a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It stands between the others.
    Separator,
    /// The others stand in the places it has for them.
    Template,
}

/// The call after the literal that ends with the quote at `end`, and what it makes; the literal begins after `from`.
pub(super) fn folded(text: &[u8], from: usize, end: usize) -> Option<(Range<usize>, Vec<u8>)> {
    let (kind, len) = call(&text[end + 1..])?;
    let floor = from.max(end.saturating_sub(LONGEST));
    let quote = text[end];
    let start = floor + memchr::memrchr(quote, &text[floor..end])?;
    let literal = &text[start + 1..end];
    let mut at = end + 1 + len;
    let parts = literals(text, &mut at)?;
    // Of an operator's arguments no bracket is theirs, where they have none.
    let open = text[end + 1..end + 1 + len].iter().filter(|b| matches!(b, b'(' | b'[')).count();
    for _ in 0..open {
        skip_blanks(text, &mut at);
        if text.get(at) == Some(&b',') {
            at += 1;
            skip_blanks(text, &mut at);
        }
        if !matches!(text.get(at), Some(b')' | b']')) {
            return None;
        }
        at += 1;
    }
    let mut made = vec![quote];
    match kind {
        Kind::Separator => made.extend(parts.join(literal)),
        Kind::Template => fill(literal, &parts, &mut made)?,
    }
    made.push(quote);
    (made.len() <= MOST_MADE).then_some((start..at, made))
}

/// The list of literals of which the last one ends with the quote at `end`, where what follows joins them, and what that
/// makes; the list begins after `from`.
pub(super) fn listed(text: &[u8], from: usize, end: usize) -> Option<(Range<usize>, Vec<u8>)> {
    let behind = &text[end + 1..];
    let blanks = behind.iter().take(64).take_while(|b| b.is_ascii_whitespace()).count();
    let (bracketed, len) = match &behind[blanks..] {
        rest if rest.starts_with(b"].join") => (true, b"].join".len()),
        rest if rest.starts_with(b"-join ") => (false, b"-join ".len()),
        _ => return None,
    };
    let mut at = end + 1 + blanks + len;
    let called = bracketed && text.get(at) == Some(&b'(');
    at += usize::from(called);
    let separator = match &text[at..] {
        [quote @ (b'"' | b'\''), rest @ ..] if called || !bracketed => {
            let len = memchr::memchr(*quote, &rest[..rest.len().min(LONGEST)])?;
            at += len + 2;
            &rest[..len]
        }
        // Without any, as Ruby has it.
        [b, ..] if called || !bracketed || b.is_ascii_alphanumeric() || *b == b'_' => return None,
        _ => b"",
    };
    if called && text.get(at) != Some(&b')') {
        return None;
    }
    at += usize::from(called);
    let mut parts = Vec::new();
    let mut start = end + 1;
    loop {
        let quote = text[from..start].last().filter(|b| matches!(b, b'"' | b'\''))?;
        let floor = from.max((start - 1).saturating_sub(LONGEST));
        let open = floor + memchr::memrchr(*quote, &text[floor..start - 1])?;
        parts.push(&text[open + 1..start - 1]);
        start = open;
        let before = without_blanks(&text[from..start]);
        match before.last() {
            Some(b',') if parts.len() < MOST => start = from + without_blanks(&before[..before.len() - 1]).len(),
            Some(b'[') if bracketed => {
                start = from + before.len() - 1;
                break;
            }
            _ if bracketed => return None,
            _ => break,
        }
    }
    parts.reverse();
    let quote = &text[end..=end];
    let made = [quote, &parts.join(separator), quote].concat();
    (parts.len() > 1 && made.len() <= MOST_MADE).then_some((start..at, made))
}

/// The template that begins with the quote at `start` right behind the bracket of a call, with the literals that follow
/// in their places.
pub(super) fn filled(text: &[u8], start: usize) -> Option<(Range<usize>, Vec<u8>)> {
    if !text[..start].ends_with(b"(") || !matches!(text.get(start + 1), Some(b'%' | b'{')) {
        return None;
    }
    let quote = text[start];
    let rest = &text[start + 1..text.len().min(start + 1 + LONGEST)];
    let template = &rest[..memchr::memchr(quote, rest)?];
    let mut at = start + template.len() + 2;
    skip_blanks(text, &mut at);
    if text.get(at) != Some(&b',') {
        return None;
    }
    at += 1;
    let parts = literals(text, &mut at)?;
    skip_blanks(text, &mut at);
    let mut made = vec![quote];
    fill(template, &parts, &mut made)?;
    made.push(quote);
    (text.get(at) == Some(&b')') && made.len() <= MOST_MADE).then_some((start..at, made))
}

/// What kind of call begins right behind a literal, and how far its first argument is.
fn call(behind: &[u8]) -> Option<(Kind, usize)> {
    if !matches!(behind.first(), Some(b'.' | b' ')) {
        return None;
    }
    let calls: [(&[u8], Kind); 7] = [
        (b".join([", Kind::Separator),
        (b".join((", Kind::Separator),
        (b".format(", Kind::Template),
        (b" % (", Kind::Template),
        (b" %(", Kind::Template),
        (b" -f ", Kind::Template),
        (b" % ", Kind::Template),
    ];
    calls.into_iter().find_map(|(call, kind)| behind.starts_with(call).then_some((kind, call.len())))
}

/// The literals between commas from `at` on.
fn literals<'t>(text: &'t [u8], at: &mut usize) -> Option<Vec<&'t [u8]>> {
    let mut parts = Vec::new();
    loop {
        skip_blanks(text, at);
        let quote = *text.get(*at).filter(|b| matches!(b, b'"' | b'\''))?;
        let rest = &text[*at + 1..text.len().min(*at + 1 + LONGEST)];
        let len = memchr::memchr(quote, rest)?;
        parts.push(&rest[..len]);
        *at += len + 2;
        let mut next = *at;
        skip_blanks(text, &mut next);
        let goes_on = text.get(next) == Some(&b',') && {
            let mut after = next + 1;
            skip_blanks(text, &mut after);
            matches!(text.get(after), Some(b'"' | b'\''))
        };
        if !goes_on || parts.len() == MOST {
            return (parts.len() < MOST || !goes_on).then_some(parts);
        }
        *at = next + 1;
    }
}

/// Appends `template` with `parts` in their places, each of which has one.
fn fill(template: &[u8], parts: &[&[u8]], made: &mut Vec<u8>) -> Option<()> {
    let mut next = 0;
    let mut rest = template;
    let mut filled = 0;
    while let Some((&first, after)) = rest.split_first() {
        let (number, len) = match rest {
            [b'%', b's', ..] | [b'{', b'}', ..] => (next, 2),
            [b'{', digit @ b'0'..=b'9', b'}', ..] => (usize::from(digit - b'0'), 3),
            _ => {
                made.push(first);
                rest = after;
                continue;
            }
        };
        made.extend_from_slice(parts.get(number)?);
        next = number + 1;
        filled += 1;
        rest = &rest[len..];
    }
    (filled > 0).then_some(())
}

fn without_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().rev().take(64).take_while(|b| b.is_ascii_whitespace()).count();
    &text[..text.len() - blanks]
}

fn skip_blanks(text: &[u8], at: &mut usize) {
    *at += text[*at..].iter().take(64).take_while(|b| b.is_ascii_whitespace()).count();
}
