//! A body of any length → its beginning and its end, within a bound.

/// The first three quarters of the bound and the last quarter; what lies between is counted, not kept.
#[derive(Debug)]
pub(in crate::flow::detect) struct Kept {
    head: Vec<u8>,
    head_max: usize,
    /// A ring once it is full.
    tail: Vec<u8>,
    tail_max: usize,
    /// Where the oldest byte of a full ring is.
    oldest: usize,
    seen: u64,
}

impl Kept {
    pub(in crate::flow::detect) fn new(bound: usize) -> Self {
        let tail_max = bound / 4;
        Self { head: Vec::new(), head_max: bound - tail_max, tail: Vec::new(), tail_max, oldest: 0, seen: 0 }
    }

    pub(in crate::flow::detect) fn push(&mut self, mut piece: &[u8]) {
        self.seen += piece.len() as u64;
        let to_head = piece.len().min(self.head_max - self.head.len());
        self.head.extend_from_slice(&piece[..to_head]);
        piece = &piece[to_head..];
        let to_tail = piece.len().min(self.tail_max - self.tail.len());
        self.tail.extend_from_slice(&piece[..to_tail]);
        piece = &piece[to_tail..];
        // The ring is full. Only the last `tail_max` bytes of the piece can stay.
        piece = &piece[piece.len().saturating_sub(self.tail_max)..];
        while !piece.is_empty() {
            let room = piece.len().min(self.tail_max - self.oldest);
            self.tail[self.oldest..self.oldest + room].copy_from_slice(&piece[..room]);
            self.oldest = (self.oldest + room) % self.tail_max;
            piece = &piece[room..];
        }
    }

    /// Bytes in memory.
    pub(in crate::flow::detect) fn held(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// Bytes pushed.
    pub(in crate::flow::detect) fn seen(&self) -> u64 {
        self.seen
    }

    /// The body when it was kept whole, else its beginning and its end.
    pub(in crate::flow::detect) fn finish(mut self) -> (Vec<u8>, Option<Vec<u8>>) {
        self.tail.rotate_left(self.oldest);
        if self.seen == self.held() as u64 {
            self.head.append(&mut self.tail);
            return (self.head, None);
        }
        (self.head, Some(self.tail))
    }
}

#[cfg(test)]
mod tests {
    use super::Kept;

    #[test]
    fn any_split_keeps_the_same_ends() {
        let body: Vec<u8> = (0..=99).collect();
        for (len, step) in (0..=body.len()).flat_map(|len| (1..=len.max(1)).map(move |step| (len, step))) {
            let mut kept = Kept::new(16);
            body[..len].chunks(step).for_each(|piece| kept.push(piece));
            assert_eq!(kept.seen(), len as u64);
            assert!(kept.held() <= 16);
            let (head, tail) = kept.finish();
            if len <= 16 {
                assert_eq!((&head[..], tail), (&body[..len], None));
            } else {
                assert_eq!((&head[..], tail.unwrap()), (&body[..12], body[len - 4..len].to_vec()));
            }
        }
    }
}
