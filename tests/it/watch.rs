//! The gap watch, asked of a fake of Stripe's API.

use crate::support::postgres::TestDb;
use crate::support::server::{Receiver, count, now, texts};
use crate::support::stripe::{FakeStripe, KEY};
use crate::support::sync::{HOUR, asker, at, bodies, checkout, due, watched_until};
use chrono::{DateTime, Utc};
use diesel::{RunQueryDsl, sql_query};
use ringup::dev::scenarios::Stream;
use ringup::sync::Looked;
use serde_json::{Value, json};

fn created(body: &str) -> i64 {
    serde_json::from_str::<Value>(body).unwrap()["created"].as_i64().unwrap()
}

#[actix_rt::test]
async fn the_gap_watch_finds_what_did_not_come_and_tells_once_an_hour() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let receiver = Receiver::start_with(&db.url(), &[("STRIPE_SECRET_KEY", KEY), ("STRIPE_API_BASE", &stripe.base())]);
    let asker = asker(&db, &stripe, &[]);
    assert_eq!(asker.look().await.len(), 1, "the first look sets the cursor");
    let asked = stripe.asked_for_events();
    assert_eq!((asked.len(), asked[0].param("limit")), (1, Some("1")), "and asks for nothing that was before");

    watched_until(&db, now() - 2 * HOUR);
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
        watched_until(&db, now() - 2 * HOUR);
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
async fn two_instances_do_not_compare_at_once() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let (one, other) = (asker(&db, &stripe, &[]), asker(&db, &stripe, &[]));
    one.look().await;
    watched_until(&db, now() - 2 * HOUR);
    due(&db);
    let mut held = stripe.hold_next();
    let (mine, ()) = tokio::join!(one.look(), async {
        held.came().await;
        assert_eq!(other.look().await.len(), 0, "the first is in the middle of it");
        held.release();
    });
    assert_eq!(mine.len(), 1);
}

#[actix_rt::test]
async fn a_comparison_is_kept_as_long_as_its_pages_turn() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let asker = asker(&db, &stripe, &[]);
    asker.look().await;
    watched_until(&db, now() - HOUR);
    due(&db);
    let crowd: Vec<Stream> = (0..30).map(|n| checkout(n, now() - 1800)).collect();
    stripe.lists("", crowd.iter().flat_map(bodies));
    stripe.answer_next();
    let mut first = stripe.hold_next();
    stripe.answer_next();
    let mut second = stripe.hold_next();
    let (looked, ()) = tokio::join!(asker.look(), async {
        first.came().await;
        sql_query("UPDATE gap_watch SET next_at = now() + interval '1 second'").execute(&mut db.conn()).unwrap();
        first.release();
        second.came().await;
        let renewed = "SELECT count(*) FROM gap_watch WHERE next_at > now() + interval '4 minutes'";
        assert_eq!(count(&mut db.conn(), renewed), 1, "the first page renewed it");
        second.release();
    });
    assert_eq!(looked[0].tally.missed, 120);
}

#[actix_rt::test]
async fn a_failure_is_told_as_stripe_told_it_and_tried_again_after_a_minute() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let asker = asker(&db, &stripe, &[("STRIPE_ACCOUNTS", "acct_a")]);
    for message in ["ours", "theirs"] {
        stripe.refuse_next(401, message);
    }
    let failed = asker.fetcher.look(Utc::now()).await;
    let told = |looked: &Looked| format!("{} {:#}", looked.account, looked.failure.as_ref().unwrap());
    assert_eq!(
        failed.iter().map(told).collect::<Vec<_>>(),
        [" Stripe does not accept STRIPE_SECRET_KEY: ours", "acct_a Stripe does not accept STRIPE_SECRET_KEY: theirs"]
    );
    assert_eq!(asker.look().await.len(), 0, "not before a minute is over");
    due(&db);
    assert_eq!(asker.look().await.len(), 2);
    assert_eq!(count(&mut db.conn(), "SELECT sum(failures)::bigint AS count FROM gap_watch"), 2);

    // It cannot even be written down.
    due(&db);
    let mut held = stripe.hold_next();
    stripe.refuse_next(401, "ours again");
    let (failed, ()) = tokio::join!(asker.fetcher.look(Utc::now()), async {
        held.came().await;
        sql_query("ALTER TABLE gap_watch RENAME TO gone").execute(&mut db.conn()).unwrap();
        held.release();
    });
    assert_eq!(told(&failed[0]), " Stripe does not accept STRIPE_SECRET_KEY: ours again");
}

#[actix_rt::test]
async fn what_was_taken_in_before_a_failure_is_told() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let receiver = Receiver::start(&db);
    let asker = asker(&db, &stripe, &[]);
    asker.look().await;
    let (begin, crowd) = (now() - 3 * HOUR, (1..31).map(|n| checkout(n, now() - HOUR - 1800)).collect::<Vec<_>>());
    watched_until(&db, begin);
    due(&db);
    stripe.lists("", bodies(&checkout(0, begin + 1800)).chain(crowd.iter().flat_map(bodies)));
    // The newest, the first hour, the second with its first page; its other one is refused.
    for _ in 0..3 {
        stripe.answer_next();
    }
    stripe.refuse_next(403, "no more");
    let failed = asker.fetcher.look(Utc::now()).await.remove(0);
    assert!(failed.failure.is_some());
    assert_eq!(failed.tally.missed, 104);
    assert_eq!(count(&mut db.conn(), &format!("SELECT reached - {begin} AS count FROM gap_watch")), HOUR);
    let told = texts(&mut db.conn(), "SELECT about AS text FROM outbox WHERE notice = 'events.missed'");
    assert!(told[0].as_ref().unwrap().contains("\"events\":104"), "{told:?}");

    due(&db);
    let looked = asker.look().await.remove(0);
    assert_eq!((looked.tally.known, looked.tally.missed), (100, 20));
    let metrics = receiver.metrics().await;
    for line in [
        "ringup_events_missed_total{account=\"\",mode=\"test\"} 124",
        "ringup_gap_watch_failures_total{account=\"\",mode=\"test\"} 1",
        "ringup_gap_watch_compared_seconds{account=\"\",mode=\"test\"} ",
    ] {
        assert!(metrics.contains(line), "of a process that does not watch: {metrics}");
    }
}

#[actix_rt::test]
async fn no_event_is_passed_over_by_a_clock_that_is_fast() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let asker = asker(&db, &stripe, &[]);
    let fast = |stripes: i64| DateTime::from_timestamp(stripes + HOUR, 0).unwrap();
    let begun = now() - HOUR;
    stripe.lists("", bodies(&checkout(1, begun)));
    asker.look_at(fast(begun + 10)).await;
    for (seed, at) in [(2, begun + 60), (3, begun + 400), (4, begun + 420)] {
        stripe.lists("", bodies(&checkout(seed, at)));
        due(&db);
        let looked = asker.look_at(fast(at + 10)).await.remove(0);
        assert_eq!(looked.tally.missed, 4, "what happened at {at}");
    }
    // One more within the second that the cursor rests on.
    let bodies: Vec<String> = stripe.state().events.iter().map(|(_, event)| event.body.clone()).collect();
    let newest = bodies.iter().max_by_key(|body| created(body)).unwrap();
    stripe.lists("", [&at(newest, "evt_late", created(newest))[..]]);
    for missed in [1, 0] {
        due(&db);
        assert_eq!(asker.look_at(fast(begun + 440)).await[0].tally.missed, missed);
    }
}

#[actix_rt::test]
async fn an_event_is_looked_at_once_its_grace_is_over_to_the_second() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let asker = asker(&db, &stripe, &[]);
    asker.look().await;
    let stream = checkout(1, now() - HOUR);
    stripe.lists("", bodies(&stream).chain(bodies(&checkout(2, now()))));
    let mut times: Vec<i64> = stripe.state().events[..4].iter().map(|(_, event)| created(&event.body)).collect();
    times.sort_unstable();
    watched_until(&db, times[0]);
    for (clock, listed) in
        [(times[3] + 300, times[..3].iter().filter(|&&one| one < times[3]).count()), (times[3] + 301, 4)]
    {
        watched_until(&db, times[0]);
        due(&db);
        let looked = asker.look_at(DateTime::from_timestamp(clock, 0).unwrap()).await;
        assert_eq!(looked[0].tally.listed, listed as u64);
    }
}

#[actix_rt::test]
async fn a_connected_accounts_list_is_watched_in_its_name() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let receiver = Receiver::start_with(&db.url(), &[("STRIPE_ACCOUNTS", "acct_a")]);
    let asker = asker(&db, &stripe, &[("STRIPE_ACCOUNTS", "acct_a")]);
    asker.look().await;
    watched_until(&db, now() - 2 * HOUR);
    due(&db);
    let missed = checkout(1, now() - HOUR);
    stripe.lists("acct_a", bodies(&missed));
    let looked = asker.look().await;
    let found = |looked: &Looked| (looked.account.clone(), looked.tally.missed);
    assert_eq!(looked.iter().map(found).collect::<Vec<_>>(), [(String::new(), 0), ("acct_a".to_owned(), 4)]);
    let theirs = receiver.api(&format!("/api/orders/{}?account=acct_a", missed.reference)).await;
    assert_eq!((theirs.status, &theirs.json["status"]), (200, &json!("paid")));
    let told = texts(&mut db.conn(), "SELECT about AS text FROM outbox WHERE notice = 'events.missed'");
    assert!(told[0].as_ref().unwrap().contains("acct_a (test)"), "{told:?}");
}

#[actix_rt::test]
async fn a_process_that_dies_within_a_comparison_is_taken_over_from() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let asker = asker(&db, &stripe, &[]);
    asker.look().await;
    watched_until(&db, now() - 2 * HOUR);
    sql_query("UPDATE gap_watch SET lease = gen_random_uuid(), next_at = now() + interval '5 minutes'")
        .execute(&mut db.conn())
        .unwrap();
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
    watched_until(&db, now() - 2 * HOUR);
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

    // Silent again, and Stripe has nothing either: nobody is told, and it is not looked into without end.
    age("events", "received_at", "interval '130 seconds'");
    assert_eq!(asker.look().await.len(), 0, "a minute after the last look at the earliest");
    age("gap_watch", "looked_at", "interval '60 seconds'");
    let looked = asker.look().await.remove(0);
    assert_eq!((looked.tally.missed, looked.silence.is_some()), (0, true));
    assert_eq!(count(&mut db.conn(), "SELECT count(*) FROM outbox WHERE notice = 'events.missed'"), 1);
}

#[actix_rt::test]
async fn a_running_receiver_watches_by_itself_and_stops_at_once() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let asker = asker(&db, &stripe, &[]);
    asker.look().await;
    watched_until(&db, now() - 2 * HOUR);
    due(&db);
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
