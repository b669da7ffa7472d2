//! Private keys: a header of any form, and the body that makes it critical.

use super::{Found, gates::entropy};
use crate::flow::detect::{normalise::join, rule::Rule};
use posture::Severity;
use std::{borrow::Cow, ops::Range};

/// How far a header's begin and end stand from its words "private key".
const HEADER_BEFORE: usize = 96;
const HEADER_AFTER: usize = 96;
/// How much of a header broken over lines is put together.
const MAX_BROKEN: usize = 512;
/// How much of a body is kept as the key's identity.
const MAX_BODY: usize = 8 << 10;
/// How far after a header a body is looked for.
const MAX_REACH: usize = 16 << 10;
/// A line of a body is at least this long, and a word of prose is not.
const MIN_RUN: usize = 20;
/// A whole line of a body is at least this long, and a body has at most so many.
const MIN_LINE: usize = 48;
const MAX_LINES: usize = 128;
/// The longest line of a body with what stands beside it.
const MAX_DRESSED: usize = 512;
/// Lines before the first of a body: RFC 1421's headers and the line after them.
const MAX_HEADERS: usize = 4;
/// Letters and digits of the shortest key there is: Ed25519's 48 bytes in base64.
const SHORTEST_KEY: usize = 64;
/// Bits a byte below which a body is written by hand: `xxxx…`. The base64 of any key has more than four.
const LEAST_ENTROPY: f64 = 3.0;
/// How far after a header its end is looked for, when there is no body.
const MAX_EMPTY: usize = 512;

/// The header around the words at `at`, and its body.
pub(super) fn find(rule: &Rule, text: &[u8], at: usize, report: &mut dyn FnMut(Found<'_>)) {
    let start = at.saturating_sub(HEADER_BEFORE);
    let window = &text[start..text.len().min(at + HEADER_AFTER)];
    let headers = || rule.regex().find_iter(window);
    let Some(header) = rule.may_match(window).then(headers).and_then(|mut all| all.find(|m| start + m.end() > at))
    else {
        return broken(rule, text, at, report);
    };
    let end = start + header.end();
    let span = start + header.start()..end;
    let after = &text[end..text.len().min(end + MAX_REACH)];
    let body = Some(body(after)).filter(|b| !b.is_empty()).unwrap_or_else(|| dressed(after));
    if body.is_empty() {
        if is_marker(text, &span) {
            // Its dashes keep it apart from a header that stands for a key: the graver never folds into this.
            let matched = Cow::Owned(header.as_bytes().to_vec());
            return report(Found { severity: Severity::Info, span, matched });
        }
        let words = header.as_bytes().iter().filter(|b| **b != b'-').map(u8::to_ascii_uppercase).collect::<Vec<_>>();
        report(Found { severity: Severity::High, span, matched: Cow::Owned(words.trim_ascii().to_vec()) });
    } else {
        report(Found { severity: with_body(rule, &body), span, matched: Cow::Owned(body) });
    }
}

/// Vendors write EXAMPLE into the keys of their documentation, and others the same few letters again and again; a key has
/// the one once in billions, the other never. A published one is known.
fn with_body(rule: &Rule, body: &[u8]) -> Severity {
    let is_stand_in = memchr::memmem::find(body, b"EXAMPLE").is_some()
        || entropy(body) < LEAST_ENTROPY
        || rule.except().is_some_and(|published| published.is_match(body));
    if is_stand_in { Severity::Info } else { rule.severity() }
}

/// Whether the header at `span`, which has no body, is no more than the words: alone between quotes or the bounds of a
/// pattern, as code has it that looks for keys, or with its end so near that no key fits before it.
fn is_marker(text: &[u8], span: &Range<usize>) -> bool {
    let after = &text[span.end..];
    let close = after.strip_prefix(b"\\").unwrap_or(after).first();
    let closed_by = span.start.checked_sub(1).and_then(|at| match text[at] {
        quote @ (b'"' | b'\'' | b'`' | b'/') => Some(quote),
        b'(' => Some(b')'),
        b'^' => Some(b'$'),
        _ => None,
    });
    if closed_by.is_some() && (closed_by.as_ref() == close || closed_by == behind_ellipsis(after)) {
        return true;
    }
    let near = &after[..after.len().min(MAX_EMPTY)];
    memchr::memmem::find(near, b"-END ")
        .is_some_and(|end| near[..end].iter().filter(|b| b.is_ascii_alphanumeric()).count() < SHORTEST_KEY)
}

/// What stands behind a line's end, written out or not, and an ellipsis, which stand for a body.
fn behind_ellipsis(after: &[u8]) -> Option<u8> {
    let mut rest = after;
    while let Some(next) =
        [&b"\\n"[..], b"\\r", b"\n", b"\r", b" ", b"n"].iter().find_map(|end| rest.strip_prefix(*end))
    {
        rest = next;
    }
    let rest = rest.strip_prefix(b"...").or_else(|| rest.strip_prefix("…".as_bytes()))?;
    rest.strip_prefix(b"\\").unwrap_or(rest).first().copied()
}

/// A header that does not stand on one line.
fn broken(rule: &Rule, text: &[u8], at: usize, report: &mut dyn FnMut(Found<'_>)) {
    let start = at.saturating_sub(MIN_RUN);
    let window = &text[start..text.len().min(at + MAX_BROKEN)];
    if memchr::memchr(b'\n', &window[..window.len().min(HEADER_AFTER)]).is_none() {
        return;
    }
    let joined = join::unwrapped(window, MAX_BROKEN);
    // One that begins behind the words is another, and has words of its own.
    let header = rule.may_match(&joined).then(|| rule.regex().find(&joined)).flatten();
    let Some(header) = header.filter(|m| m.start() <= at - start) else { return };
    let body = body(&joined[header.end()..]);
    let (severity, matched) = if !body.is_empty() {
        (with_body(rule, &body), body)
    } else if is_marker(&joined, &header.range()) {
        (Severity::Info, header.as_bytes().to_vec())
    } else {
        (Severity::High, header.as_bytes().to_vec())
    };
    report(Found { severity, span: at..at, matched: Cow::Owned(matched) });
}

/// The base64 after a header, however its lines are broken, escaped or indented; empty when there is none.
fn body(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut run = 0;
    let mut longest = 0;
    let mut at = 0;
    while at < text.len() && out.len() < MAX_BODY {
        let rest = &text[at..];
        let step = match rest[0] {
            b'\\' => match rest.get(1) {
                Some(b'n' | b'r' | b't' | b'\\' | b'\n' | b'"') => 2,
                Some(b'/') => 1,
                _ => break,
            },
            b if b.is_ascii_whitespace() || matches!(b, b'"' | b'\'' | b'|' | b'>' | b',' | b'*' | b'#' | b'.') => 1,
            b if b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=') => {
                if let Some(skip) = header_line(rest) {
                    at += skip;
                    continue;
                }
                out.push(b);
                run += 1;
                longest = longest.max(run);
                at += 1;
                continue;
            }
            _ => break,
        };
        run = 0;
        at += step;
    }
    if longest >= MIN_RUN { out } else { Vec::new() }
}

/// The base64 after a header whose lines each have something beside them: a number, a file's name, a time, a statement.
fn dressed(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut width = 0;
    let mut rest = text;
    for n in 0..=MAX_LINES {
        let near = &rest[..rest.len().min(MAX_DRESSED)];
        let end = memchr::memchr(b'\n', near);
        if end.is_none() && near.len() < rest.len() {
            break;
        }
        let (line, after) = rest.split_at(end.unwrap_or(near.len()));
        rest = after.get(1..).unwrap_or_default();
        // The header's own line has none of it.
        if n == 0 {
            continue;
        }
        let of_body = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
        let run = line.split(|b| !of_body(b)).max_by_key(|run| run.len()).unwrap_or_default();
        let is_before = width == 0 && run.len() < MIN_LINE;
        if is_before && n <= MAX_HEADERS {
            continue;
        }
        if is_before || (width > 0 && run.len() != width) {
            break;
        }
        width = run.len();
        out.extend_from_slice(run);
    }
    let has = |class: fn(&u8) -> bool| out.iter().any(class);
    let is_body = out.len() >= 2 * width && has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
    if is_body { out } else { Vec::new() }
}

/// The length of an encapsulated header (RFC 1421), such as `Proc-Type: 4,ENCRYPTED`, at the start of `rest`.
fn header_line(rest: &[u8]) -> Option<usize> {
    const NAMES: &[&[u8]] =
        &[b"Proc-Type:", b"DEK-Info:", b"Version:", b"Comment:", b"Subject:", b"X-", b"Hash:", b"Charset:"];
    NAMES.iter().any(|n| rest.starts_with(n)).then(|| {
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        memchr::memmem::find(&rest[..end], b"\\n").unwrap_or(end)
    })
}

#[cfg(test)]
mod tests {
    use super::body;

    const LINE: &str = "MIIEowIBAAKCAQEAtcOmZDB1DZ";

    #[test]
    fn one_key_in_any_dress_has_one_body() {
        for dressed in [
            format!("\n{LINE}\n{LINE}\n-----END"),
            format!("\\n{LINE}\\n{LINE}\\n-----END"),
            format!("\r\n    {LINE}\r\n    {LINE}\r\n    -----END"),
            format!(" {LINE} {LINE} -----END"),
            format!("\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n{LINE}\n{LINE}"),
            format!("\"\n + \"{LINE}\" \"{LINE}").replace(" + ", " "),
        ] {
            assert_eq!(body(dressed.as_bytes()), [LINE, LINE].concat().as_bytes(), "{dressed}");
        }
    }

    #[test]
    fn a_body_is_found_with_something_beside_each_line() {
        const WIDE: &str = "MIIEowIBAAKCAQEAtcOmZDB1DZMIIEowIBAAKCAQEAtcOmZDB1DZMIIEowIBAAKC";
        for dressed in [
            format!("\n     2→{WIDE}\n     3→{WIDE}\n     4→AtcO=\n     5→-----END"),
            format!("\nkey.pem:2:{WIDE}\nkey.pem:3:{WIDE}\nkey.pem:4:-----END"),
            format!("';\nprint F '{WIDE}';\nprint F '{WIDE}';\nprint F '-----END"),
            format!("\n10:00:00Z Proc-Type: 4,ENCRYPTED\n10:00:00Z\n10:00:00Z {WIDE}\n10:00:00Z {WIDE}\n"),
        ] {
            assert_eq!(super::dressed(dressed.as_bytes()), [WIDE, WIDE].concat().as_bytes(), "{dressed}");
        }
        let digest = "d704484fb8b02d950eb67d6bffe650bcd704484fb8b02d950eb67d6bffe650bc";
        for other in ["", "\n", &format!("\n1: {WIDE}\n"), &format!("\n{digest}  a\n{digest}  b\n"), "\n1: abc\n2: def"]
        {
            assert!(super::dressed(other.as_bytes()).is_empty(), "{other}");
        }
    }

    #[test]
    fn prose_after_a_header_is_no_body() {
        for text in [
            "",
            " ...",
            " is the header of such a file, and words follow it",
            "\n-----END PRIVATE KEY-----",
            "\n<base64>\n",
        ] {
            assert!(body(text.as_bytes()).is_empty(), "{text}");
        }
    }
}
