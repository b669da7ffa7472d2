//! File, environment and flags → a checked configuration, and who said what.

use super::{
    AudienceEntry, Config, ConfigError, ENV_CONFIG, ENV_HOME, ENV_PREFIX, Origin, SETTINGS, Setting,
    check::segment_bounds,
    error::Reason,
    file::{self, For, Raw},
    folder::{expand, folders},
    rules, settings,
};
use crate::flow::detect::rule::is_plain;
use posture::{Protocol, Retention};
use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsString,
    path::{Path, PathBuf},
};

/// The settings a reader of the folder needs, which it takes from the folder's own `config.toml` alone.
pub(super) const SEGMENT_BYTES: &str = "retention.segment_bytes";
pub(super) const PLACES: [&str; 2] = ["log_dir", "attestation_output"];

/// Where the private keys are: no reader of the folder needs it.
pub(super) const KEYS_DIR: &str = "keys.dir";
const AUDIENCE: &str = "audience";
/// Whether a setting is read, by its key.
type Takes<'t> = &'t dyn Fn(&str) -> bool;
/// The server of an `[[audience]]`: its scheme, host and port.
type Server = (Protocol, String, u16);

/// Where settings come from. The process' own are [`Sources::process`].
pub struct Sources<'s> {
    /// Reads one environment variable.
    pub env: &'s dyn Fn(&str) -> Option<OsString>,
    /// What the command line says.
    pub flags: FlagValues,
}

/// What the command line says. `None` and `false` are a flag not given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlagValues {
    /// `--home`
    pub home: Option<PathBuf>,
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--listen`
    pub listen: Option<String>,
    /// `--allow-remote`
    pub allow_remote: bool,
    /// `--export-every`
    pub export_every: Option<String>,
    /// `--inspect-https`
    pub inspect_https: bool,
}

impl Sources<'_> {
    /// The environment of this process and these flags.
    pub fn process(flags: FlagValues) -> Self {
        Self { env: &|name| std::env::var_os(name), flags }
    }
}

/// A checked configuration and where each of its values came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    /// By key of [`SETTINGS`]; a key that is not here has its default.
    pub origin: BTreeMap<&'static str, Origin>,
    /// The configuration file that was read, if there was one.
    pub file: Option<PathBuf>,
}

impl Config {
    /// Reads all four sources and checks what they say together.
    ///
    /// # Errors
    /// The first key that is unknown, has a bad value, contradicts another or would not be used, with its place; a
    /// file that was named and cannot be read, or that others may write to.
    pub fn load(sources: &Sources<'_>) -> Result<Loaded, ConfigError> {
        let (mut loaded, signed_places) = Loaded::read(sources, &|_| true)?;
        for (key, name, text) in sources.flags.settings() {
            let setting = settings::of(key).expect("every flag is of a setting");
            loaded.apply(setting, &Raw::Text(text), Origin::Flag(name))?;
        }
        loaded.derive();
        loaded.check(&signed_places)?;
        Ok(loaded)
    }

    /// Where things are, and of all else the defaults: for who looks at a state folder whose configuration is not sound.
    ///
    /// # Errors
    /// A file that cannot be read or is no TOML; a place that is none, or that a reader of the folder would not look in.
    pub fn places(sources: &Sources<'_>) -> Result<Self, ConfigError> {
        let (loaded, signed_places) = Loaded::read(sources, &|key| PLACES.contains(&key) || key == KEYS_DIR)?;
        loaded.check_places(&signed_places)?;
        Ok(loaded.config)
    }

    /// Every default, for the folders that these sources name.
    ///
    /// # Errors
    /// When the folders cannot be told from these sources.
    pub fn bare(sources: &Sources<'_>) -> Result<Self, ConfigError> {
        folders(sources).map(|(home, hermes_home)| Self::defaults(home, hermes_home))
    }
}

impl FlagValues {
    /// Key, flag and value of each flag that was given.
    fn settings(&self) -> Vec<(&'static str, &'static str, String)> {
        let mut given = Vec::new();
        given.extend(self.allow_remote.then(|| ("allow_remote", "--allow-remote", "true".to_owned())));
        given.extend(self.inspect_https.then(|| ("inspect_https", "--inspect-https", "true".to_owned())));
        given.extend(self.listen.clone().map(|v| ("listen", "--listen", v)));
        given.extend(self.export_every.clone().map(|v| ("export_every", "--export-every", v)));
        given
    }
}

impl Loaded {
    /// Where the value of this key came from.
    pub fn origin_of(&self, key: &str) -> &Origin {
        self.origin.get(key).unwrap_or(&Origin::Default)
    }

    /// What the file and the environment say of these settings, and which places a reader of the folder looks in.
    fn read(sources: &Sources<'_>, takes: Takes<'_>) -> Result<(Self, [PathBuf; 2]), ConfigError> {
        let config = Config::bare(sources)?;
        let standing = config.home.join("config.toml");
        let named = match &sources.flags.config {
            Some(path) => Some(path.clone()),
            None => environment(sources, ENV_CONFIG)?.map(|path| expand(path.into(), sources)).transpose()?,
        };
        let ours = For::Us(&config.home);
        let file = match &named {
            Some(path) => file::required(path, ours)?,
            None => file::optional(&standing, ours)?,
        };

        let mut loaded = Self::of(config);
        if let Some(file) = &file {
            loaded.apply_file(file, takes)?;
            loaded.file = Some(file.path.clone());
        }
        let signed_places = match &file {
            Some(file) if file.path == standing => loaded.places(),
            _ => places_in(&loaded.config.home)?,
        };
        for setting in SETTINGS.iter().filter(|setting| takes(setting.key)) {
            let Some(name) = setting.env else { continue };
            if let Some(text) = environment(sources, name)? {
                let text = text.into_string().map_err(|_| ConfigError::NotText { name })?;
                loaded.apply(setting, &Raw::Text(text), Origin::Environment(name))?;
            }
        }
        loaded.config.keys_are_lent = matches!(loaded.origin_of(KEYS_DIR), Origin::Environment(_));
        Ok((loaded, signed_places))
    }

    fn apply_file(&mut self, file: &file::File, takes: Takes<'_>) -> Result<(), ConfigError> {
        let entries = file.entries.iter().filter(|entry| takes(&entry.key));
        // What others refer to comes first, wherever it stands.
        let (first, then): (Vec<_>, Vec<_>) = entries.partition(|entry| entry.key == rules::KEY);
        let mut servers = HashMap::new();
        for entry in first.into_iter().chain(then) {
            let place = file.place(entry);
            if matches!(entry.raw, Raw::Empty) && settings::is_table(&entry.key) {
                continue;
            }
            let Some(setting) = settings::of(&entry.key).filter(|s| s.in_file) else {
                return Err(ConfigError::unknown_key(&entry.key, place, file.column(entry)));
            };
            if let (true, Some(Origin::File { line, .. })) = (setting.key.contains('.'), self.origin.get(setting.key)) {
                // Spelt in two ways: `"scan.max_depth"` beside `[scan] max_depth`.
                return Err(Reason::new(format!("stands at line {line} too")).of(setting.key, &place));
            }
            self.apply(setting, &entry.raw, place)?;
            if setting.key == AUDIENCE {
                self.each_server_once(&mut servers, entry.line)?;
            }
        }
        Ok(())
    }

    /// Refuses the newest `[[audience]]` when another names its server: of the two one would not be used.
    fn each_server_once(&self, lines: &mut HashMap<Server, usize>, line: usize) -> Result<(), ConfigError> {
        let Some(AudienceEntry { scheme, host, port, .. }) = self.config.audience.last() else { return Ok(()) };
        let Some(other) = lines.insert((*scheme, host.clone(), *port), line) else { return Ok(()) };
        let reason = format!("names the server that the one at line {other} does: list the vendors of both there");
        Err(Reason::new(reason).of(AUDIENCE, self.origin_of(AUDIENCE)))
    }

    fn apply(&mut self, setting: &'static Setting, raw: &Raw, place: Origin) -> Result<(), ConfigError> {
        (setting.set)(&mut self.config, raw).map_err(|reason| reason.of(setting.key, &place))?;
        self.origin.insert(setting.key, place);
        Ok(())
    }

    /// A default that follows from another value.
    fn derive(&mut self) {
        let Retention { max_bytes, segment_bytes, .. } = &mut self.config.retention;
        if !self.origin.contains_key(SEGMENT_BYTES) {
            let (least, most) = segment_bounds(*max_bytes);
            *segment_bytes = (*segment_bytes).clamp(least, most);
        }
    }

    fn of(config: Config) -> Self {
        Self { config, origin: BTreeMap::new(), file: None }
    }

    pub(super) fn places(&self) -> [PathBuf; 2] {
        [self.config.log_dir.clone(), self.config.export_dir.clone()]
    }
}

/// Refuses a variable with our prefix that means nothing to us: a misspelt setting must not pass for a default.
///
/// # Errors
/// Names the first such variable.
pub fn check_environment(names: impl IntoIterator<Item = OsString>) -> Result<(), ConfigError> {
    let known = |name: &str| {
        [ENV_HOME, ENV_CONFIG].contains(&name) || SETTINGS.iter().any(|s| s.env.is_some_and(|env| env == name))
    };
    let mut ours = names.into_iter().filter_map(|n| n.into_string().ok()).filter(|n| n.starts_with(ENV_PREFIX));
    let Some(unknown) = ours.find(|name| !known(name)) else { return Ok(()) };
    let rest = unknown.strip_prefix(ENV_PREFIX).map(str::to_owned);
    Err(ConfigError::UnknownVariable { rest: rest.filter(|rest| is_plain(&rest.to_ascii_lowercase())) })
}

/// Where the log and the exports of this state folder, or of a copy of one, are: what its own `config.toml` says, and
/// nothing else of it.
///
/// # Errors
/// A `config.toml` that cannot be read, or that names a place outside the folder.
pub fn places_in(home: &Path) -> Result<[PathBuf; 2], ConfigError> {
    let mut loaded = Loaded::of(Config::defaults(home.to_owned(), PathBuf::new()));
    if let Some(file) = file::optional(&home.join("config.toml"), For::Reader)? {
        loaded.apply_file(&file, &|key| PLACES.contains(&key))?;
    }
    Ok(loaded.places())
}

/// A variable that is set. Set and empty is neither a value nor an absence.
pub(super) fn environment(sources: &Sources<'_>, name: &'static str) -> Result<Option<OsString>, ConfigError> {
    match (sources.env)(name) {
        Some(value) if value.is_empty() => Err(ConfigError::EmptyVariable { name }),
        value => Ok(value),
    }
}
