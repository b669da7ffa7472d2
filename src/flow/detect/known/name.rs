//! A variable's name → what its value may be, and whose.

use crate::flow::detect::{decode::View, matcher::Matcher, rule::Vendor};
use posture::Direction;
use std::sync::Arc;

/// What ends a word of a name that says its value is a secret.
const SECRET_WORDS: &[&str] = &[
    "KEY",
    "KEYS",
    "TOKEN",
    "TOKENS",
    "SECRET",
    "SECRETS",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "CREDENTIAL",
    "CREDENTIALS",
];
/// Words that are such by themselves, and no ending of others: `BYPASS` is none.
const WHOLE_WORDS: &[&str] = &["PASS", "PAT", "PWD"];
/// What ends a name that is about a secret, and has none.
const ABOUT: &[&str] = &[
    "ALG",
    "ALGORITHM",
    "BUDGET",
    "COUNT",
    "DIR",
    "ENABLED",
    "ENDPOINT",
    "EXPIRES",
    "EXPIRY",
    "FILE",
    "FOLDER",
    "HOST",
    "ID",
    "LENGTH",
    "LIMIT",
    "MODE",
    "MODEL",
    "NAME",
    "PATH",
    "PORT",
    "PREFIX",
    "REGION",
    "SIZE",
    "SOURCE",
    "SUFFIX",
    "TIMEOUT",
    "TTL",
    "TYPE",
    "VERSION",
];
/// What makes a key one to show around, or tokens a number.
const NO_SECRET: &[&str] = &["PUBLIC", "PUBLISHABLE", "MAX", "MIN"];
/// What ends the name of an address, which may hold a password.
const ADDRESSES: &[&str] = &["URL", "URI", "DSN"];
/// The longest name that is shown.
const MAX_SHOWN: usize = 64;

/// What a variable's name says of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameKind {
    /// It is a secret.
    Secret,
    /// It is an address, which may hold one.
    Address,
}

/// What this name says; `None` for one that says nothing of a secret.
pub fn kind_of(name: &str) -> Option<NameKind> {
    let name = name.to_ascii_uppercase();
    let words = || name.split(['_', '-', '.']).filter(|word| !word.is_empty());
    let last = words().next_back()?;
    if ADDRESSES.contains(&last) {
        return Some(NameKind::Address);
    }
    if ABOUT.contains(&last) || words().any(|word| NO_SECRET.contains(&word)) {
        return None;
    }
    // `PWD` alone is a folder.
    let whole = words().count() > 1;
    let secret =
        |word: &str| SECRET_WORDS.iter().any(|says| word.ends_with(says)) || (whole && WHOLE_WORDS.contains(&word));
    words().any(secret).then_some(NameKind::Secret)
}

/// The vendors to whom a value belongs: those whose shape it has, those of its variable's name where it has none, and
/// where several have that shape, those of them that the name names.
pub fn owners(matcher: &Matcher, name: &str, value: &[u8]) -> Arc<[String]> {
    let named = vendors_of(name, matcher.rules().vendors());
    let mut shaped: Vec<String> = Vec::new();
    matcher.find(Direction::Outbound, &View::plain(value), &mut |m| shaped.extend_from_slice(m.rule.vendors()));
    shaped.sort_unstable();
    shaped.dedup();
    if shaped.is_empty() {
        return named.into_iter().map(str::to_owned).collect();
    }
    if shaped.iter().any(|vendor| named.contains(&vendor.as_str())) {
        shaped.retain(|vendor| named.contains(&vendor.as_str()));
    }
    shaped.into()
}

/// The vendors a variable of this name belongs to: those with the most telling words in it.
pub(super) fn vendors_of<'v>(name: &str, vendors: &'v [Vendor]) -> Vec<&'v str> {
    let name = format!("_{}_", name.to_ascii_lowercase());
    let telling = |vendor: &Vendor| {
        let within = vendor.variables.iter().filter(|words| name.contains(&format!("_{words}_")));
        within.map(String::len).max()
    };
    let most = vendors.iter().filter_map(telling).max();
    vendors
        .iter()
        .filter(|vendor| most.is_some() && telling(vendor) == most)
        .map(|vendor| vendor.name.as_str())
        .collect()
}

/// A name as it may be shown: what is no plain name of a variable may be a piece of a value over several lines.
pub fn shown_name(name: &str) -> &str {
    let upper = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    let lower = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    let words = name.split('_').all(|word| word.bytes().filter(u8::is_ascii_digit).count() <= 4);
    let plain = name.len() <= MAX_SHOWN && words && (name.bytes().all(upper) || name.bytes().all(lower));
    if plain { name } else { "(a name not shown)" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::detect::rule::RuleSet;

    #[test]
    fn names_that_promise_a_secret_are_told_from_names_about_one() {
        for name in [
            "MISTRAL_API_KEY",
            "GITHUB_TOKEN",
            "aws_secret_access_key",
            "DB_PASSWORD",
            "SMTP_PASS",
            "SECRET_KEY_BASE",
            "OPENAI_API_KEY_2",
            "FAL_KEY",
            "APIKEY",
            "SUDO_PASSWORD",
            "CI_JOB_TOKEN_PROD",
            "GITLAB_PAT",
        ] {
            assert_eq!(kind_of(name), Some(NameKind::Secret), "{name}");
        }
        for name in ["DATABASE_URL", "SENTRY_DSN", "MONGO_URI", "TOKEN_URL"] {
            assert_eq!(kind_of(name), Some(NameKind::Address), "{name}");
        }
        for name in [
            "",
            "_",
            "HOME",
            "PWD",
            "OLDPWD",
            "HERMES_MODEL",
            "TERMINAL_SSH_KEY_PATH",
            "SECRET_NAME",
            "HERMES_MAX_TOKENS",
            "AWS_ACCESS_KEY_ID",
            "SSH_PUBLIC_KEY",
            "STRIPE_PUBLISHABLE_KEY",
            "BYPASS",
            "COMPASS_MODE",
            "TOKENIZER",
        ] {
            assert_eq!(kind_of(name), None, "{name}");
        }
    }

    #[test]
    fn a_name_gives_the_vendor_and_the_most_telling_words_win() {
        let rules = RuleSet::embedded();
        for (name, vendors) in [
            ("MISTRAL_API_KEY", &["mistral"][..]),
            ("OPENAI_API_KEY", &["openai"]),
            ("VOICE_TOOLS_OPENAI_KEY", &["openai"]),
            ("AZURE_OPENAI_API_KEY", &["azure"]),
            ("HF_TOKEN", &["hugging_face"]),
            ("GEMINI_API_KEY", &["google"]),
            ("GITHUB_TOKEN", &["github"]),
            ("TELEGRAM_BOT_TOKEN", &["telegram"]),
            ("AWS_SECRET_ACCESS_KEY", &["aws"]),
            ("ZAI_API_KEY", &["zhipu"]),
            ("NOUS_API_KEY", &["nous"]),
            ("DB_PASSWORD", &[]),
            ("OPENAIR_KEY", &[]),
            ("MYGROQ_KEY", &[]),
        ] {
            assert_eq!(vendors_of(name, rules.vendors()), vendors, "{name}");
        }
    }

    #[test]
    fn the_words_of_a_vendor_are_lower_case_and_no_other_vendors() {
        let rules = RuleSet::embedded();
        for vendor in rules.vendors() {
            assert!(!vendor.variables.is_empty(), "{}", vendor.name);
            for words in &vendor.variables {
                assert!(words.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{words}");
                let others = rules.vendors().iter().filter(|other| other.variables.contains(words));
                assert_eq!(others.count(), 1, "{words}");
            }
        }
    }

    #[test]
    fn what_may_be_a_piece_of_a_value_is_no_name_to_show() {
        for name in ["MISTRAL_API_KEY", "db_password", "KEY_2"] {
            assert_eq!(shown_name(name), name);
        }
        for name in ["MIIEvKEYabc", "a-b", "key with blanks", "TOKEN_83920184", "É_KEY", &"KEY_".repeat(20)] {
            assert_eq!(shown_name(name), "(a name not shown)", "{name}");
        }
    }
}
