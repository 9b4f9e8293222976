//! What was missed, asked of a fake of Stripe's API: back-fill through the real command line, and the gap watch.

use crate::support::postgres::TestDb;
use crate::support::server::{Receiver, SECRET, count, now, texts};
use crate::support::shell::Shell;
use crate::support::stripe::{FakeStripe, KEY};
use crate::support::sync::{asker, due};
use diesel::{RunQueryDsl, sql_query};
use rand::SeedableRng;
use rand::rngs::StdRng;
use ringup::dev::scenarios::{self, Stream};
use serde_json::{Value, json};

const HOUR: i64 = 3600;

fn checkout(seed: u64, at: i64) -> Stream {
    scenarios::play("checkout", &mut StdRng::seed_from_u64(seed), at).unwrap()
}

fn bodies(stream: &Stream) -> impl Iterator<Item = &str> {
    stream.events.iter().map(|event| &event.body[..])
}

fn shell(stripe: &FakeStripe, db: &TestDb) -> Shell {
    Shell::of("sync", stripe)
        .with("DATABASE_URL", &db.url())
        .with("STRIPE_WEBHOOK_SECRET", SECRET)
        .with("SMTP_URL", "file://mail")
        .with("MAIL_FROM", "orders@shop.example")
}

fn stored(db: &TestDb) -> i64 {
    count(&mut db.conn(), "SELECT count(*) FROM events")
}

#[actix_rt::test]
async fn what_was_missed_is_taken_in_and_what_is_known_is_not_touched() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let receiver = Receiver::start(&db);
    let checkouts: Vec<Stream> = (0..40).map(|n| checkout(n, now() - HOUR - 5 * n as i64)).collect();
    for (n, checkout) in checkouts.iter().enumerate() {
        stripe.lists("", bodies(checkout));
        for event in checkout.events.iter().filter(|_| n % 2 == 0) {
            assert_eq!(receiver.deliver(event.body.as_bytes()).await.code(), "accepted");
        }
    }
    let odd = json!({ "id": "evt_of_no_concern", "type": "customer.created", "created": now() - HOUR, "data": { "object": { "id": "cus_1" } } });
    stripe.lists("", [&odd.to_string()[..]]);

    let shell = shell(&stripe, &db);
    let dry = shell.run(&["--dry-run"]).await;
    assert_eq!((dry.code, stored(&db)), (0, 80), "{}", dry.err);
    assert!(
        dry.out.starts_with(
            "our own account (test): 161 events listed, 80 known, 80 would be taken in, 1 say nothing of orders\n"
        ),
        "{}",
        dry.out
    );

    let said = shell.run(&["--since", "3d"]).await;
    assert_eq!(said.code, 0, "{}", said.err);
    let told = "our own account (test): 161 events listed, 80 known, 80 were missed, and are taken in, 1 say nothing of orders\n";
    assert!(said.out.starts_with(told), "{}", said.out);
    assert!(said.out.contains("      20  payment_intent.succeeded\n"), "{}", said.out);
    assert_eq!(stored(&db), 160);
    for checkout in &checkouts {
        assert_eq!(receiver.order(&checkout.reference).await["status"], "paid");
    }
    receiver.settle().await;
    assert_eq!(receiver.mails().len(), 40);
    let listed: Value = serde_json::from_str(&checkouts[1].events[0].body).unwrap();
    let kept = texts(
        &mut db.conn(),
        &format!(
            "SELECT convert_from(body, 'UTF8') AS text FROM payloads JOIN events ON events.id = payloads.event WHERE event_id = '{}'",
            listed["id"].as_str().unwrap()
        ),
    );
    assert_eq!(kept, [Some(listed.to_string())], "as Stripe's list has it");

    let again = shell.run(&[]).await;
    assert!(again.out.contains("161 events listed, 160 known, 0 were missed"), "{}", again.out);
    assert_eq!((stored(&db), count(&mut db.conn(), "SELECT count(*) FROM sync_runs")), (160, 0));
    receiver.settle().await;
    assert_eq!(receiver.mails().len(), 40);
}

#[actix_rt::test]
async fn only_what_an_endpoint_did_not_take_is_asked_for() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let _receiver = Receiver::start(&db);
    stripe.lists("", bodies(&checkout(1, now() - HOUR)));
    stripe.state().events[0].1.delivered = true;
    let said = shell(&stripe, &db).run(&["--since", "2h", "--until", "10m", "--only-failed"]).await;
    assert!(said.out.contains("3 events listed, 0 known, 3 were missed"), "{}{}", said.out, said.err);
    assert!(stripe.asked_for_events().iter().all(|asked| asked.param("delivery_success") == Some("false")));
    let until = stripe.asked_for_events().last().unwrap().param("created[lt]").unwrap().parse::<i64>().unwrap();
    assert!((now() - 10 * 60 - until) < 60, "{until}");
}

#[actix_rt::test]
async fn what_was_cut_off_goes_on_where_it_was() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let receiver = Receiver::start(&db);
    let (old, new) = (checkout(1, now() - 5 * HOUR), checkout(2, now() - HOUR));
    stripe.lists("", bodies(&old).chain(bodies(&new)));
    let shell = shell(&stripe, &db);
    let since = chrono::DateTime::from_timestamp(now() - 6 * HOUR, 0).unwrap().to_rfc3339();
    for _ in 0..3 {
        stripe.state().script.push_back((200, json!({ "object": "list", "data": [], "has_more": false }).to_string()));
    }
    stripe.refuse_next(403, "no permission for events");
    let said = shell.run(&["--since", &since]).await;
    assert_eq!(said.code, 1);
    assert!(said.err.contains("our own account (test): cut off; the same command goes on from there"), "{}", said.err);
    assert!(said.err.contains("give the restricted key Events: Read"), "{}", said.err);
    let reached = now() - 3 * HOUR;
    let asked_before = stripe.asked_for_events().len();
    let said = shell.run(&["--since", &since]).await;
    assert_eq!(said.code, 0, "{}", said.err);
    let first = stripe.asked_for_events()[asked_before].param("created[gte]").unwrap().parse::<i64>().unwrap();
    assert!((first - reached).abs() < 60, "it went on at {first} rather than {reached}");
    assert_eq!(receiver.order(&new.reference).await["status"], "paid");
    assert_eq!(count(&mut db.conn(), "SELECT count(*) FROM sync_runs"), 0);

    // An earlier beginning is not what was cut off.
    let said = shell.run(&["--since", "7h"]).await;
    assert!(said.out.contains("4 known, 4 were missed"), "{}{}", said.out, said.err);
    assert_eq!(receiver.order(&old.reference).await["status"], "paid");
}

#[actix_rt::test]
async fn a_wrong_wish_is_refused_before_anything_is_asked() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let shell = shell(&stripe, &db);
    for (args, told) in [
        (&["--since", "31d"][..], "Stripe keeps its events for 30 days: --since may not be earlier"),
        (&["--since", "1h", "--until", "2h"][..], "--since is not before --until"),
    ] {
        let said = shell.run(args).await;
        assert_eq!((said.code, said.err.trim()), (1, &format!("ringup: {told}")[..]));
    }
    assert!(stripe.asked_for_events().is_empty());
    let keyless = Shell::new(
        "sync",
        &[
            ("DATABASE_URL", &db.url()),
            ("STRIPE_WEBHOOK_SECRET", SECRET),
            ("SMTP_URL", "file://mail"),
            ("MAIL_FROM", "orders@shop.example"),
        ],
    );
    let said = keyless.run(&[]).await;
    assert!(said.err.contains("STRIPE_SECRET_KEY is not set") && said.err.contains("Events: Read"), "{}", said.err);
}

#[actix_rt::test]
async fn each_account_is_asked_for_and_kept_apart() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let receiver = Receiver::start_with(&db.url(), &[("STRIPE_ACCOUNTS", "acct_a,acct_b")]);
    let one = checkout(1, now() - HOUR);
    stripe.lists("acct_a", bodies(&one));
    let said = shell(&stripe, &db).with("STRIPE_ACCOUNTS", "acct_a,acct_b").run(&["--since", "2h"]).await;
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains("acct_a (test): 4 events listed, 0 known, 4 were missed"), "{}", said.out);
    assert!(said.out.contains("acct_b (test): 0 events listed"), "{}", said.out);
    assert_eq!(receiver.api(&format!("/api/orders/{}", one.reference)).await.status, 404, "it is none of our own");
    let theirs = receiver.api(&format!("/api/orders/{}?account=acct_a", one.reference)).await;
    assert_eq!((theirs.status, &theirs.json["status"]), (200, &json!("paid")));
    // The same event, as the endpoint gets it, is known by its account.
    let mut sent: Value = serde_json::from_str(&one.events[0].body).unwrap();
    sent["account"] = json!("acct_a");
    assert_eq!(receiver.deliver(sent.to_string().as_bytes()).await.code(), "duplicate");
}

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
