//! Host and port → `host:port`, without any label that may carry a secret.
//!
//! A name is data the wire chose: a key can be sent as a label of a host that someone else's name server answers for.

use crate::flow::detect::{
    decode::View,
    matcher::Matcher,
    rule::{Find, Rule, RuleSet},
};
use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD, HEXLOWER};
use posture::{Direction, Placement};
use std::{
    net::IpAddr,
    sync::{Arc, LazyLock},
};

const REDACTED: &str = "[redacted]";
/// A host name's and a label's longest form (RFC 1035, section 2.3.4).
const MAX_HOST: usize = 253;
const MAX_LABEL: usize = 63;
/// A label this long may say anything.
const LONG: usize = 40;
/// A run of letters and digits this long that mixes both is no word.
const RANDOM_RUN: usize = 16;
const HEX_RUN: usize = 12;
/// The least of a key's shape that is worth hiding: its prefix and a little more.
const KEY_SHAPE: usize = 12;

/// The destination as a finding may show it.
pub(super) fn of(matcher: &Matcher, host: &str, port: u16) -> String {
    format!("{}:{port}", self::host(matcher, host))
}

/// A host as it may be shown: an IPv6 address in brackets, `[redacted]` for what may be a secret.
pub(super) fn host(matcher: &Matcher, host: &str) -> String {
    if let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        return match address {
            IpAddr::V4(v4) => v4.to_string(),
            IpAddr::V6(v6) => format!("[{v6}]"),
        };
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    if name.is_empty() || name.len() > MAX_HOST || holds_a_match(matcher, &name.replace('.', "")) {
        return REDACTED.to_owned();
    }
    let labels: Vec<&str> = name.split('.').map(|label| if shown(matcher, label) { label } else { REDACTED }).collect();
    labels.join(".")
}

/// A destination of which nothing but the port is shown.
pub(super) fn hidden(port: u16) -> String {
    format!("{REDACTED}:{port}")
}

fn shown(matcher: &Matcher, label: &str) -> bool {
    let well_formed = (1..=MAX_LABEL).contains(&label.len())
        && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
    well_formed
        && label.len() < LONG
        && !random(label)
        && !holds_a_match(matcher, label)
        && !decodes_to_a_match(matcher, label)
}

/// A run of letters and digits that no one would choose as a name.
fn random(label: &str) -> bool {
    label.split(['-', '_']).any(|run| {
        let digits = run.bytes().filter(u8::is_ascii_digit).count();
        let hex = run.bytes().all(|b| b.is_ascii_hexdigit());
        let mixed = digits >= 2 && digits < run.len();
        (run.len() >= RANDOM_RUN && mixed) || (run.len() >= HEX_RUN && hex) || run.len() >= 2 * RANDOM_RUN
    })
}

/// Whether a rule would find something, its letters' case aside: a name has none.
fn holds_a_match(matcher: &Matcher, text: &str) -> bool {
    found(matcher, text.as_bytes()) || {
        let rules = matcher.rules().rules();
        rules.iter().filter(|r| r.find() == Find::Prefix).flat_map(Rule::keywords).any(|keyword| {
            let hyphened = keyword.trim_end_matches(['_', '-']);
            // A prefix of plain letters begins words too: then only what a key's length makes likely.
            let least = KEY_SHAPE.max(keyword.len() + if keyword.len() == hyphened.len() { 12 } else { 6 });
            text.match_indices(keyword.as_str()).any(|(at, _)| {
                let starts = at == 0 || !text.as_bytes()[at - 1].is_ascii_alphanumeric();
                starts && text.len() - at >= least && text[at..].bytes().any(|b| b.is_ascii_digit())
            })
        })
    }
}

fn decodes_to_a_match(matcher: &Matcher, label: &str) -> bool {
    let hex = HEXLOWER.decode(label.as_bytes()).ok();
    let base32 = BASE32_NOPAD.decode(label.to_ascii_uppercase().as_bytes()).ok();
    let base64 = BASE64URL_NOPAD.decode(label.as_bytes()).ok();
    [hex, base32, base64].into_iter().flatten().any(|bytes| found(matcher, &bytes))
}

fn found(matcher: &Matcher, text: &[u8]) -> bool {
    let mut found = false;
    let view = View { placement: Placement::Host, ..View::plain(text) };
    matcher.find(Direction::Outbound, &view, &mut |_| found = true);
    found
}

/// The embedded rules, for where an operator's own are not known.
pub(super) fn embedded() -> &'static Arc<Matcher> {
    static MATCHER: LazyLock<Arc<Matcher>> = LazyLock::new(|| Arc::new(Matcher::new(RuleSet::embedded())));
    &MATCHER
}

#[cfg(test)]
mod tests {
    use super::embedded;

    fn of(host: &str, port: u16) -> String {
        super::of(embedded(), host, port)
    }

    #[test]
    fn names_people_choose_are_shown() {
        for host in [
            "api.openai.com",
            "localhost",
            "generativelanguage.googleapis.com",
            "bedrock-runtime.us-east-1.amazonaws.com",
            "ec2-203-0-113-25.compute-1.amazonaws.com",
            "my-company-internal-gateway.example",
            "s3.eu-central-1.amazonaws.com",
            "xn--bcher-kva.example",
            "_dmarc.example.com",
            "task-runner-12.example",
            "cdn.jsdelivr.net",
            "r2d2.example",
            "hf.space",
        ] {
            assert_eq!(of(host, 443), format!("{host}:443"));
        }
        assert_eq!(of("API.Example.", 80), "api.example:80");
    }

    #[test]
    fn addresses_are_shown_and_ipv6_in_brackets() {
        assert_eq!(of("203.0.113.7", 8080), "203.0.113.7:8080");
        assert_eq!(of("2001:db8::1", 443), "[2001:db8::1]:443");
        assert_eq!(of("[::1]", 1), "[::1]:1");
    }

    #[test]
    fn labels_that_may_carry_a_secret_are_not() {
        for label in [
            "akiaggwocc2v7yr47geb",
            "sk-d704484fb8b02d950eb67d6bffe650bc",
            "sk-proj-ya6iv9wrd843",
            "4d5a90000300000004000000ffff0000b8",
            "mfrggzdfmztwq2lknnwg23tpobyxe43u",
            "a8f5f167f44f4964e6c998dee827110c",
            "q7mw2xr9tb4vk8nl3zp6yd",
            "deadbeefcafe",
            "x--y z",
            "ghp-a1b2c3d4e5f6g7h8",
            "this-label-is-so-long-that-it-may-say-anything-at-all",
            "2f6574632f736861646f77",
        ] {
            let shown = of(&format!("{label}.evil.example"), 443);
            assert!(shown.starts_with("[redacted]"), "{label}: {shown}");
        }
    }

    #[test]
    fn a_key_over_several_labels_hides_the_name() {
        assert_eq!(of("akiaggwo.cc2v7yr47geb.evil.example", 53), "[redacted]:53");
    }

    #[test]
    fn what_is_no_name_is_not_shown() {
        for host in ["", "a b", "a/b", "user@host", "a\nb", "é.example", "..", "a:b"] {
            let shown = of(host, 1);
            assert!(shown.contains("[redacted]"), "{host:?}: {shown}");
            assert!(shown.bytes().all(|b| b.is_ascii_graphic()), "{shown}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_host_gives_a_printable_destination(host in ".{0,300}", port: u16) {
            let shown = of(&host, port);
            proptest::prop_assert!(shown.bytes().all(|b| b.is_ascii_graphic()));
            let end = [":", &port.to_string()].concat();
            proptest::prop_assert!(shown.ends_with(&end));
        }
    }
}
