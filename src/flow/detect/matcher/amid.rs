//! Token → whether it stands in the midst of base64: so short a beginning is drawn by chance.
//!
//! On its own line alone: in a list each key has one.

use super::gates::entropy;
use std::ops::Range;

/// How much of each side is looked at, and how much of it there must be.
const MOST: usize = 32;
const LEAST: usize = 16;
/// Bits a byte. Of drawn base64 one side in fifty has less, or fewer of a kind of character than are asked for. Paths and
/// names in camel case have few capitals.
const LEAST_ENTROPY: f64 = 3.2;

/// Whether base64 that looks drawn stands on both sides of `token`, on its line.
pub(super) fn base64(text: &[u8], token: &Range<usize>) -> bool {
    let of_base64 = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    let before = &text[token.start.saturating_sub(MOST)..token.start];
    let before = &before[before.iter().rposition(|b| !of_base64(b)).map_or(0, |n| n + 1)..];
    let after = &text[token.end..text.len().min(token.end + MOST)];
    let after = &after[..after.iter().position(|b| !of_base64(b)).unwrap_or(after.len())];
    is_drawn(before) && is_drawn(after)
}

fn is_drawn(side: &[u8]) -> bool {
    let count = |kind: fn(&u8) -> bool| side.iter().filter(|b| kind(b)).count();
    side.len() >= LEAST
        && count(u8::is_ascii_lowercase) * 5 >= side.len()
        && count(u8::is_ascii_uppercase) * 5 >= side.len()
        && count(u8::is_ascii_digit) > 0
        && entropy(side) >= LEAST_ENTROPY
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn drawn_base64_on_both_sides_is_told_from_words_paths_and_one_side_alone() {
        let drawn = "q7Rk2VdXw9LmT4zBhN1sYc8JgPf5UaEoK3iDvQ6x";
        let told = |before: &str, after: &str| {
            let text = format!("{before}KEY{after}");
            base64(text.as_bytes(), &(before.len()..before.len() + 3))
        };
        for (before, after) in
            [(format!("{drawn}/"), format!("/{drawn}")), (format!("x\n{drawn}+"), format!("+{drawn}\nx"))]
        {
            assert!(told(&before, &after), "{before} {after}");
        }
        for (before, after) in [
            (String::new(), format!("/{drawn}")),
            (format!("{drawn}/"), String::new()),
            (format!("{drawn}="), format!("\n{drawn}")),
            (format!("{drawn} "), format!("\n{drawn}")),
            (format!("{drawn}\n"), format!("\n{drawn}")),
            ("https://a.example/v1/projects/MyProject7/apiKeys/".to_owned(), "/restrictions/AndroidApps8".to_owned()),
            ("https://a.example/api/v1/hooks/".to_owned(), "/settings/and/more/of/it".to_owned()),
            ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaB1/".to_owned(), format!("/{drawn}")),
        ] {
            assert!(!told(&before, &after), "{before} {after}");
        }
    }
}
