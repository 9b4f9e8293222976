//! The order law's second edition takes over a database of the first.

use crate::support::postgres::TestDb;
use crate::support::server::{Receiver, count, texts, variables};
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
const MESSAGES: &str = "SELECT notice_key || ' ' || kind || ' ' || state AS text FROM outbox ORDER BY notice_key, kind";

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

fn messages(db: &TestDb) -> BTreeSet<String> {
    read(db, MESSAGES).into_iter().collect()
}

fn without<'a>(ours: &'a BTreeSet<String>, theirs: &BTreeSet<String>) -> Vec<&'a str> {
    ours.difference(theirs).map(String::as_str).collect()
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
