//! `threats`: the findings in the log, as they were written.

mod log;
mod ocsf;
mod report;
mod sarif;

use super::place::{Json, Place};
use super::{Answer, Trouble, YES, show, word::one_of};
use crate::{clock, home::Home};
use attest::chain::Record;
use clap::ValueEnum;
use log::{Tail, each_record};
use posture::{Direction, EventBody, Family, FindingRecord, Severity, Timestamp};
use report::Report;
use sarif::Sarif;
use std::{
    collections::{HashMap, VecDeque},
    io::{self, Write},
    path::Path,
    time::Duration,
};

/// How many findings a table shows unless told otherwise.
const TABLE_LIMIT: usize = 100;
/// How often `--follow` looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Show the findings in the log
///
/// They are shown as the log has them; whether the log is as it was written is what `verify` answers.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Not older than this: a span such as 24h, or a time such as 2026-04-26T00:00:00.000Z
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Since>,
    /// At least this severe: info, low, medium, high or critical
    #[arg(long, value_parser = one_of(Severity::ALL))]
    severity: Option<Severity>,
    /// Of this family, such as `ai_api_key`
    #[arg(long, value_parser = one_of(Family::ALL))]
    family: Option<Family>,
    /// Going this way: outbound or inbound
    #[arg(long, value_parser = one_of(Direction::ALL))]
    direction: Option<Direction>,
    /// The newest so many [default: 100 in a table, else all]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// How to show them; jsonl gives the records of the log, sarif one SARIF 2.1.0 log, ocsf a Detection Finding a line
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Goes on with what is found from here on
    #[arg(long, conflicts_with = "json")]
    follow: bool,
    #[command(flatten)]
    json: Json,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Jsonl,
    Sarif,
    Ocsf,
}

#[derive(Clone, Copy)]
pub(super) enum Since {
    Ago(Duration),
    Time(Timestamp),
}

impl Since {
    /// The earliest time that is shown. Longer ago than time goes back is since ever.
    pub(super) fn of(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(span) => now.plus(-chrono::Duration::from_std(span).unwrap_or(chrono::Duration::MAX)),
            Self::Time(time) => time,
        }
    }
}

struct Found {
    finding: FindingRecord,
    folded: u64,
}

pub(super) fn run(args: &Args, place: &Place) -> Answer {
    let home = Home::of(&place.places()?);
    let filter = Filter::new(args);
    if args.json.json && args.format != Format::Table {
        return Err(Trouble::usage("--json is a form of its own: it takes no --format"));
    }
    if args.follow && args.format == Format::Sarif {
        return Err(Trouble::usage("a SARIF log ends: --follow takes jsonl, ocsf or table"));
    }
    let (unreadable, tail) = if args.format == Format::Table && !args.json.json {
        let mut found = Shelf { keep: args.limit.unwrap_or(TABLE_LIMIT), ..Shelf::default() };
        let tail = found.fill(home.log_dir(), &filter)?;
        show_all(&found)?;
        (found.unreadable, tail)
    } else {
        stream(home.log_dir(), &filter, args)?
    };
    if tail.is_none() {
        show::note(format_args!("there is no log in {} yet", home.log_dir().display()));
    }
    if args.follow {
        follow(home.log_dir(), tail, &filter, args.format)?;
    }
    if unreadable > 0 {
        let message = format!("{unreadable} lines of the log are not what the monitor writes");
        return Err(Trouble::io(message).hint("`verify` tells where the log was altered"));
    }
    Ok(YES)
}

/// Every finding of a family, with how many sightings were folded into it.
pub(super) fn of_family(folder: &Path, family: Family) -> Result<Vec<(FindingRecord, u64)>, Trouble> {
    let mut found = Shelf { keep: usize::MAX, ..Shelf::default() };
    found.fill(folder, &Filter { since: None, severity: None, family: Some(family), direction: None })?;
    Ok(found.kept.into_iter().map(|Found { finding, folded }| (finding, folded)).collect())
}

/// Shows findings as they are read: each is shown and forgotten. What was seen again, and which are the newest, is counted
/// before, where it is asked for. Answers how many lines were not readable, and the last file.
fn stream(folder: &Path, filter: &Filter, args: &Args) -> Result<(u64, Option<Tail>), Trouble> {
    let Args { format, limit, .. } = *args;
    let (mut all, mut unreadable, mut folds) = (0_usize, 0, HashMap::new());
    let seen_again = format != Format::Jsonl;
    if seen_again || limit.is_some() {
        each_record(folder, |record| {
            match record {
                None => {}
                Some(Record::Finding(finding)) => all += usize::from(filter.takes(&finding)),
                Some(Record::Event(event)) => {
                    if let EventBody::Fold { count, finding_seq } = event.event
                        && seen_again
                    {
                        *folds.entry(finding_seq).or_insert(0) += count;
                    }
                }
            }
            Ok(())
        })?;
    }
    let mut out = Out::begin(args)?;
    let before = all.saturating_sub(limit.unwrap_or(usize::MAX));
    let mut at = 0;
    let tail = each_record(folder, |record| {
        let Some(record) = record else {
            unreadable += 1;
            return Ok(());
        };
        let Record::Finding(finding) = record else { return Ok(()) };
        if filter.takes(&finding) {
            at += 1;
            if at > before {
                return out.finding(&finding, folds.get(&finding.seq).copied().unwrap_or(0));
            }
        }
        Ok(())
    })?;
    out.end(before as u64, unreadable)?;
    Ok((unreadable, tail))
}

/// Findings on their way to stdout.
enum Out {
    Lines(Format, show::Stream),
    Sarif(Sarif<show::Stream>),
    Report(Report<show::Stream>),
}

impl Out {
    fn begin(args: &Args) -> Result<Self, Trouble> {
        let out = show::stream();
        Ok(match args.format {
            _ if args.json.json => Self::Report(Report::begin(out)?),
            Format::Sarif => Self::Sarif(Sarif::begin(out)?),
            format => Self::Lines(format, out),
        })
    }

    fn finding(&mut self, finding: &FindingRecord, folded: u64) -> Result<(), Trouble> {
        match self {
            Self::Sarif(log) => log.result(finding, folded)?,
            Self::Report(report) => report.finding(finding, folded)?,
            Self::Lines(format, out) => {
                let written = match format {
                    Format::Ocsf => serde_json::to_writer(&mut *out, &ocsf::event(finding, folded)),
                    _ => serde_json::to_writer(&mut *out, finding),
                };
                written.map_err(io::Error::from)?;
                out.write_all(b"\n")?;
            }
        }
        Ok(())
    }

    fn end(self, not_shown: u64, unreadable: u64) -> Result<(), Trouble> {
        match self {
            Self::Sarif(log) => log.end()?,
            Self::Report(report) => report.end(not_shown, unreadable)?,
            Self::Lines(_, mut out) => out.flush()?,
        }
        Ok(())
    }
}

fn show_all(found: &Shelf) -> Result<(), Trouble> {
    if found.kept.is_empty() && found.not_shown == 0 {
        show::note("no findings");
        return Ok(());
    }
    let mut rows = show::table(["time", "severity", "way", "rule", "where", "in", "what", "again"]);
    for Found { finding, folded } in &found.kept {
        let again = if *folded == 0 { String::new() } else { format!("+{folded}") };
        rows.add_row([
            finding.timestamp.to_string(),
            show::severity(finding.severity),
            finding.direction.to_string(),
            show::plain(finding.rule.as_str()),
            show::plain(&finding.dest),
            finding.placement.to_string(),
            show::plain(&finding.snippet),
            again,
        ]);
    }
    if !found.kept.is_empty() {
        show::line(rows.trim_fmt())?;
    }
    if found.not_shown > 0 {
        show::note(format_args!("{} older ones not shown (--limit)", found.not_shown));
    }
    Ok(())
}

/// What is shown of the log, and the sums beside it.
#[derive(Default)]
struct Shelf {
    keep: usize,
    kept: VecDeque<Found>,
    not_shown: u64,
    unreadable: u64,
}

impl Shelf {
    /// Takes every segment of the log in `folder`; answers the last one read.
    fn fill(&mut self, folder: &Path, filter: &Filter) -> Result<Option<Tail>, Trouble> {
        each_record(folder, |record| {
            self.add(record, filter);
            Ok(())
        })
    }

    fn add(&mut self, record: Option<Record>, filter: &Filter) {
        match record {
            None => self.unreadable += 1,
            Some(Record::Finding(finding)) if filter.takes(&finding) => {
                self.kept.push_back(Found { finding: *finding, folded: 0 });
                if self.kept.len() > self.keep {
                    self.kept.pop_front();
                    self.not_shown += 1;
                }
            }
            Some(Record::Event(event)) => {
                if let EventBody::Fold { count, finding_seq } = event.event {
                    let at = self.kept.binary_search_by_key(&finding_seq, |f| f.finding.seq);
                    if let Ok(at) = at {
                        self.kept[at].folded += count;
                    }
                }
            }
            Some(Record::Finding(_)) => {}
        }
    }
}

struct Filter {
    since: Option<Timestamp>,
    severity: Option<Severity>,
    family: Option<Family>,
    direction: Option<Direction>,
}

impl Filter {
    fn new(args: &Args) -> Self {
        let since = args.since.map(|since| since.of(clock::now()));
        Self { since, severity: args.severity, family: args.family, direction: args.direction }
    }

    fn takes(&self, finding: &FindingRecord) -> bool {
        self.since.is_none_or(|since| finding.timestamp >= since)
            && self.severity.is_none_or(|least| finding.severity >= least)
            && self.family.is_none_or(|family| finding.pattern.as_str() == family.as_str())
            && self.direction.is_none_or(|direction| finding.direction == direction)
    }
}

pub(super) fn since(text: &str) -> Result<Since, &'static str> {
    if let Ok(time) = text.parse() {
        return Ok(Since::Time(time));
    }
    humantime::parse_duration(text).map(Since::Ago).map_err(|_| "expected 24h or 2026-04-26T00:00:00.000Z")
}

/// Shows what is appended, until nobody listens. A segment that is sealed is renamed: its rest is read, then the new one.
fn follow(folder: &Path, mut tail: Option<Tail>, filter: &Filter, format: Format) -> Result<(), Trouble> {
    let newest = folder.join("findings.jsonl");
    loop {
        std::thread::sleep(LOOK_EVERY);
        let replaced = tail.as_ref().is_none_or(|t| t.path != newest || !t.is_still());
        if let Some(tail) = &mut tail {
            tail.read(|record| show_one(record, filter, format))?;
        }
        if replaced && newest.exists() {
            tail = Some(Tail::open(&newest)?);
        }
    }
}

fn show_one(record: Option<Record>, filter: &Filter, format: Format) -> Result<(), Trouble> {
    let Some(Record::Finding(finding)) = record else { return Ok(()) };
    if !filter.takes(&finding) {
        return Ok(());
    }
    match format {
        Format::Jsonl => return show::json(&finding),
        Format::Ocsf => return show::json(&ocsf::event(&finding, 0)),
        Format::Table | Format::Sarif => {}
    }
    show::line(format_args!(
        "{}  {:8}  {}  {}  {}  {}  {}",
        finding.timestamp,
        show::severity(finding.severity),
        finding.direction,
        show::plain(finding.rule.as_str()),
        show::plain(&finding.dest),
        finding.placement,
        show::plain(&finding.snippet),
    ))
}
