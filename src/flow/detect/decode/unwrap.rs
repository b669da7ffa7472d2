//! Text → views: shows a text, then what each decoding makes of it, deeper and deeper within the bounds.

use super::{View, Viewer, Voice, binary, closed::Closed, escape, html, json, mail, packed, percent, runs};
use crate::flow::detect::Limits;
use memchr::{memchr, memchr2};
use posture::{Encoding, Placement};

/// The longest chain a view can carry: transport codings and framing, then `max_depth` nested decodings.
const MAX_CHAIN: usize = 24;
/// The longest chain outside a document whose parts are told of.
const MAX_OUTSIDE: usize = 4;
/// Rounds of percent-decoding followed.
const MAX_URL_ROUNDS: usize = 3;

/// Decoded bytes one message may still produce.
///
/// It grows with the message, so that a short one cannot buy much work, up to `max_decoded_bytes` in all.
#[derive(Debug)]
pub(in crate::flow::detect) struct Budget {
    left: usize,
    unearned: usize,
}

impl Budget {
    /// What even the smallest message may decode to: room for a packed script in one header.
    pub(super) const FLOOR: usize = 1 << 20;
    /// Decoded bytes earned by each byte of input: each of a handful of steps may rewrite it whole.
    const PER_BYTE: usize = 8;

    pub(in crate::flow::detect) fn new(limits: &Limits) -> Self {
        let left = limits.max_decoded_bytes.min(Self::FLOOR);
        Self { left, unearned: limits.max_decoded_bytes - left }
    }

    /// The message brought `bytes` more.
    pub(in crate::flow::detect) fn earn(&mut self, bytes: usize) {
        let earned = bytes.saturating_mul(Self::PER_BYTE).min(self.unearned);
        self.unearned -= earned;
        self.left += earned;
    }

    /// Pays for `bytes`, or refuses when they are not there.
    fn spend(&mut self, bytes: usize) -> bool {
        let paid = bytes <= self.left;
        if paid {
            self.left -= bytes;
        }
        paid
    }
}

/// The decodings that led to the present text, outermost first.
#[derive(Clone, Copy)]
struct Chain {
    steps: [Encoding; MAX_CHAIN],
    len: usize,
    /// Nested decodings among them: transport codings and framing are bounded elsewhere.
    depth: usize,
}

/// Takes texts apart and shows every view of them.
pub(in crate::flow::detect) struct Unwrap<'a> {
    limits: &'a Limits,
    budget: &'a mut Budget,
    chain: Chain,
    placement: Placement,
    /// Buffers to reuse: a leaf a buffer would be an allocation a leaf.
    spare: Vec<Vec<u8>>,
    /// Not all of the present part was looked at.
    refused: bool,
    /// What is shown was put together.
    joined: bool,
    /// Bytes of texts that the bounds left as they were.
    unread: usize,
    closed: Closed,
    viewer: &'a mut dyn Viewer,
}

impl<'a> Unwrap<'a> {
    pub(in crate::flow::detect) fn new(
        limits: &'a Limits,
        budget: &'a mut Budget,
        placement: Placement,
        viewer: &'a mut dyn Viewer,
    ) -> Self {
        let chain = Chain { steps: [Encoding::Json; MAX_CHAIN], len: 0, depth: 0 };
        Self {
            limits,
            budget,
            chain,
            placement,
            spare: Vec::new(),
            refused: false,
            joined: false,
            unread: 0,
            closed: Closed::default(),
            viewer,
        }
    }

    /// Whether parts are told of here: in the outermost document, since what is nested deeper may meet a bound sooner.
    pub(super) fn has_parts(&self) -> bool {
        self.chain.depth == 1 && self.chain.len <= MAX_OUTSIDE
    }

    /// Begins a part of the message, which is as it is by itself; answers whether it is known.
    pub(super) fn begin_part(&mut self, text: &[u8], voice: Voice) -> bool {
        self.settle();
        self.refused = false;
        let (encoding, placement) = (&self.chain.steps[..self.chain.len], self.placement);
        self.viewer.begin(&View { encoding, placement, voice, ..View::plain(text) })
    }

    /// Ends the part that began last; `whole` says that it is what it seemed to be.
    pub(super) fn end_part(&mut self, whole: bool) {
        self.settle();
        self.viewer.end(whole && !self.refused && self.budget.left > 0);
    }

    pub(super) fn limits(&self) -> &Limits {
        self.limits
    }

    /// The part of the message that what follows is in.
    pub(super) fn place(&mut self, placement: Placement) {
        self.placement = placement;
    }

    pub(super) fn placement(&self) -> Placement {
        self.placement
    }

    /// A transport coding or framing, outside everything else: it does not count as depth.
    pub(in crate::flow::detect) fn framed(&mut self, by: Encoding) {
        if self.chain.len < MAX_CHAIN {
            self.chain.steps[self.chain.len] = by;
            self.chain.len += 1;
        }
    }

    /// Whether the bound is reached, and nothing more is decoded here.
    pub(super) fn is_deepest(&self) -> bool {
        self.chain.len == MAX_CHAIN || self.chain.depth >= self.limits.max_depth
    }

    /// Runs `inner` one decoding deeper, unless the bound is reached.
    pub(super) fn deeper<T>(&mut self, by: Encoding, inner: impl FnOnce(&mut Self) -> T) -> Option<T> {
        // How much of the chain is left says what stands around a part, too.
        self.refused |= self.chain.len == MAX_CHAIN;
        if self.is_deepest() {
            return None;
        }
        let before = (self.chain.len, self.chain.depth);
        self.chain.steps[self.chain.len] = by;
        self.chain.len += 1;
        self.chain.depth += 1;
        let made = inner(self);
        (self.chain.len, self.chain.depth) = before;
        Some(made)
    }

    /// As [`Self::deeper`], for what says nothing as it is: beyond the bound it stays closed.
    pub(super) fn opened<T>(&mut self, by: Encoding, packed: &[u8], inner: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let made = self.deeper(by, inner);
        if made.is_some() {
            self.closed.open(packed);
        } else if !self.closed.keep(packed) {
            self.leave(packed.len());
        }
        made
    }

    /// As [`Self::deeper`], for a step that is framing around another: it does not count as depth.
    pub(super) fn within<T>(&mut self, by: Encoding, inner: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.chain.len;
        self.framed(by);
        let made = inner(self);
        self.chain.len = before;
        made
    }

    /// Whether `bytes` may be decoded still; they are paid for when so.
    pub(super) fn afford(&mut self, bytes: usize) -> bool {
        let paid = self.budget.spend(bytes);
        if !paid {
            self.leave(bytes);
        }
        paid
    }

    /// What is closed still is so for good: what comes next is another part.
    fn settle(&mut self) {
        if let Some(bytes) = self.closed.take() {
            self.leave(bytes);
        }
    }

    /// So many bytes of a text stay as they are: nobody looks at what they say.
    pub(super) fn leave(&mut self, bytes: usize) {
        self.refused = true;
        self.unread += bytes;
    }

    /// Bytes of texts that were left so far.
    pub(in crate::flow::detect) fn unread(&self) -> usize {
        self.unread + self.closed.bytes()
    }

    /// Bytes that may be decoded still.
    pub(super) fn affordable(&self) -> usize {
        self.budget.left
    }

    pub(super) fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    pub(super) fn give_back(&mut self, mut buffer: Vec<u8>) {
        // A few large buffers are worth keeping, and no more.
        if self.spare.len() < 8 && buffer.capacity() <= 1 << 20 {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    /// Shows a text that was put together from others, and everything that can be decoded from it.
    pub(super) fn joined(&mut self, text: &[u8], name: Option<&[u8]>, voice: Voice) {
        let before = std::mem::replace(&mut self.joined, true);
        self.text(text, name, voice);
        self.joined = before;
    }

    /// Shows `text` as it is.
    pub(super) fn show(&mut self, text: &[u8], name: Option<&[u8]>, voice: Voice) {
        if !text.is_empty() {
            let encoding = &self.chain.steps[..self.chain.len];
            self.viewer.view(&View { text, encoding, placement: self.placement, name, voice, joined: self.joined });
        }
    }

    /// Shows `text` and everything that can be decoded from it.
    pub(in crate::flow::detect) fn text(&mut self, text: &[u8], name: Option<&[u8]>, voice: Voice) {
        let left = self.unread;
        self.unwrapped(text, name, voice);
        // However many steps were refused, no more than all of it was left.
        self.unread = self.unread.min(left + text.len());
    }

    fn unwrapped(&mut self, text: &[u8], name: Option<&[u8]>, voice: Voice) {
        if packed::is(text) && packed::unpack(self, text, name, voice) {
            return;
        }
        if json::likely(text) && self.deeper(Encoding::Json, |w| json::walk(w, text, voice, false)) == Some(true) {
            return;
        }
        self.bytes(text, name, voice);
    }

    /// As [`Self::text`], of what is nothing packed and no JSON.
    pub(super) fn bytes(&mut self, text: &[u8], name: Option<&[u8]>, voice: Voice) {
        if binary::is(text) {
            binary::printable(self, text, name, voice);
            return;
        }
        // What a head says as it was sent is no form for programs: the first letters of `Bearer` would measure any key.
        let in_head =
            matches!(self.placement, Placement::Header | Placement::Path | Placement::Query | Placement::Host);
        if self.chain.len > 0 || !in_head {
            binary::measured(self, text, name, voice);
        }
        self.as_written(text, name, voice);
    }

    /// Shows `text` as it is, and what the encodings that occur within texts hide in it.
    pub(super) fn as_written(&mut self, text: &[u8], name: Option<&[u8]>, voice: Voice) {
        self.show(text, name, voice);
        self.reshape(text, name, voice);
    }

    /// Shows what the encodings that occur within texts hide, but not `text` itself.
    pub(super) fn reshape(&mut self, text: &[u8], name: Option<&[u8]>, voice: Voice) {
        // Most strings are such: a look for each mark costs more than they have bytes.
        if text.len() < runs::SHORTEST && !text.iter().any(|b| matches!(b, b'<' | b'&' | b'%' | b'\\')) {
            return;
        }
        if memchr2(b'<', b'&', text).is_some() {
            html::decode(self, text, name, voice);
        }
        if let Some(first) = memchr2(b'%', b'\\', text) {
            let rest = &text[first..];
            if memchr(b'%', rest).is_some() && self.url_rounds() < MAX_URL_ROUNDS {
                percent::decode(self, text, name, voice);
            }
            if memchr(b'\\', rest).is_some() || memchr(b'%', rest).is_some() {
                escape::decode(self, text, name, voice);
            }
        }
        mail::decode(self, text, name, voice);
        runs::decode(self, text, name, voice);
    }

    fn url_rounds(&self) -> usize {
        self.chain.steps[..self.chain.len].iter().filter(|&&e| e == Encoding::Url).count()
    }
}
