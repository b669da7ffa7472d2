//! Words → whether they name a secret, in code and in prose, in any language that is known here.

use super::trimmed;
use memchr::memmem;

/// What says that a name's value is a secret.
const SECRET_WORDS: &[&[u8]] = &[b"key", b"token", b"secret", b"auth", b"passw", b"cred", b"bearer"];
/// The same in other languages: how such a word begins.
const WORDS_ELSEWHERE: &[&str] = &[
    "clave", "llave", "contrase", "clé", "chave", "senha", "chiave", "segreto", "sleutel", "klucz", "anahtar",
    "nyckel", "khóa",
];
/// And what stands in one, without a first letter that may be a capital.
const PIECES_ELSEWHERE: &[&str] = &[
    "chlüssel",
    "люч",
    "окен",
    "екрет",
    "ароль",
    "密钥",
    "密鑰",
    "金鑰",
    "秘钥",
    "令牌",
    "密码",
    "APIキー",
    "アクセスキー",
    "シークレット",
    "トークン",
    "API 키",
    "API키",
    "액세스 키",
    "비밀 키",
    "토큰",
    "مفتاح",
    "कुंजी",
];
/// What ends a name that is about a secret, and has none: its value tells the secret from others, or where it is.
const ABOUT: &[&[u8]] = &[
    b"algorithm",
    b"checksum",
    b"count",
    b"crc32",
    b"digest",
    b"etag",
    b"file",
    b"fingerprint",
    b"hash",
    b"id",
    b"label",
    b"length",
    b"md5",
    b"name",
    b"path",
    b"sha",
    b"sha1",
    b"sha256",
    b"sha512",
    b"signature",
    b"thumbprint",
    b"type",
    b"version",
];
/// What tells a `key` or a `token` that is no secret from one that is. A primary key is one of Azure's, a task or a job may
/// have one.
const OTHER_SORTS: &[&[u8]] = &[
    b"cache",
    b"continuation",
    b"correlation",
    b"cursor",
    b"dedup",
    b"deduplication",
    b"foreign",
    b"idempotency",
    b"idempotent",
    b"lookup",
    b"next",
    b"page",
    b"pagination",
    b"paging",
    b"partition",
    b"public",
    b"routing",
    b"shard",
    b"sort",
    b"surrogate",
    b"unique",
];

/// Whether `context`, up to a value, says that it is a secret: but for an `author` and for so many `tokens` or a
/// `tokenizer`.
pub(in super::super) fn says_secret(context: &[u8]) -> bool {
    let other = |text: &[u8]| {
        starts(text, b"tokens") || starts(text, b"tokeni") || (starts(text, b"author") && !starts(text, b"authoriz"))
    };
    (0..context.len()).map(|at| &context[at..]).any(|text| SECRET_WORDS.iter().any(|w| starts(text, w)) && !other(text))
        || (!context.is_ascii()
            && PIECES_ELSEWHERE.iter().any(|piece| memmem::find(context, piece.as_bytes()).is_some()))
        || (0..context.len())
            .filter(|at| !at.checked_sub(1).is_some_and(|n| context[n].is_ascii_alphanumeric()))
            .any(|at| WORDS_ELSEWHERE.iter().any(|word| starts(&context[at..], word.as_bytes())))
}

/// Whether the name that ends `context` is of no secret: of something about one, as `API_KEY_ID` and `keyHash`, or of a
/// key of another sort, as `cacheKey` and `page_token`.
pub(in super::super) fn is_other(context: &[u8]) -> bool {
    let name = last_name(context);
    let sort = [&b"key"[..], b"token"].into_iter().find_map(|word| before_word(name, word)).map(last_name);
    ABOUT.iter().any(|word| before_word(name, word).is_some())
        || sort.is_some_and(|name| OTHER_SORTS.iter().any(|word| before_word(name, word).is_some()))
}

/// Whether words, or the name that ends them, are of a secret itself.
pub(in super::super) fn is_of_secret(context: &[u8]) -> bool {
    says_secret(context) && !is_other(context)
}

/// The text up to the last letter or digit.
fn last_name(text: &[u8]) -> &[u8] {
    trimmed(text, |b| !b.is_ascii_alphanumeric())
}

/// What comes before `word`, if it is the last one of `name`, in any of the ways in which names are put together.
fn before_word<'t>(name: &'t [u8], word: &[u8]) -> Option<&'t [u8]> {
    let (before, last) = name.split_at_checked(name.len().wrapping_sub(word.len()))?;
    let begins = before.last().is_none_or(|b| !b.is_ascii_alphanumeric())
        || (last[0].is_ascii_uppercase() && before.last().is_some_and(|b| !b.is_ascii_uppercase()));
    (begins && last.eq_ignore_ascii_case(word)).then_some(before)
}

fn starts(text: &[u8], word: &[u8]) -> bool {
    text.get(..word.len()).is_some_and(|t| t.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_about_a_key_are_told_from_names_of_one() {
        for about in [
            "MISTRAL_API_KEY_ID=",
            "deepgram_key_hash: ",
            "\"exaApiKeyId\": \"",
            "exaApiKeyID=",
            "key (sha256): ",
            "azure key fingerprint ",
            "id: ",
            "\"prompt_cache_key\": \"",
            "cacheKey=",
            "nextPageToken: ",
            "the foreign key ",
            "MISTRAL_PUBLIC_KEY=",
        ] {
            assert!(is_other(about.as_bytes()), "{about}");
        }
        for of in [
            "MISTRAL_API_KEY=",
            "valid: ",
            "api_keyhash=",
            "MISTRAL_GRID=",
            "paid ",
            "token_2: ",
            "homepage key ",
            "hockey=",
            "",
        ] {
            assert!(!is_other(of.as_bytes()), "{of}");
        }
    }

    #[test]
    fn a_secret_is_told_in_other_languages_and_no_word_for_another() {
        for context in
            ["clave ", "Clave de ", "API-Schlüssel: ", "Ключ=", "APIキー「", "密钥：", "La clé : ", "API 키는 "]
        {
            assert!(says_secret(context.as_bytes()), "{context}");
        }
        for context in ["enclave ", "スキーマ ", "キーワード ", "키워드 ", ""] {
            assert!(!says_secret(context.as_bytes()), "{context}");
        }
    }

    #[test]
    fn an_ascii_text_holds_no_piece_of_a_word_elsewhere() {
        assert!(PIECES_ELSEWHERE.iter().all(|piece| !piece.is_ascii()));
    }
}
