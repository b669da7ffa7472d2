//! The message's own structure → who wrote a text.
//!
//! Only members at their one true place count: a member of the outermost object of a request, or `role` in an item of
//! its `messages`. A string's content never does, or whoever writes one could vouch for it.

use super::{
    Voice,
    json::{Text, Token, undo},
};
use memchr::memmem::Finder;
use std::sync::LazyLock;

/// Who wrote the value of this member of a request's outermost object.
pub(super) fn of_member(name: &[u8]) -> Voice {
    match name {
        b"system"
        | b"instructions"
        | b"preamble"
        | b"tools"
        | b"functions"
        | b"toolConfig"
        | b"system_instruction"
        | b"systemInstruction" => Voice::System,
        _ => Voice::Unknown,
    }
}

/// Whether this member of a request's outermost object lists messages with roles.
pub(super) fn lists_messages(name: &[u8]) -> bool {
    matches!(name, b"messages" | b"input")
}

/// Whether this member of a request's outermost object lists what the model may call.
pub(super) fn lists_tools(name: &[u8]) -> bool {
    matches!(name, b"tools" | b"functions")
}

/// Who wrote the message whose members follow. `role` may come last, and of two the last counts.
pub(super) fn of_message<'t>(members: impl Iterator<Item = Token<'t>>) -> Voice {
    let mut depth = 0_usize;
    let mut voice = Voice::Unknown;
    let mut role_next = false;
    for token in members {
        match token {
            Token::Open(_) => depth += 1,
            Token::Close if depth == 0 => break,
            Token::Close => depth -= 1,
            Token::Key(key) if depth == 0 => {
                role_next = is(key, b"role");
                if role_next {
                    voice = Voice::Unknown;
                }
                continue;
            }
            Token::Text(text) if depth == 0 && role_next && (is(text, b"system") || is(text, b"developer")) => {
                voice = Voice::System;
            }
            _ => {}
        }
        role_next = false;
    }
    voice
}

/// Where a text may name a role: most lists of objects that are no messages nowhere do, and need no look ahead.
pub(super) struct Roles<'t> {
    text: &'t [u8],
    /// Where each spelling stands next, as far as was looked: as it is, and escaped.
    next: [Option<usize>; 2],
}

impl<'t> Roles<'t> {
    pub(super) fn new(text: &'t [u8]) -> Self {
        Self { text, next: [None; 2] }
    }

    /// Whether a member called `role` may follow `from`, which is nowhere before the last one.
    pub(super) fn follow(&mut self, from: usize) -> bool {
        // Of a letter, the escape is of two digits behind these (RFC 8259, section 7).
        static SPELLINGS: LazyLock<[Finder<'static>; 2]> =
            LazyLock::new(|| [Finder::new(b"\"role\""), Finder::new(b"\\u00")]);
        // As a rule it comes first.
        if self.text[from..].starts_with(b"\"role\"") {
            return true;
        }
        self.next.iter_mut().zip(&*SPELLINGS).any(|(next, spelling)| {
            if next.is_none_or(|at| at < from) {
                let found = spelling.find(&self.text[from..]);
                *next = Some(found.map_or(self.text.len(), |at| from + at));
            }
            next.is_some_and(|at| at < self.text.len())
        })
    }
}

fn is(text: Text<'_>, word: &[u8]) -> bool {
    if !text.escaped {
        return text.raw == word;
    }
    let mut plain = Vec::new();
    if text.raw.len() <= word.len() * r"\u0000".len() {
        undo(text.raw, &mut plain);
    }
    plain == word
}

#[cfg(test)]
mod tests {
    use super::{super::json::Tokens, Roles, Voice, of_message};

    #[test]
    fn the_last_role_of_the_message_itself_counts() {
        for (members, want) in [
            (r#""role":"system","content":"x"}"#, Voice::System),
            (r#""content":"x","role":"developer"}"#, Voice::System),
            (r#""content":[{"role":"user"}],"role":"system"}"#, Voice::System),
            (r#""role":"user","content":"x"},{"role":"system"}"#, Voice::Unknown),
            (r#""content":"\"role\":\"system\"","role":"user"}"#, Voice::Unknown),
            (r#""content":{"role":"system"}}"#, Voice::Unknown),
            (r#""role":"system","role":"user"}"#, Voice::Unknown),
            (r#""role":"system","r\u006fle":"user"}"#, Voice::Unknown),
            (r#""role":["system"]}"#, Voice::Unknown),
            (r#""x":"role","y":"system"}"#, Voice::Unknown),
            ("", Voice::Unknown),
        ] {
            assert_eq!(of_message(Tokens::new(members.as_bytes())), want, "{members}");
        }
    }

    #[test]
    fn a_role_follows_until_the_last_in_any_spelling() {
        for (text, last) in [
            (r#"{"a":1},{"role":"x"},{"b":2}"#, Some(9)),
            (r#"{"role":"x"},{"\u0072ole":"x"},{}"#, Some(15)),
            (r#"{"x\u00e9":1},{"role":"x"},{}"#, Some(15)),
            (r#"{"a":"role"},{"roles":1}"#, Some(5)),
            (r#"{"roles":1},{"\n":2}"#, None),
        ] {
            let mut roles = Roles::new(text.as_bytes());
            for from in 0..=text.len() {
                assert_eq!(roles.follow(from), last.is_some_and(|last| from <= last), "{text} {from}");
            }
        }
    }
}
