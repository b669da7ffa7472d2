//! Clients that do not take our certificate.

use super::rig::{Inspecting, Speaker, body, echo, handshake, origin, request};
use posture::UnscannedReason;

const ALPN: &[&str] = &["http/1.1"];

/// Tries as a client that trusts the world's authorities and not ours. True when it got through.
async fn pinned(proxy: &Inspecting, port: u16) -> bool {
    let stream = proxy.tunnel(&format!("localhost:{port}")).await;
    let Ok(tls) = handshake(stream, proxy.world.certificate.clone(), "localhost", ALPN).await else { return false };
    let host = format!("localhost:{port}");
    let answer = Speaker::new(tls, false).await.ask(request(false, &host, "/", "pinned")).await;
    assert_eq!(body(answer).await, format!("HTTP/1.1 POST {host} - pinned"));
    true
}

async fn served(proxy: &Inspecting) -> u16 {
    origin(proxy.world.server(&["localhost"], ALPN, |_| {}), echo).await
}

#[tokio::test]
async fn three_rejections_in_a_row_are_a_tunnel_and_an_event() {
    let proxy = Inspecting::new();
    let port = served(&proxy).await;
    for _ in 0..3 {
        assert!(!pinned(&proxy, port).await);
    }
    // The proxy hears of a rejection when it reads it, a moment after the client knows.
    let mut through = false;
    for _ in 0..50 {
        if !proxy.rig.meter.fallbacks().is_empty() {
            through = pinned(&proxy, port).await;
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(through);
    let told = proxy.rig.meter.untold_fallbacks();
    assert_eq!(told.iter().map(|f| (f.host.as_str(), f.port)).collect::<Vec<_>>(), [("localhost", port)]);
    assert!(proxy.rig.meter.untold_fallbacks().is_empty(), "told once");
    assert_eq!(proxy.rig.meter.fallbacks().len(), 1);
    let (meter, seen) = proxy.rig.stop().await;
    assert!(seen.is_empty());
    let coverage = meter.coverage();
    assert_eq!(coverage.unscanned(UnscannedReason::InterceptionFailed).connections, 3);
    assert_eq!(coverage.unscanned(UnscannedReason::TunnelFallback).connections, 1);
    assert_eq!(coverage.unscanned(UnscannedReason::TunnelFallback).bytes, coverage.seen.bytes);
}

#[tokio::test]
async fn a_host_that_was_opened_once_never_falls_back() {
    let proxy = Inspecting::new();
    let port = served(&proxy).await;
    drop(proxy.tls(&format!("localhost:{port}"), "localhost", ALPN).await.unwrap());
    for _ in 0..5 {
        assert!(!pinned(&proxy, port).await);
    }
    let (meter, _) = proxy.rig.stop().await;
    assert!(meter.fallbacks().is_empty());
}

#[tokio::test]
async fn a_model_vendors_host_never_falls_back() {
    let proxy = Inspecting::with(|_| {}, &[], |host| host == "localhost");
    let port = served(&proxy).await;
    for _ in 0..5 {
        assert!(!pinned(&proxy, port).await);
    }
    let (meter, _) = proxy.rig.stop().await;
    assert!(meter.fallbacks().is_empty());
}
