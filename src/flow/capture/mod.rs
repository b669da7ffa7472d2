//! wire → Message: relays bytes unchanged and hands a bounded copy on.

mod message;
mod meter;

pub use message::{Field, Head, Part, Route, StartLine};
pub use meter::{ConnectionTicket, MessageTicket, Meter};
