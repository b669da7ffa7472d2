//! `config check|show`: is the configuration sound, what holds, and who said so.

use super::place::{Json, Place};
use super::{Answer, YES, ca, show};
use crate::{
    config::{Authority, Config, FlagValues, Loaded, Origin, SETTINGS},
    flow::capture::ca::CaError,
};
use serde::Serialize;
use serde_json::Value;

/// Check or show the configuration
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Read everything a monitor would, and start none
    Check(Json),
    /// Every value in force and where it came from
    Show(Json),
}

#[derive(Serialize)]
struct Checked<'a> {
    schema_version: &'static str,
    ok: bool,
    home: &'a str,
    file: Option<String>,
    config_sha256: String,
    /// The verb that a `start` needs first and a `run` does not.
    start_lacks: Option<&'static str>,
}

#[derive(Serialize)]
struct Shown<'a> {
    schema_version: &'static str,
    home: &'a str,
    hermes_home: String,
    file: Option<String>,
    config_sha256: String,
    settings: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    key: &'static str,
    value: Value,
    origin: String,
    env: Option<&'static str>,
    flag: Option<&'static str>,
    attested: bool,
    meaning: &'static str,
}

pub(super) fn run(args: &Args, place: &Place) -> Answer {
    let loaded = place.load(FlagValues::default())?;
    match args.what {
        What::Check(Json { json }) => check(&loaded, json),
        What::Show(Json { json }) => show_all(&loaded, json),
    }
}

fn check(loaded: &Loaded, json: bool) -> Answer {
    let start_lacks = start_lacks(&loaded.config)?;
    let home = loaded.config.home.display().to_string();
    let file = file(loaded);
    if json {
        let config_sha256 = loaded.config.security_sha256().to_string();
        show::json(&Checked {
            schema_version: "clawsec-traffic-config-check/v1",
            ok: true,
            home: &home,
            file,
            config_sha256,
            start_lacks,
        })?;
    } else {
        let read = file.map_or_else(|| "no file, every default".to_owned(), |f| format!("read {f}"));
        show::line(format_args!("ok: {read}; state folder {home}"))?;
        if let Some(lacks) = start_lacks {
            show::note(format_args!(
                "note: `run` inspects with an authority of its own; `start` needs `{lacks}` first"
            ));
        }
    }
    Ok(YES)
}

/// The verb that a `start` needs first, and a `run` does not: no authority is asked for and none was made, so that the
/// one takes none and the other makes its own.
///
/// # Errors
/// Neither could inspect with the authority that is asked for.
fn start_lacks(config: &Config) -> Result<Option<&'static str>, CaError> {
    if !config.inspect_https || config.ca.authority(false) == Authority::Ephemeral {
        return Ok(None);
    }
    match ca::look(config) {
        Err(CaError::Missing { .. }) if config.ca.authority(true) == Authority::Ephemeral => Ok(Some("ca init")),
        looked => looked.map(|_| None),
    }
}

fn show_all(loaded: &Loaded, json: bool) -> Answer {
    let config = &loaded.config;
    let home = config.home.display().to_string();
    let hermes_home = config.hermes_home.display().to_string();
    let config_sha256 = config.security_sha256().to_string();
    if json {
        let settings = SETTINGS.iter().map(|s| Row {
            key: s.key,
            value: s.told(config).to_json(),
            origin: loaded.origin_of(s.key).to_string(),
            env: s.env,
            flag: s.flag,
            attested: s.security,
            meaning: s.meaning,
        });
        show::json(&Shown {
            schema_version: "clawsec-traffic-config/v1",
            home: &home,
            hermes_home,
            file: file(loaded),
            config_sha256,
            settings: settings.collect(),
        })?;
        return Ok(YES);
    }
    let mut table = show::table(["key", "value", "from", "meaning"]);
    for setting in SETTINGS {
        let origin = loaded.origin_of(setting.key);
        let others = match (origin, setting.env.or(setting.flag)) {
            (Origin::Default, Some(name)) => format!("default ({name})"),
            (origin, _) => origin.to_string(),
        };
        table.add_row([setting.key.to_owned(), setting.told(config).to_string(), others, setting.meaning.to_owned()]);
    }
    show::line(format_args!("state folder   {home}"))?;
    show::line(format_args!("hermes home    {hermes_home}"))?;
    show::line(format_args!("file           {}", file(loaded).as_deref().unwrap_or("-")))?;
    show::line(format_args!("config_sha256  {config_sha256}"))?;
    show::line("")?;
    show::line(table.trim_fmt())?;
    Ok(YES)
}

fn file(loaded: &Loaded) -> Option<String> {
    loaded.file.as_ref().map(|path| path.display().to_string())
}
