//! Folder of keys → the three secrets of an installation, made where they are missing.

use crate::{KeyError, PublicKey, SigningKey, file, key::random};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The secrets of one installation: `signing.key.pem`, `fingerprint.key` and `proxy.token` in one folder.
pub struct KeyFolder {
    /// Signs the documents.
    pub signing_key: SigningKey,
    /// Keys the fingerprints of what was found.
    pub fingerprint_key: FingerprintKey,
    /// Lets the agent, and nobody else, through the proxy.
    pub proxy_token: ProxyToken,
}

/// What was made because it was not there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "four files, each there or not")]
pub struct Created {
    /// A new identity began.
    pub signing_key: bool,
    /// The trust anchor was written, from the private key.
    pub public_key: bool,
    /// Fingerprints from here on do not compare with older ones.
    pub fingerprint_key: bool,
    /// Agents must be given the new token.
    pub proxy_token: bool,
}

impl KeyFolder {
    /// Reads the secrets in `keys_dir`, and makes the folder (0700) and what is missing in it.
    ///
    /// `public_pem` is the trust anchor that stands beside, outside the folder. The caller holds the state folder's
    /// lock: two at once would make two identities.
    ///
    /// # Errors
    /// [`KeyError::MissingPrivate`] and [`KeyError::Mismatch`] when the two halves do not belong together,
    /// [`KeyError::In`] or [`KeyError::Corrupt`] for a file that holds something else, and those of
    /// [`file::read_private`] and [`file::create_private`]. Nothing that exists is replaced.
    pub fn open_or_create(keys_dir: &Path, public_pem: &Path) -> Result<(Self, Created), KeyError> {
        Self::open_or_create_after(keys_dir, public_pem, None)
    }

    /// As [`KeyFolder::open_or_create`], of a signing key that took over from `old`: the trust anchor may still be that
    /// one, until something signed by the new key is out.
    ///
    /// # Errors
    /// As [`KeyFolder::open_or_create`].
    pub fn open_or_create_after(
        keys_dir: &Path,
        public_pem: &Path,
        old: Option<&PublicKey>,
    ) -> Result<(Self, Created), KeyError> {
        let mut created = Created::default();
        check_folder(keys_dir)?;
        let signing_key = signing_key(&private_path(keys_dir), public_pem, old, &mut created)?;
        let path = keys_dir.join(FingerprintKey::FILE);
        let text = secret(&path, &mut created.fingerprint_key, |bytes| HEXLOWER.encode(bytes) + "\n")?;
        let fingerprint_key = FingerprintKey::from_file(path, &text)?;
        let path = keys_dir.join("proxy.token");
        let text = secret(&path, &mut created.proxy_token, |bytes| BASE64URL_NOPAD.encode(bytes))?;
        let proxy_token =
            ProxyToken::from_text(&text).ok_or(KeyError::Corrupt { path, expected: "43 digits of base64url" })?;
        Ok((Self { signing_key, fingerprint_key, proxy_token }, created))
    }
}

fn check_folder(path: &Path) -> Result<(), KeyError> {
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(e) => return Err(KeyError::io("create", path)(e)),
    }
    let found = fs::symlink_metadata(path).map_err(KeyError::io("read", path))?;
    if found.is_symlink() {
        return Err(KeyError::Symlink { path: path.to_owned() });
    }
    if !found.is_dir() {
        return Err(KeyError::Kind { path: path.to_owned(), expected: "folder" });
    }
    file::check_reach(path, &found, 0o550)
}

/// Where the signing key is.
pub(crate) fn private_path(keys_dir: &Path) -> PathBuf {
    keys_dir.join("signing.key.pem")
}

pub(crate) fn read_signing(private: &Path) -> Result<SigningKey, KeyError> {
    let pem = file::read_private(private)?;
    let pem = std::str::from_utf8(&pem).map_err(|_| KeyError::PrivateKeyForm.within(private))?;
    SigningKey::from_pem(pem).map_err(|e| e.within(private))
}

fn signing_key(
    private: &Path,
    public: &Path,
    old: Option<&PublicKey>,
    created: &mut Created,
) -> Result<SigningKey, KeyError> {
    let anchor = optional(file::read_public(public))?;
    let key = match (optional(read_signing(private))?, &anchor) {
        (Some(key), _) => key,
        (None, Some(_)) => {
            return Err(KeyError::MissingPrivate { private: private.to_owned(), public: public.to_owned() });
        }
        (None, None) => {
            let key = SigningKey::generate()?;
            file::create_private(private, key.to_pem().as_bytes())?;
            created.signing_key = true;
            key
        }
    };
    match anchor {
        None => {
            file::create_public(public, key.public().to_pem().as_bytes())?;
            created.public_key = true;
        }
        Some(anchor) if anchor != key.public() && Some(&anchor) != old => {
            return Err(mismatch(private, &key.public(), public, &anchor));
        }
        Some(_) => {}
    }
    Ok(key)
}

fn mismatch(private: &Path, key: &PublicKey, public: &Path, anchor: &PublicKey) -> KeyError {
    KeyError::Mismatch {
        private: private.to_owned(),
        private_id: key.key_id(),
        public: public.to_owned(),
        public_id: anchor.key_id(),
    }
}

fn secret(path: &Path, made: &mut bool, spell: fn(&[u8]) -> String) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    if let Some(text) = optional(file::read_private(path))? {
        return Ok(text);
    }
    let text = Zeroizing::new(spell(&*random()?).into_bytes());
    file::create_private(path, &text)?;
    *made = true;
    Ok(text)
}

pub(crate) fn optional<T>(read: Result<T, KeyError>) -> Result<Option<T>, KeyError> {
    match read {
        Err(e) if e.is_not_found() => Ok(None),
        other => other.map(Some),
    }
}

/// The key of the fingerprints: 32 random bytes.
pub struct FingerprintKey(Zeroizing<[u8; 32]>);

impl FingerprintKey {
    const FILE: &str = "fingerprint.key";

    /// Reads the key alone from `keys_dir`, and makes nothing.
    ///
    /// # Errors
    /// As [`file::read_private`], or [`KeyError::Corrupt`] for a file that holds something else.
    pub fn read(keys_dir: &Path) -> Result<Self, KeyError> {
        let path = keys_dir.join(Self::FILE);
        let text = file::read_private(&path)?;
        Self::from_file(path, &text)
    }

    fn from_file(path: PathBuf, text: &[u8]) -> Result<Self, KeyError> {
        Self::from_line(text).ok_or(KeyError::Corrupt { path, expected: "64 hexadecimal digits and LF" })
    }

    fn from_line(line: &[u8]) -> Option<Self> {
        let digits = line.strip_suffix(b"\n").filter(|d| d.len() == 64)?;
        let mut bytes = Zeroizing::new([0; 32]);
        HEXLOWER.decode_mut(digits, &mut *bytes).ok().map(|_| Self(bytes))
    }

    /// The one door to the value.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The credential an agent shows the proxy: 43 digits of base64url, 256 random bits.
pub struct ProxyToken(Zeroizing<String>);

impl ProxyToken {
    // A line end an operator's editor added is forgiven; nothing else is.
    fn from_text(text: &[u8]) -> Option<Self> {
        let digits = text.strip_suffix(b"\n").unwrap_or(text);
        let token = Zeroizing::new(String::from_utf8(digits.to_vec()).ok()?);
        let bytes = Zeroizing::new(BASE64URL_NOPAD.decode(digits).ok()?);
        (bytes.len() == 32).then_some(Self(token))
    }

    /// The one door to the value.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `shown` is this token, in a time that tells nothing about where they differ.
    pub fn matches(&self, shown: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(shown).into()
    }
}
