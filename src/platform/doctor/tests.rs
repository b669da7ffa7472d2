use super::*;
use std::fs;

fn scalars(text: &str) -> Scalars {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    fs::File::create_new(&path).and_then(|mut f| std::io::Write::write_all(&mut f, text.as_bytes())).unwrap();
    Scalars::read(&path)
}

fn outcomes(checks: &[Check]) -> Vec<(&str, Outcome)> {
    checks.iter().map(|c| (c.check, c.outcome)).collect()
}

#[test]
fn a_hermes_as_it_comes_has_the_execute_code_gap_alone() {
    let told = gaps(&scalars("model:\n  default: x\n"));
    assert_eq!(outcomes(&told), [("execute_code", Outcome::Warning), ("mcp", Outcome::Ok), ("terminal", Outcome::Ok)]);
}

#[test]
fn gaps_that_were_mended_are_ok_and_half_mended_ones_are_not() {
    let all = "HTTPS_PROXY, HTTP_PROXY, https_proxy, http_proxy";
    let env = "{0}HTTPS_PROXY: x\n{0}HTTP_PROXY: x\n{0}https_proxy: x\n{0}http_proxy: x\n".replace("{0}", "      ");
    let text = format!("terminal:\n  env_passthrough: [{all}]\nmcp_servers:\n  a:\n    command: npx\n    env:\n{env}");
    assert!(gaps(&scalars(&text)).iter().all(|c| c.outcome == Outcome::Ok));
    let half = text.replace("http_proxy]", "x]").replace("      http_proxy: x\n", "");
    let told = gaps(&scalars(&half));
    assert_eq!(outcomes(&told)[..2], [("execute_code", Outcome::Warning), ("mcp", Outcome::Warning)]);
    assert!(told[0].found.ends_with("given http_proxy") && told[1].found.ends_with("past: a"), "{told:?}");
    let told = gaps(&scalars("terminal:\n  backend: docker\nmcp_servers:\n  web:\n    url: https://x.example\n"));
    assert_eq!(outcomes(&told)[1..], [("mcp", Outcome::Ok), ("terminal", Outcome::Warning)]);
}

#[test]
fn a_model_server_that_is_no_vendors_needs_an_entry_and_gives_away_no_credential() {
    let text = "a:\n  base_url: http://user:hunter2@LocalHost:8000/v1?key=hunter2\n\
                b:\n- base_url: https://api.openai.com/v1\n- base_url: https://mine.example\n- base_url: nonsense\n";
    let known = |host: &str| host == "api.openai.com";
    let mine = AudienceEntry { scheme: Protocol::Https, host: "mine.example".into(), port: 443, vendors: vec![] };
    let told = audiences(&scalars(text), std::slice::from_ref(&mine), &known);
    assert_eq!(outcomes(&told), [("audience", Outcome::Warning)]);
    let hint = told[0].hint.as_deref().unwrap();
    assert!(hint.contains("[[audience]]\nscheme = \"http\"\nhost = \"localhost\"\nport = 8000\n"), "{hint}");
    assert!(!format!("{told:?}").contains("hunter2"));
    let other = AudienceEntry { port: 444, ..mine };
    assert_eq!(audiences(&scalars(text), &[other], &known).len(), 2, "another port is another server");
    assert_eq!(outcomes(&audiences(&scalars(""), &[], &known)), [("audience", Outcome::Ok)]);
}

#[test]
fn node_is_told_by_its_version() {
    assert_eq!(node(None).outcome, Outcome::Ok);
    assert!(node(Some("v20.19.2\n")).found.contains("before 24"));
    assert!(node(Some("v24.0.0")).hint.unwrap().contains("NODE_USE_ENV_PROXY"));
    assert!(node(Some("what")).found.contains("before 24"), "one that does not say is not trusted");
}

#[test]
fn dotenv_lines_that_are_not_ours_are_problems_and_roots_matter_with_inspection_alone() {
    let folder = tempfile::tempdir().unwrap();
    let text = b"OPENAI_API_KEY=x\nHTTPS_PROXY=http://us\nSSL_CERT_FILE=/old\nno_proxy=*\n";
    fs::File::create_new(folder.path().join(".env")).and_then(|mut f| std::io::Write::write_all(&mut f, text)).unwrap();
    let ours = |_: &str, value: &str| value == "http://us";
    let named = |checks: &[Check]| -> Vec<bool> {
        ["HTTPS_PROXY", "SSL_CERT_FILE", "no_proxy"].map(|n| checks.iter().any(|c| c.found.contains(n))).to_vec()
    };
    assert_eq!(named(&dotenv_lines(folder.path(), false, &ours)), [false, false, true]);
    let told = dotenv_lines(folder.path(), true, &|_, _| false);
    assert_eq!(named(&told), [true, true, true]);
    assert!(told.iter().all(|c| c.outcome == Outcome::Problem));
}
