//! The program itself: its verbs, its files, what its commands get, and what it signs.

use super::certificates::say;
use super::rig::{World, echo, origin};
use crate::place::{Place, Said};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use serde_json::Value;
use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};
use time::{Duration, OffsetDateTime};
use tokio::task::spawn_blocking;

/// A home whose monitor picks a port and trusts `world` upstream.
pub(super) fn home(world: &World, more: &str) -> Place {
    let place = Place::with_config(&format!("listen = \"127.0.0.1:0\"\nca_bundle = \"world.pem\"\n{more}"));
    place.file("world.pem", &world.pem, 0o600);
    place
}

fn document(place: &Place, name: &str) -> Value {
    serde_json::from_slice(&fs::read(place.home().join("export/current").join(name)).unwrap()).unwrap()
}

fn mode(path: &PathBuf) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn with_path(place: &Place, args: &[&str]) -> Said {
    Said::of(place.command().env("PATH", std::env::var_os("PATH").unwrap()).args(args))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_inspects_with_an_authority_of_its_own_and_leaves_nothing_behind() {
    const SCRIPT: &str = r#"curl -sS --max-time 20 --data "$3" "$1"; ls "$SSL_CERT_FILE" >&2
        for file in "$REQUESTS_CA_BUNDLE" "$CURL_CA_BUNDLE" "$GIT_SSL_CAINFO" "$NODE_EXTRA_CA_CERTS" "$HERMES_CA_BUNDLE"
        do test "$file" = "$SSL_CERT_FILE" || exit 9; done
        grep -rl 'PRIVATE KEY' "$2" | sed 's/^/key in /' >&2; exit 7"#;
    // A key no vendor ever gave out, in the shape of one.
    let secret = format!("{}{}", "AKIA", "QWERTYUIOPASDFGH");
    let world = World::new();
    let port = origin(world.server(&["localhost"], &["h2", "http/1.1"], |_| {}), echo).await;
    let place = home(&world, "");
    let (said, place) = spawn_blocking(move || {
        let (url, home) = (format!("https://localhost:{port}/"), place.home().display().to_string());
        let args = ["run", "--inspect-https", "--", "sh", "-c", SCRIPT, "sh", &url, &home, &secret];
        (with_path(&place, &args), place)
    })
    .await
    .unwrap();
    if said.err.contains("curl: not found") {
        assert!(std::env::var_os("CI").is_none(), "curl is missing");
        return say(format_args!("SKIPPED: curl is missing"));
    }
    assert_eq!(said.code, 7, "{}{}", said.out, said.err);
    assert!(said.out.starts_with("HTTP/2.0 POST "), "{}{}", said.out, said.err);
    assert!(said.err.contains("/bundle.pem\n"), "the bundle was there: {}", said.err);
    let keys: Vec<_> = said.err.lines().filter(|line| line.starts_with("key in ")).collect();
    assert!(matches!(keys[..], [one] if one.ends_with("/keys/signing.key.pem")), "its own key nowhere: {keys:?}");
    assert!(said.err.contains("HTTPS is inspected; its connections fail from "), "{}", said.err);

    let left = || fs::read_dir(place.home().join("run")).unwrap().any(|e| e.unwrap().file_type().unwrap().is_dir());
    for _ in 0..400 {
        if !left() && !place.home().join("run/monitor.json").exists() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    assert!(!left(), "the bundle went with the last run");
    assert!(!place.home().join("ca").exists());
    let posture = document(&place, "posture.json");
    assert_eq!(posture["https_inspection"], true);
    assert_eq!((&posture["ca"]["mode"], &posture["ca"]["key_sha256"]), (&"ephemeral".into(), &Value::Null));
    assert!(posture["ca"]["not_after"].is_string());
    assert_eq!(posture["ca_fingerprint_sha256"].as_str().unwrap().len(), 64);
    assert_eq!(posture["ended"], "run_finished");
    assert_eq!(posture["coverage"]["not_scanned"], Value::Array(Vec::new()), "{posture}");
    assert!(posture["counts"]["findings"].as_u64() > Some(0), "found within TLS: {posture}");
    let findings = fs::read_to_string(place.home().join("findings.jsonl")).unwrap();
    let found = findings.lines().find(|line| line.contains("aws_access_key_id")).expect("the finding");
    assert!(found.contains(&format!("\"dest\":\"localhost:{port}\"")) && found.contains("\"protocol\":\"https\""));
    assert!(!findings.contains("QWERTYUIOP"));
    let said = place.run(&["verify", "--accept-stopped"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
}

#[test]
fn an_authority_is_made_once_shown_without_its_key_and_removed_but_for_its_bundle() {
    let world = World::new();
    let place = home(&world, "");
    let said = place.run(&["start", "--inspect-https"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("there is no certificate authority") && said.err.contains("ca init"), "{}", said.err);
    assert_eq!(place.run(&["ca", "show"]).code, 1);
    assert_eq!(place.run(&["ca", "remove"]).code, 1);

    let said = place.run(&["ca", "init", "--json"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let made = said.json();
    assert_eq!((&made["schema_version"], &made["mode"]), (&"clawsec-traffic-ca/v1".into(), &"generated".into()));
    let folder = place.home().join("ca");
    assert_eq!([mode(&folder), mode(&folder.join("ca.key.pem"))], [0o750, 0o600]);
    assert!(fs::read_to_string(folder.join("bundle.pem")).unwrap().contains("BEGIN CERTIFICATE"));
    let again = place.run(&["ca", "init"]);
    assert_eq!(again.code, 1);
    assert!(again.err.contains("already"), "{}", again.err);
    let shown = place.run(&["ca", "show", "--json"]);
    assert_eq!(shown.json(), made);
    assert!(!place.run(&["ca", "show"]).out.contains("PRIVATE"));

    let removed = place.run(&["ca", "remove"]);
    assert_eq!(removed.code, 0);
    assert!(removed.err.contains("kept "), "{}", removed.err);
    assert!(folder.join("bundle.pem").exists() && !folder.join("ca.key.pem").exists());
}

#[test]
fn a_monitor_with_the_generated_authority_says_so_and_gives_its_bundle() {
    let world = World::new();
    let place = home(&world, "pass_through = [\"Pinned.Example.\"]\n");
    assert_eq!(place.run(&["ca", "init"]).code, 0);
    let made = place.run(&["ca", "show", "--json"]).json();
    assert_eq!(place.run(&["start", "--inspect-https", "--background", "--json"]).code, 0);
    let env = place.run(&["env", "--json"]).json();
    let bundle = place.home().join("ca/bundle.pem").display().to_string();
    let set: Vec<_> = env["set"].as_array().unwrap().iter().map(|pair| &pair["value"]).collect();
    assert_eq!((set.len(), set.iter().filter(|value| **value == &bundle[..]).count()), (10, 6));
    let status = place.run(&["status", "--json"]).json();
    assert_eq!((&status["https_inspection"], &status["ca"]["mode"]), (&true.into(), &"generated".into()));
    // A command that asks for less is told, not served otherwise than asked.
    let said = place.run(&["run", "--", "true"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("inspects HTTPS, and one that does not is asked for"), "{}", said.err);
    assert_eq!(with_path(&place, &["run", "--inspect-https", "--", "true"]).code, 0);
    let busy = place.run(&["ca", "remove"]);
    assert_eq!(busy.code, 1, "{}", busy.err);
    assert_eq!(place.run(&["stop"]).code, 0);

    let (posture, state) = (document(&place, "posture.json"), document(&place, "state.json"));
    assert_eq!(posture["ca_fingerprint_sha256"], made["fingerprint_sha256"]);
    assert_eq!(posture["ca"]["key_sha256"], made["key_sha256"]);
    assert_eq!(state["ca"]["key_sha256"], made["key_sha256"]);
    assert_eq!(state["https_inspection"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fallback_is_in_the_log_in_status_and_in_the_posture() {
    let world = World::new();
    let port = origin(world.server(&["localhost"], &["http/1.1"], |_| {}), echo).await;
    let place = home(&world, "");
    let checked = spawn_blocking(move || {
        assert_eq!(place.run(&["ca", "init"]).code, 0);
        assert_eq!(place.run(&["start", "--inspect-https", "--background"]).code, 0);
        let (roots, url) = (place.home().join("world.pem").display().to_string(), format!("https://localhost:{port}/"));
        // A client that trusts the origin and not us: refused three times, then let through.
        let pinned = ["run", "--inspect-https", "--", "curl", "-sS", "--max-time", "20", "--cacert", &roots, &url];
        let mut codes = Vec::new();
        for _ in 0..4 {
            codes.push(with_path(&place, &pinned).code);
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        if codes[0] == 127 {
            assert!(std::env::var_os("CI").is_none(), "curl is missing");
            return say(format_args!("SKIPPED: curl is missing"));
        }
        assert_eq!(codes, [60, 60, 60, 0], "CURLE_PEER_FAILED_VERIFICATION, then a tunnel");
        let dest = format!("localhost:{port}");
        let mut status = Value::Null;
        for _ in 0..100 {
            status = place.run(&["status", "--json"]).json();
            if status["export"].is_object() && status["degraded_reasons"] != Value::Array(Vec::new()) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        assert_eq!(status["fallbacks"], serde_json::json!([dest]));
        assert_eq!(status["degraded_reasons"], serde_json::json!(["tunnel_fallback"]));
        assert!(place.run(&["status"]).out.contains(&format!("unopened      {dest}")));
        std::thread::sleep(std::time::Duration::from_millis(1500));
        assert_eq!(place.run(&["export"]).code, 0);
        assert_eq!(document(&place, "posture.json")["degraded_reasons"], serde_json::json!(["tunnel_fallback"]));
        assert_eq!(place.run(&["stop"]).code, 0);
        let log = fs::read_to_string(place.home().join("findings.jsonl")).unwrap();
        let event = format!("{{\"tunnel_fallback\":{{\"dest\":\"{dest}\",\"seconds\":600}}}}");
        assert_eq!(log.matches(&event).count(), 1, "{log}");
        let said = place.run(&["verify", "--accept-stopped"]);
        assert_eq!(said.code, 0, "{}{}", said.out, said.err);
        let threats = place.run(&["threats"]);
        assert_eq!(threats.code, 0, "{}", threats.err);
    });
    checked.await.unwrap();
}

#[test]
fn env_without_a_bundle_to_point_at_says_so() {
    let world = World::new();
    let place = home(&world, "inspect_https = true\n");
    place.file("keys/proxy.token", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 0o600);
    let said = Said::of(place.command().args(["env"]));
    assert_eq!((said.code, said.out.as_str()), (1, ""), "{}", said.err);
}

/// An operator's authority: certificate and key, PEM.
fn authority(change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::OrganizationName, "An operator");
    change(&mut params);
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

#[test]
fn an_operators_authority_that_is_not_right_is_a_clear_error() {
    const CONFIG: &str = "inspect_https = true\n[ca]\nmode = \"operator\"\ncert = \"op.pem\"\nkey = \"op.key\"\n";
    let now = OffsetDateTime::now_utc();
    let good = authority(|_| {});
    let other = authority(|_| {});
    let cases: [(&str, (String, String), u32, &str); 8] = [
        ("expired", authority(|p| p.not_after = now - Duration::days(1)), 0o600, "ended on"),
        ("not yet", authority(|p| p.not_before = now + Duration::days(1)), 0o600, "begins on"),
        ("no authority", authority(|p| p.is_ca = IsCa::ExplicitNoCa), 0o600, "CA:TRUE"),
        (
            "may not sign",
            authority(|p| p.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature]),
            0o600,
            "certificate signing in Key Usage",
        ),
        ("another's key", (good.0.clone(), other.1), 0o600, "is not that of the certificate"),
        ("readable key", good.clone(), 0o640, "0600"),
        ("no certificate", ("nothing".to_owned(), good.1.clone()), 0o600, "does not hold a certificate"),
        ("no key", (good.0.clone(), "nothing".to_owned()), 0o600, "does not hold a private key"),
    ];
    for (name, (certificate, key), mode, reason) in cases {
        let world = World::new();
        let place = home(&world, CONFIG);
        place.file("op.pem", &certificate, 0o644);
        place.file("op.key", &key, mode);
        let said = place.run(&["start"]);
        assert_eq!(said.code, 74, "{name}: {}{}", said.out, said.err);
        assert!(said.err.contains(reason), "{name}: {}", said.err);
        assert!(!said.err.contains("PRIVATE"), "{name}");
    }
    let world = World::new();
    let place = home(&world, CONFIG);
    place.file("op.pem", &good.0, 0o644);
    place.file("op.key", &good.1, 0o600);
    let said = place.run(&["start", "--background"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(place.run(&["status", "--json"]).json()["ca"]["mode"], "operator");
    assert_eq!(place.run(&["stop"]).code, 0);
}
