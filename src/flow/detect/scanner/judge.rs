//! Views → hits, each once a message.

use super::{Detector, Hit, Route, View, audience::Judgement};
use memchr::memmem;
use posture::{Direction, Encoding, Placement, Severity};
use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

/// Different matches remembered of one message; beyond it, a repetition is reported again.
const MAX_SEEN: usize = 4096;
/// Matches whose text is remembered too, and their length.
const MAX_SAID: usize = 64;
const MAX_SAID_BYTES: usize = 4 << 10;

/// Matches the views of one message, and says each match once.
pub(super) struct Judge {
    pub(super) detector: Arc<Detector>,
    pub(super) direction: Direction,
    pub(super) token_seen: bool,
    route: Arc<Route>,
    seen: Seen,
}

/// What was said of a message. One text is seen in several views, alone and with its neighbours, as written and
/// decoded; the rule that finds it in all of them has found it once.
#[derive(Default)]
struct Seen {
    hashes: HashSet<u64>,
    hasher: RandomState,
    said: Vec<Said>,
}

struct Said {
    rule: u64,
    severity: Severity,
    expected: bool,
    matched: Box<[u8]>,
}

impl Judge {
    pub(super) fn new(detector: Arc<Detector>, direction: Direction, route: Arc<Route>) -> Self {
        Self { detector, direction, token_seen: false, route, seen: Seen::default() }
    }

    /// Bytes remembered of what was said.
    pub(super) fn held(&self) -> usize {
        let Seen { hashes, said, .. } = &self.seen;
        hashes.len() * size_of::<u64>() + said.iter().map(|s| size_of::<Said>() + s.matched.len()).sum::<usize>()
    }

    /// Reports what is in `view` and was not reported before.
    pub(super) fn view(&mut self, view: &View<'_>, on: &mut dyn FnMut(&Hit<'_>)) {
        let Self { detector, direction, token_seen, route, seen } = self;
        let token = detector.own_token.as_ref();
        *token_seen |= token.is_some_and(|t| t.find(view.text).is_some());
        detector.matcher.find(*direction, view, &mut |m| {
            if token.is_some_and(|t| t.find(m.matched).is_some()) {
                return;
            }
            // A part of the request line was judged with its own name already.
            if view.placement == Placement::RequestLine && seen.knows(m.rule.id().as_str(), m.matched) {
                return;
            }
            let (severity, expected) = match detector.audience.judge(&m, view, route) {
                Judgement::Finding(severity) => (severity, false),
                Judgement::Expected => (m.severity, true),
            };
            if !seen.is_new(m.rule.id().as_str(), m.matched, severity, expected) {
                return;
            }
            let chain: Vec<Encoding> = view.encoding.iter().copied().chain(m.extra).collect();
            on(&Hit {
                rule: m.rule,
                matched: m.matched,
                severity,
                direction: *direction,
                placement: view.placement,
                encoding: &chain,
                route,
                expected,
            });
        });
    }
}

impl Seen {
    fn knows(&self, rule: &str, matched: &[u8]) -> bool {
        self.hashes.contains(&self.hasher.hash_one((rule, matched)))
    }

    fn is_new(&mut self, rule: &str, matched: &[u8], severity: Severity, expected: bool) -> bool {
        let exact = self.hasher.hash_one((rule, matched, severity, expected));
        let rule_hash = self.hasher.hash_one(rule);
        let within = |a: &[u8], b: &[u8]| memmem::find(b, a).is_some();
        let overlaps = self.said.iter().any(|s| {
            s.rule == rule_hash
                && s.expected == expected
                && s.severity >= severity
                && (within(&s.matched, matched) || within(matched, &s.matched))
        });
        if overlaps || self.hashes.contains(&exact) {
            return false;
        }
        if self.hashes.len() < MAX_SEEN {
            self.hashes.insert(exact);
            self.hashes.insert(self.hasher.hash_one((rule, matched)));
        }
        if self.said.len() < MAX_SAID && matched.len() <= MAX_SAID_BYTES {
            self.said.push(Said { rule: rule_hash, severity, expected, matched: matched.into() });
        }
        true
    }
}
