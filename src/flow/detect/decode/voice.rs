//! The message's own structure → who wrote a text.
//!
//! Only members at their one true place count: a member of the outermost object of a request, or `role` in an item of
//! its `messages`. A string's content never does, or whoever writes one could vouch for it.

use super::{
    Voice,
    json::{Text, Token, undo},
};

/// Who wrote the value of this member of a request's outermost object.
pub(super) fn of_member(name: &[u8]) -> Voice {
    match name {
        b"system" | b"instructions" | b"tools" | b"functions" | b"system_instruction" | b"systemInstruction" => {
            Voice::System
        }
        _ => Voice::Unknown,
    }
}

/// Whether this member of a request's outermost object lists messages with roles.
pub(super) fn lists_messages(name: &[u8]) -> bool {
    matches!(name, b"messages" | b"input")
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
    use super::{super::json::Tokens, Voice, of_message};

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
}
