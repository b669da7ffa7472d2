//! The one spelling of a time: RFC 3339, UTC, exactly three fraction digits, `Z`.

use chrono::{DateTime, Datelike, Duration, NaiveDate, SubsecRound, Timelike, Utc};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

/// A digit where a `0` stands. A log holds a time in each of a million lines: reading and writing one by a general
/// format was a quarter of what verifying the log took.
const SPELLING: [u8; 24] = *b"0000-00-00T00:00:00.000Z";
/// The places of year, month, day, hour, minute, second and millisecond.
const FIELDS: [std::ops::Range<usize>; 7] = [0..4, 5..7, 8..10, 11..13, 14..16, 17..19, 20..23];

/// A wall-clock time, in whole milliseconds, as every document and record spells it.
///
/// ```
/// let t: posture::Timestamp = "2026-04-26T00:00:00.000Z".parse()?;
/// assert_eq!(t.to_string(), "2026-04-26T00:00:00.000Z");
/// # Ok::<_, posture::TimestampError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
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
    /// Saturates at the last time chrono can express, or of a negative span at the first.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        let end = if span < Duration::zero() { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC };
        Self(self.0.checked_add_signed(span).unwrap_or(end))
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
        let spelling: &[u8; SPELLING.len()] = text.as_bytes().try_into().map_err(|_| TimestampError)?;
        let as_spelt = |(c, spelt): (&u8, &u8)| if *spelt == b'0' { c.is_ascii_digit() } else { c == spelt };
        if !spelling.iter().zip(&SPELLING).all(as_spelt) {
            return Err(TimestampError);
        }
        let [year, month, day, hour, minute, second, milli] =
            FIELDS.map(|place| spelling[place].iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0')));
        NaiveDate::from_ymd_opt(year.cast_signed(), month, day)
            .and_then(|date| date.and_hms_milli_opt(hour, minute, second, milli))
            .map(|time| Self(time.and_utc()))
            .ok_or(TimestampError)
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

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl From<Timestamp> for String {
    fn from(time: Timestamp) -> Self {
        time.to_string()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.0;
        let Ok(year @ 0..=9999) = u32::try_from(time.year()) else {
            // RFC 3339 has no such year, nor does anything read it back.
            return write!(f, "{}", time.format("%+"));
        };
        let milli = time.timestamp_subsec_millis();
        let numbers = [year, time.month(), time.day(), time.hour(), time.minute(), time.second(), milli];
        let mut spelt = SPELLING;
        for (place, mut number) in FIELDS.into_iter().zip(numbers) {
            for digit in spelt[place].iter_mut().rev() {
                *digit = b'0' + u8::try_from(number % 10).expect("a digit");
                number /= 10;
            }
        }
        f.write_str(std::str::from_utf8(&spelt).expect("ASCII"))
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
            "2026-13-26T00:00:00.000Z",
            "2026-04-26T24:00:00.000Z",
            "2026-04-26T00:00:00.00\u{660}",
            "２026-04-26T00:00:00.0Z",
            "",
        ] {
            assert!(bad.parse::<Timestamp>().is_err(), "{bad}");
        }
    }

    #[test]
    fn it_is_spelt_as_chrono_spells_it_and_reads_back() {
        for seconds in (-62_167_219_200..253_402_300_800_i64).step_by(86_400 * 31 + 3_723) {
            let time = DateTime::from_timestamp(seconds, 7_999_999).unwrap();
            let spelt = Timestamp::new(time).to_string();
            assert_eq!(spelt, time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string());
            assert_eq!(spelt.parse(), Ok(Timestamp::new(time)));
        }
        let never = Timestamp::new(DateTime::<Utc>::MAX_UTC).to_string();
        assert!(never.parse::<Timestamp>().is_err(), "{never}");
    }

    #[test]
    fn a_span_beyond_all_time_ends_where_time_does_on_its_own_side() {
        let now: Timestamp = "2026-04-26T00:00:00.000Z".parse().unwrap();
        assert!(now.plus(-Duration::MAX) < now && now.plus(Duration::MAX) > now);
        assert_eq!(now.plus(Duration::milliseconds(1)).since(now), Duration::milliseconds(1));
    }
}
