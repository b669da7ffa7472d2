//! `rules = [...]` → the operator's rule files, read and proved: a rule that cannot work keeps a monitor from starting.

use super::error::Reason;
use super::file::{self, For, Raw};
use super::folder::printable;
use super::value;
use crate::flow::{
    detect::rule::{RuleSet, Source},
    redact,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

pub(super) const KEY: &str = "rules";
const MAX_FILES: usize = 16;
const MAX_BYTES: u64 = 256 << 10;

/// The files, absolute, and the rules with theirs; no files are no rules.
pub(super) fn load(home: &Path, raw: &Raw) -> Result<(Vec<PathBuf>, Option<Arc<RuleSet>>), Reason> {
    let expected = || Reason::new("expected a list of files");
    let Raw::List(names) = raw else { return Err(expected()) };
    if names.len() > MAX_FILES {
        return Err(Reason::new(format!("more than {MAX_FILES} files")));
    }
    let mut files: Vec<PathBuf> = Vec::with_capacity(names.len());
    let mut texts = Vec::with_capacity(names.len());
    for name in names {
        let path = home.join(value::text(name).map_err(|_| expected())?);
        if !printable(&path) {
            return Err(Reason::new("a path holds control characters"));
        }
        let shown = redact::text(&path.display().to_string());
        if files.contains(&path) {
            return Err(Reason::new(format!("{shown} stands twice")));
        }
        let text = file::read_text(&path, MAX_BYTES, For::Us(home));
        let text = text.map_err(|e| Reason::new(format!("{shown}: {e}")))?;
        let text = text.map_err(|why| Reason::new(format!("{shown} is not safe to use: {why}")))?;
        texts.push((shown, text));
        files.push(path);
    }
    if files.is_empty() {
        return Ok((files, None));
    }
    let sources: Vec<_> = texts.iter().map(|(name, text)| Source { name, text }).collect();
    let rules = RuleSet::embedded().with_local(&sources).map_err(|e| {
        let about = e.rule().map(|id| format!("that is the rule called `{id}`"));
        Reason::new(e.to_string()).about(about)
    })?;
    check_names(&rules)?;
    Ok((files, Some(Arc::new(rules))))
}

/// A rule's names are in its findings, and a finding is in the log: none may be a secret.
fn check_names(rules: &RuleSet) -> Result<(), Reason> {
    let known = |name: &String| RuleSet::embedded().vendors().iter().any(|vendor| vendor.name == *name);
    let own = rules.rules().iter().filter_map(|rule| Some((rule, rule.file()?)));
    for (number, (rule, file)) in own.enumerate() {
        let (_, id) = rule.id().as_str().split_once("local.").unwrap_or_default();
        let named = |name: &str| redact::host(name) == name;
        let wrong = |field| {
            Err(Reason::new(format!("{file}: {field} of rule number {} of all looks like a secret", number + 1)))
        };
        if !named(id) {
            return wrong("id");
        }
        if !rule.vendors().iter().all(|name| known(name) || named(name)) {
            return wrong("vendors");
        }
        if redact::text(&rule.snippet()) != rule.snippet() {
            return wrong("snippet");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
