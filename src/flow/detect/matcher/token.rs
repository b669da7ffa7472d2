//! Tokens: by what they begin with, or by what they hold.

use super::{Found, amid, context, gates};
use crate::flow::detect::{
    normalise::{control, join},
    rule::{Alphabet, Class, Rule},
};
use std::{borrow::Cow, ops::Range};

/// The longest token of any rule: beyond, it is data.
const MAX_TOKEN: usize = 4 << 10;
/// How much of a token broken over lines is put together.
const MAX_WRAPPED: usize = 512;
/// The shortest piece a broken token begins with.
const MIN_PIECE: usize = 4;
/// So many small letters and nothing else are words: of drawn letters and digits, one such piece in five thousand.
const MIN_WORDS: usize = 10;
/// The shortest beginning of a token that tells it behind a word that is joined to it, and the longest such word.
const MIN_LABELLED: usize = 4;
const MAX_LABEL: usize = 20;
/// `_` that one emphasis begins with, at most.
const MAX_EMPHASIS: usize = 3;
/// The longest value beside a name.
pub(super) const MAX_VALUE: usize = 160;

/// A token that begins at `start`.
pub(super) fn prefix(rule: &Rule, text: &[u8], keyword: Range<usize>, report: &mut dyn FnMut(Found<'_>)) {
    // What begins every token is no part of a secret inside it.
    let (start, fixed) = (keyword.start, if rule.names_secret() { 0 } else { keyword.len() });
    let alphabet = rule.data().alphabet;
    let emphasis = emphasis(text, start);
    if alphabet.holds(text[start])
        && emphasis == 0
        && !clear_before(text, start, alphabet)
        && !is_labelled(rule, text, &keyword)
    {
        return;
    }
    let window = &text[start..text.len().min(start + MAX_TOKEN)];
    let misfit = rule.misfit(window);
    // A token broken over lines fits until the first of them ends.
    if misfit.is_some_and(|at| !rule.breaks(window, at)) {
        return;
    }
    let whole = if misfit.is_none() { whole_token(rule, window, emphasis) } else { None };
    let amid = |len: usize| rule.data().lone && amid::base64(text, &(start..start + len));
    if let Some(whole) = whole {
        if !amid(whole) {
            judge(rule, text, start..start + whole, fixed, report);
        }
    } else if let Some((token, len)) = broken(rule, window).filter(|_| emphasis == 0) {
        let token = secret(rule, &token);
        if gates::pass(rule, token, fixed) && !amid(len) {
            // As many bytes as on one line: only where it begins is told.
            let span = start..text.len().min(start + token.len());
            report(Found { severity: rule.severity(), span, matched: Cow::Owned(token.to_vec()) });
        }
    }
}

/// How long the token at the start of `window` is, when the rule takes it and so many `_` close its emphasis.
fn whole_token(rule: &Rule, window: &[u8], emphasis: usize) -> Option<usize> {
    let data = rule.data();
    let least = rule.regex().find(window)?.end();
    let more = window[least..].iter().take_while(|b| data.alphabet.holds(**b)).count();
    let (token, after) = window.split_at(least + more);
    // A word that is removed ends so in a difference by words.
    let removed = usize::from(token.len() > least && token.ends_with(b"-") && after.starts_with(b"]"));
    // A shape of one length ends before a word that is joined to it: `…_old`.
    let is_labelled = data.max_len == Some(least) && token.len() > least && is_label(&token[least..]);
    let len = match emphasis {
        _ if is_labelled => return Some(least),
        0 => token.len() - removed,
        emphasis => token.len() - emphasis,
    };
    let closed = len >= least && token[len..].iter().all(|b| emphasis == 0 || *b == b'_');
    (closed && len <= data.max_len.unwrap_or(MAX_TOKEN)).then_some(len)
}

/// Whether what stands right before a token is a word that is joined to it: `user_`, `backup-`. What the token begins with
/// tells more than a word of everyday that may be the other one's; what joins them is no dash of a sentence, unless it is
/// known how long the token is.
fn is_labelled(rule: &Rule, text: &[u8], keyword: &Range<usize>) -> bool {
    let Some((&joint @ (b'_' | b'-'), before)) = text[..keyword.start].split_last() else { return false };
    if keyword.len() < MIN_LABELLED
        || (joint == b'-' && rule.data().max_len != Some(rule.least()))
        || context::says_secret(&text[keyword.clone()])
    {
        return false;
    }
    let of_run = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'+' | b'/' | b'=');
    let run = before.iter().rev().take(MAX_LABEL + 1).take_while(|b| of_run(b)).count();
    let word = &before[before.len() - run..];
    (2..=MAX_LABEL).contains(&run) && is_word(word)
}

/// Whether it is what is joined to a token behind it.
fn is_label(behind: &[u8]) -> bool {
    matches!(behind, [b'_' | b'-', word @ ..] if (2..=MAX_LABEL).contains(&word.len()) && is_word(word))
}

/// Whether letters of one case are all of it, and not as many as are drawn by chance.
fn is_word(word: &[u8]) -> bool {
    let joins = |b: &u8| matches!(b, b'_' | b'-');
    word.iter().all(|b| b.is_ascii_lowercase() || joins(b)) || word.iter().all(|b| b.is_ascii_uppercase() || joins(b))
}

/// How many `_` begin an emphasis right before `start`, as Markdown has it.
fn emphasis(text: &[u8], start: usize) -> usize {
    let marks = text[..start].iter().rev().take(MAX_EMPHASIS + 1).take_while(|b| **b == b'_').count();
    let outside = text[..start - marks].last();
    let opens = outside.is_none_or(|b| b.is_ascii_whitespace() || matches!(b, b'(' | b'*' | b'>' | b'"' | b':'));
    if opens && marks <= MAX_EMPHASIS { marks } else { 0 }
}

/// The token at the start of `window`, put together from its lines, and how far they reach: none of them makes it alone,
/// and each but the last is the token's to its end.
fn broken(rule: &Rule, window: &[u8]) -> Option<(Vec<u8>, usize)> {
    let longest = rule.data().max_len?;
    let of_token = |b: &u8| rule.data().alphabet.holds(*b) || *b == b'.';
    let mut token = Vec::new();
    // Whether its lines end as a mail's long ones do.
    let mut soft = false;
    let mut rest = &window[..window.len().min(MAX_WRAPPED)];
    loop {
        let run = rest.iter().take_while(|b| of_token(b)).count();
        if token.is_empty() && run < MIN_PIECE {
            return None;
        }
        // A line that is a key alone goes with no other.
        let may_be = |token: &[u8]| token.len() >= rule.least();
        if token.len() > longest || (may_be(&token) && rule.regex().is_match(&token)) {
            return None;
        }
        let is_soft = rest.get(run) == Some(&b'=');
        soft = if token.is_empty() { is_soft } else { soft };
        let next = goes_on(&rest[run..]).filter(|_| is_soft == soft);
        if token.is_empty() && next.is_none() {
            return None;
        }
        if begins_entry(&rest[..run]) || (token.is_empty() && is_words(rule, &rest[..run])) {
            return None;
        }
        token.extend_from_slice(&rest[..run]);
        if token.len() > run && may_be(&token) && whole_token(rule, &token, 0) == Some(token.len()) {
            return Some((token, window.len().min(MAX_WRAPPED) - rest.len() + run));
        }
        rest = next?;
    }
}

/// Where a token goes on at the end of its line, or behind the colour of a part of it.
fn goes_on(text: &[u8]) -> Option<&[u8]> {
    let plain = control::skip(text);
    join::next_line(plain).map(control::skip).or((plain.len() < text.len()).then_some(plain))
}

/// Whether a line begins with a date, as those of a log do: it goes on with nothing.
fn begins_entry(line: &[u8]) -> bool {
    matches!(line, [y1, y2, y3, y4, b'-', m1, m2, b'-', ..] if [y1, y2, y3, y4, m1, m2].iter().all(|b| b.is_ascii_digit()))
}

/// Whether the first piece of a token is a name, all of it words, where the rule wants more than small letters.
fn is_words(rule: &Rule, piece: &[u8]) -> bool {
    let wants_more = rule.data().classes.iter().any(|class| *class != Class::Lower);
    let drawn = rule.keywords().iter().find_map(|k| piece.strip_prefix(k.as_bytes())).unwrap_or(piece);
    wants_more && drawn.len() >= MIN_WORDS && drawn.iter().all(|b| b.is_ascii_lowercase() || matches!(b, b'_' | b'-'))
}

/// A token that holds the keyword. Answers where it ends.
pub(super) fn inside(rule: &Rule, text: &[u8], keyword: Range<usize>, report: &mut dyn FnMut(Found<'_>)) -> usize {
    let alphabet = rule.data().alphabet;
    let floor = keyword.start.saturating_sub(MAX_VALUE);
    let start = text[floor..keyword.start].iter().rposition(|b| !alphabet.holds(*b)).map_or(floor, |n| floor + n + 1);
    let cap = text.len().min(keyword.end + MAX_VALUE);
    let end = keyword.end + text[keyword.end..cap].iter().take_while(|b| alphabet.holds(**b)).count();
    if rule.may_begin(&text[start..end]) && rule.regex().is_match(&text[start..end]) {
        judge(rule, text, start..end, 0, report);
    }
    end
}

/// A byte of the alphabet that may begin a token: `=` is base64 only at its end.
const fn opens(byte: u8, alphabet: Alphabet) -> bool {
    alphabet.holds(byte) && byte != b'='
}

/// Reports the secret of a token that passes the rule's gates; its first `fixed` bytes are every such token's.
pub(super) fn judge(rule: &Rule, text: &[u8], span: Range<usize>, fixed: usize, report: &mut dyn FnMut(Found<'_>)) {
    let value = secret(rule, &text[span.clone()]);
    if gates::pass(rule, value, fixed) {
        report(Found { severity: rule.severity(), span, matched: Cow::Borrowed(value) });
    }
}

/// The part of a token that is the secret: its group of that name, or all of it.
fn secret<'t>(rule: &Rule, token: &'t [u8]) -> &'t [u8] {
    if !rule.names_secret() {
        return token;
    }
    rule.regex().captures(token).and_then(|c| c.name("secret")).map_or(token, |m| m.as_bytes())
}

/// Whether a token may begin at `start`: what stands before is no part of one, or ends an escape of one character, an
/// equals sign as a mail quotes it, or a terminal's control sequence; or it says of a line or a word that a difference
/// removes it.
fn clear_before(text: &[u8], start: usize, alphabet: Alphabet) -> bool {
    let Some(&before) = start.checked_sub(1).and_then(|n| text.get(n)) else { return true };
    if !opens(before, alphabet) && before != b'_' && before != b'-' {
        return true;
    }
    let back = |n: usize| start.checked_sub(n).map(|s| &text[s..start]);
    let escaped = matches!(back(2), Some([b'\\', b'n' | b'r' | b't' | b'b' | b'f']));
    let percent = matches!(back(3), Some([b'%', a, b]) if a.is_ascii_hexdigit() && b.is_ascii_hexdigit());
    let unicode = matches!(back(6), Some([b'\\', b'u', hex @ ..]) if hex.iter().all(u8::is_ascii_hexdigit));
    let equals = back(3) == Some(b"=3D");
    let removed = matches!(back(2), Some([b'\n' | b'[', b'-']));
    escaped || percent || unicode || equals || removed || control::ends(text, start)
}
