//! Who subscribed is told: signed, in time, and no more than that; and what a person can do about it.

use crate::support::hooks::{Hook, HookServer, Reply};
use crate::support::postgres::TestDb;
use crate::support::server::{Receiver, count, now, texts, variables};
use diesel::{RunQueryDsl, sql_query};
use rand::SeedableRng;
use rand::rngs::StdRng;
use ringup::config::Config;
use ringup::db;
use ringup::dev::scenarios;
use ringup::orders::Settings;
use ringup::outbox::{self, Outbox};
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use std::time::Duration;

const OPEN: (&str, &str) = ("ALLOW_PRIVATE_TARGETS", "true");

fn sql(db: &TestDb, text: &str) {
    sql_query(text).execute(&mut db.conn()).unwrap();
}

/// All that waits is due now, and every destination ready.
fn pass_time(db: &TestDb) {
    sql(db, "UPDATE outbox SET next_at = now() - interval '1 second' WHERE state = 'queued'");
    sql(db, "UPDATE destinations SET next_at = now()");
}

async fn subscribe(receiver: &Receiver, url: &str, events: &[&str]) -> Value {
    let answer = receiver.call("POST", "/api/subscriptions", &json!({ "url": url, "events": events })).await;
    assert_eq!(answer.status, 201, "{}", answer.json);
    answer.json
}

/// The ids of all that is listed.
async fn listed(receiver: &Receiver) -> Vec<String> {
    let answer = receiver.api("/api/subscriptions").await.json;
    answer["data"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

/// A checkout, delivered whole; returns the order's reference.
async fn pay(receiver: &Receiver, seed: u64) -> String {
    let stream = scenarios::play("checkout", &mut StdRng::seed_from_u64(seed), now()).unwrap();
    for event in &stream.events {
        assert_eq!(receiver.deliver(event.body.as_bytes()).await.code(), "accepted");
    }
    stream.reference
}

fn believed(hook: &Hook, secret: &str) -> bool {
    let signed = Webhook::new(secret).unwrap().sign(
        hook.header("webhook-id"),
        hook.header("webhook-timestamp").parse().unwrap(),
        &hook.body,
    );
    let signed = signed.unwrap();
    hook.header("webhook-signature").split(' ').any(|signature| signature == signed)
}

#[actix_rt::test]
async fn a_paid_order_is_told_signed_and_under_one_id_over_all_attempts() {
    let db = TestDb::new();
    let hooks = HookServer::start([Reply::Status(500, "down"), Reply::Cut]).await;
    let receiver = Receiver::start_with(&db.url(), &[OPEN]);
    let made = subscribe(&receiver, &hooks.url("/hook"), &["order.paid"]).await;
    let secret = made["secret"].as_str().unwrap();
    let reference = pay(&receiver, 1).await;
    for _ in 0..3 {
        receiver.settle().await;
        pass_time(&db);
    }
    receiver.settle().await;
    let received = hooks.received();
    assert_eq!(received.len(), 3, "500, cut, and then accepted");
    let ids: std::collections::BTreeSet<_> = received.iter().map(|hook| hook.header("webhook-id")).collect();
    assert_eq!(ids.len(), 1);
    assert!(received.iter().all(|hook| believed(hook, secret) && hook.path == "/hook"));
    let (body, order) = (received[2].json(), receiver.order(&reference).await);
    assert_eq!(body["type"], "order.paid");
    for (name, value) in order.as_object().unwrap().iter().filter(|(name, _)| !name.ends_with("_at")) {
        assert_eq!(&body["data"][name], value, "{name}");
    }
    assert!(body["data"]["notice"]["object"].as_str().unwrap().starts_with("pi_"));
    let attempts = "SELECT outcome || ' ' || split_part(answer, ' ', 1) AS text FROM attempts JOIN outbox ON id = message_id \
                    WHERE kind = 'webhook' ORDER BY number";
    let attempts: Vec<_> = texts(&mut db.conn(), attempts).into_iter().flatten().collect();
    assert_eq!((&attempts[0][..], &attempts[2][..]), ("retry 500", "sent 200"), "{attempts:?}");
    let key = texts(&mut db.conn(), "SELECT dedupe_key AS text FROM outbox WHERE kind = 'webhook'");
    let object = body["data"]["notice"]["object"].as_str().unwrap();
    assert_eq!(key[0].as_deref(), Some(&*format!("order.paid:{object}@{}", made["id"].as_str().unwrap())));
}

#[actix_rt::test]
async fn the_official_library_believes_what_is_sent() {
    let db = TestDb::new();
    let hooks = HookServer::start([]).await;
    let receiver = Receiver::start_with(&db.url(), &[OPEN]);
    let made = subscribe(&receiver, &hooks.url("/"), &["*"]).await;
    pay(&receiver, 2).await;
    receiver.settle().await;
    let hook = hooks.received().remove(0);
    let mut headers = reqwest::header::HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        headers.insert(name, hook.header(name).parse().unwrap());
    }
    let secret = made["secret"].as_str().unwrap();
    Webhook::new(secret).unwrap().verify(&hook.body, &headers).unwrap();
    assert!(Webhook::new(secret).unwrap().verify(b"{}", &headers).is_err());
}

/// The package of the specification's authors, in another language than ours.
#[actix_rt::test]
async fn the_official_npm_package_believes_what_is_sent() {
    let Some(home) = crate::support::npm::packages("standardwebhooks", &["standardwebhooks@1"]) else { return };
    let db = TestDb::new();
    let hooks = HookServer::start([]).await;
    let receiver = Receiver::start_with(&db.url(), &[OPEN]);
    let made = subscribe(&receiver, &hooks.url("/"), &["*"]).await;
    pay(&receiver, 2).await;
    receiver.settle().await;
    let hook = hooks.received().remove(0);
    let script = "const { Webhook } = require('standardwebhooks'); const given = JSON.parse(process.argv[1]); \
                  console.log(new Webhook(given.secret).verify(given.body, given.headers).type);";
    let given = json!({ "secret": made["secret"], "headers": hook.headers, "body": String::from_utf8(hook.body.clone()).unwrap() });
    let verify = |given: &Value| {
        std::process::Command::new("node").args(["-e", script, &given.to_string()]).current_dir(&home).output().unwrap()
    };
    let output = verify(&given);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "order.paid\n", "{}", String::from_utf8_lossy(&output.stderr));
    let mut forged = given;
    forged["body"] = json!(forged["body"].as_str().unwrap().replace("order.paid", "order.PAID"));
    assert!(!verify(&forged).status.success());
}

#[actix_rt::test]
async fn a_receiver_s_trouble_is_waited_out_and_its_answers_are_capped() {
    let db = TestDb::new();
    let elsewhere = HookServer::start([]).await;
    let moved = Reply::With(302, "", format!("location: {}", elsewhere.url("/")));
    let slower = Reply::With(429, "slower", "retry-after: 120".to_owned());
    let hooks = HookServer::start([slower, moved, Reply::Hang, Reply::Huge]).await;
    let receiver = Receiver::start_with(&db.url(), &[OPEN, ("SEND_DEADLINE", "1")]);
    let made = subscribe(&receiver, &hooks.url("/"), &["order.paid"]).await;
    pay(&receiver, 3).await;
    receiver.settle().await;
    let wait = "SELECT round(extract(epoch FROM o.next_at - now()) / 60)::bigint AS count FROM outbox o WHERE kind = 'webhook'";
    assert_eq!(count(&mut db.conn(), wait), 2, "as asked, not the 5 s of the first step");
    let pause = "SELECT round(extract(epoch FROM next_at - now()) / 60)::bigint AS count FROM destinations WHERE kind = 'webhook'";
    assert_eq!(count(&mut db.conn(), pause), 2);
    for _ in 0..3 {
        pass_time(&db);
        receiver.settle().await;
    }
    assert_eq!(elsewhere.received().len(), 0, "redirects are not followed");
    let answers =
        "SELECT answer AS text FROM attempts JOIN outbox ON id = message_id WHERE kind = 'webhook' ORDER BY number";
    let answers: Vec<String> = texts(&mut db.conn(), answers).into_iter().flatten().collect();
    assert_eq!(answers[..3], ["429 slower", "302", "no whole answer within 1 s"]);
    assert!(answers[3].starts_with("200 xxx") && answers[3].len() == 2048, "{}", answers[3].len());
    assert!(hooks.sent() < 10_000_000, "the rest of the answer was not read");
    let made = receiver.api(&format!("/api/subscriptions/{}", made["id"].as_str().unwrap())).await.json;
    assert_eq!((&made["state"], &made["failing_since"], &made["queued"]), (&json!("active"), &Value::Null, &json!(0)));
}

#[actix_rt::test]
async fn a_plain_server_behind_https_is_tried_again() {
    let db = TestDb::new();
    let hooks = HookServer::start([]).await;
    let receiver = Receiver::start_with(&db.url(), &[OPEN]);
    subscribe(&receiver, &hooks.url("/").replace("http://", "https://"), &["order.paid"]).await;
    pay(&receiver, 4).await;
    receiver.settle().await;
    let state = "SELECT state || ' ' || (last_error LIKE 'cannot connect%') AS text FROM outbox WHERE kind = 'webhook'";
    assert_eq!(texts(&mut db.conn(), state)[0].as_deref(), Some("queued true"));
}

/// A server whose certificate nobody vouches for; ends with the connection.
async fn self_signed() -> u16 {
    let pem = |name: &str| std::fs::read(format!("{}/tests/data/tls/{name}.pem", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let cert = rustls::pki_types::CertificateDer::from_pem_slice(&pem("cert")).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::from_pem_slice(&pem("key")).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![cert], key).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // The client is to turn away.
            drop(acceptor.accept(stream).await);
        }
    });
    port
}

#[actix_rt::test]
async fn a_certificate_that_nobody_vouches_for_is_not_accepted() {
    let db = TestDb::new();
    let receiver = Receiver::start_with(&db.url(), &[OPEN]);
    let port = self_signed().await;
    subscribe(&receiver, &format!("https://127.0.0.1:{port}/"), &["order.paid"]).await;
    pay(&receiver, 4).await;
    receiver.settle().await;
    let state = "SELECT state || ': ' || last_error AS text FROM outbox WHERE kind = 'webhook'";
    let state = texts(&mut db.conn(), state).remove(0).unwrap();
    assert!(state.starts_with("queued: cannot connect") && state.to_lowercase().contains("certificate"), "{state}");
}

#[actix_rt::test]
async fn gone_stops_a_destination_until_a_person_resumes_it() {
    let db = TestDb::new();
    let (hooks, other) = (HookServer::start([Reply::Status(410, "go\0ne")]).await, HookServer::start([]).await);
    let receiver = Receiver::start_with(&db.url(), &[OPEN]);
    let made = subscribe(&receiver, &hooks.url("/"), &["order.paid"]).await;
    subscribe(&receiver, &other.url("/"), &["subscription.*"]).await;
    pay(&receiver, 5).await;
    receiver.settle().await;
    let path = format!("/api/subscriptions/{}", made["id"].as_str().unwrap());
    let shown = receiver.api(&path).await.json;
    assert_eq!(
        (&shown["state"], &shown["reason"], &shown["queued"]),
        (&json!("disabled"), &json!("410 gone"), &json!(1))
    );
    assert_eq!(shown["secret"], Value::Null, "shown once");
    let told = other.received().remove(0).json();
    assert_eq!((&told["type"], &told["data"]["object"]), (&json!("subscription.disabled"), &made["id"]));
    pay(&receiver, 6).await;
    pass_time(&db);
    receiver.settle().await;
    assert_eq!(hooks.received().len(), 1, "nothing more is queued, nothing more is sent");
    assert_eq!(receiver.call("PATCH", &path, &json!({ "state": "active" })).await.status, 200);
    receiver.settle().await;
    assert_eq!(hooks.received().len(), 2, "what waited goes out");
    assert_eq!(hooks.received()[0].header("webhook-id"), hooks.received()[1].header("webhook-id"));
}

#[actix_rt::test]
async fn five_days_of_failures_are_enough() {
    let db = TestDb::new();
    let hooks = HookServer::start([Reply::Status(500, ""), Reply::Status(500, "")]).await;
    let receiver = Receiver::start_with(&db.url(), &[OPEN]);
    let made = subscribe(&receiver, &hooks.url("/"), &["order.paid"]).await;
    pay(&receiver, 7).await;
    receiver.settle().await;
    let path = format!("/api/subscriptions/{}", made["id"].as_str().unwrap());
    assert_eq!(receiver.api(&path).await.json["state"], "active");
    sql(&db, "UPDATE destinations SET failing_since = failing_since - interval '5 days'");
    pass_time(&db);
    receiver.settle().await;
    let shown = receiver.api(&path).await.json;
    assert_eq!((&shown["state"], &shown["reason"]), (&json!("disabled"), &json!("it has failed for 5 days")));
}

#[actix_rt::test]
async fn a_destination_that_hangs_delays_no_other() {
    let db = TestDb::new();
    let dead = HookServer::start((0..100).map(|_| Reply::Hang)).await;
    let alive = HookServer::start([]).await;
    let receiver = Receiver::start_with(&db.url(), &[OPEN]);
    subscribe(&receiver, &dead.url("/"), &["order.*"]).await;
    for seed in 10..16 {
        pay(&receiver, seed).await;
    }
    let config = Config::from_vars(variables(&db.url(), "/nowhere")).unwrap();
    let targets = ringup::config::Targets { allow_private: true, ..config.targets };
    let outbox = Outbox::new(db::pool(&db.url(), 4), &config.mail, &targets, Settings::default().read_details())
        .unwrap()
        .with_drain(Duration::from_millis(100));
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let wake = std::sync::Arc::new(tokio::sync::Notify::new());
    let running = tokio::spawn({
        let wake = std::sync::Arc::clone(&wake);
        async move { outbox::run(&outbox, || (), &wake, stopped).await }
    });
    dead.wait_for(4).await;
    subscribe(&receiver, &alive.url("/"), &["order.paid"]).await;
    for seed in 16..22 {
        pay(&receiver, seed).await;
    }
    wake.notify_one();
    alive.wait_for(6).await;
    assert_eq!(dead.received().len(), 4, "a destination keeps its own room and no more");
    stop.send_replace(true);
    running.await.unwrap();
    let cut_off = "SELECT count(*) FROM outbox WHERE state = 'queued' AND lease IS NOT NULL AND next_at > now()";
    assert_eq!(count(&mut db.conn(), cut_off), 4, "what hangs is left to its lease, and the stop goes on");
}

#[actix_rt::test]
async fn secrets_are_rotated_with_both_signing_for_a_day() {
    let db = TestDb::new();
    let hooks = HookServer::start([]).await;
    let receiver = Receiver::start_with(&db.url(), &[OPEN]);
    let made = subscribe(&receiver, &hooks.url("/"), &["order.paid"]).await;
    let path = format!("/api/subscriptions/{}", made["id"].as_str().unwrap());
    let rotated = receiver.call("POST", &format!("{path}/rotate"), &Value::Null).await.json;
    let secret = |answer: &Value| answer["secret"].as_str().unwrap().to_owned();
    assert_ne!(secret(&made), secret(&rotated));
    pay(&receiver, 30).await;
    receiver.settle().await;
    let hook = &hooks.received()[0];
    assert!(believed(hook, &secret(&made)) && believed(hook, &secret(&rotated)));
    sql(
        &db,
        "UPDATE destinations SET previous_until = previous_until - interval '24 hours' WHERE previous_until IS NOT NULL",
    );
    pay(&receiver, 31).await;
    receiver.settle().await;
    let hook = &hooks.received()[1];
    assert!(!believed(hook, &secret(&made)) && believed(hook, &secret(&rotated)));
}

#[actix_rt::test]
async fn pausing_keeps_testing_sends_and_deleting_gives_up() {
    let db = TestDb::new();
    let hooks = HookServer::start([]).await;
    let receiver = Receiver::start_with(&db.url(), &[OPEN]);
    let made = subscribe(&receiver, &hooks.url("/"), &["order.paid"]).await;
    let path = format!("/api/subscriptions/{}", made["id"].as_str().unwrap());
    let test = receiver.call("POST", &format!("{path}/test"), &Value::Null).await;
    assert_eq!(test.status, 202);
    receiver.settle().await;
    assert_eq!(hooks.received()[0].json()["type"], "subscription.test");
    assert_eq!(hooks.received()[0].header("webhook-id"), test.json["message"].as_str().unwrap());

    assert_eq!(receiver.call("PATCH", &path, &json!({ "state": "paused" })).await.json["state"], "paused");
    pay(&receiver, 40).await;
    receiver.settle().await;
    assert_eq!(hooks.received().len(), 1);
    assert_eq!(receiver.call("PATCH", &path, &json!({ "state": "active" })).await.json["state"], "active");
    receiver.settle().await;
    assert_eq!(hooks.received().len(), 2, "what was queued meanwhile goes out");

    let changed = receiver.call("PATCH", &path, &json!({ "state": "paused", "events": ["order.*"] })).await.json;
    assert_eq!(changed["events"], json!(["order.*"]));
    pay(&receiver, 41).await;
    assert_eq!(receiver.call("DELETE", &path, &Value::Null).await.status, 204);
    assert_eq!(receiver.api(&path).await.status, 404);
    assert_eq!(listed(&receiver).await, ["mail"]);
    receiver.settle().await;
    assert_eq!(hooks.received().len(), 2);
    let given_up = "SELECT count(*) FROM outbox WHERE state = 'dead' AND last_error = 'its subscription was deleted'";
    assert_eq!(count(&mut db.conn(), given_up), 1);
}

#[actix_rt::test]
async fn what_cannot_be_subscribed_is_told() {
    let db = TestDb::new();
    let receiver = Receiver::start(&db);
    let url = "https://hooks.invalid-name-of-nobody.example.com/";
    for (body, status, code) in [
        (json!({ "url": "http://127.0.0.1/", "events": ["*"] }), 422, "invalid_url"),
        (json!({ "url": "http://[::ffff:10.0.0.1]/", "events": ["*"] }), 422, "invalid_url"),
        (json!({ "url": "http://2130706433/", "events": ["*"] }), 422, "invalid_url"),
        (json!({ "url": "https://metadata.google.internal/", "events": ["*"] }), 422, "invalid_url"),
        (json!({ "url": "https://u:p@example.com/", "events": ["*"] }), 422, "invalid_url"),
        (json!({ "url": "ftp://example.com/", "events": ["*"] }), 422, "invalid_url"),
        (json!({ "url": url, "events": [] }), 422, "invalid_events"),
        (json!({ "url": url, "events": ["order.pay"] }), 422, "invalid_events"),
        (json!({ "url": url, "events": ["*"], "kind": "slack", "relay": true }), 422, "invalid_relay"),
        (json!({ "url": url, "events": ["*"], "repository": "not one" }), 422, "invalid_filter"),
        (json!({ "url": url, "events": ["*"], "ref": "main" }), 422, "invalid_filter"),
        (json!({ "url": url, "events": ["*"], "kind": "mail" }), 400, "invalid_body"),
        (json!({ "url": url, "events": ["*"], "secret": "x" }), 400, "invalid_body"),
        (json!({ "events": ["*"] }), 400, "invalid_body"),
        (json!([url, ["*"]]), 400, "invalid_body"),
    ] {
        let answer = receiver.call("POST", "/api/subscriptions", &body).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{body}: {}", answer.json);
    }
    assert_eq!(listed(&receiver).await, ["mail"]);
    for (path, status) in [("/api/subscriptions/sub_1", 404), ("/api/subscriptions/%00", 400)] {
        assert_eq!(receiver.api(path).await.status, status, "{path}");
        assert_eq!(receiver.call("DELETE", path, &Value::Null).await.status, status, "{path}");
    }
    let mail = receiver.api("/api/subscriptions/mail").await.json;
    assert_eq!((&mail["kind"], &mail["trouble"]), (&json!("email"), &Value::Null));
    for (method, path, body) in [
        ("DELETE", "/api/subscriptions/mail", Value::Null),
        ("PATCH", "/api/subscriptions/mail", json!({ "state": "paused" })),
        ("POST", "/api/subscriptions/mail/test", Value::Null),
    ] {
        assert_eq!(receiver.call(method, path, &body).await.code(), "configured", "{method} {path}");
    }
}

#[actix_rt::test]
async fn an_order_under_review_confirms_nothing_to_anybody() {
    let db = TestDb::new();
    let hooks = HookServer::start([]).await;
    let receiver = Receiver::start_with(&db.url(), &[OPEN]);
    subscribe(&receiver, &hooks.url("/"), &["order.*"]).await;
    let stream = scenarios::play("checkout", &mut StdRng::seed_from_u64(50), now()).unwrap();
    let path = format!("/api/orders/{}", stream.reference);
    receiver.call("PUT", &path, &json!({ "amount": 1, "currency": "eur" })).await;
    for event in &stream.events {
        receiver.deliver(event.body.as_bytes()).await;
    }
    receiver.settle_past_grace(&db).await;
    let types = |hooks: &HookServer| {
        let mut types: Vec<_> =
            hooks.received().iter().map(|hook| hook.json()["type"].as_str().unwrap().to_owned()).collect();
        types.sort();
        types
    };
    assert!(types(&hooks).iter().all(|kind| kind == "order.review"), "{:?}", types(&hooks));
    assert!(!types(&hooks).is_empty());
    assert_eq!(receiver.call("POST", &format!("{path}/release"), &json!({})).await.status, 200);
    receiver.settle().await;
    assert_eq!(types(&hooks).iter().filter(|kind| *kind == "order.paid").count(), 1);
}

/// A payment alone, with or without the shop's reference.
fn payment(id: &str, created: i64, reference: Option<&str>) -> Vec<u8> {
    let metadata = reference.map_or(json!({}), |reference| json!({ "order_id": reference }));
    let intent = json!({ "id": "pi_alone", "object": "payment_intent", "status": "succeeded", "amount": 900,
        "amount_received": 900, "currency": "eur", "metadata": metadata });
    json!({ "id": id, "object": "event", "type": "payment_intent.succeeded", "created": created, "livemode": false,
        "data": { "object": intent } })
    .to_string()
    .into_bytes()
}

#[actix_rt::test]
async fn a_reference_that_comes_after_the_news_is_news_and_one_that_comes_before_is_not() {
    for late in [true, false] {
        let db = TestDb::new();
        let hooks = HookServer::start([]).await;
        let receiver = Receiver::start_with(&db.url(), &[OPEN]);
        subscribe(&receiver, &hooks.url("/"), &["order.*"]).await;
        receiver.deliver(&payment("evt_1", 1, None)).await;
        receiver.settle().await;
        assert_eq!(hooks.received().len(), 0, "it waits for its reference");
        if late {
            pass_time(&db);
            receiver.settle().await;
            assert_eq!(hooks.received()[0].json()["data"]["reference"], "pi_alone");
        }
        receiver.deliver(&payment("evt_2", 2, Some("R-9"))).await;
        receiver.settle().await;
        let told: Vec<Value> = hooks.received().iter().map(Hook::json).collect();
        let types: Vec<&str> = told.iter().map(|body| body["type"].as_str().unwrap()).collect();
        let expected: &[&str] = if late { &["order.paid", "order.identified"] } else { &["order.paid"] };
        assert_eq!(types, expected);
        assert_eq!(told.last().unwrap()["data"]["reference"], "R-9");
    }
}

/// An event of its own kind about this object.
fn event(id: &str, kind: &str, object: &Value) -> Vec<u8> {
    json!({ "id": id, "object": "event", "type": kind, "created": 1, "livemode": false, "data": { "object": object } })
        .to_string()
        .into_bytes()
}

/// The subjects of the mails that went out, sorted, with whom they went to.
fn mailed(receiver: &Receiver) -> Vec<String> {
    let mails = receiver.mails().into_iter().map(|path| std::fs::read(path).unwrap());
    let mails = mails.map(|mail| {
        let parsed = mail_parser::MessageParser::default().parse(&mail).unwrap();
        let to = parsed.to().unwrap().first().unwrap().address().unwrap().to_owned();
        format!("{to}: {}", parsed.subject().unwrap())
    });
    let mut mails: Vec<String> = mails.collect();
    mails.sort();
    mails
}

fn told(hooks: &HookServer) -> Vec<String> {
    let mut told: Vec<String> =
        hooks.received().iter().map(|hook| hook.json()["type"].as_str().unwrap().to_owned()).collect();
    told.sort();
    told
}

#[actix_rt::test]
async fn a_decline_at_the_checkout_is_told_to_programs_and_not_by_mail() {
    let db = TestDb::new();
    let hooks = HookServer::start([]).await;
    let receiver = Receiver::start_with(&db.url(), &[OPEN]);
    subscribe(&receiver, &hooks.url("/"), &["order.*"]).await;
    let declined = scenarios::play("payment-failed", &mut StdRng::seed_from_u64(80), now()).unwrap();
    for event in &declined.events {
        receiver.deliver(event.body.as_bytes()).await;
    }
    receiver.settle().await;
    assert_eq!(told(&hooks), ["order.payment_failed"]);
    assert_eq!(mailed(&receiver), [] as [&str; 0]);
    let session = json!({ "id": "cs_1", "object": "checkout.session", "mode": "payment", "status": "complete",
        "payment_status": "unpaid", "amount_total": 1000, "currency": "eur", "payment_intent": "pi_1",
        "metadata": { "order_id": "L-1" }, "customer_details": { "email": "ada@example.org" } });
    let mut debit = json!({ "id": "pi_1", "object": "payment_intent", "status": "processing", "amount": 1000,
        "currency": "eur", "metadata": {} });
    receiver.deliver(&event("evt_late_0", "payment_intent.processing", &debit)).await;
    receiver.deliver(&event("evt_late_1", "checkout.session.completed", &session)).await;
    receiver.settle().await;
    debit["status"] = json!("requires_payment_method");
    debit["last_payment_error"] = json!({ "code": "payment_intent_payment_attempt_failed" });
    receiver.deliver(&event("evt_late_2", "checkout.session.async_payment_failed", &session)).await;
    receiver.deliver(&event("evt_late_3", "payment_intent.payment_failed", &debit)).await;
    receiver.settle().await;
    assert_eq!(
        mailed(&receiver),
        [
            "ada@example.org: [Test] The payment for your order L-1 at Test Shop failed",
            "ada@example.org: [Test] Your order L-1 at Test Shop: your payment is not here yet"
        ]
    );
    assert_eq!(told(&hooks), ["order.awaiting_funds", "order.payment_failed", "order.payment_failed"]);
}

#[actix_rt::test]
async fn a_renewal_is_one_mail_and_a_dispute_is_the_shop_s() {
    let db = TestDb::new();
    let hooks = HookServer::start([]).await;
    let receiver = Receiver::start_with(&db.url(), &[OPEN, ("SHOP_EMAIL", "desk@shop.example")]);
    subscribe(&receiver, &hooks.url("/"), &["order.*"]).await;
    let invoice = json!({ "id": "in_1", "object": "invoice", "status": "paid", "amount_due": 1000, "total": 1000,
        "amount_paid": 1000, "currency": "eur", "billing_reason": "subscription_cycle", "customer_email": "ada@example.org",
        "charge": "ch_1", "payment_intent": "pi_1", "metadata": {} });
    receiver.deliver(&event("evt_1", "invoice.paid", &invoice)).await;
    let dispute = json!({ "id": "dp_1", "object": "dispute", "status": "needs_response", "amount": 1000, "currency": "eur",
        "charge": "ch_1", "payment_intent": "pi_1", "reason": "fraudulent", "evidence_details": { "due_by": 1_800_000_000 } });
    receiver.deliver(&event("evt_2", "charge.dispute.created", &dispute)).await;
    // Only the invoice tells of the payment: it waits for its payment intent.
    receiver.settle_past_grace(&db).await;
    assert_eq!(
        mailed(&receiver),
        [
            "ada@example.org: [Test] Your subscription at Test Shop was renewed",
            "desk@shop.example: [Test] A payment of order pi_1 is disputed: answer by January 15, 2027"
        ]
    );
    assert_eq!(told(&hooks), ["order.disputed", "order.paid", "order.renewed"]);
    let open = receiver.client().get(receiver.url("/api/subscriptions")).send().await.unwrap();
    assert_eq!(open.status(), 401);
    for (method, path) in [
        ("POST", "/api/subscriptions"),
        ("DELETE", "/api/subscriptions/slack"),
        ("PATCH", "/api/subscriptions/slack"),
        ("POST", "/api/subscriptions/slack/rotate"),
        ("POST", "/api/subscriptions/slack/test"),
        ("GET", "/api/messages"),
        ("GET", "/api/messages/x"),
        ("POST", "/api/messages/x/retry"),
        ("POST", "/api/messages/x/discard"),
    ] {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let answer = receiver.client().request(method, receiver.url(path)).bearer_auth("wrong").send().await.unwrap();
        assert_eq!(answer.status(), 401, "{path}");
    }
}

#[actix_rt::test]
async fn messages_are_listed_shown_retried_and_discarded() {
    let db = TestDb::new();
    let hooks = HookServer::start([Reply::Status(500, "no"), Reply::Status(500, "no")]).await;
    let receiver = Receiver::start_with(&db.url(), &[OPEN]);
    subscribe(&receiver, &hooks.url("/"), &["order.paid"]).await;
    pay(&receiver, 60).await;
    receiver.settle().await;
    let listed = receiver.api("/api/messages?kind=webhook&state=queued&notice=order.paid").await.json;
    let id = listed["data"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    assert_eq!(receiver.api("/api/messages").await.json["data"].as_array().unwrap().len(), 2, "and the mail");
    let path = format!("/api/messages/{id}");
    assert_eq!(receiver.api(&path).await.json["attempts"][0]["answer"], "500 no");
    assert_eq!(receiver.call("POST", &format!("{path}/discard"), &Value::Null).await.json["state"], "dead");
    assert_eq!(receiver.call("POST", &format!("{path}/discard"), &Value::Null).await.code(), "not_queued");
    assert_eq!(receiver.call("POST", &format!("{path}/retry"), &Value::Null).await.json["state"], "queued");
    receiver.settle().await;
    let seconds =
        "SELECT round(extract(epoch FROM next_at - now()) / 3)::bigint AS count FROM outbox WHERE kind = 'webhook'";
    assert!(count(&mut db.conn(), seconds) <= 2, "the schedule begins anew");
    assert_eq!(receiver.call("POST", &format!("{path}/retry"), &Value::Null).await.status, 200);
    receiver.settle().await;
    let shown = receiver.api(&path).await.json;
    assert_eq!((&shown["state"], shown["attempts"].as_array().unwrap().len()), (&json!("sent"), 3));
    assert_eq!(receiver.call("POST", &format!("{path}/retry"), &Value::Null).await.code(), "not_retriable");
    for (path, status) in [
        ("/api/messages/x", 400),
        ("/api/messages/00000000-0000-0000-0000-000000000000", 404),
        ("/api/messages?state=x", 400),
        ("/api/messages?limit=0", 400),
    ] {
        assert_eq!(receiver.api(path).await.status, status, "{path}");
    }
}

#[actix_rt::test]
async fn a_message_given_up_is_told_to_whoever_wants_to_know() {
    let db = TestDb::new();
    let team = HookServer::start([]).await;
    let hooks = HookServer::start((0..8).map(|_| Reply::Status(503, ""))).await;
    let receiver = Receiver::start_with(&db.url(), &[OPEN]);
    subscribe(&receiver, &hooks.url("/"), &["order.paid"]).await;
    subscribe(&receiver, &team.url("/"), &["message.*"]).await;
    pay(&receiver, 70).await;
    for _ in 0..9 {
        receiver.settle().await;
        pass_time(&db);
    }
    assert_eq!(hooks.received().len(), 8, "eight attempts, and no more");
    let dead = receiver.api("/api/messages?state=dead").await.json;
    assert_eq!(dead["data"][0]["last_error"], "503");
    let told = team.received().remove(0).json();
    assert_eq!((&told["type"], &told["data"]["reason"]), (&json!("message.dead"), &json!("503")));
    assert_eq!(told["data"]["object"], dead["data"][0]["dedupe_key"]);
    let counted = receiver.client().get(receiver.url("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(counted.contains("ringup_messages{state=\"dead\"} 1\n"), "{counted}");
    assert!(counted.contains("ringup_messages{state=\"queued\"} 0\n"), "{counted}");
}
