//! What breaks: the process, the database, an event. What was answered 2xx is never lost, and has its effect once.

use crate::support::hooks::HookServer;
use crate::support::postgres::{PrivateCluster, TestDb};
use crate::support::server::{Receiver, count, now, signed, texts, variables};
use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::{Connection, RunQueryDsl, sql_query};
use rand::SeedableRng;
use rand::rngs::StdRng;
use ringup::dev::scenarios::{self, Stream};
use ringup::outbox::destinations::create;
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn checkout(seed: u64) -> Stream {
    scenarios::play("checkout", &mut StdRng::seed_from_u64(seed), now()).unwrap()
}

/// Posts until it is answered 2xx, as Stripe would; gives up after 20 s.
async fn until_accepted(receiver: &Receiver, body: &[u8]) {
    let begun = Instant::now();
    while receiver.deliver(body).await.status != 200 {
        assert!(begun.elapsed() < Duration::from_secs(20), "the receiver does not come back");
    }
}

#[actix_rt::test]
async fn a_poison_event_ends_in_quarantine_and_holds_up_nobody() {
    fail::cfg("orders.compute", "panic(the law is broken)").unwrap();
    let db = TestDb::new();
    let receiver = Receiver::start(&db);
    let streams = [checkout(1), checkout(2), checkout(3)];
    let poison = streams[0].events[3].body.replace(&streams[0].reference, "poison-1").replace("evt_", "evt_p");
    for body in
        streams.iter().flat_map(|stream| &stream.events).map(|event| event.body.as_bytes()).chain([poison.as_bytes()])
    {
        assert_eq!(receiver.deliver(body).await.code(), "accepted");
    }
    let mut conn = db.conn();
    for round in 1..=8 {
        conn.batch_execute("UPDATE pending SET next_at = now()").unwrap();
        assert_eq!(count(&mut conn, "SELECT count(*) FROM pending"), 1, "round {round}");
        receiver.settle().await;
    }
    assert_eq!(count(&mut conn, "SELECT count(*) FROM pending"), 0);
    let reasons = texts(&mut conn, "SELECT reason AS text FROM events WHERE state = 'quarantined'");
    assert_eq!(reasons, [Some("failed 8 times: the order could not be computed: the law is broken".to_owned())]);
    assert_eq!(count(&mut conn, "SELECT count(*) FROM orders WHERE status = 'paid'"), 3);
    assert_eq!(receiver.mails().len(), 3);
    fail::remove("orders.compute");
}

#[actix_rt::test]
async fn a_panic_while_reading_leaves_the_event_to_the_workers() {
    fail::cfg("intake.judge", "1*panic").unwrap();
    let db = TestDb::new();
    let receiver = Receiver::start(&db);
    let body = checkout(1).events[2].body.replace("evt_", "evt_poison");
    assert_eq!(receiver.deliver(body.as_bytes()).await.code(), "accepted");
    assert_eq!(count(&mut db.conn(), "SELECT count(*) FROM events WHERE state = 'pending'"), 1);
    receiver.settle().await;
    assert_eq!(count(&mut db.conn(), "SELECT count(*) FROM orders WHERE status = 'paid'"), 1);
    fail::remove("intake.judge");
}

#[actix_rt::test]
async fn a_killed_database_is_answered_503_and_healed_from() {
    let mut cluster = PrivateCluster::start();
    let receiver = Receiver::start_with(&cluster.url(), &[]);
    let streams = [checkout(1), checkout(2)];
    for event in &streams[0].events {
        assert_eq!(receiver.deliver(event.body.as_bytes()).await.status, 200);
    }
    cluster.kill();
    let begun = Instant::now();
    let answer = receiver.deliver(streams[1].events[0].body.as_bytes()).await;
    assert_eq!((answer.status, answer.code()), (503, "unavailable"));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    cluster.restart();
    for event in &streams[1].events {
        until_accepted(&receiver, event.body.as_bytes()).await;
    }
    let mut conn = PgConnection::establish(&cluster.url()).unwrap();
    assert_eq!(count(&mut conn, "SELECT count(*) FROM events WHERE state = 'processed'"), 8);
    assert_eq!(count(&mut conn, "SELECT count(*) FROM orders WHERE status = 'paid'"), 2);
    assert_eq!(count(&mut conn, "SELECT count(*) FROM outbox"), 2);
}

#[actix_rt::test]
async fn a_frozen_database_is_answered_503_in_time_and_healed_from() {
    let cluster = PrivateCluster::start();
    let receiver = Receiver::start_with(&cluster.url(), &[]);
    let streams = [checkout(1), checkout(2)];
    until_accepted(&receiver, streams[0].events[0].body.as_bytes()).await;
    cluster.freeze();
    for event in &streams[1].events {
        let begun = Instant::now();
        assert_eq!(receiver.deliver(event.body.as_bytes()).await.status, 503);
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    }
    cluster.thaw();
    for event in streams.iter().flat_map(|stream| &stream.events) {
        until_accepted(&receiver, event.body.as_bytes()).await;
    }
    receiver.settle().await;
    let mut conn = PgConnection::establish(&cluster.url()).unwrap();
    assert_eq!(count(&mut conn, "SELECT count(*) FROM events"), 8);
    assert_eq!(count(&mut conn, "SELECT count(*) FROM orders WHERE status = 'paid'"), 2);
    assert_eq!(count(&mut conn, "SELECT count(*) FROM outbox"), 2);
}

/// A receiver in a process of its own, to be killed.
struct Process {
    child: Child,
    url: String,
}

impl Process {
    fn start(db: &TestDb, mail: &std::path::Path, failpoints: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ringup"))
            .arg("serve")
            .envs(variables(&db.url(), mail.to_str().unwrap()))
            .env("RUST_LOG", "info")
            .env("ALLOW_PRIVATE_TARGETS", "true")
            .env("FAILPOINTS", failpoints)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let mut lines = log.lines().map_while(Result::ok);
        let listening = lines.find(|line| line.contains("listening on http://")).expect("the receiver starts");
        let address = listening.split("http://").nth(1).unwrap().split(';').next().unwrap().to_owned();
        // A full pipe would stop the process.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, url: format!("http://{address}/webhooks/stripe") }
    }

    async fn deliver(&self, body: &[u8]) -> Option<u16> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.post(&self.url).header("stripe-signature", signed(body)).body(body.to_vec());
        request.send().await.ok().map(|answer| answer.status().as_u16())
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Kills the receiver at `point`, starts another, and delivers again.
async fn killed_at(point: &str, stored_before: i64) {
    let db = TestDb::new();
    let mail = tempfile::tempdir().unwrap();
    let stream = checkout(7);
    let first = Process::start(&db, mail.path(), &format!("{point}=pause"));
    assert_eq!(
        first.deliver(stream.events[2].body.as_bytes()).await,
        Some(503),
        "not answered in time, so not acknowledged"
    );
    first.kill();
    let mut conn = db.conn();
    assert_eq!(count(&mut conn, "SELECT count(*) FROM events"), stored_before);
    let second = Process::start(&db, mail.path(), "");
    for event in &stream.events {
        assert_eq!(second.deliver(event.body.as_bytes()).await, Some(200));
    }
    second.kill();
    assert_eq!(count(&mut conn, "SELECT count(*) FROM events WHERE state = 'processed'"), 4);
    assert_eq!(count(&mut conn, "SELECT count(*) FROM orders WHERE status = 'paid'"), 1);
    assert_eq!(count(&mut conn, "SELECT count(*) FROM outbox"), 1);
}

/// Half a receiver would answer 503 for ever.
#[test]
fn a_receiver_with_too_few_writers_does_not_start() {
    let (db, mail) = (TestDb::new(), tempfile::tempdir().unwrap());
    let mut serve = Command::new(env!("CARGO_BIN_EXE_ringup"));
    serve.arg("serve").envs(variables(&db.url(), mail.path().to_str().unwrap()));
    let ended = serve.env("FAILPOINTS", "intake.start_writer=1*off->return").output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success() && said.contains("cannot start a thread that writes"), "{said}");
}

#[actix_rt::test]
async fn killed_between_commit_and_answer() {
    killed_at("intake.before_answer", 1).await;
}

#[actix_rt::test]
async fn killed_before_the_commit() {
    killed_at("intake.before_commit", 0).await;
}

/// Killed after the other side took a webhook and before that is written down: one duplicate, under the same id.
#[actix_rt::test]
async fn killed_between_acceptance_and_mark() {
    let (db, mail) = (TestDb::new(), tempfile::tempdir().unwrap());
    let hooks = HookServer::start([]).await;
    let wanted = json!({ "url": hooks.url("/"), "events": ["order.paid"] });
    create(&mut db.conn(), &serde_json::from_value(wanted).unwrap(), true).unwrap();
    let first = Process::start(&db, mail.path(), "outbox.before_mark=pause");
    for event in &checkout(8).events {
        assert_eq!(first.deliver(event.body.as_bytes()).await, Some(200));
    }
    hooks.wait_for(1).await;
    first.kill();
    // Its lease runs out.
    sql_query("UPDATE outbox SET next_at = now()").execute(&mut db.conn()).unwrap();
    let second = Process::start(&db, mail.path(), "");
    hooks.wait_for(2).await;
    second.kill();
    let ids: Vec<_> = hooks.received().iter().map(|hook| hook.header("webhook-id").to_owned()).collect();
    assert_eq!((ids.len(), &ids[0]), (2, &ids[1]));
    assert_eq!(count(&mut db.conn(), "SELECT count(*) FROM outbox WHERE kind = 'webhook'"), 1);
}

#[actix_rt::test]
async fn sigterm_drains_and_ends_well() {
    let db = TestDb::new();
    let mail = tempfile::tempdir().unwrap();
    let mut process = Process::start(&db, mail.path(), "");
    for event in &checkout(1).events {
        assert_eq!(process.deliver(event.body.as_bytes()).await, Some(200));
    }
    let pid = rustix::process::Pid::from_raw(i32::try_from(process.child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(process.child.wait().unwrap().success());
    assert_eq!(count(&mut db.conn(), "SELECT count(*) FROM orders WHERE status = 'paid'"), 1);
}

#[test]
fn without_a_database_the_commands_say_so_at_once() {
    let begun = Instant::now();
    for command in ["serve", "worker", "migrate"] {
        let mail = tempfile::tempdir().unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_ringup"))
            .arg(command)
            .envs(variables("postgres://nobody:canary-password@127.0.0.1:1/none", mail.path().to_str().unwrap()))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{command}: {said}");
        assert!(said.contains("cannot connect to DATABASE_URL"), "{command}: {said}");
        assert!(!said.contains("canary-password"), "{command}: {said}");
    }
    assert!(begun.elapsed() < Duration::from_secs(20));
}
