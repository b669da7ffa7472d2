//! A search for a file by its name, of which something is done with what it finds → the path of that file:
//! `find /etc -name shadow -exec cat {} +` reads `/etc/shadow`.

use super::{spelt::Replaced, wild::begins_command};
use std::ops::Range;

/// What tells of the name.
pub(super) const CLUES: &[&str] = &["-name ", "-iname "];

/// How far before the name a search begins, and how far behind it what is done stands.
const BEFORE: usize = 256;
const BEHIND: usize = 256;
/// The longest folder, and the longest name.
const LONGEST: usize = 96;

/// The folder with the options behind it up to the name, and the path that both make.
pub(super) fn path(text: &[u8], keyword: &Range<usize>) -> Option<Replaced> {
    let floor = keyword.start.saturating_sub(BEFORE);
    let before = &text[floor..keyword.start];
    let line = memchr::memrchr(b'\n', before).map_or(0, |n| n + 1);
    let find = line + memchr::memmem::rfind(&before[line..], b"find ")?;
    let folder_at = options(text, floor + find + b"find ".len());
    let folder = word(text, folder_at, keyword.start)?;
    let name = word(text, keyword.end, text.len())?;
    let rest = &text[name.end..text.len().min(name.end + BEHIND)];
    let rest = &rest[..memchr::memchr(b'\n', rest).unwrap_or(rest.len())];
    let within = before[..find].ends_with(b"$(") || before[..find].ends_with(b"`");
    let done = [&b"-exec"[..], b"xargs", b"-ok "].iter().any(|does| memchr::memmem::find(rest, does).is_some());
    let searches = within || begins_command(&before[..find], floor == 0);
    if !searches || !(within || done) {
        return None;
    }
    let said =
        |word: &Range<usize>| text[word.clone()].iter().copied().filter(|b| !b"\"'\\".contains(b)).collect::<Vec<_>>();
    let (mut path, name_said) = (said(&folder), said(&name));
    if path.last() != Some(&b'/') {
        path.push(b'/');
    }
    path.extend_from_slice(&name_said);
    Some((folder.start..name.end, path))
}

/// Where the options that stand before a folder end.
fn options(text: &[u8], mut at: usize) -> usize {
    while let [b'-', b'H' | b'L' | b'P', b' ', ..] = text[at..] {
        at += 3;
    }
    at
}

/// The word, in quotes or not, that stands at `from`.
fn word(text: &[u8], from: usize, to: usize) -> Option<Range<usize>> {
    let from = from + text[from..to].iter().take_while(|b| **b == b' ').count();
    let len = text[from..to]
        .iter()
        .take(LONGEST)
        .take_while(|b| !b.is_ascii_whitespace() && !b";&|()`<>{}".contains(b))
        .count();
    (1..LONGEST).contains(&len).then_some(from..from + len)
}

#[cfg(test)]
mod tests {
    use super::{CLUES, path};

    fn read(text: &str) -> Option<String> {
        let clue = CLUES.iter().find_map(|clue| text.find(clue).map(|at| at..at + clue.len())).unwrap();
        path(text.as_bytes(), &clue).map(|(_, path)| String::from_utf8(path).unwrap())
    }

    #[test]
    fn what_is_found_by_its_name_has_a_path() {
        for (text, want) in [
            ("find /etc -maxdepth 1 -name shadow -exec cat {} \\;", "/etc/shadow"),
            ("find ~/.ssh/ -name \"id_*\" ! -name '*.pub' -exec cat {} +", "~/.ssh/id_*"),
            ("sudo find -L . -iname '.env' -print0 | xargs -0 cat", "./.env"),
            ("cat $(find \"$HOME/.aws\" -type f -name credentials)", "$HOME/.aws/credentials"),
        ] {
            assert_eq!(read(text).as_deref(), Some(want), "{text}");
        }
    }

    #[test]
    fn what_is_only_listed_has_none() {
        for text in [
            "find /etc -name shadow",
            "find /etc -name shadow\ncat x -exec",
            "x -name shadow -exec cat {} +",
            "a find /etc -name shadow -exec",
            "find /etc -name ",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
