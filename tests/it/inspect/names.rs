//! The names of one request made to disagree: every pair, and the spellings that do agree.

use super::rig::{Inspecting, Speaker, body, echo, origin, request};

/// SNI, then Host or `:authority`; CONNECT always names `localhost` and the origin's port.
#[tokio::test]
async fn names_agree_only_when_all_do() {
    let cases = [
        ("localhost", "localhost:PORT", true),
        ("localhost", "LocalHost.:PORT", true),
        ("localhost", "localhost", false),
        ("localhost", "localhost:1", false),
        ("localhost", "other.example:PORT", false),
        ("localhost", "localhost.other.example:PORT", false),
        ("other.example", "localhost:PORT", false),
        ("other.example", "other.example:PORT", false),
    ];
    for http2 in [false, true] {
        let proxy = Inspecting::new();
        let names = ["localhost", "other.example"];
        let port = origin(proxy.world.server(&names, &["h2", "http/1.1"], |_| {}), echo).await;
        for (at, (sni, host, agree)) in cases.into_iter().enumerate() {
            let alpn = if http2 { "h2" } else { "http/1.1" };
            let tls = proxy.tls(&format!("localhost:{port}"), sni, &[alpn]).await.unwrap();
            let written = host.replace("PORT", &port.to_string());
            let answer = body(Speaker::new(tls, http2).await.ask(request(http2, &written, "/", "x")).await).await;
            let (field, authority) = if http2 { ("-", written.as_str()) } else { (written.as_str(), "-") };
            assert!(answer.ends_with(&format!(" POST {field} {authority} x")), "{answer}: passed on as it came");
            let seen = proxy.rig.seen(2 * at + 2).await;
            for message in &seen[2 * at..] {
                let route = &message.head.route;
                assert_eq!(route.names_agree, agree, "SNI {sni}, then {written}, HTTP/2 {http2}");
                assert_eq!((&route.host[..], route.port), ("localhost", port), "where the bytes really went");
            }
        }
    }
}

#[tokio::test]
async fn an_absolute_target_within_tls_goes_where_the_tunnel_goes() {
    let proxy = Inspecting::new();
    let port = origin(proxy.world.server(&["localhost"], &["http/1.1"], |_| {}), echo).await;
    let tls = proxy.tls(&format!("localhost:{port}"), "localhost", &["http/1.1"]).await.unwrap();
    let mut question = request(false, &format!("localhost:{port}"), "/", "x");
    *question.uri_mut() = "https://other.example/path".parse().unwrap();
    let answer = body(Speaker::new(tls, false).await.ask(question).await).await;
    assert!(answer.ends_with(" x"), "{answer}");
    let seen = proxy.rig.seen(2).await;
    assert!(seen.iter().all(|m| m.head.route.host == "localhost" && !m.head.route.names_agree));
}
