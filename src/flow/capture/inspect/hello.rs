//! First bytes → what a `ClientHello` asks for. Every byte read stays where it can be relayed from.

use super::{super::message::Field, HTTP1, HTTP2};
use bytes::Bytes;
use hudsucker::rustls::server::{Accepted, Acceptor};
use std::{
    hash::{BuildHasher, RandomState},
    sync::LazyLock,
};
use tokio::io::{AsyncRead, AsyncReadExt};

/// No `ClientHello` we read is longer: a handshake message may be, a client's first is not.
const MAX_BYTES: usize = 64 << 10;

/// Keys the shapes: they are compared within one process alone.
static SHAPES: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// What a client asks for.
pub(in super::super) struct Hello {
    /// The host it names (SNI): lower case, no trailing dot.
    pub(in super::super) name: Option<String>,
    /// The protocols it offers, in its order.
    pub(in super::super) alpn: Vec<Vec<u8>>,
    /// What kind of client it is: the same for equal programs with equal settings, whatever they connect to.
    pub(in super::super) shape: u64,
}

/// Why there is none.
pub(in super::super) enum Unread {
    /// It is no `ClientHello`; the alert to answer with.
    Malformed(Vec<u8>),
    /// The client went away.
    Ended,
}

/// Reads from `client` until what is in `first` is a whole `ClientHello`.
pub(in super::super) async fn read(
    client: &mut (impl AsyncRead + Unpin),
    first: &mut Vec<u8>,
) -> Result<Hello, Unread> {
    let mut acceptor = Acceptor::default();
    let mut fed = 0;
    loop {
        while fed < first.len() {
            let mut rest = &first[fed..];
            match acceptor.read_tls(&mut rest) {
                Ok(1..) => fed = first.len() - rest.len(),
                _ => return Err(Unread::Malformed(Vec::new())),
            }
            match acceptor.accept() {
                Ok(Some(accepted)) => return Ok(Hello::of(&accepted)),
                Ok(None) => {}
                Err((_, mut alert)) => {
                    let mut bytes = Vec::new();
                    let _ = alert.write_all(&mut bytes);
                    return Err(Unread::Malformed(bytes));
                }
            }
        }
        if first.len() >= MAX_BYTES {
            return Err(Unread::Malformed(Vec::new()));
        }
        match client.read_buf(first).await {
            Ok(1..) => {}
            _ => return Err(Unread::Ended),
        }
    }
}

impl Hello {
    fn of(accepted: &Accepted) -> Self {
        let hello = accepted.client_hello();
        let name = hello.server_name().map(|name| name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase());
        let alpn: Vec<Vec<u8>> = hello.alpn().into_iter().flatten().map(<[u8]>::to_vec).collect();
        let suites: Vec<u16> = hello.cipher_suites().iter().map(|suite| u16::from(*suite)).collect();
        let schemes: Vec<u16> = hello.signature_schemes().iter().map(|scheme| u16::from(*scheme)).collect();
        let groups: Vec<u16> = hello.named_groups().unwrap_or_default().iter().map(|group| u16::from(*group)).collect();
        let shape = SHAPES.hash_one((&alpn, suites, schemes, groups));
        Self { name, alpn, shape }
    }

    /// What its origin is told in it that no message says and that can be any text: a name that is not the tunnel's, and
    /// protocols that nobody knows, which are said as a request for a tunnel would (RFC 7639). `None` when there is nothing.
    pub(super) fn says_more(&self, names_agree: bool) -> Option<Vec<Field>> {
        let known: [&[u8]; 3] = [HTTP2, HTTP1, b"http/1.0"];
        let unknown: Vec<&[u8]> = self.alpn.iter().map(Vec::as_slice).filter(|p| !known.contains(p)).collect();
        let all = unknown.join(&b", "[..]);
        let fields = if all.is_empty() {
            Vec::new()
        } else {
            vec![Field { name: Bytes::from_static(b"alpn"), value: all.into() }]
        };
        (!names_agree || !fields.is_empty()).then_some(fields)
    }
}
