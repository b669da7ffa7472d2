//! Template → example: `{{alnum:48}}` becomes 48 random-looking characters, the same in every run.
//!
//! `{{crc32:30}}` has their checksum after them.
//!
//! Rule files hold shapes of keys, not keys: nothing in them looks like a secret to a scanner, and no example is tuned.

use super::checksum::crc32;

/// No generated part is longer: an operator may have mistyped it.
const MAX_GENERATED: usize = 4 << 10;
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// `template` with its generated parts filled in; text that only looks like one stays as it is.
pub(crate) fn expand(template: &str) -> String {
    let mut random = SEED;
    let mut out = String::with_capacity(template.len() + 64);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let generated = after.split_once("}}").and_then(|(spec, tail)| {
            let (name, length) = spec.split_once(':')?;
            let length = length.parse::<usize>().ok().filter(|n| *n <= MAX_GENERATED)?;
            Some((alphabet(name)?, length, name == "crc32", tail))
        });
        let Some((alphabet, length, is_summed, tail)) = generated else {
            out.push_str("{{");
            rest = after;
            continue;
        };
        out.extend((0..length).map(|_| char::from(alphabet[next(&mut random, alphabet.len())])));
        if is_summed {
            let sum = crc32(&out.as_bytes()[out.len() - length..]);
            out.extend(sum.map(char::from));
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

fn alphabet(name: &str) -> Option<&'static [u8]> {
    Some(match name {
        "alnum" | "crc32" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
        "letters" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        "lower" => b"abcdefghijklmnopqrstuvwxyz0123456789",
        "word" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-",
        "base64" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        "base32" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
        "hex" => b"0123456789abcdef",
        "digits" => b"0123456789",
        _ => return None,
    })
}

/// Marsaglia's xorshift64, then a multiplication: not for secrets, only for their look.
fn next(state: &mut u64, below: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    let high = state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
    usize::try_from(high).expect("31 bits fit") % below
}

#[cfg(test)]
mod tests {
    use super::expand;

    #[test]
    fn generated_parts_have_their_length_and_alphabet_and_never_change() {
        let made = expand("k={{hex:32}};");
        assert_eq!(made.len(), 35);
        assert!(made[2..34].bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')));
        assert_eq!(made, expand("k={{hex:32}};"));
    }

    #[test]
    fn what_is_no_template_stays() {
        for text in ["${{ secrets.KEY }}", "{{", "{{a:b}}", "{{hex:}}", "{{hex:99999999}}", "{{nothing:3}}", "}}{{"] {
            assert_eq!(expand(text), text);
        }
    }
}
