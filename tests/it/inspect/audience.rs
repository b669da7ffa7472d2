//! A vendor's key on its way, and every name on that way made to lie: expected is only what really goes to the vendor.
//!
//! A proxy upstream of ours plays the whole world: whatever host is asked for, it is that host, with a certificate for it.

use super::rig::{Inspecting, Speaker, bounded, client_config, echo, handshake, listen, serve};
use crate::proxy::rig::{Seen, authenticated};
use bytes::Bytes;
use guardian::flow::{
    capture::{Head, Parent, StartLine},
    detect::{Detector, Limits, Scanner},
};
use http_body_util::Full;
use hudsucker::{
    hyper::Request,
    rustls::{ClientConfig, pki_types::ServerName},
};
use posture::{Direction, Protocol};
use std::sync::{Arc, OnceLock};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

const OWN: &str = "api.openai.com";
const EVIL: &str = "evil.example";
/// Names that are not the vendor's, though they look so.
const ALIKE: [&str; 9] = [
    "api.openai.com.evil.example",
    "evil-api.openai.com",
    "xapi.openai.com",
    "a.api.openai.com",
    "api-openai.com",
    "openai.com",
    "api.openai.co",
    "api.0penai.com",
    "xn--pi-7kc.openai.com",
];

/// A key no vendor ever gave out, in the shape of one.
fn key() -> String {
    let part = "aB3dE5gH7jK9mN1pQ3sT";
    format!("Bearer sk-proj-{part}T3BlbkFJ{part}")
}

/// Whoever is asked for, once there are certificates for all of them.
async fn world(names: Arc<OnceLock<TlsAcceptor>>) -> u16 {
    listen(move |mut stream| {
        let names = Arc::clone(&names);
        async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else { return };
                head.push(byte);
            }
            if !head.starts_with(b"CONNECT ") {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
                return;
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            let mut first = [0];
            match stream.peek(&mut first).await {
                Ok(1) if first == [0x16] => {
                    if let Ok(stream) = names.get().unwrap().accept(stream).await {
                        serve(stream, echo).await;
                    }
                }
                _ => serve(stream, echo).await,
            }
        }
    })
    .await
}

async fn through_the_world() -> Inspecting {
    let names = Arc::new(OnceLock::new());
    let port = world(Arc::clone(&names)).await;
    let proxy = Inspecting::with(|s| s.parent = Some(Parent::new("127.0.0.1".to_owned(), port, None)), &[], |_| false);
    let all: Vec<_> = [OWN, EVIL].into_iter().chain(ALIKE).collect();
    assert!(names.set(proxy.world.server(&all, &["h2", "http/1.1"], |_| {})).is_ok());
    proxy
}

/// One way of asking: what CONNECT names, what the handshake names (`None`: nothing), and the rest of the request.
struct Asked {
    connect: String,
    sni: Option<String>,
    target: String,
    hosts: Vec<String>,
}

impl Asked {
    /// As a client of each version asks for `host`, which is the authority in HTTP/2 and the Host field in HTTP/1.
    fn usually(http2: bool, connect: &str, sni: &str, host: &str) -> Self {
        let (target, hosts) =
            if http2 { (format!("https://{host}/v1"), Vec::new()) } else { ("/v1".to_owned(), vec![host.to_owned()]) };
        Self { connect: connect.to_owned(), sni: Some(sni.to_owned()), target, hosts }
    }

    fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::post(&self.target).header("authorization", key());
        for host in &self.hosts {
            request = request.header("host", host);
        }
        request.body(Full::new(Bytes::from_static(b"{}"))).unwrap()
    }
}

/// The requests the scanner was shown of all these, one after the other, each over a connection of its own.
async fn shown(proxy: &Inspecting, http2: bool, all: &[Asked]) -> Vec<Seen> {
    let alpn = if http2 { "h2" } else { "http/1.1" };
    for asked in all {
        let trusted = proxy.leaves.authority().certificate().clone();
        let stream = proxy.tunnel(&asked.connect).await;
        let tls = if let Some(name) = &asked.sni {
            handshake(stream, trusted, name, &[alpn]).await.unwrap()
        } else {
            let (host, _) = asked.connect.rsplit_once(':').unwrap();
            let mut config = ClientConfig::clone(&client_config(trusted, &[alpn]));
            config.enable_sni = false;
            let name = ServerName::try_from(host.to_owned()).unwrap();
            bounded(TlsConnector::from(Arc::new(config)).connect(name, stream)).await.unwrap()
        };
        Speaker::new(tls, http2).await.ask(asked.request()).await;
    }
    let mut seen = proxy.rig.seen(2 * all.len()).await;
    seen.retain(|message| message.head.direction == Direction::Outbound);
    assert_eq!(seen.len(), all.len());
    seen
}

/// What becomes of the key in each of these: true when it is expected.
fn expected(seen: &[Seen]) -> Vec<bool> {
    let detector = Detector::new(Limits::default(), &[], None);
    let judged = |message: &Seen| {
        let (mut hits, mut expected) = (0, 0);
        let mut on = |hit: &guardian::flow::detect::Hit<'_>| {
            hits += 1;
            expected += usize::from(hit.expected);
        };
        detector.forget();
        let mut scanner = Scanner::new(Arc::clone(&detector), message.head.clone(), &mut on);
        scanner.body(&message.body, &mut on);
        scanner.end(&mut on);
        assert_eq!(hits, 1, "the key is seen, and once");
        expected == 1
    };
    seen.iter().map(judged).collect()
}

#[tokio::test]
async fn every_pair_of_names_that_disagrees_makes_a_vendors_key_a_finding() {
    for http2 in [false, true] {
        let proxy = through_the_world().await;
        let mut all = Vec::new();
        for connect in [OWN, EVIL] {
            for sni in [OWN, EVIL] {
                for host in [OWN, EVIL] {
                    all.push(Asked::usually(http2, &format!("{connect}:443"), sni, host));
                }
            }
        }
        let seen = shown(&proxy, http2, &all).await;
        assert_eq!(expected(&seen), [true, false, false, false, false, false, false, false], "HTTP/2 {http2}");
        let dests: Vec<_> = seen.iter().map(|m| m.head.route.host.as_str()).collect();
        assert_eq!(dests, [OWN, OWN, OWN, OWN, EVIL, EVIL, EVIL, EVIL], "where the bytes really went");
    }
}

#[tokio::test]
async fn a_host_field_beside_the_authority_has_to_agree_with_it() {
    let proxy = through_the_world().await;
    let with = |connect: &str, authority: &str, hosts: &[&str]| Asked {
        hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        ..Asked::usually(true, &format!("{connect}:443"), connect, authority)
    };
    let all = [
        with(OWN, OWN, &[OWN]),
        with(OWN, OWN, &["API.openai.com.:443"]),
        with(OWN, OWN, &[EVIL]),
        with(OWN, OWN, &[OWN, EVIL]),
        with(OWN, OWN, &[""]),
        with(OWN, EVIL, &[OWN]),
        with(EVIL, OWN, &[OWN]),
        with(EVIL, EVIL, &[OWN]),
        with(EVIL, OWN, &[EVIL]),
    ];
    let seen = shown(&proxy, true, &all).await;
    assert_eq!(expected(&seen), [true, true, false, false, false, false, false, false, false]);
}

#[tokio::test]
async fn the_vendor_in_another_spelling_is_the_vendor() {
    for http2 in [false, true] {
        let proxy = through_the_world().await;
        let all = [
            Asked::usually(http2, "API.OpenAI.com:443", OWN, OWN),
            Asked::usually(http2, "api.openai.com.:443", OWN, OWN),
            Asked::usually(http2, "api.openai.com:443", OWN, "Api.OpenAI.Com"),
            Asked::usually(http2, "api.openai.com:443", OWN, "api.openai.com."),
            Asked::usually(http2, "api.openai.com:443", OWN, "api.openai.com:443"),
            Asked::usually(http2, "api.openai.com:0443", "API.OPENAI.COM", "API.OPENAI.COM.:443"),
            Asked { sni: None, ..Asked::usually(http2, "api.openai.com:443", "", OWN) },
        ];
        let seen = shown(&proxy, http2, &all).await;
        assert_eq!(expected(&seen), [true; 7], "HTTP/2 {http2}");
        assert!(seen.iter().all(|m| m.head.route.host == OWN && m.head.route.port == 443));
    }
}

#[tokio::test]
async fn a_name_that_looks_like_the_vendors_is_another() {
    for http2 in [false, true] {
        let proxy = through_the_world().await;
        let mut all: Vec<_> =
            ALIKE.iter().map(|host| Asked::usually(http2, &format!("{host}:443"), host, host)).collect();
        all.extend(ALIKE.iter().map(|host| Asked::usually(http2, &format!("{host}:443"), host, OWN)));
        all.extend(ALIKE.iter().map(|host| Asked::usually(http2, &format!("{OWN}:443"), OWN, host)));
        let seen = shown(&proxy, http2, &all).await;
        assert!(expected(&seen).iter().all(|expected| !expected), "HTTP/2 {http2}");
    }
}

#[tokio::test]
async fn another_port_a_user_or_a_missing_name_is_not_the_vendor() {
    for http2 in [false, true] {
        let proxy = through_the_world().await;
        let own = |connect: &str, host: &str| Asked::usually(http2, connect, OWN, host);
        let evil = |host: &str| Asked::usually(http2, "evil.example:443", EVIL, host);
        let all = [
            own("api.openai.com:8443", "api.openai.com:8443"),
            own("api.openai.com:8443", OWN),
            own("api.openai.com:80", OWN),
            own("api.openai.com:443", "api.openai.com:8443"),
            own("api.openai.com:443", "api.openai.com:80"),
            evil("api.openai.com@evil.example"),
            evil("api.openai.com:443@evil.example"),
            Asked { sni: None, ..evil(OWN) },
            Asked { sni: None, ..evil(EVIL) },
        ];
        let seen = shown(&proxy, http2, &all).await;
        assert!(expected(&seen).iter().all(|expected| !expected), "HTTP/2 {http2}");
    }
}

#[tokio::test]
async fn what_only_a_request_of_http_1_can_say_fools_nobody() {
    let proxy = through_the_world().await;
    let asked = |connect: &str, target: &str, hosts: &[&str]| Asked {
        target: target.to_owned(),
        hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        ..Asked::usually(false, &format!("{connect}:443"), connect, "")
    };
    let all = [
        asked(OWN, "https://api.openai.com/v1", &[OWN]),
        asked(EVIL, "https://api.openai.com/v1", &[OWN]),
        asked(EVIL, "https://api.openai.com/v1", &[EVIL]),
        asked(EVIL, "http://api.openai.com:443/v1", &[OWN]),
        asked(OWN, "https://evil.example/v1", &[OWN]),
        asked(OWN, "/v1", &[OWN, EVIL]),
        asked(OWN, "/v1", &[EVIL, OWN]),
        asked(EVIL, "/v1", &[OWN, OWN]),
        asked(EVIL, "/v1", &[]),
    ];
    let seen = shown(&proxy, false, &all).await;
    assert_eq!(expected(&seen), [true, false, false, false, false, false, false, false, false]);
}

#[tokio::test]
async fn clear_text_to_a_vendors_name_is_a_finding() {
    let proxy = through_the_world().await;
    let (key, get) = (key(), "HTTP/1.1\r\nHost: api.openai.com\r\nAuthorization:");
    for target in ["http://api.openai.com/v1", "http://api.openai.com:443/v1"] {
        let mut stream = TcpStream::connect(proxy.rig.address).await.unwrap();
        let head = authenticated(&format!("GET {target} {get} {key}\r\nAUTH\r\nConnection: close\r\n\r\n"));
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        bounded(stream.read_to_end(&mut answer)).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", answer.escape_ascii());
    }
    for connect in ["api.openai.com:443", "api.openai.com:80"] {
        for http2 in [false, true] {
            let mut asked = Asked::usually(http2, connect, OWN, OWN);
            asked.target = asked.target.replace("https", "http");
            let mut speaker = Speaker::new(proxy.tunnel(connect).await, http2).await;
            assert_eq!(speaker.ask(asked.request()).await.status(), 200);
        }
    }
    let mut seen = proxy.rig.seen(12).await;
    seen.retain(|message| message.head.direction == Direction::Outbound);
    assert_eq!(expected(&seen), [false; 6]);
    assert!(seen.iter().all(|m| m.head.route.protocol == Protocol::Http && m.head.route.host == OWN));
}

#[tokio::test]
async fn what_a_handshake_tells_the_origin_is_shown() {
    let proxy = through_the_world().await;
    let trusted = proxy.leaves.authority().certificate().clone();
    let shown = |head: &Head| {
        let StartLine::Request { target, .. } = &head.start else { panic!("a request") };
        let fields = head.fields.iter().map(|f| [&f.name[..], b"=", &f.value].concat()).collect::<Vec<_>>();
        String::from_utf8([&target[..], b" ", &fields.concat()].concat()).unwrap()
    };
    for (sni, alpn) in [(OWN, &["http/1.1"][..]), (EVIL, &["http/1.1"]), (OWN, &["gsk_x", "http/1.1", "more"])] {
        let stream = proxy.tunnel(&format!("{OWN}:443")).await;
        handshake(stream, trusted.clone(), sni, alpn).await.unwrap();
    }
    let all = bounded(async {
        while proxy.rig.named().len() < 5 {
            tokio::task::yield_now().await;
        }
        proxy.rig.named()
    });
    let mut all: Vec<String> = all.await.iter().map(shown).collect();
    all.sort_unstable();
    // Each tunnel's own target, and what the handshake in it says besides.
    let target = format!("{OWN}:443 ");
    assert_eq!(all, [format!("{OWN} alpn=gsk_x, more"), target.clone(), target.clone(), target, format!("{EVIL} ")]);
}
