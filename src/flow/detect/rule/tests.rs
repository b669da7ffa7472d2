use super::{
    data::{PartFile, RuleFile},
    read::{Whose, parse},
    set::{FILES, PARTS, VENDORS, VERSION},
    *,
};
use crate::flow::detect::{matcher::Matcher, selftest};

const VENDOR: &str = "[[vendor]]\nname = \"acme\"\nhosts = [\"api.acme.test\"]\n";
const RULE: &str = r#"family = "ai_api_key"
[parts]
tail = "[a-z]{8}"
[[rule]]
id = "acme"
severity = "high"
find = "prefix"
keywords = ["acme_"]
regex = "acme_(?&tail)"
vendors = ["acme"]
examples = ["acme_qwertyui"]
"#;

fn load(rule: &str) -> Result<RuleSet, RuleError> {
    RuleSet::load("1.0.0", &[Source { name: "acme.toml", text: rule }], Source { name: "v.toml", text: VENDOR })
}

#[test]
fn a_rule_is_read_with_its_parts() {
    let set = load(RULE).unwrap();
    let rule = &set.rules()[0];
    assert_eq!(
        (rule.id().as_str(), rule.family(), rule.snippet().as_str()),
        ("ai_api_key.acme", Family::AiApiKey, "[REDACTED ai_api_key.acme]")
    );
    assert!(rule.regex().is_match(b"acme_qwertyui"));
}

#[test]
fn a_part_stands_in_one_place_and_every_shared_one_is_wanted() {
    let shared = parse::<PartFile>(PARTS).unwrap().parts;
    let files: Vec<RuleFile> = FILES.iter().map(|source| parse(*source).unwrap()).collect();
    for name in files.iter().flat_map(|file| file.parts.keys()) {
        assert!(!shared.contains_key(name), "{name}");
    }
    for name in shared.keys() {
        let named = format!("(?&{name})");
        let of_file = |source: &&Source<'_>| source.text.contains(&named);
        let of_part = shared.values().any(|part| part.contains(&named));
        assert!(of_part || FILES.iter().filter(of_file).count() > 1, "{name}");
    }
}

#[test]
fn an_error_names_file_place_and_field() {
    for (from, to, said) in [
        ("(?&tail)", "(?&none)", "acme.toml line 9, column 1: regex: no part is called"),
        ("(?&tail)", "(", "acme.toml line 9, column 1: regex: "),
        ("acme_(?&tail)", "acme_(?&tail)|", "acme.toml line 9, column 1: regex: matches where nothing is"),
        ("acme_(?&tail)", "(?&tail)*$", "acme.toml line 9, column 1: regex: matches where nothing is"),
        ("[\"acme_\"]", "[]", "acme.toml line 8, column 1: keywords: none given"),
        ("[\"acme_\"]", "[\"ACME_\"]", "acme.toml line 8, column 1: keywords: number 1"),
        ("[\"acme_\"]", "[\"ac\"]", "acme.toml line 8, column 1: keywords: number 1"),
        ("[\"acme\"]", "[\"other\"]", "acme.toml line 10, column 1: vendors: number 1"),
        ("severity", "needs = [\"x\", \"\"]\nseverity", "acme.toml line 6, column 1: needs: number 2 is empty"),
        ("severity", "targets = [\".env\"]\nseverity", "acme.toml line 6, column 1: targets: are of paths"),
        ("\"high\"", "\"urgent\"", "acme.toml line 6, column 12: "),
        ("severity", "urgency", "acme.toml line 6, column 1: "),
        ("id = \"acme\"", "id = \"Acme\"", "acme.toml line 5, column 1: id: "),
        ("[\"acme_qwertyui\"]", "[]", "acme.toml line 11, column 1: examples: none given"),
        ("[[rule]]", "[[rule]]\nmin_entropy = nan", "acme.toml line 5, column 1: min_entropy: "),
        ("[a-z]{8}", "(?&tail)", "acme.toml line 9, column 1: regex: its parts refer to each other"),
        ("ai_api_key", "ai_key", "acme.toml line 1, column 10: "),
    ] {
        let broken = RULE.replacen(from, to, 1);
        assert_ne!(broken, RULE);
        let error = load(&broken).err().unwrap().to_string();
        assert!(error.starts_with(said), "{error}\n{said}");
    }
    let twice = format!("{RULE}{}", &RULE[RULE.find("[[rule]]").unwrap()..]);
    assert!(load(&twice).err().unwrap().to_string().starts_with("acme.toml line 13, column 1: id: stands twice"));
}

#[test]
fn the_hash_is_of_what_the_rules_say_and_not_of_how_they_are_spelt() {
    let sha = |text: &str| load(text).unwrap().pattern_set().sha256;
    let vectors = |text: &str| load(text).unwrap().vectors_sha256().clone();
    assert_eq!(sha(RULE), sha(&format!("# a comment\n{RULE}\n")));
    for (from, to) in [("[a-z]{8}", "[a-z]{7}"), ("\"high\"", "\"low\""), ("qwertyui", "asdfghjk")] {
        assert_ne!(sha(RULE), sha(&RULE.replace(from, to)));
    }
    assert_ne!(vectors(RULE), vectors(&RULE.replace("qwertyui", "asdfghjk")));
    assert_eq!(vectors(RULE), vectors(&RULE.replace("\"high\"", "\"low\"")));
}

#[test]
fn the_embedded_set_covers_every_family_the_design_names() {
    let set = RuleSet::embedded();
    assert!(set.pattern_set().rules > 100);
    for family in Family::ALL.iter().filter(|f| !matches!(f, Family::KnownSecret | Family::Canary)) {
        assert!(set.rules().iter().any(|r| r.family() == *family && r.severity() > Severity::Info), "{family}");
    }
}

#[test]
fn what_is_built_in_is_compiled_when_it_is_wanted_and_not_by_the_self_test() {
    let set = Arc::new(RuleSet::read(VERSION, FILES, VENDORS, &Whose::BuiltIn).unwrap());
    let compiled = || set.rules.iter().filter(|r| r.regex.is_compiled()).count();
    assert!(selftest::run(&Matcher::new(Arc::clone(&set))).passed());
    assert_eq!(compiled(), 0);
    for rule in set.rules() {
        let _ = (rule.regex(), rule.except(), rule.at_start());
    }
    assert_eq!(compiled(), set.rules.len());
}

#[test]
fn what_is_given_is_compiled_at_once() {
    assert!(load(RULE).unwrap().rules[0].regex.is_compiled());
}
