//! What passed one way on a WebSocket → its messages: a copy, parsed beside the relay (RFC 6455).
//!
//! A text message is shown to the scanners as it passes, whatever its fragments and its compression; of a binary one
//! only the size is told. Coverage counts payloads, as it does bodies: frame headers are framing, like chunk sizes.
//! Payloads of Ping, Pong and Close are binary bytes of no message. Where the copy cannot be followed (a frame that
//! breaks the rules, an extension other than permessage-deflate, an inflated size beyond all measure) everything from
//! that frame on counts as relayed, frame headers included. The relay itself never depends on any of this.

mod extensions;
mod inflate;

pub(super) use extensions::Extensions;

use super::{
    listener::Connection,
    message::Head,
    meter::{MessageTicket, OpaqueTicket},
    tap::{Tap, TapMessage},
};
use inflate::Inflate;
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
