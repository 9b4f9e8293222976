//! What is known of orders, by heart or by a look, may be out of date when they are written: then the batch is tried another
//! way, and comes to the same.

use crate::support::postgres::TestDb;
use crate::support::server::{Receiver, count, now, texts};
use diesel::connection::SimpleConnection;
use rand::SeedableRng;
use rand::rngs::StdRng;
use ringup::dev::scenarios::{self, Stream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

fn checkout(seed: u64) -> Stream {
    scenarios::play("checkout", &mut StdRng::seed_from_u64(seed), now()).unwrap()
}

/// Has `sql` committed by somebody else, once, when a batch has looked and is about to write.
fn meanwhile(db: &TestDb, sql: String) {
    let (conn, done) = (std::sync::Mutex::new(db.conn()), AtomicBool::new(false));
    let act = move || {
        if !done.swap(true, Ordering::SeqCst) {
            conn.lock().unwrap().batch_execute(&sql).unwrap();
        }
    };
    fail::cfg_callback("intake.before_commit", act).unwrap();
}

async fn deliver(receiver: &Receiver, stream: &Stream, events: std::ops::Range<usize>) -> Vec<String> {
    let mut codes = Vec::new();
    for event in &stream.events[events] {
        codes.push(receiver.deliver(event.body.as_bytes()).await.code().to_owned());
    }
    codes
}

fn orders(db: &TestDb) -> Vec<Option<String>> {
    texts(&mut db.conn(), "SELECT reference || ' ' || status || ' ' || version AS text FROM orders ORDER BY reference")
}

/// All that came to one order, which is paid, and told once.
fn is_one_paid_order(db: &TestDb, receiver: &Receiver, stream: &Stream) {
    let found = orders(db);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].as_ref().unwrap().starts_with(&format!("{} paid ", stream.purchase.reference)), "{found:?}");
    assert_eq!(receiver.mails().len(), 1);
}

/// Counts the looks from now on.
fn looks() -> Arc<AtomicUsize> {
    let looks = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&looks);
    fail::cfg_callback("intake.look", move || {
        counted.fetch_add(1, Ordering::SeqCst);
    })
    .unwrap();
    looks
}

#[actix_rt::test]
async fn an_order_that_was_just_written_is_known_by_heart() {
    let (db, stream, next) = (TestDb::new(), checkout(6), checkout(7));
    let (receiver, looks) = (Receiver::start(&db), looks());
    assert_eq!(deliver(&receiver, &stream, 0..4).await, ["accepted"; 4]);
    assert_eq!(deliver(&receiver, &next, 0..4).await, ["accepted"; 4]);
    assert_eq!(looks.load(Ordering::SeqCst), 1, "only the first, when nothing was known");
    assert_eq!(deliver(&receiver, &stream, 1..2).await, ["duplicate"]);
    assert_eq!(looks.load(Ordering::SeqCst), 2, "which event it repeats is looked up");
    receiver.settle().await;
    assert_eq!(count(&mut db.conn(), "SELECT count(*) FROM orders WHERE status = 'paid'"), 2);
    assert_eq!(receiver.mails().len(), 2);
}

#[actix_rt::test]
async fn an_order_that_somebody_else_has_written_since_is_looked_up() {
    let (db, stream) = (TestDb::new(), checkout(8));
    let (one, other, looks) = (Receiver::start(&db), Receiver::start(&db), looks());
    for n in 0..4 {
        assert_eq!(deliver(if n % 2 == 0 { &one } else { &other }, &stream, n..n + 1).await, ["accepted"]);
    }
    assert!(looks.load(Ordering::SeqCst) > 2, "neither knows what the other has written");
    one.settle().await;
    is_one_paid_order(&db, &one, &stream);
}

#[actix_rt::test]
async fn whoever_has_subscribed_since_hears_of_an_order_that_is_known_by_heart() {
    let (db, stream) = (TestDb::new(), checkout(9));
    let receiver = Receiver::start(&db);
    let first = checkout(10);
    assert_eq!(deliver(&receiver, &first, 0..4).await, ["accepted"; 4]);
    let subscribed = "INSERT INTO destinations (id, kind, url, events, secret) \
                      VALUES ('sub_new', 'webhook', 'https://shop.example/hook', '{order.paid}', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')";
    db.conn().batch_execute(subscribed).unwrap();
    assert_eq!(deliver(&receiver, &stream, 0..4).await, ["accepted"; 4]);
    let told = texts(&mut db.conn(), "SELECT dedupe_key AS text FROM outbox WHERE destination = 'sub_new'");
    assert_eq!(told.len(), 1, "{told:?}");
}

#[actix_rt::test]
async fn an_order_that_somebody_else_wrote_meanwhile_loses_nothing_of_either() {
    let (db, stream) = (TestDb::new(), checkout(1));
    let receiver = Receiver::start(&db);
    assert_eq!(deliver(&receiver, &stream, 0..3).await, ["accepted"; 3]);
    let before = orders(&db);
    meanwhile(&db, "UPDATE orders SET version = version + 10".to_owned());
    assert_eq!(deliver(&receiver, &stream, 3..4).await, ["accepted"]);
    fail::remove("intake.before_commit");
    receiver.settle().await;
    let version = |row: &Option<String>| row.as_ref().unwrap().rsplit(' ').next().unwrap().parse::<i64>().unwrap();
    assert_eq!(orders(&db).len(), 1);
    assert_eq!(
        version(&orders(&db)[0]),
        version(&before[0]) + 11,
        "it was written once, over what the other had written"
    );
    assert!(orders(&db)[0].as_ref().unwrap().starts_with(&format!("{} paid ", stream.purchase.reference)));
    assert_eq!(count(&mut db.conn(), "SELECT count(*) FROM events WHERE state = 'processed'"), 4);
    assert_eq!(receiver.mails().len(), 1);
}

#[actix_rt::test]
async fn an_event_that_somebody_else_stored_meanwhile_is_a_duplicate() {
    let (db, stream) = (TestDb::new(), checkout(2));
    let receiver = Receiver::start(&db);
    assert_eq!(deliver(&receiver, &stream, 0..3).await, ["accepted"; 3]);
    let before = orders(&db);
    let twin = "INSERT INTO events (source, account, event_id, livemode, type, body_crc32, state, reason, received_at) \
                VALUES ('stripe', '', '{}', false, 'x', 0, 'ignored', 'stored by another', now())";
    meanwhile(&db, twin.replace("{}", &stream.events[3].id));
    assert_eq!(deliver(&receiver, &stream, 3..4).await, ["duplicate"]);
    fail::remove("intake.before_commit");
    assert_eq!(orders(&db), before, "a duplicate changes nothing");
    assert_eq!(count(&mut db.conn(), "SELECT count(*) FROM events"), 4);
    assert_eq!(count(&mut db.conn(), "SELECT count(*) FROM payloads"), 3);
}

#[actix_rt::test]
async fn a_reference_that_somebody_else_gave_away_meanwhile_keeps_the_order_that_it_names() {
    let (db, stream) = (TestDb::new(), checkout(3));
    let receiver = Receiver::start(&db);
    // Another instance has just taken the payment intent's first event in: its order has a reference and a row.
    let taken = "INSERT INTO orders (id, source, account, livemode, reference, status, money_status, facts) \
                 VALUES ('00000000-0000-0000-0000-000000000001', 'stripe', '', false, 'THE-INTENT', 'pending', 'pending', '{}'); \
                 INSERT INTO order_references (value, kind, account, livemode, source, order_id) \
                 VALUES ('THE-INTENT', 'object', '', false, 'stripe', '00000000-0000-0000-0000-000000000001')";
    meanwhile(&db, taken.replace("THE-INTENT", &stream.purchase.payment_intent));
    assert_eq!(deliver(&receiver, &stream, 0..4).await, ["accepted"; 4]);
    fail::remove("intake.before_commit");
    receiver.settle().await;
    is_one_paid_order(&db, &receiver, &stream);
}

#[actix_rt::test]
async fn an_order_that_somebody_holds_keeps_no_other_from_being_written() {
    let (db, held, free) = (TestDb::new(), checkout(4), checkout(5));
    let receiver = Receiver::start(&db);
    assert_eq!(deliver(&receiver, &held, 0..3).await, ["accepted"; 3]);
    let mut other = db.conn();
    other.batch_execute("BEGIN; SELECT id FROM orders FOR UPDATE").unwrap();
    let (one, rest) = tokio::join!(deliver(&receiver, &held, 3..4), deliver(&receiver, &free, 0..4));
    assert_eq!((one, rest), (vec!["accepted".to_owned()], vec!["accepted".to_owned(); 4]));
    let paid = format!("{} paid", free.purchase.reference);
    assert!(orders(&db).iter().flatten().any(|order| order.starts_with(&paid)), "{:?}", orders(&db));
    assert_eq!(count(&mut db.conn(), "SELECT count(*) FROM pending"), 1, "the held order's event waits for a worker");
    other.batch_execute("COMMIT").unwrap();
    db.conn().batch_execute("UPDATE pending SET next_at = now()").unwrap();
    receiver.settle().await;
    assert_eq!(count(&mut db.conn(), "SELECT count(*) FROM orders WHERE status = 'paid'"), 2);
}

/// Postgres keeps a plan that it made when a table was empty, and then reading the whole of it is the cheapest way.
#[actix_rt::test]
async fn what_was_planned_over_empty_tables_does_not_read_the_whole_of_them_later() {
    const ROUNDS: u64 = 40;
    let db = TestDb::new();
    db.conn().batch_execute("ANALYZE").unwrap();
    let receiver = Receiver::start(&db);
    for seed in 0..ROUNDS {
        let stream = checkout(1000 + seed);
        assert_eq!(deliver(&receiver, &stream, 0..4).await, ["accepted"; 4], "by heart");
        assert_eq!(deliver(&receiver, &stream, 3..4).await, ["duplicate"], "looked up");
    }
    drop(receiver);
    // What a connection has read is counted when it ends.
    let mut conn = db.conn();
    let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    while count(&mut conn, others) > 0 {
        std::thread::yield_now();
    }
    let read = texts(
        &mut conn,
        "SELECT relname || ' ' || seq_tup_read + i.read AS text FROM pg_stat_user_tables t, \
             LATERAL (SELECT sum(idx_tup_read) AS read FROM pg_stat_user_indexes i WHERE i.relid = t.relid) i \
         WHERE relname IN ('events', 'payloads', 'orders', 'order_references', 'outbox') AND seq_tup_read + i.read > 20 * 40",
    );
    assert_eq!(read, [], "more rows were read than a few a round");
}
