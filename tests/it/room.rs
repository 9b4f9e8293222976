//! The room that bodies take in memory: it is bounded, taken by what has arrived, and small bodies have a share of it.

use crate::support::postgres::TestDb;
use crate::support::server::{Receiver, count, signed};
use serde_json::json;
use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const MIB: usize = 1 << 20;
/// All there is, and what bodies over 64 KiB leave of it.
const ROOM: usize = 64 * MIB;
const SHARE: usize = 8 * MIB;
const LIMIT: Duration = Duration::from_secs(20);

/// A sender that has declared a body of `declared` bytes, and sent `sent` of them.
fn sender(receiver: &Receiver, path: &str, declared: usize, sent: usize) -> TcpStream {
    let mut stream = TcpStream::connect(receiver.address()).unwrap();
    stream.set_write_timeout(Some(LIMIT)).unwrap();
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: x\r\nStripe-Signature: t=1,v1=00\r\nContent-Length: {declared}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    match stream.write_all(&vec![b' '; sent]) {
        // It was refused half-way.
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {}
        written => written.unwrap(),
    }
    stream
}

async fn in_flight(receiver: &Receiver) -> usize {
    let metrics = receiver.metrics().await;
    let line = metrics.lines().find_map(|line| line.strip_prefix("ringup_bytes_in_flight ")).unwrap();
    line.parse().unwrap()
}

/// Waits until so many bytes are in flight.
async fn until_in_flight(receiver: &Receiver, expected: impl Fn(usize) -> bool) {
    let begun = Instant::now();
    loop {
        let bytes = in_flight(receiver).await;
        if expected(bytes) {
            return;
        }
        assert!(begun.elapsed() < LIMIT, "{bytes} bytes are in flight");
        tokio::task::yield_now().await;
    }
}

/// Stripe's usual events are taken as ever.
async fn usual_events_are_taken(receiver: &Receiver, db: &TestDb) {
    let before = count(&mut db.conn(), "SELECT count(*) FROM events");
    for n in before..before + 20 {
        let filler = "x".repeat(if n % 2 == 0 { 3_000 } else { 60_000 });
        let event =
            json!({ "id": format!("evt_{n}"), "object": "event", "type": "customer.updated", "filler": filler });
        let begun = Instant::now();
        assert_eq!(receiver.deliver(event.to_string().as_bytes()).await.status, 200);
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    }
    assert_eq!(count(&mut db.conn(), "SELECT count(*) FROM events"), before + 20);
}

fn receiver(db: &TestDb) -> Receiver {
    Receiver::start_with(&db.url(), &[("GITHUB_WEBHOOK_SECRET", "a secret of the tests"), ("READ_DEADLINE", "60")])
}

#[actix_rt::test]
async fn what_is_only_declared_takes_no_room() {
    let db = TestDb::new();
    let receiver = receiver(&db);
    let heads: Vec<TcpStream> = (0..200).map(|_| sender(&receiver, "/webhooks/stripe", MIB, 0)).collect();
    let larger: Vec<TcpStream> = (0..10).map(|_| sender(&receiver, "/webhooks/github", 25 * MIB, 0)).collect();
    usual_events_are_taken(&receiver, &db).await;
    assert_eq!(in_flight(&receiver).await, 0);
    drop((heads, larger));
}

#[actix_rt::test]
async fn a_trickle_takes_no_more_than_it_brings() {
    let db = TestDb::new();
    let receiver = receiver(&db);
    let mut trickles: Vec<TcpStream> = (0..200).map(|_| sender(&receiver, "/webhooks/stripe", MIB, 1)).collect();
    trickles.extend((0..10).map(|_| sender(&receiver, "/webhooks/github", 25 * MIB, 1)));
    for _ in 0..20 {
        for trickle in &mut trickles {
            trickle.write_all(b" ").unwrap();
        }
    }
    until_in_flight(&receiver, |bytes| bytes >= 210 * 21).await;
    assert!(in_flight(&receiver).await <= 2 * 210 * 21);
    usual_events_are_taken(&receiver, &db).await;
    drop(trickles);
    until_in_flight(&receiver, |bytes| bytes == 0).await;
}

#[actix_rt::test]
async fn large_bodies_that_fill_the_room_leave_small_ones_their_share() {
    let db = TestDb::new();
    let receiver = receiver(&db);
    let mut large: Vec<TcpStream> =
        (0..3).map(|_| sender(&receiver, "/webhooks/github", 25 * MIB, 25 * MIB - 1)).collect();
    large.extend((0..64).map(|_| sender(&receiver, "/webhooks/stripe", MIB, MIB - 1)));
    until_in_flight(&receiver, |bytes| bytes > ROOM - SHARE - MIB).await;
    assert!(in_flight(&receiver).await <= ROOM - SHARE);
    usual_events_are_taken(&receiver, &db).await;
    drop(large);
    until_in_flight(&receiver, |bytes| bytes == 0).await;
}

#[actix_rt::test]
async fn without_any_room_the_answer_is_a_fast_503_and_the_receiver_comes_back_by_itself() {
    let db = TestDb::new();
    let receiver = receiver(&db);
    let event = json!({ "id": "evt_1", "object": "event", "type": "customer.updated" }).to_string();
    let mut crowd: Vec<TcpStream> = (0..56).map(|_| sender(&receiver, "/webhooks/stripe", MIB, MIB - 1)).collect();
    until_in_flight(&receiver, |bytes| bytes == ROOM - SHARE).await;
    crowd.extend((0..128).map(|_| sender(&receiver, "/webhooks/stripe", 65_536, 65_535)));
    until_in_flight(&receiver, |bytes| bytes == ROOM).await;
    let begun = Instant::now();
    let request = receiver.client().post(receiver.url("/webhooks/stripe"));
    let request = request.header("stripe-signature", signed(event.as_bytes())).body(event.clone());
    let refused = request.send().await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "nobody waits for room");
    assert_eq!((refused.status().as_u16(), refused.headers().contains_key("retry-after")), (503, true));
    assert_eq!(count(&mut db.conn(), "SELECT count(*) FROM events"), 0);
    drop(crowd);
    while receiver.deliver(event.as_bytes()).await.status == 503 {
        assert!(begun.elapsed() < LIMIT, "the receiver does not come back");
    }
    assert_eq!(count(&mut db.conn(), "SELECT count(*) FROM events"), 1);
}
