//! A state folder, made through the public doors alone.

use crate::cases;
use attest::{
    Anchor, Baseline, Chain, Folder, Options, Record, Report, Rotations,
    digest::{self, sha256},
    seal, verify,
};
use data_encoding::BASE64;
use keys::SigningKey;
use posture::{
    Attested, Ca, CaMode, Checkpoint, Counts, Coverage, Digests, Encoding, Ended, EventBody, Family, FindingLog,
    FindingRecord, Fingerprint, InstallId, Mode, MonitorStatus, PatternSet, Placement, Platform, Posture, Protocol,
    Prune, PruneReason, Recovery, Redaction, Retention, RunId, Scan, SelfTest, SelfTestResult, SetAside, Severity,
    Sha256Hex, State, StateCa, Timestamp, Totals, Unscanned, UnscannedReason,
};
use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

pub(crate) const NOW: &str = "2026-04-26T00:00:30.000Z";

pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The key whose seed is 32 times this byte.
pub(crate) fn key(seed: u8) -> SigningKey {
    let head = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let der = BASE64.encode(&[&head[..], &[seed; 32]].concat());
    SigningKey::from_pem(&format!("-----BEGIN PRIVATE KEY-----\n{der}\n-----END PRIVATE KEY-----\n")).unwrap()
}

pub(crate) fn put(path: &Path, bytes: &[u8]) {
    File::create(path).unwrap().write_all(bytes).unwrap();
}

pub(crate) fn records(file: &Path) -> Vec<Record> {
    let text = fs::read(file).unwrap();
    text.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(|l| attest::chain::read_line(l).unwrap()).collect()
}

pub(crate) fn finding(seq: u64, prev: Sha256Hex, family: Family) -> FindingRecord {
    FindingRecord {
        dest: "api.example.com:443".into(),
        direction: family.direction(),
        encoding: vec![Encoding::Json],
        fingerprint: Fingerprint::from_bytes(&[1, 2, 3, 4, 5, 6, 7, 8]),
        pattern: family.into(),
        placement: Placement::Body,
        platform: Platform::Hermes,
        prev_sha256: prev,
        protocol: Protocol::Http,
        rule: format!("{family}.example").parse().unwrap(),
        schema_version: posture::FINDING_SCHEMA.into(),
        seq,
        severity: Severity::High,
        snippet: format!("[REDACTED {family}.example]"),
        source: "127.0.0.1".into(),
        threat_type: family.threat_type(),
        timestamp: time("2026-04-25T23:59:00.000Z"),
    }
}

pub(crate) fn state(key: &SigningKey) -> State {
    State {
        ca: StateCa { key_sha256: None, mode: CaMode::Off },
        config_sha256: sha256("{}"),
        digests: no_digests(),
        https_inspection: false,
        key_id: digest::key_id(key.public().key_id()),
        mode: Mode::Detect,
        monitor_enabled: true,
        pattern_set: PatternSet { rules: 2, sha256: sha256("rules"), version: "1.0.0".into() },
        period_seconds: 60,
        platform: Platform::Hermes,
        redaction: Redaction { snippets: true },
        retention: Retention { max_age_days: 30, max_bytes: 67_108_864, segment_bytes: 4_194_304 },
        scan: Scan { max_depth: 4, max_decoded_bytes: 4_194_304, max_scan_bytes: 1_048_576, queue_bytes: 67_108_864 },
        schema_version: posture::STATE_SCHEMA.into(),
    }
}

pub(crate) fn no_digests() -> Digests {
    Digests { algorithm: String::new(), canonical_sha256: Sha256Hex::from_bytes(&[0; 32]) }
}

/// Everything but what an export fills in.
pub(crate) fn posture(state: &State) -> Posture {
    Posture {
        attested: Attested { expected: 3, self_tests: 1, ..Attested::default() },
        ca: Ca { key_sha256: None, mode: CaMode::Off, not_after: None },
        ca_fingerprint_sha256: None,
        config_sha256: state.config_sha256.clone(),
        counts: Counts::default(),
        coverage: Coverage {
            not_scanned: vec![
                Unscanned { bytes: 40, connections: 1, messages: 1, reason: UnscannedReason::InProgress.into() },
                Unscanned { bytes: 500, connections: 1, messages: 0, reason: UnscannedReason::Tunnel.into() },
            ],
            scanned: Totals { bytes: 1_000, connections: 2, messages: 4 },
            seen: Totals { bytes: 1_540, connections: 4, messages: 5 },
        },
        degraded_reasons: vec![],
        digests: no_digests(),
        ended: Ended::Running,
        finding_log: FindingLog { first_seq: 1, next_seq: 1 },
        finding_log_sha256: Chain::genesis().head().clone(),
        generated_at: time("2026-04-26T00:00:00.000Z"),
        https_inspection: false,
        install_id: InstallId::from_bytes(&[0xa5; 16]),
        key_id: state.key_id.clone(),
        mode: Mode::Detect,
        monitor_enabled: true,
        monitor_status: MonitorStatus::Running,
        pattern_set: state.pattern_set.clone(),
        period_seconds: state.period_seconds,
        platform: Platform::Hermes,
        previous_sha256: None,
        retention: state.retention,
        run_id: RunId::from_bytes(&[0x5a; 16]),
        scan: state.scan,
        schema_version: posture::POSTURE_SCHEMA.into(),
        self_test: SelfTest {
            last_run_at: Some(time("2026-04-25T23:58:00.000Z")),
            result: SelfTestResult::Passed,
            vectors_sha256: sha256("vectors"),
        },
        sequence: 1,
        state_sha256: sha256(""),
        valid_until: time("2026-04-26T00:03:00.000Z"),
    }
}

/// What the first export leaves in progress has ended.
pub(crate) fn settled(posture: &mut Posture) {
    posture.coverage.not_scanned.retain(|u| u.reason.as_str() != "in_progress");
}

pub(crate) struct Home {
    dir: TempDir,
    pub(crate) key: SigningKey,
    pub(crate) chain: Chain,
    pub(crate) counts: Counts,
    pub(crate) first_seq: u64,
    /// Sealed and retained, oldest first: the first record, and the chain and the counts at the end.
    pub(crate) sealed: VecDeque<(u64, Chain, Counts)>,
    pub(crate) sequence: u64,
    pub(crate) previous: Option<Sha256Hex>,
}

impl Home {
    /// With an empty log and no export.
    pub(crate) fn empty() -> Self {
        let (dir, key) = (tempfile::tempdir().unwrap(), key(1));
        put(&dir.path().join("signing.pub.pem"), key.public().to_pem().as_bytes());
        put(&dir.path().join("findings.jsonl"), b"");
        fs::create_dir(dir.path().join("export")).unwrap();
        let (chain, counts) = (Chain::genesis(), Counts::default());
        Self { dir, key, chain, counts, first_seq: 1, sealed: VecDeque::new(), sequence: 0, previous: None }
    }

    /// Two exports over a start, four findings and a fold, in two segments.
    pub(crate) fn new() -> Self {
        let mut home = Self::empty();
        home.event(EventBody::Start { run_id: RunId::from_bytes(&[0x5a; 16]) });
        home.find(Family::AiApiKey);
        home.find(Family::ReverseShell);
        home.export(|_| {});
        home.seal_segment();
        home.event(EventBody::Fold { count: 3, finding_seq: 2 });
        home.find(Family::AiApiKey);
        home.find(Family::PrivateKeyPem);
        home.export(settled);
        home
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
    pub(crate) fn log(&self) -> PathBuf {
        self.at("findings.jsonl")
    }
    /// A file of the newest generation.
    pub(crate) fn exported(&self, name: &str) -> PathBuf {
        self.at("export").join(format!("{:012}", self.sequence)).join(name)
    }

    pub(crate) fn find(&mut self, family: Family) {
        let framed = self.chain.finding(|seq, prev| finding(seq, prev, family)).unwrap();
        self.append(&framed);
    }

    pub(crate) fn event(&mut self, event: EventBody) {
        let framed = self.chain.event(time("2026-04-25T23:59:00.000Z"), event).unwrap();
        self.append(&framed);
    }

    pub(crate) fn append(&mut self, framed: &attest::Framed) {
        self.append_raw(&framed.line);
        self.chain.advance(framed);
        attest::chain::read_line(framed.line.trim_ascii_end()).unwrap().count(&mut self.counts);
    }

    pub(crate) fn append_raw(&self, bytes: &[u8]) {
        OpenOptions::new().append(true).open(self.log()).unwrap().write_all(bytes).unwrap();
    }

    /// A prune event for the oldest sealed segment.
    pub(crate) fn prune(&self) -> Prune {
        let (_, end, counts) = self.sealed.front().unwrap().clone();
        Prune { counts, last_seq: end.next_seq() - 1, last_sha256: end.head().clone(), reason: PruneReason::Age }
    }

    /// As the monitor does it: in the log first, then in a posture.
    pub(crate) fn announce(&mut self, prune: Prune) {
        self.first_seq = prune.last_seq + 1;
        self.event(EventBody::Prune(Box::new(prune)));
        self.export(settled);
    }

    /// As the monitor does it: what there is goes aside, and the log goes on where the last posture signed it.
    pub(crate) fn recover(&mut self) {
        self.begin_anew(self.counts.clone());
        self.export(settled);
    }

    /// The log as a recovery leaves it, before it is signed.
    pub(crate) fn begin_anew(&mut self, counts: Counts) {
        for (seq, ..) in std::mem::take(&mut self.sealed) {
            let name = format!("{seq:012}.jsonl");
            fs::rename(self.at(&format!("findings-{name}")), self.at(&format!("damaged-{name}"))).unwrap();
        }
        let set_aside =
            vec![SetAside { bytes: 9, name: "damaged-000000000001.jsonl".into(), sha256: sha256("damaged") }];
        put(&self.log(), b"");
        self.first_seq = self.chain.next_seq();
        let posture = posture(&state(&self.key));
        let totals = Checkpoint {
            attested: posture.attested,
            counts,
            coverage: posture.coverage,
            install_id: posture.install_id,
            next_sequence: self.sequence + 1,
        };
        self.event(EventBody::Recovery(Box::new(Recovery { set_aside, totals })));
    }

    pub(crate) fn delete_oldest(&mut self) {
        let (seq, ..) = self.sealed.pop_front().unwrap();
        fs::remove_file(self.at(&format!("findings-{seq:012}.jsonl"))).unwrap();
    }

    pub(crate) fn seal_segment(&mut self) {
        let text = fs::read(self.log()).unwrap();
        let first = text.split(|b| *b == b'\n').next().unwrap();
        let seq = attest::chain::read_line(first).unwrap().seq();
        fs::rename(self.log(), self.at(&format!("findings-{seq:012}.jsonl"))).unwrap();
        put(&self.log(), b"");
        self.sealed.push_back((seq, self.chain.clone(), self.counts.clone()));
    }

    /// A key gives way to another, as the monitor does it, up to the first posture the new one signs.
    pub(crate) fn rotate(&mut self, new: SigningKey) {
        let line = self.announce_key(&new);
        self.state_rotation(&line);
        self.key = new;
        self.export(settled);
    }

    /// The event and the old key's last posture; returns the statement that follows.
    pub(crate) fn announce_key(&mut self, new: &SigningKey) -> Vec<u8> {
        let rotations = Rotations::read(&self.rotations()).unwrap();
        let id = |key: &SigningKey| digest::key_id(key.public().key_id());
        let (new_key_id, old_key_id) = (id(new), id(&self.key));
        self.event(EventBody::Rotate { new_key_id, number: rotations.next_number(), old_key_id });
        let log = self.chain.clone();
        self.export(settled);
        rotations.state(&self.key, new, self.sequence + 1, &log).unwrap()
    }

    pub(crate) fn state_rotation(&self, line: &[u8]) {
        put(&self.at("rotations.jsonl"), &[&self.rotations(), line].concat());
    }

    /// The folder's own anchor becomes the key that signs.
    pub(crate) fn put_anchor(&self) {
        put(&self.at("signing.pub.pem"), self.key.public().to_pem().as_bytes());
    }

    /// The hash of the first posture.
    pub(crate) fn first_sha256(&self) -> Sha256Hex {
        sha256(fs::read(self.at("export/000000000001/posture.json")).unwrap())
    }

    pub(crate) fn rotations(&self) -> Vec<u8> {
        fs::read(self.at("rotations.jsonl")).unwrap_or_default()
    }

    pub(crate) fn export(&mut self, change: impl FnOnce(&mut Posture)) {
        self.export_both(change, |_| {});
    }

    pub(crate) fn export_both(&mut self, change: impl FnOnce(&mut Posture), change_state: impl FnOnce(&mut State)) {
        self.sequence += 1;
        let mut state = state(&self.key);
        change_state(&mut state);
        digest::bind(&mut state).unwrap();
        let sealed_state = seal(&self.key, &state).unwrap();
        let mut posture = posture(&state);
        posture.counts = self.counts.clone();
        posture.finding_log = FindingLog { first_seq: self.first_seq, next_seq: self.chain.next_seq() };
        posture.finding_log_sha256 = self.chain.head().clone();
        posture.sequence = self.sequence;
        posture.previous_sha256.clone_from(&self.previous);
        posture.state_sha256 = sealed_state.sha256();
        change(&mut posture);
        digest::bind(&mut posture).unwrap();
        let sealed = seal(&self.key, &posture).unwrap();
        self.previous = Some(sealed.sha256());
        self.publish(sealed.bytes(), &sealed.signature_line(), sealed_state.bytes(), &sealed_state.signature_line());
    }

    /// As the monitor does it: a new folder, then the link by a rename.
    pub(crate) fn publish(&self, posture: &[u8], posture_sig: &str, state: &[u8], state_sig: &str) {
        let name = format!("{:012}", self.sequence);
        let folder = self.at("export").join(&name);
        fs::create_dir_all(&folder).unwrap();
        put(&folder.join("state.json"), state);
        put(&folder.join("state.json.sig"), state_sig.as_bytes());
        put(&folder.join("posture.json"), posture);
        put(&folder.join("posture.json.sig"), posture_sig.as_bytes());
        self.point(&name);
    }

    pub(crate) fn point(&self, target: &str) {
        symlink(target, self.at("export/current.new")).unwrap();
        fs::rename(self.at("export/current.new"), self.at("export/current")).unwrap();
    }

    /// Signs other bytes as the newest document `name`, with any key.
    pub(crate) fn forge(&self, key: &SigningKey, name: &str, bytes: &[u8]) {
        put(&self.exported(name), bytes);
        put(&self.exported(&format!("{name}.sig")), key.sign(bytes).to_base64_line().as_bytes());
    }

    /// The folder as it lies, pinned to its key.
    pub(crate) fn verify(&self) -> Report {
        self.verify_with(|_| {})
    }

    pub(crate) fn verify_with(&self, change: impl FnOnce(&mut Options)) -> Report {
        let mut options = self.options();
        change(&mut options);
        let report = verify(&Folder::open(self.path()), &options);
        cases::keep(self.path(), &options, &report);
        report
    }

    pub(crate) fn options(&self) -> Options {
        Options::new(Anchor::Pinned(self.key.public()), time(NOW))
    }

    pub(crate) fn baseline(&self) -> Baseline {
        Baseline::from_state(&fs::read(self.exported("state.json")).unwrap()).unwrap()
    }
}

/// The answer's exit code and the code of its reason.
pub(crate) fn answer(report: &Report) -> (u8, String) {
    let json = serde_json::to_value(report).unwrap();
    let code = json["reason"]["code"].as_str().unwrap_or("none").to_owned();
    assert_eq!(report.reason.is_none(), report.exit_code() == 0);
    assert_eq!(report.reason.is_some(), report.limits.is_empty());
    if report.reason.is_some() {
        assert_ne!(code, "none", "{json}");
    }
    (report.exit_code(), code)
}

pub(crate) fn expect(report: &Report, exit: u8, code: &str) {
    assert_eq!(answer(report), (exit, code.to_owned()), "{:?}", report.reason);
}
