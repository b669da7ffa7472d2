//! Regex → the words a match holds, in their order and how far apart: the test before it, where it could match at all.
//!
//! A rule for a script has gaps of hundreds of bytes, and an automaton that counts them is a hundred times as slow as a look
//! for the words between. Where the words do not stand so there is no match; where they do, the regex has the last word.

mod gap;
mod pivot;
mod read;
mod words;

use super::pattern::parsed;
use gap::Gap;
use read::Chain;
use std::ops::Range;
use words::{Word, Words};

/// What a look for the words may cost, in nanoseconds more or less, for each byte of the text and beside: beyond, a regex
/// costs less.
const MOST_WORK: usize = 3;
const LEAST_WORK: usize = 1 << 10;
/// What it costs to begin a search, and how many bytes are searched in a nanosecond.
const SEARCH: usize = 20;
const SPEED: usize = 8;

/// What every match of a regex holds: one of some chains of words. Those that are alike are followed together.
#[derive(Debug, Clone)]
pub(super) struct Chains {
    /// `None` when there may be a match of which nothing is known.
    cores: Option<Box<[Core]>>,
}

/// What is looked for in all of a text.
#[derive(Debug, Clone)]
struct Core {
    word: Word,
    roots: Vec<Root>,
}

/// Words that hold the core at the same place: where chains are followed from.
#[derive(Debug, Clone)]
struct Root {
    /// Where the core begins in them.
    at: usize,
    words: Words,
    node: Node,
}

/// What is known of some chains at one of their words.
#[derive(Debug, Clone, Default)]
struct Node {
    steps: Vec<Step>,
    /// What stands before the first and behind the last word of those that are at their end.
    ends: Vec<(Gap, Gap)>,
}

/// The next word of some chains.
#[derive(Debug, Clone)]
struct Step {
    behind: bool,
    gap: Gap,
    words: Words,
    node: Node,
}

/// Of the first and of the last word that was found, where those begin and end that may be meant.
#[derive(Debug, Clone)]
struct Found {
    starts: Range<usize>,
    ends: Range<usize>,
}

/// A look for the chains in one text.
struct Look<'l> {
    text: &'l [u8],
    /// What it may still cost.
    left: Option<usize>,
    /// Told of each part in which a chain stands.
    on: &'l mut dyn FnMut(Range<usize>),
}

impl Look<'_> {
    /// Takes the cost of a search; answers whether there is nothing left, and the whole text is taken for a part.
    fn ends(&mut self, bytes: usize) -> bool {
        self.left = self.left.and_then(|left| left.checked_sub(SEARCH + bytes / SPEED));
        self.left.is_none() && {
            (self.on)(0..self.text.len());
            true
        }
    }
}

/// Where chains may stand in a text, as far as it has been looked at.
#[derive(Debug, Default)]
pub(crate) struct Sighted {
    to: usize,
    /// By the number of the core, where it begins.
    places: Vec<(usize, usize)>,
}

impl Sighted {
    /// Bytes it takes beside its own.
    pub(crate) fn held(&self) -> usize {
        self.places.capacity() * size_of::<(usize, usize)>()
    }
}

impl Chains {
    /// The chains of a regex over bytes.
    pub(super) fn of(regex: &str) -> Self {
        Self { cores: parsed(regex).and_then(|hir| read::chains(&hir)).map(|chains| cores(&chains)) }
    }

    /// The parts of `text` in which every match stands, each with all that could belong to it: apart, and in order.
    pub(super) fn parts(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut parts = Vec::new();
        self.each(text, &mut |part| parts.push(part));
        apart(parts)
    }

    /// The same of a window of `text`, after others that began before it and were no longer than `longest`: no place of the
    /// text is looked at twice where no chain stands.
    pub(super) fn parts_in(
        &self,
        text: &[u8],
        window: Range<usize>,
        longest: usize,
        sighted: &mut Sighted,
    ) -> Vec<Range<usize>> {
        let within = &text[window.clone()];
        let Some(cores) = &self.cores else { return std::iter::once(0..within.len()).collect() };
        sighted.places.retain(|(_, at)| *at >= window.start);
        let mut left = Some(LEAST_WORK + MOST_WORK * within.len());
        let seen = sighted.places.len();
        let from = sighted.to.max(window.start);
        let ended = cores.iter().enumerate().any(|(number, core)| {
            core.word.each(text, from..window.end, &mut |at| {
                // Whichever window it stands in, this holds it.
                let start = at.saturating_sub(longest);
                let around = &text[start..text.len().min(at + longest)];
                let mut stands = false;
                let mut look = Look { text: around, left, on: &mut |_| stands = true };
                let ended = core.each(&mut look, at - start);
                left = look.left;
                if stands {
                    sighted.places.push((number, at));
                }
                ended
            })
        });
        if ended {
            sighted.places.truncate(seen);
            return std::iter::once(0..within.len()).collect();
        }
        sighted.to = sighted.to.max(window.end);
        let mut parts = Vec::new();
        let mut look = Look { text: within, left, on: &mut |part| parts.push(part) };
        for &(number, at) in &sighted.places {
            if at < window.end && cores[number].each(&mut look, at - window.start) {
                break;
            }
        }
        apart(parts)
    }

    /// Tells of each part of `text` in which a chain stands.
    fn each(&self, text: &[u8], on: &mut dyn FnMut(Range<usize>)) {
        let Some(cores) = &self.cores else { return on(0..text.len()) };
        let mut look = Look { text, left: Some(LEAST_WORK + MOST_WORK * text.len()), on };
        let mut ended = |core: &Core| core.word.each(text, 0..text.len(), &mut |at| core.each(&mut look, at));
        let _ = cores.iter().any(&mut ended);
    }
}

impl Core {
    /// Follows the chains that have it at `at`. Answers whether the look has ended, as all below do.
    fn each(&self, look: &mut Look<'_>, at: usize) -> bool {
        self.roots.iter().any(|root| root.each(look, at))
    }
}

impl Root {
    fn each(&self, look: &mut Look<'_>, core: usize) -> bool {
        let Some(start) = core.checked_sub(self.at) else { return false };
        self.words
            .at(look.text, start, &mut |end| self.node.each(look, &Found { starts: start..start, ends: end..end }))
    }
}

impl Node {
    fn each(&self, look: &mut Look<'_>, found: &Found) -> bool {
        for (lead, tail) in &self.ends {
            let start = lead.before(look.text, found.starts.clone()).map(|reach| reach.start);
            let end = tail.after(look.text, found.ends.clone()).map(|reach| reach.end);
            if let Some((start, end)) = start.zip(end) {
                (look.on)(start..end);
                if look.ends(end - start) {
                    return true;
                }
            }
        }
        self.steps.iter().any(|step| step.each(look, found))
    }

    /// The node at the end of this way, made as far as there is none.
    fn add(&mut self, way: &[(bool, &Gap, &Words)]) -> &mut Self {
        let Some((&(behind, gap, words), rest)) = way.split_first() else { return self };
        let known = self.steps.iter().position(|s| s.behind == behind && s.gap == *gap && s.words == *words);
        let at = known.unwrap_or_else(|| {
            self.steps.push(Step { behind, gap: gap.clone(), words: words.clone(), node: Self::default() });
            self.steps.len() - 1
        });
        self.steps[at].node.add(rest)
    }
}

impl Step {
    fn each(&self, look: &mut Look<'_>, found: &Found) -> bool {
        let Found { starts, ends } = found.clone();
        let reach = if self.behind { self.gap.after(look.text, ends) } else { self.gap.before(look.text, starts) };
        let Some(reach) = reach else { return look.ends(0) };
        if look.ends(reach.len() * self.words.count()) {
            return true;
        }
        let next = if self.behind {
            let ends = self.words.ends_in(look.text, reach);
            ends.map(|ends| Found { ends, ..found.clone() })
        } else {
            let starts = self.words.starts_in(look.text, reach);
            starts.map(|starts| Found { starts, ..found.clone() })
        };
        next.is_some_and(|found| self.node.each(look, &found))
    }
}

/// Those that touch as one, in order.
fn apart(mut parts: Vec<Range<usize>>) -> Vec<Range<usize>> {
    if parts.len() > 1 {
        parts.sort_unstable_by_key(|part| part.start);
        parts.dedup_by(|next, part| {
            let touches = next.start <= part.end;
            if touches {
                part.end = part.end.max(next.end);
            }
            touches
        });
    }
    parts
}

/// The chains by what is looked for.
fn cores(chains: &[Chain]) -> Box<[Core]> {
    let pivots = pivot::pivots(chains);
    // The shortest first: it is held by the most.
    let mut texts: Vec<Vec<u8>> =
        chains.iter().zip(&pivots).flat_map(|(chain, pivot)| pivot::cores(&chain.links[*pivot].words)).collect();
    texts.sort_by_key(Vec::len);
    let mut cores: Vec<Core> = Vec::new();
    for (chain, &pivot) in chains.iter().zip(&pivots) {
        let mut by_core: Vec<(Word, usize, Vec<Vec<u8>>)> = Vec::new();
        for text in chain.links[pivot].words.texts() {
            let held = texts.iter().find_map(|core| Some((memchr::memmem::find(text, core)?, core)));
            let (at, core) = held.map_or((0, Word::new(text)), |(at, core)| (at, Word::new(core)));
            match by_core.iter_mut().find(|(word, n, _)| *word == core && *n == at) {
                Some((.., texts)) => texts.push(text.to_vec()),
                None => by_core.push((core, at, vec![text.to_vec()])),
            }
        }
        let way = chain.way(pivot);
        for (word, at, texts) in by_core {
            let words = Words::new(&texts);
            let n = cores.iter().position(|core| core.word == word).unwrap_or_else(|| {
                cores.push(Core { word, roots: Vec::new() });
                cores.len() - 1
            });
            let roots = &mut cores[n].roots;
            let n = roots.iter().position(|root| root.at == at && root.words == words).unwrap_or_else(|| {
                roots.push(Root { at, words, node: Node::default() });
                roots.len() - 1
            });
            let ends = &mut roots[n].node.add(&way).ends;
            let end = (chain.links[0].before.clone(), chain.tail.clone());
            if !ends.contains(&end) {
                ends.push(end);
            }
        }
    }
    cores.into()
}

#[cfg(test)]
mod tests;
