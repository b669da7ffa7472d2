//! Words of a command line → the times they stand for, held to what is promised of them: the way in for `tests/fuzz`.
//!
//! Nothing of it is in a monitor. It panics where a promise does not hold, whatever the bytes are.

use super::{
    stop::{DAY, patience},
    threats::{Since, since},
};
use posture::Timestamp;
use std::time::Duration;

/// What stands behind `--since` or `--timeout`.
pub fn times(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let now: Timestamp = "2026-04-26T00:00:00.000Z".parse().expect("a time");
    match since(&text) {
        Ok(ago @ Since::Ago(span)) => {
            let from = ago.of(now);
            assert!(from <= now, "{text:?} lies ahead");
            let exact = span < Duration::from_secs(100 * 365 * 86_400);
            let ago = u128::from(now.since(from).num_milliseconds().unsigned_abs());
            assert!(!exact || ago == span.as_millis(), "{text:?} is {ago} ms");
        }
        Ok(time @ Since::Time(_)) => assert_eq!(time.of(now).to_string(), text, "another spelling of a time"),
        Err(why) => assert!(why.len() < 100, "a refusal repeats nothing"),
    }
    if let Ok(wait) = patience(&text) {
        assert!((Duration::from_millis(1)..=DAY).contains(&wait));
    }
}

#[cfg(test)]
mod tests {
    use super::times;

    #[test]
    fn any_text_is_a_time_that_has_been_or_is_refused() {
        for text in [
            "24h",
            "1day 2h 3m 4s 5ms",
            "1us",
            "0s",
            "584554530872y",
            "18446744073709551615s 999ms",
            "99999999999999999999s",
            "2026-04-26T00:00:00.000Z",
            "9999-12-31T23:59:59.999Z",
            "0000-01-01T00:00:00.000Z",
            "2026-04-26",
            "-1h",
            "",
            "\u{202e}1h",
        ] {
            times(text.as_bytes());
        }
        times(&[0xff, b'1', b'h']);
    }
}
