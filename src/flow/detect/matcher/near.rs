//! Tokens by the name beside them.

use super::{
    Found, context, table,
    token::{self, MAX_VALUE},
};
use crate::flow::detect::{key_name, rule::Rule};
use std::ops::Range;

/// How far a context reaches from its name.
const NEAR: usize = 24;
/// And how far before one a value stands that is handed to it through a pipe, with its folder and options.
const PIPED: usize = 72;
/// And how far when the value has a key's name of its own.
const FAR: usize = 192;
const MAX_NAME: usize = 48;

/// A token within reach of a name that holds the keyword, on either side of it.
pub(super) fn near(rule: &Rule, text: &[u8], keyword: Range<usize>, report: &mut dyn FnMut(Found<'_>)) {
    let Some(mut name) = Name::around(rule, text, keyword) else { return };
    name.heads = judge_column(rule, text, &name.at, report);
    let (reaches_after, reaches_before) = reached(rule, text, name.at.clone());
    let value = reaches_after
        .then(|| name.right_behind())
        .flatten()
        .or_else(|| name.behind())
        .or_else(|| reaches_before.then(|| name.right_before()).flatten())
        .or_else(|| piped(rule, text, name.at.clone()).filter(|_| name.is_of_secret()))
        .or_else(|| name.before_host());
    if let Some(value) = value {
        token::judge(rule, text, value, 0, report);
    }
}

/// A name, and the keyword it holds.
struct Name<'t> {
    rule: &'t Rule,
    text: &'t [u8],
    keyword: Range<usize>,
    /// The whole of it.
    at: Range<usize>,
    /// Where the vendor's own name ends in it.
    vendor: usize,
    /// The keyword ends a name or a value: it is a word that others use too.
    is_everyday: bool,
    /// It is the head of a table's column.
    heads: bool,
}

/// What may stand in a name.
const fn is_named(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')
}

impl<'t> Name<'t> {
    /// The name around a keyword that begins a word: `coherent` is not `cohere`, but `MY_COHERE_KEY` is.
    fn around(rule: &'t Rule, text: &'t [u8], keyword: Range<usize>) -> Option<Self> {
        let before = keyword.start.checked_sub(1).map(|n| text[n]);
        if before.is_some_and(|b| b.is_ascii_alphanumeric()) && !text[keyword.start].is_ascii_uppercase() {
            return None;
        }
        let floor = keyword.start.saturating_sub(MAX_NAME);
        let own = text[floor..keyword.start].iter().rposition(|b| !is_named(*b));
        let start = own.map_or(floor, |n| floor + n + 1);
        let end = keyword.end + text[keyword.end..].iter().take(MAX_NAME).take_while(|b| is_named(**b)).count();
        let is_everyday = matches!(text[keyword.end - 1], b'"' | b'\'' | b'\n' | b':' | b']' | b')')
            || text[keyword.clone()].ends_with(b" is");
        let word = text[keyword.clone()].split(|b| *b == b' ').next().unwrap_or_default();
        let vendor = keyword.start + word.iter().rposition(u8::is_ascii_alphanumeric).map_or(0, |n| n + 1);
        Some(Self { rule, text, keyword, at: start..end, vendor, is_everyday, heads: false })
    }

    /// The first value within reach behind it, where what stands around says it is its.
    fn right_behind(&self) -> Option<Range<usize>> {
        let Self { text, at, keyword, .. } = self;
        let value = values(self.rule, text, at.end..at.end + NEAR + 1).next()?;
        let (context, between) = (&text[at.start..value.start], &text[at.end..value.start]);
        let is_its = if self.is_everyday {
            context::names_key(text, value.start)
                || self.is_member(&value)
                || (keyword.start == at.start && self.is_value_of(at.start..self.vendor, &value))
        } else {
            let begins_line = || text[..value.start].ends_with(b"\n") && context::goes_on(&text[value.end..]);
            (context::says_secret(context)
                || context::makes_client(context, &text[keyword.clone()])
                || (keyword == at && self.is_value_of(keyword.clone(), &value))
                || is_below_key(text, &value, between)
                || (context::is_handed(between) && context::keeps_key(&text[..at.start]))
                || (context::is_drawn(&text[value.clone()]) && self.is_member(&value))
                || context::is_told(&text[..at.start], between, &text[value.clone()])
                || context::is_inserted(&text[..at.start], between))
                && self.is_in_row(&value)
                && !context::leads_on(&text[keyword.end..value.start])
                && !self.is_other(context, &value)
                && !begins_line()
        };
        is_its.then_some(value)
    }

    /// A value farther behind it that has a key's name of its own, or is plainly its.
    fn behind(&self) -> Option<Range<usize>> {
        let Self { rule, text, at, .. } = self;
        let is_its = |value: &Range<usize>| {
            let between = &text[at.end..value.start];
            !context::begins_anew(between)
                && self.is_in_row(value)
                && (context::names_key(text, value.start)
                    || is_below_key(text, value, between)
                    || self.is_member(value)
                    || (context::is_handed(between) && self.is_of_secret())
                    || (!self.is_everyday && context::is_told(&text[..at.start], between, &text[value.clone()]))
                    || (context::names_value(text, value.start)
                        && self.is_of_secret()
                        && !context::holds_name(between)))
        };
        values(rule, text, next_run(rule, text, at.end + NEAR + 1)..at.end + FAR).find(is_its)
    }

    /// The last value within reach before it, where it is its.
    fn right_before(&self) -> Option<Range<usize>> {
        let Self { rule, text, at, keyword, .. } = self;
        let starts = last_run(rule, text, at.start.saturating_sub(NEAR))..at.start;
        let value = values(rule, text, starts).filter(|value| value.end <= at.start).last()?;
        let (name, between) = (&text[at.clone()], &text[value.end..at.start]);
        let is_named = || text.get(at.end) != Some(&b'=') && !context::is_host(text, at.clone());
        let is_its = (context::says_secret(name) && is_named() && !self.is_other(name, &value))
            || context::names_key(text, value.start)
            || is_below_key(text, &value, between)
            || context::is_said_of(between, &text[keyword.end..text.len().min(at.end + NEAR)]);
        is_its.then_some(value)
    }

    /// The vendor is the one whose host is said behind the key: `api_key="…", base_url="https://api.vendor.test"`.
    fn before_host(&self) -> Option<Range<usize>> {
        let Self { rule, text, at, .. } = self;
        if !context::is_host(text, at.clone()) {
            return None;
        }
        let starts = last_run(rule, text, at.start.saturating_sub(FAR))..at.start.saturating_sub(NEAR);
        let is_its = |value: &Range<usize>| {
            value.end <= at.start
                && context::names_key(text, value.start)
                && !context::begins_anew(&text[value.end..at.start])
        };
        values(rule, text, starts).filter(is_its).last()
    }

    fn is_of_secret(&self) -> bool {
        context::is_of_secret(&self.text[self.at.clone()])
    }

    /// Below the head of a column stands what is its, and is found there; beside it, what stands in its row.
    fn is_in_row(&self, value: &Range<usize>) -> bool {
        !self.heads || memchr::memchr(b'\n', &self.text[self.at.end.min(value.start)..value.start]).is_none()
    }

    /// What has a shape of its own is a key, whatever its name says.
    fn is_other(&self, context: &[u8], value: &Range<usize>) -> bool {
        context::is_other(context) && context::is_plain(&self.text[value.clone()]) && !context::is_handed(context)
    }

    /// Whether a value is one of several of an object that has the vendor's name, and no other.
    fn is_member(&self, value: &Range<usize>) -> bool {
        let Self { text, at, keyword, vendor, .. } = self;
        let begins = at.start == keyword.start || text[..keyword.start].ends_with(b".");
        let alone = begins && !text.get(*vendor).is_some_and(|b| is_named(*b));
        let is_drawn = || context::is_drawn(&text[value.clone()]);
        alone && context::is_member(&text[*vendor..value.start], &text[..at.start], is_drawn())
    }

    fn is_value_of(&self, name: Range<usize>, value: &Range<usize>) -> bool {
        context::is_value_of(&self.text[..value.start], name, &self.text[value.clone()])
    }
}

/// The value that goes through a pipe to what keeps it under its name, as `echo K | tool put NAME`.
fn piped(rule: &Rule, text: &[u8], name: Range<usize>) -> Option<Range<usize>> {
    let floor = name.start.saturating_sub(PIPED);
    let pipe = floor + memchr::memrchr(b'|', &text[floor..name.start])?;
    let is_given = text.get(name.end) == Some(&b'=');
    if is_given || text[pipe..name.start].iter().any(|b| matches!(b, b';' | b'&' | b'>' | b'\n')) {
        return None;
    }
    let end = floor + context::unquoted(&text[floor..pipe]).len();
    values(rule, text, last_run(rule, text, end)..end).find(|v| v.end == end)
}

/// Judges what stands below a name, if that is the head of a table's column: it is the name of what stands in it, and of
/// nothing that only follows. Answers whether it is.
fn judge_column(rule: &Rule, text: &[u8], name: &Range<usize>, report: &mut dyn FnMut(Found<'_>)) -> bool {
    if !context::is_cell(text, name) {
        return false;
    }
    let value = |cell: &Range<usize>| values(rule, text, cell.start..cell.start + 1).find(|v| v == cell);
    let cells = table::below(text, name, |cell| value(cell).is_some());
    if !cells.is_empty() && context::is_of_secret(&text[name.clone()]) {
        cells.iter().filter_map(value).for_each(|value| token::judge(rule, text, value, 0, report));
    }
    !cells.is_empty()
}

/// Whether a value is a cell beside its vendor's name, below a key's own. `between` is what stands between the two.
fn is_below_key(text: &[u8], value: &Range<usize>, between: &[u8]) -> bool {
    let is_key = |head: &[u8]| key_name::ends(head) || key_name::is_bare(head) || context::is_of_secret(head);
    between.iter().any(|b| matches!(b, b'|' | b',' | b'\t'))
        && !between.contains(&b'\n')
        && table::head(text, value).is_some_and(is_key)
}

/// Whether a value can stand within reach behind a name, and before it: so long a one, begun within reach, holds what
/// stands just beyond it.
fn reached(rule: &Rule, text: &[u8], name: Range<usize>) -> (bool, bool) {
    let least = rule.least();
    if least <= NEAR + 1 {
        return (true, true);
    }
    let holds = |beyond: Option<&[u8]>| beyond.is_some_and(|b| b.iter().all(|b| rule.data().alphabet.holds(*b)));
    let before = name.start.checked_sub(least).and_then(|from| text.get(from..name.start - NEAR));
    (holds(text.get(name.end + NEAR..name.end + least)), holds(before))
}

/// The whole runs of the rule's alphabet that begin in `starts` and that its regex takes.
fn values<'t>(rule: &'t Rule, text: &'t [u8], starts: Range<usize>) -> impl Iterator<Item = Range<usize>> + 't {
    let (alphabet, least) = (rule.data().alphabet, rule.least().max(1));
    let (mut at, cap) = (starts.start, starts.end.min(text.len()));
    std::iter::from_fn(move || {
        while at < cap {
            // Most runs are words, and no value: what is none of the alphabet is looked for where the shortest would end.
            if let Some(n) = text.get(at..at + least)?.iter().rposition(|b| !alphabet.holds(*b)) {
                at += n + 1;
                continue;
            }
            let mut start = at + text[at..cap].iter().take_while(|b| **b == b'=').count();
            if start == cap {
                return None;
            }
            // As a mail quotes an equals sign.
            if text[start..].starts_with(b"3D") && text[..start].ends_with(b"=") {
                start += 2;
            }
            let mut end = start + text[start..].iter().take(MAX_VALUE).take_while(|b| alphabet.holds(**b)).count();
            // A dash before another script is no part of it: folded, it looks like one.
            let is_dash = end > start && text[end - 1] == b'-' && text.get(end).is_some_and(|b| !b.is_ascii());
            end -= usize::from(is_dash);
            at = end.max(start + 1);
            let value = &text[start..end];
            if rule.may_begin(value) && rule.regex().is_match(value) {
                return Some(start..end);
            }
        }
        None
    })
}

/// Where the run of the rule's alphabet begins that reaches `at`, if one does.
fn last_run(rule: &Rule, text: &[u8], at: usize) -> usize {
    let floor = at.saturating_sub(MAX_VALUE);
    let alphabet = rule.data().alphabet;
    text[floor..at].iter().rposition(|b| !alphabet.holds(*b)).map_or(floor, |n| floor + n + 1)
}

/// Where the run of the rule's alphabet ends that reaches over `at`, if one does.
fn next_run(rule: &Rule, text: &[u8], at: usize) -> usize {
    let alphabet = rule.data().alphabet;
    let over = text.get(at.saturating_sub(1)).is_some_and(|b| alphabet.holds(*b));
    let rest = text.get(at..).filter(|_| over).unwrap_or_default();
    at + rest.iter().take(MAX_VALUE).take_while(|b| alphabet.holds(**b)).count()
}

#[cfg(test)]
mod tests {
    use super::{MAX_VALUE, NEAR, last_run, reached, values};
    use crate::flow::detect::rule::{Find, RuleSet};

    proptest::proptest! {
        #[test]
        fn every_whole_run_that_fits_is_a_value(
            pieces in proptest::collection::vec("[0-9a-f]{1,3}|[0-9a-f]{31,33}|[0-9a-zA-Z]{24,40}|[ =.:_-]{1,9}", 0..8),
            from in 0_usize..200, reach in 0_usize..99,
        ) {
            let text = pieces.concat().into_bytes();
            let from = from % (text.len() + 1);
            let rules = RuleSet::embedded();
            for rule in rules.rules().iter().filter(|rule| rule.find() == Find::Near) {
                let of = |at: usize| rule.data().alphabet.holds(text[at]);
                let begins = |at: &usize| of(*at) && text[*at] != b'=';
                let run = |at: usize| (at..text.len()).take(MAX_VALUE).take_while(|n| of(*n)).count();
                let (mut at, mut want) = (from, Vec::new());
                while let Some(start) = (at..text.len().min(from + reach)).find(begins) {
                    at = start + run(start);
                    if rule.regex().is_match(&text[start..at]) {
                        want.push(start..at);
                    }
                }
                let found: Vec<_> = values(rule, &text, from..from + reach).collect();
                proptest::prop_assert_eq!(found, want, "{}", rule.id());
            }
        }

        #[test]
        fn where_a_value_stands_within_reach_it_is_looked_for(
            pieces in proptest::collection::vec("[0-9a-f]{1,3}|[0-9a-f]{31,33}|[0-9a-f]{40}|[ =.:-]{1,20}", 0..8),
            name in 0_usize..200, len in 0_usize..8,
        ) {
            let text = pieces.concat().into_bytes();
            let start = name % (text.len() + 1);
            let end = text.len().min(start + len);
            let rules = RuleSet::embedded();
            for rule in rules.rules().iter().filter(|rule| rule.find() == Find::Near) {
                let (reaches_after, reaches_before) = reached(rule, &text, start..end);
                let after = values(rule, &text, end..end + NEAR + 1).next();
                proptest::prop_assert!(reaches_after || after.is_none(), "{}", rule.id());
                let starts = last_run(rule, &text, start.saturating_sub(NEAR))..start;
                let before = values(rule, &text, starts).find(|v| v.end <= start);
                proptest::prop_assert!(reaches_before || before.is_none(), "{}", rule.id());
            }
        }
    }
}
