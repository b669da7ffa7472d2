//! Programs nobody here wrote.

use super::{
    certificates::{program, say},
    rig::{Inspecting, echo, origin, text},
};
use posture::Protocol;
use tokio::task::spawn_blocking;

const BOTH: &[&str] = &["h2", "http/1.1"];

async fn curl(arguments: Vec<String>) -> Option<(i32, String)> {
    let output = spawn_blocking(move || {
        let arguments: Vec<&str> =
            ["-sS", "--max-time", "20"].into_iter().chain(arguments.iter().map(String::as_str)).collect();
        program("curl", &arguments)
    });
    let output = output.await.unwrap()?;
    Some((output.status.code().unwrap(), String::from_utf8_lossy(&output.stdout).into_owned()))
}

#[tokio::test]
async fn curl_speaks_both_versions_to_names_and_addresses() {
    let proxy = Inspecting::new();
    let port = origin(proxy.world.server(&["localhost", "127.0.0.1"], BOTH, |_| {}), echo).await;
    let (bundle, url) = (proxy.bundle().display().to_string(), proxy.proxy_url());
    for host in ["localhost", "127.0.0.1"] {
        for (flag, version) in [("--http1.1", "HTTP/1.1"), ("--http2", "HTTP/2.0")] {
            let to = format!("https://{host}:{port}/path?query");
            let arguments = [flag, "--proxy", &url, "--cacert", &bundle, "--data", "sent", &to];
            let Some((code, out)) = curl(arguments.map(str::to_owned).to_vec()).await else { return };
            assert_eq!(code, 0, "{out}");
            assert!(out.starts_with(version) && out.ends_with(" sent"), "{out}");
        }
    }
    let seen = proxy.rig.seen(8).await;
    assert!(seen.iter().all(|m| m.head.route.protocol == Protocol::Https && m.head.route.names_agree));
    let (meter, _) = proxy.rig.stop().await;
    assert_eq!(meter.coverage().scanned, meter.coverage().seen);
}

#[tokio::test]
async fn curl_without_our_bundle_says_what_it_would_say_of_a_stranger() {
    let proxy = Inspecting::new();
    let port = origin(proxy.world.server(&["localhost"], BOTH, |_| {}), |_| async { text("never") }).await;
    let world = proxy.folder.path().join("world.pem").display().to_string();
    let arguments = ["--proxy", &proxy.proxy_url(), "--cacert", &world, &format!("https://localhost:{port}/")];
    let Some((code, out)) = curl(arguments.map(str::to_owned).to_vec()).await else { return };
    assert_eq!((code, out.as_str()), (60, ""), "CURLE_PEER_FAILED_VERIFICATION");
}

#[tokio::test]
async fn python_reaches_an_address_with_nothing_but_the_environment() {
    const SCRIPT: &str = "import os, sys, urllib.request; sys.stdout.write(urllib.request.urlopen(sys.argv[1], b'sent', timeout=20).read().decode())";
    let proxy = Inspecting::new();
    let port = origin(proxy.world.server(&["127.0.0.1"], BOTH, |_| {}), echo).await;
    let (bundle, url) = (proxy.bundle().display().to_string(), proxy.proxy_url());
    let to = format!("https://127.0.0.1:{port}/");
    let output = spawn_blocking(move || {
        let (file, proxy) = (format!("SSL_CERT_FILE={bundle}"), format!("https_proxy={url}"));
        program("env", &[&file, &proxy, "python3", "-c", SCRIPT, &to])
    });
    let Some(output) = output.await.unwrap() else { return };
    if output.status.code() == Some(127) {
        assert!(std::env::var_os("CI").is_none(), "python3 is missing");
        say(format_args!("SKIPPED: python3 is missing"));
        return;
    }
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(out.starts_with("HTTP/1.1 POST ") && out.ends_with(" sent"), "{out}{err}");
    assert_eq!(proxy.rig.seen(2).await.len(), 2);
}
