//! A path with wildcards → whether a shell would find a target by it.

/// Whether a path with wildcards can mean `target`, part by part from the end.
///
/// A part says at least two characters of its own and does not begin with `*`: `*/*` means everything and nothing. The
/// first one of a path from the root may be a letter and what stands for more, where another says enough: `/e*/pass??`.
pub(super) fn stands_for(path: &[u8], target: &str) -> bool {
    let parts: Vec<&[u8]> = path.split(|b| *b == b'/').filter(|p| !p.is_empty()).collect();
    let wanted: Vec<&[u8]> = target.as_bytes().split(|b| *b == b'/').collect();
    let Some(skip) = parts.len().checked_sub(wanted.len()) else { return false };
    let from_root = |n: usize, part: &[u8]| {
        n == 0
            && skip == 0
            && path[0] == b'/'
            && part[0].is_ascii_alphabetic()
            && parts[1..].iter().any(|other| said(other) >= 4)
    };
    let says = |n: usize, part: &[u8]| (said(part) >= 2 && part[0] != b'*') || from_root(n, part);
    parts[skip..].iter().zip(&wanted).enumerate().all(|(n, (p, w))| says(n, p) && glob(p, w))
}

/// How many characters a part of a path says itself.
pub(in super::super) fn said(part: &[u8]) -> usize {
    let mut in_set = false;
    let plain = part.iter().filter(|b| {
        in_set = (in_set || **b == b'[') && **b != b']';
        !in_set && (b.is_ascii_alphanumeric() || **b == b'.')
    });
    plain.count()
}

/// `*`, `?` and `[…]` of a shell, over one part of a path.
pub(in super::super) fn glob(pattern: &[u8], text: &[u8]) -> bool {
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
    use super::{glob, stands_for};

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
        assert!(stands_for(b"/etc/sh*dow", "etc/shadow"));
        assert!(stands_for(b"/e?c/p?sswd", "etc/passwd"));
        assert!(stands_for(b"/e*/pass??", "etc/passwd"));
        assert!(!stands_for(b"/e*/p*", "etc/passwd"));
        assert!(!stands_for(b"/x/e*/pass??", "etc/passwd"));
        assert!(!stands_for(b".*/config", ".aws/config"));
        assert!(!stands_for(b"/etc/*", "etc/shadow"));
        assert!(!stands_for(b"*/*", "etc/shadow"));
        assert!(!stands_for(b"[a-z]*/[a-z]*", "etc/shadow"));
    }
}
