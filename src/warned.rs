//! A trouble that goes on is warned of once, not with each try; and what is said of why.

use std::io;

/// The trouble that was warned of last, until it is over.
#[derive(Debug, Default)]
pub struct Warned(Option<String>);

impl Warned {
    /// Warns that `trouble` keeps something from being done and that it is tried again, unless this was said already.
    pub fn of(&mut self, trouble: String) {
        if self.0.as_ref() != Some(&trouble) {
            tracing::warn!("{trouble}; trying again");
            self.0 = Some(trouble);
        }
    }

    /// Says that `what` works again, if it was warned of: then it returns true.
    pub fn over(&mut self, what: &str) -> bool {
        let was_warned_of = self.0.take().is_some();
        if was_warned_of {
            tracing::info!("{what} again");
        }
        was_warned_of
    }
}

/// Why the system refused, in its own words where it was the system: those repeat no input. Of other errors, which may,
/// the kind alone.
pub fn why(error: &io::Error) -> String {
    if error.raw_os_error().is_some() { error.to_string() } else { error.kind().to_string() }
}

#[cfg(test)]
mod tests {
    use super::{Warned, why};
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::fmt::MakeWriter;

    #[derive(Clone, Default)]
    struct Said(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Said {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl<'w> MakeWriter<'w> for Said {
        type Writer = Self;

        fn make_writer(&'w self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn the_system_is_quoted_and_nobody_else() {
        let io_error = rustix::io::Errno::IO.raw_os_error();
        let said = why(&std::io::Error::from_raw_os_error(io_error));
        assert_eq!(said, format!("Input/output error (os error {io_error})"));
        assert_eq!(why(&std::io::Error::other("what a client sent")), "other error");
    }

    #[test]
    fn what_goes_on_is_said_when_it_begins_and_when_it_ends() {
        let said = Said::default();
        let subscriber =
            tracing_subscriber::fmt().with_writer(said.clone()).with_ansi(false).with_target(false).without_time();
        tracing::subscriber::with_default(subscriber.finish(), || {
            let mut warned = Warned::default();
            warned.over("it is written");
            for trouble in ["no room", "no room", "no disk", "no disk", "no room"] {
                warned.of(trouble.to_owned());
            }
            for _ in 0..2 {
                warned.over("it is written");
            }
            warned.of("no room".to_owned());
        });
        let said = String::from_utf8(said.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<_> = said.lines().map(str::trim).collect();
        let warned = |trouble: &str| format!("WARN {trouble}; trying again");
        let (room, disk) = (warned("no room"), warned("no disk"));
        assert_eq!(lines, [&room[..], &disk, &room, "INFO it is written again", &room]);
    }
}
