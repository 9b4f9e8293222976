//! What was missed, asked of a fake of Stripe's API through the real command line.

use crate::support::postgres::TestDb;
use crate::support::server::{Receiver, SECRET, count, now, texts};
use crate::support::shell::Shell;
use crate::support::stripe::{Asked, FakeStripe};
use crate::support::sync::{HOUR, asker, at, bodies, checkout};
use diesel::{RunQueryDsl, sql_query};
use ringup::dev::scenarios::Stream;
use ringup::sync::{Range, Tally};
use serde_json::{Value, json};

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
    let (old, new) = (checkout(1, now() - 5 * HOUR + 60), checkout(2, now() - HOUR));
    stripe.lists("", bodies(&old).chain(bodies(&new)));
    let shell = shell(&stripe, &db);
    let since = chrono::DateTime::from_timestamp(now() - 6 * HOUR, 0).unwrap().to_rfc3339();
    stripe.answer_next();
    stripe.answer_next();
    stripe.refuse_next(403, "no permission for events");
    let said = shell.run(&["--since", &since]).await;
    assert_eq!(said.code, 1);
    assert!(said.err.contains("our own account (test): cut off; the same command goes on from there"), "{}", said.err);
    assert!(said.err.contains("give the restricted key Events: Read"), "{}", said.err);
    assert!(said.out.contains("4 events listed, 0 known, 4 were missed"), "what was taken in is told: {}", said.out);
    let reached = now() - 3 * HOUR;
    let asked_before = stripe.asked_for_events().len();
    let said = shell.run(&["--since", &since]).await;
    assert_eq!(said.code, 0, "{}", said.err);
    let first = stripe.asked_for_events()[asked_before].param("created[gte]").unwrap().parse::<i64>().unwrap();
    assert!((first - reached).abs() < 60, "it went on at {first} rather than {reached}");
    assert_eq!(receiver.order(&new.reference).await["status"], "paid");
    assert_eq!(count(&mut db.conn(), "SELECT count(*) FROM sync_runs"), 0);

    // An earlier beginning is not what was cut off.
    let older = checkout(3, now() - 7 * HOUR + 60);
    stripe.lists("", bodies(&older));
    let said = shell.run(&["--since", "7h"]).await;
    assert!(said.out.contains("8 known, 4 were missed"), "{}{}", said.out, said.err);
    assert_eq!(receiver.order(&older.reference).await["status"], "paid");
}

#[actix_rt::test]
async fn a_wrong_wish_is_refused_before_anything_is_asked() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let shell = shell(&stripe, &db);
    for (args, told) in [
        (&["--since", "31d"][..], "Stripe keeps its events for 30 days: --since may not be earlier"),
        (&["--since", "1h", "--until", "2h"][..], "--since is not before --until, or before now"),
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

fn date(at: i64) -> String {
    chrono::DateTime::from_timestamp(at, 0).unwrap().to_rfc3339()
}

#[actix_rt::test]
async fn each_event_is_met_once_wherever_an_hour_ends() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let (since, body) = (now() - 12 * HOUR, checkout(1, now() - HOUR).events[0].body.clone());
    // Hours that are empty grow: the third stretch, of four hours, begins after three.
    let seconds = [-1, 3 * HOUR - 1, 3 * HOUR, 7 * HOUR - 1, 7 * HOUR, 8 * HOUR - 1, 8 * HOUR, 9 * HOUR - 1, 9 * HOUR];
    let listed: Vec<String> =
        seconds.iter().map(|second| at(&body, &format!("evt_{}", second + 1), since + second)).collect();
    stripe.lists("", listed.iter().map(|event| &event[..]));
    let said = shell(&stripe, &db).run(&["--since", &date(since), "--until", &date(since + 9 * HOUR)]).await;
    assert!(said.out.contains(": 7 events listed, 0 known, 7 were missed"), "{}{}", said.out, said.err);
    assert_eq!(stored(&db), 7);
}

#[actix_rt::test]
async fn an_account_that_cannot_be_asked_does_not_keep_the_others_from_it() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    stripe.lists("acct_b", bodies(&checkout(1, now() - 60)));
    for account in ["ours", "of acct_a"] {
        stripe.refuse_next(403, account);
    }
    let said = shell(&stripe, &db).with("STRIPE_ACCOUNTS", "acct_a,acct_b").run(&["--since", "30m"]).await;
    assert_eq!(said.code, 1, "{}", said.err);
    for failed in ["our own account (test): cut off", "acct_a (test): cut off"] {
        assert!(said.err.contains(failed), "{}", said.err);
    }
    assert!(said.out.contains("acct_b (test): 4 events listed, 0 known, 4 were missed"), "{}", said.out);
}

#[actix_rt::test]
async fn our_own_account_among_the_connected_ones_is_taken_in_once() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    for account in ["", "acct_own"] {
        stripe.lists(account, bodies(&checkout(1, now() - HOUR)));
    }
    let said = shell(&stripe, &db).with("STRIPE_ACCOUNTS", "acct_own").run(&["--since", "2h"]).await;
    assert!(said.out.contains("acct_own (test): 4 events listed, 4 known, 0 were missed"), "{}{}", said.out, said.err);
    assert_eq!((stored(&db), count(&mut db.conn(), "SELECT count(*) FROM orders")), (4, 1));
}

#[actix_rt::test]
async fn the_future_is_not_compared() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let shell = shell(&stripe, &db);
    // As a clock that was fast left it.
    let beyond = format!(
        "INSERT INTO sync_runs (account, livemode, only_failed, since, reached) VALUES ('', false, false, {}, {})",
        now() - 2 * HOUR,
        now() + HOUR
    );
    sql_query(beyond).execute(&mut db.conn()).unwrap();
    stripe.lists("", bodies(&checkout(1, now() - HOUR)));
    let said = shell.run(&["--since", "90m", "--until", &date(now() + 24 * HOUR)]).await;
    assert!(said.out.contains("0 known, 4 were missed"), "{}{}", said.out, said.err);
    let until = |asked: &Asked| asked.param("created[lt]").unwrap().parse::<i64>().unwrap();
    assert!(stripe.asked_for_events().iter().all(|asked| until(asked) <= now()));
}

#[actix_rt::test]
async fn stripe_is_not_asked_more_often_than_ten_times_a_second() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let asker = asker(&db, &stripe, &[]);
    let range = Range { since: now() - 7 * HOUR, until: now(), only_failed: false, dry_run: true };
    let (mut ours, mut theirs) = (Tally::default(), Tally::default());
    let begun = std::time::Instant::now();
    let (one, other) = tokio::join!(
        asker.fetcher.backfill("", &range, &mut ours, |_| ()),
        asker.fetcher.backfill("acct_a", &range, &mut theirs, |_| ())
    );
    one.and(other).unwrap();
    let (asked, took) = (stripe.asked_for_events().len(), begun.elapsed().as_millis());
    assert_eq!(asked, 6);
    assert!(took >= 500, "{asked} requests within {took} ms");
}
