//! The one spelling of a time: RFC 3339, UTC, exactly three fraction digits, `Z`.

use chrono::{DateTime, Duration, NaiveDateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;

const SPELLING: &str = "%Y-%m-%dT%H:%M:%S%.3fZ";
// Four digits for the year, as RFC 3339 has it.
const SPELT_BYTES: usize = 24;

/// A wall-clock time, in whole milliseconds, as every document and record spells it.
///
/// ```
/// let t: posture::Timestamp = "2026-04-26T00:00:00.000Z".parse()?;
/// assert_eq!(t.to_string(), "2026-04-26T00:00:00.000Z");
/// # Ok::<_, posture::TimestampError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(DateTime<Utc>);

/// Text that is not a time in the one accepted spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a time such as 2026-04-26T00:00:00.000Z")]
pub struct TimestampError;

impl Timestamp {
    /// From a clock reading; what is finer than a millisecond is dropped.
    pub fn new(time: DateTime<Utc>) -> Self {
        Self(time.trunc_subsecs(3))
    }

    /// This time and a span more.
    ///
    /// Saturates at the last time chrono can express.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.checked_add_signed(span).unwrap_or(DateTime::<Utc>::MAX_UTC))
    }

    /// `self − earlier`; negative when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        self.0 - earlier.0
    }

    /// The time as chrono has it.
    pub fn to_utc(self) -> DateTime<Utc> {
        self.0
    }
}

impl std::str::FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let time = NaiveDateTime::parse_from_str(text, SPELLING).map_err(|_| TimestampError)?.and_utc();
        let this = Self(time);
        // chrono reads more spellings than it writes, and a leap second besides: only the one it writes is ours.
        let leap = time.timestamp_subsec_millis() >= 1000;
        if !leap && text.len() == SPELT_BYTES && this.to_string() == text { Ok(this) } else { Err(TimestampError) }
    }
}

#[cfg(test)]
impl schemars::JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let date = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])";
        let time = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]";
        let pattern = format!("^{date}T{time}\\.[0-9]{{3}}Z$");
        schemars::json_schema!({ "type": "string", "format": "date-time", "pattern": pattern })
    }
}

impl TryFrom<String> for Timestamp {
    type Error = TimestampError;

    fn try_from(text: String) -> Result<Self, TimestampError> {
        text.parse()
    }
}

impl From<Timestamp> for String {
    fn from(time: Timestamp) -> Self {
        time.to_string()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format(SPELLING))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_spelling_is_read() {
        assert!("2026-04-26T23:59:59.999Z".parse::<Timestamp>().is_ok());
        for bad in [
            "2026-04-26T00:00:00Z",
            "2026-04-26T00:00:00.0Z",
            "2026-04-26T00:00:00.0000Z",
            "2026-04-26T00:00:00.000+00:00",
            "2026-04-26 00:00:00.000Z",
            "2026-4-26T00:00:00.000Z",
            "2026-04-26T00:00:60.000Z",
            " 2026-04-26T00:00:00.000Z",
            "2026-02-30T00:00:00.000Z",
            "+12026-04-26T00:00:00.000Z",
        ] {
            assert!(bad.parse::<Timestamp>().is_err(), "{bad}");
        }
    }
}
