//! Tokens that can be looked at before they are taken.

use super::{
    extent,
    token::{Token, Tokens},
};

/// Tokens that can be looked at before they are taken.
pub(super) struct Ahead<'t> {
    tokens: Tokens<'t>,
    /// Those looked at, and how many of them were taken.
    seen: Vec<Token<'t>>,
    taken: usize,
}

/// The most tokens kept from a look ahead: those of most messages. Beyond it they are read again.
const MAX_AHEAD: usize = 256;

impl<'t> Ahead<'t> {
    pub(super) fn new(tokens: Tokens<'t>) -> Self {
        Self { tokens, seen: Vec::new(), taken: 0 }
    }

    /// See [`Tokens::stray`]; of all that were taken or looked at.
    pub(super) fn stray(&self) -> bool {
        self.tokens.stray()
    }

    /// Where the text is that was neither taken nor looked at; `None` when some was only looked at.
    pub(super) fn unread(&self) -> Option<usize> {
        self.seen.is_empty().then_some(self.tokens.at)
    }

    /// The object that begins with the brace that was taken last; `None` when it does not end, or when something that
    /// comes after was looked at.
    pub(super) fn object(&self) -> Option<&'t [u8]> {
        let at = self.unread()?.checked_sub(1)?;
        extent::of(&self.tokens.text[at..])
    }

    /// Where the object ends whose brace was taken last, without what was taken along behind it; `None` when something
    /// that comes after was looked at.
    pub(super) fn ended(&self) -> Option<usize> {
        self.seen.is_empty().then_some(self.tokens.closed)
    }

    /// What comes next begins at `at`: what is before it was taken otherwise.
    pub(super) fn go_on_at(&mut self, at: usize) {
        self.tokens.at = at;
    }

    /// The tokens that come next; none of them counts as taken.
    pub(super) fn look(&mut self) -> Look<'_, 't> {
        Look { at: self.taken, ahead: self, beyond: None }
    }
}

/// A look at the tokens that come next.
pub(super) struct Look<'a, 't> {
    ahead: &'a mut Ahead<'t>,
    at: usize,
    beyond: Option<Tokens<'t>>,
}

impl<'t> Iterator for Look<'_, 't> {
    type Item = Token<'t>;

    fn next(&mut self) -> Option<Token<'t>> {
        if let Some(beyond) = &mut self.beyond {
            return beyond.next();
        }
        let Ahead { tokens, seen, .. } = self.ahead;
        if let Some(&token) = seen.get(self.at) {
            self.at += 1;
            return Some(token);
        }
        if seen.len() == MAX_AHEAD {
            return self.beyond.insert(tokens.clone()).next();
        }
        let token = tokens.next()?;
        seen.push(token);
        self.at += 1;
        Some(token)
    }
}

impl<'t> Iterator for Ahead<'t> {
    type Item = Token<'t>;

    #[inline]
    fn next(&mut self) -> Option<Token<'t>> {
        let Some(&token) = self.seen.get(self.taken) else { return self.tokens.next() };
        self.taken += 1;
        if self.taken == self.seen.len() {
            self.seen.clear();
            self.taken = 0;
        }
        Some(token)
    }
}

#[cfg(test)]
mod tests {
    use super::{Ahead, MAX_AHEAD, Tokens};

    #[test]
    fn what_was_looked_at_comes_again_and_once() {
        let text = format!("[{}{{\"a\":1}}]", "{\"b\":2},".repeat(MAX_AHEAD));
        let all: Vec<_> = Tokens::new(text.as_bytes()).collect();
        for (before, looked) in [(0, 3), (3, 0), (2, MAX_AHEAD), (5, MAX_AHEAD + 9), (all.len(), 4)] {
            let mut ahead = Ahead::new(Tokens::new(text.as_bytes()));
            let mut came: Vec<_> = ahead.by_ref().take(before).collect();
            for more in [0, 2] {
                let seen: Vec<_> = ahead.look().take(looked + more).collect();
                assert_eq!(seen, all[before..][..seen.len()]);
            }
            came.extend(ahead);
            assert_eq!(came, all, "{before} {looked}");
        }
    }
}
