//! What stands beside a value → whether it says that the value is a key.
//!
//! A vendor's name is near; what is asked here is whether the words between promise a secret of its.

use crate::flow::detect::key_name;
use memchr::memmem;
use std::ops::Range;

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
/// How far before a vendor's name words say that its value is a key.
const WORDS_BEFORE: usize = 24;
/// How far before it the columns are named that a row has.
const FAR_BEFORE: usize = 192;
/// How far before a value its name is looked for, with what stands between.
const NAME_BEFORE: usize = 64;

/// Whether `context`, up to a value, says that it is a secret: but for an `author` and for so many `tokens` or a
/// `tokenizer`.
pub(super) fn says_secret(context: &[u8]) -> bool {
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
pub(super) fn is_other(context: &[u8]) -> bool {
    let name = last_name(context);
    let sort = [&b"key"[..], b"token"].into_iter().find_map(|word| before_word(name, word)).map(last_name);
    ABOUT.iter().any(|word| before_word(name, word).is_some())
        || sort.is_some_and(|name| OTHER_SORTS.iter().any(|word| before_word(name, word).is_some()))
}

/// Whether words, or the name that ends them, are of a secret itself.
pub(super) fn is_of_secret(context: &[u8]) -> bool {
    says_secret(context) && !is_other(context)
}

/// What stands at the end of `before`, where the words may be that say what follows, back to one of the bytes that `end`.
fn words_before(before: &[u8], end: impl Fn(u8) -> bool) -> &[u8] {
    let near = &before[before.len().saturating_sub(WORDS_BEFORE)..];
    &near[near.iter().rposition(|b| end(*b)).map_or(0, |at| at + 1)..]
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

/// Whether a value has nothing by which it is known but its name: letters and digits alone, or a UUID.
pub(super) fn is_plain(value: &[u8]) -> bool {
    let uuid = value.len() == 36 && [8, 13, 18, 23].iter().all(|&at| value[at] == b'-');
    value.iter().all(|b| b.is_ascii_alphanumeric() || (uuid && *b == b'-'))
}

/// Whether a value has letters of both cases and digits, as no digest has.
pub(super) fn is_drawn(value: &[u8]) -> bool {
    let has = |class: fn(&u8) -> bool| value.iter().any(class);
    has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_digit)
}

/// Whether what stands between a name and a value is the path of a URL: the name is part of its host, the value names
/// something there.
pub(super) fn leads_on(between: &[u8]) -> bool {
    let of_url = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'/');
    memchr::memchr_iter(b'/', between).nth(1).is_some() && between.iter().all(of_url)
}

/// Whether `before` ends in a vendor's own name, which stands at `name`, and a sign that gives it the value that follows:
/// one that is no digest, or a key by the words before the name. `ключ Mistral: `, `"zhipu": "`, `API key for Mistral is `.
pub(super) fn is_value_of(before: &[u8], name: Range<usize>, value: &[u8]) -> bool {
    let off = |b: &u8| matches!(b, b' ' | b'\t') || is_quote(*b);
    let sign = trimmed(&before[name.end..], |b| off(&b));
    let sign = &sign[sign.iter().take_while(|b| off(b)).count()..];
    let sign = sign.strip_prefix(b")").unwrap_or(sign);
    if !matches!(sign, b":" | b"=" | b"=>" | b":=" | b"is" | &[0xef, 0xbc, 0x9a]) {
        return false;
    }
    let line = words_before(&before[..name.start], |b| matches!(b, b'\n' | b';' | b','));
    let is_drawn = is_drawn(value);
    let is_named = || is_of_secret(line);
    if sign == b"is" {
        // In a sentence it is somebody's or one of an API, or none of what other keys are.
        return is_named() && (is_drawn || line.windows(3).any(|word| is_one_of(word, &[b"api", b"my ", b"our"])));
    }
    is_drawn || !is_plain(value) || is_named()
}

/// Whether a value is what a row has in the column of a key, right behind its vendor: `(name, api_key) VALUES ('vendor', '`.
/// `between` stands between the two, `before` before the vendor.
pub(super) fn is_inserted(before: &[u8], between: &[u8]) -> bool {
    let beside = |b: &u8| matches!(b, b' ' | b',') || is_quote(*b);
    if memchr::memchr(b',', between).is_none() || !between.iter().all(beside) {
        return false;
    }
    let before = &before[before.len().saturating_sub(FAR_BEFORE)..];
    let Some(at) = before
        .windows(7)
        .rposition(|word| word[..6].eq_ignore_ascii_case(b"values") && !word[6].is_ascii_alphanumeric())
    else {
        return false;
    };
    let columns = trimmed(&before[..at], |b| b.is_ascii_whitespace() || b == b')');
    let columns = &columns[memchr::memrchr(b'(', columns).map_or(0, |at| at + 1)..];
    columns.split(|b| *b == b',').any(|name| {
        let name = trimmed(name, |b| b == b' ' || is_quote(b));
        is_of_secret(name)
    })
}

/// Whether words of a sentence between a vendor's name and a value, and those before the name, say that the value, which
/// is no digest, is the key they speak of: `my Vendor key for the demo: `, `clé Vendor de la démo : `.
pub(super) fn is_told(before: &[u8], between: &[u8], value: &[u8]) -> bool {
    const LONGEST: usize = 64;
    const SIGNS: &[&[u8]] = &[b":", b"=", b" is", "\u{ff1a}".as_bytes(), "\u{2192}".as_bytes(), "\u{2014}".as_bytes()];
    if between.len() > LONGEST || !is_drawn(value) {
        return false;
    }
    let words = unquoted(between);
    let Some(words) = SIGNS.iter().find_map(|sign| words.strip_suffix(*sign)) else { return false };
    let of_prose = |b: &u8| b.is_ascii_alphabetic() || !b.is_ascii() || matches!(b, b' ' | b'\'' | b'-' | b'(' | b')');
    let line = words_before(before, |b| matches!(b, b'\n' | b';' | b','));
    words.iter().all(of_prose) && [line, words].into_iter().any(is_of_secret)
}

/// Whether what stands before a vendor's name on its line says that a key of its is kept: `llm keys set `, `pass insert `.
pub(super) fn keeps_key(before: &[u8]) -> bool {
    let line = words_before(before, |b| matches!(b, b'\n' | b';' | b'|' | b'&'));
    is_of_secret(line) || memmem::find(line, b"pass insert").is_some()
}

/// Whether `context` ends in a call that makes a vendor's client of the text that begins there: `Vendor("`,
/// `vendor.Client("`. `vendor` is what the vendor is known by.
pub(super) fn makes_client(context: &[u8], vendor: &[u8]) -> bool {
    let Some(call) = trimmed(context, is_quote).strip_suffix(b"(") else { return false };
    let quoted = context.len() > call.len() + 1;
    let of_name = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    let name = &call[call.iter().rposition(|b| !of_name(b)).map_or(0, |at| at + 1)..];
    let plain = name.strip_suffix(b"V2").unwrap_or(name);
    let is_vendor = || plain.eq_ignore_ascii_case(trimmed(vendor, |b| !of_name(&b)));
    let is_made = name.first().is_some_and(u8::is_ascii_uppercase) || name == b"createClient";
    quoted && is_made && (plain.ends_with(b"Client") || is_vendor())
}

/// Whether a key's own name stands right before `at`, with a sign between, or what comes before one in a header:
/// `"api_key": "`, `Bearer `.
pub(super) fn names_key(text: &[u8], at: usize) -> bool {
    let before = &text[at.saturating_sub(NAME_BEFORE)..at];
    let blank = |b: u8| matches!(b, b' ' | b'\t');
    let unquoted = trimmed(before, is_quote);
    let words = trimmed(unquoted, blank);
    let scheme =
        [&b"bearer"[..], b"token", b"key"].into_iter().find(|s| words.len() < unquoted.len() && ends(words, s));
    if scheme.is_some_and(|s| s == b"bearer") {
        return true;
    }
    let signed = trimmed(&words[..words.len() - scheme.map_or(0, <[u8]>::len)], |b| blank(b) || is_quote(b));
    let Some(name) = signed
        .strip_suffix(b"=>")
        .or_else(|| signed.strip_suffix(b":="))
        .or_else(|| signed.strip_suffix(b"=").or_else(|| signed.strip_suffix(b":")))
    else {
        return false;
    };
    key_name::ends(trimmed(name, |b| blank(b) || is_quote(b) || b == b']'))
}

/// Whether a value right behind `between` is a member, called no more than a key, of what a vendor's name, right before
/// that, is the name of or is named in: `mistral: {"type": "api", "key": "`, `[mistral]` and `token = "` on a line below.
/// So is one called no more than a value, if it can be no digest and its vendor's name is all of a value before.
pub(super) fn is_member(between: &[u8], of: &[u8], drawn: bool) -> bool {
    let off = |b: u8| matches!(b, b' ' | b'\t') || is_quote(b);
    let words = trimmed(between, off);
    let Some(words) = words.strip_suffix(b":").or_else(|| words.strip_suffix(b"=")) else { return false };
    let words = trimmed(words, off);
    let name = words.iter().rposition(|b| !b.is_ascii_alphanumeric()).map_or(0, |at| at + 1);
    let before = trimmed(&words[..name], off);
    // Names of what it is in may stand before it on its line.
    let line = &before[memchr::memrchr(b'\n', before).map_or(0, |at| at + 1)..];
    let begins = matches!(before.last(), Some(b'\n' | b'{' | b','))
        || line.split(|b| *b == b' ').all(|word| word.ends_with(b":") && !word[..word.len() - 1].contains(&b':'));
    let is_bare = key_name::is_bare(&words[name..]);
    if !(is_bare || (drawn && words[name..].eq_ignore_ascii_case(b"value"))) || !begins {
        return false;
    }
    let head = &between[between.iter().take_while(|b| is_quote(**b)).count()..];
    let is_head = matches!(head, [b':' | b']', ..] | [b' ', b':' | b'=', ..]);
    // Or it is the value of a member beside.
    let is_value = || {
        let before = trimmed(of, off);
        matches!(before.last(), Some(b':' | b'='))
            && matches!(head, [b',' | b'\n' | b'\r', ..] | [b' ', b',' | b'\n', ..])
    };
    ((is_bare && is_head) || is_value())
        && !between.contains(&b'}')
        && ![&b"\n\n"[..], b"\n[", b"\n\r"].iter().any(|end| memmem::find(between, end).is_some())
}

/// Whether a value right behind `between` is handed to a command as what goes into it, or as an option's: `<<< "`,
/// `--body `.
pub(super) fn is_handed(between: &[u8]) -> bool {
    let words = unquoted(between);
    let options: [&[u8]; 7] =
        [b"<<<", b"--value", b"--body", b"--secret-string", b"--secret", b"--from-literal", b"--data"];
    options.iter().any(|option| words.ends_with(option))
        && !words.iter().any(|b| matches!(b, b'\n' | b';' | b'|' | b'&'))
}

/// Whether a name may be a cell of a table: what stands beside it sets it apart.
pub(super) fn is_cell(text: &[u8], name: &Range<usize>) -> bool {
    let sets_apart = |b: u8| matches!(b, b' ' | b'|' | b',' | b'\t' | b'\n' | b'\r' | b'"' | b'`');
    name.start.checked_sub(1).is_none_or(|n| sets_apart(text[n])) && text.get(name.end).is_some_and(|b| sets_apart(*b))
}

/// Whether words follow on the line of a value, as in a log that begins each with a commit.
pub(super) fn goes_on(behind: &[u8]) -> bool {
    matches!(behind, [b' ', b, ..] if b.is_ascii_alphanumeric())
}

/// `text` without the blanks and quotes at its end.
pub(super) fn unquoted(text: &[u8]) -> &[u8] {
    trimmed(text, |b| matches!(b, b' ' | b'\t') || is_quote(b))
}

/// Whether words between a value and a vendor's name, or between both of them, say that the one is a key of the other:
/// `K is my Vendor key`, `K (Vendor API key)`. `after` is what stands behind the name.
pub(super) fn is_said_of(between: &[u8], after: &[u8]) -> bool {
    /// Words that may stand between, and those of which one does.
    const WORDS: &[&[u8]] =
        &[b"my", b"our", b"the", b"your", b"a", b"an", b"that", b"this", b"it", b"for", b"to", b"new"];
    const LINKS: &[&[u8]] =
        &[b"is", b"as", b"=", b"(", b"-", b"\xe2\x80\x93", b"\xe2\x80\x94", b"<-", b"\xe2\x86\x90", b"are", b"was"];
    const KINDS: &[&[u8]] = &[b"key", b"token", b"secret", b"keys"];
    const GO_ON: &[&[u8]] =
        &[b"and", b"so", b"please", b"now", b"if", b"which", b"but", b"you", b"i", b"for", b"we", b"in"];
    // A bracket opens right before the name.
    let (between, mut linked) = between.strip_suffix(b"(").map_or((between, false), |before| (before, true));
    for word in between.split(u8::is_ascii_whitespace) {
        let word = trimmed(word, |b| is_quote(b) || matches!(b, b',' | b'*' | b'_'));
        let word = &word[word.iter().take_while(|b| is_quote(**b) || matches!(b, b',' | b'*' | b'_')).count()..];
        let links = is_one_of(word, LINKS);
        linked |= links;
        if !word.is_empty() && !links && !is_one_of(word, WORDS) {
            return false;
        }
    }
    let (mut kind, mut rest) = first_word(after);
    let (next, behind) = first_word(rest);
    if !next.is_empty() && is_one_of(kind, &[b"api", b"access", b"secret", b"ai"]) {
        (kind, rest) = (next, behind);
    }
    if !linked || !is_one_of(kind, KINDS) {
        return false;
    }
    !matches!(rest, [b' ', b, ..] if b.is_ascii_alphanumeric()) && !matches!(rest, [b'_' | b'-' | b'/', ..])
        || is_one_of(first_word(rest).0, GO_ON)
}

/// The first word of a text, the `s` of a genitive passed over, and what stands behind it.
fn first_word(text: &[u8]) -> (&[u8], &[u8]) {
    let start = text.iter().take_while(|b| !b.is_ascii_alphanumeric()).count();
    let len = text[start..].iter().take_while(|b| b.is_ascii_alphanumeric()).count();
    let (word, rest) = text[start..].split_at(len);
    if word.eq_ignore_ascii_case(b"s") { first_word(rest) } else { (word, rest) }
}

/// Whether a word is one of these, in any case.
pub(super) fn is_one_of(word: &[u8], words: &[&[u8]]) -> bool {
    words.iter().any(|w| word.eq_ignore_ascii_case(w))
}

/// Whether a name is a URL's host.
pub(super) fn is_host(text: &[u8], name: Range<usize>) -> bool {
    (text[..name.start].ends_with(b"//") || text[..name.start].ends_with(br"/\/")) && text[name].contains(&b'.')
}

/// Whether what stands between a vendor's name and a value farther off begins something else: a paragraph, or the query of
/// the URL the name is part of.
pub(super) fn begins_anew(between: &[u8]) -> bool {
    let word = between.iter().rposition(|b| b.is_ascii_whitespace() || is_quote(*b)).map_or(0, |at| at + 1);
    memmem::find(between, b"\n\n").is_some() || between[word..].iter().any(|b| matches!(b, b'?' | b'&'))
}

/// Whether another entry's name stands between a name and a value: `name: OTHER`.
pub(super) fn holds_name(between: &[u8]) -> bool {
    memmem::find_iter(between, b"name").any(|at| {
        let rest = between[at + b"name".len()..].iter().find(|b| **b != b' ' && !is_quote(**b));
        matches!(rest, Some(b':' | b'='))
    })
}

/// Whether a value's name, right before `at`, says no more than that it is one: `"value": "`.
pub(super) fn names_value(text: &[u8], at: usize) -> bool {
    let before = trimmed(&text[at.saturating_sub(NAME_BEFORE)..at], |b| b == b' ' || is_quote(b));
    let Some(name) = before.strip_suffix(b":").or_else(|| before.strip_suffix(b"=")) else { return false };
    let name = trimmed(name, |b| b == b' ' || is_quote(b));
    let Some(at) = name.len().checked_sub(b"value".len()) else { return false };
    ends(name, b"value") && !at.checked_sub(1).is_some_and(|n| name[n].is_ascii_alphanumeric())
}

const fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`' | b'\\')
}

fn trimmed(text: &[u8], off: impl Fn(u8) -> bool) -> &[u8] {
    &text[..text.iter().rposition(|b| !off(*b)).map_or(0, |at| at + 1)]
}

fn starts(text: &[u8], word: &[u8]) -> bool {
    text.get(..word.len()).is_some_and(|t| t.eq_ignore_ascii_case(word))
}

fn ends(text: &[u8], word: &[u8]) -> bool {
    text.len().checked_sub(word.len()).is_some_and(|at| text[at..].eq_ignore_ascii_case(word))
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
    fn a_row_and_a_command_say_whose_key_they_keep() {
        let columns = b"INSERT INTO keys (provider, api_key) VALUES ('";
        assert!(is_inserted(columns, b"', '"));
        assert!(!is_inserted(b"INSERT INTO models (provider, sha) VALUES ('", b"', '"));
        assert!(!is_inserted(columns, b" sha "));
        assert!(!is_inserted(b"", b"', '"));
        for before in ["llm keys set ", "$ pass insert -e ai/", "vault token put "] {
            assert!(keeps_key(before.as_bytes()), "{before}");
        }
        for before in ["llm models default ", "the keys are here;\nset ", ""] {
            assert!(!keeps_key(before.as_bytes()), "{before}");
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
    fn a_key_s_name_stands_right_before_it() {
        for before in [
            "api_key=",
            "{\"apiKey\": \"",
            "{\\\"apiKey\\\":\\\"",
            "-H 'x-api-key: ",
            "Authorization: Bearer ",
            "\"Authorization\": f\"Bearer ",
            "Authorization: Token ",
            "os.environ[\"EXA_API_KEY\"] = '",
            ":api_key => \"",
            "apiKey := `",
        ] {
            assert!(names_key(before.as_bytes(), before.len()), "{before}");
        }
        for before in [
            "",
            "=",
            "api_key",
            "api_key ",
            "the api_key: see ",
            "key=",
            "api_key_id=",
            "keyboard: ",
            "page_token=",
            "token ",
        ] {
            assert!(!names_key(before.as_bytes(), before.len()), "{before}");
        }
    }

    #[test]
    fn a_paragraph_a_query_and_an_entry_begin_anew() {
        for between in [" it all.\n\n  key: ", "/search?session=1&access_token=", "-large/chat?api-version=1&api-key="]
        {
            assert!(begins_anew(between.as_bytes()), "{between}");
        }
        for between in ["/v1/x?y=z -H 'Authorization: Bearer ", "\n  api_key: ", ""] {
            assert!(!begins_anew(between.as_bytes()), "{between}");
        }
        for (between, is) in
            [("\n- name: SHA\n  value: ", true), ("\", \"value\": ", false), ("\"name\" : ", true), (" named ", false)]
        {
            assert_eq!(holds_name(between.as_bytes()), is, "{between}");
        }
    }

    #[test]
    fn a_host_is_told_from_a_name_in_prose() {
        for (before, name, is) in [
            ("base_url=\"https://", "api.vendor.test", true),
            (r"https:\/\/", "api.vendor.test", true),
            ("from ", "vendor.client", false),
            ("// ", "vendor.client", false),
            ("//", "vendor", false),
        ] {
            let text = [before, name].concat();
            assert_eq!(is_host(text.as_bytes(), before.len()..text.len()), is, "{text}");
        }
    }

    #[test]
    fn a_value_s_name_says_nothing() {
        for (before, is) in
            [("\"value\": \"", true), ("value=", true), ("key_value: ", true), ("devalue: ", false), ("value ", false)]
        {
            assert_eq!(names_value(before.as_bytes(), before.len()), is, "{before}");
        }
    }

    #[test]
    fn a_vendor_s_name_alone_has_a_key_by_what_it_is_or_by_what_stands_before() {
        let hex = "d704484fb8b02d950eb67d6bffe650bc";
        for (before, name, value, is) in [
            ("mistral: \"", 0..7, "ZhrHpe7coruNgr4tNNpnCQCHbMVqeXyh", true),
            ("mistral: \"", 0..7, hex, false),
            ("\"zhipu\" : \"", 1..6, "d704484fb8b02d950eb67d6bffe650bc.B184sl1i0XSslTAg", true),
            ("clave Mistral: ", 6..13, hex, true),
            ("the key of Mistral is ", 11..18, hex, false),
            ("The API key for Mistral is ", 16..23, hex, true),
            ("the key of Mistral is ", 11..18, "ZhrHpe7coruNgr4tNNpnCQCHbMVqeXyh", true),
            ("Mistral is ", 0..7, "ZhrHpe7coruNgr4tNNpnCQCHbMVqeXyh", false),
            ("the key.\nmistral: ", 9..16, hex, false),
            ("cache key mistral=", 10..17, hex, false),
            ("mistral ", 0..7, "ZhrHpe7coruNgr4tNNpnCQCHbMVqeXyh", false),
        ] {
            assert_eq!(is_value_of(before.as_bytes(), name, value.as_bytes()), is, "{before}{value}");
        }
    }

    #[test]
    fn a_call_makes_a_client_when_its_name_is_one_s_or_the_vendor_s() {
        for (context, vendor) in [
            ("cohere.Client(\"", "cohere"),
            ("cohere.ClientV2('", "cohere"),
            ("new DeepgramClient(`", "deepgram"),
            ("Exa(\"", "exa("),
            ("new Mistral(\\\"", "mistral"),
        ] {
            assert!(makes_client(context.as_bytes(), vendor.as_bytes()), "{context}");
        }
        for (context, vendor) in [
            ("cohere.Client(", "cohere"),
            ("exa(\"", "exa("),
            ("ExaResult(\"", "exa"),
            ("mistral.get(\"", "mistral"),
            ("DeepgramClient \"", "deepgram"),
            ("(\"", "exa("),
        ] {
            assert!(!makes_client(context.as_bytes(), vendor.as_bytes()), "{context}");
        }
    }

    #[test]
    fn a_member_called_a_key_belongs_to_the_vendor_above_it_or_beside_it() {
        for (of, between) in [
            ("{\"", "\": {\"type\": \"api\", \"key\": \""),
            ("", ": type: api \nkey: "),
            ("", ": key: "),
            ("[", "]\nmodel = \"x\"\nkey = \""),
            ("  ", ":\n    enabled: true\n    token: "),
            ("provider: ", " \nsecret: "),
            ("{\"vendor\": \"", "\", \"token\": \""),
        ] {
            assert!(is_member(between.as_bytes(), of.as_bytes(), false), "{of}V{between}");
        }
        for (of, between) in [
            ("", ": {\"cache\": {\"x\": 1}, \"key\": \""),
            ("[", "]\nmodel = \"x\"\n[other]\nkey = \""),
            ("", ":\n  model: x\n\nother:\n  key: "),
            ("all of it ", " \nkey: "),
            ("", ": the key: "),
            ("", " and the key: "),
            ("", ": cache_key: "),
        ] {
            assert!(!is_member(between.as_bytes(), of.as_bytes(), false), "{of}V{between}");
        }
    }

    #[test]
    fn a_sentence_says_whose_key_a_value_is() {
        for (between, after) in [
            (" is my ", " key"),
            ("` as the ", " API key."),
            (" (", " API key)"),
            (" – that is the ", " token, and more"),
            (" is our ", "'s key for now"),
        ] {
            assert!(is_said_of(between.as_bytes(), after.as_bytes()), "{between}V{after}");
        }
        for (between, after) in [
            (" ", " key"),
            (" Rename ", " key"),
            (": rotate the ", " API key"),
            (" is the ", " key rotation"),
            (" is the ", " model"),
            (" is my ", " key_id"),
            (" is a ", ""),
        ] {
            assert!(!is_said_of(between.as_bytes(), after.as_bytes()), "{between}V{after}");
        }
    }

    #[test]
    fn a_value_is_handed_to_a_command() {
        for between in [" --data-file=- <<< \"", " --repo a/b --body '", " --value "] {
            assert!(is_handed(between.as_bytes()), "{between}");
        }
        for between in [" --data-file=- ", "; cat <<< ", " --body-file ", ""] {
            assert!(!is_handed(between.as_bytes()), "{between}");
        }
    }

    #[test]
    fn an_ascii_text_holds_no_piece_of_a_word_elsewhere() {
        assert!(PIECES_ELSEWHERE.iter().all(|piece| !piece.is_ascii()));
    }

    #[test]
    fn plain_values_have_no_shape_of_their_own() {
        for plain in ["d704484fb8b02d950eb67d6bffe650bc", "b25a2c4e-9c1d-4f1e-8a3b-5d7c9e0f1a2b"] {
            assert!(is_plain(plain.as_bytes()), "{plain}");
        }
        for shaped in ["ak-d704484fb8b02d950eb6", "vcp_d704484f", "d704484fb8b02d950eb67d6bffe650bc.Ab3"] {
            assert!(!is_plain(shaped.as_bytes()), "{shaped}");
        }
    }
}
