//! A regex's text → the regex, compiled when it is first wanted.
//!
//! Of all rules traffic ever tries a few. To compile every one takes four fifths of a start, and more memory than the
//! rest of an idle monitor.

use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::{ParserBuilder, hir::Hir};
use std::sync::{Arc, OnceLock};

/// What the automaton of one regex may keep of what it has seen, for each way of reading and each thread. One that would
/// need more begins anew.
const MAX_AUTOMATON_BYTES: usize = 256 << 10;
/// The same of one that is tried on any text before another: there are few, and to begin anew again and again costs them
/// four times as long.
const MAX_SIEVE_BYTES: usize = 1 << 20;

/// One regex of a rule. A clone shares what it compiled to, if it did, and remembers nothing of what was searched.
#[derive(Clone)]
pub(super) struct Pattern {
    text: Arc<str>,
    most_bytes: usize,
    automaton_bytes: usize,
    compiled: OnceLock<Compiled>,
}

#[derive(Clone)]
struct Compiled {
    regex: Regex,
    groups: Groups,
}

/// The groups of a regex that mean something.
#[derive(Clone, Copy)]
pub(super) struct Groups {
    pub(super) secret: bool,
    pub(super) again: bool,
}

/// A regex over bytes, taken apart.
pub(super) fn parsed(regex: &str) -> Option<Hir> {
    ParserBuilder::new().unicode(false).utf8(false).build().parse(regex).ok()
}

impl Pattern {
    /// A regex over bytes that compiles to no more than `most_bytes`.
    pub(super) fn new(text: String, most_bytes: usize) -> Self {
        Self { text: text.into(), most_bytes, automaton_bytes: MAX_AUTOMATON_BYTES, compiled: OnceLock::new() }
    }

    /// One that says of any text whether it is worth the exact regex.
    pub(super) fn sieve(text: String, most_bytes: usize) -> Self {
        Self { automaton_bytes: MAX_SIEVE_BYTES, ..Self::new(text, most_bytes) }
    }

    /// Compiles it now.
    ///
    /// # Errors
    /// Why it cannot be, in the engine's words: they show the pattern.
    pub(super) fn check(&self) -> Result<(), regex::Error> {
        let _ = self.compiled.set(self.compile()?);
        Ok(())
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn regex(&self) -> &Regex {
        &self.compiled().regex
    }

    pub(super) fn groups(&self) -> Groups {
        self.compiled().groups
    }

    #[cfg(test)]
    pub(super) fn is_compiled(&self) -> bool {
        self.compiled.get().is_some()
    }

    fn compiled(&self) -> &Compiled {
        let now = || self.compile().expect("checked when it was read, or with every build");
        self.compiled.get_or_init(now)
    }

    fn compile(&self) -> Result<Compiled, regex::Error> {
        let regex = RegexBuilder::new(&self.text)
            .unicode(false)
            .size_limit(self.most_bytes)
            .dfa_size_limit(self.automaton_bytes)
            .build()?;
        let has = |group| regex.capture_names().flatten().any(|name| name == group);
        let groups = Groups { secret: has("secret"), again: has("again") };
        Ok(Compiled { regex, groups })
    }
}
