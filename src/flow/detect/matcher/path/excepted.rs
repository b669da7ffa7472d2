//! Paths that rules make an exception of → the texts put together in which they only seem to go on.

use memchr::memmem;

/// Paths that rules made an exception of, in one message: `id_rsa.pub` at the end of a line or of an item is still one
/// when the next word was put to it.
#[derive(Default)]
pub(super) struct Excepted {
    paths: Vec<(usize, Box<[u8]>)>,
    /// Which of them gives way to the next one.
    next: usize,
}

/// Paths remembered at once.
const MAX_PATHS: usize = 16;

impl Excepted {
    /// Bytes it takes beside its own.
    pub(super) fn held(&self) -> usize {
        self.paths.iter().map(|(_, path)| path.len() + size_of::<(usize, Box<[u8]>)>()).sum()
    }

    /// The rule of that index made an exception of `path`.
    pub(super) fn note(&mut self, rule: usize, path: &[u8]) {
        let noted = self.paths.iter().any(|(by, excepted)| *by == rule && **excepted == *path);
        if noted {
            return;
        }
        match self.paths.get_mut(self.next) {
            Some(oldest) => *oldest = (rule, path.into()),
            None => self.paths.push((rule, path.into())),
        }
        self.next = (self.next + 1) % MAX_PATHS;
    }

    /// Whether one of the rule's is in `path`, which was put together.
    pub(super) fn are_in(&self, rule: usize, path: &[u8]) -> bool {
        self.paths.iter().any(|(by, excepted)| *by == rule && memmem::find(path, excepted).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::{Excepted, MAX_PATHS};

    #[test]
    fn what_a_rule_excepted_is_in_a_path_until_others_took_its_place() {
        let mut excepted = Excepted::default();
        excepted.note(1, b"a/id.pub");
        assert!(excepted.are_in(1, b"a/id.pubx") && !excepted.are_in(2, b"a/id.pubx") && !excepted.are_in(1, b"a/id"));
        for n in 0..MAX_PATHS {
            excepted.note(1, format!("b/{n}").as_bytes());
            excepted.note(1, format!("b/{n}").as_bytes());
            assert_eq!(excepted.are_in(1, b"a/id.pub"), n + 1 < MAX_PATHS);
        }
        assert_eq!(excepted.paths.len(), MAX_PATHS);
    }
}
