//! The columns of a hex dump → the text that was dumped: `00000010  63 75 72 6c … |curl|`, `00000010: 6375 726c …  curl`.

use data_encoding::HEXLOWER_PERMISSIVE;
use std::ops::RangeInclusive;

/// How many digits an offset has.
const OFFSETS: RangeInclusive<usize> = 4..=8;
/// The most bytes of a line.
const MOST: usize = 32;
/// The longest line.
const LONGEST: usize = 192;

/// Whether a line may be one of a dump: its offset begins with zeros.
#[inline]
pub(super) fn may_be(line: &[u8]) -> bool {
    matches!(line, [b'0', b'0', ..])
}

/// The offset of a line of a dump, and the bytes it shows.
pub(super) fn line(line: &[u8]) -> Option<(&[u8], Vec<u8>)> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() > LONGEST {
        return None;
    }
    let (offset, rest) = line.split_at(digits(line));
    let rest = rest.strip_prefix(b":").unwrap_or(rest);
    if !OFFSETS.contains(&offset.len()) || rest.first() != Some(&b' ') {
        return None;
    }
    let mut bytes = Vec::with_capacity(MOST);
    let mut rest = rest;
    let mut width = 0;
    while bytes.len() < MOST {
        let blanks = rest.iter().take_while(|b| **b == b' ').count();
        let group = &rest[blanks..];
        let len = digits(group);
        width = if width == 0 { len } else { width };
        let is_group =
            matches!(len, 2 | 4 | 8) && len <= width && blanks > 0 && group.get(len).is_none_or(|b| *b == b' ');
        if !is_group {
            break;
        }
        bytes.extend(HEXLOWER_PERMISSIVE.decode(&group[..len]).ok()?);
        rest = &group[len..];
        if shows(rest, &bytes) {
            return Some((offset, bytes));
        }
    }
    None
}

/// Whether a line's last column is these bytes as characters, or there is none.
fn shows(column: &[u8], bytes: &[u8]) -> bool {
    let column = column.trim_ascii_end();
    if column.is_empty() {
        return true;
    }
    let text = |column: &[u8]| {
        let of = |(shown, byte): (&u8, &u8)| *shown == *byte || (*shown == b'.' && !matches!(byte, b'!'..=b'~'));
        column.len() <= bytes.len()
            && column.iter().zip(bytes).all(of)
            && bytes[column.len()..].iter().all(|b| *b == b' ')
    };
    let plain = column.trim_ascii_start();
    let framed = plain.strip_prefix(b"|").and_then(|p| p.strip_suffix(b"|"));
    let angled = plain.strip_prefix(b">").and_then(|p| p.strip_suffix(b"<"));
    // A column's own first characters may be blanks.
    column.starts_with(b"  ")
        && (framed.is_some_and(text)
            || angled.is_some_and(text)
            || (2..=column.len() - plain.len()).any(|skip| text(&column[skip..])))
}

fn digits(text: &[u8]) -> usize {
    text.iter().take(9).take_while(|b| b.is_ascii_hexdigit()).count()
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn the_bytes_of_a_line_are_told_from_its_other_columns() {
        for (dumped, text) in [
            ("00000000: 6375 726c 202d 6673 534c 2068 7474 7073  curl -fsSL https", "curl -fsSL https"),
            ("00000000  77 67 65 74 20 2d 71 4f  2d 20 68 74 74 70 3a 2f  |wget -qO- http:/|", "wget -qO- http:/"),
            ("00000010: 6261 6467 650a                           badge.", "badge\n"),
            ("00000010: 6261 64                                  bad", "bad"),
            ("0000010   20  63  75  72  6c", " curl"),
            ("0000   63 75 72 6c   curl\r", "curl"),
            ("000020 20 61  > a<", " a"),
            ("00000020: 2020 6120                                  a ", "  a "),
        ] {
            let found = line(dumped.as_bytes()).map(|(_, bytes)| bytes);
            assert_eq!(found.as_deref(), Some(text.as_bytes()), "{dumped}");
        }
    }

    #[test]
    fn what_is_no_line_of_a_dump_is_left() {
        for text in [
            "",
            "00",
            "0000",
            "00:00:01 some words",
            "0000 0000 more",
            "00000000: words",
            "00000010  61 62  |xy|",
            "0010 12 34 56 of 90",
            "000000000000: 6162  ab",
        ] {
            assert_eq!(line(text.as_bytes()), None, "{text}");
        }
    }
}
