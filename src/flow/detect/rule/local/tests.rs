use super::*;
use crate::flow::detect::rule::expand;

const RULE: &str = r#"family = "ai_api_key"
[parts]
tail = "[a-z0-9]{12}"

[[vendor]]
name = "acme"
hosts = ["api.acme.test"]
headers = ["authorization"]

[[rule]]
id = "acme"
severity = "critical"
find = "prefix"
keywords = ["acme_"]
regex = "acme_(?&tail)"
vendors = ["acme"]
examples = ["acme_{{lower:12}}"]
counter_examples = ["acme_abc"]
"#;

fn with(text: &str) -> Result<RuleSet, RuleError> {
    RuleSet::embedded().with_local(&[Source { name: "mine.toml", text }])
}

fn refused(text: &str) -> String {
    with(text).err().map_or_else(String::new, |e| e.to_string())
}

#[test]
fn an_operators_rule_stands_beside_every_embedded_one_under_a_name_of_its_own() {
    let (base, set) = (RuleSet::embedded(), with(RULE).unwrap());
    let ids = |set: &RuleSet| set.rules().iter().map(|r| r.id().to_string()).collect::<Vec<_>>();
    assert_eq!(ids(&set)[..base.rules().len()], ids(&base)[..]);
    let [own] = &set.rules()[base.rules().len()..] else { panic!("one more") };
    assert_eq!((own.id().as_str(), own.file()), ("ai_api_key.local.acme", Some("mine.toml")));
    assert!(base.rules().iter().all(|r| r.file().is_none()));
    assert_eq!(set.vendors().last().unwrap().name, "acme");
    assert!(selftest::run(&Matcher::new(Arc::new(set))).passed());
}

#[test]
fn no_embedded_rule_is_called_as_an_operators_may_be() {
    assert!(RuleSet::embedded().rules().iter().all(|r| !r.id().as_str().contains(".local.")));
}

#[test]
fn the_attested_hash_and_version_say_that_there_are_more_rules() {
    let (base, set) = (RuleSet::embedded().pattern_set(), with(RULE).unwrap().pattern_set());
    assert_eq!(set.version, format!("{}+local", base.version));
    assert_eq!(set.rules, base.rules + 1);
    let sha = |text: &str| with(text).unwrap().pattern_set().sha256;
    assert_ne!(set.sha256, base.sha256);
    assert_eq!(set.sha256, sha(&format!("# a comment\n{RULE}")));
    for (from, to) in [("\"critical\"", "\"low\""), ("{12}", "{11}"), ("api.acme.test", "api.acme.example")] {
        assert_ne!(set.sha256, sha(&RULE.replace(from, to)), "{to}");
    }
}

#[test]
fn what_an_embedded_rule_finds_it_finds_beside_an_operators_that_covers_everything() {
    let broad = RULE
        .replace("[a-z0-9]{12}", "[A-Za-z0-9-]*")
        .replace("\"acme_\"", "\"sk-\"")
        .replace("acme_(?&tail)", "sk-(?&tail)")
        .replace("acme_{{", "sk-{{")
        .replace("acme_abc", "acme_none")
        .replace("\"critical\"", "\"info\"");
    let matcher = Matcher::new(Arc::new(with(&broad).unwrap()));
    assert!(selftest::run(&matcher).passed());
}

#[test]
fn a_file_that_cannot_be_used_is_refused_with_its_rule_and_field() {
    let many = |n: usize| format!("[{}]", vec!["\"acme_\""; n].join(","));
    let many_rules: String = (0..129)
        .map(|n| RULE[RULE.find("[[rule]]").unwrap()..].replace("\"acme\"\nsev", &format!("\"a{n}\"\nsev")))
        .collect();
    for (from, to, said) in [
        ("\"ai_api_key\"", "\"canary\"", "mine.toml line 1, column 1: family: is of values"),
        ("\"ai_api_key\"", "\"known_secret\"", "mine.toml line 1, column 1: family: is of values"),
        ("\"ai_api_key\"", "\"my_family\"", "mine.toml line 1, column 10: unknown variant, expected one of"),
        ("id = \"acme\"", "id = \"ac.me\"", "mine.toml line 11, column 1: id: "),
        ("id = \"acme\"", "id = \"\"", "mine.toml line 11, column 1: id: "),
        (
            "severity",
            "direction = \"inbound\"\nseverity",
            "mine.toml line 12, column 1: unknown field, expected one of",
        ),
        ("\"critical\"", "\"urgent\"", "mine.toml line 12, column 12: unknown variant, expected one of"),
        ("[a-z0-9]{12}", "(?:(?:[a-z]{100}){100}){100}", "mine.toml line 15, column 1: regex: "),
        ("[a-z0-9]{12}", "(", "mine.toml line 15, column 1: regex: "),
        ("[a-z0-9]{12}", &"a".repeat(4097), "mine.toml line 17, column 1: examples: number 1 is not found"),
        ("acme_(?&tail)", &"a".repeat(4097), "mine.toml line 15, column 1: regex: longer than 4096 bytes"),
        ("{{lower:12}}", "short", "mine.toml line 17, column 1: examples: number 1 is not found"),
        ("[\"acme_{{lower:12}}\"]", "[]", "mine.toml line 17, column 1: examples: none given"),
        ("examples = [\"acme_{{lower:12}}\"]\n", "", "mine.toml line 10, column 1: missing field `examples`"),
        ("[\"acme_abc\"]", "[]", "mine.toml line 18, column 1: counter_examples: none given"),
        ("acme_abc\"", "acme_abcdefghijkl\"", "mine.toml line 18, column 1: counter_examples: number 1 is found"),
        ("[\"acme_\"]", &many(65), "mine.toml line 14, column 1: keywords: more than 64"),
        (
            "[\"acme_\"]",
            &format!("[\"{}\"]", "a".repeat(65)),
            "mine.toml line 14, column 1: keywords: number 1 is longer",
        ),
        ("vendors = [\"acme\"]", "vendors = [\"other\"]", "mine.toml line 16, column 1: vendors: number 1"),
        ("name = \"acme\"", "name = \"openai\"", "mine.toml line 6, column 1: name: a vendor that there is already"),
        ("api.acme.test", "*.acme.test", "mine.toml line 7, column 1: hosts: "),
        ("api.acme.test", "API.acme.test", "mine.toml line 7, column 1: hosts: "),
        ("headers", "variables = [\"acme_openai\"]\nheaders", "mine.toml line 8, column 1: variables: a word"),
        ("headers", "variables = [\"\"]\nheaders", "mine.toml line 8, column 1: variables: expected words"),
        ("\"authorization\"", "\"Authorization\"", "mine.toml line 8, column 1: headers: "),
        ("headers = [\"authorization\"]\n", "", "mine.toml line 5, column 1: vendor: says nowhere"),
        ("severity", "snippet = \"a\\nb\"\nseverity", "mine.toml line 12, column 1: snippet: "),
        ("[[rule]]", &format!("{many_rules}[[rule]]"), "mine.toml line 1162, column 1: more than 128 rules"),
    ] {
        let broken = RULE.replacen(from, to, 1);
        assert_ne!(broken, RULE, "{from}");
        let error = refused(&broken);
        assert!(error.starts_with(said), "{error}\n{said}");
    }
}

#[test]
fn one_name_in_two_files_is_refused_and_parts_cannot_explode() {
    let files = ["a.toml", "b.toml"].map(|name| Source { name, text: RULE });
    let error = RuleSet::embedded().with_local(&files).err().unwrap().to_string();
    assert!(error.starts_with("b.toml line 6, column 1: name: a vendor that there is already"), "{error}");
    let no_vendor =
        RULE.replace("[[vendor]]\nname = \"acme\"\nhosts = [\"api.acme.test\"]\nheaders = [\"authorization\"]\n", "");
    let text = &no_vendor.replace("vendors = [\"acme\"]", "");
    let files = ["a.toml", "b.toml"].map(|name| Source { name, text });
    let error = RuleSet::embedded().with_local(&files).err().unwrap().to_string();
    assert!(error.starts_with("b.toml line 7, column 1: id: stands twice"), "{error}");

    let doubled = |n: usize| if n == 0 { "(?&tail)".to_owned() } else { format!("(?&p{})", n - 1) }.repeat(40);
    let parts = (0..7).map(|n| format!("p{n} = \"{}\"\n", doubled(n))).collect::<Vec<_>>().concat();
    let bomb = RULE.replace("tail = \"[a-z0-9]{12}\"\n", &format!("tail = \"[a-z0-9]{{12}}\"\n{parts}"));
    let error = refused(&bomb.replace("acme_(?&tail)", "acme_(?&p6)"));
    assert!(error.starts_with("mine.toml line 22, column 1: regex: its parts make it longer"), "{error}");
}

#[test]
fn an_operators_rule_brings_its_own_example_to_light_in_a_message() {
    use crate::flow::detect::{Detector, Limits, offline};
    let rules = Arc::new(with(RULE).unwrap());
    let detector = Detector::with_rules(rules, Limits::default(), &[], None);
    let key = expand("acme_{{lower:12}}");
    let found = |text: &str, host| {
        let mut found = Vec::new();
        offline::scan(&detector, posture::Direction::Outbound, text.as_bytes(), host, &mut |hit| {
            found.push((hit.rule.id().to_string(), hit.expected));
        });
        found
    };
    let rule = "ai_api_key.local.acme".to_owned();
    assert_eq!(found(&format!("{{\"a\":\"{key}\"}}"), None), [(rule.clone(), false)]);
    let request = format!("POST / HTTP/1.1\r\nAuthorization: Bearer {key}\r\n\r\n");
    assert_eq!(found(&request, Some("api.acme.test")), [(rule.clone(), true)]);
    assert_eq!(found(&request, Some("api.acme.test.evil.test")), [(rule, false)]);
}
