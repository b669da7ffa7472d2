//! The schema of a rule file and of the vendor table. Closed: a field we do not know is an error.

use super::checksum::Checksum;
use posture::{Family, Severity};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use toml::Spanned;

/// One family's rules.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleFile {
    /// The family of every rule in the file; it implies the direction.
    pub(super) family: Family,
    /// Pieces of regex by name, for `(?&name)` in this file's rules and in later pieces.
    #[serde(default)]
    pub(super) parts: BTreeMap<String, String>,
    /// The rules.
    pub(super) rule: Vec<Spanned<RuleData>>,
    /// An operator's own vendors. The embedded ones have a file of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) vendor: Vec<Spanned<Vendor>>,
}

/// Pieces of regex for `(?&name)` in every embedded file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PartFile {
    pub(super) parts: BTreeMap<String, String>,
}

impl RuleFile {
    /// Takes these along with its own.
    pub(super) fn share(&mut self, parts: &BTreeMap<String, String>) {
        for (name, part) in parts {
            self.parts.entry(name.clone()).or_insert_with(|| part.clone());
        }
    }

    /// `text` with every `(?&name)` replaced by that part, in a group of its own.
    pub(super) fn with_parts(&self, text: &str) -> Result<String, String> {
        const MAX_DEPTH: usize = 8;
        const MAX_BYTES: usize = 64 << 10;
        let mut text = text.to_owned();
        for _ in 0..MAX_DEPTH {
            let Some(first) = text.find("(?&") else { return Ok(text) };
            let mut out = text[..first].to_owned();
            for piece in text[first..].split("(?&").skip(1) {
                let (name, rest) = piece.split_once(')').ok_or("a part's name is not closed")?;
                let part = self.parts.get(name).ok_or("no part is called as one it names")?;
                if out.len() + part.len() > MAX_BYTES {
                    return Err("its parts make it longer than 64 KiB".into());
                }
                out.push_str("(?:");
                out.push_str(part);
                out.push(')');
                out.push_str(rest);
            }
            text = out;
        }
        Err("its parts refer to each other without end".into())
    }
}

/// One rule as it stands in its file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleData {
    /// Its name under the family.
    pub(crate) id: String,
    pub(crate) severity: Severity,
    /// How the regex is applied around a keyword.
    pub(crate) find: Find,
    /// Lower-case literals, of which one stands in every match (without regard to case).
    pub(crate) keywords: Vec<String>,
    /// Literals of which one stands on the line too, or of a block some 2 KiB around, or the regex is not tried; as they are,
    /// case and all.
    #[serde(default)]
    pub(crate) needs: Vec<String>,
    /// Bytes, not Unicode. Minimum quantifiers: the matcher extends a token over its alphabet.
    pub(crate) regex: String,
    /// A match in which this one matches too is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) except: Option<String>,
    /// What a token is made of: bytes that may not stand beside it, and over which it extends.
    #[serde(default)]
    pub(crate) alphabet: Alphabet,
    /// A longer token is something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_len: Option<usize>,
    /// Shannon entropy of a token's bytes, in bits a byte, below which it is no secret.
    #[serde(default)]
    pub(crate) min_entropy: f64,
    /// Kinds of character of which a token holds at least one each.
    #[serde(default)]
    pub(crate) classes: Vec<Class>,
    /// It does not stand in the midst of base64: it begins with so little that any is likely to hold one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) lone: bool,
    /// It is taken as it is written, on one line: put together with the first word of the next one, any folder would be
    /// a path of the rule.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) unbroken: bool,
    /// How its last characters follow from the others; a token of which they do not is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) checksum: Option<Checksum>,
    /// Whose key it is.
    #[serde(default)]
    pub(crate) vendors: Vec<String>,
    /// What a finding shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) snippet: Option<String>,
    /// Plain paths a wildcard may stand for; for `find = "path"`.
    #[serde(default)]
    pub(crate) targets: Vec<String>,
    pub(crate) examples: Vec<String>,
    #[serde(default)]
    pub(crate) counter_examples: Vec<String>,
}

/// How a rule's regex is applied around one of its keywords.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Find {
    /// A token that begins with the keyword.
    Prefix,
    /// A token with the keyword somewhere inside; the regex fits all of it.
    Inside,
    /// A token within 20 characters of a name that holds the keyword and says it is a secret; or farther behind one, when it
    /// has a key's name of its own.
    Near,
    /// A command on one line; the keyword stands in its first word.
    Command,
    /// A command on one line, the keyword anywhere in it.
    Line,
    /// A text over several lines.
    Block,
    /// A file path, its dots and doubled slashes resolved.
    Path,
    /// A private key's header, and the body after it.
    Pem,
}

/// The bytes of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alphabet {
    /// Letters, digits, `_` and `-`.
    #[default]
    Word,
    /// Letters and digits.
    Alnum,
    /// Letters, digits, `_`, `-` and `.`.
    Dotted,
    /// Letters, digits, `+`, `/` and `=`.
    Base64,
}

impl Alphabet {
    /// Whether `byte` belongs to it.
    pub(crate) const fn holds(self, byte: u8) -> bool {
        MEMBERS[byte as usize] & 1 << self as u8 != 0
    }

    const fn has(self, byte: u8) -> bool {
        byte.is_ascii_alphanumeric()
            || match self {
                Self::Word => matches!(byte, b'_' | b'-'),
                Self::Alnum => false,
                Self::Dotted => matches!(byte, b'_' | b'-' | b'.'),
                Self::Base64 => matches!(byte, b'+' | b'/' | b'='),
            }
    }
}

/// For each byte, a bit for each alphabet it belongs to.
static MEMBERS: [u8; 256] = {
    let alphabets = [Alphabet::Word, Alphabet::Alnum, Alphabet::Dotted, Alphabet::Base64];
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < table.len() {
        let mut n = 0;
        while n < alphabets.len() {
            #[expect(clippy::cast_possible_truncation, reason = "counts to 255")]
            let has = alphabets[n].has(byte as u8);
            table[byte] |= (has as u8) << alphabets[n] as u8;
            n += 1;
        }
        byte += 1;
    }
    table
};

/// A kind of character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// `a` to `z`.
    Lower,
    /// `A` to `Z`.
    Upper,
    /// `0` to `9`.
    Digit,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VendorFile {
    pub(super) vendor: Vec<Vendor>,
}

/// A vendor, its own hosts, and where its key stands in a request to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vendor {
    /// Its name, as rules and `[[audience]]` entries spell it.
    pub name: String,
    /// Exact names in lower case; a label may be `*`, which stands for exactly one label, or `*-x`: one that ends so.
    pub hosts: Vec<String>,
    /// Header fields in lower case.
    #[serde(default)]
    pub headers: Vec<String>,
    /// Query parameters in lower case.
    #[serde(default)]
    pub query: Vec<String>,
    /// Members of a body in lower case: for vendors that authenticate there.
    #[serde(default)]
    pub body: Vec<String>,
    /// The key stands in the request's path.
    #[serde(default)]
    pub path: bool,
    /// Words, in lower case and joined by `_`, that stand in the names of environment variables that hold its keys.
    #[serde(default)]
    pub variables: Vec<String>,
}
