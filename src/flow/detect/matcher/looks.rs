//! How far the rules that look at whole stretches have looked at a text: none looks at a stretch twice.

use super::{Found, command, command::Searches, token};
use crate::flow::detect::rule::{Find, Rule};
use std::ops::Range;

/// Commands tried one by one, before their whole line is searched at once.
const MAX_TRIES: u8 = 8;

/// How far a rule that looks at whole stretches has looked.
#[derive(Default)]
pub(super) struct Looked {
    to: usize,
    /// Commands tried one by one since.
    tries: u8,
    searches: Searches,
}

impl Looked {
    /// Looks around a keyword, unless this rule has seen that stretch.
    pub(super) fn at(&mut self, rule: &Rule, text: &[u8], keyword: Range<usize>, report: &mut dyn FnMut(Found<'_>)) {
        if keyword.start < self.to {
            return;
        }
        let to = match rule.find() {
            Find::Inside => token::inside(rule, text, keyword, report),
            Find::Command if self.tries < MAX_TRIES => {
                self.tries += 1;
                let Some(to) = command::at_word(rule, text, keyword.start, &mut self.searches, report) else { return };
                to
            }
            Find::Block => command::block(rule, text, keyword.start, &mut self.searches, report),
            _ => command::line(rule, text, keyword.start, &mut self.searches, report),
        };
        (self.to, self.tries) = (to, 0);
    }
}

/// How far the rules that look at whole stretches have looked at a text, by their index.
#[derive(Default)]
pub(super) struct Looks {
    /// With the number of the text it is about.
    by_rule: Vec<(u64, Looked)>,
    text: u64,
}

impl Looks {
    /// Another text begins.
    pub(super) fn forget(&mut self) {
        self.text += 1;
    }

    /// Bytes kept of how far the rules have looked.
    pub(super) fn held(&self) -> usize {
        self.by_rule.capacity() * size_of::<(u64, Looked)>()
            + self.by_rule.iter().map(|(_, looked)| looked.searches.held()).sum::<usize>()
    }

    pub(super) fn of(&mut self, rule: usize) -> &mut Looked {
        if self.by_rule.len() <= rule {
            self.by_rule.resize_with(rule + 1, Default::default);
        }
        let (text, looked) = &mut self.by_rule[rule];
        if std::mem::replace(text, self.text) != self.text {
            let searches = std::mem::take(&mut looked.searches).of_another_text();
            *looked = Looked { searches, ..Looked::default() };
        }
        looked
    }
}
