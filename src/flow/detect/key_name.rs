//! A name → whether it ends as a key's own does, whoever's key it is, or as that of a list of keys.

/// How they end, in any case.
const KEY_NAMES: &[&[u8]] = &[
    b"apikey",
    b"api_key",
    b"api-key",
    b"api key",
    b"accesskey",
    b"access_key",
    b"access-key",
    b"authkey",
    b"auth_key",
    b"auth-key",
    b"secretkey",
    b"secret_key",
    b"secret-key",
    b"subscription-key",
    b"authorization",
    b"api_token",
    b"api-token",
    b"apitoken",
    b"access_token",
    b"access-token",
    b"accesstoken",
    b"auth_token",
    b"auth-token",
    b"authtoken",
    b"bearer_token",
    b"api_secret",
    b"apisecret",
    b"api-secret",
];

/// How names of lists of keys that may log in end, in any case.
const AUTHORIZED: &[&[u8]] = &[b"authorized_keys", b"authorized-keys", b"authorizedkeys"];

/// Names that may be a key's beside its vendor's.
const BARE_NAMES: &[&[u8]] = &[b"key", b"token", b"secret"];

/// Whether `name` is a key's own: `apiKey`, `MISTRAL_API_KEY`, `access_token`. A `cacheKey` and a `nextPageToken` are none.
pub(super) fn ends(name: &[u8]) -> bool {
    matches!(name.last(), Some(b'y' | b'Y' | b'n' | b'N' | b't' | b'T'))
        && KEY_NAMES.iter().any(|word| ends_in(name, word))
}

/// Whether `name` is of keys that may log in: `ssh_authorized_keys`, `sshAuthorizedKeys`.
pub(super) fn lists_authorized(name: &[u8]) -> bool {
    matches!(name.last(), Some(b's' | b'S')) && AUTHORIZED.iter().any(|word| ends_in(name, word))
}

/// Whether `text` ends in `word`, in any case.
pub(super) fn ends_in(text: &[u8], word: &[u8]) -> bool {
    text.len().checked_sub(word.len()).is_some_and(|at| text[at..].eq_ignore_ascii_case(word))
}

/// Whether `name` says no more than that its value is a key, whatever of: `key`, `token`, `secret`.
pub(super) fn is_bare(name: &[u8]) -> bool {
    matches!(name.len(), 3..=6) && BARE_NAMES.iter().any(|bare| name.eq_ignore_ascii_case(bare))
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_of_keys_are_told_from_others_that_end_in_key_or_token() {
        for name in ["apiKey", "MISTRAL_API_KEY", "access_token", "x-api-key", "Authorization"] {
            assert!(super::ends(name.as_bytes()), "{name}");
        }
        for name in ["", "monkey", "cacheKey", "nextPageToken", "publicKey", "idempotencyKey", "api_key_id"] {
            assert!(!super::ends(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn a_bare_name_is_no_other_s_end() {
        for name in ["key", "Token", "SECRET"] {
            assert!(super::is_bare(name.as_bytes()), "{name}");
        }
        for name in ["", "keys", "my_key", "type"] {
            assert!(!super::is_bare(name.as_bytes()), "{name}");
        }
    }
}
