//! Value → the secret in it, or why it is none.
//!
//! What is looked for everywhere must be nowhere by chance: no word, no number, no name of something.

use super::{MAX_VALUE, MIN_VALUE, NameKind};
use crate::flow::detect::matcher::entropy;
use memchr::memmem;
use percent_encoding::percent_decode;
use std::{fmt, net::IpAddr};
use zeroize::Zeroizing;

/// From this length on a value needs little variety to be no word.
const LONG: usize = 16;
/// Shannon entropy of a value's bytes, in bits a byte, below which it is none: of one of that length, and of a shorter.
const LONG_ENTROPY: f64 = 2.5;
const SHORT_ENTROPY: f64 = 3.2;
/// What a stand-in says, and no secret.
const STAND_INS: &[&[u8]] = &[
    b"xxxx",
    b"....",
    b"****",
    b"your-",
    b"your_",
    b"<your",
    b"changeme",
    b"change-me",
    b"change_me",
    b"placeholder",
    b"redacted",
    b"replace_",
    b"replace-",
    b"goes-here",
    b"goes_here",
    b"example",
];
/// Where the files of a machine are.
const ROOTS: &[&[u8]] = &[
    b"app",
    b"bin",
    b"boot",
    b"data",
    b"dev",
    b"etc",
    b"home",
    b"Library",
    b"lib",
    b"media",
    b"mnt",
    b"nix",
    b"opt",
    b"private",
    b"proc",
    b"root",
    b"run",
    b"secrets",
    b"srv",
    b"sys",
    b"tmp",
    b"Users",
    b"usr",
    b"var",
    b"Volumes",
    b"workspace",
];

/// Why a value is not looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Untaken {
    /// Shorter than 12 bytes, or than 16 with little variety.
    Short,
    /// Longer than 4 KiB.
    Long,
    /// It repeats itself, counts up, or is a number.
    Plain,
    /// It says that something else belongs there.
    Placeholder,
    /// The path of a file.
    Path,
    /// A host, a mail address, or a URL without a password.
    Address,
    /// It refers to another variable.
    Reference,
    /// There are more secrets than are looked for at once.
    OneTooMany,
    /// The variable is not set.
    Unset,
    /// The file cannot be read.
    Unreadable,
    /// A canary of another installation's keys.
    OtherKey,
}

impl Untaken {
    /// In a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Long => "long",
            Self::Plain => "plain",
            Self::Placeholder => "placeholder",
            Self::Path => "path",
            Self::Address => "address",
            Self::Reference => "reference",
            Self::OneTooMany => "one_too_many",
            Self::Unset => "unset",
            Self::Unreadable => "unreadable",
            Self::OtherKey => "other_key",
        }
    }
}

impl fmt::Display for Untaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The secret in the value of a variable: the value, or of a URL its password.
///
/// # Errors
/// [`Untaken`] says why there is none. A variable whose name promises an address and holds none with a password has
/// nothing to be told of: `Ok(None)`.
pub fn secret_of(kind: NameKind, value: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, Untaken> {
    let password = password(value);
    if kind == NameKind::Address && password.is_none() {
        return Ok(None);
    }
    let is_address = memmem::find(value, b"://").is_some();
    let secret = match password {
        Some(password) => password,
        None if is_address => return Err(Untaken::Address),
        None => Zeroizing::new(value.to_vec()),
    };
    why_not(&secret).map_or(Ok(Some(secret)), Err)
}

/// The password of a URL, decoded.
fn password(value: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let rest = &value[memmem::find(value, b"://")? + 3..];
    let authority = rest.split(|b| b"/?#".contains(b)).next()?;
    let (user, _) = authority.split_at(memchr::memrchr(b'@', authority)?);
    let password = &user[memchr::memchr(b':', user)? + 1..];
    (!password.is_empty()).then(|| Zeroizing::new(percent_decode(password).collect()))
}

fn why_not(value: &[u8]) -> Option<Untaken> {
    let lower = Zeroizing::new(value.to_ascii_lowercase());
    if value.len() < MIN_VALUE {
        return Some(Untaken::Short);
    }
    if value.len() > MAX_VALUE {
        return Some(Untaken::Long);
    }
    if memmem::find(value, b"${").is_some() {
        return Some(Untaken::Reference);
    }
    if is_path(value) {
        return Some(Untaken::Path);
    }
    if is_address(value) {
        return Some(Untaken::Address);
    }
    if STAND_INS.iter().any(|says| memmem::find(&lower, says).is_some()) {
        return Some(Untaken::Placeholder);
    }
    let steps = value.windows(2).filter(|w| w[1] == w[0] || w[1] == w[0].wrapping_add(1)).count();
    let number = value.iter().all(|b| b.is_ascii_digit() || b"+-., ".contains(b));
    if number || 2 * steps >= value.len() || entropy(value) < LONG_ENTROPY {
        return Some(Untaken::Plain);
    }
    let varied = value.iter().any(u8::is_ascii_digit) && value.iter().any(|b| !b.is_ascii_digit());
    (value.len() < LONG && (!varied || entropy(value) < SHORT_ENTROPY)).then_some(Untaken::Short)
}

/// `~/…`, `./…`, `C:\…`, or an absolute path where machines have their files. A key in base64 may begin with a slash too.
fn is_path(value: &[u8]) -> bool {
    let relative = [&b"~/"[..], b"./", b"../"].iter().any(|start| value.starts_with(start));
    let drive = matches!(value, [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic());
    let rooted = value.strip_prefix(b"/").is_some_and(|rest| {
        let mut parts = rest.split(|&b| b == b'/');
        parts.next().is_some_and(|first| ROOTS.contains(&first)) && parts.next().is_some()
    });
    relative || drive || rooted
}

/// A host, with a port or without; an address of mail.
fn is_address(value: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(value) else { return false };
    let host = text.rsplit_once('@').map_or(text, |(_, host)| host);
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let host = host.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(host, |(host, _)| host);
    if host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
        return true;
    }
    let label = |l: &str| !l.is_empty() && l.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let word = |l: &str| (2..=12).contains(&l.len()) && l.bytes().all(|b| b.is_ascii_lowercase());
    host.contains('.') && host.split('.').all(label) && host.rsplit('.').next().is_some_and(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(value: &str) -> Result<Option<String>, Untaken> {
        let secret = secret_of(NameKind::Secret, value.as_bytes())?;
        Ok(secret.map(|secret| String::from_utf8(secret.to_vec()).unwrap()))
    }

    #[test]
    fn what_people_keep_secret_is_taken_whole() {
        for value in [
            "Zk3vQ9sLp2Xw8RtY",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCY7q2LMzc0Ab",
            "/7qjLr0n9cVtK2sPzYwQmXbDfGhJkLoIuE3R5T1a",
            "correct horse battery staple",
            "7103984412:AAF-kd93Lsla0WqPzmXn4vBtYcHuJgRe",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
            "hunter2-Tr0ub4",
            "d704484fb8b02d950eb67d6bffe650bc",
            "pa$$w0rd-of-mine-9",
            "Grüße-aus-Köln-77",
        ] {
            assert_eq!(told(value).as_ref().map(Option::as_deref), Ok(Some(value)), "{value}");
        }
    }

    #[test]
    fn of_a_url_its_password_is_the_secret_and_one_without_is_none() {
        for (url, password) in [
            ("postgres://app:Zk3vQ9sLp2Xw8RtY@db.internal:5432/x", "Zk3vQ9sLp2Xw8RtY"),
            ("redis://:Zk3vQ9sLp2Xw8RtY@cache", "Zk3vQ9sLp2Xw8RtY"),
            ("https://u:Zk3v%40Q9sLp%2FXw8RtY@h.test/?a=b@c", "Zk3v@Q9sLp/Xw8RtY"),
        ] {
            assert_eq!(told(url), Ok(Some(password.to_owned())), "{url}");
            let named = secret_of(NameKind::Address, url.as_bytes()).unwrap().unwrap();
            assert_eq!(*named, password.as_bytes());
        }
        for url in ["https://api.vendor.test/v1/chat", "https://user@host.test/path", "https://h.test/a:b@c"] {
            assert_eq!(told(url), Err(Untaken::Address), "{url}");
            assert_eq!(secret_of(NameKind::Address, url.as_bytes()), Ok(None), "{url}");
        }
        assert_eq!(told("postgres://app:short@db"), Err(Untaken::Short));
    }

    #[test]
    fn what_may_stand_anywhere_by_chance_is_not_taken() {
        for (value, why) in [
            ("", Untaken::Short),
            ("true", Untaken::Short),
            ("localhost", Untaken::Short),
            ("hunter2", Untaken::Short),
            ("development", Untaken::Short),
            ("productively", Untaken::Short),
            ("aaaaaaaaaaaaaaaaaaaaaaaa", Untaken::Plain),
            ("abcdefghijklmnopqrst", Untaken::Plain),
            ("1234567890123456", Untaken::Plain),
            ("2026-11-24, 2026-11-25", Untaken::Plain),
            ("your-api-key-goes-here", Untaken::Placeholder),
            ("sk-xxxxxxxxxxxxxxxxxxxx", Untaken::Placeholder),
            ("changeme-changeme", Untaken::Placeholder),
            ("/etc/ssl/private/server.key", Untaken::Path),
            ("~/.ssh/id_ed25519", Untaken::Path),
            ("./secrets/token.txt", Untaken::Path),
            (r"C:\Users\me\token.txt", Untaken::Path),
            ("db.internal.vendor.com:5432", Untaken::Address),
            ("someone@mail.vendor.com", Untaken::Address),
            ("192.168.100.200:8443", Untaken::Address),
            ("[2001:db8::1:2:3]:443", Untaken::Address),
            ("https://api.vendor.com/v1", Untaken::Address),
            ("prefix-${OTHER_TOKEN}-suffix", Untaken::Reference),
        ] {
            assert_eq!(told(value), Err(why), "{value}");
        }
        assert_eq!(told(&"Zk3vQ9sLp2Xw8RtY".repeat(300)), Err(Untaken::Long));
    }
}
