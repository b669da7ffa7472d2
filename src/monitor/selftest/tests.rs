use super::*;
use crate::{
    flow::{
        capture::{
            Feed, Inspection, Intake, Meter, Part, Proxy, ProxySettings, Tap,
            ca::{Ca, Leaves, Roots},
        },
        detect::Limits,
        redact::{Finding, Redactor},
    },
    monitor::{
        scanners::{Bench, Shard},
        signs::Signs,
    },
};
use posture::Coverage;
use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread::JoinHandle,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

const TOKEN: &str = "a-token-of-this-test";

/// A proxy, its scanners, and what they found.
struct Rig {
    prober: Prober,
    canary: Canary,
    address: SocketAddr,
    meter: Meter,
    found: mpsc::Receiver<Finding>,
    signs: Arc<Signs>,
    stop: CancellationToken,
    scanners: Vec<JoinHandle<()>>,
    serving: tokio::task::JoinHandle<()>,
}

fn inspection() -> Inspection {
    let folder = tempfile::tempdir().unwrap();
    let extra = folder.path().join("extra.pem");
    let text = rcgen::generate_simple_self_signed(vec!["a.root".to_owned()]).unwrap().cert.pem();
    crate::home::file::create(&extra, crate::home::file::PRIVATE, text.as_bytes()).unwrap();
    let leaves = Arc::new(Leaves::new(Ca::ephemeral(clock::now()).unwrap()).unwrap());
    let roots = Roots::load(Some(&extra)).unwrap();
    Inspection::new(leaves, &roots, vec!["127.0.0.1".to_owned()], Arc::new(|_| true)).unwrap()
}

impl Rig {
    fn new(inspect: bool, change: impl FnOnce(&mut ProxySettings)) -> Self {
        let scan = |intake: Intake, bench: &Bench| Shard::new(0, intake, bench.clone()).spawn().unwrap();
        Self::with(inspect, change, scan)
    }

    fn with(
        inspect: bool,
        change: impl FnOnce(&mut ProxySettings),
        scan: impl FnOnce(Intake, &Bench) -> JoinHandle<()>,
    ) -> Self {
        let detector = Detector::new(Limits::default(), &[], Some(TOKEN));
        let meter = Meter::default();
        let (tap, mut intakes) = Tap::new(16 << 20, 1, meter.clone());
        let signs = Arc::new(Signs::new(1, Duration::from_secs(60), tap.gauge()));
        let (sender, found) = mpsc::channel(16);
        let redactor = Arc::new(Redactor::new(&[7; 32]));
        let canary = canary(detector.rules()).unwrap();
        let (detector, redactor) = (InForce::new(detector), InForce::new(redactor));
        let bench = Bench { detector, redactor, signs: Arc::clone(&signs), found: sender };
        let mut settings = ProxySettings::new(TOKEN.to_owned().into());
        settings.inspection = inspect.then(inspection);
        settings.timeouts.drain = Duration::from_secs(1);
        change(&mut settings);
        let proxy = Proxy::bind(([127, 0, 0, 1], 0).into(), &settings, tap, meter.clone()).unwrap();
        let (address, prober) = (proxy.local_addr().unwrap(), proxy.prober().unwrap());
        let stop = CancellationToken::new();
        let serving = tokio::spawn(proxy.serve(stop.clone()));
        let scanners = vec![scan(intakes.remove(0), &bench)];
        Self { prober, canary, address, meter, found, signs, stop, scanners, serving }
    }

    async fn probe(&self) -> Result<(), ProbeError> {
        self.prober.probe(&self.canary, LIMIT).await
    }

    /// Ends, and shows that nothing of it was counted or found.
    async fn left_no_trace(mut self) {
        self.stop.cancel();
        self.serving.await.unwrap();
        for scanner in self.scanners.drain(..) {
            tokio::task::spawn_blocking(move || scanner.join().unwrap()).await.unwrap();
        }
        assert_eq!(self.meter.coverage(), Coverage::default());
        assert_eq!(self.meter.refusals(), []);
        assert!(self.found.recv().await.is_none());
        assert_eq!(self.signs.attested(), posture::Attested::default());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_goes_through_and_is_seen_both_ways_and_leaves_no_trace() {
    let rig = Rig::new(false, |_| {});
    for _ in 0..3 {
        assert_eq!(rig.probe().await, Ok(()));
    }
    rig.left_no_trace().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_inspection_it_goes_through_tls_even_where_this_host_is_passed_through() {
    let rig = Rig::new(true, |_| {});
    for _ in 0..2 {
        assert_eq!(rig.probe().await, Ok(()));
    }
    rig.left_no_trace().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_takes_no_clients_place_and_never_goes_through_another_proxy() {
    let parent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = parent.local_addr().unwrap().port();
    let rig = Rig::new(true, |settings| {
        settings.max_connections = 0;
        settings.parent = Some(crate::flow::capture::Parent::new("127.0.0.1".to_owned(), port, None));
    });
    assert_eq!(rig.probe().await, Ok(()));
    assert!(tokio::time::timeout(Duration::ZERO, parent.accept()).await.is_err());
    rig.left_no_trace().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_canary_sent_by_anyone_else_is_traffic_like_any_other() {
    let mut rig = Rig::new(false, |_| {});
    assert_eq!(rig.probe().await, Ok(()));
    let origin = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = origin.local_addr().unwrap();
    let credential = data_encoding::BASE64.encode(format!("guardian:{TOKEN}").as_bytes());
    let (body, length) = (&rig.canary.outbound.1, rig.canary.outbound.1.len());
    let head = format!(
        "POST http://{to}/ HTTP/1.1\r\nHost: {to}\r\nProxy-Authorization: Basic {credential}\r\n\
         Content-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    let mut client = TcpStream::connect(rig.address).await.unwrap();
    client.write_all(head.as_bytes()).await.unwrap();
    let (mut server, _) = origin.accept().await.unwrap();
    let mut read = Vec::new();
    while !read.ends_with(body.as_bytes()) {
        assert!(server.read_buf(&mut read).await.unwrap() > 0);
    }
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    server.write_all(answer).await.unwrap();
    client.read_to_end(&mut Vec::new()).await.unwrap();
    assert!(rig.found.recv().await.is_some());
    rig.stop.cancel();
    rig.serving.await.unwrap();
    let seen = rig.meter.coverage().seen;
    assert_eq!((seen.connections, seen.messages, seen.bytes), (1, 2, length as u64));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scanner_that_takes_everything_and_says_nothing_fails_the_test() {
    let rig = Rig::with(
        false,
        |_| {},
        |intake, _| {
            thread::spawn(move || {
                while let Some(fed) = intake.recv() {
                    if let Feed::Part(Part::End) = fed.feed {}
                }
            })
        },
    );
    let probed = rig.prober.probe(&rig.canary, Duration::from_secs(1)).await;
    assert_eq!(probed, Err(ProbeError::NotSeen));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_direction_alone_is_not_enough() {
    let rig = Rig::new(false, |_| {});
    let both = rig.canary.clone();
    let blind = [
        Canary { outbound: (both.outbound.0.clone(), "nothing".to_owned()), ..both.clone() },
        Canary { inbound: (both.inbound.0.clone(), "nothing".to_owned()), ..both.clone() },
        Canary { outbound: both.inbound.clone(), inbound: both.outbound.clone() },
    ];
    let probe = |canary| rig.prober.probe(canary, Duration::from_secs(1));
    let probed = tokio::join!(probe(&blind[0]), probe(&blind[1]), probe(&blind[2]));
    assert_eq!(probed, (Err(ProbeError::NotSeen), Err(ProbeError::NotSeen), Err(ProbeError::NotSeen)));
    assert_eq!(rig.probe().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_is_gone_or_is_another_fails_the_test() {
    let mut rig = Rig::new(false, |_| {});
    rig.stop.cancel();
    (&mut rig.serving).await.unwrap();
    assert_eq!(rig.probe().await, Err(ProbeError::NotConnected));
    // Whoever listens there now and answers well has not shown anything to the scanners.
    let other = TcpListener::bind(rig.address).await.unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let inbound = rig.canary.inbound.1.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = other.accept().await {
            counted.fetch_add(1, Relaxed);
            let length = inbound.len();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{inbound}");
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let probed = rig.prober.probe(&rig.canary, Duration::from_secs(1)).await;
    assert_eq!((probed, asked.load(Relaxed)), (Err(ProbeError::NotSeen), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_test_makes_the_monitor_degraded_and_a_stopped_one_says_nothing() {
    for (stopping, result) in [(false, SelfTestResult::Failed), (true, SelfTestResult::NotRun)] {
        let Rig { prober, stop, serving, .. } = Rig::new(false, |_| {});
        stop.cancel();
        serving.await.unwrap();
        let books = crate::monitor::recorder::tests::Rig::new();
        let (desk, _found, inbox) = crate::monitor::desk::open();
        let recorder = crate::monitor::desk::spawn(books.parts(), inbox).unwrap();
        let (shutdown, detector) = (CancellationToken::new(), Detector::new(Limits::default(), &[], None));
        if stopping {
            shutdown.cancel();
        }
        let (detector, period) = (InForce::new(detector), InForce::new(Arc::new(LIMIT)));
        let tests = Tests { detector, prober, desk: desk.clone(), period, shutdown: shutdown.clone() };
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let thread = thread::spawn(move || tests.attend(&runtime));
        let status = loop {
            let status = desk.status().await.unwrap();
            if status.attested.self_tests > 0 || thread.is_finished() {
                break desk.status().await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        assert_eq!(status.self_test.result, result);
        let failed = status.degraded_reasons.iter().any(|reason| reason.as_str() == "self_test_failed");
        assert_eq!(failed, !stopping);
        shutdown.cancel();
        tokio::task::spawn_blocking(move || thread.join().unwrap()).await.unwrap();
        desk.end(posture::Ended::Signal).await.unwrap();
        tokio::task::spawn_blocking(move || recorder.join().unwrap()).await.unwrap();
    }
}
