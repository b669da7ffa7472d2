//! Pieces of any length → blocks of one length, and a last one that may be shorter.
//!
//! A decoder gives up what it had in hand when it fails, and some fail late: what is said of a coded body must not hang
//! on where a sender cut it.

/// Bytes a block. As many are held at most, and what a decoder forgets is what so many make.
const BLOCK: usize = 64;

/// The block in the making.
#[derive(Default)]
pub(in crate::flow::detect) struct Blocks {
    held: Vec<u8>,
}

impl Blocks {
    /// Takes the next piece, and gives each block it completes.
    pub(in crate::flow::detect) fn push(&mut self, mut piece: &[u8], on: &mut dyn FnMut(&[u8])) {
        if !self.held.is_empty() {
            let missing = (BLOCK - self.held.len()).min(piece.len());
            self.held.extend_from_slice(&piece[..missing]);
            piece = &piece[missing..];
            if self.held.len() < BLOCK {
                return;
            }
            on(&self.held);
            self.held.clear();
        }
        let (blocks, rest) = piece.as_chunks::<BLOCK>();
        for block in blocks {
            on(block);
        }
        self.held.extend_from_slice(rest);
    }

    /// The last block, which may be short or empty.
    pub(in crate::flow::detect) fn last(self) -> Vec<u8> {
        self.held
    }

    /// Bytes held.
    pub(in crate::flow::detect) fn held(&self) -> usize {
        self.held.len()
    }
}
