//! The asking side: a verb, on behalf of the operator.

use super::{ENDING, Request, Response, Status, address::Address};
use crate::home::Home;
use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

/// No answer comes near it.
const MAX_RESPONSE_BYTES: usize = 1 << 20;
/// A monitor that is ending gets this long until it is gone: what is asked of it can be done without it.
pub(crate) const GONE_WITHIN: Duration = Duration::from_secs(2);
/// So often it is looked whether it is.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Nobody listens.
    #[error("no monitor runs on this state folder")]
    NoMonitor,
    /// It listens and does not answer.
    #[error("the monitor did not answer in time")]
    Silent,
    /// It is on its way out, and does nothing else.
    #[error("the monitor is ending, and has not ended yet")]
    Ending,
    /// It heard what was asked, and was gone before it answered.
    #[error("the monitor went away before it answered")]
    Gone,
    /// It said why it did not do it.
    #[error("the monitor answered: {0}")]
    Refused(String),
    /// Not an answer of this version.
    #[error("the monitor's answer is not one this version knows")]
    Malformed,
    /// The system refused.
    #[error("could not ask the monitor")]
    Io(#[source] io::Error),
}

impl ControlError {
    /// What a person can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoMonitor => "`hermes-traffic-guardian start` starts one",
            Self::Silent => "`hermes-traffic-guardian stop` ends a monitor that hangs",
            Self::Ending => "what passes when it ends gets its time: try again in a moment",
            Self::Gone => "`hermes-traffic-guardian status` shows how it ended; what was asked may be done or not",
            Self::Refused(_) => "`hermes-traffic-guardian status` shows how it is",
            Self::Malformed => "was the program updated while a monitor ran? stop it and start it again",
            Self::Io(_) => "check that the state folder belongs to this user",
        }
    }
}

impl From<io::Error> for ControlError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::ConnectionRefused => {
                Self::NoMonitor
            }
            // It let go of its socket before it read a byte.
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Self::Ending,
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::Silent,
            _ => Self::Io(error),
        }
    }
}

/// Asks the monitor of `home`, and waits for the answer at most this long. One that is ending is no monitor any more as
/// soon as it is gone, which is waited for a moment.
///
/// # Errors
/// [`ControlError::Refused`] for an answer that is not `ok`; [`ControlError`] says what else can go wrong.
pub fn ask(home: &Home, request: &Request, timeout: Duration) -> Result<Response, ControlError> {
    let deadline = Instant::now() + GONE_WITHIN;
    loop {
        match connect(home).and_then(|mut connection| ask_on(&mut connection, *request, timeout)) {
            Err(ControlError::Ending) if Instant::now() < deadline => std::thread::sleep(LOOK_EVERY),
            answer => return answer,
        }
    }
}

/// How the monitor of `home` is.
///
/// # Errors
/// As [`ask`].
pub fn status(home: &Home, timeout: Duration) -> Result<Status, ControlError> {
    let response = ask(home, &Request::Status, timeout)?;
    response.status.map(|status| *status).ok_or(ControlError::Malformed)
}

/// Keeps a monitor alive that was started for runs: it ends when the last lease is dropped.
#[derive(Debug)]
pub struct Lease {
    _connection: UnixStream,
}

/// Takes a lease on the monitor of `home`.
///
/// # Errors
/// As [`ask`].
pub fn lease(home: &Home, timeout: Duration) -> Result<Lease, ControlError> {
    let mut connection = connect(home)?;
    ask_on(&mut connection, Request::Lease, timeout)?;
    Ok(Lease { _connection: connection })
}

fn connect(home: &Home) -> Result<UnixStream, ControlError> {
    Ok(UnixStream::connect(Address::of(home)?.path())?)
}

pub(super) fn ask_on(
    connection: &mut UnixStream,
    request: Request,
    timeout: Duration,
) -> Result<Response, ControlError> {
    let deadline = Instant::now() + timeout;
    let mut line = serde_json::to_vec(&request).map_err(|e| ControlError::Io(e.into()))?;
    line.push(b'\n');
    connection.set_write_timeout(Some(timeout))?;
    connection.write_all(&line)?;
    let answer = read_line(connection, deadline)?;
    if answer.is_empty() {
        return Err(ControlError::Gone);
    }
    let response: Response = serde_json::from_slice(&answer).map_err(|_| ControlError::Malformed)?;
    if response.ok {
        Ok(response)
    } else {
        Err(match response.error.as_deref() {
            Some(ENDING) => ControlError::Ending,
            why => ControlError::Refused(why.unwrap_or("no").to_owned()),
        })
    }
}

fn read_line(connection: &mut UnixStream, deadline: Instant) -> Result<Vec<u8>, ControlError> {
    let mut line = Vec::new();
    let mut piece = [0; 4096];
    while line.len() < MAX_RESPONSE_BYTES {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ControlError::Silent);
        }
        connection.set_read_timeout(Some(left))?;
        let read = match connection.read(&mut piece) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        line.extend_from_slice(&piece[..read]);
        if read == 0 || line.last() == Some(&b'\n') {
            return Ok(line);
        }
    }
    Err(ControlError::Malformed)
}
