//! Which hosts a vendor's key may go to, and in which places of a request.

use super::{decode::View, matcher::Match};
use crate::flow::capture::Route;
use posture::Severity;

/// The hosts.
#[derive(Default)]
pub struct Audience {}

/// What a match means here.
pub enum Judgement {
    /// Worth a finding.
    Finding(Severity),
    /// The agent working.
    Expected,
}

impl Audience {
    /// Judges.
    pub fn judge(&self, m: &Match<'_>, _view: &View<'_>, _route: &Route) -> Judgement {
        Judgement::Finding(m.severity)
    }
}
