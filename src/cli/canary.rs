//! `canary new|list|remove`: values nothing legitimate sends, to plant where nobody should look.

use super::place::{Json, Place};
use super::{Answer, Trouble, YES, show, threats};
use crate::{
    clock,
    config::Config,
    flow::{
        detect::known::{DigestKeys, MAX_CANARIES, Planted, new_canary},
        redact::Redactor,
    },
    home::{self, Home, file},
    monitor::{canary_files, read_canary},
};
use keys::FingerprintKey;
use posture::{Family, Fingerprint, Timestamp};
use serde::Serialize;
use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// Plant a value that nothing legitimate sends
///
/// Put it where nobody should look: a file, a note, a variable of another program. A monitor that sees it in any
/// message, going out or coming in, makes a critical finding.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Print a new one, once; a keyed digest of it is kept
    New(Json),
    /// When each was made, and whether it was seen
    List(Json),
    /// Look for one no longer
    Remove {
        /// Its name, as `list` has it
        id: String,
    },
}

#[derive(Serialize)]
struct Planting<'a> {
    schema_version: &'static str,
    canary: &'a str,
    id: &'a Fingerprint,
    made_at: Timestamp,
}

#[derive(Serialize)]
struct List {
    schema_version: &'static str,
    canaries: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    id: Fingerprint,
    /// Unless its file cannot be read.
    made_at: Option<Timestamp>,
    /// Whether the monitor can recognise it: its file can be read, and it was made under the fingerprint key of now.
    recognised: bool,
    /// Sightings in the log that is retained.
    seen: u64,
    last_seen_at: Option<Timestamp>,
}

pub(super) fn run(args: &Args, place: &Place) -> Answer {
    let config = place.config()?;
    match &args.what {
        What::New(Json { json }) => new(&config, *json),
        What::List(Json { json }) => list(&config, *json),
        What::Remove { id } => remove(&config, id),
    }
}

fn new(config: &Config, json: bool) -> Answer {
    let home = Home::of(config);
    let key = fingerprint_key(config)?;
    let folder = home.canaries_dir();
    match fs::DirBuilder::new().mode(0o700).create(&folder) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(Trouble::file("make", &folder, &e)),
        _ => home::ours(&folder)?,
    }
    if files(&folder)?.len() >= MAX_CANARIES {
        return Err(Trouble::no(format!("{MAX_CANARIES} canaries are planted: more are not looked for"))
            .hint("`canary list` shows them, `canary remove` makes room"));
    }
    let value = new_canary().map_err(|e| Trouble::io(e.to_string()))?;
    let id = Redactor::new(key.expose()).fingerprint(value.as_bytes());
    let planted = Planted::new(&keys(&key), &value, id, clock::now());
    let path = path_of(&folder, &planted.fingerprint);
    file::create(&path, file::PRIVATE, &planted.to_bytes()).map_err(|e| Trouble::file("write", &path, &e))?;
    let (id, made_at) = (&planted.fingerprint, planted.made_at);
    let shown = if json {
        let schema_version = "clawsec-traffic-canary-new/v1";
        show::json(&Planting { schema_version, canary: &value, id, made_at })
    } else {
        show::line(value.as_str())
    };
    if let Err(trouble) = shown {
        // Nobody has seen it, and nobody can any more.
        file::remove(&path).map_err(|e| Trouble::file("remove", &path, &e))?;
        return Err(match trouble {
            Trouble::Closed => Trouble::io("nobody took the canary: it is not planted"),
            said @ Trouble::Said { .. } => said.hint("the canary could not be shown, and is not planted"),
        });
    }
    if !json {
        show::note(format_args!(
            "this is canary {id}; it is not shown again. A running monitor knows it within seconds"
        ));
    }
    Ok(YES)
}

fn list(config: &Config, json: bool) -> Answer {
    let home = Home::of(config);
    let paths = files(&home.canaries_dir())?;
    let mut canaries = Vec::with_capacity(paths.len());
    if !paths.is_empty() {
        let keys = keys(&fingerprint_key(config)?);
        let found = threats::of_family(home.log_dir(), Family::Canary)?;
        for (id, path) in paths {
            // One whose file is lost was seen all the same.
            let planted = read_canary(&path).ok();
            let sightings = found.iter().filter(|(finding, _)| finding.fingerprint == id);
            canaries.push(Row {
                recognised: planted.as_ref().is_some_and(|planted| planted.recognised(&keys).is_ok()),
                seen: sightings.clone().map(|(_, folded)| 1 + folded).sum(),
                last_seen_at: sightings.map(|(finding, _)| finding.timestamp).max(),
                id,
                made_at: planted.map(|planted| planted.made_at),
            });
        }
        canaries.sort_by_key(|row| row.made_at);
    }
    if json {
        show::json(&List { schema_version: "clawsec-traffic-canaries/v1", canaries })?;
        return Ok(YES);
    }
    if canaries.is_empty() {
        show::note("no canaries");
        return Ok(YES);
    }
    let mut table = show::table(["canary", "made", "seen", "last"]);
    for row in canaries {
        let unknown = match row.made_at {
            None => "; not looked for: its file cannot be read",
            Some(_) if !row.recognised => "; not looked for: another fingerprint key",
            Some(_) => "",
        };
        let [made, last] =
            [row.made_at, row.last_seen_at].map(|at| at.map_or_else(|| "-".to_owned(), |at| at.to_string()));
        table.add_row([row.id.to_string(), made, format!("{}{unknown}", row.seen), last]);
    }
    show::line(table.trim_fmt())?;
    Ok(YES)
}

fn remove(config: &Config, id: &str) -> Answer {
    let unknown = || Trouble::no("there is no such canary").hint("`canary list` shows them");
    let id: Fingerprint = id.parse().map_err(|_| unknown())?;
    let path = path_of(&Home::of(config).canaries_dir(), &id);
    match fs::remove_file(&path) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(unknown()),
        Err(e) => return Err(Trouble::file("remove", &path, &e)),
    }
    show::note(format_args!("canary {id} is looked for no longer; what was found of it stays in the log"));
    Ok(YES)
}

/// The planted canaries, by their names.
fn files(folder: &Path) -> Result<Vec<(Fingerprint, PathBuf)>, Trouble> {
    let paths = match canary_files(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
        paths => paths.map_err(|e| Trouble::file("read", folder, &e))?,
    };
    let named = |path: PathBuf| Some((path.file_stem()?.to_str()?.parse().ok()?, path));
    Ok(paths.into_iter().filter_map(named).collect())
}

fn path_of(folder: &Path, id: &Fingerprint) -> PathBuf {
    folder.join(format!("{id}.json"))
}

fn fingerprint_key(config: &Config) -> Result<FingerprintKey, Trouble> {
    FingerprintKey::read(&config.keys_dir).map_err(|e| {
        let trouble = Trouble::from_error(&e);
        if e.is_not_found() { trouble.hint("the first `start` makes the key") } else { trouble }
    })
}

/// The keys of canaries: nothing here is one process' alone.
fn keys(fingerprint_key: &FingerprintKey) -> DigestKeys {
    DigestKeys::new(fingerprint_key.expose(), &[0; 32])
}
