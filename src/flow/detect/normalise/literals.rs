//! Adjacent string literals → one: `"sk-" + "abc"` is `"sk-abc"`, as source code joins them.

mod calls;

use super::marks::is_blank;
use crate::flow::detect::patch::Patch;

/// How much is shown on each side of a seam: what a rule reads around a keyword.
pub(super) const CONTEXT: usize = 1536;

/// The longest name of a variable to which something is appended.
const LONGEST_NAME: usize = 24;

/// The seams of a text, taken out from left to right.
pub(super) struct Seams<'t, F: FnMut(&[u8])> {
    text: &'t [u8],
    patch: Patch<'t, F>,
    done: usize,
}

impl<'t, F: FnMut(&[u8])> Seams<'t, F> {
    /// `show` gets the neighbourhood of each seam that was taken out.
    pub(super) fn new(text: &'t [u8], show: F) -> Self {
        Self { text, patch: Patch::new(text, CONTEXT, Vec::new(), show), done: 0 }
    }

    /// A quote stands at `at`.
    pub(super) fn quote(&mut self, at: usize) {
        if at < self.done {
            return;
        }
        // A blank between quotes is a literal where a call follows.
        let is_called = |len: &usize| self.text[at + len..].starts_with(b".join(");
        if let Some(len) = seam(&self.text[at..]).filter(|len| !is_called(len)) {
            self.done = at + len;
            self.patch.replace(at, self.done, b"");
        } else if let Some((whole, literal)) = calls::folded(self.text, self.done, at)
            .or_else(|| calls::listed(self.text, self.done, at))
            .or_else(|| calls::filled(self.text, at))
        {
            self.done = whole.end;
            self.patch.replace(whole.start, whole.end, &literal);
        }
    }

    pub(super) fn finish(self) {
        self.patch.finish();
    }
}

/// The length of the seam that `text` begins with: the quote that ends a literal, what joins it to the next one, the
/// quote that begins that.
fn seam(text: &[u8]) -> Option<usize> {
    let (quote, mut rest) = text.split_first()?;
    let blanks = skip(&mut rest, is_blank);
    let goes_on = skip_line_end(&mut rest);
    match joiner(rest) {
        // Words of prose stand in backquotes side by side.
        1 if *quote == b'`' && !rest.starts_with(b"+") => return None,
        0 if goes_on => {}
        0 if *quote == b'`' || !sets_beside(blanks) => return None,
        0 => {}
        joiner => {
            rest = &rest[joiner..];
            skip(&mut rest, is_blank);
            skip_line_end(&mut rest);
        }
    }
    // Python's literals have prefixes.
    let prefix = rest.iter().take(2).take_while(|b| matches!(b, b'f' | b'b' | b'r' | b'u')).count();
    (rest.get(prefix) == Some(quote)).then(|| text.len() - rest.len() + prefix + 1)
}

/// Whether literals with these blanks between them are one to a compiler, by how they are written: on one line, or the
/// next one on a line of its own, indented.
fn sets_beside(blanks: &[u8]) -> bool {
    let indent = blanks.iter().rev().take_while(|b| matches!(b, b' ' | b'\t')).count();
    let before = &blanks[..blanks.len() - indent];
    let line = before.strip_suffix(b"\n").map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    indent > 0 && line.unwrap_or(before).iter().all(|b| matches!(b, b' ' | b'\t'))
}

/// The length of the operator that joins two literals in some language.
fn joiner(text: &[u8]) -> usize {
    match text {
        [b'|', b'|', ..] | [b'.', b'.', ..] | [b'<', b'<', ..] => 2,
        [b'.', b'c', b'o', b'n', b'c', b'a', b't', b'(', ..] => b".concat(".len(),
        [b'+' | b'.' | b'~' | b'&', ..] => 1,
        [b';', rest @ ..] => {
            let mut statement = rest;
            skip(&mut statement, is_blank);
            let append = appended(statement);
            if append > 0 { text.len() - statement.len() + append } else { 0 }
        }
        _ => appended(text),
    }
}

/// The length of what appends the next literal to a variable, as that of a statement before it: `x += `, `$x .= `.
fn appended(text: &[u8]) -> usize {
    let mut rest = text.strip_prefix(b"$").unwrap_or(text);
    let name = skip(&mut rest, |b| b.is_ascii_alphanumeric() || b == b'_');
    let blanks = skip(&mut rest, |b| b == b' ');
    let sign = matches!(rest, [b'+' | b'.', b'=', ..]);
    let may_be = (1..=LONGEST_NAME).contains(&name.len()) && name[0].is_ascii_alphabetic() && blanks.len() < 2;
    if sign && may_be { text.len() - rest.len() + 2 } else { 0 }
}

/// Skips the sign that a statement goes on with the next line, and the blanks there; answers whether there was one.
fn skip_line_end(text: &mut &[u8]) -> bool {
    let Some(rest) = text.strip_prefix(b"\\\n").or_else(|| text.strip_prefix(b"\\\r\n")) else { return false };
    *text = rest;
    skip(text, is_blank);
    true
}

fn skip<'t>(text: &mut &'t [u8], is: impl Fn(u8) -> bool) -> &'t [u8] {
    let len = text.iter().position(|b| !is(*b)).unwrap_or(text.len());
    let (skipped, rest) = text.split_at(len);
    *text = rest;
    skipped
}

#[cfg(test)]
mod tests {
    use super::{super::joined, seam};
    use regex::bytes::Regex;

    #[test]
    fn literals_join_as_their_language_joins_them() {
        for (split, whole) in [
            (r#"k = "sk-" + "abc""#, r#"k = "sk-abc""#),
            (r"k = 'AKIA' 'XYZ'", r"k = 'AKIAXYZ'"),
            ("k = \"a\" +\n    \"b\"+\"c\"", r#"k = "abc""#),
            ("k = \"a\" + \\\n    \"b\" \\\r\n  + \"c\" \\\n  \"d\"", r#"k = "abcd""#),
            (r#"$k = "a" . "b";"#, r#"$k = "ab";"#),
            ("k = `a` + `b`", "k = `ab`"),
            ("k = 'a'.concat('b', c)", "k = 'ab', c)"),
            ("k = 'a'\nk += 'b'\nk += 'c'\n", "k = 'abc'\n"),
            ("k = 'a' \n  $k .= 'b';", "k = 'ab';"),
            ("k = 'a'; k += 'b'; k += 'c';", "k = 'abc';"),
            ("$k = \"a\";\n$k .= \"b\";\n", "$k = \"ab\";\n"),
            ("run(['a', \"b\", 'c'].join(' '))", "run('a b c')"),
            ("run([ 'a',\n 'b' ].join(\"\"))", "run('ab')"),
            ("k = %W[x] + ['a', 'b'].join", "k = %W[x] + 'ab'"),
            ("iex ('a','b' -join '')", "iex ('ab')"),
            ("k := fmt.Sprintf(\"%s%s\", \"a\", \"b\")", "k := fmt.Sprintf(\"ab\")"),
            ("k = format!(\"{}{}\", \"a\", \"b\");", "k = format!(\"ab\");"),
            ("string.Format(\"{1}-{0}\", \"a\", \"b\")", "string.Format(\"b-a\")"),
            ("run(''.join(['a', \"b\", 'c']))", "run('abc')"),
            ("run(\" \".join((\n 'a',\n 'b',\n)))", "run(\"a b\")"),
            ("run('%s -%s' % ('a', 'b'))", "run('a -b')"),
            ("run('{}{1}'.format('a', 'b'))", "run('ab')"),
            ("run(\"{1}{0}\" -f 'a','b')", "run(\"ba\")"),
            ("k = (\"a\"\n     \"b\" \r\n\t\"c\")", "k = (\"abc\")"),
        ] {
            assert_eq!(joined(split.as_bytes()).unwrap(), [whole, "\n"].concat().as_bytes());
        }
    }

    #[test]
    fn lists_and_members_do_not_join() {
        for text in [
            r#"["a", "b"]"#,
            r#"{"a": "b"}"#,
            "it's + 'fine",
            "",
            "\"",
            r#""a" == "b""#,
            "`a` `b`",
            "`a`. `b`",
            "'a'\n'b'",
            "'a'\n\n 'b'",
            "', '.join(x)",
            "'a'.join(['a', b])",
            "'%d' % (1)",
            "'{}'.format(x)",
            "'a' -f 'b'",
            "'a' x = 'b'",
            "k = 'a'; 'b'",
            "['a', b].join('')",
            "x['a'].join(y)",
            "['a'].joined",
            "'a' -join x",
            "f(\"%s\", x)",
            "f(\"%d\", \"x\")",
            "[\"%s\", \"x\"]",
        ] {
            assert_eq!(joined(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn only_the_neighbourhood_of_a_seam_is_shown() {
        let long = "words of no use ".repeat(1 << 10);
        let text = [&long, "\nkey = 'a' + 'b'\n", &long].concat();
        let made = joined(text.as_bytes()).unwrap();
        assert!(made.len() < 8 << 10);
        assert!(memchr::memmem::find(&made, b"\nkey = 'ab'\n").is_some());
    }

    proptest::proptest! {
        #[test]
        fn seams_are_what_the_pattern_says(text in "[\"' \t\n\r\\x0b+.~&|<\\\\fbrux,;=]{0,24}") {
            let pattern = r#"^(?-u:["'](?:\s*(?:\\\r?\n\s*)?(?:\.concat\(|(?:;\s*)?\$?[a-zA-Z]\w{0,23} ?[+.]=|\+|\.\.?|~|&|\|\||<<)\s*(?:\\\r?\n\s*)?|\s*\\\r?\n\s*|[ \t]*(?:\r?\n)?[ \t]+)[fbru]{0,2}["'])"#;
            let pattern = Regex::new(pattern).unwrap();
            for at in memchr::memchr2_iter(b'"', b'\'', text.as_bytes()) {
                let rest = &text.as_bytes()[at..];
                let want = pattern.find(rest).map(|m| m.end()).filter(|end| rest[*end - 1] == rest[0]);
                proptest::prop_assert_eq!(seam(rest), want);
            }
        }
    }
}
