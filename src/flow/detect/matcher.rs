//! View → Match: one gate over all keywords, then the exact rule where a keyword stands.
//!
//! Every rule looks at a bounded stretch around a keyword, and no stretch twice: adversarial input stays linear.

mod amid;
mod cells;
mod clues;
mod command;
mod context;
mod gate;
mod gates;
mod looks;
mod near;
mod path;
mod pem;
mod renamed;
mod searched;
mod spelt;
mod table;
mod token;
mod warned;
mod wild;

pub(in crate::flow) use gates::entropy;

use super::{
    decode::View,
    hashed::OwnHash,
    key_name,
    normalise::{self, control, unicode},
    rule::{Find, Rule, RuleSet},
};
use clues::Clues;
use gate::Gate;
use looks::Looks;
use memchr::memmem;
use posture::{Direction, Encoding, Severity};
use std::{
    borrow::Cow,
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    ops::Range,
    sync::Arc,
};

/// Matches of which it is looked up whether only folding showed them: each costs a look through the view.
const MAX_TOLD_APART: usize = 64;
/// The longest member name that gives its value a context.
const MAX_NAME: usize = 64;
/// How much of a value is looked at together with its name.
const MAX_NAMED_VALUE: usize = 512;
/// The shortest value that only its name tells: no key without a shape is shorter.
const MIN_NAMED_VALUE: usize = 24;
/// The shortest keyword.
const MIN_TEXT: usize = 3;

/// What a rule found in a view.
pub struct Match<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// Which of the matcher's rules that is.
    pub index: usize,
    /// The whole secret, or the command or path as normalised.
    pub matched: &'a [u8],
    /// The normalisation it took to see it: [`Encoding::Unicode`] or [`Encoding::Shell`].
    pub extra: Option<Encoding>,
    /// The rule's severity, or a lower one for what was matched.
    pub severity: Severity,
    /// Where it stands in the view's text, when that text was matched as it is.
    pub span: Option<Range<usize>>,
}

/// The rules, compiled for search. Made once and shared.
pub struct Matcher {
    rules: Arc<RuleSet>,
    outbound: Arc<Gate>,
    inbound: Arc<Gate>,
    hasher: RandomState,
}

/// What a rule's own search hands on: the stretch, and what to keep of it where that differs.
struct Found<'a> {
    severity: Severity,
    span: Range<usize>,
    matched: Cow<'a, [u8]>,
}

/// One pass over one text.
#[derive(Clone, Copy)]
struct Pass<'a> {
    text: &'a [u8],
    extra: Option<Encoding>,
    /// The view's own text, to tell what only folding showed.
    raw: &'a [u8],
    /// It was put together from texts, literals or lines that were looked at before.
    joined: bool,
}

/// What is kept from one view of a message to the next: room, and what need not be looked at twice.
#[derive(Default)]
pub struct Memory {
    paths: path::Last,
    looks: Looks,
}

impl Memory {
    /// A part of the message begins or ends: what is in it means what it means by itself.
    pub(super) fn part(&mut self) {
        self.paths.forget_exceptions();
    }

    /// Bytes of it.
    pub(super) fn held(&self) -> usize {
        self.paths.held() + self.looks.held()
    }
}

/// What was reported of a view, and what was seen before it.
struct Seen<'m> {
    values: Values,
    /// By a rule's index; those that are missing found nothing.
    rules: Vec<bool>,
    memory: &'m mut Memory,
}

/// What hands on the matches of one pass, each once.
struct Reporter<'p, 'o> {
    hasher: &'p RandomState,
    pass: Pass<'p>,
    first: bool,
    values: &'p mut Values,
    found_by: &'p mut Vec<bool>,
    on: &'p mut (dyn FnMut(Match<'_>) + 'o),
}

impl Reporter<'_, '_> {
    fn report(&mut self, index: usize, rule: &Rule, found: &Found<'_>) {
        let Self { pass, values, found_by, .. } = self;
        let value = self.hasher.hash_one((index, &found.matched, found.severity));
        if found.matched.is_empty() || !values.insert(value) {
            return;
        }
        if found_by.len() <= index {
            found_by.resize(index + 1, false);
        }
        // Another reading may show more of what this one was warned of.
        found_by[index] |= found.severity == rule.severity();
        let told = values.len() > MAX_TOLD_APART;
        // As written it stands where it was found, or little farther on.
        let written = |raw: &[u8]| memmem::find(raw, &pass.text[found.span.clone()]).is_some();
        let near = || pass.raw.get(found.span.start..).is_some_and(written);
        let folded = || told || !(near() || written(pass.raw));
        let extra = pass.extra.filter(|&e| e != Encoding::Unicode || folded());
        let span = (self.first && pass.extra.is_none()).then(|| found.span.clone());
        (self.on)(Match { rule, index, matched: &found.matched, extra, severity: found.severity, span });
    }
}

/// The keyed hashes of rule and value.
type Values = HashSet<u64, OwnHash>;

impl Matcher {
    /// Compiles the gates over `rules`.
    pub fn new(rules: Arc<RuleSet>) -> Self {
        let gate = |direction| Arc::new(Gate::new(&rules, direction));
        let (outbound, inbound) = (gate(Direction::Outbound), gate(Direction::Inbound));
        Self { rules, outbound, inbound, hasher: RandomState::new() }
    }

    /// The same over a copy of the rules: what they need for a search goes with it, and the first one's keep nothing.
    #[must_use]
    pub fn aside(&self) -> Self {
        let rules = Arc::new(RuleSet::clone(&self.rules));
        Self {
            rules,
            outbound: Arc::clone(&self.outbound),
            inbound: Arc::clone(&self.inbound),
            hasher: self.hasher.clone(),
        }
    }

    /// The rules searched.
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// How many keywords of `direction`'s rules stand in `text`: the gate's work alone, which every text costs.
    pub fn keywords(&self, direction: Direction, text: &[u8]) -> usize {
        let gate = match direction {
            Direction::Outbound => &self.outbound,
            Direction::Inbound => &self.inbound,
        };
        let mut found = 0;
        gate.each(text, &mut |_, rules| found += usize::from(!rules.is_empty()));
        found
    }

    /// Reports each match of `direction`'s rules in the view, once, in order of position for each way of reading it.
    pub fn find(&self, direction: Direction, view: &View<'_>, on: &mut dyn FnMut(Match<'_>)) {
        self.find_with(&mut Memory::default(), direction, view, on);
    }

    /// As [`Matcher::find`], for one of a message's many views.
    pub fn find_with(&self, memory: &mut Memory, direction: Direction, view: &View<'_>, on: &mut dyn FnMut(Match<'_>)) {
        let gate = match direction {
            Direction::Outbound => &self.outbound,
            Direction::Inbound => &self.inbound,
        };
        if view.text.len() < MIN_TEXT {
            return;
        }
        let mut seen = Seen { values: Values::default(), rules: Vec::new(), memory };
        let mut folded = unicode::fold(view.text);
        // A command is read from a screen; what hides a key among colours is for its own search to tell.
        if direction == Direction::Inbound
            && let Cow::Owned(shown) = control::shown(&folded)
        {
            folded = Cow::Owned(shown);
        }
        let extra = matches!(folded, Cow::Owned(_)).then_some(Encoding::Unicode);
        let pass = Pass { text: &folded, extra, raw: view.text, joined: view.joined };
        self.scan(gate, pass, &mut seen, true, on);
        self.in_name((gate, direction), view, &mut seen, on);
        if direction == Direction::Outbound
            && let Some(parted) = extra.and_then(|_| unicode::parted(view.text))
        {
            let pass = Pass { text: &parted, extra: None, raw: view.text, joined: view.joined };
            self.scan(gate, pass, &mut seen, false, on);
        }
        self.scan_undone(gate, pass, &mut seen, on);
    }

    /// A value that only its member's name tells: the vendor stands in that, or it lists keys that may log in, of which
    /// none says where it goes.
    fn in_name(
        &self,
        (gate, direction): (&Gate, Direction),
        view: &View<'_>,
        seen: &mut Seen<'_>,
        on: &mut dyn FnMut(Match<'_>),
    ) {
        let fits = view.text.len() >= MIN_NAMED_VALUE;
        let Some(name) = view.name.filter(|n| fits && n.len() <= MAX_NAME) else { return };
        let (tells, sign, find) = match direction {
            Direction::Outbound => (gate.any(name), &b"="[..], Find::Near),
            Direction::Inbound => (key_name::lists_authorized(name), &b": [\""[..], Find::Block),
        };
        if tells {
            let text = [name, sign, &view.text[..view.text.len().min(MAX_NAMED_VALUE)]].concat();
            let pass = Pass { text: &text, extra: None, raw: b"", joined: view.joined };
            self.scan_for(gate, pass, seen, false, Some(find), on);
        }
    }

    fn scan(&self, gate: &Gate, pass: Pass<'_>, seen: &mut Seen<'_>, first: bool, on: &mut dyn FnMut(Match<'_>)) {
        self.scan_for(gate, pass, seen, first, None, on);
    }

    fn scan_for(
        &self,
        gate: &Gate,
        pass: Pass<'_>,
        seen: &mut Seen<'_>,
        first: bool,
        only: Option<Find>,
        on: &mut dyn FnMut(Match<'_>),
    ) {
        let rules = self.rules.rules();
        let Seen { values, rules: found_by, memory } = &mut *seen;
        let Memory { paths, looks } = &mut **memory;
        paths.forget();
        looks.forget();
        let mut clues = Clues::default();
        let mut reporter = Reporter { hasher: &self.hasher, pass, first, values, found_by, on };
        gate.each(pass.text, &mut |keyword, by_keyword| {
            if by_keyword.is_empty() && first {
                clues.note(pass.text, &keyword);
            }
            for &index in by_keyword {
                let rule = &rules[index];
                let find = rule.find();
                let found_before = || reporter.found_by.get(index).is_some_and(|found| *found);
                let rewritten = pass.extra == Some(Encoding::Shell);
                if only.is_some_and(|only| find != only)
                    || (!first && find != Find::Prefix && found_before())
                    || (rewritten && rule.data().unbroken)
                {
                    continue;
                }
                let mut report = |found: Found<'_>| reporter.report(index, rule, &found);
                match find {
                    Find::Prefix => token::prefix(rule, pass.text, keyword.clone(), &mut report),
                    Find::Near => near::near(rule, pass.text, keyword.clone(), &mut report),
                    Find::Pem => pem::find(rule, pass.text, keyword.start, &mut report),
                    Find::Path => {
                        path::find((index, rule), pass.text, keyword.clone(), pass.joined, paths, &mut report);
                    }
                    Find::Inside | Find::Command | Find::Line | Find::Block => {
                        looks.of(index).at(rule, pass.text, keyword.clone(), &mut report);
                    }
                }
            }
        });
        clues.readings(pass.text, |text| {
            let pass = Pass { text, extra: Some(Encoding::Shell), ..pass };
            self.scan_for(gate, pass, seen, false, only, on);
            self.scan_undone(gate, pass, seen, on);
        });
    }

    /// The same for each of the ways to read `text` undone.
    fn scan_undone(&self, gate: &Gate, pass: Pass<'_>, seen: &mut Seen<'_>, on: &mut dyn FnMut(Match<'_>)) {
        let [literals, closed_up, lines, shell] = normalise::undone(pass.text);
        let readings = [(literals, true), (closed_up, true), (lines, true), (shell, pass.joined)];
        for (plain, joined) in readings {
            let Some(plain) = plain else { continue };
            let pass = Pass { text: &plain, extra: Some(Encoding::Shell), joined, ..pass };
            self.scan(gate, pass, seen, false, on);
        }
    }
}

#[cfg(test)]
mod tests;
