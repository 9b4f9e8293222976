//! The gap watch, asked of a fake of Stripe's API.

use crate::support::postgres::TestDb;
use crate::support::server::{Receiver, count, now, texts};
use crate::support::stripe::{FakeStripe, KEY};
use crate::support::sync::{HOUR, asker, bodies, checkout, due};
use crate::support::thin::thin;
use diesel::{RunQueryDsl, sql_query};
use serde_json::{Value, json};

#[actix_rt::test]
async fn the_gap_watch_finds_what_did_not_come_and_tells_once_an_hour() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let receiver = Receiver::start_with(&db.url(), &[("STRIPE_SECRET_KEY", KEY), ("STRIPE_API_BASE", &stripe.base())]);
    let asker = asker(&db, &stripe, &[]);
    assert_eq!(asker.look().await.len(), 1, "the first look sets the cursor");
    assert_eq!(stripe.asked_for_events().len(), 0, "and asks for nothing that was before");

    sql_query("UPDATE gap_watch SET reached = reached - 7200").execute(&mut db.conn()).unwrap();
    let (came, missed, young) = (checkout(1, now() - HOUR), checkout(2, now() - HOUR), checkout(3, now() - 20));
    stripe.lists("", bodies(&came).chain(bodies(&missed)).chain(bodies(&young)));
    for event in &came.events {
        receiver.deliver(event.body.as_bytes()).await;
    }
    assert_eq!(asker.look().await.len(), 0, "it is not due");
    due(&db);
    let looked = asker.look().await;
    assert_eq!((looked[0].tally.known, looked[0].tally.missed, looked[0].silence), (4, 4, None));
    assert_eq!(receiver.order(&missed.reference).await["status"], "paid");
    assert_eq!(receiver.api(&format!("/api/orders/{}", young.reference)).await.status, 404, "it may be on its way");
    let told = || texts(&mut db.conn(), "SELECT about AS text FROM outbox WHERE notice = 'events.missed' ORDER BY id");
    let first: Value = serde_json::from_str(told()[0].as_ref().unwrap()).unwrap();
    assert_eq!((&first["object"], &first["events"]), (&json!("our own account (test)"), &json!(4)));
    assert!(first["reason"].as_str().unwrap().starts_with("4 event(s), the oldest of 20"), "{first}");

    // The endpoint stays broken: more is missed, and nobody hears of it before the hour is over.
    for (seed, told_by_then) in [(4, 1), (5, 2)] {
        let missed = checkout(seed, now() - HOUR);
        stripe.lists("", bodies(&missed));
        sql_query("UPDATE gap_watch SET reached = reached - 7200").execute(&mut db.conn()).unwrap();
        if seed == 5 {
            sql_query("UPDATE gap_watch SET told_at = told_at - interval '1 hour'").execute(&mut db.conn()).unwrap();
        }
        due(&db);
        assert_eq!(asker.look().await[0].tally.missed, 4);
        assert_eq!(told().len(), told_by_then);
    }
    let second: Value = serde_json::from_str(told()[1].as_ref().unwrap()).unwrap();
    assert_eq!(second["events"], 8, "all that nobody was told of yet");
    receiver.settle().await;
    let mails = receiver.mails().into_iter().map(|path| std::fs::read_to_string(path).unwrap());
    assert_eq!(mails.filter(|mail| mail.contains("do not reach Test Shop")).count(), 2);
}

#[actix_rt::test]
async fn two_instances_do_not_compare_at_once_and_a_failure_is_tried_again() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let (one, other) = (asker(&db, &stripe, &[]), asker(&db, &stripe, &[]));
    one.look().await;
    sql_query("UPDATE gap_watch SET reached = reached - 7200").execute(&mut db.conn()).unwrap();
    due(&db);
    stripe.refuse_next(401, "Invalid API Key");
    let failed = one.fetcher.look().await.unwrap_err();
    assert!(
        format!("{failed:#}").starts_with("our own account (test): Stripe does not accept STRIPE_SECRET_KEY"),
        "{failed:#}"
    );
    assert_eq!(one.look().await.len(), 0, "not before a minute is over");
    due(&db);
    let (mine, theirs) = tokio::join!(one.look(), other.look());
    assert_eq!(mine.len() + theirs.len(), 1);
    assert!(one.metrics().contains("ringup_gap_watch_failures_total 1"), "{}", one.metrics());
}

#[actix_rt::test]
async fn a_process_that_dies_within_a_comparison_is_taken_over_from() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let asker = asker(&db, &stripe, &[]);
    asker.look().await;
    sql_query("UPDATE gap_watch SET reached = reached - 7200, lease = gen_random_uuid(), next_at = now() + interval '5 minutes'").execute(&mut db.conn()).unwrap();
    assert_eq!(asker.look().await.len(), 0);
    due(&db);
    assert_eq!(asker.look().await.len(), 1);
    assert_eq!(count(&mut db.conn(), "SELECT count(*) FROM gap_watch WHERE lease IS NULL"), 1);
}

#[actix_rt::test]
async fn a_silence_is_looked_into_at_once() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let receiver = Receiver::start(&db);
    let asker = asker(&db, &stripe, &[]);
    asker.look().await;
    for event in (0..10).flat_map(|n| checkout(n, now()).events) {
        receiver.deliver(event.body.as_bytes()).await;
    }
    let missed = checkout(99, now() - 100);
    stripe.lists("", bodies(&missed));
    let age = |table: &str, column: &str, by: &str| {
        sql_query(format!("UPDATE {table} SET {column} = {column} - {by}")).execute(&mut db.conn()).unwrap();
    };
    age("gap_watch", "reached", "7200");
    age("gap_watch", "looked_at", "interval '70 seconds'");
    assert_eq!(asker.look().await.len(), 0, "neither due nor silent");
    age("events", "received_at", "interval '130 seconds'");
    let looked = asker.look().await;
    assert_eq!(looked[0].tally.missed, 4, "{looked:?}");
    assert!(looked[0].silence.unwrap().seconds >= 130, "{looked:?}");
    assert_eq!(receiver.order(&missed.reference).await["status"], "paid");
    let about = texts(&mut db.conn(), "SELECT about AS text FROM outbox WHERE notice = 'events.missed'");
    assert!(about[0].as_ref().unwrap().contains("nothing came for 2 minutes"), "{about:?}");
    assert_eq!(asker.look().await.len(), 0, "what was taken in has ended the silence");
}

#[actix_rt::test]
async fn a_running_receiver_watches_by_itself_and_stops_at_once() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let asker = asker(&db, &stripe, &[]);
    asker.look().await;
    sql_query("UPDATE gap_watch SET reached = reached - 7200, next_at = now()").execute(&mut db.conn()).unwrap();
    let missed = checkout(7, now() - HOUR);
    stripe.lists("", bodies(&missed));
    let vars = [("STRIPE_SECRET_KEY", KEY), ("STRIPE_API_BASE", &stripe.base()[..])];
    let receiver = Receiver::start_working(&db.url(), &vars);
    // Asked over and over, as somebody who waits for the order would; gives up after 20 s.
    let begun = std::time::Instant::now();
    while receiver.api(&format!("/api/orders/{}", missed.reference)).await.json["status"] != "paid" {
        assert!(begun.elapsed().as_secs() < 20, "the watch does not watch");
    }
    let stopping = std::time::Instant::now();
    drop(receiver);
    assert!(stopping.elapsed().as_secs() < 5, "it waited for the watch");
}

/// Thin events as an endpoint gets them that gets no others; they need not name their snapshots.
async fn told_by_thin_events(named: bool) {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let receiver = Receiver::start_with(&db.url(), &[("STRIPE_SECRET_KEY", KEY), ("STRIPE_API_BASE", &stripe.base())]);
    let asker = asker(&db, &stripe, &[]);
    asker.look().await;
    sql_query("UPDATE gap_watch SET reached = reached - 7200").execute(&mut db.conn()).unwrap();
    let (whole, cut) = (checkout(1, now() - HOUR), checkout(2, now() - HOUR));
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
