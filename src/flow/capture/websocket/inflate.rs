//! The compressed messages of one way → their bytes, so many at most.

use super::Lost;
use flate2::{Decompress, FlushDecompress, Status};

/// The most one message may inflate to: a read of 16 KiB can stand for as many MiB, and each costs the relay time.
const INFLATED: usize = 8 << 20;
/// What a sender leaves out at the end of each message (RFC 7692, section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// The compression of one way, undone.
pub(super) struct Inflate {
    anew: bool,
    /// None until something is compressed: most of it is a window of 32 KiB.
    stream: Option<Box<Decompress>>,
    /// Of the message that passes.
    inflated: usize,
}

impl Inflate {
    pub(super) fn new(anew: bool) -> Self {
        Self { anew, stream: None, inflated: 0 }
    }

    pub(super) fn push(&mut self, mut piece: &[u8], show: &mut dyn FnMut(&[u8])) -> Result<(), Lost> {
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

    pub(super) fn end(&mut self, show: &mut dyn FnMut(&[u8])) -> Result<(), Lost> {
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
