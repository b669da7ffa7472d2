use super::{server::*, *};
use crate::home::Home;
use std::{io::Write, os::unix::fs::PermissionsExt, time::Duration};
use tokio::sync::{mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const SOON: Duration = Duration::from_secs(20);

/// A server whose every answer is `answer`, while `body` asks.
fn served(name: &str, answer: Option<Response>, body: impl FnOnce(&Home, watch::Receiver<Leases>)) {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(&crate::home::tests::config(&dir.path().join(name))).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (asked, mut requests) = mpsc::channel::<Asked>(4);
    let (leases, held) = watch::channel(Leases::default());
    let server = runtime.block_on(async { Server::bind(&home) }).unwrap();
    let ears = Ears { asked, leases, answering: TaskTracker::new() };
    runtime.spawn(server.serve(home.clone(), ears, CancellationToken::new()));
    runtime.spawn(async move {
        while let Some(asked) = requests.recv().await {
            if let Some(answer) = &answer {
                asked.reply.send(answer.clone()).unwrap();
            } else {
                std::mem::forget(asked);
            }
        }
    });
    body(&home, held);
}

#[test]
fn a_request_is_answered_whatever_the_length_of_the_path() {
    for name in ["home", &"long/".repeat(40)] {
        let export = Exported { generated_at: crate::clock::now(), sequence: 7 };
        let answer = Response { export: Some(export), ..Response::done() };
        served(name, Some(answer.clone()), |home, _| {
            assert_eq!(ask(home, &Request::Export, SOON).unwrap(), answer);
            let mode = std::fs::metadata(home.control_socket()).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        });
    }
}

#[test]
fn a_refusal_says_why() {
    served("home", Some(Response::failed("the disk is full")), |home, _| {
        let error = ask(home, &Request::Export, SOON).unwrap_err();
        assert_eq!(error.to_string(), "the monitor answered: the disk is full");
    });
}

#[test]
fn a_monitor_that_does_not_answer_is_not_waited_for_for_ever() {
    served("home", None, |home, _| {
        assert!(matches!(status(home, Duration::from_millis(50)), Err(ControlError::Silent)));
    });
}

#[test]
fn nobody_there_is_no_monitor() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(&crate::home::tests::config(&dir.path().join("home"))).unwrap();
    assert!(matches!(status(&home, SOON), Err(ControlError::NoMonitor)));
    drop(std::os::unix::net::UnixListener::bind(home.control_socket()).unwrap());
    assert!(matches!(status(&home, SOON), Err(ControlError::NoMonitor)), "a socket left behind");
}

#[test]
fn a_monitor_that_lets_go_of_its_socket_unasked_is_no_monitor_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(&crate::home::tests::config(&dir.path().join("home"))).unwrap();
    let listener = std::os::unix::net::UnixListener::bind(home.control_socket()).unwrap();
    let leaving = std::thread::spawn({
        let home = home.clone();
        move || {
            let (mut client, _) = listener.accept().unwrap();
            // What was asked is there, and not read to its end.
            std::io::Read::read_exact(&mut client, &mut [0]).unwrap();
            unlink(&home);
        }
    });
    assert!(matches!(ask(&home, &Request::Rotate, SOON), Err(ControlError::NoMonitor)));
    leaving.join().unwrap();

    let (mut client, monitor) = std::os::unix::net::UnixStream::pair().unwrap();
    drop(monitor);
    assert!(
        matches!(client::ask_on(&mut client, Request::Rotate, SOON), Err(ControlError::Ending)),
        "before it was asked"
    );
}

#[test]
fn a_monitor_that_goes_away_before_it_answers_may_have_done_what_was_asked() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(&crate::home::tests::config(&dir.path().join("home"))).unwrap();
    let listener = std::os::unix::net::UnixListener::bind(home.control_socket()).unwrap();
    let leaving = std::thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(client), &mut String::new()).unwrap();
    });
    let error = ask(&home, &Request::Rotate, SOON).unwrap_err();
    assert_eq!(error.to_string(), "the monitor went away before it answered");
    leaving.join().unwrap();
}

#[test]
fn what_is_no_request_gets_an_answer_and_an_endless_line_an_end() {
    served("home", Some(Response::done()), |home, _| {
        for bad in [b"{\"request\":\"block\"}\n".to_vec(), b"\xff\n".to_vec(), vec![b' '; 5000]] {
            let mut stream = std::os::unix::net::UnixStream::connect(home.control_socket()).unwrap();
            stream.set_read_timeout(Some(SOON)).unwrap();
            let _ = stream.write_all(&bad);
            let mut answer = String::new();
            // What was not read of an endless line resets the connection, which may outrun the answer.
            if std::io::Read::read_to_string(&mut stream, &mut answer).is_ok() {
                assert!(answer.starts_with("{\"error\":\"not a request"), "{answer}");
            }
        }
        ask(home, &Request::Export, SOON).unwrap();
    });
}

#[test]
fn a_lease_is_held_until_it_is_dropped() {
    served("home", None, |home, mut held| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let mut reaches = |n: usize| {
            let wait = async { tokio::time::timeout(SOON, held.wait_for(|leases| leases.held == n)).await.map(|_| ()) };
            runtime.block_on(wait).unwrap();
        };
        let first = lease(home, SOON).unwrap();
        let second = lease(home, SOON).unwrap();
        reaches(2);
        drop(first);
        reaches(1);
        drop(second);
        reaches(0);
    });
}
