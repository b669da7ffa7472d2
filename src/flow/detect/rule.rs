//! Rule files → `RuleSet`: rules are data, checked once when they are read.
//!
//! A rule's text is the product's or an operator's: one loader serves both. An error names the file, the place in it and the
//! field, and repeats nothing of what stands there: a secret may have been pasted for anything.

mod chain;
mod checksum;
mod data;
mod example;
mod local;
mod loose;
mod opening;
mod pattern;

pub(crate) use chain::Sighted;
pub use data::{Alphabet, Class, Find, Vendor};
pub(crate) use example::expand;

use chain::Chains;
use data::{RuleData, RuleFile, VendorFile};
use memchr::memmem::Finder;
use opening::Opening;
use pattern::Pattern;
use posture::{Family, PatternSet, Severity, Sha256Hex, Word};
use regex::bytes::Regex;
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeSet,
    fmt,
    ops::Range,
    sync::{Arc, LazyLock, OnceLock},
};
use toml::Spanned;

/// The version of the embedded rules, `MAJOR.MINOR.PATCH`.
const VERSION: &str = "1.0.0";
/// A regex may not compile to more than this: a rule is short, and a large repetition is a slow one.
const MAX_COMPILED_BYTES: usize = 1 << 21;
const TESTED: &str = "the embedded rules are tested with every build";
/// Under a family, an operator's rules have names of their own: no embedded rule, now or later, is called so.
const LOCAL: &str = "local.";

macro_rules! embedded {
    ($($name:literal),+ $(,)?) => {
        &[$(Source { name: concat!($name, ".toml"), text: include_str!(concat!("rules/", $name, ".toml")) }),+]
    };
}

const FILES: &[Source<'static>] = embedded![
    "ai_api_key",
    "aws_access_key_id",
    "private_key_pem",
    "ssh_key_path",
    "sensitive_unix_path",
    "dotenv_or_cloud_credential_path",
    "pipe_to_shell",
    "shell_exec_flag",
    "reverse_shell",
    "destructive_remove",
    "ssh_authorized_keys",
];
const VENDORS: Source<'static> = Source { name: "vendors.toml", text: include_str!("rules/vendors.toml") };

/// A rule file's text, and the name errors give it.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// Its name.
    pub name: &'a str,
    /// TOML.
    pub text: &'a str,
}

/// What is wrong with a rule file, and where. Of the file's own words none is in it.
#[derive(Debug, thiserror::Error)]
#[error("{file} line {line}, column {column}: {}{problem}", .field.map_or_else(String::new, |field| format!("{field}: ")))]
pub struct RuleError {
    file: String,
    line: usize,
    column: usize,
    rule: Option<String>,
    field: Option<&'static str>,
    problem: String,
}

impl RuleError {
    /// The rule it is about, for who reads it at a terminal; `None` unless it is called by plain words.
    pub fn rule(&self) -> Option<&str> {
        self.rule.as_deref()
    }
}

/// Whether a name is of words someone would choose, and none a secret: short ones of lower-case letters alone.
pub fn is_plain(name: &str) -> bool {
    let word = |word: &str| (1..=12).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase());
    name.len() <= 40 && name.split(['.', '_', '-']).all(word)
}

/// Line and column of a place in a text, each from 1.
pub fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

/// One rule: what to look for, and what finding it means. Cheap to clone, and a clone remembers nothing of what was
/// searched.
#[derive(Clone)]
pub struct Rule {
    id: Word,
    family: Family,
    /// The operator's file it stands in; `None` for an embedded one.
    file: Option<Arc<str>>,
    data: Arc<RuleData>,
    regex: Pattern,
    /// The regex where it must begin, for a command.
    at_start: Option<Pattern>,
    except: Option<Pattern>,
    needs: Arc<[Finder<'static>]>,
    /// See [`Rule::may_begin`].
    opening: OnceLock<Opening>,
    /// See [`Rule::parts`].
    chains: OnceLock<Chains>,
    /// See [`Rule::may_match_from`].
    loose: OnceLock<Option<Pattern>>,
}

impl Rule {
    /// Its identifier under its family, such as `ai_api_key.openai`.
    pub fn id(&self) -> &Word {
        &self.id
    }

    /// The `pattern` of its findings.
    pub fn family(&self) -> Family {
        self.family
    }

    /// The operator's file it stands in; `None` when it is built in.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// How urgent a match is, unless its context says otherwise.
    pub fn severity(&self) -> Severity {
        self.data.severity
    }

    /// What a finding shows in place of the matched text: the rule's template or its identifier, never the wire.
    pub fn snippet(&self) -> String {
        self.data.snippet.clone().unwrap_or_else(|| format!("[REDACTED {}]", self.id))
    }

    /// Whose key it is: names in the vendor table. More than one where vendors share a shape.
    pub fn vendors(&self) -> &[String] {
        &self.data.vendors
    }

    /// Texts that hold a match, with generated parts still as templates.
    pub fn examples(&self) -> &[String] {
        &self.data.examples
    }

    /// Texts in which this rule must find nothing.
    pub fn counter_examples(&self) -> &[String] {
        &self.data.counter_examples
    }

    /// How it is looked for.
    pub fn find(&self) -> Find {
        self.data.find
    }

    /// What brings the exact rule into play, in lower case.
    pub fn keywords(&self) -> &[String] {
        &self.data.keywords
    }

    /// The exact rule.
    pub fn regex(&self) -> &Regex {
        self.regex.regex()
    }

    pub(crate) fn except(&self) -> Option<&Regex> {
        self.except.as_ref().map(Pattern::regex)
    }

    /// Whether `text` holds one of the literals the rule needs besides a keyword.
    pub(crate) fn may_match(&self, text: &[u8]) -> bool {
        self.needs.is_empty() || self.needs.iter().any(|n| n.find(text).is_some())
    }

    /// The parts of a line in which all its matches stand, apart and in order: none where it lacks a literal the rule needs.
    pub(crate) fn parts(&self, line: &[u8]) -> Vec<Range<usize>> {
        if self.may_match(line) { self.chains().parts(line) } else { Vec::new() }
    }

    /// The same of a window of a text, after others that began before it and were no longer than `longest`.
    pub(crate) fn parts_in(
        &self,
        text: &[u8],
        window: Range<usize>,
        longest: usize,
        sighted: &mut Sighted,
    ) -> Vec<Range<usize>> {
        self.chains().parts_in(text, window, longest, sighted)
    }

    /// Whether a match may begin in `text` at `at` or after it: the test that costs little over any text, before the regex.
    pub(crate) fn may_match_from(&self, text: &[u8], at: usize) -> bool {
        let loosened = || {
            let pattern = Pattern::new(loose::loosened(self.regex.text())?, MAX_COMPILED_BYTES);
            pattern.check().is_ok().then_some(pattern)
        };
        self.loose.get_or_init(loosened).as_ref().is_none_or(|loose| loose.regex().is_match_at(text, at))
    }

    fn chains(&self) -> &Chains {
        self.chains.get_or_init(|| Chains::of(self.regex.text()))
    }

    /// Whether a token can stand at the start of `text`, by its first bytes: the cheap test before the regex. Of a path, one
    /// of its parts has to fit: what stands behind its slashes, or all of it.
    pub(crate) fn may_begin(&self, text: &[u8]) -> bool {
        self.opening().fits(text)
    }

    /// No token is shorter: the bytes that [`Rule::misfit`] looks at.
    pub(crate) fn least(&self) -> usize {
        self.opening().least()
    }

    /// How many bytes of `text` can begin a token; `None` when all do that are looked at.
    pub(crate) fn misfit(&self, text: &[u8]) -> Option<usize> {
        self.opening().misfit(text)
    }

    /// Whether the first line of `text` ends before the byte that misfits: what a token is put together from may begin so.
    pub(crate) fn breaks(&self, text: &[u8], misfit: usize) -> bool {
        self.opening().breaks(text, misfit)
    }

    fn opening(&self) -> &Opening {
        let opening = if self.find() == Find::Path { Opening::of_path } else { Opening::of };
        self.opening.get_or_init(|| opening(self.regex.text()))
    }

    pub(crate) fn at_start(&self) -> Option<&Regex> {
        self.at_start.as_ref().map(Pattern::regex)
    }

    /// Whether the group `secret` is what matters of a token.
    pub(crate) fn names_secret(&self) -> bool {
        self.regex.groups().secret
    }

    /// Whether what the group `again` names must stand earlier in the match too: a file that is fetched, then run.
    pub(crate) fn names_again(&self) -> bool {
        self.regex.groups().again
    }

    /// Whether it finds what `other` finds, with the same severity, for the same vendors.
    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        let except = |rule: &Self| rule.except.as_ref().map(|e| e.text().to_owned());
        self.data == other.data && self.regex.text() == other.regex.text() && except(self) == except(other)
    }

    pub(crate) fn data(&self) -> &RuleData {
        &self.data
    }
}

/// Whose a rule is: says how much it may be, and when its regexes are compiled.
enum Whose {
    /// The build's, and tested with it: when they are wanted.
    BuiltIn,
    /// Anyone's: at once, to see that they can be.
    Given,
    /// The operator's, with the file it stands in: at once as well.
    Local(Arc<str>),
}

/// Every rule in force, and the table of vendors they refer to.
#[derive(Clone)]
pub struct RuleSet {
    version: String,
    rules: Vec<Rule>,
    vendors: Vec<Vendor>,
    sha256: Sha256Hex,
    vectors_sha256: Sha256Hex,
}

impl RuleSet {
    /// The rules this build carries.
    pub fn embedded() -> Arc<Self> {
        static EMBEDDED: LazyLock<Arc<RuleSet>> =
            LazyLock::new(|| Arc::new(RuleSet::read(VERSION, FILES, VENDORS, &Whose::BuiltIn).expect(TESTED)));
        Arc::clone(&EMBEDDED)
    }

    /// Reads rule files and the vendor table.
    ///
    /// # Errors
    /// Where a file is no TOML, has a field we do not know, or a rule cannot work: see [`RuleError`].
    pub fn load(version: &str, files: &[Source<'_>], vendors: Source<'_>) -> Result<Self, RuleError> {
        Self::read(version, files, vendors, &Whose::Given)
    }

    fn read(version: &str, files: &[Source<'_>], vendors: Source<'_>, whose: &Whose) -> Result<Self, RuleError> {
        let vendors: Vec<Vendor> = parse::<VendorFile>(vendors)?.vendor;
        let names: BTreeSet<&str> = vendors.iter().map(|v| v.name.as_str()).collect();
        let mut parsed = Vec::with_capacity(files.len());
        let mut rules: Vec<Rule> = Vec::new();
        for source in files {
            let file: RuleFile = parse(*source)?;
            for data in &file.rule {
                let rule = compile(*source, &file, data, &names, whose)?;
                if rules.iter().any(|r| r.id == rule.id) {
                    let id = &data.get_ref().id;
                    return Err(error(*source, data.span(), Some(id), Some("id"), "stands twice"));
                }
                rules.push(rule);
            }
            parsed.push(file);
        }
        let sha256 = hash(&(version, &parsed, &vendors));
        Ok(Self::of(version.to_owned(), rules, vendors, sha256))
    }

    fn of(version: String, rules: Vec<Rule>, vendors: Vec<Vendor>, sha256: Sha256Hex) -> Self {
        let vectors: Vec<_> = rules.iter().map(|r| (r.id.as_str(), r.examples(), r.counter_examples())).collect();
        let vectors_sha256 = hash(&vectors);
        Self { version, rules, vendors, sha256, vectors_sha256 }
    }

    /// These rules, and an operator's own beside them.
    ///
    /// None of these is shadowed or weakened: the operator's have names of their own, and vendors of their own, or these.
    ///
    /// # Errors
    /// As [`RuleSet::load`], and where a rule is larger than an operator's may be or does not find its own examples.
    pub fn with_local(&self, files: &[Source<'_>]) -> Result<Self, RuleError> {
        local::join(self, files)
    }

    /// Every rule, family by family; an operator's own last.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The vendors and where their keys belong.
    pub fn vendors(&self) -> &[Vendor] {
        &self.vendors
    }

    /// What a posture says of the set.
    pub fn pattern_set(&self) -> PatternSet {
        PatternSet { rules: self.rules.len() as u64, sha256: self.sha256.clone(), version: self.version.clone() }
    }

    /// SHA-256 over the canonical form of every example and counter-example.
    pub fn vectors_sha256(&self) -> &Sha256Hex {
        &self.vectors_sha256
    }
}

/// Equal sets find the same.
impl PartialEq for RuleSet {
    fn eq(&self, other: &Self) -> bool {
        self.sha256 == other.sha256
    }
}

impl Eq for RuleSet {}

impl fmt::Debug for RuleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuleSet").field("version", &self.version).field("sha256", &self.sha256).finish_non_exhaustive()
    }
}

fn parse<T: serde::de::DeserializeOwned>(source: Source<'_>) -> Result<T, RuleError> {
    toml::from_str(source.text).map_err(|e| {
        let at = e.span().map_or(0, |span| span.start);
        let own = toml::de::DeTable::parse(source.text).is_err();
        let problem = if own { e.message().to_owned() } else { without_input(e.message()) };
        error(source, at..at, None, None, problem)
    })
}

/// What serde says of a value that does not fit, without the value: what kind of fault, and what was expected.
fn without_input(message: &str) -> String {
    const KINDS: [&str; 6] =
        ["unknown field", "unknown variant", "invalid type", "invalid value", "invalid length", "duplicate field"];
    if message.starts_with("missing field") {
        return message.to_owned();
    }
    let kind = KINDS.into_iter().find(|kind| message.starts_with(kind)).unwrap_or("it does not belong here");
    let expected =
        message.rsplit_once(", expected ").map_or_else(String::new, |(_, text)| format!(", expected {text}"));
    format!("{kind}{expected}")
}

/// A complaint of one rule or vendor, which stands at `span`; of one of its fields, where that stands.
fn error(
    source: Source<'_>,
    span: Range<usize>,
    rule: Option<&str>,
    field: Option<&'static str>,
    problem: impl Into<String>,
) -> RuleError {
    let at = field.and_then(|field| field_at(source.text, span.start, field)).unwrap_or(span.start);
    let (line, column) = position(source.text, at);
    let rule = rule.filter(|id| is_plain(id)).map(str::to_owned);
    RuleError { file: source.name.to_owned(), line, column, rule, field, problem: problem.into() }
}

/// Where the line of a field begins, in the table that begins at `start`.
fn field_at(text: &str, start: usize, field: &str) -> Option<usize> {
    let mut at = start;
    for (number, line) in text.get(start..)?.split_inclusive('\n').enumerate() {
        let key = line.trim_start();
        if number > 0 && key.starts_with('[') {
            return None;
        }
        if key.strip_prefix(field).is_some_and(|rest| rest.trim_start().starts_with('=')) {
            return Some(at + line.len() - key.len());
        }
        at += line.len();
    }
    None
}

/// Checks a rule.
fn compile(
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

/// SHA-256 over the canonical form (RFC 8785).
fn hash<T: serde::Serialize>(value: &T) -> Sha256Hex {
    let bytes = serde_jcs::to_vec(value).expect("finite numbers, strings and string-keyed maps have a canonical form");
    Sha256Hex::from_bytes(&Sha256::digest(bytes).into())
}

#[cfg(test)]
mod tests;
