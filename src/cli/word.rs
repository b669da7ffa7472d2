//! A word of a closed list on the command line: for what is none, the error names those there are.

use std::{fmt::Display, str::FromStr};

/// Takes a word of `all`.
pub(super) fn one_of<T>(all: &'static [T]) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static
where
    T: Display + FromStr + Send + Sync + 'static,
{
    move |text: &str| {
        text.parse::<T>().map_err(|_| {
            let words: Vec<_> = all.iter().map(ToString::to_string).collect();
            format!("expected one of {}", words.join(", "))
        })
    }
}
