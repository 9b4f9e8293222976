//! Many at once: clients, instances, locks. Whatever the interleaving, each event is stored once and the orders are right.

use crate::support::postgres::TestDb;
use crate::support::server::{Receiver, count, now, texts};
use diesel::connection::SimpleConnection;
use futures_util::future::join_all;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use ringup::dev::scenarios::{self, Stream};

fn checkouts(n: u64) -> Vec<Stream> {
    (0..n).map(|seed| scenarios::play("checkout", &mut StdRng::seed_from_u64(seed), now()).unwrap()).collect()
}

fn bodies(streams: &[Stream]) -> Vec<&[u8]> {
    streams.iter().flat_map(|stream| stream.events.iter().map(|event| event.body.as_bytes())).collect()
}

/// Every checkout is paid and owes one mail; nothing is left over.
async fn all_is_right(db: &TestDb, receiver: &Receiver, streams: &[Stream]) {
    receiver.settle().await;
    let mut conn = db.conn();
    let n = streams.len() as i64;
    assert_eq!(count(&mut conn, "SELECT count(*) FROM events WHERE state = 'processed'"), 4 * n);
    assert_eq!(
        count(
            &mut conn,
            "SELECT count(*) FROM orders WHERE status = 'paid' AND merged_into IS NULL AND customer_email IS NOT NULL"
        ),
        n
    );
    assert_eq!(count(&mut conn, "SELECT count(*) FROM orders WHERE merged_into IS NULL"), n);
    assert_eq!(
        count(&mut conn, "SELECT count(*) FROM outbox WHERE state = 'sent' AND dedupe_key LIKE 'order.paid:pi_%'"),
        n
    );
    assert_eq!(count(&mut conn, "SELECT count(*) FROM pending"), 0);
    for stream in streams {
        assert_eq!(receiver.order(&stream.reference).await["status"], "paid");
    }
}

#[actix_rt::test]
async fn ten_thousand_posts_of_five_hundred_ids_from_sixteen_clients() {
    let db = TestDb::new();
    let receiver = Receiver::start(&db);
    let streams = checkouts(125);
    let bodies = bodies(&streams);
    assert_eq!(bodies.len(), 500);
    let client = |seed: u64| {
        let (receiver, mut mine) = (&receiver, bodies.clone());
        async move {
            let mut accepted = 0;
            for round in 0..2 {
                mine.shuffle(&mut StdRng::seed_from_u64(seed * 2 + round));
                for body in &mine[..if round == 0 { 500 } else { 125 }] {
                    let answer = receiver.deliver(body).await;
                    assert_eq!(answer.status, 200, "{}", answer.json);
                    accepted += usize::from(answer.code() == "accepted");
                }
            }
            accepted
        }
    };
    let accepted: usize = join_all((0..16).map(client)).await.into_iter().sum();
    assert_eq!(accepted, 500, "each event is accepted once; the other 9,500 posts are duplicates");
    all_is_right(&db, &receiver, &streams).await;
}

#[actix_rt::test]
async fn three_instances_fed_the_same_events_at_once() {
    let db = TestDb::new();
    let receivers = [Receiver::start(&db), Receiver::start(&db), Receiver::start(&db)];
    let streams = checkouts(60);
    let bodies = bodies(&streams);
    let client = |seed: u64| {
        let (receiver, mut mine) = (&receivers[(seed % 3) as usize], bodies.clone());
        async move {
            mine.shuffle(&mut StdRng::seed_from_u64(seed));
            for body in mine {
                let answer = receiver.deliver(body).await;
                assert_eq!(answer.status, 200, "{}", answer.json);
            }
        }
    };
    join_all((0..12).map(client)).await;
    join_all(receivers.iter().map(Receiver::settle)).await;
    // What one worker held while another looked comes back after its backoff.
    db.conn().batch_execute("UPDATE pending SET next_at = now()").unwrap();
    let mails: usize = {
        all_is_right(&db, &receivers[0], &streams).await;
        receivers.iter().map(|receiver| receiver.mails().len()).sum()
    };
    assert_eq!(mails, streams.len());
}

#[actix_rt::test]
async fn a_locked_order_holds_up_no_other() {
    let db = TestDb::new();
    let receiver = Receiver::start(&db);
    let streams = checkouts(20);
    for stream in &streams {
        assert_eq!(receiver.deliver(stream.events[0].body.as_bytes()).await.code(), "accepted");
    }
    let mut holder = db.conn();
    holder.batch_execute("BEGIN; SELECT 1 FROM orders ORDER BY id LIMIT 1 FOR UPDATE").unwrap();
    for body in bodies(&streams) {
        assert_eq!(receiver.deliver(body).await.status, 200);
    }
    receiver.settle().await;
    let mut conn = db.conn();
    assert_eq!(count(&mut conn, "SELECT count(*) FROM orders WHERE status = 'paid'"), 19);
    assert_eq!(count(&mut conn, "SELECT count(*) FROM events WHERE state = 'pending'"), 3);
    assert_eq!(
        texts(&mut conn, "SELECT DISTINCT last_error AS text FROM pending"),
        [Some("its order is locked by someone else".to_owned())]
    );
    holder.batch_execute("COMMIT").unwrap();
    conn.batch_execute("UPDATE pending SET next_at = now()").unwrap();
    all_is_right(&db, &receiver, &streams).await;
}

#[actix_rt::test]
async fn a_claim_that_was_lost_is_retaken_and_a_late_settle_changes_nothing() {
    let db = TestDb::new();
    let receiver = Receiver::start(&db);
    let streams = checkouts(1);
    for body in bodies(&streams) {
        receiver.deliver(body).await;
    }
    let mut conn = db.conn();
    conn.batch_execute("UPDATE events SET state = 'pending'; INSERT INTO pending (event) SELECT id FROM events")
        .unwrap();
    let (dead, live) = (uuid::Uuid::now_v7(), uuid::Uuid::now_v7());
    let claimed = ringup::inbox::claim(&mut conn, ringup::inbox::Left::ToApply, dead, 10, 30).unwrap();
    assert_eq!(claimed.len(), 4);
    assert!(
        ringup::inbox::claim(&mut conn, ringup::inbox::Left::ToApply, live, 10, 30).unwrap().is_empty(),
        "a lease keeps others away"
    );
    conn.batch_execute("UPDATE pending SET next_at = now() - interval '1 second'").unwrap();
    assert_eq!(ringup::inbox::claim(&mut conn, ringup::inbox::Left::ToApply, live, 10, 30).unwrap().len(), 4);
    let ids: Vec<i64> = claimed.iter().map(|event| event.id).collect();
    assert_eq!(
        ringup::inbox::settle(&mut conn, dead, &ids, ringup::inbox::State::Quarantined, Some("late")).unwrap(),
        0
    );
    assert_eq!(ringup::inbox::settle(&mut conn, live, &ids, ringup::inbox::State::Processed, None).unwrap(), 4);
    all_is_right(&db, &receiver, &streams).await;
}

#[actix_rt::test]
async fn a_large_order_is_left_to_the_workers_and_holds_up_no_other() {
    let db = TestDb::new();
    let receiver = Receiver::start(&db);
    let refund = |n: usize| {
        serde_json::json!({ "id": format!("evt_hot{n}"), "object": "event", "type": "refund.updated", "created": 1_700_000_000, "livemode": false,
            "data": { "object": { "id": format!("re_hot{n}"), "object": "refund", "amount": 1, "currency": "eur", "status": "succeeded",
                      "charge": "ch_hot", "payment_intent": "pi_hot", "metadata": {} } } })
        .to_string()
    };
    let paid = serde_json::json!({ "id": "evt_hot", "object": "event", "type": "payment_intent.succeeded", "created": 1_700_000_000, "livemode": false,
        "data": { "object": { "id": "pi_hot", "object": "payment_intent", "amount": 10_000, "amount_received": 10_000, "currency": "eur",
                  "status": "succeeded", "latest_charge": "ch_hot", "metadata": { "order_id": "HOT" } } } });
    assert_eq!(receiver.deliver(paid.to_string().as_bytes()).await.code(), "accepted");
    let bodies: Vec<String> = (0..2_000).map(refund).collect();
    let (first, last) = bodies.split_at(1_900);
    for batch in first.chunks(475) {
        let posts = futures_util::future::join_all(batch.iter().map(|body| receiver.deliver(body.as_bytes())));
        assert!(posts.await.iter().all(|answer| answer.code() == "accepted"));
    }
    let mut conn = db.conn();
    let left = count(&mut conn, "SELECT count(*) FROM pending");
    for body in last {
        assert_eq!(receiver.deliver(body.as_bytes()).await.code(), "accepted");
    }
    assert_eq!(count(&mut conn, "SELECT count(*) FROM pending"), left + 100);
    let other = scenarios::play("checkout", &mut StdRng::seed_from_u64(7), crate::support::server::now()).unwrap();
    for event in &other.events {
        assert_eq!(receiver.deliver(event.body.as_bytes()).await.code(), "accepted");
    }
    assert_eq!(receiver.order(&other.reference).await["status"], "paid");
    receiver.settle_all(&db).await;
    let hot = receiver.order("HOT").await;
    assert_eq!((&hot["status"], &hot["amount_refunded"]), (&"partially_refunded".into(), &2_000.into()));
}
