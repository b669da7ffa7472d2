//! The answering side: checks who asks, reads one bounded line, and lets the monitor answer.

use super::{ENDING, Request, Response, address::Address};
use crate::home::Home;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::{
    fs, io,
    os::unix::{fs::MetadataExt, net},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::{Semaphore, mpsc, oneshot, watch},
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// No request comes near it.
pub(super) const MAX_REQUEST_BYTES: u64 = 4096;
/// A client that connected asks within this time.
const REQUEST_WITHIN: Duration = Duration::from_secs(5);
/// Clients at once, leases included.
const MAX_CLIENTS: usize = 1024;

/// A request and where its answer goes.
pub(crate) struct Asked {
    pub(crate) request: Request,
    pub(crate) reply: oneshot::Sender<Response>,
}

/// Where clients are heard.
#[derive(Clone)]
pub(crate) struct Ears {
    /// Requests, but for leases.
    pub(crate) asked: mpsc::Sender<Asked>,
    /// Leases held. Once nobody looks at them, the monitor is ending.
    pub(crate) leases: watch::Sender<Leases>,
    /// Requests being answered.
    pub(crate) answering: TaskTracker,
}

/// The socket, listening.
pub(crate) struct Server {
    listener: UnixListener,
    /// Of the name it was bound to.
    inode: u64,
}

impl Server {
    /// Takes the place of a socket a process before us left: its caller holds the state folder's lock. Call it inside a
    /// tokio runtime.
    pub(crate) fn bind(home: &Home) -> io::Result<Self> {
        let address = Address::of(home)?;
        match fs::remove_file(address.path()) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        // On Linux the file gets the mode its socket has when it is bound: nobody else ever sees it open.
        let _ = rustix::fs::fchmod(&socket, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR);
        rustix::net::bind(&socket, &SocketAddrUnix::new(address.path())?)?;
        rustix::net::listen(&socket, 128)?;
        let listener = UnixListener::from_std(net::UnixListener::from(socket))?;
        let inode = fs::symlink_metadata(address.path())?.ino();
        Ok(Self { listener, inode })
    }

    /// Serves until dropped. A socket whose name was removed gets another, until the end has begun.
    pub(crate) async fn serve(mut self, home: Home, ears: Ears, ending: CancellationToken) {
        let clients = Arc::new(Semaphore::new(MAX_CLIENTS));
        let mut second = interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let Ok(place) = Arc::clone(&clients).acquire_owned().await else { return };
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                _ = second.tick() => {
                    if !ending.is_cancelled() && !self.is_named(&home) && let Ok(again) = Self::bind(&home) {
                        self = again;
                    }
                    continue;
                }
            };
            match accepted {
                Ok((client, _)) => {
                    let ears = ears.clone();
                    tokio::spawn(async move {
                        // A client that goes away, or says nothing sensible, is its own trouble.
                        let _ = answer(client, &ears).await;
                        drop(place);
                    });
                }
                // Out of descriptors: the proxy needs them more.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }
}

impl Server {
    fn is_named(&self, home: &Home) -> bool {
        fs::symlink_metadata(home.control_socket()).is_ok_and(|found| found.ino() == self.inode)
    }
}

/// Takes the socket's name away. Its caller still holds the state folder's lock, or it may be another's.
pub(crate) fn unlink(home: &Home) {
    let _ = fs::remove_file(home.control_socket());
}

/// Answers one client.
pub(super) async fn answer(mut client: UnixStream, ears: &Ears) -> io::Result<()> {
    let peer = client.peer_cred()?.uid();
    if peer != rustix::process::geteuid().as_raw() && peer != 0 {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let mut line = Vec::new();
    let mut input = BufReader::new((&mut client).take(MAX_REQUEST_BYTES));
    timeout(REQUEST_WITHIN, input.read_until(b'\n', &mut line)).await??;
    let request = serde_json::from_slice(&line);
    let Ok(request) = request else {
        return say(&mut client, &Response::failed("not a request of this version")).await;
    };
    if request == Request::Lease {
        let Some(_held) = Held::new(ears.leases.clone()) else {
            return say(&mut client, &Response::failed(ENDING)).await;
        };
        say(&mut client, &Response::done()).await?;
        // Until the other side lets go: whatever else it sends means nothing.
        while client.read(&mut [0; 64]).await? > 0 {}
        return Ok(());
    }
    let _answering = ears.answering.token();
    let ending = || ears.leases.is_closed();
    let (reply, response) = oneshot::channel();
    let asked = !ending() && ears.asked.send(Asked { request, reply }).await.is_ok();
    let response = if asked { response.await.ok() } else { None };
    // A stage that has ended neither does anything nor says how things are. How the end itself went, `stop` is told.
    let holds = |response: &Response| match request {
        Request::Stop => true,
        Request::Status => !ending(),
        _ => response.ok || !ending(),
    };
    let response = response.filter(holds);
    say(&mut client, &response.unwrap_or_else(|| Response::failed(ENDING))).await
}

/// The leases on this monitor. Whoever watches may see only the newest value, so that there was one is kept.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Leases {
    /// Held now.
    pub(crate) held: usize,
    /// One was taken, and perhaps let go since.
    pub(crate) ever: bool,
}

/// One lease.
struct Held(watch::Sender<Leases>);

impl Held {
    /// `None` once the monitor no longer looks at its leases: it is ending.
    fn new(leases: watch::Sender<Leases>) -> Option<Self> {
        leases.send_modify(|leases| *leases = Leases { held: leases.held + 1, ever: true });
        let this = Self(leases);
        (!this.0.is_closed()).then_some(this)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.send_modify(|leases| leases.held -= 1);
    }
}

async fn say(client: &mut UnixStream, response: &Response) -> io::Result<()> {
    let mut line = serde_json::to_vec(response)?;
    line.push(b'\n');
    timeout(REQUEST_WITHIN, client.write_all(&line)).await??;
    Ok(())
}
