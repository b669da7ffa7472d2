//! The rules in force, the vendors they refer to, and what tells one set from another.

use super::{
    Rule, RuleError, data,
    error::error,
    local,
    read::{Source, Whose, compile, parse},
};
use data::{PartFile, RuleFile, Vendor, VendorFile};
use posture::{PatternSet, Sha256Hex};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, LazyLock},
};

/// The version of the embedded rules, `MAJOR.MINOR.PATCH`: the second is raised when more is found, the
/// first when a family is given up or an identifier means something else.
pub(super) const VERSION: &str = "1.12.0";
const TESTED: &str = "the embedded rules are tested with every build";

macro_rules! embedded {
    ($($name:literal),+ $(,)?) => {
        &[$(Source { name: concat!($name, ".toml"), text: include_str!(concat!("../rules/", $name, ".toml")) }),+]
    };
}

pub(super) const FILES: &[Source<'static>] = embedded![
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
pub(super) const PARTS: Source<'static> = Source { name: "parts.toml", text: include_str!("../rules/parts.toml") };
pub(super) const VENDORS: Source<'static> =
    Source { name: "vendors.toml", text: include_str!("../rules/vendors.toml") };

/// Every rule in force, and the table of vendors they refer to.
#[derive(Clone)]
pub struct RuleSet {
    pub(super) version: String,
    pub(super) rules: Vec<Rule>,
    pub(super) vendors: Vec<Vendor>,
    pub(super) sha256: Sha256Hex,
    pub(super) vectors_sha256: Sha256Hex,
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

    pub(super) fn read(
        version: &str,
        files: &[Source<'_>],
        vendors: Source<'_>,
        whose: &Whose,
    ) -> Result<Self, RuleError> {
        let parts = match whose {
            Whose::BuiltIn => parse::<PartFile>(PARTS)?.parts,
            Whose::Given | Whose::Local(_) => BTreeMap::new(),
        };
        let vendors: Vec<Vendor> = parse::<VendorFile>(vendors)?.vendor;
        let names: BTreeSet<&str> = vendors.iter().map(|v| v.name.as_str()).collect();
        let mut parsed = Vec::with_capacity(files.len());
        let mut rules: Vec<Rule> = Vec::new();
        for source in files {
            let mut file: RuleFile = parse(*source)?;
            file.share(&parts);
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

    pub(super) fn of(version: String, rules: Vec<Rule>, vendors: Vec<Vendor>, sha256: Sha256Hex) -> Self {
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

/// SHA-256 over the canonical form (RFC 8785).
pub(super) fn hash<T: serde::Serialize>(value: &T) -> Sha256Hex {
    let bytes = serde_jcs::to_vec(value).expect("finite numbers, strings and string-keyed maps have a canonical form");
    Sha256Hex::from_bytes(&Sha256::digest(bytes).into())
}
