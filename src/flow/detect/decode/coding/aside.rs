//! What a coding carries beside the data: names and comments of gzip, skippable frames of Zstandard.

use flate2::GzHeader;

/// Bytes that are kept of it.
const MOST: usize = 128 << 10;
/// Texts that stand by themselves; more of them are lines of the last one.
const TEXTS: usize = 64;

/// Texts beside the data, within bounds.
#[derive(Default)]
pub(super) struct Aside {
    texts: Vec<Vec<u8>>,
    held: usize,
    unsaid: usize,
    header: Option<GzHeader>,
}

impl Aside {
    /// The header of a member of gzip data, which is told of again and again.
    pub(super) fn header(&mut self, header: &GzHeader) {
        if self.header.as_ref() == Some(header) {
            return;
        }
        for text in [header.extra(), header.filename(), header.comment()].into_iter().flatten() {
            self.begin();
            self.say(text);
        }
        self.header = Some(header.clone());
    }

    /// Another text begins.
    pub(super) fn begin(&mut self) {
        if self.texts.len() < TEXTS {
            self.texts.push(Vec::new());
        } else {
            self.say(b"\n");
        }
    }

    /// More of the text that began last.
    pub(super) fn say(&mut self, more: &[u8]) {
        let kept = more.len().min(MOST - self.held);
        if let Some(text) = self.texts.last_mut() {
            text.extend_from_slice(&more[..kept]);
            self.held += kept;
            self.unsaid += more.len() - kept;
        }
    }

    pub(super) fn said(&self) -> impl Iterator<Item = &[u8]> {
        self.texts.iter().map(Vec::as_slice)
    }

    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Bytes that were not kept.
    pub(super) fn unsaid(&self) -> usize {
        self.unsaid
    }
}
