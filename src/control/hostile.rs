//! Bytes on the socket → an answer, held to what the protocol promises: the way in for `tests/fuzz`.
//!
//! Nothing of it is in a monitor. It panics where a promise does not hold, whatever the bytes are.

use super::{
    Request, Response,
    server::{Asked, Ears, Leases, MAX_REQUEST_BYTES, answer},
};
use std::{io::Write, net::Shutdown, os::unix::net, sync::LazyLock};
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
    // The other side reads answers: whatever they are.
    if let Ok(response) = serde_json::from_slice::<Response>(bytes) {
        let again = serde_json::to_vec(&response).expect("what was read can be written");
        assert_eq!(serde_json::from_slice::<Response>(&again).expect("and read again"), response);
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
}
