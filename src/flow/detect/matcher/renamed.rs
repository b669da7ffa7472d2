//! Another name that a text gives to something → what stands where it uses that: `alias z=bash; z -c …`,
//! `ln -s /etc /tmp/e; cat /tmp/e/shadow`.

use super::{spelt::Replaced, wild::begins_command};
use memchr::memmem;
use std::ops::Range;

/// What gives a name.
pub(super) const CLUES: &[&str] = &["alias ", "ln -s", "ln -fs", "ln --symbolic"];

/// The longest name, and the longest text that it stands for.
const LONGEST: usize = 128;
/// How far behind it a name is looked for, how many places are looked at, and how many uses of it are told.
const REACH: usize = 4 << 10;
const MAX_PLACES: usize = 256;
const MAX_USES: usize = 16;
/// How far before a use it is told whether a command begins there.
const BEFORE: usize = 96;

/// The uses of the name that is given behind `keyword`, each with what it stands for.
pub(super) fn uses(text: &[u8], keyword: &Range<usize>) -> Vec<Replaced> {
    let rest = &text[keyword.end..text.len().min(keyword.end + 3 * LONGEST)];
    let line = &rest[..memchr::memchr(b'\n', rest).unwrap_or(rest.len())];
    if text[keyword.clone()].eq_ignore_ascii_case(b"alias ") {
        alias(line).map(|(name, meant, len)| used(text, keyword.end + len, name, meant, is_command))
    } else {
        link(line).map(|(name, meant, len)| used(text, keyword.end + len, name, meant, is_path))
    }
    .unwrap_or_default()
}

/// A name, what it stands for, and where that ends.
type Named<'t> = (&'t [u8], &'t [u8], usize);

/// What stands behind `alias`.
fn alias(line: &[u8]) -> Option<Named<'_>> {
    let equals = memchr::memchr(b'=', line)?;
    let name = line[..equals].trim_ascii_start();
    let plain =
        (1..=LONGEST).contains(&name.len()) && name.iter().all(|b| b.is_ascii_alphanumeric() || b"_-.:".contains(b));
    let (meant, len) = word(&line[equals + 1..])?;
    (plain && meant != name).then_some((name, meant, equals + 1 + len))
}

/// What stands behind `ln -s`, or what makes a link elsewhere: options, a target, a name.
fn link(line: &[u8]) -> Option<Named<'_>> {
    let mut at = line.iter().take_while(|b| b.is_ascii_alphabetic()).count();
    let mut next = || {
        at += line[at..].iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        let (word, len) = word(&line[at..])?;
        at += len;
        Some(word)
    };
    let mut target = next()?;
    while target.starts_with(b"-") {
        target = next()?;
    }
    let name = next()?;
    (name.len() > 2 && name.contains(&b'/') && name != target).then_some((name, target, at))
}

/// The word that `text` begins with, without its quotes, and how long it is with them.
fn word(text: &[u8]) -> Option<(&[u8], usize)> {
    let escapes = usize::from(text.first() == Some(&b'\\'));
    let (word, len) = if let Some(quote @ (b'"' | b'\'')) = text.get(escapes) {
        let inner = &text[escapes + 1..];
        let inner = &inner[..memchr::memchr(*quote, inner)?];
        (&inner[..inner.len().checked_sub(escapes)?], inner.len() + escapes + 2)
    } else {
        let ends = |b: &u8| b.is_ascii_whitespace() || b";&|)\"'`<>".contains(b);
        let word = &text[..text.iter().position(ends).unwrap_or(text.len())];
        (word, word.len())
    };
    (1..=LONGEST).contains(&word.len()).then_some((word, len))
}

/// Where `name` is used behind `from`.
fn used(text: &[u8], from: usize, name: &[u8], meant: &[u8], is: fn(&[u8], &Range<usize>) -> bool) -> Vec<Replaced> {
    let reach = &text[from..text.len().min(from + REACH)];
    let places = memmem::find_iter(reach, name).take(MAX_PLACES).map(|n| from + n..from + n + name.len());
    places.filter(|place| is(text, place)).take(MAX_USES).map(|place| (place, meant.to_vec())).collect()
}

/// Whether a command stands there.
fn is_command(text: &[u8], place: &Range<usize>) -> bool {
    let ends = text.get(place.end).is_none_or(|b| b.is_ascii_whitespace() || b";&|)\"'`<>\\".contains(b));
    let floor = place.start.saturating_sub(BEFORE);
    ends && begins_command(&text[floor..place.start], floor == 0)
}

/// Whether a path begins there, or is that.
fn is_path(text: &[u8], place: &Range<usize>) -> bool {
    let within = |b: &u8| b.is_ascii_alphanumeric() || b"_-.~".contains(b);
    !text[..place.start].last().is_some_and(|b| within(b) || *b == b'/') && !text.get(place.end).is_some_and(within)
}

#[cfg(test)]
mod tests {
    use super::{CLUES, uses};

    fn read(text: &str) -> String {
        let clue = CLUES.iter().find_map(|clue| text.find(clue).map(|at| at..at + clue.len())).unwrap();
        let mut plain = text.as_bytes().to_vec();
        for (span, meant) in uses(text.as_bytes(), &clue).into_iter().rev() {
            plain.splice(span, meant);
        }
        String::from_utf8(plain).unwrap()
    }

    #[test]
    fn a_name_stands_for_what_it_was_given_to() {
        for (text, want) in [
            ("alias z='bash'; z -c 'id'", "alias z='bash'; bash -c 'id'"),
            ("alias l='rm -rf'\n  l /", "alias l='rm -rf'\n  rm -rf /"),
            ("alias r=sh\ncurl x | r\nr", "alias r=sh\ncurl x | sh\nsh"),
            ("alias b=\\\"bash -c\\\"; sudo b id", "alias b=\\\"bash -c\\\"; sudo bash -c id"),
            ("ln -s / /tmp/r && rm -rf /tmp/r/*", "ln -s / /tmp/r && rm -rf //*"),
            ("ln -sf /etc /tmp/e; cat /tmp/e/shadow", "ln -sf /etc /tmp/e; cat /etc/shadow"),
            ("ln -s -f \"/a b\" './c'; x ./c/d", "ln -s -f \"/a b\" './c'; x /a b/d"),
        ] {
            assert_eq!(read(text), want, "{text}");
        }
    }

    #[test]
    fn other_words_stay() {
        for text in [
            "alias z=bash; x z",
            "alias z=bash; zz",
            "alias z bash; z",
            "alias ls=ls; ls",
            "ln -s a b; cat b",
            "ln -s /a /tmp/r; cat /tmp/rx /x/tmp/r",
            "ln -s",
            "alias =x",
        ] {
            assert_eq!(read(text), text);
        }
    }
}
