//! User-Agent → which kind of client asks, in closed words: what a client wrote is not ours to show.

use hudsucker::hyper::{HeaderMap, header::USER_AGENT};

/// How a User-Agent begins, in lower case, and whose it is.
const KINDS: [(&str, &str); 16] = [
    ("openai/", "openai_python"),
    ("asyncopenai/", "openai_python"),
    ("anthropic/", "anthropic_python"),
    ("asyncanthropic/", "anthropic_python"),
    ("hermes", "hermes"),
    ("python-httpx/", "httpx"),
    ("python-requests/", "requests"),
    ("python-urllib3/", "urllib3"),
    ("python-urllib/", "urllib"),
    ("python/", "aiohttp"),
    ("curl/", "curl"),
    ("git/", "git"),
    ("wget/", "wget"),
    ("node", "node"),
    ("undici", "node"),
    ("mozilla/", "browser"),
];

/// What kind of client these request fields are from: `unnamed` without a User-Agent, `other` with one not known here.
pub(super) fn kind(headers: &HeaderMap) -> &'static str {
    let Some(agent) = headers.get(USER_AGENT) else { return "unnamed" };
    let begins = |start: &str| {
        agent.as_bytes().get(..start.len()).is_some_and(|bytes| bytes.eq_ignore_ascii_case(start.as_bytes()))
    };
    KINDS.iter().find(|(start, _)| begins(start)).map_or("other", |(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_told_by_its_beginning_and_never_by_its_own_words() {
        for (agent, expected) in [
            ("OpenAI/Python 2.1.0", "openai_python"),
            ("python-httpx/0.28.1", "httpx"),
            ("python-requests/2.32", "requests"),
            ("Python-urllib/3.11", "urllib"),
            ("Python/3.11 aiohttp/3.9", "aiohttp"),
            ("curl/8.14.1", "curl"),
            ("git/2.47.3", "git"),
            ("a curl/8", "other"),
            ("", "other"),
        ] {
            let headers = HeaderMap::from_iter([(USER_AGENT, agent.parse().unwrap())]);
            assert_eq!(kind(&headers), expected, "{agent}");
        }
        assert_eq!(kind(&HeaderMap::new()), "unnamed");
    }

    #[test]
    fn every_kind_is_a_word() {
        for (start, kind) in KINDS {
            assert!(kind.parse::<posture::Word>().is_ok() && start == start.to_ascii_lowercase(), "{start}");
        }
    }
}
