//! Views → hits, each once a message.

use crate::flow::{
    capture::Route,
    detect::{
        Detector, Hit, Named,
        audience::{Audience, Judgement, names_a_file},
        decode::View,
        familiar::{Gathered, Sent, Tag},
        hashed::OwnHash,
        known::{Sighting, Values},
        matcher::{Match, Memory},
    },
};
use memchr::memmem::{self, Finder};
use posture::{Direction, Encoding, Family, Placement, Severity};
use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    ops::Range,
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
    /// What was known when the message began.
    known: Arc<Values>,
    memory: Memory,
    seen: Seen,
    part: Option<Part>,
}

/// The part of a message that is open.
struct Part {
    tag: Tag,
    /// Decodings that led to it.
    outside: usize,
    gathered: Gathered,
}

/// What was said of a message. One text is seen in several views, alone and with its neighbours, as written and
/// decoded; the rule that finds it in all of them has found it once.
#[derive(Default)]
struct Seen {
    hashes: HashSet<u64, OwnHash>,
    hasher: RandomState,
    said: Vec<Said>,
}

struct Said {
    rule: u64,
    /// The family of a rule that is built in.
    built_in: Option<Family>,
    severity: Severity,
    expected: bool,
    /// Made once: every match after it is asked for it.
    matched: Finder<'static>,
}

impl Judge {
    pub(super) fn new(detector: Arc<Detector>, direction: Direction, route: Arc<Route>) -> Self {
        let known = detector.known().values();
        let (memory, seen) = (Memory::default(), Seen::default());
        Self { detector, direction, token_seen: false, route, known, memory, seen, part: None }
    }

    /// Bytes remembered of what was said, and of where was looked.
    pub(super) fn held(&self) -> usize {
        let Seen { hashes, said, .. } = &self.seen;
        self.memory.held()
            + hashes.len() * size_of::<u64>()
            + said.iter().map(|s| size_of::<Said>() + s.matched.needle().len()).sum::<usize>()
            + self.part.as_ref().map_or(0, |part| part.gathered.held())
    }

    /// Begins a part of the message; answers whether it was judged before by what is known now. Then what was found in it
    /// is reported as if it was found again.
    pub(super) fn begin(&mut self, part: &View<'_>, on: &mut dyn FnMut(&Hit<'_>)) -> bool {
        let Self { detector, direction, route, known, seen, memory, part: open, .. } = self;
        let sent = Sent { generation: known.generation(), direction: *direction, voice: part.voice };
        *open = None;
        memory.part();
        let Some(tag) = detector.familiar.tag(sent, part.text) else { return false };
        let Some(finds) = detector.familiar.recall(tag) else {
            *open = Some(Part { tag, outside: part.encoding.len(), gathered: Gathered::default() });
            return false;
        };
        let mut say = Say { detector, direction: *direction, route, seen, on };
        finds.each(detector.matcher.rules(), part.encoding, part.placement, &mut |m, view| say.matched(m, view, &[]));
        true
    }

    /// Ends the part that began last, of which all was seen if it is `whole`.
    pub(super) fn end(&mut self, whole: bool) {
        self.memory.part();
        let Some(Part { tag, gathered, .. }) = self.part.take().filter(|_| whole) else { return };
        if let Some(finds) = gathered.finds() {
            self.detector.familiar.note(tag, finds);
        }
    }

    /// Reports what is in `view` and was not reported before.
    pub(super) fn view(&mut self, view: &View<'_>, on: &mut dyn FnMut(&Hit<'_>)) {
        let Self { detector, direction, token_seen, route, known, memory, seen, part } = self;
        let holds_token = detector.own_token.as_ref().is_some_and(|t| t.find(view.text).is_some());
        *token_seen |= holds_token;
        let sightings = if known.is_empty() { Vec::new() } else { known.sightings(*direction, view) };
        let covers: Vec<_> = sightings.iter().map(|s| Cover::of(s, &detector.audience, view, route)).collect();
        let mut say = Say { detector, direction: *direction, route, seen, on };
        for (cover, sighting) in covers.iter().zip(&sightings) {
            let named = Named::Known(sighting.digest.kind());
            say.say(named, cover.matched, view, None, (Severity::Critical, cover.expected), None);
        }
        // What of these is kept in memory is kept elsewhere: such a part is judged anew each time.
        if let Some(part) = part.as_mut().filter(|_| holds_token || !covers.is_empty()) {
            part.gathered.is_beyond();
        }
        detector.matcher.find_with(memory, *direction, view, &mut |m| {
            if let Some(part) = part {
                part.gathered.note(&m, view, part.outside);
            }
            say.matched(&m, view, &covers);
        });
    }
}

/// Says what is found, once.
struct Say<'j, 'o> {
    detector: &'j Detector,
    direction: Direction,
    route: &'j Route,
    seen: &'j mut Seen,
    on: &'j mut (dyn FnMut(&Hit<'_>) + 'o),
}

impl Say<'_, '_> {
    /// Judges a match of a rule, unless what is said of a known value says it too.
    fn matched(&mut self, m: &Match<'_>, view: &View<'_>, covers: &[Cover<'_>]) {
        let judgement = self.detector.audience.judge(m, view, self.route);
        if covers.iter().any(|cover| cover.speaks_for(m, judgement)) {
            return;
        }
        let judged = match judgement {
            Judgement::Finding(severity) => (severity, false),
            Judgement::Expected => (m.severity, true),
        };
        self.say(Named::Rule(m.rule), m.matched, view, m.span.clone(), judged, m.extra);
    }

    /// Reports what was found in a view: how grave it is, and whether it is expected.
    fn say(
        &mut self,
        named: Named<'_>,
        matched: &[u8],
        view: &View<'_>,
        span: Option<Range<usize>>,
        (severity, expected): (Severity, bool),
        extra: Option<Encoding>,
    ) {
        let Self { detector, direction, route, seen, on } = self;
        if detector.own_token.as_ref().is_some_and(|t| t.find(matched).is_some()) {
            return;
        }
        let rule = named.id().as_str();
        // A part of the request line was judged with its own name already.
        if view.placement == Placement::RequestLine && seen.knows(rule, matched) {
            return;
        }
        // What stood where it belongs stands there again in its object as a text, which has no name.
        let body = view.placement == Placement::Body;
        if body && expected {
            seen.belongs(rule, matched);
        } else if body && view.name.is_none() && seen.belonged(rule, matched) {
            return;
        }
        if !seen.is_new(named, matched, severity, expected) {
            return;
        }
        let chain: Vec<Encoding> = view.encoding.iter().copied().chain(extra).collect();
        on(&Hit {
            rule: named,
            matched,
            view: view.text,
            span,
            severity,
            direction: *direction,
            placement: view.placement,
            encoding: &chain,
            route,
            expected,
        });
    }
}

/// A known value in a view: what a rule finds of the same text is the same sighting.
struct Cover<'s> {
    matched: &'s [u8],
    expected: bool,
}

impl<'s> Cover<'s> {
    fn of(sighting: &'s Sighting<'_>, audience: &Audience, view: &View<'_>, route: &Route) -> Self {
        let expected = audience.welcomes(sighting.digest.vendors(), view, route);
        Self { matched: &sighting.matched, expected }
    }

    /// Whether what is said of the known value says it for this match too. The graver stands: what a rule would report
    /// stands beside a value that is where it belongs, unless all it says is that it is another credential than the first.
    fn speaks_for(&self, m: &Match<'_>, judgement: Judgement) -> bool {
        let secret = matches!(m.rule.family(), Family::AiApiKey | Family::AwsAccessKeyId | Family::PrivateKeyPem);
        let same = secret
            && (memmem::find(m.matched, self.matched).is_some() || memmem::find(self.matched, m.matched).is_some());
        let graver = matches!(judgement, Judgement::Finding(severity) if severity > Severity::Low);
        same && (!self.expected || !graver)
    }
}

impl Seen {
    /// A value of this rule's stood in the body where it belongs.
    fn belongs(&mut self, rule: &str, matched: &[u8]) {
        if self.hashes.len() < MAX_SEEN {
            self.hashes.insert(self.hasher.hash_one(("belongs", rule, matched)));
        }
    }

    fn belonged(&self, rule: &str, matched: &[u8]) -> bool {
        self.hashes.contains(&self.hasher.hash_one(("belongs", rule, matched)))
    }

    fn knows(&self, rule: &str, matched: &[u8]) -> bool {
        self.hashes.contains(&self.hasher.hash_one((rule, matched)))
    }

    fn is_new(&mut self, named: Named<'_>, matched: &[u8], severity: Severity, expected: bool) -> bool {
        let (rule, family) = (named.id().as_str(), named.family());
        let exact = self.hasher.hash_one((rule, matched, severity, expected));
        if self.hashes.contains(&exact) {
            return false;
        }
        let rule_hash = self.hasher.hash_one(rule);
        let this = Finder::new(matched);
        let overlaps = |s: &Said| match s.matched.needle() {
            longer if longer.len() > matched.len() => this.find(longer).is_some(),
            _ => s.matched.find(matched).is_some(),
        };
        let said = |same: &dyn Fn(&Said) -> bool| {
            let as_grave = |s: &&Said| s.expected == expected && s.severity >= severity && same(s);
            self.said.iter().filter(as_grave).any(overlaps)
        };
        if said(&|s| s.rule == rule_hash) {
            return false;
        }
        // A key under its header and by its first bytes, and a file that two rules know, are told by the first of them. An
        // operator's rule has its own say.
        let built_in = matches!(named, Named::Rule(rule) if rule.file().is_none()).then_some(family);
        let path = built_in
            .filter(|family| names_a_file(*family))
            .map(|family| self.hasher.hash_one((family.as_str(), matched, severity, expected)));
        let is_key = built_in == Some(Family::PrivateKeyPem);
        let by_another =
            path.is_some_and(|path| self.hashes.contains(&path)) || (is_key && said(&|s| s.built_in == built_in));
        if self.hashes.len() < MAX_SEEN {
            self.hashes.extend(path);
            self.hashes.insert(exact);
            self.hashes.insert(self.hasher.hash_one((rule, matched)));
        }
        if self.said.len() < MAX_SAID && matched.len() <= MAX_SAID_BYTES {
            self.said.push(Said { rule: rule_hash, built_in, severity, expected, matched: this.into_owned() });
        }
        !by_another
    }
}
