//! Content-Encoding → the body inside, as it arrives (RFC 9110, section 8.4).

mod aside;
mod blocks;
mod framed;
mod pipe;
mod zstd;

pub(in crate::flow::detect) use blocks::Blocks;

use crate::flow::detect::Limits;
use aside::Aside;
use brotli_decompressor::Decompressor;
use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use framed::Framed;
use pipe::Pipe;
use posture::Encoding;
use std::io::{self, ErrorKind, Read};
use zstd::Zstd;

/// More codings than this stacked on one body is no honest sender's doing.
const MAX_STACKED: usize = 4;
/// Output allowed before the ratio counts: the first bytes of a stream are its headers.
pub(super) const RATIO_FLOOR: u64 = 64 << 10;

/// Bytes of a `deflate` body that tell which of its kinds it is.
const SNIFFED: usize = 16;

/// The coding that is frames alone: see [`Framed`].
pub(in crate::flow::detect) const AWS_CHUNKED: &[u8] = b"aws-chunked";

/// Why decoding stopped before the input did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::flow::detect) enum Stop {
    /// The input is not what its coding says.
    Broken,
    /// The output passed the absolute bound, or the ratio.
    Bound,
}

/// The codings of one body, outermost first. The default undoes nothing.
#[derive(Default)]
pub(in crate::flow::detect) struct Coding {
    framed: Option<Framed>,
    stages: Vec<Stage>,
    encodings: Vec<Encoding>,
    meter: Meter,
}

/// What went in and came out of all stages together.
#[derive(Default)]
struct Meter {
    read: u64,
    made: u64,
    max_made: u64,
    max_ratio: u64,
}

impl Coding {
    /// The codings a `Content-Encoding` names; `None` when one of them is unknown or there are too many.
    pub(in crate::flow::detect) fn named(header: &[u8], limits: &Limits) -> Option<Self> {
        let (mut encodings, mut framed) = (Vec::new(), None);
        for word in header.split(|&b| b == b',').map(<[u8]>::trim_ascii) {
            encodings.push(match word.to_ascii_lowercase().as_slice() {
                b"" | b"identity" => continue,
                AWS_CHUNKED => {
                    framed = Some(Framed::default());
                    continue;
                }
                b"gzip" | b"x-gzip" => Encoding::Gzip,
                b"deflate" => Encoding::Deflate,
                b"br" => Encoding::Br,
                b"zstd" => Encoding::Zstd,
                _ => return None,
            });
        }
        encodings.reverse();
        (encodings.len() <= MAX_STACKED).then(|| Self { framed, ..Self::stacked(encodings, limits) })
    }

    /// One coding.
    pub(super) fn of(encoding: Encoding, limits: &Limits) -> Self {
        Self::stacked(vec![encoding], limits)
    }

    fn stacked(encodings: Vec<Encoding>, limits: &Limits) -> Self {
        let stages = encodings.iter().map(|&e| Stage::new(e)).collect();
        let meter =
            Meter { read: 0, made: 0, max_made: limits.max_decoded_bytes as u64, max_ratio: limits.max_ratio as u64 };
        Self { framed: None, stages, encodings, meter }
    }

    /// Whether the body stands as it is.
    pub(in crate::flow::detect) fn is_plain(&self) -> bool {
        self.framed.is_none() && self.stages.is_empty()
    }

    /// What is undone, outermost first, but for frames.
    pub(in crate::flow::detect) fn encodings(&self) -> &[Encoding] {
        &self.encodings
    }

    /// Whether anything came out.
    pub(in crate::flow::detect) fn has_made(&self) -> bool {
        self.meter.made > 0 || (self.stages.is_empty() && self.framed.as_ref().is_some_and(Framed::has_made))
    }

    /// Compressed bytes held until more of them come, and what was said beside the data.
    pub(in crate::flow::detect) fn held(&self) -> usize {
        let framed = self.framed.as_ref().map_or(0, Framed::held);
        framed + self.stages.iter().map(|stage| stage.held() + stage.aside.held()).sum::<usize>()
    }

    /// What the codings carry beside the data, each text with how many codings it was within.
    pub(in crate::flow::detect) fn aside(&self) -> impl Iterator<Item = (usize, &[u8])> {
        self.asides().flat_map(|(within, aside)| aside.said().map(move |text| (within, text)))
    }

    fn asides(&self) -> impl Iterator<Item = (usize, &Aside)> {
        let framed = self.framed.iter().map(|framed| (0, &framed.aside));
        framed.chain(self.stages.iter().enumerate().map(|(at, stage)| (at + 1, &stage.aside)))
    }

    /// Bytes beside the data that nobody kept.
    pub(in crate::flow::detect) fn unsaid(&self) -> usize {
        self.asides().map(|(_, aside)| aside.unsaid()).sum()
    }

    /// Decodes the next piece. After an error the rest of the body says nothing.
    pub(in crate::flow::detect) fn push(&mut self, piece: &[u8], out: &mut dyn FnMut(&[u8])) -> Result<(), Stop> {
        let Self { framed, stages, meter, .. } = self;
        meter.read += piece.len() as u64;
        match framed {
            Some(framed) => framed.push(piece, &mut |content| run(stages, content, false, meter, out)),
            None => run(stages, piece, false, meter, out),
        }
    }

    /// The input is over: gives what was still held. Input cut short is no error.
    pub(in crate::flow::detect) fn end(&mut self, out: &mut dyn FnMut(&[u8])) -> Result<(), Stop> {
        let Self { framed, stages, meter, .. } = self;
        if let Some(framed) = framed {
            framed.end(&mut |content| run(stages, content, false, meter, out))?;
        }
        run(stages, &[], true, meter, out)
    }
}

impl Meter {
    fn made(&mut self, bytes: usize) -> Result<(), Stop> {
        self.made += bytes as u64;
        let by_ratio = self.read.saturating_mul(self.max_ratio).max(RATIO_FLOOR);
        if self.made > self.max_made.min(by_ratio) { Err(Stop::Bound) } else { Ok(()) }
    }
}

fn run(
    stages: &mut [Stage],
    input: &[u8],
    over: bool,
    meter: &mut Meter,
    out: &mut dyn FnMut(&[u8]),
) -> Result<(), Stop> {
    let Some((stage, inner)) = stages.split_first_mut() else {
        if !input.is_empty() {
            out(input);
        }
        return Ok(());
    };
    stage.feed(input, over);
    // Small: a decoder that fails forgets the block it was filling.
    let mut block = [0; 4 << 10];
    loop {
        let done = stage.read(&mut block);
        stage.note();
        match done {
            // It has ended, and more came.
            Ok(0) if stage.held() > 0 => return Err(Stop::Broken),
            Ok(0) => break,
            Ok(n) => {
                stage.made = true;
                meter.made(n)?;
                run(inner, &block[..n], false, meter, out)?;
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => break,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            // Cut short, or never begun.
            Err(e) if e.kind() == ErrorKind::UnexpectedEof && (stage.made || !stage.begun) => break,
            Err(_) => return Err(Stop::Broken),
        }
    }
    if over { run(inner, &[], true, meter, out) } else { Ok(()) }
}

// === impl Stage ===

struct Stage {
    decoder: Decoder,
    begun: bool,
    made: bool,
    aside: Aside,
}

#[expect(clippy::large_enum_variant, reason = "there are at most four, in a Vec")]
enum Decoder {
    Gzip(MultiGzDecoder<Pipe>),
    /// `deflate` means zlib (RFC 9110, section 8.4.1.2), but some send it raw, and text is neither: a few bytes tell.
    Sniff(Pipe),
    Zlib(ZlibDecoder<Pipe>),
    Raw(DeflateDecoder<Pipe>),
    Br(Box<Decompressor<Pipe>>),
    Zstd(Zstd),
}

impl Stage {
    fn new(encoding: Encoding) -> Self {
        let pipe = Pipe::default();
        let decoder = match encoding {
            Encoding::Gzip => Decoder::Gzip(MultiGzDecoder::new(pipe)),
            Encoding::Br => Decoder::Br(Box::new(Decompressor::new(pipe, 4 << 10))),
            Encoding::Zstd => Decoder::Zstd(Zstd::default()),
            _ => Decoder::Sniff(pipe),
        };
        Self { decoder, begun: false, made: false, aside: Aside::default() }
    }

    fn feed(&mut self, input: &[u8], over: bool) {
        self.begun |= !input.is_empty();
        let pipe = self.pipe();
        pipe.held.extend_from_slice(input);
        pipe.over |= over;
        if let Decoder::Sniff(pipe) = &mut self.decoder
            && (pipe.held.len() >= SNIFFED || pipe.over)
            && !is_text(&pipe.held)
        {
            let pipe = std::mem::take(pipe);
            self.decoder = match *pipe.held {
                [cmf, flg, ..] if cmf & 0x0f == 8 && u16::from_be_bytes([cmf, flg]) % 31 == 0 => {
                    Decoder::Zlib(ZlibDecoder::new(pipe))
                }
                _ => Decoder::Raw(DeflateDecoder::new(pipe)),
            };
        }
    }

    fn held(&self) -> usize {
        match &self.decoder {
            Decoder::Gzip(d) => d.get_ref().left(),
            Decoder::Sniff(pipe) => pipe.left(),
            Decoder::Zlib(d) => d.get_ref().left(),
            Decoder::Raw(d) => d.get_ref().left(),
            Decoder::Br(d) => d.get_ref().left(),
            Decoder::Zstd(d) => d.pipe.left(),
        }
    }

    fn pipe(&mut self) -> &mut Pipe {
        match &mut self.decoder {
            Decoder::Gzip(d) => d.get_mut(),
            Decoder::Sniff(pipe) => pipe,
            Decoder::Zlib(d) => d.get_mut(),
            Decoder::Raw(d) => d.get_mut(),
            Decoder::Br(d) => d.get_mut(),
            Decoder::Zstd(d) => &mut d.pipe,
        }
    }

    fn read(&mut self, block: &mut [u8]) -> io::Result<usize> {
        match &mut self.decoder {
            Decoder::Gzip(d) => d.read(block),
            Decoder::Sniff(pipe) if is_text(&pipe.held) => Err(ErrorKind::InvalidData.into()),
            Decoder::Sniff(_) => Err(ErrorKind::WouldBlock.into()),
            Decoder::Zlib(d) => {
                let before = d.total_out();
                d.read(block).or_else(|e| made_before(e, d.total_out() - before))
            }
            Decoder::Raw(d) => {
                let before = d.total_out();
                d.read(block).or_else(|e| made_before(e, d.total_out() - before))
            }
            Decoder::Br(d) => match d.read(block) {
                // Asked again, it says whether more came than it has use for.
                Ok(0) => d.read(block),
                // What is wrong it says while there is input.
                Err(_) if d.get_ref().over => Err(ErrorKind::UnexpectedEof.into()),
                done => done,
            },
            Decoder::Zstd(d) => d.read(block, &mut self.aside),
        }
    }

    /// Notes what the header of the member that is being read says (RFC 1952, section 2.3.1).
    fn note(&mut self) {
        if let Decoder::Gzip(d) = &self.decoder
            && let Some(header) = d.header()
        {
            self.aside.header(header);
        }
    }
}

/// Text, which is no compressed data, though raw deflate can make something of it.
fn is_text(start: &[u8]) -> bool {
    start.get(..SNIFFED).is_some_and(|s| s.iter().all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace()))
}

/// What a decoder put out before it failed, when it says so only afterwards. It will fail again.
fn made_before(error: io::Error, made: u64) -> io::Result<usize> {
    match usize::try_from(made) {
        Ok(made) if made > 0 => Ok(made),
        _ => Err(error),
    }
}
