//! `scan`: the detector alone, over texts given to it.
//!
//! What a text says around a finding is shown to a person alone, once all of the text was looked through and everything any
//! rule finds in it was taken out.

mod line;
mod told;

use super::place::{Json, Place};
use super::{Answer, Trouble, progress::Progress, show, word::one_of};
use crate::flow::{
    detect::{Detector, offline},
    redact::Surroundings,
};
use line::Line;
use posture::{Direction, Severity};
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    sync::Arc,
};
use told::{Form, Pending, Sums, Told};

/// No text is longer: what a monitor would look at of one message fits many times.
const MAX_TEXT: u64 = 256 << 20;

/// Look for secrets and commands in texts, offline
///
/// The state folder is neither needed nor made. A text that begins with a request line or a status line is a request or
/// response; anything else is a body. Below each finding stands its line, everything any rule finds in it taken out, and
/// every word that may be a secret. Exits with 1 if anything was found, with 74 if a text could not be read; the others are
/// scanned all the same.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Texts to scan; stdin without any
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Which way the texts would go, seen from the agent: outbound or inbound
    #[arg(long, value_parser = one_of(Direction::ALL), required_unless_present = "jsonl", conflicts_with = "jsonl")]
    direction: Option<Direction>,
    /// Reads lines {"id","direction","text"} with an optional "host", and answers in lines; other fields are left aside
    #[arg(long)]
    jsonl: bool,
    /// Leaves out what is less severe: info, low, medium, high or critical
    #[arg(long, value_name = "SEVERITY", value_parser = one_of(Severity::ALL), default_value = "low")]
    min_severity: Severity,
    #[command(flatten)]
    json: Json,
}

pub(super) fn run(args: &Args, place: &Place) -> Answer {
    let config = place.config_if_any()?;
    let rules = config.rules();
    let mut scan = Scan {
        detector: Detector::with_rules(Arc::clone(&rules), config.scan, &config.audience, None),
        least: args.min_severity,
        told: Told {
            form: match (args.jsonl, args.json.json) {
                (true, _) => Form::Lines,
                (false, true) => Form::Report(Vec::new()),
                (false, false) => Form::Human(Pending::new(Surroundings::new(rules))),
            },
            sums: Sums::default(),
        },
        bad_lines: 0,
        progress: Progress::new("scanning"),
    };
    let done = inputs(args).try_for_each(|path| match args.direction {
        Some(direction) => scan.text(path, direction),
        None => scan.lines(path),
    });
    let Scan { told, bad_lines, progress, .. } = scan;
    drop(progress);
    let code = told.end(done)?;
    if bad_lines > 0 {
        let lines = if bad_lines == 1 { "line was" } else { "lines were" };
        return Err(Trouble::usage(format!("{bad_lines} {lines} not scanned")));
    }
    Ok(code)
}

/// The files named, or stdin: `None`.
fn inputs(args: &Args) -> impl Iterator<Item = Option<&Path>> {
    let files = args.files.iter().map(|path| Some(path.as_path()).filter(|p| *p != Path::new("-")));
    files.chain(args.files.is_empty().then_some(None))
}

struct Scan {
    detector: Arc<Detector>,
    least: Severity,
    told: Told,
    bad_lines: u64,
    progress: Progress,
}

impl Scan {
    /// A whole input as one text. One that cannot be read is told, and the others are scanned.
    fn text(&mut self, path: Option<&Path>, direction: Direction) -> Result<(), Trouble> {
        match read_whole(path) {
            Ok(text) => {
                let id = shown(path).to_string_lossy();
                self.one(&id, direction, &text, None)
            }
            Err(trouble) => {
                self.unread(&trouble);
                Ok(())
            }
        }
    }

    fn unread(&mut self, trouble: &Trouble) {
        self.progress.clear();
        show::trouble(trouble);
        self.told.sums.unread += 1;
    }

    /// An input of one text a line, each answered before the next is read.
    fn lines(&mut self, path: Option<&Path>) -> Result<(), Trouble> {
        let mut input = match open(path) {
            Ok(input) => BufReader::new(input),
            Err(trouble) => {
                self.unread(&trouble);
                return Ok(());
            }
        };
        let mut line = Vec::new();
        for number in 1_u64.. {
            line.clear();
            let read = (&mut input).take(MAX_TEXT).read_until(b'\n', &mut line);
            match read {
                Ok(0) => break,
                Ok(_) => {}
                Err(e) => {
                    self.unread(&trouble_with(path, &e));
                    break;
                }
            }
            // Some editors and shells put the mark of UTF-8 before a file.
            let line: &[u8] = if number == 1 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line) } else { &line };
            let text = line.trim_ascii();
            if text.is_empty() {
                continue;
            }
            let line = match Line::read(text) {
                Ok(line) => line,
                Err(why) => {
                    self.bad_line(&Trouble::usage(format!("{} line {number}: {why}", shown(path).display())));
                    continue;
                }
            };
            self.one(&line.id, line.direction, line.text.as_bytes(), line.host.as_deref())?;
        }
        Ok(())
    }

    fn bad_line(&mut self, trouble: &Trouble) {
        self.progress.clear();
        show::trouble(trouble);
        self.bad_lines += 1;
    }

    fn one(&mut self, id: &str, direction: Direction, text: &[u8], host: Option<&str>) -> Result<(), Trouble> {
        let mut shown = Ok(());
        let (detector, told, least) = (Arc::clone(&self.detector), &mut self.told, self.least);
        let scanned = offline::scan(&detector, direction, text, host, &mut |hit| {
            if !hit.expected && hit.severity >= least && shown.is_ok() {
                shown = told.hit(id, hit);
            }
        });
        if self.told.waits() {
            self.progress.clear();
        }
        shown = shown.and_then(|()| self.told.text());
        if let Some(why) = scanned.unscanned {
            self.told.sums.in_part += 1;
            if self.told.is_for_a_person() {
                let (looked, all) = (scanned.bytes, text.len());
                self.progress.clear();
                show::note(format_args!("{}: {looked} of {all} bytes were looked at ({why})", show::plain(id)));
            }
        }
        self.progress.tick(text.len() as u64);
        shown
    }
}

fn read_whole(path: Option<&Path>) -> Result<Vec<u8>, Trouble> {
    let mut text = Vec::new();
    let read = open(path)?.take(MAX_TEXT + 1).read_to_end(&mut text);
    read.map_err(|e| trouble_with(path, &e))?;
    if text.len() as u64 > MAX_TEXT {
        let message = format!("{} is longer than 256 MiB", shown(path).display());
        return Err(Trouble::io(message).hint("`split -C 256M` makes pieces of it, at ends of lines"));
    }
    Ok(text)
}

fn open(path: Option<&Path>) -> Result<Box<dyn Read>, Trouble> {
    match path {
        None => Ok(Box::new(io::stdin())),
        Some(path) => match File::open(path) {
            Ok(file) => Ok(Box::new(file)),
            Err(e) => Err(trouble_with(Some(path), &e)),
        },
    }
}

fn trouble_with(path: Option<&Path>, error: &io::Error) -> Trouble {
    let trouble = Trouble::file("read", shown(path), error);
    match error.kind() {
        io::ErrorKind::IsADirectory => trouble.hint("give the files in it, such as DIR/*"),
        _ => trouble,
    }
}

fn shown(path: Option<&Path>) -> &Path {
    path.unwrap_or(Path::new("stdin"))
}
