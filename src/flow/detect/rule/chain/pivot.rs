//! Chains → at which of its words each is looked for: few and rare ones, that many chains share.

use super::{Chain, Words, words};

/// The shortest text that longer words are looked for by.
const LEAST_CORE: usize = 3;

/// For each chain, the number of the words it is looked for at.
pub(super) fn pivots(chains: &[Chain]) -> Vec<usize> {
    let mut pivots: Vec<Option<usize>> = vec![None; chains.len()];
    let of = |chain: &Chain, words: &Words| chain.links.iter().position(|link| link.words == *words);
    while let Some(open) = Some(pivots.iter()).filter(|p| p.clone().any(Option::is_none)) {
        let open: Vec<&Chain> = chains.iter().zip(open).filter_map(|(c, p)| p.is_none().then_some(c)).collect();
        let price = |words: &Words| {
            let shared =
                u32::try_from(open.iter().filter(|chain| of(chain, words).is_some()).count()).unwrap_or(u32::MAX);
            cores(words).iter().map(|core| words::price(core)).sum::<f64>() / f64::from(shared)
        };
        let all = open.iter().flat_map(|chain| &chain.links).map(|link| (price(&link.words), &link.words));
        let Some((_, best)) = all.min_by(|a, b| a.0.total_cmp(&b.0)) else { break };
        for (pivot, chain) in pivots.iter_mut().zip(chains).filter(|(pivot, _)| pivot.is_none()) {
            *pivot = of(chain, best);
        }
    }
    pivots.into_iter().map(Option::unwrap_or_default).collect()
}

/// What some words are looked for by: what they have in common, or each.
pub(super) fn cores(words: &Words) -> Vec<Vec<u8>> {
    let texts: Vec<&[u8]> = words.texts().collect();
    let each = || texts.iter().map(|text| text.to_vec()).collect();
    let Some(shortest) = texts.iter().min_by_key(|text| text.len()) else { return each() };
    let parts = (LEAST_CORE..=shortest.len()).rev().flat_map(|len| shortest.windows(len));
    let common = |part: &&[u8]| texts.iter().all(|text| memchr::memmem::find(text, part).is_some());
    parts.into_iter().find(common).map_or_else(each, |common| vec![common.to_vec()])
}
