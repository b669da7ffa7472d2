//! Whole messages that hold a known value → what is said of it.

use super::*;
use crate::flow::{
    capture::{Field, Head, Route, StartLine},
    detect::{Detector, Hit, Limits, Scanner, audience::Entry, decode::View, rule::Rule},
};
use bytes::Bytes;
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use flate2::{Compression, write::GzEncoder};
use posture::{Fingerprint, Protocol};
use proptest::prelude::*;
use std::{collections::BTreeSet, io::Write};

/// No rule knows its shape.
const SECRET: &str = "Zk3vQ9s/Lp2Xw+8RtY.1";
const FINGERPRINT_KEY: [u8; 32] = [7; 32];

fn keys() -> Arc<DigestKeys> {
    Arc::new(DigestKeys::new(&FINGERPRINT_KEY, &[9; 32]))
}

/// A detector that knows these variables and their values.
fn knowing(variables: &[(&str, &str)], audience: &[Entry]) -> Arc<Detector> {
    let (detector, keys) = (Detector::new(Limits::default(), audience, None), keys());
    let digest = |(name, value): &(&str, &str)| {
        let owners = detector.owners(name, value.as_bytes());
        keys.digest(Kind::EnvFile, value.as_bytes(), owners).unwrap()
    };
    detector.known().replace(Values::new(&keys, variables.iter().map(digest).collect()));
    detector
}

fn to(host: &str) -> Route {
    Route {
        protocol: Protocol::Https,
        host: host.into(),
        port: 443,
        source: [127, 0, 0, 1].into(),
        names_agree: true,
        verified_tls: true,
    }
}

fn head(direction: Direction, route: Route, target: &str, fields: &[(&str, &str)]) -> Head {
    let bytes = |s: &str| Bytes::copy_from_slice(s.as_bytes());
    Head {
        direction,
        route: Arc::new(route),
        start: match direction {
            Direction::Outbound => StartLine::Request { method: bytes("POST"), target: bytes(target) },
            Direction::Inbound => StartLine::Response { status: 200 },
        },
        fields: fields.iter().map(|(n, v)| Field { name: bytes(n), value: bytes(v) }).collect(),
    }
}

/// What was said of a message: rule, severity, where, the chain, and whether it is expected.
fn said(detector: &Arc<Detector>, head: Head, pieces: &[&[u8]]) -> Vec<String> {
    let mut all = Vec::new();
    let mut on = |hit: &Hit<'_>| {
        let chain: Vec<_> = hit.encoding.iter().map(|e| e.as_str()).collect();
        let expected = if hit.expected { " expected" } else { "" };
        let (rule, severity) = (hit.rule.id(), hit.severity);
        all.push(format!("{rule} {severity} {} [{}]{expected}", hit.placement, chain.join(" ")));
    };
    let mut scanner = Scanner::new(Arc::clone(detector), head, &mut on);
    for piece in pieces {
        scanner.body(piece, &mut on);
    }
    scanner.end(&mut on);
    all
}

fn said_of(detector: &Arc<Detector>, fields: &[(&str, &str)], body: &[u8]) -> Vec<String> {
    said(detector, head(Direction::Outbound, to("elsewhere.test"), "/v1/x", fields), &[body])
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn view(text: &[u8]) -> View<'_> {
    View::plain(text)
}

#[test]
fn a_known_value_is_found_plain_and_in_any_encoding() {
    let detector = knowing(&[("DB_PASSWORD", SECRET)], &[]);
    let json = serde_json::json!({ "text": format!("it is {SECRET} here") }).to_string();
    let in_json = serde_json::json!({ "arguments": json }).to_string();
    let spelt = |each: &dyn Fn(u8) -> String| SECRET.bytes().map(each).collect::<Vec<_>>().concat();
    let escaped = spelt(&|b| format!("\\u{b:04x}"));
    let percent = spelt(&|b| format!("%{b:02X}"));
    let sse = format!("data: {json}\n\ndata: [DONE]\n\n");
    let lines = [("Content-Type", "application/json")];
    for (fields, body, chain) in [
        (&[][..], format!("so x{SECRET}y it is").into_bytes(), ""),
        (&lines, json.clone().into_bytes(), "json"),
        (&lines, format!("{{\"a\":\"{escaped}\"}}").into_bytes(), "json"),
        (&lines, json.replace('/', "\\/").into_bytes(), "json"),
        (&lines, in_json.into_bytes(), "json json"),
        (&[("Content-Type", "application/x-www-form-urlencoded")], format!("q={percent}").into_bytes(), "form url"),
        (&[], format!("see https://h.test/?q={percent} there").into_bytes(), "url"),
        (&[], format!("take {}", BASE64.encode(SECRET.as_bytes())).into_bytes(), "base64"),
        (&[], format!("take {}", BASE64URL_NOPAD.encode(format!("a:{SECRET}").as_bytes())).into_bytes(), "base64"),
        (&[], format!("take {}", HEXLOWER.encode(SECRET.as_bytes())).into_bytes(), "hex"),
        (&[("Content-Encoding", "gzip")], gzip(json.as_bytes()), "gzip json"),
        (&[("Content-Type", "text/event-stream")], sse.into_bytes(), "sse json"),
    ] {
        let found = said_of(&detector, fields, &body);
        assert_eq!(found.len(), 1, "{chain}: {found:?}");
        assert!(found[0].starts_with("known_secret.env_file critical body ["), "{found:?}");
        let told: BTreeSet<_> = found[0].split(['[', ']']).nth(1).unwrap().split(' ').collect();
        assert!(chain.split(' ').any(|step| told.contains(step)), "{chain}: {found:?}");
    }
}

#[test]
fn it_is_found_in_a_header_the_target_a_host_a_trailer_and_a_message_of_a_websocket() {
    let detector = knowing(&[("DB_PASSWORD", "Zk3vQ9sLp2Xw8RtY")], &[]);
    let secret = "Zk3vQ9sLp2Xw8RtY";
    let critical = |place: &str| format!("known_secret.env_file critical {place} []");
    let headed = |host: &str, target: &str, fields: &[(&str, &str)]| {
        said(&detector, head(Direction::Outbound, to(host), target, fields), &[])
    };
    assert_eq!(headed("h.test", "/", &[("Authorization", &format!("Bearer {secret}"))]), [critical("header")]);
    assert_eq!(headed("h.test", &format!("/a?token={secret}"), &[])[0], critical("query"));
    assert_eq!(headed("h.test", &format!("/a?token={secret}"), &[]).len(), 1, "once, not with the line again");
    assert_eq!(headed("h.test", &format!("/a/{secret}/b"), &[])[0], critical("path"));
    for host in ["zk3vq9slp2xw8rty.evil.test", "zk3v.q9sl.p2xw.8rty.evil.test", "a-zk3vq9slp2xw8rty-b.evil.test"] {
        assert!(headed(host, "/", &[]).contains(&critical("host")), "{host}");
    }
    for name in ["zk3vq9slp2xw8rty", "x-zk3vq9slp2xw8rty-1"] {
        assert_eq!(headed("h.test", "/", &[(name, "1")]), [critical("header")], "a field's name has no case");
        assert_eq!(headed("h.test", "/", &[("x", name)]), [""; 0], "and its value has one");
    }
    let said_in = format!("{{\"say\":\"{secret}\"}}");
    let message = Head { start: StartLine::WebSocket, ..head(Direction::Outbound, to("h.test"), "/", &[]) };
    assert_eq!(said(&detector, message, &[said_in.as_bytes()]), ["known_secret.env_file critical websocket [json]"]);
    let mut trailer = Vec::new();
    let mut scanner =
        Scanner::new(Arc::clone(&detector), head(Direction::Outbound, to("h.test"), "/", &[]), &mut |_| {});
    let field = Field { name: Bytes::from_static(b"X-End"), value: Bytes::copy_from_slice(secret.as_bytes()) };
    scanner.trailers(&[field], &mut |hit| trailer.push(hit.placement));
    assert_eq!(trailer, [Placement::Trailer]);
}

#[test]
fn it_is_found_however_its_message_is_cut() {
    let detector = knowing(&[("DB_PASSWORD", SECRET)], &[]);
    let json = serde_json::json!({ "a": "b", "text": format!("it is {SECRET} here") }).to_string();
    for (fields, body) in [
        (&[("Content-Type", "text/plain")][..], format!("well, {SECRET}!").into_bytes()),
        (&[("Content-Type", "application/json")], json.clone().into_bytes()),
        (&[("Content-Type", "text/event-stream")], format!("data: {json}\n\n").into_bytes()),
        (&[("Content-Encoding", "gzip")], gzip(json.as_bytes())),
    ] {
        for cut in 0..=body.len() {
            let head = head(Direction::Outbound, to("h.test"), "/", fields);
            let found = said(&detector, head, &[&body[..cut], &body[cut..]]);
            assert_eq!(found.len(), 1, "cut at {cut}");
        }
    }
}

#[test]
fn one_other_character_is_another_value() {
    let detector = knowing(&[("DB_PASSWORD", SECRET)], &[]);
    for at in 0..SECRET.len() {
        let mut other = SECRET.as_bytes().to_vec();
        other[at] ^= 1;
        assert_eq!(said_of(&detector, &[], &[b"a ", &other[..], b" z"].concat()), [""; 0], "{at}");
    }
    for other in [SECRET.to_lowercase(), SECRET[1..].to_owned(), SECRET[..SECRET.len() - 1].to_owned()] {
        assert_eq!(said_of(&detector, &[], other.as_bytes()), [""; 0]);
    }
    assert_eq!(said_of(&detector, &[], SECRET.as_bytes()).len(), 1);
}

#[test]
fn every_length_is_found_at_every_place_and_once_a_view() {
    let keys = keys();
    let text: Vec<u8> = (0..200_u32).map(|n| b'!' + u8::try_from(n * n * 31 % 89).unwrap()).collect();
    for len in MIN_VALUE..60 {
        for start in 0..20 {
            let value = &text[start..start + len];
            let values = Values::new(&keys, vec![keys.digest(Kind::EnvFile, value, Arc::new([])).unwrap()]);
            let twice = [&text[..], &text[..start + len]].concat();
            for text in [&twice[..], &twice[start..], &twice[twice.len() - len..]] {
                let view = view(text);
                let found = values.sightings(Direction::Outbound, &view);
                assert_eq!(found.len(), 1, "{len} at {start}");
                assert_eq!(&*found[0].matched, value);
            }
            assert!(values.sightings(Direction::Outbound, &view(&value[1..])).is_empty());
        }
    }
    for value in [&text[..MIN_VALUE - 1], &[b'x'; MAX_VALUE + 1]] {
        assert!(keys.digest(Kind::EnvFile, value, Arc::new([])).is_none());
    }
}

#[test]
fn its_own_vendor_may_have_it_in_its_own_place_and_nobody_else() {
    let mistral = "q4Jt7mWc0yRe2KpX9vBn5sLz8hDf1gUa";
    let detector = knowing(&[("MISTRAL_API_KEY", mistral)], &[]);
    let bearer = format!("Bearer {mistral}");
    let sent = |route: Route, target: &str, fields: &[(&str, &str)], body: &str| {
        said(&detector, head(Direction::Outbound, route, target, fields), &[body.as_bytes()])
    };
    let key = [("Authorization", bearer.as_str())];
    assert_eq!(sent(to("api.mistral.ai"), "/", &key, ""), ["known_secret.env_file critical header [] expected"]);
    let finding = ["known_secret.env_file critical header []"];
    assert_eq!(sent(to("api.openai.com"), "/", &key, ""), finding);
    assert_eq!(sent(to("api.mistral.ai.evil.test"), "/", &key, ""), finding);
    assert_eq!(sent(Route { protocol: Protocol::Http, port: 80, ..to("api.mistral.ai") }, "/", &key, ""), finding);
    assert_eq!(sent(Route { verified_tls: false, ..to("api.mistral.ai") }, "/", &key, ""), finding);
    assert_eq!(sent(Route { names_agree: false, ..to("api.mistral.ai") }, "/", &key, ""), finding);
    let body = format!("{{\"prompt\":\"my key is {mistral}\"}}");
    let both = sent(to("api.mistral.ai"), "/", &key, &body);
    assert_eq!(both.len(), 2, "{both:?}");
    assert_eq!(both[1], "known_secret.env_file critical body [json]");
    let refresh = [("Content-Type", "application/x-www-form-urlencoded")];
    let form = format!("grant_type=x&client_secret={mistral}");
    assert!(sent(to("api.mistral.ai"), "/t", &refresh, &form)[0].ends_with("expected"));
    assert!(!sent(to("elsewhere.test"), "/t", &refresh, &form)[0].ends_with("expected"));
}

#[test]
fn a_key_a_rule_knows_too_is_told_once_at_the_graver() {
    let key = ["gsk_", "WGdyb3FYq4Jt7mWc0yRe2KpX9vBn5sLz8hDf1gUaTiO6kEjM7QxC"].concat();
    let alone = knowing(&[], &[]);
    let body = format!("{{\"text\":\"{key}\"}}");
    assert_eq!(said_of(&alone, &[], body.as_bytes()), ["ai_api_key.groq high body [json]"]);
    // By its shape it is Groq's, whatever its variable is called.
    for name in ["GROQ_API_KEY", "OPENAI_API_KEY", "MY_KEY"] {
        let detector = knowing(&[(name, &key)], &[]);
        assert_eq!(said_of(&detector, &[], body.as_bytes()), ["known_secret.env_file critical body [json]"], "{name}");
        let bearer = format!("Bearer {key}");
        let auth = |host| head(Direction::Outbound, to(host), "/", &[("Authorization", &bearer)]);
        let own = said(&detector, auth("api.groq.com"), &[]);
        assert_eq!(own, ["known_secret.env_file critical header [] expected"], "{name}");
        assert_eq!(said(&detector, auth("api.openai.com"), &[]), ["known_secret.env_file critical header []"]);
    }
    // In a query and the line it stands in, and as one part of a longer match.
    let detector = knowing(&[("GROQ_API_KEY", &key[8..])], &[]);
    let target = format!("/v1?key={key}");
    let found = said(&detector, head(Direction::Outbound, to("h.test"), &target, &[]), &[]);
    assert_eq!(found, ["known_secret.env_file critical query []"]);
}

#[test]
fn a_second_credential_that_is_known_is_the_operators_own() {
    let keys = ["q4Jt7mWc0yRe2KpX9vBn5sLz8hDf1gUa", "Xw8RtYZk3vQ9sLp2q4Jt7mWc0yRe2KpX"];
    let detector = knowing(&[("MISTRAL_API_KEY", keys[0]), ("MISTRAL_API_KEY_TWO", keys[1])], &[]);
    for key in keys {
        let bearer = format!("mistral-key {key}");
        let sent = head(Direction::Outbound, to("api.mistral.ai"), "/", &[("Authorization", &bearer)]);
        let found = said(&detector, sent, &[]);
        assert_eq!(found, ["known_secret.env_file critical header [] expected"]);
    }
}

#[test]
fn what_no_vendor_owns_may_go_where_the_operator_lets_any_key_go() {
    let entry = |vendors: &[&str]| Entry {
        scheme: Protocol::Http,
        host: "10.0.0.7".into(),
        port: 8123,
        vendors: vendors.iter().map(|&v| v.to_owned()).collect(),
    };
    let bearer = format!("Bearer {SECRET}");
    for (vendors, expected) in [(&["*"][..], true), (&["openai"], false)] {
        let detector = knowing(&[("HASS_TOKEN", SECRET)], &[entry(vendors)]);
        let sent = |port, fields: &[(&str, &str)], body: &[u8]| {
            let route = Route { protocol: Protocol::Http, port, ..to("10.0.0.7") };
            said(&detector, head(Direction::Outbound, route, "/", fields), &[body])
        };
        let found = sent(8123, &[("Authorization", &bearer)], b"");
        assert_eq!((found.len(), found[0].ends_with("expected")), (1, expected), "{vendors:?}");
        assert!(!sent(8124, &[("Authorization", &bearer)], b"")[0].ends_with("expected"));
        assert!(!sent(8123, &[], SECRET.as_bytes())[0].ends_with("expected"));
    }
}

#[test]
fn what_comes_in_may_hold_a_known_secret_and_no_canary() {
    let (detector, keys, canary) = (Detector::new(Limits::default(), &[], None), keys(), new_canary().unwrap());
    let planted = planted(&canary).recognised(&keys).unwrap();
    let secret = keys.digest(Kind::EnvVariable, SECRET.as_bytes(), Arc::new([])).unwrap();
    detector.known().replace(Values::new(&keys, vec![secret, planted]));
    let body = format!("{{\"reply\":\"{SECRET} and {}\"}}", *canary);
    let sent = |direction| said(&detector, head(direction, to("h.test"), "/", &[]), &[body.as_bytes()]);
    assert_eq!(sent(Direction::Inbound), ["canary.planted critical body [json]"]);
    let mut both = sent(Direction::Outbound);
    both.sort();
    assert_eq!(both, ["canary.planted critical body [json]", "known_secret.env_variable critical body [json]"]);
}

fn planted(canary: &str) -> Planted {
    let now = "2026-04-26T00:00:00.000Z".parse().unwrap();
    Planted::new(&keys(), canary, Fingerprint::from_bytes(&[1; 8]), now)
}

#[test]
fn a_canary_is_found_again_by_its_file_in_any_process_with_the_same_key() {
    let canary = new_canary().unwrap();
    let bytes = planted(&canary).to_bytes();
    let read = Planted::read(&bytes).unwrap();
    assert_eq!(read, planted(&canary));
    for piece in canary.as_bytes().windows(8) {
        assert!(memchr::memmem::find(&bytes, piece).is_none());
    }
    let other_process = Arc::new(DigestKeys::new(&FINGERPRINT_KEY, &[8; 32]));
    let values = Values::new(&other_process, vec![read.recognised(&other_process).unwrap()]);
    let text = format!("cat {}", *canary);
    assert_eq!(values.sightings(Direction::Inbound, &view(text.as_bytes())).len(), 1);
    assert!(values.in_name(&format!("{}.evil.test", *canary)));
    let other_key = DigestKeys::new(&[6; 32], &[9; 32]);
    assert!(matches!(read.recognised(&other_key), Err(CanaryError::OtherKey)));
    let text = String::from_utf8(bytes).unwrap();
    for bad in ["", "{}", &text.replace("v1", "v2"), &text.replace("gate\":\"", "gate\":\"00"), &text[1..]] {
        assert!(matches!(Planted::read(bad.as_bytes()), Err(CanaryError::Form)), "{bad}");
    }
}

#[test]
fn a_canary_looks_like_nothing_a_rule_knows_whatever_stands_beside_it() {
    let detector = knowing(&[], &[]);
    let names: BTreeSet<_> = detector.rules().rules().iter().flat_map(Rule::keywords).collect();
    for n in 0..40 {
        let canary = new_canary().unwrap();
        assert!(canary.len() == 38 && canary.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7')), "{n}");
        for context in ["", "token ", "api key: ", "Authorization: Bearer "] {
            assert_eq!(said_of(&detector, &[], format!("{context}{}", *canary).as_bytes()), [""; 0]);
        }
        if n == 0 {
            for name in &names {
                let text = format!("{name}_api_key={}", *canary);
                let found = said_of(&detector, &[], text.as_bytes());
                assert!(!found.iter().any(|told| told.starts_with("ai_api_key")), "{name}: {found:?}");
            }
        }
    }
}

#[test]
fn the_digests_key_is_none_of_the_others_and_one_of_its_process() {
    let digest = |keys: &DigestKeys, kind| keys.digest(kind, SECRET.as_bytes(), Arc::new([])).unwrap().mark;
    let (one, two) = (DigestKeys::new(&FINGERPRINT_KEY, &[1; 32]), DigestKeys::new(&FINGERPRINT_KEY, &[2; 32]));
    assert_ne!(digest(&one, Kind::EnvFile).hmac, digest(&two, Kind::EnvFile).hmac);
    assert!(digest(&one, Kind::Canary) == digest(&two, Kind::Canary));
    assert_ne!(digest(&one, Kind::EnvFile).hmac, digest(&one, Kind::Canary).hmac);
    let fingerprint = crate::flow::redact::Redactor::new(&FINGERPRINT_KEY).fingerprint(SECRET.as_bytes()).to_string();
    for kind in [Kind::EnvFile, Kind::Canary] {
        assert!(!HEXLOWER.encode(&digest(&one, kind).hmac).starts_with(&fingerprint));
    }
}

#[test]
fn what_is_kept_shows_no_piece_of_a_value() {
    let digest = keys().digest(Kind::EnvFile, SECRET.as_bytes(), Arc::new([])).unwrap();
    let shown = format!("{digest:?} {}", Kind::EnvFile.snippet());
    assert!(SECRET.as_bytes().windows(4).all(|piece| memchr::memmem::find(shown.as_bytes(), piece).is_none()));
}

#[test]
fn twenty_megabytes_of_random_base64_hold_none_of_fifty() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut base64 = |len: usize, url: bool| -> Vec<u8> {
        let bytes: Vec<u8> = (0..len / 4 * 3).map(|_| u8::try_from(next() >> 56).unwrap()).collect();
        let encoding = if url { data_encoding::BASE64URL } else { BASE64 };
        encoding.encode(&bytes).into_bytes()
    };
    let keys = keys();
    let digests = (0..50_usize).map(|n| keys.digest(Kind::EnvFile, &base64(16 + n, false), Arc::new([])));
    let values = Values::new(&keys, digests.collect::<Option<_>>().unwrap());
    for n in 0..20 {
        let text = base64(1 << 20, n % 2 == 1);
        assert!(values.sightings(Direction::Outbound, &view(&text)).is_empty());
    }
}

#[test]
fn as_many_as_may_be_are_all_found_and_one_more_is_not() {
    let keys = keys();
    let value = |n: usize| format!("value number {n:05} of mine");
    let of = |count: usize| {
        let digests = (0..count).map(|n| keys.digest(Kind::EnvFile, value(n).as_bytes(), Arc::new([])).unwrap());
        Values::new(&keys, digests.collect())
    };
    let most = MAX_SECRETS + MAX_CANARIES;
    let text: String = (0..=most).map(|n| value(n) + " ").collect();
    assert_eq!(of(most).sightings(Direction::Outbound, &view(text.as_bytes())).len(), most);
    assert_eq!(of(most + 1).sightings(Direction::Outbound, &view(text.as_bytes())).len(), most);
    assert_eq!(of(3).sightings(Direction::Outbound, &view(text.as_bytes())).len(), 3);
    assert!(of(0).is_empty());
}

proptest! {
    #[test]
    fn a_value_is_found_wherever_it_stands(
        before in proptest::collection::vec(any::<u8>(), 0..40),
        value in proptest::collection::vec(any::<u8>(), MIN_VALUE..80),
        after in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let keys = keys();
        let values = Values::new(&keys, vec![keys.digest(Kind::EnvFile, &value, Arc::new([])).unwrap()]);
        let text = [before, value.clone(), after].concat();
        let view = view(&text);
        let found = values.sightings(Direction::Outbound, &view);
        prop_assert_eq!(found.len(), 1);
        prop_assert_eq!(&*found[0].matched, &value[..]);
    }
}

#[test]
fn what_becomes_known_is_found_in_what_was_sent_before() {
    let detector = knowing(&[], &[]);
    let body = format!(r#"{{"messages":[{{"role":"user","content":"it is {SECRET} as far as I remember"}}]}}"#);
    let seen = || {
        let mut seen = 0;
        let mut on = |_: &Hit<'_>| seen += 1;
        let mut scanner =
            Scanner::new(Arc::clone(&detector), head(Direction::Outbound, to("a.example"), "/", &[]), &mut on);
        scanner.body(body.as_bytes(), &mut on);
        scanner.end(&mut on);
        seen
    };
    assert_eq!([seen(), seen()], [0, 0]);
    let keys = keys();
    let digest = keys.digest(Kind::EnvFile, SECRET.as_bytes(), Arc::new([])).unwrap();
    detector.known().replace(Values::new(&keys, vec![digest]));
    assert_eq!([seen(), seen()], [1, 1]);
}
