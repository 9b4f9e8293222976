//! Clients that ask and do not listen, or that never end: each is closed in time, and costs little until then.

use crate::support::postgres::TestDb;
use crate::support::process::Process;
use crate::support::server::{Receiver, count, signed};
use rustix::process::Signal;
use serde_json::json;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// Seconds; the test's own limit is several times as long, as the machine may be busy.
const DEADLINE: u64 = 2;
const LIMIT: Duration = Duration::from_secs(20);
/// What one connection of a client that does not read may cost, in bytes: kernel's buffers not counted.
const COST: usize = 4 << 20;

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
const NOTHING: &str = "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n";
const UNSIGNED: &str = "POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}";
const METRICS: &str = "GET /metrics HTTP/1.1\nHost: x\n\n";

fn start(db: &TestDb) -> Process {
    Process::start(db, &[("READ_DEADLINE", &DEADLINE.to_string())])
}

fn connect(process: &Process) -> TcpStream {
    let stream = TcpStream::connect(&process.address).unwrap();
    stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

/// How a client's sending ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The other side took something, and then no more.
    Full,
    /// The other side took nothing.
    Blocked,
    /// The other side has closed.
    Closed,
}

/// Sends `request` over and over, reading nothing, until that is no longer possible.
fn flood(stream: &mut TcpStream, request: &str) -> End {
    let many = request.repeat(1000);
    let begun = Instant::now();
    let (mut sent, mut end) = (0, End::Blocked);
    loop {
        match stream.write(&many.as_bytes()[sent..]) {
            Ok(written) => (sent, end) = ((sent + written) % many.len(), End::Full),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return end,
            Err(_) => return End::Closed,
        }
        assert!(begun.elapsed() < LIMIT, "the other side takes whatever comes");
    }
}

/// Waits until the process has let go of all its clients.
fn until(clients: usize, process: &Process) {
    let begun = Instant::now();
    while process.clients() != clients {
        // What a client has sent ahead is answered until the kernel's buffers are full, which may be much work.
        assert!(begun.elapsed() < 3 * LIMIT, "{} clients are still connected", process.clients());
        std::thread::yield_now();
    }
}

/// A client that pipelines this request and reads nothing is closed in time, and takes neither memory nor a core.
fn costs_little(request: &str) {
    let db = TestDb::new();
    let process = start(&db);
    let memory = process.memory();
    let mut stream = connect(&process);
    let (begun, mut most) = (Instant::now(), memory);
    // Since when the other side takes nothing, and what processor time it had used by then.
    let mut quiet = (Instant::now(), process.processor());
    loop {
        match flood(&mut stream, request) {
            End::Closed => break,
            End::Full => quiet = (Instant::now(), process.processor()),
            End::Blocked => {}
        }
        most = most.max(process.memory());
        assert!(begun.elapsed() < 2 * LIMIT, "still open");
    }
    let (waited, spent) = (quiet.0.elapsed(), process.processor().saturating_sub(quiet.1));
    assert!(most < memory + COST, "{} KiB more", (most - memory) >> 10);
    assert!(waited < 4 * Duration::from_secs(DEADLINE), "{waited:?}");
    assert!(spent < waited / 3, "{spent:?} of the processor in {waited:?}");
    until(0, &process);
}

#[test]
fn pipelined_gets_whose_answers_are_never_read_cost_little() {
    costs_little(NOTHING);
}

#[test]
fn pipelined_posts_whose_answers_are_never_read_cost_little() {
    costs_little(UNSIGNED);
}

#[test]
fn pipelined_health_checks_whose_answers_are_never_read_cost_little() {
    costs_little(HEALTH);
}

#[test]
fn a_trickle_of_reading_buys_no_time() {
    let db = TestDb::new();
    let process = start(&db);
    let mut stream = connect(&process);
    let begun = Instant::now();
    while flood(&mut stream, NOTHING) != End::Closed {
        assert!(begun.elapsed() < 2 * LIMIT, "still open");
        // What was not read when the other side closed may be gone.
        let _ = stream.read(&mut [0]);
    }
}

#[test]
fn half_a_connection_is_closed_as_well() {
    let db = TestDb::new();
    let process = start(&db);
    let mut streams: Vec<TcpStream> = (0..3).map(|_| connect(&process)).collect();
    until(3, &process);
    // One that asked and never reads, one in the middle of a body, one that said nothing.
    assert_eq!(flood(&mut streams[0], NOTHING), End::Full);
    streams[1].write_all(&UNSIGNED.as_bytes()[..UNSIGNED.len() - 1]).unwrap();
    for stream in &streams {
        stream.shutdown(Shutdown::Write).unwrap();
    }
    until(0, &process);
}

#[test]
fn a_head_without_end_is_refused() {
    let db = TestDb::new();
    let process = start(&db);
    for (beginning, more) in [("GET /", "a"), ("GET / HTTP/1.1\r\n", "A: b\r\n"), ("", "\r\n"), ("", "\0")] {
        let (begun, memory) = (Instant::now(), process.memory());
        let mut stream = connect(&process);
        let _ = stream.write_all(beginning.as_bytes());
        while flood(&mut stream, more) != End::Closed {
            assert!(begun.elapsed() < LIMIT, "{beginning}{more}: still open");
        }
        assert!(process.memory() < memory + COST, "{beginning}{more}");
    }
}

#[test]
fn sigterm_does_not_wait_for_clients_that_never_read() {
    let db = TestDb::new();
    let mut process = start(&db);
    let mut streams: Vec<TcpStream> = (0..2).map(|_| connect(&process)).collect();
    for (stream, request) in streams.iter_mut().zip([NOTHING, METRICS]) {
        assert_eq!(flood(stream, request), End::Full);
    }
    let begun = Instant::now();
    process.signal(Signal::TERM);
    assert!(process.wait().success());
    assert!(begun.elapsed() < Duration::from_secs(DEADLINE + 6), "{:?}", begun.elapsed());
}

/// A client that keeps its connection is told before it ends: one that is just about to ask is answered.
#[test]
fn at_sigterm_a_kept_connection_is_answered_once_more_and_told() {
    let db = TestDb::new();
    let mut process = start(&db);
    let mut stream = connect(&process);
    let ask = |stream: &mut TcpStream| {
        stream.write_all(HEALTH.as_bytes()).unwrap();
        let mut answer = vec![0; 4096];
        let read = stream.read(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[..read]).to_ascii_lowercase()
    };
    let before = ask(&mut stream);
    assert!(before.starts_with("http/1.1 200") && !before.contains("connection: close"), "{before}");
    process.signal(Signal::TERM);
    assert!(process.says("stopping"));
    let last = ask(&mut stream);
    assert!(last.starts_with("http/1.1 200") && last.contains("connection: close"), "{last}");
    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "and it ends");
    assert!(process.wait().success());
}

#[test]
fn malformed_requests_are_counted_and_told_once() {
    let db = TestDb::new();
    let process = start(&db);
    for _ in 0..200 {
        let mut stream = connect(&process);
        stream.write_all(b"\x16\x03\x01 no HTTP\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&answer));
    }
    let mut stream = connect(&process);
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut metrics = String::new();
    stream.read_to_string(&mut metrics).unwrap();
    assert!(metrics.contains("ringup_malformed_requests_total 200"), "{metrics}");
    assert!(process.says("malformed HTTP requests"));
    let told: Vec<String> = process.log().into_iter().filter(|line| !line.contains("INFO")).collect();
    assert!(told.len() == 1 && told[0].contains("malformed HTTP requests"), "{told:?}");
}

/// Sends in pieces of this length, and reads to the end.
fn converse(receiver: &Receiver, text: &[u8], piece: usize) -> Vec<u16> {
    let mut stream = TcpStream::connect(receiver.address()).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut reading = stream.try_clone().unwrap();
    let answers = std::thread::spawn(move || {
        let mut answers = String::new();
        reading.read_to_string(&mut answers).unwrap();
        answers
    });
    for piece in text.chunks(piece) {
        stream.write_all(piece).unwrap();
    }
    let answers = answers.join().unwrap();
    answers.split("HTTP/1.1 ").skip(1).map(|answer| answer[..3].parse().unwrap()).collect()
}

/// Whoever pipelines and reads is served, one after the other, however the bytes come.
#[actix_rt::test]
async fn pipelined_requests_are_answered_in_their_sequence() {
    let db = TestDb::new();
    let receiver = Receiver::start(&db);
    let event = |n: usize| {
        // With blank lines within, as a person may write JSON.
        json!({ "id": format!("evt_{n}"), "object": "event", "type": "customer.updated" })
            .to_string()
            .replace(',', ",\n\n\r\n")
    };
    let post = |body: &str| {
        let head =
            format!("POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\nStripe-Signature: {}\r\n", signed(body.as_bytes()));
        format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())
    };
    let chunked =
        "POST /nothing HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n\n\n\r\n\r\n\r\n0\r\n\r\n";
    let last = "GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    for (n, piece) in [1, 7, 100, 1 << 20].into_iter().enumerate() {
        let bodies = [event(3 * n), event(3 * n + 1), event(3 * n + 2)];
        let text =
            [NOTHING, &post(&bodies[0]), HEALTH, &post(&bodies[1]), &post(&bodies[2]), METRICS, chunked, HEALTH, last];
        let answers = converse(&receiver, text.concat().as_bytes(), piece);
        assert_eq!(answers, [404, 200, 200, 200, 200, 200, 404, 200, 404], "in pieces of {piece}");
    }
    assert_eq!(count(&mut db.conn(), "SELECT count(*) FROM events"), 12);
    let many = HEALTH.repeat(5000) + last;
    let answers = converse(&receiver, many.as_bytes(), 1 << 20);
    assert_eq!(answers.len(), 5001);
    assert_eq!((answers.iter().filter(|answer| **answer == 200).count(), answers.last()), (5000, Some(&404)));
}
