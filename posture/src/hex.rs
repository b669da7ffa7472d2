//! Fixed-length lower-case hexadecimal: hashes and random identifiers.

use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

/// Text that is not the hexadecimal it should be. The text itself is not repeated: it may come from anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} lower-case hexadecimal digits")]
pub struct HexError {
    expected: usize,
}

macro_rules! hex_type {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// From raw bytes.
            pub fn from_bytes(bytes: &[u8; $bytes]) -> Self {
                let mut text = String::with_capacity($bytes * 2);
                for byte in bytes {
                    for nibble in [byte >> 4, byte & 15] {
                        text.push(char::from(b"0123456789abcdef"[usize::from(nibble)]));
                    }
                }
                Self(text)
            }

            /// The raw bytes.
            pub fn to_bytes(&self) -> [u8; $bytes] {
                let nibble = |digit: u8| if digit.is_ascii_digit() { digit - b'0' } else { digit - b'a' + 10 };
                let digits = self.0.as_bytes();
                std::array::from_fn(|at| nibble(digits[2 * at]) << 4 | nibble(digits[2 * at + 1]))
            }

            /// The digits.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        #[cfg(test)]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": format!("^[0-9a-f]{{{}}}$", $bytes * 2) })
            }
        }

        impl TryFrom<String> for $name {
            type Error = HexError;

            fn try_from(text: String) -> Result<Self, HexError> {
                let digits = text.len() == $bytes * 2 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                if digits { Ok(Self(text)) } else { Err(HexError { expected: $bytes * 2 }) }
            }
        }

        impl std::str::FromStr for $name {
            type Err = HexError;

            fn from_str(text: &str) -> Result<Self, HexError> {
                text.to_owned().try_into()
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

hex_type!(
    /// A SHA-256 hash, 64 digits. Key identifiers have this form too.
    Sha256Hex, 32
);
hex_type!(
    /// The keyed fingerprint of what was matched: HMAC-SHA-256 cut to 64 bits, 16 digits.
    Fingerprint, 8
);
hex_type!(
    /// One installation: 128 random bits made with its first start.
    InstallId, 16
);
hex_type!(
    /// An Ed25519 public key: the 32 bytes of RFC 8032, 64 digits.
    PublicKeyHex, 32
);
hex_type!(
    /// One run of the monitor: 128 random bits made when it starts.
    RunId, 16
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_text_agree() {
        let id = Fingerprint::from_bytes(&[0x00, 0x01, 0x9a, 0xff, 0x10, 0x20, 0x30, 0x40]);
        assert_eq!(id.as_str(), "00019aff10203040");
        assert_eq!(id.to_bytes(), [0x00, 0x01, 0x9a, 0xff, 0x10, 0x20, 0x30, 0x40]);
        assert_eq!("00019aff10203040".parse(), Ok(id));
    }

    #[test]
    fn other_lengths_cases_and_letters_are_refused() {
        for bad in ["", "00019aff1020304", "00019AFF10203040", "00019aff1020304g", "00019aff102030400"] {
            assert!(bad.parse::<Fingerprint>().is_err(), "{bad}");
        }
    }
}
