//! What our certificates say, read by OpenSSL.

use super::rig::{Inspecting, echo, origin};
use std::{
    collections::HashSet,
    path::Path,
    process::{Command, Output},
};

/// `None` where the program is missing: said aloud, and never so where the tests have to mean something.
pub(crate) fn program(name: &str, arguments: &[&str]) -> Option<Output> {
    match Command::new(name).args(arguments).env_clear().env("PATH", std::env::var_os("PATH").unwrap()).output() {
        Ok(output) => Some(output),
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "{name} is missing: {error}");
            say(format_args!("SKIPPED: {name} is missing: {error}"));
            None
        }
    }
}

#[expect(clippy::print_stderr, reason = "a test that was skipped has to be heard of")]
pub(crate) fn say(what: std::fmt::Arguments<'_>) {
    eprintln!("{what}");
}

fn described(folder: &Path, name: &str, der: &[u8]) -> Option<String> {
    let path = folder.join(name);
    keys::file::create_public(&path, der).unwrap();
    let output = program("openssl", &["x509", "-inform", "DER", "-in", path.to_str().unwrap(), "-noout", "-text"])?;
    Some(String::from_utf8(output.stdout).unwrap().split_whitespace().collect::<Vec<_>>().join(" "))
}

#[tokio::test]
async fn a_leaf_is_for_one_host_a_week_and_nothing_else() {
    let proxy = Inspecting::new();
    let port = origin(proxy.world.server(&["localhost", "127.0.0.1"], &[], |_| {}), echo).await;
    let folder = proxy.folder.path();
    let authority = proxy.leaves.authority();
    let Some(text) = described(folder, "ca.der", authority.certificate()) else { return };
    for said in [
        "X509v3 Basic Constraints: critical CA:TRUE, pathlen:0",
        "X509v3 Key Usage: critical Certificate Sign, CRL Sign",
        "Public-Key: (256 bit)",
        "X509v3 Subject Key Identifier",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    let mut serials = HashSet::new();
    let mut keys = HashSet::new();
    for (n, (host, san)) in
        [("localhost", "DNS:localhost"), ("127.0.0.1", "IP Address:127.0.0.1")].into_iter().enumerate()
    {
        let tls = proxy.tls(&format!("{host}:{port}"), host, &[]).await.unwrap();
        let chain = tls.get_ref().1.peer_certificates().unwrap();
        assert_eq!(chain.len(), 1, "a root need not be sent");
        let name = format!("leaf-{n}.der");
        let text = described(folder, &name, &chain[0]).unwrap();
        for said in [
            &format!("X509v3 Subject Alternative Name: {san} X509v3"),
            "X509v3 Basic Constraints: critical CA:FALSE",
            "X509v3 Key Usage: critical Digital Signature X509v3",
            "X509v3 Extended Key Usage: TLS Web Server Authentication",
            "X509v3 Authority Key Identifier",
        ] {
            assert!(text.contains(said), "{said}: {text}");
        }
        let between = |from: &str, to: &str| {
            let rest = &text[text.find(from).unwrap() + from.len()..];
            rest[..rest.find(to).unwrap()].to_owned()
        };
        serials.insert(between("Serial Number: ", " Signature"));
        keys.insert(between("pub: ", " ASN1"));
        let path = folder.join(&name);
        let bundle = proxy.bundle();
        let verified = program(
            "openssl",
            &[
                "verify",
                "-x509_strict",
                "-purpose",
                "sslserver",
                "-CAfile",
                bundle.to_str().unwrap(),
                path.to_str().unwrap(),
            ],
        );
        let verified = verified.unwrap();
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
        // OpenSSL says no in both directions: not over in a day, over in a week.
        for (seconds, lives) in [("86400", false), ("604800", false), ("60", true)] {
            let path = path.to_str().unwrap();
            let check = program("openssl", &["x509", "-inform", "DER", "-in", path, "-noout", "-checkend", seconds]);
            assert_eq!(check.unwrap().status.success(), lives, "never past its authority's day");
        }
    }
    assert_eq!((serials.len(), keys.len()), (2, 1), "a serial each, one key for all leaves");
    assert!(!keys.contains(&String::new()));
}
