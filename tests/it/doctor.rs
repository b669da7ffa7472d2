//! `doctor`: what it says of a place, and that it says no more.

use crate::place::{Place, Said};
use serde_json::Value;
use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
};

fn checks<'r>(report: &'r Value, name: &str) -> Vec<&'r Value> {
    report["checks"].as_array().unwrap().iter().filter(|check| check["check"] == name).collect()
}

fn outcome(said: &Said, name: &str) -> String {
    let report = said.json();
    let found = checks(&report, name);
    assert!(!found.is_empty(), "no check {name}: {}", said.out);
    found[0]["outcome"].as_str().unwrap().to_owned()
}

fn hermes_file(place: &Place, name: &str, text: &str) {
    let path = place.folder.path().join("hermes").join(name);
    fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// A place whose monitor is stopped when the test ends.
struct Watched(Place);

impl Watched {
    fn new() -> Self {
        let place = Place::with_config("listen = \"127.0.0.1:0\"\n");
        let started = place.run(&["start", "--background"]);
        assert_eq!(started.code, 0, "{}", started.err);
        Self(place)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.0.command().args(["stop", "--timeout", "20s"]).output();
    }
}

#[test]
fn without_a_monitor_that_is_the_problem_and_nothing_is_made() {
    let place = Place::new();
    let said = place.run(&["doctor", "--json"]);
    assert_eq!(said.code, 1, "{}", said.err);
    let report = said.json();
    assert_eq!(report["schema_version"], "clawsec-traffic-doctor/v1");
    assert_eq!(report["outcome"], "problem");
    assert_eq!(outcome(&said, "monitor"), "problem");
    let others = report["checks"].as_array().unwrap().iter().filter(|check| check["outcome"] == "problem");
    assert_eq!(others.count(), 1, "{}", said.out);
    assert!(!place.home().exists());
    let shown = place.run(&["doctor"]);
    assert_eq!((shown.code, shown.err.as_str()), (1, ""));
    assert!(shown.out.starts_with("problem   monitor"), "{}", shown.out);
}

#[test]
fn a_monitor_tells_who_came_through_it_and_has_no_problem() {
    let place = Watched::new();
    let before = place.0.run(&["doctor", "--json"]);
    assert_eq!((before.code, outcome(&before, "traffic").as_str()), (0, "warning"), "{}", before.out);
    let env = place.0.run(&["env", "--format", "json"]).out;
    let token = fs::read_to_string(place.0.home().join("keys/proxy.token")).unwrap();
    assert!(env.contains(&token));
    let listen = place.0.run(&["status", "--json"]).json()["listen"].as_str().unwrap().to_owned();
    let origin = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = origin.local_addr().unwrap();
    let mut client = TcpStream::connect(listen).unwrap();
    let credential = data_encoding::BASE64.encode(format!("guardian:{token}").as_bytes());
    write!(
        client,
        "GET http://{to}/ HTTP/1.1\r\nHost: {to}\r\nProxy-Authorization: Basic {credential}\r\n\
         User-Agent: python-httpx/0.28 hunter2\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let (mut server, _) = origin.accept().unwrap();
    assert!(server.read(&mut [0; 4096]).unwrap() > 0);
    server.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").unwrap();
    client.read_to_end(&mut Vec::new()).unwrap();
    let said = place.0.run(&["doctor", "--json"]);
    assert_eq!((said.code, outcome(&said, "traffic").as_str()), (0, "ok"), "{}", said.out);
    let report = said.json();
    let found = checks(&report, "traffic")[0]["found"].as_str().unwrap();
    assert!(found.starts_with("1 requests from httpx, the first at 2"), "{found}");
    assert!(!said.out.contains("hunter2") && !said.out.contains(&token));
    for (check, expected) in [("keys", "ok"), ("permissions", "ok"), ("backup", "warning"), ("execute_code", "warning")]
    {
        assert_eq!(outcome(&said, check), expected, "{check}");
    }
}

#[test]
fn lines_that_override_the_environment_are_problems_but_for_our_own() {
    let place = Watched::new();
    let dotenv = place.0.run(&["env", "--format", "dotenv"]);
    assert_eq!(dotenv.code, 0, "{}", dotenv.err);
    hermes_file(&place.0, ".env", &dotenv.out);
    let said = place.0.run(&["doctor", "--json"]);
    assert_eq!(outcome(&said, "dotenv"), "ok", "{}\n{}", said.out, dotenv.out.len());
    hermes_file(&place.0, ".env", "KEY=1\nHTTPS_PROXY=http://user:hunter2@old:3128\n");
    let said = place.0.run(&["doctor", "--json"]);
    assert_eq!((said.code, outcome(&said, "dotenv").as_str()), (1, "problem"));
    assert!(said.out.contains("line 2 sets HTTPS_PROXY") && !said.out.contains("hunter2"), "{}", said.out);
}

#[test]
fn a_key_others_can_read_a_folder_others_can_write_and_a_server_without_an_entry_are_told() {
    let place = Watched::new();
    hermes_file(&place.0, "config.yaml", "model:\n  base_url: http://127.0.0.1:8000/v1\n");
    let key = place.0.home().join("keys/proxy.token");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(place.0.home(), fs::Permissions::from_mode(0o770)).unwrap();
    let said = place.0.run(&["doctor", "--json"]);
    assert_eq!(said.code, 1);
    for (check, expected) in [("keys", "problem"), ("permissions", "problem"), ("audience", "warning")] {
        assert_eq!(outcome(&said, check), expected, "{}", said.out);
    }
    let report = said.json();
    let entry = checks(&report, "audience")[0]["hint"].as_str().unwrap().to_owned();
    fs::set_permissions(place.0.home(), fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    // What it prints is what the configuration takes.
    let (_, entry) = entry.split_once('\n').unwrap();
    let config = fs::OpenOptions::new().append(true).open(place.0.home().join("config.toml"));
    config.unwrap().write_all(entry.as_bytes()).unwrap();
    let said = place.0.run(&["doctor", "--json"]);
    assert_eq!(outcome(&said, "audience"), "ok", "{}{}", said.out, said.err);
}
