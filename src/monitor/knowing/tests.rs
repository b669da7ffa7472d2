use super::*;
use crate::flow::detect::{
    Limits,
    decode::View,
    known::{Sighting, new_canary},
    rule::{RuleSet, Source},
};
use posture::{Direction, Fingerprint};
use std::{fs, io::Write, os::unix::fs::PermissionsExt};

const ONE: &str = "Zk3vQ9sLp2Xw8RtY";
const TWO: &str = "pR7mTc4Wq0yXe9Kb";
const KEY: [u8; 32] = [7; 32];

struct Rig {
    dir: tempfile::TempDir,
    config: Config,
    detector: Arc<Detector>,
}

impl Rig {
    fn new(enabled: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = crate::home::tests::config(&dir.path().join("home"));
        config.hermes_home = dir.path().to_owned();
        config.known_secrets.enabled = enabled;
        fs::create_dir(&config.home).unwrap();
        Self { config, detector: Detector::new(Limits::default(), &[], None), dir }
    }

    fn open(&self) -> Knowing {
        Knowing::open(&self.config, &Home::of(&self.config), &KEY, &self.detector).unwrap()
    }

    fn env(&self) -> PathBuf {
        self.dir.path().join(".env")
    }

    fn write(&self, text: &str) {
        fs::File::create(self.env()).unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn plant(&self, value: &str, keys: &DigestKeys) -> PathBuf {
        let folder = self.config.home.join("canaries");
        let _ = fs::create_dir(&folder);
        let id = Fingerprint::from_bytes(value.as_bytes().first_chunk().unwrap());
        let path = folder.join(format!("{id}.json"));
        let planted = Planted::new(keys, value, id, clock::now());
        file::create(&path, file::PRIVATE, &planted.to_bytes()).unwrap();
        path
    }

    fn knows(&self, value: &str) -> bool {
        self.sighted(value, |sightings| !sightings.is_empty())
    }

    /// The vendors to whom a value that is known belongs.
    fn owners(&self, value: &str) -> Vec<String> {
        self.sighted(value, |sightings| sightings[0].digest.vendors().to_vec())
    }

    fn sighted<T>(&self, value: &str, tell: impl FnOnce(&[Sighting<'_>]) -> T) -> T {
        let text = format!("say {value} again");
        let view = View::plain(text.as_bytes());
        tell(&self.detector.known().values().sightings(Direction::Outbound, &view))
    }
}

/// When every file of now has come to rest.
fn later() -> Timestamp {
    clock::now().plus(chrono::Duration::seconds(10))
}

fn skips(told: &KnownValues) -> Vec<(&str, &str)> {
    told.skips.iter().map(|skip| (skip.name.as_str(), skip.why.as_str())).collect()
}

#[test]
fn the_secrets_of_the_file_are_known_and_what_is_none_is_told_by_name() {
    let rig = Rig::new(true);
    rig.write(&format!(
        "# OLD_KEY={TWO}\nMODEL=gpt\nexport DB_PASSWORD='{ONE}'\nA_TOKEN=short\nB_SECRET=\nTLS_KEY=/etc/ssl/key.pem\n\
         CACHE_URL=redis://:{TWO}@h:1/0\nBASE_URL=https://h.test/v1\nMIIEvabc+/KEY=AAAA\n"
    ));
    let told = rig.open().look(clock::now()).unwrap();
    assert_eq!((told.secrets, told.canaries, told.skipped, told.enabled), (2, 0, 3, true));
    assert_eq!(skips(&told), [("A_TOKEN", "short"), ("TLS_KEY", "path"), ("(a name not shown)", "short")]);
    assert!(rig.knows(ONE) && rig.knows(TWO) && !rig.knows("gpt"));
    let said = format!("{told:?}");
    assert!(!said.contains("short.") && !said.contains(&ONE[..4]) && !said.contains("ssl"), "{said}");
}

#[test]
fn nothing_is_read_unless_it_is_asked_for() {
    let rig = Rig::new(false);
    rig.write(&format!("DB_PASSWORD={ONE}\n"));
    assert_eq!(rig.open().look(clock::now()), Some(KnownValues::default()));
    assert!(!rig.knows(ONE) && rig.detector.known().values().is_empty());
}

#[test]
fn an_edited_file_is_taken_anew_and_one_that_rests_is_not_read_again() {
    let rig = Rig::new(true);
    rig.write(&format!("DB_PASSWORD={ONE}\n"));
    let mut knowing = rig.open();
    assert!(knowing.look(clock::now()).is_some() && rig.knows(ONE));
    assert!(knowing.look(clock::now()).is_some(), "it may change within a tick of its clock");
    assert!(knowing.look(later()).is_some(), "once more when it rests");
    assert!(knowing.look(later()).is_none());
    // Of the same length.
    rig.write(&format!("DB_PASSWORD={TWO}\n"));
    assert_eq!(knowing.look(later()).unwrap().secrets, 1);
    assert!(!rig.knows(ONE) && rig.knows(TWO));
    // Replaced, as editors do.
    let fresh = rig.dir.path().join("fresh");
    fs::File::create(&fresh).unwrap().write_all(format!("K_TOKEN={ONE}\n").as_bytes()).unwrap();
    fs::rename(fresh, rig.env()).unwrap();
    knowing.look(later()).unwrap();
    assert!(rig.knows(ONE) && !rig.knows(TWO));
    fs::remove_file(rig.env()).unwrap();
    assert_eq!(knowing.look(later()).unwrap().secrets, 0);
    assert!(!rig.knows(ONE) && knowing.look(later()).is_none());
}

#[test]
fn a_file_that_cannot_be_read_for_once_is_told_and_forgets_nothing() {
    let rig = Rig::new(true);
    rig.write(&format!("DB_PASSWORD={ONE}\n"));
    let mut knowing = rig.open();
    knowing.look(later()).unwrap();
    fs::remove_file(rig.env()).unwrap();
    fs::create_dir(rig.env()).unwrap();
    let told = knowing.look(later()).unwrap();
    assert_eq!((told.secrets, told.skipped), (1, 1));
    assert_eq!(skips(&told), [(rig.env().to_str().unwrap(), "unreadable")]);
    assert!(rig.knows(ONE));
    fs::remove_dir(rig.env()).unwrap();
    rig.write(&format!("DB_PASSWORD={TWO}\n{}", "#".repeat(1 << 20)));
    assert_eq!(knowing.look(later()).unwrap().skipped, 1, "longer than is read");
    rig.write(&format!("DB_PASSWORD={TWO}\n"));
    assert_eq!(knowing.look(later()).unwrap().skipped, 0);
    assert!(rig.knows(TWO) && !rig.knows(ONE));
}

#[test]
fn one_value_under_several_names_is_one_secret_and_there_are_so_many_at_most() {
    let rig = Rig::new(true);
    rig.write(&format!("A_KEY={ONE}\nB_KEY={ONE}\nA_KEY={TWO}\n"));
    let mut knowing = rig.open();
    assert_eq!(knowing.look(later()).unwrap().secrets, 2);
    let many: Vec<_> = (0..MAX_SECRETS + 70).map(|n| format!("K{n}_KEY=value-{n:05}-of-mine\n")).collect();
    rig.write(&many.concat());
    let told = knowing.look(later()).unwrap();
    assert_eq!((told.secrets, told.skipped, told.skips.len()), (MAX_SECRETS as u64, 70, MAX_TOLD));
    assert!(rig.knows("value-00255-of-mine") && !rig.knows("value-00256-of-mine"));
}

#[test]
fn a_variable_that_is_not_set_is_told() {
    let mut rig = Rig::new(true);
    rig.config.known_secrets.variables = vec!["NO_SUCH_VARIABLE_HERE".to_owned()];
    let told = rig.open().look(later()).unwrap();
    assert_eq!(skips(&told), [("NO_SUCH_VARIABLE_HERE", "unset")]);
    assert_eq!(survey(&rig.config), told);
}

#[test]
fn a_canary_is_known_from_when_it_is_planted_until_it_is_removed() {
    let rig = Rig::new(false);
    let (keys, others) = (DigestKeys::new(&KEY, &[1; 32]), DigestKeys::new(&[8; 32], &[1; 32]));
    let (canary, lost) = (new_canary().unwrap(), new_canary().unwrap());
    let mut knowing = rig.open();
    assert_eq!(knowing.look(later()).unwrap().canaries, 0);
    assert!(knowing.look(later()).is_none());
    let path = rig.plant(&canary, &keys);
    assert_eq!(knowing.look(later()).unwrap().canaries, 1);
    assert!(rig.knows(&canary));
    let other = rig.plant(&lost, &others);
    let broken = other.with_file_name("0123456789abcdef.json");
    file::create(&broken, file::PRIVATE, b"{}").unwrap();
    file::create(&other.with_file_name("notes.txt"), file::PRIVATE, b"mine").unwrap();
    let told = knowing.look(later()).unwrap();
    assert_eq!((told.canaries, told.skipped), (1, 2));
    let mut why: Vec<_> = skips(&told).into_iter().map(|(_, why)| why).collect();
    why.sort_unstable();
    assert_eq!(why, ["other_key", "unreadable"]);
    fs::remove_file(path).unwrap();
    assert_eq!(knowing.look(later()).unwrap().canaries, 0);
    assert!(!rig.knows(&canary));
    let mode = fs::metadata(broken).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// Rules with a vendor to which what a variable named ACME holds belongs.
fn with_acme() -> Arc<RuleSet> {
    let text = "family = \"ai_api_key\"\n[[vendor]]\nname = \"acme\"\nhosts = [\"api.acme.test\"]\nheaders = [\"x-key\"]\n\
        variables = [\"acme\"]\n[[rule]]\nid = \"acme\"\nseverity = \"high\"\nfind = \"prefix\"\nkeywords = [\"acme_\"]\n\
        regex = 'acme_[a-z0-9]{24}'\nvendors = [\"acme\"]\nexamples = [\"acme_{{lower:24}}\"]\ncounter_examples = [\"acme_\"]\n";
    Arc::new(RuleSet::embedded().with_local(&[Source { name: "mine.toml", text }]).unwrap())
}

#[test]
fn a_reload_takes_everything_anew_by_the_rules_in_force() {
    let mut rig = Rig::new(false);
    rig.write(&format!("ACME_PASSWORD={ONE}\n"));
    let mut knowing = rig.open();
    knowing.look(later());
    rig.config.known_secrets.enabled = true;
    let told = knowing.reloaded(&rig.config, &rig.detector, later()).unwrap();
    assert_eq!((told.enabled, told.secrets), (true, 1));
    assert_eq!(rig.owners(ONE), [""; 0], "nobody's");

    let next = rig.detector.succeeded_by(with_acme(), Limits::default(), &[]);
    assert_eq!(knowing.reloaded(&rig.config, &next, later()).unwrap().secrets, 1);
    assert_eq!(rig.owners(ONE), ["acme"]);
    rig.write(&format!("ACME_PASSWORD={TWO}\n"));
    knowing.look(later()).unwrap();
    assert_eq!(rig.owners(TWO), ["acme"], "the rules of the reload, not of the start");

    rig.config.known_secrets.enabled = false;
    let told = knowing.reloaded(&rig.config, &next, later()).unwrap();
    assert_eq!((told.enabled, told.secrets), (false, 0));
    assert!(!rig.knows(TWO) && rig.detector.known().values().is_empty());
}

#[test]
fn a_reload_forgets_nothing_of_a_file_that_cannot_be_read_for_once() {
    let rig = Rig::new(true);
    rig.write(&format!("DB_PASSWORD={ONE}\n"));
    let mut knowing = rig.open();
    knowing.look(later());
    fs::remove_file(rig.env()).unwrap();
    fs::create_dir(rig.env()).unwrap();
    let told = knowing.reloaded(&rig.config, &rig.detector, later()).unwrap();
    assert_eq!((told.secrets, told.skipped), (1, 1));
    assert!(rig.knows(ONE));
}
