//! Token → secret or not: entropy, kinds of character, placeholders.

use crate::flow::detect::rule::{Class, Rule};
use memchr::memmem::Finder;
use std::sync::LazyLock;

/// Texts that no random token holds and every stand-in does.
const STAND_INS: &[&[u8]] = &[
    b"xxxx",
    b"your",
    b"example",
    b"placeholder",
    b"changeme",
    b"change_me",
    b"change-me",
    b"redacted",
    b"insert",
    b"replace",
    b"dummy",
    b"sample",
    b"....",
    b"****",
    b"abcdef",
    b"123456",
    b"0000000",
    b"secret",
    b"apikey",
    b"api_key",
    b"api-key",
    b"my_key",
    b"goeshere",
    b"goes-here",
    b"goes_here",
    b"fake",
    b"masked",
    b"hidden",
];

/// What everybody's documentation shows where an identifier or a digest goes: UUIDs of RFC 9562 and of its readers, and the
/// digests of nothing.
const SPECIMENS: &[&[u8]] = &[
    b"123e4567-e89b-12d3-a456-42661417400",
    b"550e8400-e29b-41d4-a716-44665544000",
    b"f47ac10b-58cc-4372-a567-0e02b2c3d479",
    b"3fa85f64-5717-4562-b3fc-2c963f66afa6",
    b"9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d",
    b"1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed",
    b"-9dad-11d1-80b4-00c04fd430c8",
    b"d41d8cd98f00b204e9800998ecf8427e",
    b"da39a3ee5e6b4b0d3255bfef95601890afd80709",
    b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
];

/// How they are found.
static FINDERS: LazyLock<Vec<Finder<'static>>> =
    LazyLock::new(|| STAND_INS.iter().chain(SPECIMENS).map(Finder::new).collect());

/// Whether a token can be a secret; its first `fixed` bytes are the same in every one.
pub(super) fn pass(rule: &Rule, token: &[u8], fixed: usize) -> bool {
    let data = rule.data();
    if rule.except().is_some_and(|e| e.is_match(token)) {
        return false;
    }
    if data.checksum.is_some_and(|checksum| !checksum.fits(token)) {
        return false;
    }
    let secret = token.get(fixed..).unwrap_or(token);
    let gated = data.min_entropy > 0.0 || !data.classes.is_empty();
    if !gated {
        return true;
    }
    let has = |class: &Class| match class {
        Class::Lower => secret.iter().any(u8::is_ascii_lowercase),
        Class::Upper => secret.iter().any(u8::is_ascii_uppercase),
        Class::Digit => secret.iter().any(u8::is_ascii_digit) || drawn_letters(secret),
    };
    data.classes.iter().all(has) && entropy(secret) >= data.min_entropy && !stands_in(secret)
}

/// Whether letters alone look drawn: a name in camel case has few capitals, a random token as many as others. One token
/// in fifty of twenty-odd letters and digits has no digit.
fn drawn_letters(secret: &[u8]) -> bool {
    let upper = secret.iter().filter(|b| b.is_ascii_uppercase()).count();
    let lower = secret.iter().filter(|b| b.is_ascii_lowercase()).count();
    upper * 4 > secret.len() && lower * 4 > secret.len()
}

/// Shannon entropy, in bits a byte.
#[expect(clippy::cast_precision_loss, reason = "a token has at most some thousand bytes")]
pub(in crate::flow) fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for &b in bytes {
        counts[usize::from(b)] += 1;
    }
    let total = bytes.len() as f64;
    -counts.iter().filter(|&&n| n > 0).map(|&n| f64::from(n) / total).map(|p| p * p.log2()).sum::<f64>()
}

/// A placeholder: it says so, or its characters repeat or count up.
fn stands_in(secret: &[u8]) -> bool {
    let lower = secret.to_ascii_lowercase();
    let written = |s: &Finder<'_>| s.find_iter(&lower).any(|at| is_written(&secret[at..at + s.needle().len()]));
    if FINDERS.iter().any(written) {
        return true;
    }
    let steps = secret.windows(2).filter(|w| w[1] == w[0] || w[1] == w[0].wrapping_add(1)).count();
    steps * 5 >= secret.len() * 2
}

/// Whether a word is in one case, but for its first letter: a random token's letters rarely are.
fn is_written(word: &[u8]) -> bool {
    let rest = &word[1..];
    !rest.iter().any(u8::is_ascii_uppercase) || !word.iter().any(u8::is_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use super::{drawn_letters, entropy, stands_in};

    #[test]
    fn entropy_is_zero_for_one_letter_and_grows_with_variety() {
        assert!(entropy(b"aaaaaaaa").abs() < 1e-9);
        assert!((entropy(b"abcdefgh") - 3.0).abs() < 1e-9);
    }

    #[test]
    fn stand_ins_are_told_from_random_tokens() {
        for fake in ["xxxxxxxxxxxx", "your-key-here", "abcdefghijklm", "1234567890", "aabbccddeeffgghh", "sk-EXAMPLE"] {
            assert!(stands_in(fake.as_bytes()), "{fake}");
        }
        for real in
            ["d704484fb8b02d950eb67d6bffe650bc", "VjD4CeshKUbSkuI5J9Cpu0", "GGWOCC2V7YR47GEB", "Q9oFakEuD6yOuRw"]
        {
            assert!(!stands_in(real.as_bytes()), "{real}");
        }
        for fake in [
            "Q9FAKEuD6",
            "Q9FakeuD6",
            "123E4567-E89B-12D3-A456-426614174000",
            "550e8400-e29b-41d4-a716-446655440001",
            "6ba7b811-9dad-11d1-80b4-00c04fd430c8",
            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        ] {
            assert!(stands_in(fake.as_bytes()), "{fake}");
        }
    }

    #[test]
    fn letters_are_drawn_where_both_cases_are_many() {
        assert!(drawn_letters(b"gdXhhCxNcRnibUqqYORZMIESzcguJdag"));
        for name in ["getElementsByTagNameAndClass", "UPPERCASEWORDSONLY", "lowercasewordsonly", "Some-Long-Slug"] {
            assert!(!drawn_letters(name.as_bytes()), "{name}");
        }
    }
}
