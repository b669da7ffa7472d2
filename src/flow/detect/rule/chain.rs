//! Regex → the words a match holds, in their order and how far apart: the test before it, where it could match at all.
//!
//! A rule for a script has gaps of hundreds of bytes, and an automaton that counts them is a hundred times as slow as a look
//! for the words between. Where the words do not stand so there is no match; where they do, the regex has the last word.

mod gap;
mod read;
mod words;

use gap::Gap;
use read::Chain;
use regex_syntax::ParserBuilder;
use std::ops::Range;
use words::{Word, Words};

/// Places from which a rule's chains are followed, before the whole text is taken for a match.
const MOST_TRIES: usize = 64;
/// The shortest text that longer words are looked for by.
const LEAST_CORE: usize = 3;

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

impl Chains {
    /// The chains of a regex over bytes. Of words that hold one of `keywords`, that is what is looked for.
    pub(super) fn of(regex: &str, keywords: &[String]) -> Self {
        let parsed = ParserBuilder::new().unicode(false).utf8(false).build().parse(regex);
        let chains = parsed.ok().and_then(|hir| read::chains(&hir));
        Self { cores: chains.map(|chains| cores(&chains, keywords)) }
    }

    /// Whether a match may stand in `text`.
    pub(super) fn may_match(&self, text: &[u8]) -> bool {
        self.each(text, &mut |_| true)
    }

    /// The parts of `text` in which every match stands, each with all that could belong to it: apart, and in order.
    pub(super) fn parts(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut parts = Vec::new();
        self.each(text, &mut |part| {
            parts.push(part);
            false
        });
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

    /// Tells of each part of `text` in which a chain stands, until `done`; answers whether it was.
    fn each(&self, text: &[u8], done: &mut dyn FnMut(Range<usize>) -> bool) -> bool {
        let Some(cores) = &self.cores else { return done(0..text.len()) };
        let mut tries = 0;
        cores.iter().any(|core| {
            core.word.each(text, 0..text.len(), &mut |at| {
                tries += 1;
                if tries > MOST_TRIES {
                    done(0..text.len());
                    return true;
                }
                core.roots.iter().any(|root| root.each(text, at, done))
            })
        })
    }
}

impl Root {
    fn each(&self, text: &[u8], core: usize, done: &mut dyn FnMut(Range<usize>) -> bool) -> bool {
        let Some(start) = core.checked_sub(self.at) else { return false };
        self.words
            .at(text, start, &mut |end| self.node.each(text, &Found { starts: start..start, ends: end..end }, done))
    }
}

impl Node {
    fn each(&self, text: &[u8], found: &Found, done: &mut dyn FnMut(Range<usize>) -> bool) -> bool {
        let whole = |(lead, tail): &(Gap, Gap)| {
            Some(lead.before(text, found.starts.clone())?.start..tail.after(text, found.ends.clone())?.end)
        };
        self.ends.iter().filter_map(whole).any(&mut *done)
            || self
                .steps
                .iter()
                .any(|step| step.from(text, found).is_some_and(|found| step.node.each(text, &found, done)))
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
    fn from(&self, text: &[u8], found: &Found) -> Option<Found> {
        if self.behind {
            let ends = self.words.ends_in(text, self.gap.after(text, found.ends.clone())?)?;
            Some(Found { starts: found.starts.clone(), ends })
        } else {
            let starts = self.words.starts_in(text, self.gap.before(text, found.starts.clone())?)?;
            Some(Found { starts, ends: found.ends.clone() })
        }
    }
}

/// The chains by what is looked for.
fn cores(chains: &[Chain], keywords: &[String]) -> Box<[Core]> {
    let pivots: Vec<usize> = chains.iter().map(|chain| chain.pivot(keywords)).collect();
    let words = || chains.iter().zip(&pivots).flat_map(|(chain, pivot)| chain.links[*pivot].words.texts());
    // The shortest first: it is held by the most.
    let all = words().chain(keywords.iter().map(String::as_bytes));
    let mut likely: Vec<&[u8]> = all.filter(|text| text.len() >= LEAST_CORE).collect();
    likely.sort_by_key(|text| text.len());
    let mut cores: Vec<Core> = Vec::new();
    for (chain, &pivot) in chains.iter().zip(&pivots) {
        let mut by_core: Vec<(Word, usize, Vec<Vec<u8>>)> = Vec::new();
        for text in chain.links[pivot].words.texts() {
            let held = likely.iter().find_map(|core| Some((memchr::memmem::find(text, core)?, *core)));
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
