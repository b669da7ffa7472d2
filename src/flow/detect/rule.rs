//! Rule files → `RuleSet`: rules are data, checked once when they are read.
//!
//! A rule's text is the product's or an operator's: one loader serves both. An error names the file, the place in it and the
//! field, and repeats nothing of what stands there: a secret may have been pasted for anything.

mod chain;
mod checksum;
mod data;
mod error;
mod example;
mod local;
mod loose;
mod opening;
mod pattern;
mod read;
mod set;

pub(crate) use chain::Sighted;
pub use data::{Alphabet, Class, Find, Vendor};
pub use error::{RuleError, is_plain, position};
pub(crate) use example::expand;
pub use read::Source;
pub use set::RuleSet;

use chain::Chains;
use data::RuleData;
use memchr::memmem::Finder;
use opening::Opening;
use pattern::Pattern;
use posture::{Family, Severity, Word};
use read::MAX_COMPILED_BYTES;
use regex::bytes::Regex;
use std::{
    ops::Range,
    sync::{Arc, OnceLock},
};

/// How many bytes of one message a regex reads that counts its gaps: at its slowest half a second.
const MOST_EXACT: usize = 16 << 10;

/// One rule: what to look for, and what finding it means. Cheap to clone, and a clone remembers nothing of what was
/// searched.
#[derive(Clone)]
pub struct Rule {
    id: Word,
    family: Family,
    /// The operator's file it stands in; `None` for an embedded one.
    file: Option<Arc<str>>,
    data: Arc<RuleData>,
    regex: Pattern,
    /// The regex where it must begin, for a command.
    at_start: Option<Pattern>,
    except: Option<Pattern>,
    needs: Arc<[Finder<'static>]>,
    /// See [`Rule::may_begin`].
    opening: OnceLock<Opening>,
    /// See [`Rule::parts`].
    chains: OnceLock<Chains>,
    /// See [`Rule::may_match_from`].
    loose: OnceLock<Option<Pattern>>,
}

impl Rule {
    /// Its identifier under its family, such as `ai_api_key.openai`.
    pub fn id(&self) -> &Word {
        &self.id
    }

    /// The `pattern` of its findings.
    pub fn family(&self) -> Family {
        self.family
    }

    /// The operator's file it stands in; `None` when it is built in.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// How urgent a match is, unless its context says otherwise.
    pub fn severity(&self) -> Severity {
        self.data.severity
    }

    /// What a finding shows in place of the matched text: the rule's template or its identifier, never the wire.
    pub fn snippet(&self) -> String {
        self.data.snippet.clone().unwrap_or_else(|| format!("[REDACTED {}]", self.id))
    }

    /// Whose key it is: names in the vendor table. More than one where vendors share a shape.
    pub fn vendors(&self) -> &[String] {
        &self.data.vendors
    }

    /// Texts that hold a match, with generated parts still as templates.
    pub fn examples(&self) -> &[String] {
        &self.data.examples
    }

    /// Texts in which this rule must find nothing.
    pub fn counter_examples(&self) -> &[String] {
        &self.data.counter_examples
    }

    /// How it is looked for.
    pub fn find(&self) -> Find {
        self.data.find
    }

    /// What brings the exact rule into play, in lower case.
    pub fn keywords(&self) -> &[String] {
        &self.data.keywords
    }

    /// The exact rule.
    pub fn regex(&self) -> &Regex {
        self.regex.regex()
    }

    pub(crate) fn except(&self) -> Option<&Regex> {
        self.except.as_ref().map(Pattern::regex)
    }

    /// Whether `text` holds one of the literals the rule needs besides a keyword.
    pub(crate) fn may_match(&self, text: &[u8]) -> bool {
        self.needs.is_empty() || self.needs.iter().any(|n| n.find(text).is_some())
    }

    /// The parts of a line in which all its matches stand, apart and in order: none where it lacks a literal the rule needs.
    pub(crate) fn parts(&self, line: &[u8]) -> Vec<Range<usize>> {
        if self.may_match(line) { self.chains().parts(line) } else { Vec::new() }
    }

    /// The same of a window of a text, after others that began before it and were no longer than `longest`.
    pub(crate) fn parts_in(
        &self,
        text: &[u8],
        window: Range<usize>,
        longest: usize,
        sighted: &mut Sighted,
    ) -> Vec<Range<usize>> {
        self.chains().parts_in(text, window, longest, sighted)
    }

    /// Whether a match may begin in `text` at `at` or after it: the test that costs little over any text, before the regex.
    pub(crate) fn may_match_from(&self, text: &[u8], at: usize) -> bool {
        self.loose().is_none_or(|loose| loose.is_match_at(text, at))
    }

    /// The regex for more of a message of which it has read so many bytes already: the exact one, and beyond [`MOST_EXACT`]
    /// one whose long gaps have no end, if there are any. Where matches stand again and again that is some twenty times as
    /// fast; that the words stand near each other is known before either is asked.
    pub(crate) fn regex_after(&self, searched: usize) -> &Regex {
        let loose = if searched < MOST_EXACT { None } else { self.loose() };
        loose.unwrap_or_else(|| self.regex())
    }

    /// The regex whose long gaps have no end; `None` when it has none of those.
    fn loose(&self) -> Option<&Regex> {
        let loosened = || {
            let pattern = Pattern::sieve(loose::loosened(self.regex.text())?, MAX_COMPILED_BYTES);
            pattern.check().is_ok().then_some(pattern)
        };
        self.loose.get_or_init(loosened).as_ref().map(Pattern::regex)
    }

    fn chains(&self) -> &Chains {
        self.chains.get_or_init(|| Chains::of(self.regex.text()))
    }

    /// Whether a token can stand at the start of `text`, by its first bytes: the cheap test before the regex. Of a path, one
    /// of its parts has to fit: what stands behind its slashes, or all of it.
    pub(crate) fn may_begin(&self, text: &[u8]) -> bool {
        self.opening().fits(text)
    }

    /// No token is shorter: the bytes that [`Rule::misfit`] looks at.
    pub(crate) fn least(&self) -> usize {
        self.opening().least()
    }

    /// How many bytes of `text` can begin a token; `None` when all do that are looked at.
    pub(crate) fn misfit(&self, text: &[u8]) -> Option<usize> {
        self.opening().misfit(text)
    }

    /// Whether the first line of `text` ends before the byte that misfits: what a token is put together from may begin so.
    pub(crate) fn breaks(&self, text: &[u8], misfit: usize) -> bool {
        self.opening().breaks(text, misfit)
    }

    fn opening(&self) -> &Opening {
        let opening = if self.find() == Find::Path { Opening::of_path } else { Opening::of };
        self.opening.get_or_init(|| opening(self.regex.text()))
    }

    pub(crate) fn at_start(&self) -> Option<&Regex> {
        self.at_start.as_ref().map(Pattern::regex)
    }

    /// Whether the group `secret` is what matters of a token.
    pub(crate) fn names_secret(&self) -> bool {
        self.regex.groups().secret
    }

    /// Whether what the group `again` names must stand earlier in the match too: a file that is fetched, then run. Where
    /// there is a group `name`, both are the same: a variable.
    pub(crate) fn names_again(&self) -> bool {
        self.regex.groups().again
    }

    /// Whether it finds what `other` finds, with the same severity, for the same vendors.
    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        let except = |rule: &Self| rule.except.as_ref().map(|e| e.text().to_owned());
        self.data == other.data && self.regex.text() == other.regex.text() && except(self) == except(other)
    }

    pub(crate) fn data(&self) -> &RuleData {
        &self.data
    }
}

#[cfg(test)]
mod tests;
