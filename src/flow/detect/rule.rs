//! Rules are data: `rules/*.toml`, parsed, checked, versioned and hashed.

/// One rule.
pub struct Rule {}
