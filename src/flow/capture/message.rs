//! What capture hands on: one direction of one exchange, as ordered parts.
//!
//! Nothing here has a `Debug` or a `Display` that shows bytes from the wire.

use bytes::Bytes;
use posture::{Direction, Protocol};
use std::{net::IpAddr, sync::Arc};

/// Where a message's bytes really went or came from, and how far that is proven.
#[derive(Clone)]
pub struct Route {
    /// The scheme by which the bytes travelled.
    pub protocol: Protocol,
    /// The host dialled: lower case, no trailing dot, an IPv6 literal without brackets.
    pub host: String,
    /// The port dialled.
    pub port: u16,
    /// The client's address.
    pub source: IpAddr,
    /// CONNECT authority, SNI (when there was one) and Host or `:authority` named the same host and port.
    pub names_agree: bool,
    /// The upstream certificate was verified against the platform's roots.
    pub verified_tls: bool,
}

/// One header or trailer field, as it stood on the wire.
#[derive(Clone)]
pub struct Field {
    /// Its name. HTTP/1 names come in lower case: the engine keeps their case for the wire alone.
    pub name: Bytes,
    /// Its value.
    pub value: Bytes,
}

/// The first line of a message.
#[derive(Clone)]
pub enum StartLine {
    /// A request: method and request target (RFC 9112, section 3.2), as sent by the client.
    Request {
        /// The method.
        method: Bytes,
        /// The target, in the form the client used.
        target: Bytes,
    },
    /// A response and its status code.
    Response {
        /// The status code.
        status: u16,
    },
    /// A WebSocket message: it has no head of its own.
    WebSocket,
}

/// A message before its body.
#[derive(Clone)]
pub struct Head {
    /// Which way it goes.
    pub direction: Direction,
    /// Where to or from.
    pub route: Arc<Route>,
    /// Its first line.
    pub start: StartLine,
    /// Its header fields, in their order; last, as `:reason`, the reason phrase of a response that has one of its own.
    pub fields: Vec<Field>,
}

impl Head {
    /// The value of the first field called `name`, without regard to case.
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields.iter().find(|f| f.name.eq_ignore_ascii_case(name.as_bytes())).map(|f| &f.value[..])
    }
}

/// What follows the head, in order: any number of bodies, at most one set of trailers, then exactly one end.
pub enum Part {
    /// A piece of the body, as relayed.
    Body(Bytes),
    /// The trailer section.
    Trailers(Vec<Field>),
    /// The message is over, complete or cut short.
    End,
}
