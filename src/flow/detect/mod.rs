//! Message → Hit<'_>: finds, never decides what is kept.

pub mod audience;
pub mod decode;
pub mod matcher;
mod normalise;
pub mod offline;
pub mod rule;
mod scanner;
pub mod selftest;

pub use scanner::{Detector, Limits, Scanned, Scanner};

use crate::flow::capture::Route;
use posture::{Direction, Encoding, Placement, Severity};
use rule::Rule;

/// Something a rule matched, borrowed from the view it was found in: it cannot be kept.
pub struct Hit<'m> {
    /// The rule.
    pub rule: &'m Rule,
    /// What it matched, as normalised: the secret, or the command or path.
    pub matched: &'m [u8],
    /// The rule's severity, or a lower one the context asks for.
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
