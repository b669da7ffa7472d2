//! A path with wildcards → whether a shell would find a target by it.

use crate::flow::detect::wildcard::glob;

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

#[cfg(test)]
mod tests {
    use super::stands_for;

    #[test]
    fn a_path_with_wildcards_stands_for_its_target_where_it_says_enough() {
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
