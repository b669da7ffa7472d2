//! How it is proved: the canonical form, the digest, the seal and the chain.

pub mod canonical;
pub mod chain;
pub mod digest;
pub mod seal;

pub use chain::{Chain, Framed, Record};
pub use digest::Document;
pub use seal::{Sealed, seal};
