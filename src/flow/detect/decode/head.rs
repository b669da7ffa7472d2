//! A head → views of its parts.

use super::{Unwrap, Voice, percent};
use crate::flow::capture::Field;
use memchr::{memchr, memmem};
use posture::{Encoding, Placement};

/// A shorter method or field name says nothing but itself: no value that is looked for is shorter.
const NAME: usize = 12;

/// Shows a method that is more than a word: any token is one (RFC 9110, section 9.1), and an origin may take a key for it.
pub(in crate::flow::detect) fn method(w: &mut Unwrap<'_>, method: &[u8]) {
    w.place(Placement::RequestLine);
    word(w, method);
}

/// Shows what is no more than a word by its place, if it may be more.
pub(super) fn word(w: &mut Unwrap<'_>, word: &[u8]) {
    if word.len() >= NAME {
        w.text(word, None, Voice::Unknown);
    }
}

/// Shows a field's value, and its name.
pub(super) fn field(w: &mut Unwrap<'_>, name: &[u8], value: &[u8]) {
    w.text(value, Some(name), Voice::Unknown);
    word(w, name);
}

/// Shows a request target's path, query and, in absolute form, its authority (RFC 9112, section 3.2).
pub(in crate::flow::detect) fn target(w: &mut Unwrap<'_>, target: &[u8]) {
    let (target_path, query) = split(target, b'?');
    let path = match absolute(target_path) {
        Some((_, authority, path)) => {
            w.place(Placement::Host);
            w.text(authority, None, Voice::Unknown);
            path
        }
        None => target_path,
    };
    w.place(Placement::Path);
    w.text(path, None, Voice::Unknown);
    w.place(Placement::Query);
    pairs(w, query);
    // The whole line last: what its parts said was said more precisely.
    w.place(Placement::RequestLine);
    w.show(target, None, Voice::Unknown);
}

/// Scheme, authority and the rest of a target in absolute form; `None` in any other, whatever URLs stand in it.
pub(in crate::flow::detect) fn absolute(target: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let at = memmem::find(target, b"://")?;
    let (scheme, rest) = (&target[..at], &target[at + 3..]);
    let of_scheme = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    if !scheme.first()?.is_ascii_alphabetic() || !scheme.iter().all(of_scheme) {
        return None;
    }
    let (authority, path) = rest.split_at(rest.iter().position(|b| b"/?#".contains(b)).unwrap_or(rest.len()));
    Some((scheme, authority, path))
}

/// Shows the names and values of a query or a form, each decoded.
pub(super) fn pairs(w: &mut Unwrap<'_>, pairs: &[u8]) {
    for pair in pairs.split(|&b| b == b'&').filter(|p| !p.is_empty()) {
        let (name, value) = split(pair, b'=');
        if memchr(b'=', pair).is_none() {
            text_and_spaces(w, pair, None);
            continue;
        }
        text_and_spaces(w, value, Some(name));
        if name.len() >= 8 {
            w.text(name, None, Voice::Unknown);
        }
    }
}

/// Shows `value`, and as a form's reader sees it when that is something else.
fn text_and_spaces(w: &mut Unwrap<'_>, value: &[u8], name: Option<&[u8]>) {
    if memchr(b'+', value).is_some() && w.afford(value.len()) {
        let buffer = w.buffer();
        if let Some(plain) = percent::whole(value, true, buffer) {
            w.deeper(Encoding::Form, |w| w.text(&plain, name, Voice::Unknown));
            w.give_back(plain);
        }
    }
    w.text(value, name, Voice::Unknown);
}

/// Shows header or trailer fields.
pub(in crate::flow::detect) fn fields(w: &mut Unwrap<'_>, fields: &[Field]) {
    let placement = w.placement();
    for Field { name, value, .. } in fields {
        let is_host = name.eq_ignore_ascii_case(b"host") || name == &b":authority"[..];
        w.place(if is_host { Placement::Host } else { placement });
        field(w, name, value);
        if name.len() >= NAME {
            // Its case is lost here and kept on the wire: a key that knows one case alone is found all the same.
            let upper = name.iter().map(|b| if *b == b'-' { b' ' } else { b.to_ascii_uppercase() });
            w.show(&upper.collect::<Vec<_>>(), None, Voice::Unknown);
        }
    }
    w.place(placement);
}

/// Shows a host, and its labels put together but for the last two: a lookup alone can carry data out.
pub(in crate::flow::detect) fn host(w: &mut Unwrap<'_>, host: &[u8]) {
    w.place(Placement::Host);
    w.text(host, None, Voice::Unknown);
    let labels: Vec<&[u8]> = host.split(|&b| b == b'.').collect();
    if labels.len() > 3 {
        w.text(&labels[..labels.len() - 2].concat(), None, Voice::Unknown);
    }
}

fn split(text: &[u8], by: u8) -> (&[u8], &[u8]) {
    memchr(by, text).map_or((text, &[]), |at| (&text[..at], &text[at + 1..]))
}
