//! The closed lists of words. In an array a reader shows a word it does not know; in a field it refuses it.

use serde::{Deserialize, Serialize, Serializer};
use std::{borrow::Cow, fmt};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[doc = concat!("Spelt `", $text, "`.")] #[serde(rename = $text)] $variant,)+
        }

        #[cfg(test)]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "enum": Self::ALL })
            }
        }

        impl $name {
            /// Every word of the list, in its order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word as documents spell it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = WordError;

            fn from_str(text: &str) -> Result<Self, WordError> {
                Self::ALL.iter().copied().find(|w| w.as_str() == text).ok_or(WordError)
            }
        }
    };
}

/// Text that is no word of the list, or not of a word's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a word of the list")]
pub struct WordError;

words!(
    /// The agent platform the guardian stands in front of.
    Platform { Hermes = "hermes" }
);
words!(
    /// What the monitor does with a hit. There is no blocking mode.
    Mode { Detect = "detect" }
);
words!(
    /// Why records leave the log.
    PruneReason {
        /// They are older than `max_age_days`.
        Age = "age",
        /// Newer ones need the room.
        Bytes = "bytes",
    }
);
words!(
    /// Which way the bytes went, as seen from the agent.
    Direction { Inbound = "inbound", Outbound = "outbound" }
);
words!(
    /// How urgent a finding is, least first.
    Severity { Info = "info", Low = "low", Medium = "medium", High = "high", Critical = "critical" }
);
words!(
    /// What kind of threat a finding is (ClawSec's SPEC).
    ThreatType { Exfil = "EXFIL", Injection = "INJECTION" }
);
words!(
    /// The scheme by which the bytes travelled.
    Protocol { Http = "http", Https = "https", Ws = "ws", Wss = "wss" }
);
words!(
    /// What a finding is about: ClawSec's `pattern`.
    Family {
        /// An API key of a model or tool vendor.
        AiApiKey = "ai_api_key",
        /// An AWS access key identifier.
        AwsAccessKeyId = "aws_access_key_id",
        /// A private key in PEM form.
        PrivateKeyPem = "private_key_pem",
        /// The path of an SSH private key.
        SshKeyPath = "ssh_key_path",
        /// The path of a file only administrators should read.
        SensitiveUnixPath = "sensitive_unix_path",
        /// The path of a dotenv file or of a cloud tool's stored credentials.
        DotenvOrCloudCredentialPath = "dotenv_or_cloud_credential_path",
        /// A download piped into a shell.
        PipeToShell = "pipe_to_shell",
        /// A shell or interpreter told to run a string.
        ShellExecFlag = "shell_exec_flag",
        /// A shell handed to a remote host.
        ReverseShell = "reverse_shell",
        /// A recursive removal of a system or home folder.
        DestructiveRemove = "destructive_remove",
        /// A key written to an SSH `authorized_keys` file.
        SshAuthorizedKeys = "ssh_authorized_keys",
        /// A value the operator named as secret.
        KnownSecret = "known_secret",
        /// A planted value that nothing legitimate sends.
        Canary = "canary",
    }
);
words!(
    /// The part of a message in which a finding was.
    Placement {
        RequestLine = "request_line", Path = "path", Query = "query", Header = "header", Body = "body",
        Trailer = "trailer", Websocket = "websocket", Host = "host",
    }
);
words!(
    /// One step of decoding on the way to a finding.
    Encoding {
        Gzip = "gzip", Deflate = "deflate", Br = "br", Zstd = "zstd", Sse = "sse", ToolCall = "tool_call",
        Json = "json", Url = "url", Form = "form", Multipart = "multipart", Html = "html", Base64 = "base64",
        Base64url = "base64url", Hex = "hex", Unicode = "unicode", Shell = "shell",
    }
);
words!(
    /// Where the certificate authority for HTTPS inspection comes from.
    CaMode { Off = "off", Ephemeral = "ephemeral", Generated = "generated", Operator = "operator" }
);
words!(
    /// The monitor's condition when it spoke.
    MonitorStatus { Running = "running", Degraded = "degraded", Stopped = "stopped" }
);
words!(
    /// Why a monitor says it is not whole.
    DegradedReason {
        ExportFailed = "export_failed", ExportsMissing = "exports_missing", LogDamaged = "log_damaged", LogFull = "log_full", LogWrite = "log_write",
        RotationsMissing = "rotations_missing", ScannerStalled = "scanner_stalled", SelfTestFailed = "self_test_failed", TunnelFallback = "tunnel_fallback",
        WriterStalled = "writer_stalled",
    }
);
words!(
    /// How the last run ended; `running` while it has not.
    Ended {
        Running = "running", OperatorStop = "operator_stop", RunFinished = "run_finished", Signal = "signal",
        Unclean = "unclean",
    }
);
words!(
    /// Why bytes were relayed without being scanned.
    UnscannedReason {
        Dropped = "dropped", InProgress = "in_progress", IncompleteHead = "incomplete_head",
        InterceptionFailed = "interception_failed", OverBound = "over_bound", PassThrough = "pass_through",
        Refused = "refused", ScannerError = "scanner_error", ServerFirst = "server_first", Tunnel = "tunnel",
        TunnelFallback = "tunnel_fallback", Undecodable = "undecodable", UnknownProtocol = "unknown_protocol",
        WebsocketBinary = "websocket_binary", WebsocketRelayed = "websocket_relayed",
    }
);
words!(
    /// What a reload made weaker than it was.
    Weakening {
        /// A server more, or a vendor more for one, that a key may go to unseen.
        Audience = "audience",
        /// Exports are further apart.
        ExportPeriod = "export_period",
        /// Sightings fold for longer, or fewer windows stay open.
        Fold = "fold",
        /// Known secrets are no longer looked for, or those of a variable less.
        KnownSecrets = "known_secrets",
        /// A host more that is never inspected.
        PassThrough = "pass_through",
        /// The log keeps less, or for a shorter time.
        Retention = "retention",
        /// A rule that was in force is gone, or another one stands under its name.
        Rules = "rules",
        /// Less of a message is looked at.
        ScanBounds = "scan_bounds",
        /// A suppression more, or one that lasts longer.
        Suppress = "suppress",
    }
);
words!(
    /// The outcome of the last self-test.
    SelfTestResult { Failed = "failed", NotRun = "not_run", Passed = "passed" }
);
words!(
    /// The answer of `verify`, as `verdict.json` carries it.
    VerdictResult {
        Verified = "verified", Drifted = "drifted", NotCurrent = "not_current", Degraded = "degraded",
        NotAuthentic = "not_authentic", Unverifiable = "unverifiable",
    }
);

impl Family {
    /// The threat type ClawSec's SPEC gives this family.
    pub const fn threat_type(self) -> ThreatType {
        match self.direction() {
            Direction::Outbound => ThreatType::Exfil,
            Direction::Inbound => ThreatType::Injection,
        }
    }

    /// The direction in which this family is looked for.
    pub const fn direction(self) -> Direction {
        match self {
            Self::PipeToShell
            | Self::ShellExecFlag
            | Self::ReverseShell
            | Self::DestructiveRemove
            | Self::SshAuthorizedKeys => Direction::Inbound,
            _ => Direction::Outbound,
        }
    }
}

/// A word of the form `[a-z][a-z0-9_.]*`, at most 64 bytes: a name in an array, or a rule's identifier.
///
/// A reader shows one it does not know; a new word is no new version of a document.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Word(Cow<'static, str>);

impl Word {
    const MAX_BYTES: usize = 64;

    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn well_formed(text: &str) -> bool {
        text.len() <= Self::MAX_BYTES
            && text.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'.')
    }
}

#[cfg(test)]
impl schemars::JsonSchema for Word {
    fn schema_name() -> Cow<'static, str> {
        "Word".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[a-z][a-z0-9_.]*$", "maxLength": Self::MAX_BYTES })
    }
}

impl Serialize for Word {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl TryFrom<String> for Word {
    type Error = WordError;

    fn try_from(text: String) -> Result<Self, WordError> {
        if Self::well_formed(&text) { Ok(Self(Cow::Owned(text))) } else { Err(WordError) }
    }
}

impl std::str::FromStr for Word {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, WordError> {
        text.to_owned().try_into()
    }
}

impl From<Word> for String {
    fn from(word: Word) -> Self {
        word.0.into_owned()
    }
}

macro_rules! into_word {
    ($($name:ident),+) => {
        $(impl From<$name> for Word {
            fn from(value: $name) -> Self {
                Self(Cow::Borrowed(value.as_str()))
            }
        })+
    };
}
into_word!(DegradedReason, Direction, Encoding, Family, Severity, UnscannedReason, Weakening);

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_a_words_form() {
        let all = Family::ALL.iter().map(|w| w.as_str()).chain(UnscannedReason::ALL.iter().map(|w| w.as_str()));
        for text in all.chain(DegradedReason::ALL.iter().map(|w| w.as_str())) {
            assert!(Word::well_formed(text), "{text}");
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for bad in ["", "A", "1a", "a-b", "a b", "é", "_a"] {
            assert!(bad.parse::<Word>().is_err(), "{bad}");
        }
    }
}
