//! Message → Hit<'_>: finds, never decides what is kept.

pub mod audience;
mod bits;
pub mod decode;
mod detector;
mod familiar;
mod hashed;
mod key_name;
pub mod known;
pub mod matcher;
mod normalise;
pub mod offline;
mod patch;
pub mod rule;
mod scanner;
pub mod selftest;
mod wildcard;

pub use detector::{Detector, Limits};
pub use scanner::{Scanned, Scanner};

use crate::flow::capture::Route;
use posture::{Direction, Encoding, Family, Placement, Severity, Word};
use rule::Rule;
use std::ops::Range;

/// What tells a finding from others: a rule, or where a known value is from.
#[derive(Clone, Copy)]
pub enum Named<'m> {
    /// A rule that matched.
    Rule(&'m Rule),
    /// A value that was known.
    Known(known::Kind),
}

impl<'m> Named<'m> {
    /// Its identifier under its family.
    pub fn id(self) -> &'m Word {
        match self {
            Self::Rule(rule) => rule.id(),
            Self::Known(kind) => kind.id(),
        }
    }

    /// The `pattern` of its findings.
    pub fn family(self) -> Family {
        match self {
            Self::Rule(rule) => rule.family(),
            Self::Known(kind) => kind.family(),
        }
    }

    /// What a finding shows in place of what was found, never the wire.
    pub fn snippet(self) -> String {
        match self {
            Self::Rule(rule) => rule.snippet(),
            Self::Known(kind) => kind.snippet(),
        }
    }
}

/// Something a rule matched or that was known, borrowed from the view it was found in: it cannot be kept.
pub struct Hit<'m> {
    /// The rule.
    pub rule: Named<'m>,
    /// What was found, as normalised: the secret, or the command or path.
    pub matched: &'m [u8],
    /// The text it was found in, decoded.
    pub view: &'m [u8],
    /// Where it stands in that text, unless it took more than reading it as it is to see it.
    pub span: Option<Range<usize>>,
    /// Its severity, or a lower one the context asks for.
    pub severity: Severity,
    /// Which way the message goes.
    pub direction: Direction,
    /// The part of the message.
    pub placement: Placement,
    /// The chain of decodings, outermost first.
    pub encoding: &'m [Encoding],
    /// Where the message goes.
    pub route: &'m Route,
    /// The agent working as it should: counted, not a finding.
    pub expected: bool,
}
