//! A secret pasted where a name belongs: refused or taken, it is in no file of ours and in no output.

use crate::{
    place::{BIN, Place},
    scan::key,
};
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

/// The key where only lower case is allowed.
fn low() -> String {
    key().to_ascii_lowercase()
}

/// A sound rule file whose words can be replaced.
const RULES: &str = "family = \"ai_api_key\"\n[[vendor]]\nname = \"acme\"\nhosts = [\"api.acme.test\"]\nheaders = [\"x-key\"]\n\
    [[rule]]\nid = \"own\"\nseverity = \"low\"\nfind = \"prefix\"\nkeywords = [\"acme_\"]\nregex = \"acme_[a-z]{12}\"\n\
    vendors = [\"acme\"]\nexamples = [\"acme_{{lower:12}}\"]\ncounter_examples = [\"acme_\"]\n";

/// Configurations and rule files in which a key stands in the place of something else.
fn planted() -> Vec<(String, String)> {
    let listen = "listen = \"127.0.0.1:0\"\n";
    let (key, low) = (key(), low());
    let suppress = |host: &str, reason: &str| {
        format!(
            "{listen}[[suppress]]\nrule = \"ai_api_key.groq\"\nhost = \"{host}\"\nreason = \"{reason}\"\nuntil = \"2999-01-01\"\n"
        )
    };
    let audience = |host: &str, vendor: &str| {
        format!("{listen}[[audience]]\nscheme = \"http\"\nhost = \"{host}\"\nport = 1\nvendors = [\"{vendor}\"]\n")
    };
    let configs = [
        format!("{listen}{key} = 1\n"),
        format!("{listen}\"{key}\" = 1\n"),
        format!("{listen}{key}\n"),
        format!("{listen}[{key}]\na = 1\n"),
        format!("{listen}[scan]\n{key} = 1\n"),
        format!("{listen}mode = \"{key}\"\n"),
        format!("{listen}export_every = \"{key}\"\n"),
        format!("{listen}rules = [\"{key}\"]\n"),
        format!("{listen}log_dir = \"../{key}\"\n"),
        format!("{listen}ca_bundle = \"{key}\"\n"),
        format!("{listen}proxy_url = \"{key}\"\n"),
        format!("{listen}pass_through = [\"{key}/\"]\n"),
        format!("{listen}pass_through = [\"{low}.example\"]\n"),
        format!("{listen}known_secrets.variables = [\"{key}\"]\n"),
        format!("{listen}known_secrets.enabled = true\nknown_secrets.variables = [\"{key}\"]\n"),
        suppress(&low, "noted"),
        suppress("a.example", &key),
        suppress("a.example", "noted").replace("rule =", &format!("{key} =")),
        suppress("a.example", "noted").replace("ai_api_key.groq", &low),
        audience(&low, "openai"),
        audience("a.example", &low),
    ];
    let own = format!("{listen}rules = [\"mine.toml\"]\n");
    let files = [
        RULES.replace("severity", &key),
        RULES.replace("\"low\"", &format!("\"{key}\"")),
        RULES.replace("[\"acme_\"]", &format!("\"{key}\"")),
        RULES.replace("[\"acme_\"]", &format!("[\"{key}\"]")),
        RULES.replace("\"own\"", &format!("\"{key}\"")),
        RULES.replace("\"own\"", &format!("\"{low}\"")),
        RULES.replace("\"acme\"", &format!("\"{low}\"")),
        RULES.replace("name = \"acme\"", &format!("name = \"{key}\"")),
        RULES.replace("vendors = [\"acme\"]", &format!("vendors = [\"{low}\"]")),
        RULES.replace("acme_[a-z]{12}", &format!("(?&{key})")),
        RULES.replace("acme_[a-z]{12}", &format!("{key}(")),
        RULES.replace("[a-z]{12}", &format!("[a-z]{{12}}\"\nsnippet = \"{key}")),
        RULES.replace("api.acme.test", &format!("{key}/")),
        format!("{RULES}{key}"),
        format!("family = \"{key}\"\n"),
    ];
    let configs = configs.into_iter().map(|config| (config, RULES.to_owned()));
    configs.chain(files.into_iter().map(|file| (own.clone(), file))).collect()
}

/// Whether eight characters in a row of the key are there, in either case.
fn holds(text: &[u8]) -> bool {
    let (text, low) = (text.to_ascii_lowercase(), low());
    low.as_bytes().windows(8).any(|piece| text.windows(8).any(|w| w == piece))
}

fn write(path: &Path, text: &str) {
    fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// Every file below a folder, but for the two that the operator wrote.
fn ours(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        match (entry.file_type().unwrap(), entry.file_name().to_str()) {
            (kind, _) if kind.is_dir() => files.extend(ours(&entry.path())),
            (kind, name) if kind.is_file() && !matches!(name, Some("config.toml" | "mine.toml")) => {
                files.push(entry.path());
            }
            _ => {}
        }
    }
    files
}

/// A monitor in the foreground, its log in a file.
struct Foreground(Child);

impl Drop for Foreground {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_secret_in_the_place_of_a_name_is_shown_by_no_verb() {
    for (config, rules) in planted() {
        let place = Place::with_config(&config);
        place.file("mine.toml", &rules, 0o600);
        let check = place.run(&["config", "check"]);
        let verbs: &[&[&str]] = if check.code == 0 {
            &[&["config", "show"], &["config", "show", "--json"], &["patterns", "list"], &["doctor"], &["verify"]]
        } else {
            &[&["start"]]
        };
        for said in verbs.iter().map(|args| place.run(args)).chain([check]) {
            let told = said.out + &said.err;
            assert!(!holds(told.as_bytes()), "{told}\n{config}{rules}");
            assert!(said.code != 64 || told.contains("config.toml line "), "{told}");
        }
    }
}

#[test]
fn a_reload_that_is_refused_for_one_tells_the_place_and_keeps_the_secret_out_of_every_file() {
    let place = Place::with_config("listen = \"127.0.0.1:0\"\n");
    let (config, rules) = (place.home().join("config.toml"), place.home().join("mine.toml"));
    let log = fs::File::create(place.folder.path().join("log")).unwrap();
    let mut command = Command::new(BIN);
    command.env_clear().env("HOME", place.folder.path()).env("HERMES_HOME", place.folder.path().join("hermes"));
    command.env("RUST_LOG", "trace").args(["start", "--json"]).stdout(Stdio::piped()).stderr(log);
    let mut monitor = Foreground(command.spawn().unwrap());
    let mut ready = String::new();
    BufReader::new(monitor.0.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    let pid = rustix::process::Pid::from_raw(i32::try_from(monitor.0.id()).unwrap()).unwrap();
    let (mut refused, mut before) = (0, serde_json::Value::Null);
    for (text, file) in planted() {
        write(&rules, &file);
        write(&config, &text);
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
        let deadline = std::time::Instant::now() + crate::GIVE_UP;
        let told = loop {
            let told = place.run(&["status", "--json"]).json()["reload"].clone();
            if told["at"].is_string() && told["at"] != before {
                break told;
            }
            assert!(std::time::Instant::now() < deadline, "the reload was not told of");
            std::thread::sleep(std::time::Duration::from_millis(10));
        };
        before = told["at"].clone();
        if let Some(why) = told["error"].as_str() {
            refused += 1;
            assert!(why.contains("config.toml line "), "{why}");
        }
        for args in [&["status"][..], &["status", "--json"]] {
            let said = place.run(args);
            assert!(!holds(said.out.as_bytes()) && !holds(said.err.as_bytes()), "{}{}", said.out, said.err);
        }
    }
    assert!(refused > 25, "{refused} were refused");
    write(&config, "listen = \"127.0.0.1:0\"\n");
    assert_eq!(place.run(&["stop"]).code, 0);
    let files = ours(place.folder.path());
    assert!(
        files.iter().any(|file| file.ends_with("findings.jsonl")) && files.iter().any(|file| file.ends_with("log"))
    );
    for file in files {
        assert!(!holds(&fs::read(&file).unwrap()), "{}", file.display());
    }
}
