//! One message's state: fed in order, it reports each hit once.

mod judge;

use super::{
    Detector, Hit,
    decode::{self, Blocks, Budget, Coding, Events, Kept, Shape, Stop, Unwrap, View, Viewer, Voice},
};
use crate::flow::capture::{Field, Head, StartLine};
use judge::Judge;
use posture::{Encoding, Placement, UnscannedReason};
use std::sync::Arc;

/// Relayed bytes of a coded body that are remembered: longer than most keys.
const RECENT: usize = 256;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scanned {
    /// Body bytes, as relayed, that were looked at.
    pub bytes: u64,
    /// Why the others were not; `None` when all were.
    pub unscanned: Option<UnscannedReason>,
}

/// The scanner of one message.
pub struct Scanner {
    judge: Judge,
    budget: Budget,
    content_type: Vec<u8>,
    placement: Placement,
    coding: Coding,
    /// The coded body, cut evenly; `None` of a plain one.
    blocks: Option<Blocks>,
    /// A coding nobody here knows: what is looked at is not what the receiver sees.
    unknown_coding: bool,
    /// The last bytes of a coded body as relayed: where it breaks, they are what was lost.
    recent: Vec<u8>,
    content: Content,
    relayed: u64,
    stopped: Option<Stopped>,
    /// Bytes of packed texts within the body that the bounds left packed.
    unread: u64,
}

/// Why and where decoding ended before the body did.
#[derive(Clone, Copy)]
struct Stopped {
    reason: UnscannedReason,
    /// Relayed bytes that were looked at by then.
    at: u64,
}

/// The body, its content codings undone.
enum Content {
    /// Too little of it came to tell what it is.
    Unshaped(Vec<u8>),
    /// Judged as it comes.
    Events {
        events: Box<Events>,
        framing: Encoding,
        /// Decoded bytes that came, and those of them that were looked at.
        seen: u64,
        looked_at: u64,
    },
    /// Judged when it is whole.
    Whole(Kept),
}

impl Scanner {
    /// Begins a message. Its head is looked at here.
    pub fn new(detector: Arc<Detector>, head: Head, on: &mut dyn FnMut(&Hit<'_>)) -> Self {
        let limits = detector.limits;
        let known = Coding::named(&codings(&head.fields), &limits);
        let content_type = head.field("content-type").unwrap_or_default().to_vec();
        let Head { direction, route, start, fields } = head;
        let mut scanner = Self {
            budget: Budget::new(&limits),
            content_type,
            placement: match start {
                StartLine::WebSocket => Placement::Websocket,
                _ => Placement::Body,
            },
            unknown_coding: known.is_none(),
            blocks: known.as_ref().filter(|c| !c.is_plain()).map(|_| Blocks::default()),
            coding: known.unwrap_or_default(),
            recent: Vec::new(),
            content: Content::Unshaped(Vec::new()),
            relayed: 0,
            stopped: None,
            unread: 0,
            judge: Judge::new(detector, direction, Arc::clone(&route)),
        };
        scanner.unwrap(Placement::Header, on, |w| {
            decode::fields(w, &fields);
            if let StartLine::Request { method, target } = &start {
                decode::method(w, method);
                if method[..] == b"CONNECT"[..] {
                    decode::host(w, target);
                } else {
                    decode::target(w, target);
                }
                decode::host(w, route.host.as_bytes());
            }
        });
        scanner
    }

    /// The next piece of the body.
    pub fn body(&mut self, chunk: &[u8], on: &mut dyn FnMut(&Hit<'_>)) {
        let Some(mut blocks) = self.blocks.take() else {
            self.relayed += chunk.len() as u64;
            self.budget.earn(chunk.len());
            return self.content(chunk, on);
        };
        blocks.push(chunk, &mut |block| self.coded(block, on));
        self.blocks = Some(blocks);
    }

    /// The next block of a coded body.
    fn coded(&mut self, block: &[u8], on: &mut dyn FnMut(&Hit<'_>)) {
        let before = self.relayed;
        self.relayed += block.len() as u64;
        match self.stopped {
            Some(Stopped { reason: UnscannedReason::Undecodable, .. }) => {
                self.budget.earn(block.len());
                return self.content(block, on);
            }
            Some(_) => return,
            None => self.budget.earn(block.len()),
        }
        let mut coding = std::mem::take(&mut self.coding);
        let done = coding.push(block, &mut |piece| self.content(piece, on));
        self.coding = coding;
        self.stop(done, before);
        if done == Err(Stop::Broken) {
            self.as_written(block, on);
        } else {
            self.recent.drain(..(self.recent.len() + block.len()).saturating_sub(RECENT));
            self.recent.extend_from_slice(block);
        }
    }

    /// Looks at what does not decode as it stands: a sender may lie about its coding to a receiver that knows. It counts
    /// as undecodable all the same.
    fn as_written(&mut self, block: &[u8], on: &mut dyn FnMut(&Hit<'_>)) {
        if self.coding.has_made() {
            // What came out is no part of what follows.
            self.content(b"\n", on);
        } else {
            let coding = std::mem::take(&mut self.coding);
            for (_, text) in coding.aside() {
                self.content(text, on);
                self.content(b"\n", on);
            }
        }
        let recent = std::mem::take(&mut self.recent);
        self.content(&recent, on);
        self.content(block, on);
    }

    /// The trailer section.
    pub fn trailers(&mut self, fields: &[Field], on: &mut dyn FnMut(&Hit<'_>)) {
        self.unwrap(Placement::Trailer, on, |w| decode::fields(w, fields));
    }

    /// The message is over: judges what was held back for its end.
    pub fn end(self, on: &mut dyn FnMut(&Hit<'_>)) -> Scanned {
        self.conclude(on).0
    }

    /// As [`Scanner::end`], with what [`Scanner::token_seen`] is by then: most bodies are judged at their end.
    pub fn conclude(mut self, on: &mut dyn FnMut(&Hit<'_>)) -> (Scanned, u64) {
        if let Some(blocks) = self.blocks.take() {
            self.coded(&blocks.last(), on);
        }
        if self.stopped.is_none() && !self.coding.is_plain() {
            let mut coding = std::mem::take(&mut self.coding);
            let done = coding.end(&mut |piece| self.content(piece, on));
            self.coding = coding;
            self.stop(done, 0);
            if done == Err(Stop::Broken) {
                self.as_written(&[], on);
            }
        }
        self.shape(true, on);
        let mut scanned = self.scanned();
        let Self { mut judge, mut budget, content_type, placement, coding, content, mut unread, .. } = self;
        let direction = judge.direction;
        unread += coding.unsaid() as u64;
        for (within, text) in coding.aside() {
            unwrapped(&mut judge, &mut budget, placement, on, |w| {
                coding.encodings()[..within].iter().for_each(|&e| w.framed(e));
                w.text(text, None, Voice::Unknown);
                unread += w.unread() as u64;
            });
        }
        unwrapped(&mut judge, &mut budget, placement, on, |w| {
            coding.encodings().iter().for_each(|&e| w.framed(e));
            match content {
                Content::Events { mut events, framing, .. } => {
                    w.framed(framing);
                    events.end(w);
                }
                Content::Whole(kept) => {
                    let (start, end) = kept.finish();
                    decode::body(w, &start, &content_type, direction);
                    if let Some(end) = end {
                        decode::tail(w, &end);
                    }
                }
                Content::Unshaped(_) => {}
            }
            unread += w.unread() as u64;
        });
        if unread > 0 {
            scanned.bytes = scanned.bytes.saturating_sub(unread);
            scanned.unscanned = scanned.unscanned.or(Some(UnscannedReason::OverBound));
        }
        (scanned, u64::from(judge.token_seen))
    }

    /// Bytes held until the end or the next event.
    pub fn held(&self) -> usize {
        self.coding.held()
            + self.blocks.as_ref().map_or(0, Blocks::held)
            + self.content_type.len()
            + self.recent.len()
            + self.judge.held()
            + match &self.content {
                Content::Unshaped(start) => start.len(),
                Content::Events { events, .. } => events.held(),
                Content::Whole(kept) => kept.held(),
            }
    }

    /// 1 when our own proxy token was in the message, where it has no business; else 0.
    pub fn token_seen(&self) -> u64 {
        u64::from(self.judge.token_seen)
    }

    /// A piece of the decoded body.
    fn content(&mut self, piece: &[u8], on: &mut dyn FnMut(&Hit<'_>)) {
        match &mut self.content {
            Content::Unshaped(start) => {
                start.extend_from_slice(piece);
                self.shape(false, on);
            }
            Content::Whole(kept) => kept.push(piece),
            Content::Events { seen, looked_at, .. } => {
                let left = (self.judge.detector.limits.max_decoded_bytes as u64).saturating_sub(*looked_at);
                let fits = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                *seen += piece.len() as u64;
                *looked_at += fits as u64;
                self.events(&piece[..fits], on);
            }
        }
    }

    /// Decides what the body is, once it can be told.
    fn shape(&mut self, over: bool, on: &mut dyn FnMut(&Hit<'_>)) {
        let Content::Unshaped(start) = &mut self.content else { return };
        let Some(shape) = decode::shape(&self.content_type, start, over) else { return };
        let start = std::mem::take(start);
        let limits = &self.judge.detector.limits;
        let framing = match shape {
            Shape::Events => Encoding::Sse,
            Shape::Lines => Encoding::Json,
            Shape::Whole => {
                let mut kept = Kept::new(limits.max_scan_bytes);
                kept.push(&start);
                self.content = Content::Whole(kept);
                return;
            }
        };
        self.content = Content::Events { events: Box::new(Events::new(limits)), framing, seen: 0, looked_at: 0 };
        self.content(&start, on);
    }

    fn events(&mut self, piece: &[u8], on: &mut dyn FnMut(&Hit<'_>)) {
        let Self { judge, budget, placement, coding, content, unread, .. } = self;
        if let Content::Events { events, framing, .. } = content {
            unwrapped(judge, budget, *placement, on, |w| {
                coding.encodings().iter().for_each(|&e| w.framed(e));
                w.framed(*framing);
                events.push(w, piece);
                *unread += w.unread() as u64;
            });
        }
    }

    fn unwrap(&mut self, placement: Placement, on: &mut dyn FnMut(&Hit<'_>), work: impl FnOnce(&mut Unwrap<'_>)) {
        unwrapped(&mut self.judge, &mut self.budget, placement, on, work);
    }

    /// Notes that decoding ended early, `before` bytes into the body.
    fn stop(&mut self, done: Result<(), Stop>, before: u64) {
        let reason = match done {
            Ok(()) => return,
            Err(Stop::Broken) => UnscannedReason::Undecodable,
            Err(Stop::Bound) => UnscannedReason::OverBound,
        };
        // What only went in was not looked at.
        self.stopped = Some(Stopped { reason, at: if self.coding.has_made() { before } else { 0 } });
    }

    /// How much of the body was looked at: of a coded one, the share of what came out of it.
    fn scanned(&self) -> Scanned {
        let (looked_at, seen) = match &self.content {
            Content::Unshaped(start) => (start.len() as u64, start.len() as u64),
            Content::Events { looked_at, seen, .. } => (*looked_at, *seen),
            Content::Whole(kept) => (kept.held() as u64, kept.seen()),
        };
        let (reached, reason) = match self.stopped {
            _ if self.unknown_coding && self.relayed > 0 => (0, UnscannedReason::Undecodable),
            Some(stopped) => (stopped.at, stopped.reason),
            None => (self.relayed, UnscannedReason::OverBound),
        };
        let share = u128::from(reached) * u128::from(looked_at) / u128::from(seen.max(1));
        let bytes = if looked_at == seen { reached } else { u64::try_from(share).unwrap_or(reached) };
        Scanned { bytes, unscanned: (bytes < self.relayed).then_some(reason) }
    }
}

/// The codings of a body in the order they were applied, however many fields name them: those of the content, then those
/// of the transfer, but for the framing that the engine undoes (RFC 9112, section 6.1).
fn codings(fields: &[Field]) -> Vec<u8> {
    let named = |name: &'static str| {
        let values = fields.iter().filter(move |f| f.name.eq_ignore_ascii_case(name.as_bytes())).map(|f| &f.value[..]);
        values.flat_map(|v| v.split(|&b| b == b',')).map(<[u8]>::trim_ascii)
    };
    let transfer = named("transfer-encoding").filter(|word| !word.eq_ignore_ascii_case(b"chunked"));
    // Some clients say it by what they sign alone.
    let signed = named("x-amz-content-sha256").any(|word| word.starts_with(b"STREAMING-"));
    let framed = signed.then_some(decode::AWS_CHUNKED);
    named("content-encoding").chain(transfer).chain(framed).collect::<Vec<_>>().join(&b',')
}

/// The judge, and who is told of the hits.
struct Judging<'j, 'o> {
    judge: &'j mut Judge,
    on: &'j mut (dyn FnMut(&Hit<'_>) + 'o),
}

impl Viewer for Judging<'_, '_> {
    fn view(&mut self, view: &View<'_>) {
        self.judge.view(view, self.on);
    }

    fn begin(&mut self, part: &View<'_>) -> bool {
        self.judge.begin(part, self.on)
    }

    fn end(&mut self, whole: bool) {
        self.judge.end(whole);
    }
}

/// Runs `work` on an [`Unwrap`] that shows what it finds to the judge.
fn unwrapped(
    judge: &mut Judge,
    budget: &mut Budget,
    placement: Placement,
    on: &mut dyn FnMut(&Hit<'_>),
    work: impl FnOnce(&mut Unwrap<'_>),
) {
    let limits = judge.detector.limits;
    work(&mut Unwrap::new(&limits, budget, placement, &mut Judging { judge, on }));
}

#[cfg(test)]
mod tests;
