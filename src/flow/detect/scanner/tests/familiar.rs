//! Requests that send again what was sent before.

use super::*;
use std::sync::LazyLock;

/// A request with these messages and tools.
fn request(messages: &[&str], tools: &[&str]) -> Vec<u8> {
    format!(r#"{{"model":"m","messages":[{}],"tools":[{}]}}"#, messages.join(","), tools.join(", ")).into_bytes()
}

fn hits(detector: &Arc<Detector>, body: &[u8]) -> Vec<String> {
    hits_of(detector, head(Direction::Outbound, &[]), body)
}

/// Each hit with how grave it is and whether it is expected.
fn hits_of(detector: &Arc<Detector>, head: Head, body: &[u8]) -> Vec<String> {
    let mut hits = Vec::new();
    let mut on = |hit: &Hit<'_>| {
        hits.push(format!(
            "{} {} {} {}",
            hit.rule.id(),
            hit.severity,
            if hit.expected { "expected" } else { "found" },
            say(hit)
        ));
    };
    let mut feed = Scanner::new(Arc::clone(detector), head, &mut on);
    feed.body(body, &mut on);
    feed.end(&mut on);
    hits
}

#[test]
fn what_is_found_is_found_each_time_it_is_sent() {
    let detector = detector();
    let clean = r#"{"role":"user","content":"what can you do for me today, and how long does it take?"}"#;
    let path = format!(r#"{{"role":"tool","content":"the file is {PATH}, I think, and it is not for you"}}"#);
    let mut history = Vec::new();
    for turn in 0..4 {
        history.extend([clean, &path]);
        let found = hits(&detector, &request(&history, &[]));
        assert_eq!(found, [format!("sensitive_unix_path.accounts low found body [json] {PATH}")], "{turn}");
    }
    let token = r#"{"role":"user","content":"own-token-own-token-own-token-own-token-own and more"}"#;
    for _ in 0..2 {
        let mut on = |_: &Hit<'_>| {};
        let mut feed = Scanner::new(Arc::clone(&detector), head(Direction::Outbound, &[]), &mut on);
        feed.body(&request(&[clean, token], &[]), &mut on);
        assert_eq!(feed.conclude(&mut on).1, 1, "our own token is seen again too");
    }
}

#[test]
fn what_is_found_in_a_part_is_looked_for_once() {
    let (detector, other) =
        (detector(), r#"{"role":"user","content":"what can you do for me today, and how long does it take?"}"#);
    let key = r#"{"role":"user","content":"my key is AKIAXJC6FNDMTURWMQ55, and not for you"}"#;
    // Of what was looked at before, nothing but what was found is told.
    let looked_at = |body: &[u8]| {
        let mut looked_at = Vec::new();
        let mut on = |hit: &Hit<'_>| looked_at.push(hit.view.len() > hit.matched.len());
        let mut feed = Scanner::new(Arc::clone(&detector), head(Direction::Outbound, &[]), &mut on);
        feed.body(body, &mut on);
        feed.end(&mut on);
        looked_at
    };
    assert_eq!(looked_at(&request(&[key], &[])), [true]);
    assert_eq!(looked_at(&request(&[other, key], &[])), [false]);
    assert_eq!(looked_at(&request(&[&key.replace("not", "nor")], &[])), [true]);
    detector.forget();
    assert_eq!(looked_at(&request(&[key, other], &[])), [true]);
}

#[test]
fn what_was_at_home_before_is_found_elsewhere_and_the_other_way_round() {
    let key = expand("tvly-prod-{{alnum:32}}");
    let body = request(&[&format!(r#"{{"api_key":"{key}","query":"what can you do for me today?"}}"#)], &[]);
    for hosts in [["api.tavily.com", "a.test"], ["a.test", "api.tavily.com"]] {
        let detector = detector();
        for host in hosts.into_iter().chain(hosts) {
            let mut head = head(Direction::Outbound, &[]);
            head.route = Arc::new(Route { host: host.into(), ..Route::clone(&head.route) });
            let found = hits_of(&detector, head, &body);
            let expected = found.iter().filter(|hit| hit.contains(" expected ")).count();
            assert_eq!((found.len(), expected), (1, usize::from(host != "a.test")), "{host}: {found:?}");
        }
    }
}

#[test]
fn an_exception_in_one_message_excepts_nothing_in_another() {
    let plain = r#"{"role":"user","content":"cp .env.in /srv/app/config/ and then start it"}"#;
    let split = r#"{"role":"user","content":[{"type":"text","text":"cat .e"},{"type":"text","text":"nv.internal"}]}"#;
    let found = ["dotenv_or_cloud_credential_path.dotenv low found body [json] .env.internal"];
    let detector = detector();
    for messages in [&[plain, split][..], &[split], &[plain, split], &[split, plain]] {
        assert_eq!(hits(&detector, &request(messages, &[])), found);
    }
}

/// Messages and tools, some of which are no JSON or hold something.
const PARTS: &[&str] = &[
    r#"{"role":"user","content":"what can you do for me today, and how long does it take?"}"#,
    r#"{"role":"assistant","content":[{"type":"text","text":"I can read files and run commands for you."}]}"#,
    r#"{"role":"tool","content":"cat /etc/shadow","tool_call_id":"call_1"}"#,
    r#"{"role":"system","content":"Keys stand in ~/.hermes/.env, as you know, and nowhere else at all."}"#,
    r#"{"type":"function","function":{"name":"read","description":"Reads a file.","parameters":{"type":"object"}}}"#,
    r#"{"role":"user","content":"L2V0Yy9zaGFkb3cgYW5kIHNvbWUgbW9yZSB3b3Jkcw=="}"#,
    r#"{"role":"user","content":"\u002fetc\u002fshadow"}"#,
    r#"{"role":"user" "content":'no JSON' \" /etc/shadow }"#,
    r#"{"a":["/etc","/shadow"],"b":{"c":[{},[]]}}"#,
    r#"{"role":"user","content":[{"word":"/etc/sha"},{"word":"dow"}]}"#,
    r#"{"role":"user","content":"cp .env.in /srv/app/config/ and then start it"}"#,
    r#"{"role":"user","content":[{"type":"text","text":"cat .e"},{"type":"text","text":"nv.internal"}]}"#,
    r#"{"text":"/etc/sha"}"#,
    r#"{"text":"dow"}"#,
    r#"{\"},{"text":"/etc/shadow"}"#,
    r#"{"open":"/etc/shadow"#,
    r#"{"role":"user","content":""}"#,
    r#"{"role":"user","content":"my key is AKIAXJC6FNDMTURWMQ55, and what was it again? AKIAXJC6FNDMTURWMQ55"}"#,
    r#"{"role":"user","content":"AKIAXJC6FNDMTURWMQ55 and AKIAYDB2OPQ4WKZLNR7C, one of which you know"}"#,
    r#"{"content":"Keys stand in ~/.aws/credentials, as was said before, and in ~/.hermes/.env","name":"x"}"#,
    r#"{"role":"tool","content":"{\"stdout\":\"cat ~/.ssh/id_ed25519\",\"code\":0}","tool_call_id":"call_2"}"#,
    r#"{"role":"user","content":"QUtJQVhKQzZGTkRNVFVSV01RNTUgaXMgd2hhdCBJIG1lYW4="}"#,
    r#"{"openai_api_key":"a key of that name","mistral_api_key":"Zq3vT8xN1rL6wY0bK5mD9sF2hJ7cP4gA"}"#,
    "{}",
    "[]",
    "7",
];

static DETECTORS: LazyLock<[Arc<Detector>; 2]> = LazyLock::new(|| [detector(), detector()]);

proptest! {
    #[test]
    fn who_remembers_says_what_one_says_who_does_not(
        requests in prop::collection::vec(
            (
                prop::collection::vec(0..PARTS.len(), 0..7),
                prop::collection::vec(0..PARTS.len(), 0..4),
                any::<(bool, bool)>(),
            ),
            1..5,
        ),
    ) {
        let [remembers, forgets] = &*DETECTORS;
        remembers.forget();
        for (messages, tools, (packed, named)) in requests {
            let of = |parts: &[usize]| parts.iter().map(|n| PARTS[*n]).collect::<Vec<_>>();
            // What stands behind them is told from pieces of them that were passed over.
            let after = format!(r#"{{"x":[{}]}}"#, of(&tools).join(","));
            let request = String::from_utf8(request(&of(&messages), &of(&tools))).unwrap();
            // The same under other names.
            let request = if named {
                request.replacen(r#""model":"m","messages""#, r#""text":"m","input""#, 1).replacen("tools", "functions", 1)
            } else {
                request
            };
            let body = format!("{request}\n{after}").into_bytes();
            forgets.forget();
            let plain = String::from_utf8_lossy(&body).into_owned();
            let (body, fields) = if packed { (gzip(&body), vec![("content-encoding", "gzip")]) } else { (body, vec![]) };
            let of = |detector| hits_of(detector, head(Direction::Outbound, &fields), &body);
            prop_assert_eq!(of(remembers), of(forgets), "{}", plain);
        }
    }
}
