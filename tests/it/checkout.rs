//! One checkout, from the signed event to the mail, in every order of delivery.

use crate::support::postgres::TestDb;
use crate::support::server::{Receiver, SECRET, count, texts};
use rand::SeedableRng;
use rand::rngs::StdRng;
use ringup::dev::scenarios::{self, Stream};
use std::collections::BTreeSet;

fn stream(name: &str, seed: u64) -> Stream {
    scenarios::play(name, &mut StdRng::seed_from_u64(seed), crate::support::server::now()).unwrap()
}

#[actix_rt::test]
async fn a_signed_checkout_becomes_a_paid_order_and_one_mail() {
    let db = TestDb::new();
    let receiver = Receiver::start(&db);
    let checkout = stream("checkout", 1);
    for event in &checkout.events {
        let answer = receiver.deliver(event.body.as_bytes()).await;
        assert_eq!((answer.status, answer.code()), (200, "accepted"), "{}", answer.json);
    }
    let order = receiver.order(&checkout.reference).await;
    assert_eq!(order["status"], "paid");
    assert_eq!(order["amount_refunded"], 0);
    assert!(order["customer_email"].as_str().unwrap().contains('@'));
    receiver.settle().await;
    assert_eq!(receiver.mails().len(), 1);
    let mut conn = db.conn();
    assert_eq!(texts(&mut conn, "SELECT state AS text FROM outbox"), [Some("sent".to_owned())]);
    assert_eq!(texts(&mut conn, "SELECT outcome AS text FROM attempts"), [Some("sent".to_owned())]);
    assert_eq!(count(&mut conn, "SELECT count(*) FROM events WHERE state = 'processed'"), 4);
    assert_eq!(count(&mut conn, "SELECT count(*) FROM payloads"), 4);
}

#[actix_rt::test]
async fn every_permutation_with_duplicates_ends_in_the_same_order_and_one_mail() {
    let db = TestDb::new();
    let receiver = Receiver::start(&db);
    let mut orders = Vec::new();
    for (seed, permutation) in permutations(4).into_iter().enumerate() {
        let checkout = stream("checkout", 1000 + seed as u64);
        for n in permutation.iter().chain(&permutation[..2]) {
            assert_eq!(receiver.deliver(checkout.events[*n].body.as_bytes()).await.status, 200);
        }
        let mut order = receiver.order(&checkout.reference).await;
        assert_eq!(order["status"], "paid", "{permutation:?}");
        assert!(order["amount_paid"].as_i64().unwrap() > 0);
        assert!(order["customer_email"].is_string(), "{permutation:?}");
        order
            .as_object_mut()
            .unwrap()
            .retain(|key, _| ["status", "money_status", "review_reasons"].contains(&&key[..]));
        orders.push(order);
    }
    orders.dedup();
    assert_eq!(orders.len(), 1);
    receiver.settle().await;
    assert_eq!(receiver.mails().len(), 24);
    let mut conn = db.conn();
    assert_eq!(
        count(&mut conn, "SELECT count(*) FROM outbox WHERE dedupe_key LIKE 'order.paid:pi_%' AND state = 'sent'"),
        24
    );
    assert_eq!(count(&mut conn, "SELECT count(*) FROM orders WHERE merged_into IS NULL"), 24);
}

fn permutations(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let shorter = permutations(n - 1);
    shorter.iter().flat_map(|p| (0..n).map(move |at| [&p[..at], &[n - 1], &p[at..]].concat())).collect()
}

#[actix_rt::test]
async fn every_scenario_ends_as_its_name_says() {
    let db = TestDb::new();
    let receiver = Receiver::start(&db);
    let expected = [
        ("checkout", "paid"),
        ("checkout-async", "paid"),
        ("checkout-async-pending", "awaiting_funds"),
        ("checkout-async-failed", "failed"),
        ("three-d-secure", "paid"),
        ("requires-action", "requires_action"),
        ("payment-failed", "failed"),
        ("pending", "pending"),
        ("cancel", "canceled"),
        ("expired", "expired"),
        ("authorize", "authorized"),
        ("authorize-capture", "paid"),
        ("authorize-cancel", "canceled"),
        ("authorize-expire", "canceled"),
        ("bank-transfer", "paid"),
        ("bank-transfer-partial", "partially_paid"),
        ("double-payment", "review"),
        ("refund-partial", "partially_refunded"),
        ("refund-full", "refunded"),
        ("refund-failed", "paid"),
        ("dispute-open", "disputed"),
        ("dispute-won", "paid"),
        ("dispute-lost", "lost"),
        ("inquiry", "paid"),
        ("fraud-warning", "review"),
        ("review", "paid"),
        ("subscription", "paid"),
        ("renewal-recovered", "paid"),
        ("renewal-failed", "failed"),
        ("renewal-overpaid", "review"),
    ];
    for (seed, (name, status)) in expected.into_iter().enumerate() {
        let stream = stream(name, seed as u64);
        for event in stream.events.iter().rev() {
            assert_eq!(receiver.deliver(event.body.as_bytes()).await.status, 200);
        }
        let order = receiver.order(&stream.reference).await;
        assert_eq!(order["status"], status, "{name}");
        let renewed = ["subscription", "renewal-recovered", "renewal-overpaid"].contains(&name);
        assert_eq!(order["renewal"], renewed, "{name}");
        let reasons: &[&str] = match name {
            "double-payment" => &["double_payment"],
            "fraud-warning" => &["fraud_warning"],
            "renewal-overpaid" => &["invoice_overpaid"],
            _ => &[],
        };
        assert_eq!(order["review_reasons"], serde_json::json!(reasons), "{name}");
    }
    assert_eq!(expected.map(|(name, _)| name).to_vec(), scenarios::list().iter().map(|s| s.name).collect::<Vec<_>>());
    let ends: BTreeSet<&str> = expected.iter().map(|(_, status)| *status).collect();
    assert_eq!(ends.len(), 14, "a story for each status: {ends:?}");
}

#[actix_rt::test]
async fn the_trigger_command_plays_many_at_a_pace() {
    let db = TestDb::new();
    let receiver = Receiver::start(&db);
    let dir = tempfile::tempdir().unwrap();
    let started = std::time::Instant::now();
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_ringup"))
        .args(["trigger", "fraud-warning", "--count", "2", "--duplicate", "1", "--shuffle", "--rate", "100"])
        .args(["--to", &receiver.url("/webhooks/stripe"), "--secret", SECRET])
        .env_clear()
        .current_dir(dir.path())
        .output()
        .await
        .unwrap();
    let took = started.elapsed();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let told = |what: &str| said.matches(&format!("200  {{\"status\":\"{what}\"}}")).count();
    assert_eq!((told("accepted"), told("duplicate")), (10, 10), "{said}");
    assert!(took >= std::time::Duration::from_millis(190), "20 events at 100 a second: {took:?}");
    receiver.settle_all(&db).await;
    assert_eq!(count(&mut db.conn(), "SELECT count(*) FROM orders WHERE status = 'review' AND merged_into IS NULL"), 2);
}
