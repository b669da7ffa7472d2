use super::*;
use crate::config::{Config, KnownSecrets, tests};

const RULE: &str = r#"family = "ai_api_key"
[[vendor]]
name = "acme"
hosts = ["api.acme.test"]
headers = ["authorization"]
[[rule]]
id = "acme"
severity = "high"
find = "prefix"
keywords = ["acme_"]
regex = "acme_[a-z0-9]{12}"
vendors = ["acme"]
examples = ["acme_{{lower:12}}"]
counter_examples = ["acme_abc"]
"#;

/// A configuration in a state folder that holds these files.
fn with(config: &str, files: &[(&str, &[u8], u32)]) -> Result<Config, String> {
    let home = tempfile::tempdir().unwrap();
    for (name, bytes, mode) in files.iter().chain(&[("config.toml", config.as_bytes(), 0o600)]) {
        tests::write(&home.path().join(name), bytes, *mode);
    }
    let loaded = tests::load_in(home.path(), &[], crate::config::FlagValues::default());
    loaded.map(|l| l.config).map_err(|e| e.to_string().replace(&home.path().display().to_string(), "HOME"))
}

#[test]
fn an_operators_rules_are_read_with_the_configuration_wherever_their_key_stands() {
    let audience = "[[audience]]\nscheme = \"http\"\nhost = \"h\"\nport = 1\nvendors = [\"acme\"]\n";
    let config = with(&format!("rules = [\"a.toml\"]\n{audience}"), &[("a.toml", RULE.as_bytes(), 0o600)]).unwrap();
    assert_eq!(config.rules().pattern_set().rules, RuleSet::embedded().pattern_set().rules + 1);
    assert_eq!(config.audience.len(), 1);
    assert!(with(audience, &[]).unwrap_err().contains("not a vendor the rules know"));
    assert_eq!(with("rules = []", &[]).unwrap().local_rules, None);
}

#[test]
fn where_a_rule_file_lies_is_not_attested_and_what_it_holds_is() {
    let one = with("rules = [\"a.toml\"]", &[("a.toml", RULE.as_bytes(), 0o600)]).unwrap();
    let other = with("rules = [\"b.toml\"]", &[("b.toml", RULE.as_bytes(), 0o600)]).unwrap();
    assert_eq!(one.security_sha256(), with("", &[]).unwrap().security_sha256());
    assert_eq!(one.rules().pattern_set(), other.rules().pattern_set());
}

#[test]
fn a_rule_file_that_cannot_be_used_is_named_and_nothing_is_configured() {
    let long = vec![b'#'; 10 << 20];
    let broken = RULE.replace("[a-z0-9]{12}", "(?:[a-z]{1000}){1000}");
    let many = format!("rules = [{}]", (0..17).map(|n| format!("\"{n}.toml\"")).collect::<Vec<_>>().join(","));
    let one = "rules = [\"a.toml\"]";
    for (config, files, said) in [
        (one, vec![], "HOME/config.toml line 1: rules: HOME/a.toml: No such file"),
        ("\nrules = 1", vec![], "HOME/config.toml line 2: rules: expected a list of files"),
        ("rules = [1]", vec![], "HOME/config.toml line 1: rules: expected a list of files"),
        ("rules = [\".\"]", vec![], "HOME/config.toml line 1: rules: HOME/.: not a regular file"),
        ("rules = [\"a\\u001bb\"]", vec![], "HOME/config.toml line 1: rules: a path holds control characters"),
        (many.as_str(), vec![], "HOME/config.toml line 1: rules: more than 16 files"),
        (one, vec![("a.toml", &b"# a\n\xff\xfe"[..], 0o600)], "rules: HOME/a.toml: line 2 is not valid UTF-8"),
        (one, vec![("a.toml", &long[..], 0o600)], "rules: HOME/a.toml: longer than 256KiB"),
        (
            one,
            vec![("a.toml", RULE.as_bytes(), 0o602)],
            "rules: HOME/a.toml is not safe to use: others can write to it",
        ),
        (
            one,
            vec![("a.toml", broken.as_bytes(), 0o600)],
            "rules: HOME/a.toml line 11, column 1: regex: Compiled regex exceeds",
        ),
        (
            one,
            vec![("a.toml", &b"family = \"ai_api_key\""[..], 0o600)],
            "rules: HOME/a.toml line 1, column 1: missing field `rule`",
        ),
        (
            "rules = [\"a.toml\", \"a.toml\"]",
            vec![("a.toml", RULE.as_bytes(), 0o600)],
            "rules: HOME/a.toml stands twice",
        ),
    ] {
        let error = with(config, &files).unwrap_err();
        assert!(error.contains(said), "{error}\n{said}");
    }
}

#[test]
fn a_known_secret_that_becomes_a_vendors_is_a_weakening_and_a_key_no_rule_knew_is_none() {
    let known = |text: &str, enabled| {
        let config = with("rules = [\"a.toml\"]", &[("a.toml", text.as_bytes(), 0o600)]).unwrap();
        let known_secrets = KnownSecrets { enabled, variables: Vec::new() };
        Config { known_secrets, ..config }
    };
    let weaker = |before: &str, after: &str, enabled| {
        let (before, after) = (known(before, enabled), known(after, enabled));
        let words = after.weaker_than(&before).into_iter();
        words.map(posture::Weakening::as_str).collect::<Vec<_>>()
    };
    let own = RULE.replace("vendors = [\"acme\"]\n", "");
    let named =
        own.replace("headers = [\"authorization\"]\n", "headers = [\"authorization\"]\nvariables = [\"acme\"]\n");
    let (_, rule) = own.split_once("[[rule]]").unwrap();
    let bare = format!("family = \"ai_api_key\"\n[[rule]]{rule}");
    let shaped = format!("{bare}[[rule]]{}", rule.replace("id = \"acme\"", "id = \"other\"\nvendors = [\"groq\"]"));
    for (before, after) in [(&bare, &named), (&own, &named), (&bare, &shaped)] {
        assert_eq!(weaker(before, after, true), ["audience"], "{after}");
        assert_eq!(weaker(before, after, false), [""; 0], "{after}");
    }
    assert_eq!(weaker(&named, &named, true), [""; 0]);
    assert_eq!(weaker(&bare, &own, true), [""; 0], "a vendor to which nothing belongs");
}
