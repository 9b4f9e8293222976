//! Thin events: what they name is fetched from a fake of Stripe's API and applied like a snapshot.

use crate::support::postgres::TestDb;
use crate::support::server::{Receiver, count, now, texts};
use crate::support::stripe::{FakeStripe, KEY};
use crate::support::sync::{Asker, HOUR, asker, bodies, due, watched_until};
use crate::support::thin::{keep, thin};
use diesel::{RunQueryDsl, sql_query};
use rand::SeedableRng;
use rand::rngs::StdRng;
use ringup::dev::scenarios::{self, Stream};
use serde_json::{Value, json};

/// It happened an hour ago by our clock: an hour's delay, or our clock is an hour fast.
fn checkout(seed: u64) -> Stream {
    scenarios::play("checkout", &mut StdRng::seed_from_u64(seed), now() - HOUR).unwrap()
}

fn receiver(db: &TestDb, stripe: &FakeStripe) -> Receiver {
    Receiver::start_with(&db.url(), &[("STRIPE_SECRET_KEY", KEY), ("STRIPE_API_BASE", &stripe.base())])
}

fn states(db: &TestDb, source: &str) -> Vec<Option<String>> {
    texts(
        &mut db.conn(),
        &format!("SELECT concat_ws(' ', state, reason) AS text FROM events WHERE source = '{source}' ORDER BY id"),
    )
}

async fn fetch_all(asker: &Asker) {
    while asker.fetch_named().await > 0 {}
}

#[actix_rt::test]
async fn a_checkout_told_by_thin_events_alone_is_a_paid_order_and_one_mail() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let (receiver, asker) = (receiver(&db, &stripe), asker(&db, &stripe, &[]));
    let stream = checkout(1);
    keep(&stripe, "", &stream);
    for event in &stream.events {
        let thin = thin(&event.body).to_string();
        assert_eq!(receiver.deliver(thin.as_bytes()).await.code(), "accepted");
        assert_eq!(receiver.deliver(thin.as_bytes()).await.code(), "duplicate");
    }
    receiver.settle().await;
    assert_eq!(states(&db, "stripe"), vec![Some("pending".to_owned()); 4], "no worker takes what is to be fetched");
    fetch_all(&asker).await;
    assert_eq!(states(&db, "stripe"), vec![Some("processed".to_owned()); 4]);
    assert_eq!(states(&db, "stripe_api"), vec![Some("processed".to_owned()); 4]);
    assert_eq!(count(&mut db.conn(), "SELECT count(*) FROM pending"), 0);
    assert_eq!(receiver.order(&stream.reference).await["status"], "paid");
    receiver.settle().await;
    assert_eq!(receiver.mails().len(), 1);

    // The snapshots of the same, before or after, change nothing and tell nothing again.
    let before = receiver.order(&stream.reference).await;
    for event in &stream.events {
        assert_eq!(receiver.deliver(event.body.as_bytes()).await.code(), "accepted");
    }
    receiver.settle().await;
    let after = receiver.order(&stream.reference).await;
    for field in ["status", "amount_paid", "amount_refunded", "customer_email", "review_reasons"] {
        assert_eq!(before[field], after[field]);
    }
    assert_eq!(receiver.mails().len(), 1);

    let fetched = texts(
        &mut db.conn(),
        "SELECT convert_from(body, 'UTF8') AS text FROM payloads JOIN events ON events.id = payloads.event WHERE source = 'stripe_api' AND type = 'payment_intent.succeeded'",
    );
    let fetched: Value = serde_json::from_str(fetched[0].as_ref().unwrap()).unwrap();
    assert!((now() - HOUR - fetched["created"].as_i64().unwrap()).abs() < 60, "dated by Stripe's clock");
    assert_eq!(fetched["data"]["object"]["status"], "succeeded");
    let steps = receiver.api(&format!("/api/orders/{}/timeline", stream.reference)).await;
    let told = steps.json["events"].as_array().unwrap().iter();
    let of_the_thin: Vec<&Value> =
        told.filter(|step| step["event"]["type"].as_str().unwrap().starts_with("v1.")).collect();
    assert_eq!(
        (of_the_thin.len(), &of_the_thin[0]["because"]),
        (4, &json!("it only names its object, which was fetched")),
        "{}",
        steps.json
    );
}

#[actix_rt::test]
async fn the_snapshots_first_and_the_thin_events_after_have_one_effect() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let (receiver, asker) = (receiver(&db, &stripe), asker(&db, &stripe, &[]));
    let stream = checkout(2);
    keep(&stripe, "", &stream);
    for event in &stream.events {
        receiver.deliver(event.body.as_bytes()).await;
        receiver.deliver(thin(&event.body).to_string().as_bytes()).await;
    }
    receiver.settle().await;
    fetch_all(&asker).await;
    receiver.settle().await;
    assert_eq!((receiver.order(&stream.reference).await["status"].as_str(), receiver.mails().len()), (Some("paid"), 1));
    assert_eq!(count(&mut db.conn(), "SELECT count(*) FROM orders"), 1);
}

#[actix_rt::test]
async fn without_a_key_it_is_kept_and_a_replay_fetches_it_later() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let stream = checkout(3);
    keep(&stripe, "", &stream);
    let told = {
        let keyless = Receiver::start(&db);
        let told = thin(&stream.events[0].body);
        let answer = keyless.deliver(told.to_string().as_bytes()).await;
        assert_eq!((answer.status, answer.json), (200, json!({ "status": "ignored", "reason": "thin_event" })));
        told
    };
    let (receiver, asker) = (receiver(&db, &stripe), asker(&db, &stripe, &[]));
    let replayed =
        receiver.call("POST", &format!("/api/events/{}/replay", told["id"].as_str().unwrap()), &json!({})).await;
    assert_eq!((replayed.status, &replayed.json["event"]["state"]), (200, &json!("pending")), "{}", replayed.json);
    fetch_all(&asker).await;
    assert_eq!(states(&db, "stripe"), [Some("processed".to_owned())]);
    assert_eq!(count(&mut db.conn(), "SELECT count(*) FROM orders"), 1);
}

#[actix_rt::test]
async fn what_is_gone_is_quarantined_and_what_is_refused_is_tried_again() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let (receiver, asker) = (receiver(&db, &stripe), asker(&db, &stripe, &[]));
    let stream = checkout(4);
    receiver.deliver(thin(&stream.events[0].body).to_string().as_bytes()).await;
    assert_eq!(asker.fetch_named().await, 1);
    assert_eq!(states(&db, "stripe").len(), 1);
    assert!(
        states(&db, "stripe")[0].as_ref().unwrap().starts_with("quarantined Stripe knows no such object: "),
        "{:?}",
        states(&db, "stripe")
    );

    keep(&stripe, "", &stream);
    receiver.deliver(thin(&stream.events[1].body).to_string().as_bytes()).await;
    stripe.refuse_next(403, "The provided key does not have the required permissions");
    assert_eq!(asker.fetch_named().await, 1);
    let waits = texts(&mut db.conn(), "SELECT last_error AS text FROM pending WHERE lease IS NULL AND next_at > now()");
    assert!(waits[0].as_ref().unwrap().contains("lacks a permission: give the restricted key"), "{waits:?}");
    let metrics = receiver.metrics().await;
    assert!(metrics.contains("ringup_events_pending{waits_for=\"object\"} 1\n"), "{metrics}");
    assert_eq!(asker.fetch_named().await, 0, "not at once");
    sql_query("UPDATE pending SET next_at = now()").execute(&mut db.conn()).unwrap();
    fetch_all(&asker).await;
    assert_eq!(states(&db, "stripe_api"), [Some("processed".to_owned())]);
}

#[actix_rt::test]
async fn one_that_was_fetched_by_a_process_that_died_is_stored_once() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let (receiver, asker) = (receiver(&db, &stripe), asker(&db, &stripe, &[]));
    let stream = checkout(5);
    keep(&stripe, "", &stream);
    receiver.deliver(thin(&stream.events[0].body).to_string().as_bytes()).await;
    fetch_all(&asker).await;
    // As if it had died between storing the object and saying so.
    sql_query("INSERT INTO pending (event, tries, to_fetch) SELECT id, 1, true FROM events WHERE source = 'stripe'")
        .execute(&mut db.conn())
        .unwrap();
    sql_query("UPDATE events SET state = 'pending' WHERE source = 'stripe'").execute(&mut db.conn()).unwrap();
    fetch_all(&asker).await;
    assert_eq!(
        (states(&db, "stripe"), states(&db, "stripe_api")),
        (vec![Some("processed".to_owned())], vec![Some("processed".to_owned())])
    );
}

#[actix_rt::test]
async fn a_connected_accounts_object_is_asked_for_in_its_name() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let (receiver, asker) = (receiver(&db, &stripe), asker(&db, &stripe, &[]));
    let stream = checkout(6);
    keep(&stripe, "acct_a", &stream);
    for event in &stream.events {
        let mut thin = thin(&event.body);
        thin["context"] = json!("acct_a");
        assert_eq!(receiver.deliver(thin.to_string().as_bytes()).await.code(), "accepted");
    }
    fetch_all(&asker).await;
    let theirs = receiver.api(&format!("/api/orders/{}?account=acct_a", stream.reference)).await;
    assert_eq!((theirs.status, &theirs.json["status"]), (200, &json!("paid")), "{}", theirs.json);
    assert_eq!(receiver.api(&format!("/api/orders/{}", stream.reference)).await.status, 404);
    assert!(stripe.state().asked.iter().all(|asked| asked.header("stripe-account") == "acct_a"));
}

#[actix_rt::test]
async fn what_orders_are_not_made_from_is_not_fetched() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let receiver = receiver(&db, &stripe);
    let others = [
        ("v1.customer.created", "customer", "cus_1", false),
        ("v2.core.account.updated", "v2.core.account", "acct_1", false),
        ("v1.payment_intent.succeeded", "payment_intent", "pi_live", true),
    ];
    for (n, (kind, object, id, livemode)) in others.into_iter().enumerate() {
        let thin = json!({ "id": format!("evt_{n}"), "object": "v2.core.event", "type": kind, "livemode": livemode,
            "created": "2026-11-24T08:00:00.000Z", "related_object": { "id": id, "type": object, "url": "/v1/x" } });
        let answer = receiver.deliver(thin.to_string().as_bytes()).await;
        assert_eq!(answer.json, json!({ "status": "ignored", "reason": "thin_event" }), "{kind}");
    }
    assert!(stripe.state().asked.is_empty());
}

#[actix_rt::test]
async fn what_the_key_does_not_reach_waits_and_says_why() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let before = [("STRIPE_SECRET_KEY", "sk_live_before"), ("STRIPE_API_BASE", &stripe.base()[..])];
    let (receiver, asker) = (Receiver::start_with(&db.url(), &before), asker(&db, &stripe, &[]));
    let mut live = thin(&checkout(7).events[0].body);
    live["livemode"] = json!(true);
    assert_eq!(receiver.deliver(live.to_string().as_bytes()).await.code(), "accepted");
    assert_eq!(asker.fetch_named().await, 0);
    asker.fetcher.explain_other_mode().await.unwrap();
    assert_eq!(states(&db, "stripe"), [Some("pending".to_owned())]);
    let waits = texts(&mut db.conn(), "SELECT last_error AS text FROM pending");
    assert_eq!(waits, [Some("it is a live event, and STRIPE_SECRET_KEY is a test key".to_owned())]);
    assert!(stripe.state().asked.is_empty());
}

/// Thin events as an endpoint gets them that gets no others; they need not name their snapshots.
async fn told_by_thin_events(named: bool) {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let receiver = Receiver::start_with(&db.url(), &[("STRIPE_SECRET_KEY", KEY), ("STRIPE_API_BASE", &stripe.base())]);
    let asker = asker(&db, &stripe, &[]);
    asker.look().await;
    watched_until(&db, now() - 2 * HOUR);
    let (whole, cut) = (checkout(8), checkout(9));
    stripe.lists("", bodies(&whole).chain(bodies(&cut)));
    for event in whole.events.iter().chain(&cut.events[..3]) {
        let mut thin = thin(&event.body);
        if !named {
            thin.as_object_mut().unwrap().remove("snapshot_event");
        }
        assert_eq!(receiver.deliver(thin.to_string().as_bytes()).await.code(), "accepted");
    }
    due(&db);
    let tally = asker.look().await.remove(0).tally;
    assert_eq!((tally.listed, tally.known, tally.missed), (8, 7, 1));
    let missed: Value = serde_json::from_str(&cut.events[3].body).unwrap();
    assert_eq!(tally.kinds.into_keys().collect::<Vec<_>>(), [missed["type"].as_str().unwrap()]);
}

#[actix_rt::test]
async fn what_a_thin_event_told_was_not_missed() {
    told_by_thin_events(true).await;
    told_by_thin_events(false).await;
}
