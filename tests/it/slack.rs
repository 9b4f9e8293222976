//! Slack's incoming webhooks: what the team sees, and what Slack's answers do.

use crate::support::hooks::{HookServer, Reply};
use crate::support::postgres::TestDb;
use crate::support::server::{Receiver, count, now, texts};
use diesel::{RunQueryDsl, sql_query};
use rand::SeedableRng;
use rand::rngs::StdRng;
use ringup::dev::scenarios;
use serde_json::{Value, json};

async fn pay(receiver: &Receiver, seed: u64) {
    let stream = scenarios::play("checkout", &mut StdRng::seed_from_u64(seed), now()).unwrap();
    for event in &stream.events {
        assert_eq!(receiver.deliver(event.body.as_bytes()).await.code(), "accepted");
    }
}

fn pass_time(db: &TestDb) {
    sql_query("UPDATE destinations SET next_at = now()").execute(&mut db.conn()).unwrap();
    sql_query("UPDATE outbox SET next_at = now() WHERE state = 'queued'").execute(&mut db.conn()).unwrap();
}

#[actix_rt::test]
async fn the_team_is_told_one_message_a_second() {
    let db = TestDb::new();
    let slack = HookServer::start([]).await;
    let url = slack.url("/services/T/B/x");
    let receiver =
        Receiver::start_with(&db.url(), &[("SLACK_WEBHOOK_URL", &url), ("ADMIN_URL", "https://ringup.example")]);
    pay(&receiver, 1).await;
    pay(&receiver, 2).await;
    receiver.deliver_messages().await;
    assert_eq!(slack.received().len(), 1, "the second waits its second");
    let waits = "SELECT round(extract(epoch FROM d.next_at - a.started_at) * 10)::bigint AS count \
                 FROM destinations d, attempts a JOIN outbox o ON o.id = a.message_id WHERE d.id = 'slack' AND o.kind = 'slack'";
    let tenths = count(&mut db.conn(), waits);
    assert!((1..=10).contains(&tenths), "a second from the claim on, {tenths} tenths from the attempt on");
    sql_query("UPDATE destinations SET next_at = now() + interval '1 hour' WHERE id = 'slack'")
        .execute(&mut db.conn())
        .unwrap();
    receiver.deliver_messages().await;
    assert_eq!(slack.received().len(), 1);
    pass_time(&db);
    receiver.settle().await;
    let told = slack.received();
    assert_eq!(told.len(), 2);
    assert_eq!((&told[0].path[..], told[0].header("content-type")), ("/services/T/B/x", "application/json"));
    let body = told[0].json();
    assert!(body["text"].as_str().unwrap().ends_with("is paid"), "{body}");
    assert!(
        body["blocks"][1]["elements"][0]["url"].as_str().unwrap().starts_with("https://ringup.example/admin/orders/")
    );
    let shown = receiver.api("/api/subscriptions/slack").await.json;
    assert_eq!((&shown["kind"], &shown["url"]), (&json!("slack"), &Value::Null));
    assert_eq!(receiver.call("DELETE", "/api/subscriptions/slack", &Value::Null).await.code(), "configured");
}

#[actix_rt::test]
async fn slack_s_pauses_are_kept_and_its_refusals_stop_it() {
    let db = TestDb::new();
    let slower = Reply::With(429, "rate_limited", "retry-after: 90".to_owned());
    let slack = HookServer::start([slower, Reply::Status(500, "rollup_error"), Reply::Status(404, "no_service")]).await;
    let url = slack.url("/services/x");
    let receiver = Receiver::start_with(&db.url(), &[("SLACK_WEBHOOK_URL", &url)]);
    pay(&receiver, 3).await;
    receiver.settle().await;
    let pause =
        "SELECT round(extract(epoch FROM next_at - now()) / 30)::bigint AS count FROM destinations WHERE id = 'slack'";
    assert_eq!(count(&mut db.conn(), pause), 3);
    for _ in 0..2 {
        pass_time(&db);
        receiver.settle().await;
    }
    let shown = receiver.api("/api/subscriptions/slack").await.json;
    assert_eq!((&shown["state"], &shown["reason"]), (&json!("disabled"), &json!("404 no_service")));
    let kept = "SELECT count(*) FROM outbox WHERE kind = 'slack' AND state = 'queued'";
    assert_eq!(count(&mut db.conn(), kept), 1, "the message waits for a person");
    drop(receiver);
    let receiver = Receiver::start_with(&db.url(), &[("SLACK_WEBHOOK_URL", &url)]);
    pass_time(&db);
    receiver.settle().await;
    assert_eq!(slack.received().len(), 4, "a restart, with which settings change, gives it another chance");
    let sent = "SELECT state AS text FROM outbox WHERE kind = 'slack'";
    assert_eq!(texts(&mut db.conn(), sent), [Some("sent".to_owned())]);
}

#[actix_rt::test]
async fn without_a_url_nothing_is_queued_for_slack() {
    let db = TestDb::new();
    let receiver = Receiver::start(&db);
    pay(&receiver, 4).await;
    assert_eq!(count(&mut db.conn(), "SELECT count(*) FROM outbox WHERE kind = 'slack'"), 0);
    assert_eq!(receiver.api("/api/subscriptions/slack").await.status, 404);
}
