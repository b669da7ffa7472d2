//! What passed one way on a WebSocket → its messages: a copy, parsed beside the relay (RFC 6455).
//!
//! A text message is shown to the scanners as it passes, whatever its fragments and its compression; of a binary one
//! only the size is told. Coverage counts payloads, as it does bodies: frame headers are framing, like chunk sizes.
//! Payloads of Ping, Pong and Close are binary bytes of no message. Where the copy cannot be followed (a frame that
//! breaks the rules, an extension other than permessage-deflate, an inflated size beyond all measure) everything from
//! that frame on counts as relayed, frame headers included. The relay itself never depends on any of this.

use super::{
    listener::Connection,
    message::Head,
    meter::{MessageTicket, OpaqueTicket},
    tap::{Tap, TapMessage},
};
use flate2::{Decompress, FlushDecompress, Status};
use hudsucker::hyper::{HeaderMap, header::SEC_WEBSOCKET_EXTENSIONS};
use posture::UnscannedReason;
use std::{io::Cursor, sync::Arc};
use tungstenite::protocol::frame::{
    FrameHeader,
    coding::{Control, Data, OpCode},
};

/// The longest frame header (RFC 6455, section 5.2).
const HEADER: usize = 14;
/// The longest payload of a control frame (RFC 6455, section 5.5).
const CONTROL: u64 = 125;
/// The most one message may inflate to: a read of 16 KiB can stand for as many MiB, and each costs the relay time.
const INFLATED: usize = 8 << 20;
/// What a sender leaves out at the end of each message (RFC 7692, section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// What both ends agreed upon beyond RFC 6455.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extensions {
    /// Nothing.
    None,
    /// permessage-deflate (RFC 7692): whether the client, and the server, begins each message anew.
    Deflate {
        /// `client_no_context_takeover`.
        client_anew: bool,
        /// `server_no_context_takeover`.
        server_anew: bool,
    },
    /// Something nobody here reads.
    Unknown,
}

/// What passes one way.
pub(super) struct Websocket {
    connection: Arc<Connection>,
    tap: Tap,
    head: Head,
    inflate: Option<Inflate>,
    /// Bytes of a frame header that is not complete.
    header: Vec<u8>,
    next: Next,
    message: Option<Message>,
    closed: bool,
}

/// What the next byte is.
enum Next {
    Header,
    Payload {
        frame: FrameHeader,
        left: u64,
        /// Bytes of it that passed: where in the mask it stands.
        passed: usize,
    },
    Anything(OpaqueTicket),
}

/// A message of which not every fragment passed.
struct Message {
    kind: Kind,
    deflated: bool,
}

enum Kind {
    Text(TapMessage),
    Binary(Arc<MessageTicket>),
}

/// This cannot be followed any further.
struct Lost;

impl Extensions {
    /// As the response that switches protocols has them (RFC 6455, section 9.1).
    pub(super) fn agreed(response: &HeaderMap) -> Self {
        let mut agreed = Self::None;
        for value in response.get_all(SEC_WEBSOCKET_EXTENSIONS) {
            let Ok(value) = value.to_str() else { return Self::Unknown };
            for extension in value.split(',').map(str::trim).filter(|e| !e.is_empty()) {
                match Self::deflate(extension) {
                    Some(deflate) if agreed == Self::None => agreed = deflate,
                    _ => return Self::Unknown,
                }
            }
        }
        agreed
    }

    fn deflate(extension: &str) -> Option<Self> {
        let mut words = extension.split(';').map(str::trim);
        if !words.next()?.eq_ignore_ascii_case("permessage-deflate") {
            return None;
        }
        let (mut client_anew, mut server_anew) = (false, false);
        for word in words {
            match word.split_once('=').map_or(word, |(name, _)| name.trim()).to_ascii_lowercase().as_str() {
                "client_no_context_takeover" => client_anew = true,
                "server_no_context_takeover" => server_anew = true,
                // A smaller window is within the one we keep.
                "client_max_window_bits" | "server_max_window_bits" => {}
                _ => return None,
            }
        }
        Some(Self::Deflate { client_anew, server_anew })
    }

    /// The two ways of a WebSocket, from the client and to it, whose messages begin as `heads`.
    pub(super) fn ways(self, connection: &Arc<Connection>, tap: &Tap, heads: [Head; 2]) -> [Websocket; 2] {
        let anew = match self {
            Self::Deflate { client_anew, server_anew } => [Some(client_anew), Some(server_anew)],
            Self::None | Self::Unknown => [None, None],
        };
        let mut anew = anew.into_iter();
        heads.map(|head| {
            let next = match self {
                Self::Unknown => Next::Anything(connection.ticket.opaque(UnscannedReason::WebsocketRelayed)),
                _ => Next::Header,
            };
            Websocket {
                connection: Arc::clone(connection),
                tap: tap.clone(),
                head,
                inflate: anew.next().flatten().map(Inflate::new),
                header: Vec::new(),
                next,
                message: None,
                closed: false,
            }
        })
    }
}

impl Websocket {
    /// These bytes passed.
    pub(super) fn passed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let lost = match &mut self.next {
                Next::Anything(ticket) => return ticket.relayed(bytes.len() as u64),
                Next::Header => self.read_header(&mut bytes),
                Next::Payload { .. } => self.read_payload(&mut bytes),
            };
            if lost.is_err() {
                self.message = None;
                self.inflate = None;
                let ticket = self.connection.ticket.opaque(UnscannedReason::WebsocketRelayed);
                ticket.relayed(std::mem::take(&mut self.header).len() as u64);
                self.next = Next::Anything(ticket);
            }
        }
    }

    /// Takes what belongs to the header, and nothing when it is lost.
    fn read_header(&mut self, bytes: &mut &[u8]) -> Result<(), Lost> {
        let before = self.header.len();
        self.header.extend_from_slice(&bytes[..bytes.len().min(HEADER - before)]);
        let mut cursor = Cursor::new(&self.header);
        let parsed = FrameHeader::parse(&mut cursor).map_err(|_| Lost);
        let taken = usize::try_from(cursor.position()).map_err(|_| Lost)?.saturating_sub(before);
        let begun = parsed.and_then(|parsed| match parsed {
            Some((frame, left)) => self.begin(&frame, left).map(|()| Some((frame, left))),
            None => Ok(None),
        });
        match begun {
            Err(lost) => {
                self.header.truncate(before);
                return Err(lost);
            }
            Ok(None) => {
                *bytes = &[];
                return Ok(());
            }
            Ok(Some((frame, left))) => self.next = Next::Payload { frame, left, passed: 0 },
        }
        *bytes = &bytes[taken..];
        self.header.clear();
        if matches!(self.next, Next::Payload { left: 0, .. }) { self.end_frame() } else { Ok(()) }
    }

    /// A frame begins, if it may (RFC 6455, sections 5.2, 5.4 and 5.5).
    fn begin(&mut self, frame: &FrameHeader, length: u64) -> Result<(), Lost> {
        let first = matches!(frame.opcode, OpCode::Data(Data::Text | Data::Binary));
        let may = !self.closed
            && !frame.rsv2
            && !frame.rsv3
            && (!frame.rsv1 || first && self.inflate.is_some())
            && i64::try_from(length).is_ok()
            && match frame.opcode {
                OpCode::Control(_) => frame.is_final && length <= CONTROL,
                OpCode::Data(Data::Continue) => self.message.is_some(),
                OpCode::Data(_) => self.message.is_none(),
            };
        if !may {
            return Err(Lost);
        }
        let kind = match frame.opcode {
            OpCode::Data(Data::Text) => Kind::Text(self.tap.open(self.head.clone())),
            OpCode::Data(Data::Binary) => Kind::Binary(self.connection.ticket.message()),
            OpCode::Control(Control::Close) => {
                self.closed = true;
                return Ok(());
            }
            _ => return Ok(()),
        };
        self.message = Some(Message { kind, deflated: frame.rsv1 });
        Ok(())
    }

    /// Takes what belongs to the payload, and nothing when it is lost.
    fn read_payload(&mut self, bytes: &mut &[u8]) -> Result<(), Lost> {
        let Next::Payload { frame, left, passed } = &mut self.next else { return Ok(()) };
        let (piece, rest) = bytes.split_at(bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX)));
        let mut unmasked = Vec::new();
        let shown = match frame.mask {
            Some(mask) => {
                unmasked
                    .extend(piece.iter().zip(mask.iter().cycle().skip(*passed % 4)).map(|(byte, mask)| byte ^ mask));
                &unmasked
            }
            None => piece,
        };
        match &mut self.message {
            Some(message) if matches!(frame.opcode, OpCode::Data(_)) => message.payload(&mut self.inflate, shown)?,
            _ => self.connection.ticket.bytes(UnscannedReason::WebsocketBinary).relayed(piece.len() as u64),
        }
        *passed = passed.wrapping_add(piece.len());
        *left -= piece.len() as u64;
        *bytes = rest;
        if *left == 0 { self.end_frame() } else { Ok(()) }
    }

    /// The frame is over, and so is the message, if it was the last of it.
    fn end_frame(&mut self) -> Result<(), Lost> {
        let Next::Payload { frame, .. } = std::mem::replace(&mut self.next, Next::Header) else { return Ok(()) };
        if frame.is_final
            && matches!(frame.opcode, OpCode::Data(_))
            && let Some(mut message) = self.message.take()
        {
            message.end(&mut self.inflate)?;
        }
        Ok(())
    }
}

impl Message {
    fn payload(&mut self, inflate: &mut Option<Inflate>, piece: &[u8]) -> Result<(), Lost> {
        // What does not inflate is not counted here but where everything after it is.
        match (inflate, self.deflated) {
            (Some(inflate), true) => inflate.push(piece, &mut |inflated| self.show(inflated))?,
            _ => self.show(piece),
        }
        match &self.kind {
            Kind::Text(text) => text.relayed(piece.len() as u64),
            Kind::Binary(ticket) => ticket.relayed(piece.len() as u64),
        }
        Ok(())
    }

    fn show(&mut self, piece: &[u8]) {
        if let Kind::Text(text) = &mut self.kind {
            text.show(piece);
        }
    }

    fn end(&mut self, inflate: &mut Option<Inflate>) -> Result<(), Lost> {
        match (inflate, self.deflated) {
            (Some(inflate), true) => inflate.end(&mut |inflated| self.show(inflated)),
            _ => Ok(()),
        }
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        if let Kind::Binary(ticket) = &self.kind {
            ticket.settle(0, Some(UnscannedReason::WebsocketBinary));
        }
    }
}

/// The compression of one way, undone.
struct Inflate {
    anew: bool,
    /// None until something is compressed: most of it is a window of 32 KiB.
    stream: Option<Box<Decompress>>,
    /// Of the message that passes.
    inflated: usize,
}

impl Inflate {
    fn new(anew: bool) -> Self {
        Self { anew, stream: None, inflated: 0 }
    }

    fn push(&mut self, mut piece: &[u8], show: &mut dyn FnMut(&[u8])) -> Result<(), Lost> {
        let stream = self.stream.get_or_insert_with(|| Box::new(Decompress::new(false)));
        let mut space = [0; 8 << 10];
        loop {
            let (taken, made) = (stream.total_in(), stream.total_out());
            let status = stream.decompress(piece, &mut space, FlushDecompress::None).map_err(|_| Lost)?;
            let taken = usize::try_from(stream.total_in() - taken).map_err(|_| Lost)?;
            let made = usize::try_from(stream.total_out() - made).map_err(|_| Lost)?;
            piece = &piece[taken..];
            self.inflated += made;
            if self.inflated > INFLATED {
                return Err(Lost);
            }
            if made > 0 {
                show(&space[..made]);
            }
            if status == Status::StreamEnd {
                // A sender may end the stream with its message (RFC 7692, section 7.2.3.4): the next block begins anew.
                stream.reset(false);
            }
            if piece.is_empty() && (made < space.len() || status == Status::StreamEnd) {
                return Ok(());
            }
            if taken == 0 && made == 0 {
                return Err(Lost);
            }
        }
    }

    fn end(&mut self, show: &mut dyn FnMut(&[u8])) -> Result<(), Lost> {
        self.push(&TAIL, show)?;
        self.inflated = 0;
        if self.anew
            && let Some(stream) = &mut self.stream
        {
            stream.reset(false);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreed(values: &[&str]) -> Extensions {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(SEC_WEBSOCKET_EXTENSIONS, value.parse().unwrap());
        }
        Extensions::agreed(&headers)
    }

    #[test]
    fn one_permessage_deflate_is_read_and_nothing_else() {
        let deflate = |client_anew, server_anew| Extensions::Deflate { client_anew, server_anew };
        assert_eq!(agreed(&[]), Extensions::None);
        assert_eq!(agreed(&[""]), Extensions::None);
        assert_eq!(agreed(&["Permessage-Deflate"]), deflate(false, false));
        assert_eq!(
            agreed(&["permessage-deflate; Server_No_Context_Takeover;client_max_window_bits=10"]),
            deflate(false, true)
        );
        assert_eq!(
            agreed(&["permessage-deflate;client_no_context_takeover; server_max_window_bits = \"9\""]),
            deflate(true, false)
        );
        for unknown in [
            &["x-other"][..],
            &["permessage-deflate; x-new"],
            &["permessage-deflate, permessage-deflate"],
            &["permessage-deflate", "x-other"],
            &["permessage-bzip2"],
            &["; permessage-deflate"],
            &["permessage-deflate;"],
        ] {
            assert_eq!(agreed(unknown), Extensions::Unknown, "{unknown:?}");
        }
    }

    #[test]
    fn a_bomb_stops_at_the_bound() {
        let mut packer = flate2::Compress::new(flate2::Compression::best(), false);
        let mut bomb = Vec::with_capacity(64 << 10);
        packer.compress_vec(&vec![b'a'; INFLATED + 1], &mut bomb, flate2::FlushCompress::Sync).unwrap();
        assert!(bomb.len() < 16 << 10);
        let mut shown = 0;
        assert!(Inflate::new(false).push(&bomb, &mut |piece| shown += piece.len()).is_err());
        assert!(shown <= INFLATED);
    }

    #[test]
    fn a_stream_that_ends_with_its_message_begins_anew_with_the_next() {
        // RFC 7692, section 7.2.3.4.
        let hello = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
        let mut inflate = Inflate::new(false);
        for _ in 0..3 {
            let mut shown = Vec::new();
            let mut show = |piece: &[u8]| shown.extend_from_slice(piece);
            assert!(inflate.push(&hello, &mut show).is_ok() && inflate.end(&mut show).is_ok());
            assert_eq!(shown, b"Hello");
        }
    }
}
