//! The bodies that are scanned: real text, one unit again and again, and what costs most for its size.

use guardian::flow::detect::rule::{Rule, RuleSet};
use posture::Family;
use serde_json::{Value, json};
use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// The size of a body, at least.
pub(crate) const SIZE: usize = 1 << 20;

/// Text as it comes, of this project's own sources and documents: what a branch goes by is not seen twice.
pub(crate) const REAL: &[&str] = &["agent", "docs", "source", "page", "events", "telemetry", "dense"];

/// One unit again and again, but for a number. A processor learns its branches by heart, so these say what is possible, not what is usual.
pub(crate) const REPEATED: &[&str] =
    &["chat", "telemetry", "dense", "base64", "embeddings", "code", "html", "sse_chat", "text"];

/// A body of [`REAL`].
pub(crate) fn real(body: &str) -> Vec<u8> {
    let mut chance = Chance(7);
    let mut text = String::new();
    match body {
        // What an agent that works on a project sends: its files, one after the other, as messages.
        "agent" => text = json!({"model": "hermes-4", "messages": messages(&mut chance)}).to_string(),
        "docs" => text = prose().join("\n"),
        "source" => files(&["rs"]).iter().for_each(|p| text += &fs::read_to_string(p).expect("a text of this project")),
        "page" => {
            for (n, line) in prose().iter().enumerate() {
                let line = line.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
                let _ = match chance.below(4) {
                    0 => writeln!(
                        text,
                        "<li class=\"row\"><a href=\"/item/{n}?a=1&amp;b={}\">{line}</a></li>",
                        chance.below(99)
                    ),
                    1 => writeln!(text, "<pre><code><span class=\"k\">let</span> {line}</code></pre>"),
                    _ => writeln!(text, "<p>{line}</p>"),
                };
            }
        }
        "events" => {
            for word in prose().iter().flat_map(|line| line.split_inclusive(' ')) {
                let delta = json!({"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": null}]});
                let head =
                    "\"id\":\"chatcmpl-abcdefghijklmnop\",\"object\":\"chat.completion.chunk\",\"created\":1772445600";
                let _ = write!(text, "data: {{{head},{}\n\n", &delta.to_string()[1..]);
                if text.len() > SIZE {
                    break;
                }
            }
        }
        "telemetry" => {
            for (n, line) in prose().iter().cycle().enumerate() {
                let level = ["info", "debug", "warning"][chance.below(3)];
                let span = (chance.below(1 << 30), chance.below(1 << 30));
                let message: String = line.chars().take(10 + chance.below(60)).collect();
                let record = json!({
                    "ts": 1_772_445_600 + n, "level": level, "span": format!("{:08x}{:08x}", span.0, span.1),
                    "msg": message, "ms": chance.below(4000), "ok": chance.below(9) > 0,
                });
                let _ = writeln!(text, "{record}");
                if text.len() > SIZE {
                    break;
                }
            }
        }
        _ => {
            let content = lures(&mut chance).concat();
            text = json!({"model": "hermes-4", "messages": [{"role": "user", "content": content}]}).to_string();
        }
    }
    let mut bytes = text.into_bytes();
    if !matches!(body, "agent" | "dense") {
        bytes.truncate(SIZE);
    }
    bytes
}

/// This project's files, one after the other, as an agent's messages.
fn messages(chance: &mut Chance) -> Vec<Value> {
    let roles = ["user", "assistant", "tool"];
    let mut size = 0;
    files(&["md", "rs"])
        .iter()
        .map(|path| fs::read_to_string(path).expect("a text of this project"))
        .take_while(|content| {
            size += content.len();
            size < SIZE
        })
        .map(|content| json!({"role": roles[chance.below(3)], "content": content}))
        .collect()
}

/// Lines that each look like something to a rule, and are nothing or little.
fn lures(chance: &mut Chance) -> Vec<String> {
    let rules = RuleSet::embedded();
    let lures: Vec<&String> = rules.rules().iter().flat_map(Rule::counter_examples).collect();
    let prose = prose();
    let (mut lines, mut size) = (Vec::new(), 0);
    while size < SIZE {
        let words = prose[chance.below(prose.len())].get(..40).unwrap_or("and then");
        lines.push(format!("{words} {}\n", lures[chance.below(lures.len())]));
        size += lines.last().map_or(0, String::len);
    }
    lines
}

/// What an agent sends in twenty turns: with each request everything that was said before. Of `dense`, fifty lines a message.
pub(crate) fn session(body: &str) -> Vec<Vec<u8>> {
    const TURNS: usize = 20;
    const LINES: usize = 50;
    let mut chance = Chance(7);
    let messages = match body {
        "agent" => messages(&mut chance),
        _ => lures(&mut chance).chunks(LINES).map(|l| json!({"role": "tool", "content": l.concat()})).collect(),
    };
    (1..=TURNS)
        .map(|turn| &messages[..messages.len() * turn / TURNS])
        .map(|said| json!({"model": "hermes-4", "messages": said}).to_string().into_bytes())
        .collect()
}

/// The lines of documents, and of the comments that document code.
fn prose() -> Vec<String> {
    let mut lines = Vec::new();
    for path in files(&["md", "rs"]) {
        let text = fs::read_to_string(&path).expect("a text of this project");
        let document = path.extension().is_some_and(|e| e == "md");
        let comment =
            |line: &str| line.trim_start().strip_prefix("///").or(line.strip_prefix("//!")).map(str::to_owned);
        let said = text.lines().filter_map(|line| if document { Some(line.to_owned()) } else { comment(line) });
        lines.extend(said);
    }
    lines
}

/// This project's files with one of these extensions, always in the same order.
fn files(extensions: &[&str]) -> Vec<PathBuf> {
    fn walk(folder: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) {
        let mut entries: Vec<_> =
            fs::read_dir(folder).expect("a folder of this project").map(|e| e.expect("an entry").path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                walk(&path, extensions, found);
            } else if path.extension().is_some_and(|e| extensions.iter().any(|x| e == *x)) {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found: Vec<_> =
        ["README.md", "SECURITY.md", "tests/README.md"].iter().map(|name| root.join(name)).collect();
    found.retain(|path| extensions.iter().any(|x| path.extension().is_some_and(|e| e == *x)));
    for folder in ["src", "attest", "posture", "keys"] {
        walk(&root.join(folder), extensions, &mut found);
    }
    found
}

/// Numbers without a pattern, the same in each run (Marsaglia's xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).expect("below a usize")
    }
}

fn unit(body: &str, n: u64) -> String {
    let prose = "The build passes now; I moved the parser into its own module and added a test for the empty case. \
                 Next I would look at the retry loop, which sleeps twice after a timeout.\\n";
    match body {
        "chat" => format!(
            "{{\"role\":\"{}\",\"content\":\"{n}: {}\"}},",
            if n.is_multiple_of(2) { "user" } else { "assistant" },
            prose.repeat(12)
        ),
        "telemetry" => format!(
            "{{\"ts\":17724456{n:02},\"level\":\"info\",\"span\":\"{n:016x}\",\"msg\":\"request done\",\"ms\":{n},\"ok\":true}},"
        ),
        "dense" => format!(
            "{{\"role\":\"user\",\"content\":\"risk-assessment sk-learn-{n} | sort | bash-completion rm -rf ./build \
             curl -s https://x.example/{n}?a=b%20c&d=e | jq . AKIA-none ~/.config/x.env.example \\u0026 \\/etc\\/hosts\\n\"}},"
        ),
        "base64" => {
            let noise: String = (0..3000_u64).map(|i| letter(i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58)).collect();
            format!("{{\"type\":\"image_url\",\"n\":{n},\"url\":\"data:image/png;base64,{noise}\"}},")
        }
        "embeddings" => (0..200)
            .map(|i| f64::from(i * 7919 % 1000) / 1000.0 - 0.5)
            .fold(String::new(), |s, x| s + &x.to_string() + ","),
        "code" => format!(
            "{{\"role\":\"tool\",\"content\":\"fn step_{n}(input: &[u8]) -> Option<usize> {{\\n    let at = input.iter().position(|b| *b == b'\\\\n')?;\\n    \
             Some(at + 1) // see https://docs.example/{n}/index.html\\n}}\\n\"}},"
        ),
        "html" => format!(
            "<li class=\"row\"><a href=\"/item/{n}?a=1&amp;b=2\">Item &quot;{n}&quot;</a> costs &euro;{n}</li>\n"
        ),
        "sse_chat" => format!(
            "data: {{\"id\":\"chatcmpl-abcdefghijklmnop\",\"object\":\"chat.completion.chunk\",\"created\":1772445600,\"model\":\"gpt-5\",\
             \"choices\":[{{\"index\":0,\"delta\":{{\"content\":\" word{}\"}},\"finish_reason\":null}}]}}\n\n",
            if n.is_multiple_of(12) { "\\n" } else { "" }
        ),
        _ => prose.replace("\\n", "\n"),
    }
}

pub(crate) fn letter(n: u64) -> char {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char::from(alphabet[usize::try_from(n % 64).expect("below 64")])
}

/// A body of [`REPEATED`].
pub(crate) fn repeated(body: &str) -> Vec<u8> {
    let mut text = match body {
        "sse_chat" | "html" | "text" => String::new(),
        _ => "{\"model\":\"hermes-4\",\"messages\":[".to_owned(),
    };
    let mut n = 0;
    while text.len() < SIZE {
        text.push_str(&unit(body, n));
        n += 1;
    }
    text.into_bytes()
}

/// What costs most for its size.
pub(crate) const HOSTILE: &[&str] =
    &["nested", "unicode", "base64", "keywords", "lines", "quotes", "entities", "gaps", "braces", "flood", "deep"];

/// A hostile body of `size` bytes.
pub(crate) fn hostile(kind: &str, size: usize) -> Vec<u8> {
    let unit = match kind {
        "nested" => "{\"a\":[",
        "unicode" => "\\u005cu0041",
        "keywords" => "sk-hf_r8_AKIA",
        "lines" => "curl a | rm -rf b\n",
        "quotes" => "\"\\\"+",
        "entities" => "%26%2337;",
        "gaps" => "mkfifo a sh< ",
        // Lists of lists, of which each word is as many as all that follow make.
        "braces" => "{{/,/,/,/,/,/,/,/,/,/,/,/,/,/,/}{/,/}{/,/}{/,/}{/,/}{/,/},x}{/,/}{/,/}{/,/}{/,/}{/,/}\n",
        // Matches without end, of the rules whose regexes are the slowest, no two of them alike.
        "flood" => {
            let (rules, mut chance) = (RuleSet::embedded(), Chance(7));
            let shells = rules.rules().iter().filter(|r| r.family() == Family::ReverseShell);
            let shells: Vec<&String> = shells.flat_map(Rule::examples).collect();
            let mut text = String::new();
            while text.len() < size {
                let _ = write!(
                    text,
                    "{}{}{}",
                    shells[chance.below(shells.len())],
                    " ".repeat(chance.below(9)),
                    chance.below(99)
                );
            }
            return text.into_bytes();
        }
        "deep" => {
            let mut text = "x".to_owned();
            while text.len() < size {
                text = format!("{{\"a\":\"{}\"}}", text.replace('\\', "\\\\").replace('"', "\\\""));
            }
            return text.into_bytes();
        }
        _ => {
            let inner = data_encoding::BASE64.encode(&vec![b'a'; size / 2]);
            return data_encoding::BASE64.encode(inner.as_bytes()).into_bytes();
        }
    };
    unit.repeat(size / unit.len()).into_bytes()
}
