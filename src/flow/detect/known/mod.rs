//! Values that are known → where they appear: in any view, in the midst of any text, case and all.
//!
//! Nothing here holds a value. One is digested when it is read and then forgotten; a text is looked through for the
//! digests. The work on a text is one look at every fourth byte, however many values there are and of however many
//! lengths, and a digest of what is very likely one.
//!
//! | file | arrow |
//! |---|---|
//! | `name`, `value` | a variable → is it a secret, and whose; else why not |
//! | `digest` | value → [`Digest`], keyed |
//! | `table` | digests → what finds them in a text |
//! | `canary` | random bytes → a value to plant, and what is kept of it |

mod canary;
mod digest;
mod name;
mod table;
mod value;

pub use canary::{CANARY_SCHEMA, CanaryError, Planted, new_canary};
pub use digest::{Digest, DigestKeys};
pub use name::{NameKind, kind_of, owners, shown_name};
pub use value::{Untaken, secret_of};

use super::decode::View;
use posture::{Direction, Family, Placement, Word};
use std::{
    borrow::Cow,
    sync::{Arc, LazyLock, PoisonError, RwLock},
};
use table::Table;

/// The shortest value that is looked for, in bytes.
pub const MIN_VALUE: usize = 12;
/// The longest, in bytes.
pub const MAX_VALUE: usize = 4 << 10;
/// Known secrets at once; more are not taken.
pub const MAX_SECRETS: usize = 256;
/// Canaries at once; more are not made.
pub const MAX_CANARIES: usize = 128;

/// Where a known value is from: what a finding of it says, in place of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A line of one of Hermes' `.env` files.
    EnvFile,
    /// A variable the operator named, of the monitor's own environment.
    EnvVariable,
    /// Planted by `canary new`.
    Canary,
}

impl Kind {
    /// The identifier its findings carry where those of a rule carry the rule's.
    pub fn id(self) -> &'static Word {
        static IDS: LazyLock<[Word; 3]> = LazyLock::new(|| {
            ["known_secret.env_file", "known_secret.env_variable", "canary.planted"]
                .map(|id| id.parse().expect("lower-case letters, a dot and underscores are a word"))
        });
        &IDS[self as usize]
    }

    /// The `pattern` of its findings.
    pub fn family(self) -> Family {
        if self == Self::Canary { Family::Canary } else { Family::KnownSecret }
    }

    /// What a finding shows in place of the value.
    pub fn snippet(self) -> String {
        format!("[REDACTED {}]", self.id())
    }

    /// Whether it is looked for in messages that go this way. What comes in may hold the agent's own secrets, told back
    /// by a server that has them; a canary is nowhere at home.
    fn goes(self, direction: Direction) -> bool {
        self == Self::Canary || direction == Direction::Outbound
    }
}

/// A known value in a text.
pub struct Sighting<'t> {
    /// Its digest, and what is known besides.
    pub digest: &'t Digest,
    /// The value as it stands there.
    pub matched: Cow<'t, [u8]>,
}

/// Every value known at one time.
#[derive(Default)]
pub struct Values {
    texts: Table,
    /// As a host's name spells them, and a field's: in lower case, without dots.
    hosts: Table,
    /// Of all that were known in this process, one after the other, the how manieth these are.
    generation: u64,
}

impl Values {
    /// What finds these values. Of equal ones the first stands.
    pub fn new(keys: &Arc<DigestKeys>, digests: Vec<Digest>) -> Self {
        let hosts = digests.iter().filter_map(Digest::in_host).collect();
        Self { texts: Table::new(keys, digests), hosts: Table::new(keys, hosts), generation: 0 }
    }

    /// A number that no other values have that were known before or after these.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether there is nothing to look for.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Each value in the view that is looked for in this direction, once.
    pub fn sightings<'t>(&'t self, direction: Direction, view: &View<'t>) -> Vec<Sighting<'t>> {
        if view.placement == Placement::Host {
            return in_host(&self.hosts, direction, view.text);
        }
        let mut found = Vec::new();
        self.texts.find(view.text, &|kind| kind.goes(direction), &mut |digest, range| {
            found.push(Sighting { digest, matched: Cow::Borrowed(&view.text[range]) });
        });
        // The case of a field's name is lost before it comes here, as that of a host's is.
        if found.is_empty() && view.name.is_none() && matches!(view.placement, Placement::Header | Placement::Trailer) {
            found = in_host(&self.hosts, direction, view.text);
        }
        found
    }

    /// Whether a host's name holds one, over however many labels.
    pub fn in_name(&self, host: &str) -> bool {
        !in_host(&self.hosts, Direction::Outbound, host.as_bytes()).is_empty()
    }
}

fn in_host<'t>(table: &'t Table, direction: Direction, host: &[u8]) -> Vec<Sighting<'t>> {
    let mut found = Vec::new();
    if table.is_empty() {
        return found;
    }
    let name = digest::as_host(host);
    table.find(&name, &|kind| kind.goes(direction), &mut |digest, range| {
        found.push(Sighting { digest, matched: Cow::Owned(name[range].to_vec()) });
    });
    found
}

/// What is known now. It changes while scanners are at work; a message is judged by what was known when it began.
#[derive(Default)]
pub struct Known(RwLock<Arc<Values>>);

impl Known {
    /// The values known now.
    pub fn values(&self) -> Arc<Values> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From here on these.
    pub fn replace(&self, values: Values) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *known = Arc::new(Values { generation: known.generation + 1, ..values });
    }
}

#[cfg(test)]
mod tests;
