//! The folder of the keys → the secrets of this run, and a rotation that broke off brought to its end.

use super::MonitorError;
use crate::{
    flow::vouch::{Succession, VouchError},
    home::Home,
};
use keys::KeyFolder;

/// Opens the keys, or makes them. Its caller holds the lock.
///
/// A rotation that a crash cut short is finished if its statement stands, and given up if it does not.
pub(super) fn open(home: &Home) -> Result<KeyFolder, MonitorError> {
    let old = Succession::mend(home).map_err(VouchError::from)?;
    let (keys, _) = KeyFolder::open_or_create_after(home.keys_dir(), &home.public_key(), old.as_ref())?;
    Ok(keys)
}
