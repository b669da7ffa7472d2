//! wire → Message: relays bytes unchanged and hands a bounded copy on.
//!
//! | file | arrow |
//! |---|---|
//! | `proxy` | settings → a listening proxy, and what its connections share |
//! | `listener` | listener → connections: limits, counts, drain |
//! | `tasks` | work that has to end before the proxy has |
//! | `newcomers` | who has to leave when there is no room |
//! | `patience` | how long a client may take |
//! | `forward` | request → upstream → response, the one way of every request |
//! | `hop` | header fields of one connection, kept off the next |
//! | `authority`, `agent` | names and clients, each in one spelling |
//! | `connect`, `recognise` | CONNECT → what it carries: requests, TLS, or a tunnel |
//! | `inspect`, `replay` | a client's TLS → the requests in it, when that is asked for |
//! | [`ca`] | a key → certificates for the hosts of inspected connections |
//! | `relay`, `websocket` | two streams → each other, and a WebSocket's messages beside it |
//! | `dial`, `leg`, `parent` | host and port → socket, secured or not, through another proxy or not: the one way out |
//! | `upstream` | request → the connection it goes out on → response |
//! | [`probe`](Prober) | a canary → the same listener, known by its connection alone |
//! | `reply` | refusal → response, in closed words |
//! | `tee`, `tap` | body → the same body, and a copy to the scanners |
//! | [`message`](Head), [`meter`](Meter) | what is handed on, and what is counted |
//!
//! **Non-interference.** Body bytes, trailers, status, field names with their case, values and order within a name
//! are relayed as they came; hop-by-hop fields, chunk sizes and the case of what the engine writes itself may differ.
//! Nothing is added, but a Host where the client sent none (RFC 9112, section 3.2.2), and nothing waits for a scan.
//! Of a Content-Length beside a Transfer-Encoding only the latter passes (RFC 9112, section 6.3), and a request whose end is
//! not in one place for every reader does not.
//! The engine drops 1xx responses other than 100 and 101, and trailers that no Trailer field announced or that frame or
//! route a message (RFC 9110, section 6.5.1).
//!
//! **The engine.** hudsucker gives `Body` and the hyper, hyper-util and rustls it was built with; its accept loop,
//! its CONNECT and its way of forwarding are ours here. Its `HttpHandler` cannot be called by anyone else: the
//! `HttpContext` it takes is `non_exhaustive` and has no constructor.

mod agent;
mod authority;
pub mod ca;
mod connect;
mod dial;
mod forward;
mod hop;
#[cfg(any(test, fuzzing))]
pub mod hostile;
mod inspect;
mod leg;
mod listener;
mod message;
mod meter;
mod newcomers;
mod parent;
mod patience;
mod probe;
mod proxy;
mod recognise;
mod relay;
mod replay;
mod reply;
mod tap;
mod tasks;
mod tee;
mod upstream;
mod websocket;

pub use inspect::Inspection;
pub use message::{Field, Head, Part, Route, StartLine};
pub use meter::{Arrived, ConnectionTicket, Fallback, MessageTicket, Meter, OpaqueTicket};
pub use parent::Parent;
pub use probe::{Canary, ProbeError, Prober, Sightings};
pub use proxy::{Load, Proxy, ProxySettings, Timeouts};
pub use tap::{Fed, Feed, Holding, Intake, MessageId, Tap, TapMessage};
