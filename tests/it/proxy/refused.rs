//! What the proxy answers itself.

use super::rig::{Origin, Rig, TOKEN, authenticated, dead};
use data_encoding::BASE64;
use posture::UnscannedReason;

async fn refused(rig: &Rig, request: &str) -> (String, String) {
    let mut wire = rig.send(request).await;
    let head = wire.head().await;
    let length = head.to_lowercase().split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap().parse();
    (head, String::from_utf8(wire.exactly(length.unwrap()).await).unwrap())
}

#[tokio::test]
async fn without_the_credential_nothing_goes_through() {
    let (rig, origin) = (Rig::new(), Origin::new().await);
    let basic = |text: &str| format!("Proxy-Authorization: Basic {}", BASE64.encode(text.as_bytes()));
    let wrong = [
        "X-Nothing: here".to_owned(),
        "Proxy-Authorization:".to_owned(),
        "Proxy-Authorization: Basic".to_owned(),
        "Proxy-Authorization: Basic !!!".to_owned(),
        format!("Proxy-Authorization: Bearer {TOKEN}"),
        format!("Authorization: Basic {}", BASE64.encode(format!("guardian:{TOKEN}").as_bytes())),
        basic(&format!("guardian:{TOKEN}x")),
        basic(&format!("guardian:{}", &TOKEN[1..])),
        basic(&format!("someone:{TOKEN}")),
        basic("guardian:"),
        basic(""),
    ];
    for field in &wrong {
        for line in ["GET http://ORIGIN/", "CONNECT ORIGIN"] {
            let line = line.replace("ORIGIN", &origin.name);
            let (head, body) = refused(&rig, &format!("{line} HTTP/1.1\r\nHost: x\r\n{field}\r\n\r\n")).await;
            assert!(head.starts_with("HTTP/1.1 407 "), "{line} {field}: {head}");
            assert!(head.contains("\r\nproxy-authenticate: Basic realm=\"hermes-traffic-guardian\"\r\n"));
            assert_eq!(body, "{\"error\":\"proxy_authentication_required\"}\n");
        }
    }
    assert_eq!(rig.meter.refusals(), [("proxy_authentication_required", 2 * wrong.len() as u64)]);
    let (meter, seen) = rig.stop().await;
    assert!(seen.is_empty());
    let coverage = meter.coverage();
    assert_eq!((coverage.seen.messages, coverage.scanned.connections), (0, 0));
    assert_eq!(coverage.unscanned(UnscannedReason::Refused).connections, 2 * wrong.len() as u64);
}

#[tokio::test]
async fn a_target_that_names_no_place_is_a_bad_request() {
    let rig = Rig::new();
    for (line, status, reason) in [
        ("GET /path?secret", 400, "not_absolute_form"),
        ("OPTIONS *", 400, "not_absolute_form"),
        ("GET https://example.com/secret", 501, "https_needs_connect"),
        ("GET ftp://example.com/secret", 501, "scheme"),
        ("GET http://example.com:0/secret", 400, "target"),
        ("CONNECT example.com", 400, "target"),
        ("CONNECT example.com:0", 400, "target"),
    ] {
        let (head, body) = refused(&rig, &format!("{line} HTTP/1.1\r\nHost: secret\r\nAUTH\r\n\r\n")).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {head}");
        assert!(body.contains(&format!("\"reason\":\"{reason}\"")), "{line}: {body}");
        assert!(!body.contains("secret") && !body.contains("example"));
    }
}

#[tokio::test]
async fn a_dead_upstream_is_a_502_with_its_reason() {
    let (rig, dead) = (Rig::new(), dead().await);
    for line in [format!("GET http://{dead}/"), format!("CONNECT {dead}")] {
        let (head, body) = refused(&rig, &format!("{line} HTTP/1.1\r\nHost: x\r\nAUTH\r\n\r\n")).await;
        assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
        assert_eq!(body, "{\"error\":\"upstream_unreachable\",\"reason\":\"connection_refused\"}\n");
    }
    assert_eq!(rig.meter.refusals(), [("upstream_unreachable", 2)]);
}

#[tokio::test]
async fn an_upstream_that_answers_badly_or_not_at_all_is_a_502() {
    let (rig, origin) = (Rig::new(), Origin::new().await);
    for (answer, reason) in [(&b""[..], "closed"), (b"not http at all\r\n\r\n", "malformed_response")] {
        let request = format!("GET http://{}/ HTTP/1.1\r\nHost: x\r\nAUTH\r\n\r\n", origin.name);
        let upstream = async {
            let mut upstream = origin.accept().await;
            upstream.head().await;
            upstream.send(answer).await;
        };
        let ((head, body), ()) = tokio::join!(refused(&rig, &request), upstream);
        assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
        assert_eq!(body, format!("{{\"error\":\"upstream_failed\",\"reason\":\"{reason}\"}}\n"));
    }
}

#[tokio::test]
async fn the_proxy_does_not_call_itself() {
    let rig = Rig::new();
    let port = rig.address.port();
    for host in ["127.0.0.1", "localhost", "0.0.0.0", "[::ffff:127.0.0.1]"] {
        for line in [format!("GET http://{host}:{port}/"), format!("CONNECT {host}:{port}")] {
            let (head, body) = refused(&rig, &format!("{line} HTTP/1.1\r\nHost: x\r\nAUTH\r\n\r\n")).await;
            assert!(head.starts_with("HTTP/1.1 508 "), "{line}: {head}");
            assert_eq!(body, "{\"error\":\"loop_detected\"}\n");
        }
    }
    assert_eq!(rig.meter.refusals(), [("loop_detected", 8)]);
    assert_eq!(rig.meter.coverage().seen.connections, 8);
}

#[tokio::test]
async fn a_refused_client_may_try_again_on_its_connection() {
    let (rig, origin) = (Rig::new(), Origin::new().await);
    let request = format!("GET http://{}/ HTTP/1.1\r\nHost: x\r\n", origin.name);
    let mut client = rig.send(&format!("{request}\r\n")).await;
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 407 "));
    client.until(b"}\n").await;
    client.send(authenticated(&format!("{request}AUTH\r\n\r\n")).as_bytes()).await;
    let mut upstream = origin.accept().await;
    upstream.head().await;
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert!(client.head().await.starts_with("HTTP/1.1 200 OK\r\n"));
    drop((client, upstream));
    let (meter, _) = rig.stop().await;
    assert_eq!(meter.coverage().scanned.connections, 1, "one request was let through");
}

#[tokio::test]
async fn a_response_head_with_too_many_fields_is_a_502_that_says_so() {
    for (fields, limit, status) in [(100, 100, 200), (101, 100, 502), (300, 300, 200)] {
        let rig = Rig::with(1 << 20, |settings| settings.max_fields = limit);
        let origin = Origin::new().await;
        let mut client = rig.send(&format!("GET http://{}/ HTTP/1.1\r\nHost: x\r\nAUTH\r\n\r\n", origin.name)).await;
        let mut upstream = origin.accept().await;
        upstream.head().await;
        let many = "X: 1\r\n".repeat(fields - 1);
        upstream.send(format!("HTTP/1.1 200 OK\r\n{many}Content-Length: 0\r\n\r\n").as_bytes()).await;
        assert!(client.head().await.starts_with(&format!("HTTP/1.1 {status} ")), "{fields} of {limit}");
        if status == 502 {
            assert_eq!(
                client.until(b"\n").await,
                "{\"error\":\"upstream_failed\",\"reason\":\"response_head_too_large\"}\n"
            );
        }
    }
}
