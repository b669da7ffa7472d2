//! `application/x-www-form-urlencoded` → its pairs.

use super::{Unwrap, Voice, head, percent};
use memchr::memchr;
use posture::Encoding;

/// Bytes looked at to tell a form by its shape.
const SAMPLE: usize = 4 << 10;

/// Whether a body looks like a form: pairs, and nothing a form would have encoded.
pub(super) fn likely(body: &[u8]) -> bool {
    let body = body.trim_ascii_end();
    let sample = &body[..body.len().min(SAMPLE)];
    let name = memchr(b'=', sample).unwrap_or(0);
    // A value there must be: base64 ends in equals signs too.
    let has_value = !sample[name..].iter().all(|&b| b == b'=');
    has_value
        && (1..=128).contains(&name)
        && sample[..name].iter().all(|b| b.is_ascii_alphanumeric() || b"_-.%[]+*".contains(b))
        && sample.iter().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}#".contains(b))
}

/// Shows the pairs of a form.
pub(super) fn show(w: &mut Unwrap<'_>, body: &[u8]) {
    w.within(Encoding::Form, |w| {
        for pair in body.trim_ascii_end().split(|&b| b == b'&').filter(|p| !p.is_empty()) {
            let (name, value) = memchr(b'=', pair).map_or((&[][..], pair), |at| (&pair[..at], &pair[at + 1..]));
            let plain_value = value_of(w, value);
            let value = plain_value.as_deref().unwrap_or(value);
            w.text(value, Some(name), Voice::Unknown);
            if let Some(buffer) = plain_value {
                w.give_back(buffer);
            }
            if name.len() >= 8 {
                w.text(name, None, Voice::Unknown);
            }
        }
    });
    // As written too: a plus sign may have been one.
    if memchr(b'+', body).is_some() {
        head::pairs(w, body);
    }
}

fn value_of(w: &mut Unwrap<'_>, value: &[u8]) -> Option<Vec<u8>> {
    let coded = memchr::memchr2(b'%', b'+', value).is_some() && w.afford(value.len());
    let buffer = coded.then(|| w.buffer())?;
    percent::whole(value, true, buffer)
}

#[cfg(test)]
mod tests {
    use super::likely;

    #[test]
    fn a_form_is_told_by_its_shape() {
        for form in ["a=b", "a=b&c=d%20e+f", "title=debug&content=path%3A+%22%2Fetc%22\n", "a[0]=x&b=", "x=/etc/passwd"]
        {
            assert!(likely(form.as_bytes()), "{form}");
        }
        for other in
            ["", "a", "=b", "a = b", "{\"a\":\"b=c\"}", "<a href=b>", "see a=b now", "a=b\nc=d", "a:b=c", "QUJD=="]
        {
            assert!(!likely(other.as_bytes()), "{other}");
        }
    }
}
