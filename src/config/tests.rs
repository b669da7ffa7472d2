use super::{file::Raw, folder::within, *};
use proptest::prelude::*;
use std::{ffi::OsString, os::unix::fs::OpenOptionsExt, path::Path};

/// A temporary state folder with this `config.toml`, loaded with these variables and flags.
fn load_with(file: Option<&str>, env: &[(&str, &str)], flags: FlagValues) -> Result<Loaded, String> {
    let home = tempfile::tempdir().unwrap();
    if let Some(text) = file {
        write(&home.path().join("config.toml"), text, 0o600);
    }
    load_in(home.path(), env, flags).map_err(|e| e.to_string().replace(&home.path().display().to_string(), "HOME"))
}

pub(super) fn load_in(home: &Path, env: &[(&str, &str)], flags: FlagValues) -> Result<Loaded, ConfigError> {
    let read = |name: &str| match name {
        ENV_HOME => Some(home.into()),
        "HOME" => Some("/nonexistent".into()),
        _ => env.iter().find(|(n, _)| *n == name).map(|(_, v)| OsString::from(v)),
    };
    Config::load(&Sources { env: &read, flags })
}

pub(super) fn write(path: &Path, text: impl AsRef<[u8]>, mode: u32) {
    use std::{io::Write, os::unix::fs::PermissionsExt};
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path).unwrap();
    file.write_all(text.as_ref()).unwrap();
    // Whatever the umask takes away.
    file.set_permissions(std::fs::Permissions::from_mode(mode)).unwrap();
}

pub(super) fn file(text: &str) -> Result<Config, String> {
    load_with(Some(text), &[], FlagValues::default()).map(|l| l.config)
}

fn env(name: &str, value: &str) -> Result<Config, String> {
    load_with(None, &[(name, value)], FlagValues::default()).map(|l| l.config)
}

#[test]
fn nothing_said_is_every_default() {
    let loaded = load_with(None, &[], FlagValues::default()).unwrap();
    let Config { home, hermes_home, .. } = loaded.config.clone();
    assert_eq!(loaded.config, Config::defaults(home, hermes_home));
    assert!(loaded.origin.is_empty());
}

#[test]
fn later_sources_win_and_say_so() {
    let text = "listen = \"127.0.0.1:1\"\nexport_every = \"2m\"\n[scan]\nmax_scan_bytes = \"1MiB\"\n";
    let flags = FlagValues { listen: Some("127.0.0.1:2".into()), ..FlagValues::default() };
    let loaded = load_with(Some(text), &[("HERMES_TRAFFIC_GUARDIAN_MAX_SCAN_BYTES", "131072")], flags).unwrap();
    assert_eq!(loaded.config.listen.port(), 2);
    assert_eq!(loaded.config.scan.max_scan_bytes, 131_072);
    assert_eq!(loaded.config.export_every, Duration::from_secs(120));
    assert_eq!(loaded.origin_of("listen"), &Origin::Flag("--listen"));
    assert_eq!(loaded.origin_of("scan.max_scan_bytes"), &Origin::Environment("HERMES_TRAFFIC_GUARDIAN_MAX_SCAN_BYTES"));
    assert!(matches!(loaded.origin_of("export_every"), Origin::File { line: 2, .. }));
    assert_eq!(loaded.origin_of("max_connections"), &Origin::Default);
}

#[test]
fn a_bad_file_is_refused_with_key_and_line() {
    for (text, complaint) in [
        ("\n\nlisten = 8790\n", "HOME/config.toml line 3: listen: expected text"),
        ("listen = \"localhost\"", "HOME/config.toml line 1: listen: expected an address and a port"),
        ("listen = \"0.0.0.0:8790\"", "HOME/config.toml line 1: listen: other hosts can reach this address"),
        ("allow_remote = true", "HOME/config.toml line 1, column 1: unknown key"),
        ("[scan]\nmax_scan_byte = 1", "HOME/config.toml line 2, column 1: unknown key"),
        ("max_scan_bytes = 1", "HOME/config.toml line 1, column 1: unknown key"),
        ("[scan]\nmax_scan_bytes = \"1KiB\"", "line 2: scan.max_scan_bytes: expected a size from 64KiB to 64MiB"),
        ("[scan]\nmax_scan_bytes = -1", "line 2: scan.max_scan_bytes: expected a size"),
        ("max_connections = 0", "line 1: max_connections: expected a number from 1 to 1048576"),
        ("max_connections = \"1KiB\"", "line 1: max_connections: expected a number"),
        ("[scan]\nmax_depth = 17", "line 2: scan.max_depth: expected a number from 1 to 16"),
        (
            "[scan]\nmax_scan_bytes = \"9MiB\"\nmax_decoded_bytes = \"1MiB\"",
            "line 3: scan.max_decoded_bytes: must not be below",
        ),
        ("export_every = 60", "line 1: export_every: expected a time"),
        ("export_every = \"1500ms\"", "line 1: export_every: expected a time"),
        ("export_every = \"2h\"", "line 1: export_every: expected a time"),
        ("mode = \"block\"", "line 1: mode: `block` does not exist"),
        ("redact_snippets = false", "line 1: redact_snippets: `false` does not exist"),
        ("inspect_https = 1", "line 1: inspect_https: expected true or false"),
        ("[ca]\nmode = \"off\"", "line 2: ca.mode: expected ephemeral, generated or operator"),
        ("[ca]\nmode = \"operator\"", "line 2: ca.mode: `operator` needs ca.cert"),
        ("[ca]\nkey = \"/k.pem\"", "line 2: ca.key: is used with ca.mode"),
        ("pass_through = \"example.com\"", "line 1: pass_through: expected a list"),
        ("pass_through = [\"*.example.com\"]", "line 1: pass_through: expected a list"),
        ("pass_through = [\"example.com:443\"]", "line 1: pass_through: expected a list"),
        (
            "[known_secrets]\nvariables = [\"A_KEY\"]",
            "line 2: known_secrets.variables: is used with known_secrets.enabled",
        ),
        ("[known_secrets]\nenabled = true\nvariables = \"A\"", "line 3: known_secrets.variables: expected a list"),
        ("[known_secrets]\nenabled = true\nvariables = [\"A=b\"]", "line 3: known_secrets.variables: expected a list"),
        ("[known_secrets]\nvalues = [\"a\"]", "line 2, column 1: unknown key"),
        ("proxy_url = \"http://u:p@127.0.0.1:8790\"", "line 1: proxy_url: is this proxy itself"),
        ("proxy_url = \"http://localhost:8790\"", "line 1: proxy_url: is this proxy itself"),
        ("ca_bundle = 1", "line 1: ca_bundle: expected text"),
        ("log_dir = \"../logs\"", "line 1: log_dir: must lie within"),
        ("log_dir = \"/var/log\"", "line 1: log_dir: must lie within"),
        ("attestation_output = \".\"", "line 1: attestation_output: must be a folder of its own"),
        ("log_dir = \"a\\u001bb\"", "line 1: log_dir: holds control characters"),
        ("attestation_output = \"a\\nb\"", "line 1: attestation_output: holds control characters"),
        ("[keys]\ndir = \"/a\\u0000\"", "line 2: keys.dir: holds control characters"),
        ("mode = {}", "line 1: mode: expected"),
        ("\n[listen]\n", "line 2: listen: expected text"),
        ("[audience]", "line 1: audience: expected tables"),
        ("[block]", "line 1, column 2: unknown key"),
        ("[scan.more]", "line 1, column 7: unknown key"),
        ("a = 1\na = 2", "HOME/config.toml line 2, column 1: duplicate key"),
        ("\"scan.max_depth\" = 2\n[scan]\nmax_depth = 5", "line 3: scan.max_depth: stands at line 1 too"),
        ("mode", "HOME/config.toml line 1, column "),
        ("pass_through = [\"[[::1\"]", "line 1: pass_through: expected a list"),
        ("pass_through = [\"[::1\"]", "line 1: pass_through: expected a list"),
        ("pass_through = [\"[127.0.0.1]\"]", "line 1: pass_through: expected a list"),
        ("[retention]\nmax_age_days = 0", "line 2: retention.max_age_days: expected"),
        ("[retention]\nmax_age_days = 3651", "line 2: retention.max_age_days: expected"),
        ("[retention]\nsegment_bytes = \"63KiB\"", "line 2: retention.segment_bytes: expected a size from 64KiB"),
        (
            "[retention]\nmax_bytes = \"4MiB\"\nsegment_bytes = \"1025KiB\"",
            "line 3: retention.segment_bytes: must not be above a quarter",
        ),
        ("[retention]\nsegment_bytes = \"17MiB\"", "line 2: retention.segment_bytes: must not be above a quarter"),
        (
            "[retention]\nmax_bytes = \"1024MiB\"\nsegment_bytes = \"255KiB\"",
            "line 3: retention.segment_bytes: must not be below",
        ),
        ("[retention]\nmax_bytes = \"4KiB\"", "line 2: retention.max_bytes: expected a size from 1MiB"),
        ("[[audience]]\nscheme=\"http\"\nhost=\"h\"\nport=1", "line 1: audience: lacks `vendors`"),
        ("audience = 1", "line 1: audience: expected tables"),
        (
            "[[audience]]\nscheme=\"http\"\nhost=\"*.h\"\nport=1\nvendors=[\"openai\"]",
            "audience: line 3: host: expected one",
        ),
        (
            "[[audience]]\nscheme=\"ftp\"\nhost=\"h\"\nport=1\nvendors=[\"openai\"]",
            "audience: line 2: scheme: expected http",
        ),
        ("[[audience]]\nscheme=\"http\"\nhost=\"h\"\nport=0\nvendors=[\"openai\"]", "audience: line 4: port: expected"),
        (
            "[[audience]]\nscheme=\"http\"\nhost=\"h\"\nport=1\nvendors=[]",
            "audience: line 5: vendors: expected at least one",
        ),
        (
            "[[audience]]\nscheme=\"http\"\nhost=\"h\"\nport=1\nvendors=[\"NoSuch\"]",
            "audience: line 5: vendors: not a vendor",
        ),
        (
            "[[audience]]\nscheme=\"http\"\nhost=\"h\"\nport=1\nvendors=[\"openai\"]\npath=\"/\"",
            "audience: line 6: takes scheme",
        ),
    ] {
        let error = file(text).expect_err(text);
        assert!(error.contains(complaint), "{text}\n  said {error}\n  not  {complaint}");
    }
}

/// What looks at all that is before each of its keys is at it for half an hour.
#[test]
fn as_many_keys_as_a_file_may_have_are_read() {
    let lines = |line: &str, n: usize| (0..n).map(|i| line.replace('#', &i.to_string())).collect::<String>();
    let inline = (0..80_000).map(|i| format!("k{i} = 1")).collect::<Vec<_>>().join(", ");
    let home = tempfile::tempdir().unwrap();
    for text in [
        lines("a# = 1\n", 80_000),
        lines("[t#]\n", 80_000),
        lines("[[suppress]]\n", 70_000),
        format!("a = {{{inline}}}"),
        format!("[{}]\n{}", "x".repeat(200_000), lines("a# = 1\n", 60_000)),
    ] {
        let path = home.path().join("config.toml");
        let _ = std::fs::remove_file(&path);
        write(&path, &text, 0o600);
        let defaults = Config::defaults(home.path().to_owned(), PathBuf::new());
        assert_eq!(places_in(home.path()).unwrap(), [defaults.log_dir, defaults.export_dir], "{text:.20}");
    }
}

#[test]
fn no_setting_has_a_key_of_which_only_the_beginning_is_read() {
    assert!(SETTINGS.iter().all(|setting| setting.key.len() <= super::file::MAX_KEY));
}

#[test]
fn a_key_of_the_command_line_is_told_by_its_flag() {
    let home = tempfile::tempdir().unwrap();
    write(&home.path().join("config.toml"), "allow_remote = true", 0o600);
    let hint = load_in(home.path(), &[], FlagValues::default()).unwrap_err().hint();
    assert_eq!(hint.as_deref(), Some("`allow_remote` is said on the command line alone: --allow-remote"));
}

#[test]
fn a_table_whose_every_line_is_a_comment_says_nothing() {
    assert_eq!(file("[scan]\n# max_depth = 3\n[timeouts]\n").unwrap().scan, Limits::default());
}

#[test]
fn what_is_secret_stands_apart_from_what_others_are_shown() {
    let keys = |dir: &str| format!("keys.dir = \"{dir}\"\n");
    let export = |dir: &str| format!("attestation_output = \"{dir}\"\n");
    let log = |dir: &str| format!("log_dir = \"{dir}\"\n");
    for (text, said) in [
        (keys("export"), "line 1: keys.dir: the private keys and the exports must lie apart"),
        (keys("./export/keys"), "line 1: keys.dir: the private keys and the exports must lie apart"),
        (keys("/"), "line 1: keys.dir: the private keys and the exports must lie apart"),
        (keys("."), "line 1: keys.dir: must be a folder of its own"),
        (export("keys"), "line 1: attestation_output: the private keys and the exports must lie apart"),
        (export("keys/out"), "line 1: attestation_output: the private keys and the exports must lie apart"),
        (keys("k") + &export("k/e"), "line 1: keys.dir: the private keys and the exports must lie apart"),
        (export("ca"), "line 1: attestation_output: is a folder of secrets"),
        (export("run/export"), "line 1: attestation_output: is a folder of secrets"),
        (log("keys"), "line 1: log_dir: is a folder of secrets"),
        (log("canaries"), "line 1: log_dir: is a folder of secrets"),
        (log("export"), "line 1: log_dir: must lie apart from the exports"),
        (log("export/000000000001"), "line 1: log_dir: must lie apart from the exports"),
    ] {
        let error = file(&text).unwrap_err();
        assert!(error.contains(said), "{text}{error}");
    }
    for text in
        [keys("/elsewhere"), keys("logs/keys") + &log("logs"), log("logs") + &export("logs/export"), export("keys2")]
    {
        assert!(file(&text).is_ok(), "{text}");
    }
    let lent = |dir: &str| load_with(None, &[("CREDENTIALS_DIRECTORY", dir)], FlagValues::default());
    assert!(lent("export").unwrap_err().contains("CREDENTIALS_DIRECTORY: keys.dir: the private keys"));
    // A reader of such a folder reads it all the same.
    let home = tempfile::tempdir().unwrap();
    write(&home.path().join("config.toml"), export("keys"), 0o600);
    assert!(places_in(home.path()).is_ok());
}

#[test]
fn a_home_that_would_be_more_than_a_path_is_refused() {
    for path in ["/tmp/a\nExecStart=/bin/true", "/tmp/\u{1b}]0;x", "/tmp/a\u{9b}b"] {
        let flags = FlagValues { home: Some(path.into()), ..FlagValues::default() };
        let error = load_with(None, &[], flags).unwrap_err();
        assert!(error.contains("--home is not a usable path") && !error.contains(char::is_control), "{error:?}");
    }
}

#[test]
fn a_bad_variable_is_refused_by_its_name() {
    for (name, value, complaint) in [
        ("HERMES_TRAFFIC_GUARDIAN_MODE", "block", "HERMES_TRAFFIC_GUARDIAN_MODE: mode: `block` does not exist"),
        ("HERMES_TRAFFIC_GUARDIAN_MODE", "", "HERMES_TRAFFIC_GUARDIAN_MODE is set and empty"),
        (
            "HERMES_TRAFFIC_GUARDIAN_REDACT_SNIPPETS",
            "false",
            "HERMES_TRAFFIC_GUARDIAN_REDACT_SNIPPETS: redact_snippets",
        ),
        ("HERMES_TRAFFIC_GUARDIAN_REDACT_SNIPPETS", "no", "expected true or false"),
        (
            "HERMES_TRAFFIC_GUARDIAN_MAX_SCAN_BYTES",
            "lots",
            "HERMES_TRAFFIC_GUARDIAN_MAX_SCAN_BYTES: scan.max_scan_bytes",
        ),
        ("HERMES_TRAFFIC_GUARDIAN_PROXY_URL", "https://proxy:1", "HERMES_TRAFFIC_GUARDIAN_PROXY_URL: proxy_url"),
        ("HERMES_TRAFFIC_GUARDIAN_LOG_DIR", "logs", "its config.toml alone"),
        ("HERMES_TRAFFIC_GUARDIAN_ATTESTATION_OUTPUT", "out", "its config.toml alone"),
        (
            "HERMES_TRAFFIC_GUARDIAN_CONFIG",
            "/nonexistent/c.toml",
            "could not read the configuration /nonexistent/c.toml",
        ),
    ] {
        let error = env(name, value).expect_err(name);
        assert!(error.contains(complaint), "{name}={value}: {error}");
    }
}

#[test]
fn a_suppression_that_covers_too_much_or_says_too_little_is_refused() {
    const GOOD: &str = "[[suppress]]\nfingerprint = \"0123456789abcdef\"\nreason = \"known\"\nuntil = 2027-01-31\n";
    let text = GOOD.replace("2027-01-31", "\"2027-01-31\"");
    assert_eq!(file(GOOD).unwrap().suppress, file(&text).unwrap().suppress);
    let at = |rule: &str, host: &str| format!("rule = \"{rule}\"\nhost = \"{host}\"");
    let one_of = |with: &str| GOOD.replace("fingerprint = \"0123456789abcdef\"", with);
    for good in [("ai_api_key.groq", "Example.com."), ("known_secret.env_file", "::1"), ("ai_api_key.groq", "[::1]")] {
        let good = at(good.0, good.1);
        assert_eq!(file(&one_of(&good)).unwrap().suppress.len(), 1, "{good}");
    }
    for (bad, said) in [
        (at("ai_api_key.*", "h"), "line 2: rule: expected a rule's identifier"),
        (at("ai_api_key", "h"), "line 2: rule: no rule is called so"),
        (at("ai_api_key.none", "h"), "line 2: rule: no rule is called so"),
        (at("canary.planted", "h"), "line 2: rule: a canary is never suppressed"),
        (at("ai_api_key.groq", "*.example.com"), "line 3: host: expected one host"),
        (at("ai_api_key.groq", "example.com:443"), "line 3: host: expected one host"),
        ("rule = \"ai_api_key.groq\"".to_owned(), "takes either `fingerprint`, or `rule` and `host`"),
        ("host = \"h\"".to_owned(), "takes either"),
        ("fingerprint = \"0123456789abcdef\"\nhost = \"h\"".to_owned(), "takes either"),
        ("fingerprint = \"0123\"".to_owned(), "line 2: fingerprint: expected 16 digits"),
        ("family = \"ai_api_key\"".to_owned(), "line 2: takes fingerprint"),
    ] {
        let error = file(&one_of(&bad)).unwrap_err();
        assert!(error.contains(&format!("config.toml line 1: suppress: {said}")), "{error}");
    }
    for (from, to, said) in [
        ("\"known\"", "\" \"", "line 3: reason: expected why"),
        ("\"known\"", "\"a\\nb\"", "line 3: reason: expected why"),
        ("2027-01-31", "\"2027-1-31\"", "line 4: until: expected the last day"),
        ("2027-01-31", "\"never\"", "line 4: until: expected the last day"),
        ("2027-01-31", "\"+12027-01-01\"", "line 4: until: expected the last day"),
        ("2027-01-31", "2027-01-31T00:00:00Z", "line 4: until: expected the last day"),
        ("until = 2027-01-31", "", "lacks `until`"),
        ("reason = \"known\"", "", "lacks `reason`"),
    ] {
        let error = file(&GOOD.replace(from, to)).unwrap_err();
        assert!(error.contains(said), "{error}");
    }
    assert!(file(&GOOD.repeat(2)).unwrap_err().contains("covers what another one does"));
    // As written: the day stands in the hash, and what it means today does not.
    let hash = |text: &str| file(text).unwrap().security_sha256();
    assert_ne!(hash(GOOD), hash(""));
    assert_ne!(hash(GOOD), hash(&GOOD.replace("2027", "2028")));
    assert_ne!(hash(GOOD), hash(&GOOD.replace("known", "other")));
}

#[test]
fn no_error_repeats_a_credential() {
    for text in ["proxy_url = \"http://user:hunter22@p\"", "proxy_url = \"hunter22\"", "\"hunter22 \" = 1"] {
        assert!(!file(text).unwrap_err().contains("hunter22"), "{text}");
    }
}

#[test]
fn a_moved_log_holds_only_where_a_reader_of_the_folder_looks() {
    let dir =
        |text: &str| load_with(Some(text), &[("HERMES_TRAFFIC_GUARDIAN_LOG_DIR", "./logs")], FlagValues::default());
    assert!(dir("log_dir = \"logs\"").is_ok());
    assert!(dir("log_dir = \"other\"").unwrap_err().contains("HERMES_TRAFFIC_GUARDIAN_LOG_DIR: log_dir"));

    let elsewhere = tempfile::tempdir().unwrap();
    let named = elsewhere.path().join("guardian.toml");
    write(&named, "log_dir = \"logs\"", 0o600);
    let home = tempfile::tempdir().unwrap();
    let flags = FlagValues { config: Some(named), ..FlagValues::default() };
    assert!(load_in(home.path(), &[], flags.clone()).unwrap_err().to_string().contains("log_dir"));
    write(&home.path().join("config.toml"), "log_dir = \"logs/\"", 0o600);
    assert!(load_in(home.path(), &[], flags).unwrap().config.log_dir.ends_with("logs"));
}

#[test]
fn a_file_others_may_write_is_refused() {
    use std::os::unix::fs::chown;
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("config.toml");
    let said =
        || load_in(home.path(), &[], FlagValues::default()).map(drop).map_err(|e| (e.to_string(), e.hint().unwrap()));
    write(&path, "", 0o602);
    let (error, hint) = said().unwrap_err();
    assert!(error.ends_with("config.toml is not safe to use: others can write to it (mode 0602)"), "{error}");
    assert!(hint.starts_with("chmod go-w /"), "{hint}");
    std::fs::remove_file(&path).unwrap();
    write(&path, "", 0o664);
    assert_eq!(said(), Ok(()), "a group of our own");
    if chown(&path, None, Some(12345)).is_err() {
        return;
    }
    assert!(said().unwrap_err().0.ends_with("others can write to it (mode 0664)"));
    chown(&path, Some(12345), None).unwrap();
    let (error, hint) = said().unwrap_err();
    assert!(error.ends_with("config.toml is not safe to use: it belongs to user 12345"), "{error}");
    assert!(hint.contains("chown it"), "{hint}");
    assert!(places_in(home.path()).is_ok(), "a reader's copy may be anyone's");
    chown(home.path(), Some(12345), None).unwrap();
    assert_eq!(said(), Ok(()), "another's folder, which no monitor of ours runs on");
}

#[test]
fn a_link_to_a_file_is_followed_and_one_to_nothing_is_refused() {
    use std::os::unix::fs::symlink;
    let home = tempfile::tempdir().unwrap();
    let other = home.path().join("kept.toml");
    symlink(&other, home.path().join("config.toml")).unwrap();
    let error = load_in(home.path(), &[], FlagValues::default()).unwrap_err().to_string();
    assert!(error.contains("config.toml"), "{error}");
    assert!(places_in(home.path()).is_err(), "a reader does not take the folders for the default ones");
    write(&other, "max_connections = 7\n", 0o600);
    assert_eq!(load_in(home.path(), &[], FlagValues::default()).unwrap().config.max_connections, 7);
}

#[test]
fn an_audience_is_normalised() {
    let config =
        file("[[audience]]\nscheme = \"http\"\nhost = \"LLM.Local.\"\nport = 8_000\nvendors = [\"openai\"]\n").unwrap();
    let [entry] = &config.audience[..] else { panic!("one entry") };
    assert_eq!((entry.host.as_str(), entry.port), ("llm.local", 8000));
}

#[test]
fn a_second_audience_for_a_server_is_refused_with_both_places() {
    let entry = |scheme: &str, host: &str, port: u16, vendor: &str| {
        format!("[[audience]]\nscheme = \"{scheme}\"\nhost = \"{host}\"\nport = {port}\nvendors = [\"{vendor}\"]\n")
    };
    let one = entry("http", "localhost", 18080, "openai");
    for same in [entry("http", "localhost", 18080, "groq"), entry("http", "LOCALHOST.", 18080, "openai")] {
        let error = file(&format!("{one}{same}")).unwrap_err();
        assert!(
            error.contains("config.toml line 6: audience: names the server that the one at line 1 does"),
            "{error}"
        );
    }
    let others =
        ["https", "http", "http"].into_iter().zip(["localhost", "127.0.0.1", "localhost"]).zip([18080, 18080, 1]);
    let others: String = others.map(|((scheme, host), port)| entry(scheme, host, port, "groq")).collect();
    assert_eq!(file(&format!("{one}{others}")).unwrap().audience.len(), 4);
}

#[test]
fn an_unknown_variable_of_ours_is_refused() {
    let names = |name: &str| check_environment([OsString::from("PATH"), OsString::from(name)]);
    assert!(names("HERMES_TRAFFIC_GUARDIAN_MAX_SCAN").unwrap_err().to_string().contains("MAX_SCAN"));
    assert!(names("HERMES_TRAFFIC_GUARDIAN_MAX_SCAN_BYTES").is_ok());
    assert!(names("HERMES_HOME").is_ok());
}

#[test]
fn the_attested_hash_moves_with_security_alone() {
    let hash = |text: &str| file(text).unwrap().security_sha256();
    let plain = hash("");
    for same in
        ["listen = \"127.0.0.1:1\"", "[timeouts]\ndial = \"3s\"", "export_every = \"1m\"", "[scan]\nmax_depth = 5"]
    {
        assert_eq!(hash(same), plain, "{same}");
    }
    for other in
        ["export_every = \"61s\"", "[scan]\nmax_depth = 4", "log_dir = \"logs\"", "[retention]\nmax_bytes = \"1MiB\""]
    {
        assert_ne!(hash(other), plain, "{other}");
    }
    let known = |more: &str| hash(&format!("[known_secrets]\nenabled = true\n{more}"));
    assert_ne!(known(""), plain);
    assert_eq!(known("variables = [\"GITHUB_TOKEN\"]"), known(""), "whose values is nobody's business");
    // SHA-256 of `{}`: nothing differs from its default, wherever the home lies.
    assert_eq!(plain.as_str(), "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
}

#[test]
fn a_segment_nobody_chose_fits_the_log_somebody_did() {
    let retention = |text: &str| file(&format!("[retention]\n{text}")).unwrap().retention;
    for (max, segment) in [("1MiB", 256 << 10), ("16MiB", 4 << 20), ("16384MiB", 4 << 20), ("1048576MiB", 256 << 20)] {
        assert_eq!(retention(&format!("max_bytes = \"{max}\"")).segment_bytes, segment, "{max}");
    }
    let chosen = retention("max_bytes = \"1MiB\"\nsegment_bytes = \"64KiB\"\nmax_age_days = 3");
    assert_eq!(chosen, posture::Retention { max_age_days: 3, max_bytes: 1 << 20, segment_bytes: 64 << 10 });
}

#[test]
fn every_default_is_a_value_its_key_takes() {
    for setting in SETTINGS.iter().filter(|s| s.in_file) {
        let defaults = Config::defaults("/h".into(), "/u".into());
        let (shown, mut config) = (setting.shown(&defaults).to_string(), defaults.clone());
        if shown == "-" {
            continue;
        }
        if setting.key == "attestation_output" || setting.key.ends_with("dir") {
            assert!(!shown.starts_with('/'), "{}: {shown}", setting.key);
        }
        assert!((setting.set)(&mut config, &Raw::Text(shown.clone())).is_ok(), "{} = {shown}", setting.key);
        assert_eq!(config, defaults, "{}", setting.key);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,80}") {
        let _ = file(&text);
    }

    #[test]
    fn a_folder_never_leaves_the_home(text in "[a./~]{1,12}") {
        if let Ok(path) = within(Path::new("/h"), &text) {
            let up = path.components().any(|c| c == std::path::Component::ParentDir);
            prop_assert!(path.starts_with("/h") && !up);
        }
    }
}
