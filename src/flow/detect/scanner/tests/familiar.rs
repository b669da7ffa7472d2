//! Requests that send again what was sent before.

use super::*;
use std::sync::LazyLock;

/// A request with these messages and tools.
fn request(messages: &[&str], tools: &[&str]) -> Vec<u8> {
    format!(r#"{{"model":"m","messages":[{}],"tools":[{}]}}"#, messages.join(","), tools.join(", ")).into_bytes()
}

fn hits(detector: &Arc<Detector>, body: &[u8]) -> Vec<String> {
    scan_pieces(detector, head(Direction::Outbound, &[]), [body]).0
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
        assert_eq!(found, [format!("body [json] {PATH}")], "{turn}");
    }
    let token = r#"{"role":"user","content":"own-token-own-token-own-token-own-token-own and more"}"#;
    for _ in 0..2 {
        let mut on = |_: &Hit<'_>| {};
        let mut feed = Scanner::new(Arc::clone(&detector), head(Direction::Outbound, &[]), &mut on);
        feed.body(&request(&[clean, token], &[]), &mut on);
        assert_eq!(feed.conclude(&mut on).1, 1, "our own token is seen again too");
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
    r#"{"text":"/etc/sha"}"#,
    r#"{"text":"dow"}"#,
    r#"{\"},{"text":"/etc/shadow"}"#,
    r#"{"open":"/etc/shadow"#,
    r#"{"role":"user","content":""}"#,
    "{}",
    "[]",
    "7",
];

static DETECTORS: LazyLock<[Arc<Detector>; 2]> = LazyLock::new(|| [detector(), detector()]);

proptest! {
    #[test]
    fn who_remembers_says_what_one_says_who_does_not(
        requests in prop::collection::vec(
            (prop::collection::vec(0..PARTS.len(), 0..7), prop::collection::vec(0..PARTS.len(), 0..4)), 1..5
        ),
    ) {
        let [remembers, forgets] = &*DETECTORS;
        remembers.forget();
        for (messages, tools) in requests {
            let of = |parts: &[usize]| parts.iter().map(|n| PARTS[*n]).collect::<Vec<_>>();
            // What stands behind them is told from pieces of them that were passed over.
            let after = format!(r#"{{"x":[{}]}}"#, of(&tools).join(","));
            let body = [request(&of(&messages), &of(&tools)), b"\n".to_vec(), after.into_bytes()].concat();
            forgets.forget();
            prop_assert_eq!(hits(remembers, &body), hits(forgets, &body), "{}", String::from_utf8_lossy(&body));
        }
    }
}
