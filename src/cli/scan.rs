//! `scan`: the detector alone, over texts given to it.

use super::place::{Json, Place};
use super::{Answer, NO, Trouble, YES, show, trouble};
use crate::flow::{
    detect::{Detector, Hit, offline},
    redact,
};
use posture::{Direction, Encoding, Placement, Severity};
use serde::{Deserialize, Serialize};
use std::{
    borrow::Cow,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

/// No text is longer: what a monitor would look at of one message fits many times.
const MAX_TEXT: u64 = 256 << 20;

/// Look for secrets and commands in texts, offline
///
/// The state folder is neither needed nor made. A text that begins with a request line or a status line is a request or
/// response; anything else is a body. Exits with 1 if anything was found.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Texts to scan; stdin without any
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Which way the texts would go, seen from the agent: outbound or inbound
    #[arg(long, required_unless_present = "jsonl", conflicts_with = "jsonl")]
    direction: Option<Direction>,
    /// Reads lines {"id","direction","text"} with an optional "host", and answers in lines
    #[arg(long)]
    jsonl: bool,
    /// Leaves out what is less severe: info, low, medium, high or critical
    #[arg(long, value_name = "SEVERITY", default_value = "low")]
    min_severity: Severity,
    #[command(flatten)]
    json: Json,
}

/// One line of `--jsonl`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    direction: Direction,
    #[serde(borrow)]
    text: Cow<'a, str>,
    #[serde(borrow, default)]
    host: Option<Cow<'a, str>>,
}

/// What was found: nothing of the text is in it.
#[derive(Serialize)]
struct Found<'a> {
    id: &'a str,
    direction: Direction,
    threat_type: posture::ThreatType,
    pattern: posture::Family,
    rule: &'a str,
    severity: Severity,
    placement: Placement,
    encoding: &'a [Encoding],
    snippet: String,
}

#[derive(Serialize)]
struct Report {
    schema_version: &'static str,
    findings: Vec<serde_json::Value>,
}

pub(super) fn run(args: &Args, place: &Place) -> Answer {
    let config = place.config_if_any()?;
    let detector = Detector::with_rules(config.rules(), config.scan, &config.audience, None);
    let mut scan =
        Scan { detector, least: args.min_severity, found: 0, bad_lines: 0, kept: Vec::new(), form: Form::Human };
    if args.jsonl {
        scan.form = Form::Lines;
    } else if args.json.json {
        scan.form = Form::Report;
    }
    let done = inputs(args).try_for_each(|path| match args.direction {
        Some(direction) => scan.text(path, direction),
        None => scan.lines(path),
    });
    let told = done.and_then(|()| match scan.form {
        Form::Report => {
            show::json(&Report { schema_version: "clawsec-traffic-scan/v1", findings: std::mem::take(&mut scan.kept) })
        }
        Form::Human | Form::Lines => Ok(()),
    });
    let code = trouble::whoever_listens(told, if scan.found > 0 { NO } else { YES })?;
    if scan.bad_lines > 0 {
        return Err(Trouble::usage(format!("{} lines were not scanned", scan.bad_lines)));
    }
    Ok(code)
}

/// The files named, or stdin: `None`.
fn inputs(args: &Args) -> impl Iterator<Item = Option<&Path>> {
    let files = args.files.iter().map(|path| Some(path.as_path()).filter(|p| *p != Path::new("-")));
    files.chain(args.files.is_empty().then_some(None))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Human,
    Lines,
    Report,
}

struct Scan {
    detector: Arc<Detector>,
    least: Severity,
    found: u64,
    bad_lines: u64,
    kept: Vec<serde_json::Value>,
    form: Form,
}

impl Scan {
    /// A whole input as one text.
    fn text(&mut self, path: Option<&Path>, direction: Direction) -> Result<(), Trouble> {
        let mut text = Vec::new();
        let read = open(path)?.take(MAX_TEXT + 1).read_to_end(&mut text);
        read.map_err(|e| Trouble::file("read", shown(path), &e))?;
        if text.len() as u64 > MAX_TEXT {
            return Err(Trouble::usage(format!("{} is longer than 256 MiB", shown(path).display())));
        }
        let id = shown(path).to_string_lossy();
        self.one(&id, direction, &text, None)
    }

    /// An input of one text a line, each answered before the next is read.
    fn lines(&mut self, path: Option<&Path>) -> Result<(), Trouble> {
        let mut input = BufReader::new(open(path)?);
        let mut line = Vec::new();
        for number in 1_u64.. {
            line.clear();
            let read = (&mut input).take(MAX_TEXT).read_until(b'\n', &mut line);
            if read.map_err(|e| Trouble::file("read", shown(path), &e))? == 0 {
                break;
            }
            let text = line.trim_ascii();
            if text.is_empty() {
                continue;
            }
            let Ok(line) = serde_json::from_slice::<Line<'_>>(text) else {
                self.bad_lines += 1;
                // The parser's own words would repeat the text.
                let expected = r#"expected {"id","direction","text"} and perhaps "host", all text"#;
                show::trouble(&Trouble::usage(format!("{} line {number}: {expected}", shown(path).display())));
                continue;
            };
            self.one(&line.id, line.direction, line.text.as_bytes(), line.host.as_deref())?;
        }
        Ok(())
    }

    fn one(&mut self, id: &str, direction: Direction, text: &[u8], host: Option<&str>) -> Result<(), Trouble> {
        let mut shown = Ok(());
        let detector = Arc::clone(&self.detector);
        offline::scan(&detector, direction, text, host, &mut |hit| {
            if !hit.expected && hit.severity >= self.least && shown.is_ok() {
                shown = self.show(id, hit);
            }
        });
        shown
    }

    fn show(&mut self, id: &str, hit: &Hit<'_>) -> Result<(), Trouble> {
        self.found += 1;
        let family = hit.rule.family();
        let found = Found {
            id,
            direction: hit.direction,
            threat_type: family.threat_type(),
            pattern: family,
            rule: hit.rule.id().as_str(),
            severity: hit.severity,
            placement: hit.placement,
            encoding: hit.encoding,
            snippet: redact::snippet(hit),
        };
        match self.form {
            Form::Lines => show::json(&found),
            Form::Report => {
                self.kept.push(serde_json::to_value(&found).map_err(io::Error::from)?);
                Ok(())
            }
            Form::Human => {
                let decoded: Vec<_> = found.encoding.iter().map(|e| e.as_str()).collect();
                let by = if decoded.is_empty() { String::new() } else { format!(" by way of {}", decoded.join(" > ")) };
                let severity = show::severity(found.severity);
                let Found { rule, placement, snippet, .. } = &found;
                show::line(format_args!("{}: {severity} {rule} in {placement}{by}: {snippet}", show::plain(id)))
            }
        }
    }
}

fn open(path: Option<&Path>) -> Result<Box<dyn Read>, Trouble> {
    match path {
        None => Ok(Box::new(io::stdin())),
        Some(path) => match File::open(path) {
            Ok(file) => Ok(Box::new(file)),
            Err(e) => Err(Trouble::file("read", path, &e)),
        },
    }
}

fn shown(path: Option<&Path>) -> &Path {
    path.unwrap_or(Path::new("stdin"))
}
