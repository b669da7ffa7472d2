//! `multipart/*` → its parts, each with its own fields and transfer encoding (RFC 2046, RFC 7578).

use super::{Unwrap, Voice, head, percent::nibble, shape};
use data_encoding::BASE64_MIME_PERMISSIVE;
use memchr::{memchr, memmem};
use posture::Encoding;

/// More parts than this are read as one.
const MAX_PARTS: usize = 1 << 16;
/// Boundaries of one type that are looked for.
const MAX_NAMED: usize = 4;

/// The boundary a content type names, or the one a body begins with. What the type names and the body has not is none.
pub(super) fn boundary(content_type: &[u8], body: &[u8]) -> Option<Vec<u8>> {
    if shape::is_type(content_type, b"multipart/") {
        let values = content_type.split(|&b| b == b';').skip(1).filter_map(|parameter| {
            let equals = memchr(b'=', parameter)?;
            let named = parameter[..equals].trim_ascii().eq_ignore_ascii_case(b"boundary");
            let value = parameter[equals + 1..].trim_ascii();
            let value = value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value);
            (named && !value.is_empty()).then_some(value)
        });
        let stands = |value: &&[u8]| memmem::find(body, &[b"--", *value].concat()).is_some();
        if let Some(value) = values.take(MAX_NAMED).find(stands) {
            return Some(value.to_vec());
        }
    }
    let first = body.strip_prefix(b"--")?;
    let line = &first[..memchr(b'\n', &first[..first.len().min(128)])?];
    let next = &first[line.len() + 1..];
    let is_part = next.get(..8).is_some_and(|n| n.eq_ignore_ascii_case(b"content-"));
    is_part.then(|| line.trim_ascii_end().to_vec())
}

/// Shows every part of `body`.
pub(super) fn show(w: &mut Unwrap<'_>, body: &[u8], boundary: &[u8]) {
    head::word(w, boundary);
    let delimiter = [b"--", boundary].concat();
    let mut rest = body;
    let mut found = memmem::find_iter(body, &delimiter).take(MAX_PARTS).peekable();
    let mut start = 0;
    if found.peek().is_none() {
        return w.text(body, None, Voice::Unknown);
    }
    let parts = found.chain([body.len()]).map(|at| {
        let part = &body[start.min(at)..at];
        start = (at + delimiter.len()).min(body.len());
        part
    });
    let done = w.deeper(Encoding::Multipart, |w| parts.for_each(|p| part(w, p)));
    if done.is_none() {
        rest = rest.trim_ascii();
        w.show(rest, None, Voice::Unknown);
    }
}

fn part(w: &mut Unwrap<'_>, part: &[u8]) {
    let part = part.strip_prefix(b"\r\n").or_else(|| part.strip_prefix(b"\n")).unwrap_or(part);
    let part = part.strip_suffix(b"\r\n").or_else(|| part.strip_suffix(b"\n")).unwrap_or(part);
    let (fields, content) = fields(part);
    let mut content_type = &b""[..];
    let mut transfer = &b""[..];
    let mut name = None;
    for line in fields.split(|&b| b == b'\n') {
        let named = |colon: &usize| *colon > 0 && line[..*colon].iter().all(u8::is_ascii_graphic);
        let Some(colon) = memchr(b':', line).filter(named) else {
            // The rest of a folded field, or none at all.
            w.text(line.trim_ascii(), None, Voice::Unknown);
            continue;
        };
        let (key, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        head::field(w, key, value);
        if key.eq_ignore_ascii_case(b"content-type") {
            content_type = value;
        } else if key.eq_ignore_ascii_case(b"content-transfer-encoding") {
            transfer = value;
        } else if key.eq_ignore_ascii_case(b"content-disposition") {
            name = memmem::find(value, b" name=\"").map(|at| {
                let value = &value[at + 7..];
                &value[..memchr(b'"', value).unwrap_or(value.len())]
            });
        }
    }
    let plain = if transfer.eq_ignore_ascii_case(b"base64") {
        BASE64_MIME_PERMISSIVE.decode(content).ok().map(|plain| (Encoding::Base64, plain))
    } else if transfer.eq_ignore_ascii_case(b"quoted-printable") {
        Some((Encoding::Hex, quoted_printable(content)))
    } else {
        None
    };
    match plain {
        Some((by, plain)) if w.afford(plain.len()) => {
            w.opened(by, content, |w| shape::inner(w, &plain, content_type, name));
        }
        _ => shape::inner(w, content, content_type, name),
    }
}

/// A part's fields and content; a part without an empty line is all content.
fn fields(part: &[u8]) -> (&[u8], &[u8]) {
    if let Some(content) = part.strip_prefix(b"\r\n").or_else(|| part.strip_prefix(b"\n")) {
        return (b"", content);
    }
    [&b"\r\n\r\n"[..], b"\n\n"]
        .iter()
        .filter_map(|blank| memmem::find(part, blank).map(|at| (&part[..at], &part[at + blank.len()..])))
        .min_by_key(|(fields, _)| fields.len())
        .unwrap_or((b"", part))
}

/// Quoted-printable (RFC 2045, section 6.7).
pub(super) fn quoted_printable(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr(b'=', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        match *rest {
            [b'\r', b'\n', ..] => rest = &rest[2..],
            [b'\n', ..] => rest = &rest[1..],
            [high, low, ..] => match (nibble(high), nibble(low)) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    rest = &rest[2..];
                }
                _ => out.push(b'='),
            },
            _ => out.push(b'='),
        }
    }
    out.extend_from_slice(rest);
    out
}
