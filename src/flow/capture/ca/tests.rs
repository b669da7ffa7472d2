use super::*;
use crate::{clock, home::file};
use chrono::Duration;
use hudsucker::rustls::client::danger::ServerCertVerifier;
use std::{fs, path::Path};

fn roots(folder: &Path) -> Roots {
    let ca = Ca::ephemeral(clock::now()).unwrap();
    let (mut text, path) = (String::new(), folder.join("extra.pem"));
    roots::pem(&mut text, ca.certificate());
    file::create(&path, file::PRIVATE, text.as_bytes()).unwrap();
    Roots::load(Some(&path)).unwrap()
}

fn leaf(ca: &Ca, host: &str, now: Timestamp) -> Facts {
    let key = KeyPair::generate().unwrap();
    Facts::of(&ca.leaf(host, &key, now).unwrap().0).unwrap()
}

#[test]
fn a_leaf_lives_a_week_and_never_longer_than_its_authority() {
    let now = clock::now();
    for (life, expected) in [(A_YEAR, Duration::days(7)), (A_DAY, A_DAY)] {
        let ca = Ca::self_made(CaMode::Generated, KeyPair::generate().unwrap(), now, life).unwrap();
        let leaf = leaf(&ca, "localhost", now);
        assert_eq!(leaf.not_after.since(leaf.not_before), expected);
        assert!(leaf.not_after <= ca.not_after() && leaf.not_before >= ca.not_before());
        assert!(!leaf.is_authority && !leaf.may_sign);
        let key = KeyPair::generate().unwrap();
        assert!(ca.leaf("localhost", &key, ca.not_after()).is_err(), "a dead authority signs nothing");
    }
}

#[test]
fn the_cache_gives_the_same_leaf_makes_another_at_half_life_and_is_bounded() {
    let now = clock::now();
    let ca = Ca::self_made(CaMode::Generated, KeyPair::generate().unwrap(), now, A_YEAR).unwrap();
    let leaves = Leaves::new(ca).unwrap();
    let at = |host: &str, now| leaves.at(host, now).unwrap().cert[0].clone();
    let first = at("a.example", now);
    assert_eq!(at("a.example", now.plus(Duration::days(3))), first);
    assert_ne!(at("a.example", now.plus(Duration::days(4))), first);
    for n in 0..1000 {
        at(&format!("{n}.example"), now);
        // Asked for again and again, it is never the oldest.
        at("0.example", now);
    }
    assert_eq!(leaves.kept(), 1000);
    let kept = at("0.example", now);
    at("one-more.example", now);
    assert_eq!((leaves.kept(), at("0.example", now)), (1000, kept));
}

#[test]
fn a_clock_that_was_set_back_has_another_leaf_made() {
    let now = clock::now();
    let ca = Ca::self_made(CaMode::Generated, KeyPair::generate().unwrap(), now, A_YEAR).unwrap();
    let leaves = Leaves::new(ca).unwrap();
    let ahead = now.plus(Duration::days(3));
    for at in [ahead, ahead.plus(-Duration::minutes(59)), ahead.plus(-Duration::minutes(61)), now] {
        let facts = Facts::of(&leaves.at("a.example", at).unwrap().cert[0]).unwrap();
        assert!(facts.not_before <= at && at < facts.not_after, "{at}: from {}", facts.not_before);
    }
}

#[test]
fn an_authority_renewed_by_a_clock_that_was_ahead_is_renewed_again() {
    let home = tempfile::tempdir().unwrap();
    let (folder, now) = (CaFolder::of(home.path()), clock::now());
    let made = folder.init(&roots(home.path()), now).unwrap();
    assert_eq!(folder.open(now.plus(Duration::days(365))).unwrap().1, Renewed::Yes);
    let (ca, renewed) = folder.open(now).unwrap();
    assert_eq!((renewed, ca.key_sha256()), (Renewed::Yes, made.key_sha256()));
    assert!(ca.not_before() <= now && now < ca.not_after());
}

#[test]
fn a_generated_authority_is_renewed_at_two_thirds_on_the_same_key_and_the_old_one_still_vouches() {
    let home = tempfile::tempdir().unwrap();
    let (folder, now) = (CaFolder::of(home.path()), clock::now());
    assert!(matches!(folder.open(now), Err(CaError::Missing { .. })));
    let made = folder.init(&roots(home.path()), now).unwrap();
    assert!(matches!(folder.init(&roots_again(home.path()), now), Err(CaError::Exists { .. })));
    let (same, renewed) = folder.open(now.plus(Duration::days(240))).unwrap();
    assert_eq!((renewed, same.fingerprint()), (Renewed::No, made.fingerprint()));
    let later = now.plus(Duration::days(245));
    let (new, renewed) = folder.open(later).unwrap();
    assert_eq!((renewed, new.key_sha256()), (Renewed::Yes, made.key_sha256()));
    assert_ne!(new.fingerprint(), made.fingerprint());
    assert_eq!(folder.open(later).unwrap().1, Renewed::No, "once");
    // What trusts the old certificate takes what the new one signs.
    let key = KeyPair::generate().unwrap();
    let (leaf, _) = new.leaf("localhost", &key, later).unwrap();
    for root in [&made, &new] {
        let mut store = hudsucker::rustls::RootCertStore::empty();
        store.add(root.certificate().clone()).unwrap();
        let verifier = hudsucker::rustls::client::WebPkiServerVerifier::builder_with_provider(store.into(), provider());
        let time = std::time::Duration::from_secs(later.to_utc().timestamp().cast_unsigned());
        let verdict = verifier.build().unwrap().verify_server_cert(
            &leaf,
            &[],
            &"localhost".try_into().unwrap(),
            &[],
            hudsucker::rustls::pki_types::UnixTime::since_unix_epoch(time),
        );
        assert!(verdict.is_ok(), "{verdict:?}");
    }
}

fn roots_again(folder: &Path) -> Roots {
    Roots::load(Some(&folder.join("extra.pem"))).unwrap()
}

#[test]
fn an_operators_intermediate_is_sent_along_and_a_root_is_not() {
    let home = tempfile::tempdir().unwrap();
    let now = clock::now();
    let (root_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let authority = |name: &str| {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        params
    };
    let root = authority("an operator's root").self_signed(&root_key).unwrap();
    let issuer = Issuer::new(authority("an operator's root"), root_key);
    let middle = authority("an operator's authority").signed_by(&key, &issuer).unwrap();
    let (certificate, key_path) = (home.path().join("op.pem"), home.path().join("op.key"));
    let both = format!("{}{}", middle.pem(), root.pem());
    file::create(&certificate, file::PUBLIC, both.as_bytes()).unwrap();
    file::create(&key_path, file::PRIVATE, key.serialize_pem().as_bytes()).unwrap();
    let ca = operator(&certificate, &key_path, now).unwrap();
    let text = bundle(&roots(home.path()), &ca);
    assert!(text.matches("BEGIN CERTIFICATE").count() >= 2);
    let chain = Leaves::new(ca).unwrap().at("localhost", now).unwrap().cert.clone();
    assert_eq!(chain[1..], [middle.der().clone(), root.der().clone()]);
    let own = Leaves::new(Ca::ephemeral(now).unwrap()).unwrap();
    assert_eq!(own.at("localhost", now).unwrap().cert.len(), 1);
}

#[test]
fn a_file_of_roots_that_holds_none_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    for text in ["", "nothing", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let path = folder.path().join(format!("{}.pem", text.len()));
        fs::File::create(&path).and_then(|mut f| std::io::Write::write_all(&mut f, text.as_bytes())).unwrap();
        assert!(Roots::load(Some(&path)).is_err_and(|e| e.to_string().contains(".pem")), "{text}");
    }
}

#[test]
fn an_authority_of_ours_among_the_roots_vouches_for_no_upstream_and_stands_in_the_bundle_once() {
    let home = tempfile::tempdir().unwrap();
    let now = clock::now();
    let key = KeyPair::generate().unwrap();
    let older = KeyPair::from_pem(&key.serialize_pem()).unwrap();
    let older = Ca::self_made(CaMode::Generated, older, now.plus(-Duration::days(300)), A_YEAR).unwrap();
    let ours = Ca::self_made(CaMode::Generated, key, now, A_YEAR).unwrap();
    let mut roots = roots(home.path());
    let before = roots.store(&ours).len();
    for ca in [&older, &ours] {
        roots.platform.push(ca.certificate().clone());
        roots.extra.push(ca.certificate().clone());
    }
    assert!(before > 0);
    assert_eq!(roots.store(&ours).len(), before);
    let text = bundle(&roots, &ours);
    assert_eq!(text.matches("BEGIN CERTIFICATE").count(), 1 + roots.platform.len() - 2);
}
