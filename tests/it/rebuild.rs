//! The order law's second edition takes over a database of the first.

use crate::support::postgres::TestDb;
use crate::support::server::{Receiver, texts, variables};
use diesel::connection::SimpleConnection;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::{Command, Output};

/// Made by the first edition.
const DATABASE: &str = include_str!("../data/first_edition/database.sql");

/// What orders are, without what a write always changes.
const ORDERS: &str = "SELECT (to_jsonb(o) - '{id,facts,version,moved,created_at,updated_at}'::text[])::text AS text \
                      FROM orders o WHERE merged_into IS NULL ORDER BY reference, livemode";
const FACTS: &str = "SELECT facts AS text FROM orders WHERE merged_into IS NULL ORDER BY reference, livemode";
const MESSAGES: &str = "SELECT notice_key || ' ' || kind || ' ' || state || CASE WHEN held THEN ' held' ELSE '' END AS text FROM outbox ORDER BY 1";
const IDS: &str = "SELECT id::text AS text FROM outbox";
/// Charges of test payments that went through.
const CHARGES: &str = "SELECT DISTINCT r.value AS text FROM orders o JOIN order_references r ON r.order_id = o.id \
                       WHERE r.value LIKE 'ch\\_%' AND NOT o.livemode AND o.amount_paid > 0 ORDER BY 1";

fn first_edition() -> TestDb {
    let db = TestDb::new();
    db.conn().batch_execute(DATABASE).unwrap();
    db
}

/// The same events, none of them applied yet.
fn from_scratch() -> TestDb {
    let db = first_edition();
    db.conn()
        .batch_execute(
            "DELETE FROM attempts; DELETE FROM outbox; DELETE FROM order_references; DELETE FROM orders; \
             INSERT INTO pending (event) SELECT id FROM events WHERE state = 'processed'; \
             UPDATE events SET state = 'pending' WHERE state = 'processed'",
        )
        .unwrap();
    db
}

fn rebuild(db: &TestDb, args: &[&str]) -> Output {
    let mail = tempfile::tempdir().unwrap();
    Command::new(env!("CARGO_BIN_EXE_ringup"))
        .args(["orders", "rebuild"])
        .args(args)
        .envs(variables(&db.url(), mail.path().to_str().unwrap()))
        .current_dir(mail.path())
        .output()
        .unwrap()
}

fn rebuilt() -> TestDb {
    let db = first_edition();
    let done = rebuild(&db, &["--all"]);
    assert_eq!(done.status.code(), Some(1), "{}", said(&done));
    db
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn read(db: &TestDb, query: &str) -> Vec<String> {
    texts(&mut db.conn(), query).into_iter().flatten().collect()
}

fn receiver(db: &TestDb) -> Receiver {
    Receiver::start_with(&db.url(), &[("STRIPE_MODE", "any"), ("SHOP_EMAIL", "desk@shop.example")])
}

#[actix_rt::test]
async fn rebuilt_orders_are_those_that_the_same_events_make_from_scratch() {
    let scratch = from_scratch();
    receiver(&scratch).settle_all(&scratch).await;
    let db = rebuilt();
    assert_eq!(read(&db, ORDERS), read(&scratch, ORDERS));
    assert_eq!(read(&db, FACTS), read(&scratch, FACTS));

    let again = rebuild(&db, &["--all"]);
    assert!(again.status.success() && said(&again).contains(", 0 differ\n"), "{}", said(&again));
}

/// Every message that the rebuild changes, as it was and as it is.
const CHANGED: &str = include_str!("../data/first_edition/messages.txt");

#[test]
fn a_rebuild_queues_nothing_and_withdraws_what_is_owed_no_more() {
    let db = first_edition();
    let before = read(&db, MESSAGES);
    let known: BTreeSet<String> = read(&db, IDS).into_iter().collect();
    assert_eq!(rebuild(&db, &["--all"]).status.code(), Some(1));
    let after = read(&db, MESSAGES);
    assert!(read(&db, IDS).iter().all(|id| known.contains(id)), "a message is new");
    let gone = before.iter().filter(|message| !after.contains(message)).map(|message| format!("- {message}"));
    let come = after.iter().filter(|message| !before.contains(message)).map(|message| format!("+ {message}"));
    let changed: Vec<String> = gone.chain(come).collect();
    assert_eq!(changed.join("\n"), CHANGED.trim_end());

    assert!(rebuild(&db, &["--all"]).status.success());
    assert_eq!(read(&db, MESSAGES), after);
}

#[actix_rt::test]
async fn later_events_of_rebuilt_orders_tell_their_own_news_alone() {
    let db = first_edition();
    let _ = rebuild(&db, &["--all"]);
    let receiver = receiver(&db);
    let known: BTreeSet<String> = read(&db, MESSAGES).into_iter().collect();
    let charges = read(&db, CHARGES);
    assert!(charges.len() > 10, "{charges:?}");
    for (n, charge) in charges.iter().enumerate() {
        let event = json!({
            "id": format!("evt_later{n}"), "object": "event", "type": "charge.dispute.created", "created": 1_799_000_000,
            "livemode": false, "api_version": "2025-09-30.clover",
            "data": { "object": { "id": format!("du_later{n}"), "object": "dispute", "charge": charge, "amount": 1,
                "currency": "usd", "status": "needs_response", "reason": "fraudulent" } },
        });
        assert_eq!(receiver.deliver(event.to_string().as_bytes()).await.status, 200);
    }
    let news: Vec<String> = read(&db, MESSAGES).into_iter().filter(|message| !known.contains(message)).collect();
    assert!(news.iter().all(|message| message.starts_with("order.disputed:du_later")), "{news:?}");
    assert_eq!(news.len(), 2 * charges.len(), "to the shop and to its program: {news:?}");
}

#[actix_rt::test]
async fn orders_that_are_not_rebuilt_take_events_all_the_same() {
    let db = first_edition();
    let receiver = receiver(&db);
    let known: BTreeSet<String> = read(&db, IDS).into_iter().collect();
    for event in
        read(&db, "SELECT event_id AS text FROM events WHERE state = 'processed' AND source = 'stripe' ORDER BY id")
    {
        let answer = receiver.call("POST", &format!("/api/events/{event}/replay"), &Value::Null).await;
        assert_eq!(answer.status, 200, "{event}: {}", answer.json);
    }
    let new: Vec<String> = read(&db, IDS).into_iter().filter(|id| !known.contains(id)).collect();
    let told = |notices: &str| {
        let query = format!(
            "SELECT id || ' ' || notice_key AS text FROM outbox WHERE kind = 'email' AND notice_key ~ '{notices}' ORDER BY notice_key"
        );
        let all = read(&db, &query)
            .into_iter()
            .filter_map(|row| row.split_once(' ').map(|(id, key)| (id.to_owned(), key.to_owned())));
        all.filter(|(id, _)| new.contains(id)).map(|(_, key)| key).collect::<BTreeSet<_>>()
    };
    assert_eq!(told("order.paid"), BTreeSet::new());
    let untold = [
        // The first edition knew one sum, and never told that it was given back twice.
        "order.partially_refunded:ch_v7Kk4d9ap3fN2zmRuUjyYnZd:2500:0:2",
        // A sum that waited is withdrawn, and its last step is queued in its place.
        "order.partially_refunded:ch_vd2BUUwI4kBeFUMa9yQ05fFJ:4200",
    ];
    assert_eq!(told("refunded"), untold.map(str::to_owned).into());
}

#[test]
fn a_dry_run_says_what_differs_and_writes_nothing() {
    let db = first_edition();
    let all = |db: &TestDb| {
        read(
            db,
            "SELECT to_jsonb(o)::text AS text FROM orders o UNION ALL SELECT to_jsonb(o)::text FROM outbox o ORDER BY 1",
        )
    };
    let before = all(&db);
    let dry = rebuild(&db, &["--all", "--dry-run"]);
    assert_eq!(dry.status.code(), Some(1));
    assert_eq!(all(&db), before);
    for part in ["status: \"", " orders derived anew, ", "  status\n", "  amount_refunded\n", "nothing was written"] {
        assert!(said(&dry).contains(part), "{part}: {}", said(&dry));
    }
}
