//! Token → whether it stands in the midst of base64: so short a beginning is drawn by chance.
//!
//! A key in a list of keys is told from that by the list's first and last, which have such a side only once.

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
    is_drawn(text[..token.start].iter().rev()) && is_drawn(text[token.end.min(text.len())..].iter())
}

fn is_drawn<'t>(side: impl Iterator<Item = &'t u8>) -> bool {
    let of_base64 = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    let mut run = [0; MOST];
    let mut len = 0;
    for b in side.take(MOST).take_while(|b| of_base64(b)) {
        run[len] = *b;
        len += 1;
    }
    let run = &run[..len];
    let count = |kind: fn(&u8) -> bool| run.iter().filter(|b| kind(b)).count();
    len >= LEAST
        && count(u8::is_ascii_lowercase) * 5 >= len
        && count(u8::is_ascii_uppercase) * 5 >= len
        && count(u8::is_ascii_digit) > 0
        && entropy(run) >= LEAST_ENTROPY
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
