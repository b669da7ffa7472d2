//! Bytes on the socket, from either side → an answer, held to what the protocol promises: the way in for `tests/fuzz`.
//!
//! Nothing of it is in a monitor. It panics where a promise does not hold, whatever the bytes are.

use super::{
    ControlError, Request, Response,
    client::ask_on,
    server::{Asked, Ears, Leases, MAX_REQUEST_BYTES, answer},
};
use std::{io::Write, net::Shutdown, os::unix::net, sync::LazyLock, time::Duration};
use tokio::{
    io::AsyncReadExt,
    net::UnixStream,
    runtime::{Builder, Runtime},
    sync::{mpsc, watch},
};
use tokio_util::task::TaskTracker;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_all().build().expect("a runtime"));

/// What somebody says who may connect → one line of an answer, and the monitor asked what was said or nothing.
pub fn socket(bytes: &[u8]) {
    let line = &bytes[..bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1)];
    let line = &line[..line.len().min(usize::try_from(MAX_REQUEST_BYTES).expect("a few KiB"))];
    let meant = serde_json::from_slice::<Request>(line).ok();
    let (said, asked) = RUNTIME.block_on(conversation(bytes));
    assert_eq!(asked, meant.filter(|request| *request != Request::Lease));
    if said.is_empty() && bytes.len() > line.len() {
        // What was not read resets the connection, and may outrun the answer.
        return;
    }
    let said = said.strip_suffix(b"\n").expect("a line");
    let response: Response = serde_json::from_slice(said).expect("an answer of this version");
    assert_eq!(serde_json::to_vec(&response).expect("what was read can be written"), said);
    // Nothing of what is no request is repeated.
    let expected = if meant.is_some() { Response::done() } else { Response::failed("not a request of this version") };
    assert_eq!(response, expected);
}

/// What somebody answers who has the socket → that answer, its refusal, or an error that repeats nothing.
pub fn peer(bytes: &[u8]) {
    let (mut client, mut peer) = net::UnixStream::pair().expect("a pair of sockets");
    peer.write_all(bytes).expect("room for an input");
    peer.shutdown(Shutdown::Write).expect("a socket");
    let answer = ask_on(&mut client, Request::Status, Duration::from_secs(60));
    match (serde_json::from_slice::<Response>(bytes), answer) {
        (Ok(meant), Ok(response)) => {
            assert!(meant.ok && response == meant);
            let again = serde_json::to_vec(&response).expect("what was read can be written");
            assert_eq!(serde_json::from_slice::<Response>(&again).expect("and read again"), response);
        }
        (Ok(meant), Err(ControlError::Refused(why))) => {
            assert!(!meant.ok && why == meant.error.unwrap_or_else(|| "no".to_owned()));
        }
        (Ok(meant), Err(ControlError::Ending)) => assert!(!meant.ok && meant.error.is_some()),
        // Of more than one line, a piece that ends with one may be the answer.
        (Err(_), Ok(_) | Err(ControlError::Refused(_))) => assert!(bytes.len() > 4096),
        (Err(_), Err(ControlError::Gone)) => assert!(bytes.is_empty()),
        (Err(_), Err(error)) => assert!(matches!(error, ControlError::Malformed), "{error}"),
        (Ok(_), Err(error)) => assert!(bytes.len() > 4096, "{error}"),
    }
}

/// What was answered, and what the monitor was asked, which does all it is asked.
async fn conversation(bytes: &[u8]) -> (Vec<u8>, Option<Request>) {
    let (mut client, served) = net::UnixStream::pair().expect("a pair of sockets");
    client.write_all(bytes).expect("room for an input");
    client.shutdown(Shutdown::Write).expect("a socket");
    for end in [&client, &served] {
        end.set_nonblocking(true).expect("a socket");
    }
    let (mut client, served) =
        (UnixStream::from_std(client).expect("a socket"), UnixStream::from_std(served).expect("a socket"));
    let (asked, mut requests) = mpsc::channel::<Asked>(1);
    let (leases, held) = watch::channel(Leases::default());
    let ears = Ears { asked, leases, answering: TaskTracker::new() };
    let monitor = async {
        let asked = requests.recv().await?;
        let _ = asked.reply.send(Response::done());
        Some(asked.request)
    };
    let serving = async {
        let _ = answer(served, &ears).await;
        drop(ears);
    };
    let ((), asked) = tokio::join!(serving, monitor);
    let mut said = Vec::new();
    let _ = client.read_to_end(&mut said).await;
    assert_eq!(held.borrow().held, 0, "a lease is let go");
    (said, asked)
}

#[cfg(test)]
mod tests {
    #[test]
    fn requests_are_answered_and_anything_else_is_refused() {
        for text in [
            "{\"request\":\"status\"}\n",
            "{\"request\":\"lease\"}",
            "{\"request\":\"block\"}\n",
            "",
            "\u{ff}\n{}",
            "{\"ok\":true}",
        ] {
            super::socket(text.as_bytes());
        }
        super::socket(&[b' '; 5000]);
    }

    #[test]
    fn answers_are_taken_as_they_are_meant_and_anything_else_is_none() {
        for text in [
            "{\"ok\":true}\n",
            "{\"ok\":true}",
            "{\"ok\":false}",
            "{\"error\":\"\u{1b}[2J\",\"ok\":false}\n",
            "{\"ok\":true}\n{\"ok\":false}\n",
            "{\"ok\":true,\"more\":1}\n",
            "\n",
            "",
        ] {
            super::peer(text.as_bytes());
        }
        super::peer(&[b' '; 10_000]);
    }
}
