//! A character reference → its character.

/// The names that occur in running text, and those that spell what a command needs (HTML, section 13.5), in order.
static NAMED: [(&[u8], &str); 54] = [
    (b"Hat", "^"),
    (b"NewLine", "\n"),
    (b"Tab", "\t"),
    (b"UnderBar", "_"),
    (b"VerticalLine", "|"),
    (b"amp", "&"),
    (b"apos", "'"),
    (b"ast", "*"),
    (b"bsol", "\\"),
    (b"colon", ":"),
    (b"comma", ","),
    (b"commat", "@"),
    (b"copy", "©"),
    (b"dash", "‐"),
    (b"dollar", "$"),
    (b"equals", "="),
    (b"excl", "!"),
    (b"grave", "`"),
    (b"gt", ">"),
    (b"hellip", "…"),
    (b"hyphen", "‐"),
    (b"lbrace", "{"),
    (b"lbrack", "["),
    (b"lcub", "{"),
    (b"ldquo", "“"),
    (b"lowbar", "_"),
    (b"lpar", "("),
    (b"lsqb", "["),
    (b"lsquo", "‘"),
    (b"lt", "<"),
    (b"mdash", "—"),
    (b"mid", "∣"),
    (b"nbsp", "\u{a0}"),
    (b"ndash", "–"),
    (b"num", "#"),
    (b"percnt", "%"),
    (b"period", "."),
    (b"plus", "+"),
    (b"quest", "?"),
    (b"quot", "\""),
    (b"rbrace", "}"),
    (b"rbrack", "]"),
    (b"rcub", "}"),
    (b"rdquo", "”"),
    (b"rpar", ")"),
    (b"rsqb", "]"),
    (b"rsquo", "’"),
    (b"semi", ";"),
    (b"shy", "\u{ad}"),
    (b"sol", "/"),
    (b"verbar", "|"),
    (b"vert", "|"),
    (b"zwj", "\u{200d}"),
    (b"zwnj", "\u{200c}"),
];

/// For each first byte, the first of `NAMED` that does not begin with a lesser one.
static FIRST: [u8; 129] = {
    let mut first = [0; 129];
    let mut byte = 0;
    while byte < first.len() {
        let mut n = 0;
        while n < NAMED.len() && (NAMED[n].0[0] as usize) < byte {
            n += 1;
        }
        #[expect(clippy::cast_possible_truncation, reason = "there are fewer names than 255")]
        let place = n as u8;
        first[byte] = place;
        byte += 1;
    }
    first
};

/// The character a reference stands for and the reference's length, `&` apart.
pub(super) fn reference(text: &[u8]) -> Option<(char, usize)> {
    match *text {
        [b'#', b'x' | b'X', ..] => numeric(text, 2, 16),
        [b'#', ..] => numeric(text, 1, 10),
        [a, ..] if a.is_ascii_alphabetic() => {
            let of_letter = usize::from(FIRST[usize::from(a)])..usize::from(FIRST[usize::from(a) + 1]);
            let named = NAMED.get(of_letter).filter(|named| !named.is_empty())?;
            // The second letter says of most words that they are none.
            let second = *text.get(1)?;
            let of_text =
                |name: &[u8]| name[1] == second && text.strip_prefix(name).is_some_and(|t| t.starts_with(b";"));
            let (name, c) = named.iter().find(|(name, _)| of_text(name))?;
            Some((c.chars().next()?, name.len() + 1))
        }
        _ => None,
    }
}

fn numeric(text: &[u8], skip: usize, radix: u32) -> Option<(char, usize)> {
    let digits = text[skip..].iter().take(8).take_while(|b| char::from(**b).is_digit(radix)).count();
    let spelt = std::str::from_utf8(&text[skip..skip + digits]).ok()?;
    let code = u32::from_str_radix(spelt, radix).ok()?;
    let end = skip + digits;
    // The semicolon may be missing: browsers accept that.
    Some((char::from_u32(code).filter(|&c| c != '\0')?, end + usize::from(text.get(end) == Some(&b';'))))
}

#[cfg(test)]
mod tests {
    use super::reference;

    #[test]
    fn references_are_read() {
        for (text, want) in [
            ("lt;x", Some(('<', 3))),
            ("#60;", Some(('<', 4))),
            ("#60 ", Some(('<', 3))),
            ("#x3C;", Some(('<', 5))),
            ("#X3c;", Some(('<', 5))),
            ("#0000060;", Some(('<', 9))),
            ("VerticalLine;", Some(('|', 13))),
        ] {
            assert_eq!(reference(text.as_bytes()), want, "{text}");
        }
    }

    #[test]
    fn other_ampersands_are_left_alone() {
        for text in
            ["", "#", "#x", "#;", " a;", "lt", "LT;", "nosuchname;", "#xD800;", "#x110000;", "#0;", "=1;", "a&b;"]
        {
            assert_eq!(reference(text.as_bytes()), None, "{text}");
        }
    }
}
