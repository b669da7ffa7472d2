//! A keyword of a path → how far the path goes, and what stands on the lines beside it.

use crate::flow::detect::bits::{BLOCK, Block, Lanes};
use std::ops::Range;

/// How far a path reaches from its keyword.
const REACH: usize = 256;
/// How much of what stands before a keyword is looked at together with what stands behind.
const HALF: usize = BLOCK / 2;

/// The bytes of a path.
static OF_PATH: [bool; 256] = {
    let others = b"_-./\\~$%{}@+*?[]";
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        #[expect(clippy::cast_possible_truncation, reason = "counts to 255")]
        let letter = byte as u8;
        table[byte] = letter.is_ascii_alphanumeric();
        byte += 1;
    }
    let mut n = 0;
    while n < others.len() {
        table[others[n] as usize] = true;
        n += 1;
    }
    table
};

#[inline]
fn of_path(b: u8) -> bool {
    OF_PATH[usize::from(b)]
}

/// The bytes of a path around `keyword`, no more than `REACH` on either side. Most are told without a branch for any.
pub(super) fn extent(text: &[u8], keyword: Range<usize>) -> Range<usize> {
    let from = keyword.start.saturating_sub(HALF);
    let bits = if from < text.len() { Block::at(text, from).bits(class) } else { 0 };
    let (before, behind) = (keyword.start - from, keyword.end - from);
    let ahead = if before > 0 { (bits << (BLOCK - before)).leading_ones() } else { 0 };
    let after = if behind < BLOCK { (bits >> behind).trailing_ones() } else { 0 };
    let (mut start, mut end) = (keyword.start - ahead as usize, keyword.end + after as usize);
    if start == from {
        let floor = keyword.start.saturating_sub(REACH);
        start = text[floor..start].iter().rposition(|b| !of_path(*b)).map_or(floor, |n| floor + n + 1);
    }
    if end >= from + BLOCK {
        let cap = text.len().min(keyword.end + REACH);
        end += text[end..cap].iter().take_while(|b| of_path(**b)).count();
    }
    start..end
}

/// [`OF_PATH`], of sixteen bytes.
#[inline]
fn class(bytes: Lanes) -> Lanes {
    let ranges = [(b'-', b'9'), (b'?', b']'), (b'a', b'{'), (b'}', b'~'), (b'$', b'%'), (b'*', b'+')];
    ranges.iter().fold(bytes.is(b'_'), |class, (first, last)| class.or(bytes.within(*first, *last)))
}

/// What ends the line before the token and what begins the one after it, of the bytes of a path: nothing where no line
/// ends beside it.
pub(super) fn line_ends(text: &[u8], token: Range<usize>) -> [&[u8]; 2] {
    let before = text[token.start.saturating_sub(REACH)..token.start].strip_suffix(b"\n").map(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        &line[line.iter().rposition(|b| !of_path(*b)).map_or(0, |n| n + 1)..]
    });
    let after = &text[token.end..text.len().min(token.end + REACH)];
    let after = after.strip_prefix(b"\n").or_else(|| after.strip_prefix(b"\r\n")).map(|line| {
        let end = line.iter().position(|b| !of_path(*b)).unwrap_or(line.len());
        &line[..end]
    });
    [before.unwrap_or_default(), after.unwrap_or_default()]
}

/// The token put together with the ends of the lines beside it, when a line breaks in the midst of its path.
pub(super) fn broken(text: &[u8], token: Range<usize>) -> Option<Vec<u8>> {
    let [before, after] = line_ends(text, token.clone());
    let parted = |part: &[u8]| part.iter().any(|b| matches!(b, b'/' | b'\\'));
    let joins = parted(before) || (!after.is_empty() && parted(&text[token.clone()]));
    joins.then(|| [before, &text[token], after].concat())
}

/// The token without the punctuation of the sentence or list around it, and without the escapes of a literal that end
/// its line.
pub(super) fn trim(mut token: &[u8]) -> &[u8] {
    while let [head @ .., b'\\', b'n' | b'r' | b't' | b'0'] = token {
        token = head;
    }
    while let Some((&last, head)) = token.split_last() {
        let stray = match last {
            b'.' | b'?' | b'\\' | b'+' | b'@' | b'$' | b'%' => true,
            b'/' => head.len() > 1,
            b'}' => !head.contains(&b'{'),
            b']' => !head.contains(&b'['),
            b'*' => head.ends_with(b"*"),
            _ => false,
        };
        if !stray {
            break;
        }
        token = if last == b'*' { &head[..head.len() - 1] } else { head };
    }
    while let Some((&first, tail)) = token.split_first() {
        let stray = match first {
            b'{' | b'}' | b']' | b'@' | b'+' | b'?' => true,
            b'[' => !tail.contains(&b']'),
            b'*' => tail.starts_with(b"*"),
            _ => false,
        };
        if !stray {
            break;
        }
        token = if first == b'*' { &tail[1..] } else { tail };
    }
    match token {
        // Brackets around all of it are no class of characters.
        [b'[', inner @ .., b']'] if inner.contains(&b'/') && !inner.iter().any(|b| matches!(b, b'[' | b']')) => {
            trim(inner)
        }
        _ => token,
    }
}

/// The path that `text` begins with, with the first of the words that stand between braces in it: `a/{b,c}d` is `a/bd`.
pub(super) fn in_braces(text: &[u8]) -> Option<Vec<u8>> {
    let text = &text[..text.len().min(REACH)];
    let path = text.iter().take_while(|b| of_path(**b)).count();
    let open = text[..path].iter().rposition(|b| *b == b'{').filter(|at| !text[..*at].ends_with(b"$"))?;
    let close = path + text[path..].iter().position(|b| *b == b'}')?;
    let rest = text[close + 1..].iter().take_while(|b| of_path(**b) && **b != b'{').count();
    let are_words = text[path..close].iter().all(|b| of_path(*b) || *b == b',');
    are_words.then(|| [&text[..open], &text[open + 1..path], &text[close + 1..][..rest]].concat())
}

/// The token without the marks of a text it stands in, if it has any: the braces of a command of TeX, Markdown's emphasis
/// and its escapes.
pub(super) fn unmarked(token: &[u8]) -> Option<Vec<u8>> {
    if let Some(inside) = token.strip_suffix(b"}") {
        let open = inside.iter().rposition(|b| *b == b'{').filter(|at| is_command(&token[..*at]))?;
        return matches!(inside[open + 1..], [b'/' | b'~' | b'.' | b'$', ..]).then(|| inside[open + 1..].to_vec());
    }
    let mut plain = token;
    if let [b'_', inside @ .., b'_'] = token {
        plain = inside;
        while let [b'*', inside @ .., b'*'] | [b'_', inside @ .., b'_'] = plain {
            plain = inside;
        }
    }
    let escapes = |pair: &[u8]| pair[0] == b'\\' && matches!(pair[1], b'_' | b'~');
    let is_escaped = plain.windows(2).any(escapes);
    if !is_escaped {
        return (plain.len() < token.len()).then(|| plain.to_vec());
    }
    let mut rest = plain.iter().copied().peekable();
    let mut out = Vec::with_capacity(plain.len());
    while let Some(b) = rest.next() {
        if b != b'\\' || !matches!(rest.peek(), Some(b'_' | b'~')) {
            out.push(b);
        }
    }
    Some(out)
}

/// Whether it is a command of TeX: `\input`.
fn is_command(text: &[u8]) -> bool {
    text.strip_prefix(b"\\").is_some_and(|name| !name.is_empty() && name.iter().all(u8::is_ascii_alphabetic))
}

#[cfg(test)]
mod tests {
    use super::{Lanes, REACH, class, extent, of_path, trim, unmarked};
    use crate::flow::detect::bits::LANES;

    #[test]
    fn bytes_of_a_path_are_told_alone_as_together() {
        for b in 0..=u8::MAX {
            assert_eq!(class(Lanes::of([b; LANES])).bits() & 1 == 1, of_path(b), "{b}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_path_reaches_to_what_is_not_of_it(
            parts in proptest::array::uniform3("[a/]{0,5}|[a/ ]{0,40}|[a/]{200,300}"), len in 0_usize..70,
        ) {
            let [before, keyword, _] = parts.each_ref().map(String::len);
            let text = parts.concat().into_bytes();
            let keyword = before..before + keyword.min(len);
            let start = text[..before].iter().rposition(|b| !of_path(*b)).map_or(0, |n| n + 1);
            let end = text[keyword.end..].iter().position(|b| !of_path(*b)).map_or(text.len(), |n| keyword.end + n);
            let want = start.max(before.saturating_sub(REACH))..end.min(keyword.end + REACH);
            proptest::prop_assert_eq!(extent(&text, keyword), want, "{}", parts.concat());
        }
    }

    #[test]
    fn a_sentences_punctuation_is_no_part_of_a_path() {
        let escaped = [r"/etc/passwd\n", r"/etc/passwd\r\n", r"/etc/passwd\t", r"/etc/passwd\\n", r"/etc/passwd.\n"];
        let others = ["/etc/passwd.", "/etc/passwd?", "{/etc/passwd", "**/etc/passwd**", "[/etc/passwd"];
        for token in escaped.into_iter().chain(others) {
            assert_eq!(trim(token.as_bytes()), b"/etc/passwd", "{token}");
        }
        for token in ["[/etc/passwd]", "[/etc/passwd].", "[/etc/passwd.]", "[/etc/passwd/]?"] {
            assert_eq!(trim(token.as_bytes()), b"/etc/passwd", "{token}");
        }
        for token in ["${HOME}/x", "[.]env", "[.env]", "/etc/passw[d]", "[/]etc/passw[d]"] {
            assert_eq!(trim(token.as_bytes()), token.as_bytes());
        }
    }

    #[test]
    fn the_marks_of_a_text_are_no_part_of_a_path() {
        for (token, plain) in [
            (r"\input{/etc/passwd}", "/etc/passwd"),
            (r"\lstinputlisting{~/.ssh/id_rsa}", "~/.ssh/id_rsa"),
            ("_/etc/shadow_", "/etc/shadow"),
            ("_**/etc/shadow**_", "/etc/shadow"),
            (r"\~/.bash\_history", "~/.bash_history"),
            (r"_\~/.mysql\_history_", "~/.mysql_history"),
        ] {
            assert_eq!(unmarked(token.as_bytes()).as_deref(), Some(plain.as_bytes()), "{token}");
        }
        for token in
            ["/etc/passwd", "${HOME}", r"C:\a\{b}", "{/etc/passwd}", r"\input{name}", "_a", "*.env*", r"C:\Users\a"]
        {
            assert_eq!(unmarked(token.as_bytes()), None, "{token}");
        }
    }
}
