//! A path as it is written → as it is judged: its parts, its dots resolved, its wildcards.

use super::glob::stands_for;
use crate::flow::detect::rule::Rule;

const SLASH: u8 = 1;
const DOT: u8 = 2;
const BACKSLASH: u8 = 3;
/// A bit of its own.
const WILD: u8 = 4;
/// What a byte means in a path; zero, when it is of a name.
static KINDS: [u8; 256] = {
    let mut table = [0; 256];
    table[b'/' as usize] = SLASH;
    table[b'.' as usize] = DOT;
    table[b'\\' as usize] = BACKSLASH;
    table[b'*' as usize] = WILD;
    table[b'?' as usize] = WILD;
    table[b'[' as usize] = WILD;
    table
};

/// A path as it is judged.
#[derive(Default)]
pub(super) struct Path {
    pub(super) resolved: Vec<u8>,
    /// Where it begins and what stands behind each of its slashes.
    parts: Vec<usize>,
    /// It has wildcards.
    wild: bool,
}

impl Path {
    /// Makes it that path: no room is made anew for it.
    pub(super) fn resolve(&mut self, path: &[u8]) {
        self.resolved.clear();
        resolve(path, &mut self.resolved);
        // As many parts as bytes, and one: nothing branches on what a byte is.
        self.parts.clear();
        self.parts.resize(self.resolved.len() + 1, 0);
        let (mut parts, mut seen) = (1, 0);
        for (at, b) in self.resolved.iter().enumerate() {
            if let Some(next) = self.parts.get_mut(parts) {
                *next = at + 1;
            }
            let kind = KINDS[usize::from(*b)];
            parts += usize::from(kind == SLASH);
            seen |= kind;
        }
        self.parts.truncate(parts);
        self.wild = seen & WILD != 0;
    }

    /// Whether it is one of a rule's, or would be but for its exceptions.
    pub(super) fn is_of(&self, rule: &Rule) -> bool {
        let path = &self.resolved[..];
        let may = || self.parts.iter().any(|&at| rule.may_begin(&path[at..]));
        let stands = || rule.data().targets.iter().any(|t| stands_for(path, t));
        (may() && rule.regex().is_match(path)) || (self.wild && stands())
    }

    /// Whether it is one of the rule's exceptions.
    pub(super) fn is_excepted(&self, rule: &Rule) -> bool {
        rule.except().is_some_and(|e| e.is_match(&self.resolved))
    }
}

/// Appends the path to an empty `out`: in lower case, its separators one kind, its dots and empty parts resolved.
fn resolve(path: &[u8], out: &mut Vec<u8>) {
    if is_resolved(path) {
        out.extend_from_slice(path);
        if path.len() > 1 && path.ends_with(b"/") {
            out.pop();
        }
        return out.make_ascii_lowercase();
    }
    let is_separator = |b: &u8| matches!(b, b'/' | b'\\');
    let root = usize::from(path.first().is_some_and(is_separator));
    out.extend_from_slice(&b"/"[..root]);
    for (n, part) in path.split(is_separator).enumerate() {
        match part {
            b"" => continue,
            b"." if n > 0 => continue,
            b".." => {
                let last = memchr::memrchr(b'/', &out[root..]).map_or(root, |at| root + at + 1);
                if !matches!(out[last..], [] | [b'.'] | [b'.', b'.'] | [b'~' | b'$', ..]) {
                    out.truncate(last.saturating_sub(usize::from(last > root)));
                    continue;
                }
            }
            _ => {}
        }
        if out.len() > root {
            out.push(b'/');
        }
        let at = out.len();
        out.extend_from_slice(part);
        out[at..].make_ascii_lowercase();
    }
}

/// Whether there is nothing to resolve, but for the last slash; answers no for some others too.
///
/// No byte branches: where the slashes stand, no processor could foretell.
fn is_resolved(path: &[u8]) -> bool {
    let mut last = 0;
    let mut found = 0;
    for &b in path {
        last = (last << 2 | u32::from(KINDS[usize::from(b)] & BACKSLASH)) & 0b11_1111;
        found |= UNRESOLVED >> last;
    }
    found & 1 == 0 && last & 0b1111 != 0b0110
}

/// Of a path's last three bytes, two bits of [`KINDS`] each: which have a part to resolve. Behind two dots it may be a
/// name that begins so.
const UNRESOLVED: u64 = {
    let mut kinds = 0_u64;
    let mut bits = 0;
    while bits < u64::BITS {
        if bits & 0b11 == 3 || matches!(bits & 0b1111, 0b0101) || matches!(bits, 0b01_10_01 | 0b01_10_10) {
            kinds |= 1 << bits;
        }
        bits += 1;
    }
    kinds
};

#[cfg(test)]
mod tests {
    use super::{Path, is_resolved, resolve};

    proptest::proptest! {
        #[test]
        fn what_has_nothing_to_resolve_resolves_to_itself(path in r"[a/.~\\]{0,9}") {
            let parts = [r"\", "//", "/./", "/.."];
            let some = parts.iter().any(|part| path.contains(part)) || path.ends_with("/.");
            proptest::prop_assert_eq!(is_resolved(path.as_bytes()), !some);
            if !some {
                let mut out = Vec::new();
                resolve(path.as_bytes(), &mut out);
                let same = path.strip_suffix('/').filter(|rest| !rest.is_empty()).unwrap_or(&path);
                proptest::prop_assert_eq!(&out, same.as_bytes());
            }
        }

        #[test]
        fn the_parts_of_a_path_stand_behind_its_slashes(path in "[a/*.]{0,20}") {
            let mut made = Path::default();
            made.resolve(path.as_bytes());
            let parts: Vec<&[u8]> = made.parts.iter().map(|at| &made.resolved[*at..]).collect();
            let slashes = memchr::memchr_iter(b'/', &made.resolved).map(|at| &made.resolved[at + 1..]);
            let want: Vec<&[u8]> = std::iter::once(&made.resolved[..]).chain(slashes).collect();
            proptest::prop_assert_eq!(parts, want);
            proptest::prop_assert_eq!(made.wild, made.resolved.contains(&b'*'));
        }
    }

    #[test]
    fn spellings_of_one_path_resolve_to_it() {
        let resolved = |path: &str| {
            let mut out = Vec::new();
            resolve(path.as_bytes(), &mut out);
            String::from_utf8(out).unwrap()
        };
        for spelt in
            ["/etc/shadow", "/etc//shadow", "/etc/./shadow", "/etc/ssh/../shadow", r"\etc\shadow", "/ETC/Shadow"]
        {
            assert_eq!(resolved(spelt), "/etc/shadow", "{spelt}");
        }
        for (path, same) in [
            ("../../etc/passwd", "../../etc/passwd"),
            ("/../etc/passwd", "/../etc/passwd"),
            ("~/../x", "~/../x"),
            ("./x", "./x"),
            ("a/../x", "x"),
            ("/a/b/../../x/", "/x"),
            ("$HOME/../x", "$HOME/../x"),
            ("/", "/"),
            ("", ""),
        ] {
            assert_eq!(resolved(path), same.to_ascii_lowercase(), "{path}");
        }
    }
}
