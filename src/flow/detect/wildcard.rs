//! `*`, `?` and `[…]` of a shell → whether they stand for a text (POSIX, Shell Command Language, 2.13).

/// Whether all of `text` is what `pattern` stands for. A slash is a character as any other.
pub(super) fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    loop {
        let (width, fits) = match pattern.get(p) {
            None if t == text.len() => return true,
            None => (1, false),
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
                continue;
            }
            Some(b'?') => (1, t < text.len()),
            Some(b'[') => match pattern[p..].iter().position(|b| *b == b']') {
                Some(close) => {
                    let set = &pattern[p + 1..p + close];
                    let negated = set.first().is_some_and(|b| matches!(b, b'!' | b'^'));
                    let inside = text.get(t).is_some_and(|c| {
                        set.contains(c) || set.windows(3).any(|w| w[1] == b'-' && (w[0]..=w[2]).contains(c))
                    });
                    (close + 1, t < text.len() && inside != negated)
                }
                None => (1, false),
            },
            Some(b) => (1, text.get(t) == Some(b)),
        };
        if fits {
            p += width;
            t += 1;
        } else if let Some((sp, st)) = star.filter(|(_, st)| *st < text.len()) {
            star = Some((sp, st + 1));
            p = sp + 1;
            t = st + 1;
        } else {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn wildcards_stand_for_what_a_shell_would_find() {
        for (pattern, text) in [
            ("sh?dow", "shadow"),
            ("s*w", "shadow"),
            ("[s]hadow", "shadow"),
            ("sh[a-c]dow", "shadow"),
            ("*", ""),
            ("a*b*c", "aXbXc"),
        ] {
            assert!(glob(pattern.as_bytes(), text.as_bytes()), "{pattern}");
        }
        for (pattern, text) in [("sh?dow", "shdow"), ("s*x", "shadow"), ("[!s]hadow", "shadow"), ("[s", "s"), ("", "a")]
        {
            assert!(!glob(pattern.as_bytes(), text.as_bytes()), "{pattern}");
        }
    }
}
