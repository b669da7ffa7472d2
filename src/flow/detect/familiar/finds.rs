//! The matches in a part of a message, in the order they were made.

use crate::flow::detect::{
    decode::{View, Voice},
    hashed::OwnHash,
    matcher::Match,
    rule::RuleSet,
};
use posture::{Encoding, Placement, Severity};
use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    ops::Range,
    sync::Arc,
};

/// Matches kept of one part, and bytes of what was matched. Of a part with more none are: it is looked at each time.
const MAX_FINDS: usize = 256;
const MAX_TEXT: usize = 16 << 10;
/// What an allocation takes beside what is in it, at most.
pub(super) const ALLOCATION: usize = 32;

/// What was found in one part: nothing, to begin with.
#[derive(Default)]
pub(in crate::flow::detect) struct Finds {
    pub(super) all: Arc<[Find]>,
    /// What was matched, and the names of what holds it.
    pub(super) text: Vec<u8>,
}

/// A match, but for its text.
pub(super) struct Find {
    rule: usize,
    severity: Severity,
    extra: Option<Encoding>,
    /// The decodings within the part.
    encoding: Box<[Encoding]>,
    voice: Voice,
    matched: Range<usize>,
    name: Option<Range<usize>>,
}

impl Finds {
    pub(in crate::flow::detect) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Bytes of it.
    pub(super) fn held(&self) -> usize {
        held(&self.all, &self.text)
    }

    /// Tells of each match again, and of the view it stood in, of which nothing but itself is left. `outside` is the
    /// decodings that now lead to the part, and `placement` where it stands now.
    pub(in crate::flow::detect) fn each(
        &self,
        rules: &RuleSet,
        outside: &[Encoding],
        placement: Placement,
        on: &mut dyn FnMut(&Match<'_>, &View<'_>),
    ) {
        for find in &*self.all {
            let Find { rule: index, severity, extra, voice, .. } = *find;
            let matched = &self.text[find.matched.clone()];
            let encoding = [outside, &find.encoding].concat();
            let name = find.name.clone().map(|name| &self.text[name]);
            let view = View { encoding: &encoding, placement, name, voice, ..View::plain(matched) };
            let rule = &rules.rules()[index];
            on(&Match { rule, index, matched, extra, severity, span: None }, &view);
        }
    }
}

fn held(all: &[Find], text: &[u8]) -> usize {
    let encodings = all.iter().map(|find| size_of_val(&*find.encoding) + ALLOCATION).sum::<usize>();
    size_of_val(all) + encodings + text.len()
}

/// The matches of a part that is looked at.
#[derive(Default)]
pub(in crate::flow::detect) struct Gathered {
    all: Vec<Find>,
    text: Vec<u8>,
    /// What is among them already.
    seen: HashSet<u64, OwnHash>,
    hasher: RandomState,
    /// There was more than is kept.
    beyond: bool,
}

impl Gathered {
    /// Notes a match in a view that is `outside` and more decodings deep.
    pub(in crate::flow::detect) fn note(&mut self, m: &Match<'_>, view: &View<'_>, outside: usize) {
        let same = (m.index, m.matched, m.severity, view.name, view.voice as u8);
        if self.beyond || !self.seen.insert(self.hasher.hash_one(same)) {
            return;
        }
        let Self { all, text, .. } = self;
        let bytes = m.matched.len() + view.name.map_or(0, <[u8]>::len);
        if all.len() == MAX_FINDS || text.len() + bytes > MAX_TEXT {
            return self.is_beyond();
        }
        let mut keep = |bytes: &[u8]| {
            text.extend_from_slice(bytes);
            text.len() - bytes.len()..text.len()
        };
        let (matched, name) = (keep(m.matched), view.name.map(&mut keep));
        let encoding = view.encoding.get(outside..).unwrap_or_default().into();
        all.push(Find {
            rule: m.index,
            severity: m.severity,
            extra: m.extra,
            encoding,
            voice: view.voice,
            matched,
            name,
        });
    }

    /// There is more in the part than is kept of one.
    pub(in crate::flow::detect) fn is_beyond(&mut self) {
        *self = Self { beyond: true, ..Self::default() };
    }

    /// All that was found; `None` when that is more than is kept.
    pub(in crate::flow::detect) fn finds(self) -> Option<Finds> {
        (!self.beyond).then(|| Finds { all: self.all.into(), text: self.text })
    }

    /// Bytes of it.
    pub(in crate::flow::detect) fn held(&self) -> usize {
        held(&self.all, &self.text) + self.seen.len() * size_of::<u64>()
    }
}
