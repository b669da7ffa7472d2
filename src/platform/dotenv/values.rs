//! A dotenv file's bytes → its variables, as python-dotenv reads them for Hermes.
//!
//! Names and values are lent, one after the other, and what had to be unescaped is wiped.

use zeroize::Zeroizing;

/// Lends each variable and its value, in their order; a name that is set twice comes twice. What is no assignment, or
/// goes on after a closing quote, is left out, as Hermes leaves it out.
pub fn variables(text: &[u8], on: &mut dyn FnMut(&str, &[u8])) {
    let mut rest = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    loop {
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            return;
        }
        rest = assignment(rest, on).unwrap_or_else(|| after_line(rest));
    }
}

/// Reads one assignment and answers what follows it.
fn assignment<'t>(text: &'t [u8], on: &mut dyn FnMut(&str, &[u8])) -> Option<&'t [u8]> {
    let (name, rest) = name(after_export(text))?;
    let rest = blanks(blanks(rest).strip_prefix(b"=")?);
    let Some(&quote @ (b'\'' | b'"')) = rest.first() else {
        let (line, next) = line(rest);
        on(name, uncommented(line));
        return Some(next);
    };
    let (value, rest) = quoted(&rest[1..], quote)?;
    let (line, next) = line(rest);
    let line = blanks(line);
    if !line.is_empty() && !line.starts_with(b"#") {
        return None;
    }
    on(name, &value);
    Some(next)
}

fn after_export(text: &[u8]) -> &[u8] {
    match text.strip_prefix(b"export") {
        Some(rest) if rest.starts_with(b" ") || rest.starts_with(b"\t") => blanks(rest),
        _ => text,
    }
}

fn name(text: &[u8]) -> Option<(&str, &[u8])> {
    let (name, rest) = if let Some(inner) = text.strip_prefix(b"'") {
        let end = memchr::memchr(b'\'', inner)?;
        (&inner[..end], &inner[end + 1..])
    } else {
        let end = text.iter().position(|b| b.is_ascii_whitespace() || matches!(b, b'=' | b'#'))?;
        text.split_at(end)
    };
    std::str::from_utf8(name).ok().filter(|name| !name.is_empty()).map(|name| (name, rest))
}

/// A value up to its closing quote, over as many lines as it takes, its escapes undone.
fn quoted(text: &[u8], quote: u8) -> Option<(Zeroizing<Vec<u8>>, &[u8])> {
    let mut value = Zeroizing::new(Vec::with_capacity(length(text, quote)?));
    let mut at = 0;
    while text[at] != quote {
        let escaped = text[at..].strip_prefix(b"\\").and_then(|rest| unescaped(*rest.first()?, quote));
        value.push(escaped.unwrap_or(text[at]));
        at += if escaped.is_some() { 2 } else { 1 };
    }
    Some((value, &text[at + 1..]))
}

/// How far the closing quote is; one behind a backslash does not close.
fn length(text: &[u8], quote: u8) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr::memchr2(quote, b'\\', text.get(at..)?)?;
        if text[at] == quote {
            return Some(at);
        }
        let pair = text.get(at + 1).is_some_and(|&next| unescaped(next, quote).is_some());
        at += if pair { 2 } else { 1 };
    }
}

const fn unescaped(letter: u8, quote: u8) -> Option<u8> {
    let double = quote == b'"';
    match letter {
        b'\\' | b'\'' => Some(letter),
        b'"' if double => Some(b'"'),
        b'a' if double => Some(0x07),
        b'b' if double => Some(0x08),
        b'f' if double => Some(0x0c),
        b'n' if double => Some(b'\n'),
        b'r' if double => Some(b'\r'),
        b't' if double => Some(b'\t'),
        b'v' if double => Some(0x0b),
        _ => None,
    }
}

/// A value without quotes: without its comment, and the blanks at its end.
fn uncommented(line: &[u8]) -> &[u8] {
    let comment = (1..line.len()).find(|&at| line[at] == b'#' && line[at - 1].is_ascii_whitespace());
    line[..comment.unwrap_or(line.len())].trim_ascii_end()
}

fn blanks(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|b| !matches!(b, b' ' | b'\t')).unwrap_or(text.len());
    &text[end..]
}

fn line(text: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr2(b'\n', b'\r', text).unwrap_or(text.len());
    text.split_at(end)
}

fn after_line(text: &[u8]) -> &[u8] {
    line(text).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Vec<(String, String)> {
        let mut all = Vec::new();
        variables(text.as_bytes(), &mut |name, value| {
            all.push((name.to_owned(), String::from_utf8_lossy(value).into_owned()));
        });
        all
    }

    #[test]
    fn values_are_what_python_dotenv_makes_of_them() {
        for (text, value) in [
            ("A=b", "b"),
            ("A = b ", "b"),
            ("export A=b", "b"),
            ("export\tA=b", "b"),
            ("'A'=b", "b"),
            ("A=b # a comment", "b"),
            ("A=b#no", "b#no"),
            ("A=a b c", "a b c"),
            ("A=b\r\n", "b"),
            ("\u{feff}A=b", "b"),
            ("\n\n  A=b", "b"),
            ("A=", ""),
            ("A=''", ""),
            ("A='b # c'", "b # c"),
            (r"A='b\'c\\d\n'", r"b'c\d\n"),
            (r#"A="b\"c\\d\ne\tf\q" # x"#, "b\"c\\d\ne\tf\\q"),
            ("A=\"one\ntwo\"", "one\ntwo"),
            ("A=b'c", "b'c"),
            ("A=x=y==", "x=y=="),
            ("A=pa$$w0rd", "pa$$w0rd"),
        ] {
            assert_eq!(read(text), [("A".to_owned(), value.to_owned())], "{text:?}");
        }
    }

    #[test]
    fn what_is_no_assignment_is_left_out_and_the_next_one_is_not() {
        for text in ["# A=b", "A", "=b", "A='b", "A=\"b\"c", "A b=c", "A: b", "A=\"b\\\"", "''=b", "  #"] {
            assert_eq!(read(text).iter().filter(|(name, _)| name == "A").count(), 0, "{text:?}");
            let next = read(&format!("{text}\nB=c\n"));
            assert!(text.contains('"') || text.contains('\'') || next.contains(&("B".into(), "c".into())), "{text:?}");
        }
        assert_eq!(read("A=1\nA=2").len(), 2);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            variables(&text, &mut |name, _| assert!(!name.is_empty()));
        }

        #[test]
        fn a_plain_value_is_read_in_any_quotes(value in "[A-Za-z0-9+/._-]{1,60}") {
            for text in [format!("K={value}"), format!("K='{value}'\n"), format!("export K=\"{value}\" # c\r\n")] {
                prop_assert_eq!(read(&text), [("K".to_owned(), value.clone())]);
            }
        }
    }
}
