//! The structure a value stands in, of data or of code → whether its place makes it a key: an assignment, a member, a row.

use super::{is_of_secret, is_quote, trimmed};
use crate::flow::detect::key_name;
use memchr::memmem;
use std::ops::Range;

/// How far before a vendor's name the columns are named that a row has.
const FAR_BEFORE: usize = 192;
/// How far before a value its name is looked for, with what stands between.
const NAME_BEFORE: usize = 64;

/// Whether a key's own name stands right before `at`, with a sign between, or what comes before one in a header:
/// `"api_key": "`, `Bearer `.
pub(in super::super) fn names_key(text: &[u8], at: usize) -> bool {
    let before = &text[at.saturating_sub(NAME_BEFORE)..at];
    let blank = |b: u8| matches!(b, b' ' | b'\t');
    let unquoted = trimmed(before, is_quote);
    let words = trimmed(unquoted, blank);
    let scheme = [&b"bearer"[..], b"token", b"key"]
        .into_iter()
        .find(|s| words.len() < unquoted.len() && key_name::ends_in(words, s));
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

/// Whether a value's name, right before `at`, says no more than that it is one: `"value": "`.
pub(in super::super) fn names_value(text: &[u8], at: usize) -> bool {
    let before = trimmed(&text[at.saturating_sub(NAME_BEFORE)..at], |b| b == b' ' || is_quote(b));
    let Some(name) = before.strip_suffix(b":").or_else(|| before.strip_suffix(b"=")) else { return false };
    let name = trimmed(name, |b| b == b' ' || is_quote(b));
    let Some(at) = name.len().checked_sub(b"value".len()) else { return false };
    key_name::ends_in(name, b"value") && !at.checked_sub(1).is_some_and(|n| name[n].is_ascii_alphanumeric())
}

/// Whether a value right behind `between` is a member, called no more than a key, of what a vendor's name, right before
/// that, is the name of or is named in: `mistral: {"type": "api", "key": "`, `[mistral]` and `token = "` on a line below.
/// So is one called no more than a value, if it can be no digest and its vendor's name is all of a value before.
pub(in super::super) fn is_member(between: &[u8], of: &[u8], drawn: bool) -> bool {
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

/// Whether another entry's name stands between a name and a value: `name: OTHER`.
pub(in super::super) fn holds_name(between: &[u8]) -> bool {
    memmem::find_iter(between, b"name").any(|at| {
        let rest = between[at + b"name".len()..].iter().find(|b| **b != b' ' && !is_quote(**b));
        matches!(rest, Some(b':' | b'='))
    })
}

/// Whether a value is what a row has in the column of a key, right behind its vendor: `(name, api_key) VALUES ('vendor', '`.
/// `between` stands between the two, `before` before the vendor.
pub(in super::super) fn is_inserted(before: &[u8], between: &[u8]) -> bool {
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

/// Whether a name may be a cell of a table: what stands beside it sets it apart.
pub(in super::super) fn is_cell(text: &[u8], name: &Range<usize>) -> bool {
    let sets_apart = |b: u8| matches!(b, b' ' | b'|' | b',' | b'\t' | b'\n' | b'\r' | b'"' | b'`');
    name.start.checked_sub(1).is_none_or(|n| sets_apart(text[n])) && text.get(name.end).is_some_and(|b| sets_apart(*b))
}

/// Whether `context` ends in a call that makes a vendor's client of the text that begins there: `Vendor("`,
/// `vendor.Client("`. `vendor` is what the vendor is known by.
pub(in super::super) fn makes_client(context: &[u8], vendor: &[u8]) -> bool {
    let Some(call) = trimmed(context, is_quote).strip_suffix(b"(") else { return false };
    let quoted = context.len() > call.len() + 1;
    let of_name = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    let name = &call[call.iter().rposition(|b| !of_name(b)).map_or(0, |at| at + 1)..];
    let plain = name.strip_suffix(b"V2").unwrap_or(name);
    let is_vendor = || plain.eq_ignore_ascii_case(trimmed(vendor, |b| !of_name(&b)));
    let is_made = name.first().is_some_and(u8::is_ascii_uppercase) || name == b"createClient";
    quoted && is_made && (plain.ends_with(b"Client") || is_vendor())
}

/// Whether a name is a URL's host.
pub(in super::super) fn is_host(text: &[u8], name: Range<usize>) -> bool {
    (text[..name.start].ends_with(b"//") || text[..name.start].ends_with(br"/\/")) && text[name].contains(&b'.')
}

/// Whether what stands between a name and a value is the path of a URL: the name is part of its host, the value names
/// something there.
pub(in super::super) fn leads_on(between: &[u8]) -> bool {
    let of_url = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'/');
    memchr::memchr_iter(b'/', between).nth(1).is_some() && between.iter().all(of_url)
}

/// Whether what stands between a vendor's name and a value farther off begins something else: a paragraph, or the query of
/// the URL the name is part of.
pub(in super::super) fn begins_anew(between: &[u8]) -> bool {
    let word = between.iter().rposition(|b| b.is_ascii_whitespace() || is_quote(*b)).map_or(0, |at| at + 1);
    memmem::find(between, b"\n\n").is_some() || between[word..].iter().any(|b| matches!(b, b'?' | b'&'))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_value_s_name_says_nothing() {
        for (before, is) in
            [("\"value\": \"", true), ("value=", true), ("key_value: ", true), ("devalue: ", false), ("value ", false)]
        {
            assert_eq!(names_value(before.as_bytes(), before.len()), is, "{before}");
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
    fn a_row_says_whose_key_it_keeps() {
        let columns = b"INSERT INTO keys (provider, api_key) VALUES ('";
        assert!(is_inserted(columns, b"', '"));
        assert!(!is_inserted(b"INSERT INTO models (provider, sha) VALUES ('", b"', '"));
        assert!(!is_inserted(columns, b" sha "));
        assert!(!is_inserted(b"", b"', '"));
    }
}
