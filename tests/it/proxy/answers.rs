//! Answers that two readers take for different ones: the client reads no other than the scanner was shown.

use super::rig::{Origin, Rig, Wire, authenticated};
use posture::Direction;

const GET: &str = "GET http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nAUTH\r\n\r\n";

async fn asked(rig: &Rig, origin: &Origin) -> (Wire, Wire) {
    let client = rig.send(&GET.replace("ORIGIN", &origin.name)).await;
    let mut upstream = origin.accept().await;
    upstream.head().await;
    (client, upstream)
}

#[tokio::test]
async fn an_answer_whose_head_cannot_be_read_in_one_way_is_a_502() {
    let heads = [
        "Content-Length: 2\r\nContent-Length: 3\r\n",
        "Content-Length: +2\r\n",
        "Content-Length: -2\r\n",
        "Content-Length: 0x2\r\n",
        "Content-Length: 2,3\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "X: a\0b\r\n",
        "X\0: 1\r\n",
        "X Y: 1\r\n",
    ];
    for head in heads {
        let (rig, origin) = (Rig::new(), Origin::new().await);
        let (mut client, mut upstream) = asked(&rig, &origin).await;
        upstream.send(format!("HTTP/1.1 200 OK\r\n{head}\r\nok").as_bytes()).await;
        let answer = client.head().await;
        assert!(answer.starts_with("HTTP/1.1 502 "), "{head:?}: {answer}");
        assert_eq!(client.until(b"\n").await, "{\"error\":\"upstream_failed\",\"reason\":\"malformed_response\"}\n");
        assert_eq!(rig.meter.refusals(), [("upstream_failed", 1)], "{head:?}");
        drop((client, upstream));
        let (_, seen) = rig.stop().await;
        assert!(seen.iter().all(|message| message.head.direction == Direction::Outbound));
    }
}

#[tokio::test]
async fn an_informational_answer_goes_no_further_and_is_counted() {
    let (rig, origin) = (Rig::new(), Origin::new().await);
    let (mut client, mut upstream) = asked(&rig, &origin).await;
    let hint = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n";
    let going_on = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n";
    upstream.send(format!("{hint}{going_on}{hint}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").as_bytes()).await;
    assert!(client.head().await.starts_with("HTTP/1.1 200 "));
    assert_eq!(client.exactly(2).await, b"ok");
    assert_eq!(rig.meter.informational_dropped(), 3, "a 100 is nobody's loss: none was waited for");
}

#[tokio::test]
async fn what_follows_an_answer_is_nobodys_answer() {
    let (rig, origin) = (Rig::new(), Origin::new().await);
    let (mut client, mut upstream) = asked(&rig, &origin).await;
    let answer = |body: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    upstream.send(format!("{}{}", answer("first"), answer("for another")).as_bytes()).await;
    client.head().await;
    assert_eq!(client.exactly(5).await, b"first");
    // The same client, and one that comes new: each over a connection on which nothing was left.
    client.send(authenticated(&GET.replace("ORIGIN", &origin.name)).as_bytes()).await;
    for asks in [client, rig.send(&GET.replace("ORIGIN", &origin.name)).await] {
        let (mut asks, mut upstream) = (asks, origin.accept().await);
        upstream.head().await;
        upstream.send(answer("its own").as_bytes()).await;
        asks.head().await;
        assert_eq!(asks.exactly(7).await, b"its own");
    }
    assert!(rig.seen(6).await.iter().all(|message| message.body != b"for another"));
}

#[tokio::test]
async fn an_answers_chunk_that_is_none_breaks_it_off() {
    for rest in ["zz\r\n", "+2\r\nhi\r\n", "2\nhi\r\n", "fffffffffffffffff\r\n", "2\r\nhiX\r\n"] {
        let (rig, origin) = (Rig::new(), Origin::new().await);
        let (mut client, mut upstream) = asked(&rig, &origin).await;
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n";
        upstream.send(format!("{head}{rest}0\r\n\r\n").as_bytes()).await;
        client.head().await;
        let got = client.rest().await;
        assert!(got.starts_with(b"2\r\nok\r\n") && !got.ends_with(b"0\r\n\r\n"), "{rest:?}: {}", got.escape_ascii());
        let seen = rig.seen(2).await;
        let told = seen.iter().find(|message| message.head.direction == Direction::Inbound).unwrap();
        assert!(told.body.starts_with(b"ok") && told.body.len() <= 4, "{rest:?}");
    }
}
