//! A command → what it prints, of a few that everybody knows.

use super::{
    super::{marks::in_word, of_base64},
    expand::{MAX_VALUE, Plain, bare, closing, rewrite},
    variables::Variables,
};

/// The most words that are put into a format.
const MAX_WORDS: usize = 8;

/// What `printf` makes of its format, with which `text` begins, and the words behind it, and how long that is.
pub(super) fn formatted(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut rest = text;
    let format = shell_word(&mut rest)?;
    let parts: Vec<&[u8]> = split_at_holes(format);
    let mut words = Vec::new();
    while let Some(word) = shell_word(&mut rest) {
        words.push(word);
    }
    let holes = parts.len() - 1;
    if holes == 0 || words.is_empty() || words.len() > MAX_WORDS || format.contains(&b'$') {
        return None;
    }
    let mut made = Vec::new();
    for filled in words.chunks(holes) {
        for (n, part) in parts.iter().enumerate() {
            made.extend_from_slice(part);
            made.extend_from_slice(filled.get(n).copied().unwrap_or_default());
        }
    }
    (!made.contains(&b'%')).then_some((made, text.len() - rest.len()))
}

/// The parts of a format between its `%s`, a line's end behind the last one left out.
fn split_at_holes(format: &[u8]) -> Vec<&[u8]> {
    let mut rest = format.strip_suffix(b"\\n").unwrap_or(format);
    let mut parts = Vec::new();
    while let Some(at) = memchr::memmem::find(rest, b"%s") {
        parts.push(&rest[..at]);
        rest = &rest[at + 2..];
    }
    parts.push(rest);
    parts
}

/// Takes the next word of a command from `text`, without its quotes; `None` where the command ends.
pub(super) fn shell_word<'t>(text: &mut &'t [u8]) -> Option<&'t [u8]> {
    let rest = text.trim_ascii_start();
    let first = rest.first()?;
    if matches!(first, b'"' | b'\'') {
        let word = closing(&rest[1..], *first)?;
        *text = &rest[word.len() + 2..];
        return Some(word);
    }
    let word = bare(rest);
    *text = &rest[word.len()..];
    (!word.is_empty()).then_some(word)
}

/// `$(echo word)` is `word`, and so are `$(which word)` and `$(rev <<< drow)`.
pub(super) fn command(
    rest: &[u8],
    open: usize,
    close: u8,
    variables: &Variables,
    depth: usize,
    out: &mut Plain,
) -> usize {
    let inner = &rest[open..rest.len().min(MAX_VALUE)];
    let Some(end) = memchr::memchr(close, inner) else { return 0 };
    if let Some(program) = sought(&inner[..end]) {
        out.extend_from_slice(program);
        return open + end + 1;
    }
    if let Some(part) = part_of_path(&inner[..end]) {
        out.extend_from_slice(part);
        return open + end + 1;
    }
    if depth > 0
        && let Some((made, _)) = inner[..end].strip_prefix(b"printf ").and_then(formatted)
    {
        rewrite(&made, variables, depth - 1, out);
        return open + end + 1;
    }
    let words = [&b"echo "[..], b"printf ", b"echo -n ", b"printf %s "]
        .iter()
        .rev()
        .find_map(|p| inner[..end].strip_prefix(*p));
    let Some(words) = words.filter(|w| depth > 0 && !w.iter().any(|b| matches!(b, b'|' | b';' | b'<' | b'>'))) else {
        let Some(word) = undone(&inner[..end]) else { return 0 };
        out.extend_from_slice(&word);
        return open + end + 1;
    };
    rewrite(words, variables, depth - 1, out);
    open + end + 1
}

/// The name of a program whose path is asked for.
fn sought(command: &[u8]) -> Option<&[u8]> {
    let command = command.trim_ascii();
    let name =
        [&b"which "[..], b"command -v ", b"type -p "].iter().find_map(|p| command.strip_prefix(*p))?.trim_ascii();
    (!name.is_empty() && name.iter().all(|b| in_word(*b))).then_some(name)
}

/// What `dirname` or `basename` says of a path that is written out.
fn part_of_path(command: &[u8]) -> Option<&[u8]> {
    let (folder, mut path) = match command.strip_prefix(b"dirname ") {
        Some(path) => (true, path),
        None => (false, command.strip_prefix(b"basename ")?),
    };
    let path = shell_word(&mut path).filter(|path| path.iter().all(|b| in_word(*b)))?;
    match memchr::memrchr(b'/', path) {
        Some(slash) if folder => Some(&path[..slash.max(1)]),
        Some(slash) => Some(&path[slash + 1..]),
        None => Some(path).filter(|_| !folder),
    }
}

/// The word that a program of everyday turns back to what it was: `echo cm0= | base64 -d`, `rev <<< mr`.
fn undone(command: &[u8]) -> Option<Vec<u8>> {
    let (word, program) = match memchr::memchr(b'|', command) {
        Some(bar) => (command.strip_prefix(b"echo ")?.get(..bar.checked_sub(5)?)?, &command[bar + 1..]),
        None => memchr::memmem::find(command, b"<<<").map(|at| (&command[at + 3..], &command[..at]))?,
    };
    let word = word.trim_ascii();
    let word = word.strip_prefix(b"-n ").unwrap_or(word).trim_ascii();
    let word = match word {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => inner,
        _ => word,
    };
    let plain = match program.trim_ascii() {
        b"rev" => word.iter().rev().copied().collect(),
        b"base64 -d" | b"base64 -D" | b"base64 --decode" => of_base64(word)?,
        b"xxd -r -p" | b"xxd -p -r" => data_encoding::HEXLOWER_PERMISSIVE.decode(word).ok()?,
        _ => return None,
    };
    let plain = plain.trim_ascii_end();
    let is_text = !plain.is_empty() && plain.iter().all(|b| b.is_ascii_graphic() || *b == b' ');
    is_text.then(|| plain.to_vec())
}
