//! Parsed regex → the chains of words of which every match has one.

use super::{Gap, Words};
use regex_syntax::hir::{Class, ClassBytes, Hir, HirKind};

/// Chains of one regex. A choice that would make more is read as one place where any of its words stands.
const MOST_CHAINS: usize = 24;
/// Words at one place.
const MOST_WORDS: usize = 24;
/// Texts that are told apart while they are put together.
const MOST_TEXTS: usize = 16;
const LONGEST_WORD: usize = 24;
/// Bytes of a class that are told apart.
const MOST_OF_CLASS: usize = 4;
/// Words, and what stands between them, before the first and behind the last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Chain {
    pub(super) links: Vec<Link>,
    pub(super) tail: Gap,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) before: Gap,
    pub(super) words: Words,
}

/// The chains of a regex; `None` when there may be a match without any word.
pub(super) fn chains(hir: &Hir) -> Option<Vec<Chain>> {
    let mut chains = read(hir, MOST_CHAINS);
    chains.dedup();
    chains.iter().all(|chain| !chain.links.is_empty()).then(|| chains.into_iter().map(Chain::shortened).collect())
}

impl Chain {
    fn gap(gap: Gap) -> Self {
        Self { links: Vec::new(), tail: gap }
    }

    /// One of `texts`: when one of them is empty, words are none of it.
    fn texts(texts: &[Vec<u8>]) -> Self {
        if texts.iter().any(Vec::is_empty) {
            return Self::gap(Gap::of_texts(texts.iter().map(Vec::as_slice)));
        }
        Self { links: vec![Link { before: Gap::default(), words: Words::new(texts) }], tail: Gap::default() }
    }

    fn then(mut self, next: &Self) -> Self {
        let mut links = next.links.iter().cloned();
        match links.next() {
            Some(first) => self.links.push(Link { before: self.tail.then(first.before), words: first.words }),
            None => return Self { tail: self.tail.then(next.tail.clone()), ..self },
        }
        self.links.extend(links);
        Self { tail: next.tail.clone(), ..self }
    }

    /// All of it as a gap.
    fn whole(&self) -> Gap {
        between(&self.links).then(self.tail.clone())
    }

    /// Its rarest words alone.
    fn rarest_alone(&self) -> Option<Self> {
        let at = rarest(&self.links)?;
        let before = between(&self.links[..at]).then(self.links[at].before.clone());
        let tail = between(&self.links[at + 1..]).then(self.tail.clone());
        Some(Self { links: vec![Link { before, words: self.links[at].words.clone() }], tail })
    }

    /// The same with fewer words: one that holds another is that, with more around.
    fn shortened(mut self) -> Self {
        for at in 0..self.links.len() {
            let texts: Vec<&[u8]> = self.links[at].words.texts().collect();
            let holds =
                |text: &[u8], other: &[u8]| text.len() > other.len() && memchr::memmem::find(text, other).is_some();
            let (longer, shorter): (Vec<&[u8]>, Vec<&[u8]>) =
                texts.iter().partition(|text| texts.iter().any(|other| holds(text, other)));
            if longer.is_empty() {
                continue;
            }
            let (mut before, mut after) = (vec![Vec::new()], vec![Vec::new()]);
            for text in longer {
                for (from, len) in
                    shorter.iter().filter_map(|s| Some((memchr::memmem::find(text, s)?, s.len()))).take(1)
                {
                    before.push(text[..from].to_vec());
                    after.push(text[from + len..].to_vec());
                }
            }
            let words = Words::new(&shorter.iter().map(|text| text.to_vec()).collect::<Vec<_>>());
            let around = |texts: &[Vec<u8>]| Gap::of_texts(texts.iter().map(Vec::as_slice));
            let link = &mut self.links[at];
            link.words = words;
            link.before = std::mem::take(&mut link.before).then(around(&before));
            let next = self.links.get_mut(at + 1).map_or(&mut self.tail, |next| &mut next.before);
            *next = around(&after).then(std::mem::take(next));
        }
        self
    }

    /// The other words in the order to look for them, those first that are likely to be missing: whether each stands behind
    /// what was found before, and how far.
    pub(super) fn way(&self, pivot: usize) -> Vec<(bool, &Gap, &Words)> {
        let (mut first, mut last) = (pivot, pivot);
        let mut way = Vec::with_capacity(self.links.len());
        // What a look costs, in nanoseconds, and how likely it finds something.
        let price = |(_, gap, words): (bool, &Gap, &Words)| {
            let room = f64::from(u32::try_from(gap.room()).unwrap_or(u32::MAX));
            let count = f64::from(u32::try_from(words.count()).unwrap_or(u32::MAX));
            (20.0 + 0.2 * room * count, (words.chance() * (room + 1.0)).min(1.0))
        };
        loop {
            let before = first.checked_sub(1).map(|at| (false, &self.links[first].before, &self.links[at].words));
            let behind = self.links.get(last + 1).map(|link| (true, &link.before, &link.words));
            let next = match (before, behind) {
                (Some(a), Some(b)) => {
                    let ((cost, chance), (other_cost, other_chance)) = (price(a), price(b));
                    let first = cost + chance * other_cost < other_cost + other_chance * cost;
                    Some(if first { a } else { b })
                }
                (one, other) => one.or(other),
            };
            let Some(next) = next else { return way };
            if next.0 {
                last += 1;
            } else {
                first -= 1;
            }
            way.push(next);
        }
    }
}

/// Links and what stands between them, as a gap.
fn between(links: &[Link]) -> Gap {
    links.iter().map(|l| l.before.clone().then(Gap::of_texts(l.words.texts()))).fold(Gap::default(), Gap::then)
}

fn rarest(links: &[Link]) -> Option<usize> {
    (0..links.len()).min_by(|a, b| links[*a].words.chance().total_cmp(&links[*b].words.chance()))
}

/// The chains of `hir`, of which every match has one: no more than `most`, if it can be.
fn read(hir: &Hir, most: usize) -> Vec<Chain> {
    if let Some(texts) = exact(hir) {
        return vec![Chain::texts(&texts)];
    }
    match hir.kind() {
        HirKind::Capture(capture) => read(&capture.sub, most),
        HirKind::Concat(parts) => concat(parts, most),
        HirKind::Alternation(parts) => {
            let each = (most / parts.len()).max(1);
            let all: Vec<Chain> = parts.iter().flat_map(|part| read(part, each)).collect();
            if all.len() > most { vec![one_of(&all)] } else { all }
        }
        HirKind::Repetition(repetition) if repetition.min > 0 => {
            let more = repetition.max.map(|max| max.saturating_sub(1));
            let rest = Chain::gap(Gap::of(&repetition.sub).times(repetition.min - 1, more));
            let first = read(&repetition.sub, most);
            // A class says more as a run.
            if first.iter().any(|chain| chain.links.is_empty()) {
                return vec![Chain::gap(Gap::of(hir))];
            }
            first.into_iter().map(|first| first.then(&rest)).collect()
        }
        _ => vec![Chain::gap(Gap::of(hir))],
    }
}

fn concat(parts: &[Hir], most: usize) -> Vec<Chain> {
    let mut all = vec![Chain::default()];
    let add = |all: &mut Vec<Chain>, next: Vec<Chain>| {
        let no_loss = next.len() > 1 && next.iter().all(|chain| chain.links.len() < 2);
        let next = if no_loss || all.len() * next.len() > most { vec![one_of(&next)] } else { next };
        *all = all.iter().flat_map(|before| next.iter().map(|after| before.clone().then(after))).collect();
    };
    // Texts that follow each other are one word, as long as they do not become too many; behind them what may stand there or
    // not, which belongs to them if more follows.
    let nothing = || vec![Vec::new()];
    let (mut texts, mut perhaps) = (nothing(), nothing());
    for part in parts {
        let next = exact(part);
        let optional = next.as_ref().is_some_and(|next| next.iter().any(Vec::is_empty));
        let first = texts == nothing();
        if let Some(next) = &next {
            let joined = if optional {
                product(&perhaps, next).map(|perhaps| (texts.clone(), perhaps))
            } else if first && perhaps != nothing() {
                None
            } else {
                product(&texts, &perhaps).and_then(|texts| product(&texts, next)).map(|texts| (texts, nothing()))
            };
            if let Some(joined) = joined {
                (texts, perhaps) = joined;
                continue;
            }
        }
        add(&mut all, vec![Chain::texts(&texts)]);
        add(&mut all, vec![Chain::texts(&perhaps)]);
        (texts, perhaps) = match next {
            Some(next) if optional => (nothing(), next),
            Some(next) => (next, nothing()),
            None => {
                let each = (most / all.len()).max(1);
                add(&mut all, read(part, each));
                (nothing(), nothing())
            }
        };
    }
    add(&mut all, vec![Chain::texts(&texts)]);
    add(&mut all, vec![Chain::texts(&perhaps)]);
    all
}

/// One place for the rarest words of each of `all`.
fn one_of(all: &[Chain]) -> Chain {
    let rarest: Option<Vec<Chain>> = all.iter().map(Chain::rarest_alone).collect();
    let texts: Option<Vec<Vec<u8>>> =
        rarest.as_ref().map(|r| r.iter().flat_map(|chain| chain.links[0].words.texts().map(<[u8]>::to_vec)).collect());
    let (Some(rarest), Some(texts)) = (rarest, texts.filter(|t| !t.is_empty() && t.len() <= MOST_WORDS)) else {
        let whole = all.iter().map(Chain::whole).reduce(|one, other| one.or(&other));
        return Chain::gap(whole.unwrap_or_default());
    };
    let before = rarest.iter().map(|chain| chain.links[0].before.clone()).reduce(|one, other| one.or(&other));
    let tail = rarest.iter().map(|chain| chain.tail.clone()).reduce(|one, other| one.or(&other));
    let link = Link { before: before.unwrap_or_default(), words: Words::new(&texts) };
    Chain { links: vec![link], tail: tail.unwrap_or_default() }
}

/// All texts that match `hir`, in lower case, if they are few and short.
fn exact(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    let texts = match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => vec![Vec::new()],
        HirKind::Literal(text) => vec![text.0.to_ascii_lowercase()],
        HirKind::Class(Class::Bytes(class)) => of_class(class)?,
        HirKind::Class(Class::Unicode(class)) => of_class(&class.to_byte_class()?)?,
        HirKind::Capture(capture) => exact(&capture.sub)?,
        HirKind::Concat(parts) => {
            parts.iter().try_fold(vec![Vec::new()], |texts, part| product(&texts, &exact(part)?))?
        }
        HirKind::Alternation(parts) => parts.iter().map(exact).collect::<Option<Vec<_>>>()?.concat(),
        HirKind::Repetition(repetition) if repetition.max == Some(1) => {
            [vec![Vec::new()], exact(&repetition.sub)?].concat()
        }
        HirKind::Repetition(_) => return None,
    };
    (texts.len() <= MOST_TEXTS && texts.iter().all(|t| t.len() <= LONGEST_WORD)).then_some(texts)
}

fn of_class(class: &ClassBytes) -> Option<Vec<Vec<u8>>> {
    let mut bytes: Vec<u8> = Vec::new();
    for b in class.iter().flat_map(|range| range.start()..=range.end()) {
        let b = b.to_ascii_lowercase();
        if !bytes.contains(&b) {
            bytes.push(b);
        }
        if bytes.len() > MOST_OF_CLASS {
            return None;
        }
    }
    Some(bytes.into_iter().map(|b| vec![b]).collect())
}

/// Every one of `before`, then every one of `after`.
fn product(before: &[Vec<u8>], after: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    let pairs = || before.iter().flat_map(|a| after.iter().map(|b| [a.as_slice(), b].concat()));
    let few = before.len() * after.len() <= MOST_TEXTS;
    (few && pairs().all(|t| t.len() <= LONGEST_WORD)).then(|| pairs().collect())
}
