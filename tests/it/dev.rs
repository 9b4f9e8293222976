//! The private Postgres and the home of `ringup dev`; the sample shop's streams.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use diesel::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use ringup::cli::dev;
use ringup::dev::home::{self, Error, Home};
use ringup::dev::postgres::{Cluster, Options};
use ringup::dev::scenarios::{self, Stream};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::postgres::{PrivateCluster, TestDb, make_home, tmp};

/// A time to play scenarios at.
const NOW: i64 = 1_760_000_000;

/// A home that is removed in the end.
fn scratch(name: &str) -> tempfile::TempDir {
    let dir = tempfile::Builder::new().prefix(name).tempdir_in(tmp()).unwrap();
    make_home(dir.path());
    dir
}

fn count(url: &str) -> i64 {
    let mut conn = PgConnection::establish(url).unwrap();
    diesel::select(diesel::dsl::sql::<diesel::sql_types::BigInt>("(SELECT count(*) FROM kept)"))
        .get_result(&mut conn)
        .unwrap()
}

fn keep(url: &str) {
    let mut conn = PgConnection::establish(url).unwrap();
    diesel::sql_query("CREATE TABLE IF NOT EXISTS kept (x int)").execute(&mut conn).unwrap();
    diesel::sql_query("INSERT INTO kept VALUES (1)").execute(&mut conn).unwrap();
}

#[test]
fn data_survive_stop_and_start_and_a_killed_server_is_taken_over() {
    let home = scratch("cluster");
    let open = || Cluster::open(home.path(), &Options::default()).unwrap();

    let cluster = open();
    cluster.create_database("ringup").unwrap();
    cluster.create_database("ringup").unwrap();
    let (url, port) = (cluster.url("ringup"), cluster.port());
    keep(&url);
    cluster.stop().unwrap();
    assert!(PgConnection::establish(&url).is_err(), "stop() leaves nothing running");

    let cluster = open();
    assert_eq!(cluster.port(), port, "the port stays the same while it is free");
    assert_eq!(count(&url), 1);
    keep(&url);
    // A backend that is busy outlives its server for a while and holds the shared memory.
    let mut busy = PgConnection::establish(&url).unwrap();
    let killed = Pid::from_raw(cluster.pid().unwrap()).unwrap();
    kill_process(killed, Signal::KILL).unwrap();
    std::mem::forget(cluster);

    let cluster = open();
    assert_eq!(count(&cluster.url("ringup")), 2);
    assert!(diesel::sql_query("SELECT 1").execute(&mut busy).is_err());
    cluster.stop().unwrap();
}

#[test]
fn a_server_that_outlived_its_dev_is_used_again_and_a_frozen_one_is_replaced() {
    let home = scratch("takeover");
    let open = || Cluster::open(home.path(), &Options::default()).unwrap();
    let first = open();
    let pid = first.pid();
    // What a killed dev leaves: nobody stops the server.
    std::mem::forget(first);
    let second = open();
    assert_eq!(second.pid(), pid);

    kill_process(Pid::from_raw(pid.unwrap()).unwrap(), Signal::STOP).unwrap();
    std::mem::forget(second);
    let third = open();
    assert_ne!(third.pid(), pid);
    third.stop().unwrap();
}

/// flock(1) hands its descriptor on to whatever it runs, tests and servers included.
#[test]
fn the_server_holds_no_file_of_who_started_it() {
    let home = scratch("inherited");
    let lock = home.path().join("callers-lock");
    // The test binary runs itself as the caller's child, with descriptor 3 open and locked.
    let child = std::process::Command::new("flock")
        .arg(&lock)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "dev::start_and_leave", "--ignored"])
        .env("RINGUP_TEST_HOME", home.path())
        .output();
    // macOS has no flock(1).
    let Ok(output) = child else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let cluster = Cluster::open(home.path(), &Options::default()).unwrap();
    fs::File::open(&lock).unwrap().try_lock().unwrap();
    cluster.stop().unwrap();
}

#[test]
#[ignore = "the child of the test above"]
fn start_and_leave() {
    let Some(home) = std::env::var_os("RINGUP_TEST_HOME") else { return };
    std::mem::forget(Cluster::open(std::path::Path::new(&home), &Options::default()).unwrap());
}

#[test]
fn a_pid_that_another_process_has_by_now_does_not_hinder_the_start() {
    let home = scratch("stale");
    let cluster = Cluster::open(home.path(), &Options::default()).unwrap();
    let pid_file = cluster.data_dir().join("postmaster.pid");
    let text = fs::read_to_string(&pid_file).unwrap();
    cluster.stop().unwrap();
    // This very test's pid: alive, and no Postgres.
    let (_, rest) = text.split_once('\n').unwrap();
    fs::write(&pid_file, format!("{}\n{rest}", std::process::id())).unwrap();
    Cluster::open(home.path(), &Options::default()).unwrap().stop().unwrap();
}

#[test]
fn a_cluster_of_ones_own_heals_after_kill_and_comes_back_after_a_freeze() {
    let mut own = PrivateCluster::start();
    let url = own.url();
    keep(&url);
    own.kill();
    assert!(PgConnection::establish(&url).is_err());
    own.restart();
    assert_eq!(count(&url), 1);
    own.freeze();
    let asked = Instant::now();
    assert!(PgConnection::establish(&format!("{url}?connect_timeout=2")).is_err());
    assert!(asked.elapsed().as_millis() >= 1000, "a frozen server refuses nothing");
    own.thaw();
    assert_eq!(count(&url), 1);
}

#[test]
fn tests_share_a_migrated_template_but_no_rows() {
    let (one, two) = (TestDb::new(), TestDb::new());
    keep(&one.url());
    assert_eq!(count(&one.url()), 1);
    assert!(diesel::sql_query("SELECT * FROM kept").execute(&mut two.conn()).is_err());
    let name = "SELECT 1 FROM orders, events, outbox";
    diesel::sql_query(name).execute(&mut two.conn()).unwrap();
    assert!(diesel::sql_query(name).execute(&mut TestDb::empty().conn()).is_err());
}

#[test]
fn a_second_dev_is_told_that_one_runs() {
    let dir = scratch("home");
    let first = Home::open(dir.path()).unwrap();
    first.announce("http://127.0.0.1:8099").unwrap();
    let error = Home::open(dir.path()).unwrap_err();
    assert!(matches!(&error, Error::Taken(Some(_))));
    let text = error.to_string();
    assert!(text.contains("http://127.0.0.1:8099") && text.contains(&std::process::id().to_string()), "{text}");
    assert_eq!(home::running(dir.path()).unwrap().url, "http://127.0.0.1:8099");
    drop(first);
    assert_eq!(home::running(dir.path()), None);
    Home::open(dir.path()).unwrap();
}

#[test]
fn secrets_are_made_once_kept_private_and_a_persons_change_holds() {
    let dir = scratch("secrets");
    let home = Home::open(dir.path()).unwrap();
    let made = home.secrets().unwrap();
    assert_eq!(made.keys().collect::<Vec<_>>(), ["ADMIN_TOKEN", "API_TOKEN", "STRIPE_WEBHOOK_SECRET"]);
    assert!(made["STRIPE_WEBHOOK_SECRET"].starts_with("whsec_") && made["STRIPE_WEBHOOK_SECRET"].len() == 38);
    assert_eq!(home.secrets().unwrap(), made);
    let permissions = fs::metadata(home.env_file()).unwrap().permissions();
    assert_eq!(permissions.mode() & 0o777, 0o600);

    fs::write(home.env_file(), "API_TOKEN=mine").unwrap();
    let changed = home.secrets().unwrap();
    assert_eq!(changed["API_TOKEN"], "mine");
    assert_eq!(changed.len(), 3, "what is missing is made anew");
    assert_eq!(home.secrets().unwrap(), changed);

    fs::write(home.env_file(), "API_TOKEN='s3cret").unwrap();
    assert!(!home.secrets().unwrap_err().to_string().contains("s3cret"));
}

fn play(name: &str, seed: u64) -> (Stream, Vec<Value>) {
    let stream = scenarios::play(name, &mut StdRng::seed_from_u64(seed), NOW).unwrap();
    let bodies = stream.events.iter().map(|event| serde_json::from_str(&event.body).unwrap()).collect();
    (stream, bodies)
}

#[test]
fn every_stream_is_whole() {
    let mut ids = BTreeSet::new();
    for scenario in scenarios::list() {
        for seed in 0..40 {
            let (stream, bodies) = play(scenario.name, seed);
            for (event, body) in stream.events.iter().zip(&bodies) {
                let object = &body["data"]["object"];
                assert_eq!((&body["id"], &body["type"]), (&Value::from(&*event.id), &Value::from(&*event.kind)));
                assert!(ids.insert((scenario.name, event.id.clone())), "{} comes twice", event.id);
                assert!(body["created"].as_i64().unwrap() <= NOW && object["created"].as_i64().unwrap() <= NOW);
                let kind = object["object"].as_str().unwrap();
                if ["radar.early_fraud_warning", "review"].contains(&kind) {
                    assert_eq!(object["currency"], Value::Null, "a doubt moves no money");
                } else {
                    assert_eq!(object["currency"], stream.purchase.currency);
                }
                assert_eq!(body["livemode"], false);
                assert!(event.body.starts_with("{\n  \"id\": \"evt_"), "as Stripe writes it");
                let intent = match kind {
                    "payment_intent" => &object["id"],
                    "invoice_payment" => &object["payment"]["payment_intent"],
                    _ => &object["payment_intent"],
                };
                let of_one = !["expired", "double-payment"].contains(&scenario.name);
                if of_one && !["invoice", "subscription"].contains(&kind) {
                    assert_eq!(intent, &stream.purchase.payment_intent, "{} {}", scenario.name, event.kind);
                }
            }
        }
    }
}

#[test]
fn a_checkout_is_four_events_about_one_payment() {
    let (stream, bodies) = play("checkout", 7);
    let kinds: Vec<_> = stream.events.iter().map(|event| event.kind.as_str()).collect();
    let expected =
        ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded", "checkout.session.completed"];
    assert_eq!(kinds, expected);
    let session = &bodies[3]["data"]["object"];
    assert_eq!(session["metadata"]["order_id"], stream.reference);
    assert_eq!(session["client_reference_id"], Value::Null);
    assert_eq!(session["payment_status"], "paid");
    for body in &bodies[1..3] {
        let object = &body["data"]["object"];
        assert!(object["metadata"].as_object().unwrap().is_empty(), "a session's metadata stay with it");
        assert_eq!(object["amount"], session["amount_total"]);
    }
    assert_eq!(bodies[2]["data"]["object"]["latest_charge"], bodies[1]["data"]["object"]["id"]);
}

#[test]
fn amounts_add_up_in_every_scenario() {
    for seed in 0..40 {
        let (stream, bodies) = play("refund-partial", seed);
        let of = |kind: &str| &bodies[stream.events.iter().position(|e| e.kind == kind).unwrap()]["data"]["object"];
        let (refund, charge) = (of("refund.created"), of("charge.refunded"));
        assert_eq!(refund["amount"], charge["amount_refunded"]);
        assert!(refund["amount"].as_i64().unwrap() < charge["amount"].as_i64().unwrap());
        assert_eq!(charge["refunded"], false);
        let session = of("checkout.session.completed");
        let sum = session["amount_subtotal"].as_i64().unwrap()
            + session["total_details"]["amount_shipping"].as_i64().unwrap();
        assert_eq!(session["amount_total"], sum);
        if stream.purchase.currency == "kwd" {
            assert_eq!(stream.purchase.total % 10, 0, "Stripe takes three-decimal amounts in tens alone");
        }

        let (stream, bodies) = play("dispute-lost", seed);
        let last = &bodies.last().unwrap()["data"]["object"];
        assert_eq!((&last["status"], &last["amount"]), (&"lost".into(), &stream.purchase.total.into()));
    }
}

#[test]
fn the_same_numbers_give_the_same_stream_and_others_another() {
    let bodies = |seed| play("dispute-won", seed).0.events.into_iter().map(|event| event.body).collect::<Vec<_>>();
    assert_eq!(bodies(1), bodies(1));
    assert_ne!(bodies(1), bodies(2));
    assert!(scenarios::play("no-such", &mut StdRng::seed_from_u64(1), NOW).is_none());
}

/// The answer of a receiver that takes everything, to one request.
fn accept_one(listener: &std::net::TcpListener) -> String {
    use std::io::{Read, Write};
    let (mut stream, _) = listener.accept().unwrap();
    let mut request = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        let read = stream.read(&mut buffer).unwrap();
        request.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        if body.len() >= length.unwrap() {
            let answer = r#"{"status":"accepted"}"#;
            write!(stream, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{answer}", answer.len())
                .unwrap();
            return text;
        }
    }
}

#[test]
fn dev_prepares_serves_announces_and_stops() {
    let dir = scratch("dev");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let wish = taken.local_addr().unwrap().port();
    let given = std::collections::BTreeMap::from([
        ("PORT".to_owned(), wish.to_string()),
        ("DATABASE_URL".to_owned(), "postgres://the-shops-own/database".to_owned()),
        ("SHOP_NAME".to_owned(), "Mine".to_owned()),
    ]);
    let args = dev::Args { demo: true, dir: dir.path().to_owned(), port: None };
    let caller = dev::Caller { given: &given, program: "target/debug/ringup" };
    let mut out = Vec::new();
    let mut url = String::new();
    dev::run(&args, caller, &mut out, |settings, listening| {
        url = settings.get("DATABASE_URL").to_owned();
        keep(&url);
        assert_eq!(settings.get("SHOP_NAME"), "Mine");
        assert!(settings.get("SMTP_URL").starts_with("file:///"));
        let port: u16 = settings.get("PORT").parse().unwrap();
        assert_ne!(port, wish);
        let listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
        listening()?;
        assert_eq!(home::running(dir.path()).unwrap().url, format!("http://127.0.0.1:{port}"));
        let request = accept_one(&listener);
        assert!(request.starts_with("POST /webhooks/stripe ") && request.contains("stripe-signature: t="), "{request}");
        Ok(())
    })
    .unwrap();
    assert!(PgConnection::establish(&url).is_err(), "Postgres is stopped");
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains(&format!("Port {wish} is taken")), "{text}");
    assert!(text.contains("stripe listen --all-snapshot --forward-to localhost:"), "{text}");
    assert!(text.contains("target/debug/ringup trigger checkout --dir "), "{text}");
}

#[test]
fn dev_stops_its_postgres_when_the_receiver_fails() {
    let dir = scratch("fails");
    let args = dev::Args { demo: false, dir: dir.path().to_owned(), port: None };
    let given = std::collections::BTreeMap::new();
    let mut url = String::new();
    let ended = dev::run(&args, dev::Caller { given: &given, program: "ringup" }, &mut Vec::new(), |settings, _| {
        url = settings.get("DATABASE_URL").to_owned();
        anyhow::bail!("no")
    });
    assert_eq!(ended.unwrap_err().to_string(), "no");
    assert!(PgConnection::establish(&url).is_err());
}
