//! Who says it: the signing key, the public keys that check it, their identifiers and their files.
//!
//! Ed25519 (RFC 8032) alone, by `ed25519-dalek`; nothing cryptographic is written here. Secret and public forms are two
//! types. A secret has no `Clone`, no `Serialize`, and one named door to its bytes.
//!
//! | file | holds |
//! |---|---|
//! | `key` | [`SigningKey`], [`PublicKey`] and [`KeyId`] |
//! | `signature` | [`Signature`] and its one line of base64 |
//! | [`file`](mod@file) | files made with their final mode, and refused when others can reach them |
//! | `folder` | [`KeyFolder`]: the three secrets of an installation |
//! | `swap` | [`KeySwap`]: one signing key in the place of another |
//! | `error` | [`KeyError`]: a variant for each thing to act on |

mod error;
pub mod file;
mod folder;
mod key;
mod signature;
mod swap;

pub use error::KeyError;
pub use folder::{Created, FingerprintKey, KeyFolder, ProxyToken};
pub use key::{KeyId, PublicKey, SigningKey};
pub use signature::Signature;
pub use swap::KeySwap;
