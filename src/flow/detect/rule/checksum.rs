//! Token → whether its own checksum is right.

use flate2::Crc;
use serde::{Deserialize, Serialize};

/// How the last characters of a token follow from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Checksum {
    /// After its last `_` stand 30 characters, then their CRC-32 in base 62, in six digits. GitHub's since 2021
    /// (<https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/>), and npm's.
    /// A token of another length is of another form, and not judged.
    Crc32,
}

/// Characters of the checksum, and of all it stands among.
const CRC: usize = 6;
const BODY: usize = 36;

impl Checksum {
    /// Whether nothing is wrong with `token`.
    pub(crate) fn fits(self, token: &[u8]) -> bool {
        let body = token.rsplit(|b| *b == b'_').next().unwrap_or(token);
        match (self, body.split_at_checked(BODY - CRC)) {
            (Self::Crc32, Some((drawn, sum))) if body.len() == BODY => sum == crc32(drawn),
            _ => true,
        }
    }
}

/// The CRC-32 of `text` in base 62, in six digits.
pub(super) fn crc32(text: &[u8]) -> [u8; CRC] {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut crc = Crc::new();
    crc.update(text);
    let mut rest = crc.sum() as usize;
    let mut digits = [b'0'; CRC];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[rest % DIGITS.len()];
        rest /= DIGITS.len();
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_example_is_right_and_no_other_of_its_length() {
        // From GitHub's description of the form.
        let body = "zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17";
        assert!(Checksum::Crc32.fits(format!("ghp_{body}").as_bytes()));
        for at in 0..BODY {
            let mut wrong = body.as_bytes().to_vec();
            wrong[at] = if wrong[at] == b'a' { b'b' } else { b'a' };
            assert!(!Checksum::Crc32.fits(&[b"ghp_", &wrong[..]].concat()), "{at}");
        }
        assert!(Checksum::Crc32.fits(b"ghp_short") && Checksum::Crc32.fits(format!("ghp_{body}0").as_bytes()));
    }
}
