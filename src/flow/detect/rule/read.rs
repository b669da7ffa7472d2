//! A rule file's text → its rules, each checked once.

use super::{
    Find, Pattern, Rule, RuleError, data,
    error::{error, without_input},
    local,
    pattern::parsed,
};
use data::{RuleData, RuleFile};
use memchr::memmem::Finder;
use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
};
use toml::Spanned;

/// A regex may not compile to more than this: a rule is short, and a large repetition is a slow one.
pub(super) const MAX_COMPILED_BYTES: usize = 1 << 21;
/// Under a family, an operator's rules have names of their own: no embedded rule, now or later, is called so.
const LOCAL: &str = "local.";

/// A rule file's text, and the name errors give it.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// Its name.
    pub name: &'a str,
    /// TOML.
    pub text: &'a str,
}

/// Whose a rule is: says how much it may be, and when its regexes are compiled.
pub(super) enum Whose {
    /// The build's, and tested with it: when they are wanted.
    BuiltIn,
    /// Anyone's: at once, to see that they can be.
    Given,
    /// The operator's, with the file it stands in: at once as well.
    Local(Arc<str>),
}

/// Reads a file of rules or vendors.
pub(super) fn parse<T: serde::de::DeserializeOwned>(source: Source<'_>) -> Result<T, RuleError> {
    toml::from_str(source.text).map_err(|e| {
        let at = e.span().map_or(0, |span| span.start);
        let own = toml::de::DeTable::parse(source.text).is_err();
        let problem = if own { e.message().to_owned() } else { without_input(e.message()) };
        error(source, at..at, None, None, problem)
    })
}

/// Checks a rule.
pub(super) fn compile(
    source: Source<'_>,
    file: &RuleFile,
    data: &Spanned<RuleData>,
    vendors: &BTreeSet<&str>,
    whose: &Whose,
) -> Result<Rule, RuleError> {
    let (span, data) = (data.span(), data.get_ref());
    let wrong = |field, problem: String| error(source, span.clone(), Some(&data.id), Some(field), problem);
    let (under, most_bytes, file_of) = match whose {
        Whose::BuiltIn | Whose::Given => ("", MAX_COMPILED_BYTES, None),
        Whose::Local(file) => (LOCAL, local::MAX_COMPILED_BYTES, Some(Arc::clone(file))),
    };
    let id = format!("{}.{under}{}", file.family, data.id).parse().map_err(|_| wrong("id", "is not a word".into()))?;
    if data.keywords.is_empty() {
        return Err(wrong("keywords", "none given: nothing would ever bring the rule into play".into()));
    }
    if let Some(n) = data.keywords.iter().position(|k| k.len() < 3 || k.bytes().any(|b| b.is_ascii_uppercase())) {
        return Err(wrong("keywords", format!("number {} is shorter than 3 bytes or not in lower case", n + 1)));
    }
    if let Some(n) = data.needs.iter().position(String::is_empty) {
        return Err(wrong("needs", format!("number {} is empty: it stands everywhere", n + 1)));
    }
    if data.find != Find::Path && !data.targets.is_empty() {
        return Err(wrong("targets", "are of paths: only `find = \"path\"` looks at them".into()));
    }
    if data.examples.is_empty() {
        return Err(wrong("examples", "none given: nothing would prove the rule".into()));
    }
    if let Some(n) = data.vendors.iter().position(|v| !vendors.contains(v.as_str())) {
        return Err(wrong("vendors", format!("number {} is not in the vendor table", n + 1)));
    }
    if !data.min_entropy.is_finite() || !(0.0..=8.0).contains(&data.min_entropy) {
        return Err(wrong("min_entropy", "is not between 0 and 8 bits a byte".into()));
    }
    let anchored = |text: &str| match data.find {
        Find::Prefix => format!(r"\A(?:{text})"),
        Find::Near | Find::Path | Find::Inside => format!(r"\A(?:{text})\z"),
        Find::Command | Find::Line | Find::Block | Find::Pem => text.to_owned(),
    };
    let build = |field, text: &str| {
        let pattern = Pattern::new(file.with_parts(text).map_err(|p| wrong(field, p))?, most_bytes);
        if !matches!(whose, Whose::BuiltIn) {
            // Its last line says what is wrong; those before show the pattern, and an operator's may be a secret.
            let last_line = |e: regex::Error| e.to_string().lines().last().unwrap_or_default().to_owned();
            pattern.check().map_err(|e| wrong(field, last_line(e)))?;
        }
        Ok(pattern)
    };
    let regex = build("regex", &anchored(&data.regex))?;
    if !matches!(whose, Whose::BuiltIn) && matches_nothing(regex.text()) {
        return Err(wrong("regex", "matches where nothing is: every text would be a finding of it".into()));
    }
    let at_start =
        (data.find == Find::Command).then(|| build("regex", &format!(r"\A(?:{})", data.regex))).transpose()?;
    let except = data.except.as_deref().map(|text| build("except", text)).transpose()?;
    let needs = data.needs.iter().map(|n| Finder::new(n).into_owned()).collect();
    let (family, data) = (file.family, Arc::new(data.clone()));
    Ok(Rule {
        id,
        family,
        file: file_of,
        data,
        regex,
        at_start,
        except,
        needs,
        opening: OnceLock::new(),
        chains: OnceLock::new(),
        loose: OnceLock::new(),
    })
}

/// Whether a regex that compiles matches the empty text.
fn matches_nothing(regex: &str) -> bool {
    parsed(regex).is_some_and(|read| read.properties().minimum_len() == Some(0))
}
