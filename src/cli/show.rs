//! The only writer to stdout and stderr.

use super::trouble::Trouble;
use comfy_table::{Table, presets};
use posture::Severity;
use serde::Serialize;
use std::{
    fmt,
    io::{self, IsTerminal, Write},
    sync::LazyLock,
};

/// One line of the answer.
pub(super) fn line(text: impl fmt::Display) -> Result<(), Trouble> {
    Ok(writeln!(io::stdout().lock(), "{text}")?)
}

/// Part of the answer, as it is.
pub(super) fn raw(bytes: &[u8]) -> Result<(), Trouble> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    Ok(out.flush()?)
}

/// The answer as one line of JSON.
pub(super) fn json(answer: &impl Serialize) -> Result<(), Trouble> {
    let mut text = serde_json::to_vec(answer).map_err(io::Error::from)?;
    text.push(b'\n');
    raw(&text)
}

/// An answer of many lines, written in pieces.
pub(super) type Stream = io::BufWriter<io::StdoutLock<'static>>;

/// The answer, for who writes all of it.
pub(super) fn stream() -> Stream {
    io::BufWriter::with_capacity(64 << 10, io::stdout().lock())
}

/// A remark beside the answer. Nobody reading it is no error.
pub(super) fn note(text: impl fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// `error: …`, then `hint: …`: what others wrote may be in either, a path or the answer of whoever holds a socket.
pub(super) fn trouble(trouble: &Trouble) {
    let Trouble::Said { message, hint, .. } = trouble else { return };
    note(format_args!("{} {}", stderr_bold("error:"), plain_lines(message)));
    hint_of(hint.as_deref());
}

/// What is wrong with the configuration, to who goes on without all that it says.
pub(super) fn unsound(trouble: &Trouble) {
    let Trouble::Said { message, hint, .. } = trouble else { return };
    note(format_args!("warning: the configuration is not sound: {}", plain_lines(message)));
    hint_of(hint.as_deref());
}

fn hint_of(hint: Option<&str>) {
    if let Some(hint) = hint {
        note(format_args!("{} {}", stderr_bold("hint:"), plain_lines(hint)));
    }
}

/// A command line that is none.
pub(super) fn usage(error: &clap::Error) {
    let text = error.render();
    note(
        if io::stderr().is_terminal() && colour_wanted() { text.ansi().to_string() } else { text.to_string() }
            .trim_end(),
    );
}

/// What `--help` and `--version` answer.
pub(super) fn help(error: &clap::Error) -> Result<(), Trouble> {
    let text = error.render();
    raw(if *COLOUR { text.ansi().to_string() } else { text.to_string() }.as_bytes())
}

/// A severity, in its colour on a terminal.
pub(super) fn severity(severity: Severity) -> String {
    let code = match severity {
        Severity::Critical => "1;31",
        Severity::High => "31",
        Severity::Medium => "33",
        Severity::Low => "36",
        Severity::Info => "2",
    };
    paint(severity.as_str(), code)
}

/// Text in an SGR colour, on a terminal.
pub(super) fn paint(text: &str, code: &str) -> String {
    if *COLOUR { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

/// A panic says where it was and nothing of what it was about: the text may hold bytes of the wire.
pub(super) fn quiet_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, |l| format!(" at {}:{}", l.file(), l.line()));
        note(format_args!("error: internal error{place}"));
    }));
}

static COLOUR: LazyLock<bool> = LazyLock::new(|| io::stdout().is_terminal() && colour_wanted());

fn stderr_bold(text: &str) -> String {
    if io::stderr().is_terminal() && colour_wanted() { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
}

/// <https://no-color.org>, and terminals that cannot.
fn colour_wanted() -> bool {
    let set = |name| std::env::var_os(name).filter(|v| !v.is_empty());
    set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
}

/// A table as the verbs show one: no lines, a header.
pub(super) fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    table
}

/// Whether someone watches stderr.
pub(super) fn is_watched() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// A remark in the place of the last one, on a terminal.
pub(super) fn passing(text: impl fmt::Display) {
    let mut out = io::stderr().lock();
    let _ = write!(out, "\r\x1b[K{text}").and_then(|()| out.flush());
}

/// From here on nothing is shown: whoever started us no longer listens.
pub(super) fn no_more() {
    let Ok(nowhere) = std::fs::OpenOptions::new().write(true).open("/dev/null") else { return };
    // Writing to a pipe nobody reads is an error we ignore; so is not being able to leave it.
    let _ = rustix::stdio::dup2_stdout(&nowhere);
    let _ = rustix::stdio::dup2_stderr(&nowhere);
}

/// Text from a file, without what a terminal would act on, or show in another order or not at all.
pub(super) fn plain(text: &str) -> String {
    let acts = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars().map(|c| if acts(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// As [`plain`], of several lines.
fn plain_lines(text: &str) -> String {
    text.split('\n').map(plain).collect::<Vec<_>>().join("\n")
}
