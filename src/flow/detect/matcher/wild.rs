//! A program by its path with wildcards → the program that a shell finds by them: `/bin/c?t` is `/bin/cat`.

use super::path::said;
use crate::flow::detect::wildcard::glob;
use std::ops::Range;

/// The longest part of the word on each side of what tells of it.
const LONGEST: usize = 48;
/// How far before a word it is told whether a command begins there.
const BEFORE: usize = 96;
/// Options and assignments between a word that runs another one and that.
const MAX_BETWEEN: usize = 4;

/// Where programs are.
const FOLDERS: &[&str] = &["/bin", "/usr/bin", "/usr/local/bin", "/sbin", "/usr/sbin", "/usr/local/sbin"];

/// Those that rules care for; of two that wildcards stand for the first is taken.
const PROGRAMS: &[&str] = &[
    "sh",
    "bash",
    "zsh",
    "dash",
    "ksh",
    "rm",
    "cat",
    "curl",
    "wget",
    "nc",
    "ncat",
    "netcat",
    "python3",
    "python",
    "perl",
    "ruby",
    "php",
    "node",
    "base64",
    "tee",
    "dd",
    "chmod",
    "chown",
    "cp",
    "mv",
    "tar",
    "openssl",
    "ssh",
    "scp",
    "socat",
    "telnet",
    "busybox",
    "env",
    "sudo",
    "find",
    "xargs",
    "awk",
    "sed",
    "xxd",
    "shred",
    "crontab",
    "useradd",
    "usermod",
    "mkfifo",
    "nohup",
    "powershell",
    "pwsh",
];

/// The words that run the one behind them.
const RUNS: &[&[u8]] = &[
    b"sudo", b"doas", b"env", b"exec", b"nohup", b"xargs", b"time", b"command", b"nice", b"setsid", b"then", b"do",
    b"else", b"-exec", b"run", b"execute", b"busybox",
];

/// What tells of such a word: its folder, or what may stand for that.
pub(super) const CLUES: &[&str] = &[
    "/bin/", "/bi?/", "/b?n/", "/?in/", "/b??/", "/?i?/", "/??n/", "/???/", "/b*/", "/bi*/", "/b*n/", "/*in/", "/*n/",
    "/[b]in/", "/b[i]n/", "/bi[n]/", "sbin/",
];

/// The word around `at`, which is in the path of a program, and the path that it stands for.
pub(super) fn program(text: &[u8], at: usize) -> Option<(Range<usize>, Vec<u8>)> {
    let ahead = text[at..].iter().take(LONGEST).take_while(|b| of_word(**b)).count();
    let behind = text[..at].iter().rev().take(LONGEST).take_while(|b| of_word(**b)).count();
    let span = at - behind..at + ahead;
    let word = &text[span.clone()];
    let path = word.iter().any(|b| is_wild(*b)).then(|| resolved(word))??;
    let floor = span.start.saturating_sub(BEFORE);
    begins_command(&text[floor..span.start], floor == 0).then_some((span, path))
}

fn resolved(word: &[u8]) -> Option<Vec<u8>> {
    let (folder, name) = told_shortly(word)?;
    let program = if name.iter().any(|b| is_wild(*b)) {
        let least = if name.contains(&b'*') { 2 } else { 1 };
        let says = said(name) >= least;
        PROGRAMS.iter().find(|program| says && glob(name, program.as_bytes()))?
    } else {
        PROGRAMS.iter().find(|program| program.as_bytes() == name)?
    };
    let parts = |path: &[u8]| memchr::memchr_iter(b'/', path).count();
    let is = |known: &&&str| {
        let mut both = folder.split(|b| *b == b'/').zip(known.as_bytes().split(|b| *b == b'/'));
        parts(&folder) == parts(known.as_bytes()) && both.all(|(part, known)| glob(part, known))
    };
    let folder = FOLDERS.iter().find(is)?;
    Some([folder, "/", program].concat().into_bytes())
}

/// The folder and the name of a path from the root, without what leads nowhere else: `//`, `/./`, and `/x/..`.
fn told_shortly(path: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.strip_prefix(b"/")?.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let name = parts.pop()?;
    Some((parts.iter().flat_map(|part| [&b"/"[..], part].concat()).collect(), name))
}

/// Whether a command begins behind this; nothing is before it where it is `all` of the text.
pub(super) fn begins_command(before: &[u8], all: bool) -> bool {
    let mut line = before;
    for _ in 0..=MAX_BETWEEN {
        let blanks = line.iter().rev().take_while(|b| matches!(b, b' ' | b'\t')).count();
        let (rest, is_apart) = (&line[..line.len() - blanks], blanks > 0);
        let Some(&last) = rest.last() else { return all };
        if matches!(last, b'\n' | b'\r' | b'|' | b';' | b'&' | b'(' | b'{' | b'`' | b'!' | 0x80..) {
            return true;
        }
        if !is_apart {
            return matches!(last, b'"' | b'\'');
        }
        let word = &rest[rest.iter().rposition(u8::is_ascii_whitespace).map_or(0, |n| n + 1)..];
        let prompts = matches!(word, b"$" | b"#" | b"-" | b"*" | b">" | b"%" | b"+") || word.ends_with(b":");
        if prompts || RUNS.iter().any(|runs| word.eq_ignore_ascii_case(runs)) {
            return true;
        }
        if !word.starts_with(b"-") && !word.contains(&b'=') {
            return false;
        }
        line = &rest[..rest.len() - word.len()];
    }
    false
}

fn is_wild(b: u8) -> bool {
    matches!(b, b'?' | b'*' | b'[')
}

fn of_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'-' | b'_' | b'?' | b'*' | b'[' | b']' | b'!' | b'^')
}

#[cfg(test)]
mod tests {
    use super::program;

    fn read(text: &str) -> Option<String> {
        let at = text.find("/b").or_else(|| text.find("/?")).unwrap();
        program(text.as_bytes(), at)
            .map(|(span, path)| [&text.as_bytes()[..span.start], &path, &text.as_bytes()[span.end..]].concat())
            .map(|made| String::from_utf8(made).unwrap())
    }

    #[test]
    fn wildcards_stand_for_the_program_that_is_found_by_them() {
        for (written, meant) in [
            ("/usr/bin/c?rl -s x", "/usr/bin/curl -s x"),
            ("x | /bin/b?sh", "x | /bin/bash"),
            ("/b??/ba?h -c 'id'", "/bin/bash -c 'id'"),
            ("sudo -n /bin/r? -rf /", "sudo -n /bin/rm -rf /"),
            ("$(/bin/c[a]t x)", "$(/bin/cat x)"),
            ("sh -c '/???/?h x'", "sh -c '/bin/sh x'"),
            ("env A=b /usr/local/bin/pyth*3 -c x", "env A=b /usr/local/bin/python3 -c x"),
            ("/b*/cat x", "/bin/cat x"),
            ("/u?r/bin/cat x", "/usr/bin/cat x"),
            ("/bin/./b?sh x", "/bin/bash x"),
            ("/bin/../usr/bin//b?sh x", "/usr/bin/bash x"),
            ("- /bin/w?et x", "- /bin/wget x"),
            ("run: /bin/w[f-h]et x", "run: /bin/wget x"),
        ] {
            assert_eq!(read(written).as_deref(), Some(meant), "{written}");
        }
    }

    #[test]
    fn files_by_wildcards_and_plain_programs_stay() {
        for text in [
            "ls /bin/*",
            "rm -f build/*.o /bin/?",
            "/bin/*",
            "/bin/??",
            "/bin/c*",
            "ls /bin/c?rl",
            "/bin/cat x",
            "Is it in /bin/sh? -c is",
            "/tmp/bin/c?rl",
            "cp /bin/p?thon x",
            "/bin/li?t",
            "**/bin/bash** x",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
