//! What is stored already: of what Stripe lists, and of what comes again.

use crate::support::postgres::TestDb;
use crate::support::server::{Receiver, now};
use chrono::{DateTime, SecondsFormat, Utc};
use ringup::inbox::known::{Told, known};
use ringup::inbox::{self, NewEvent, State};
use serde_json::{Value, json};

const KEY: [(&str, &str); 1] = [("STRIPE_SECRET_KEY", "sk_test_of_nobody")];

fn told(id: &str, created: i64) -> Told {
    Told {
        id: id.to_owned(),
        kind: "charge.updated".to_owned(),
        object: Some("ch_1".to_owned()),
        created: Some(created),
    }
}

fn thin(created: i64, snapshot: &Value) -> Vec<u8> {
    let created = DateTime::from_timestamp(created, 999_000_000).unwrap().to_rfc3339_opts(SecondsFormat::Millis, true);
    let event = json!({
        "id": "evt_thin", "object": "v2.core.event", "type": "v1.charge.updated", "livemode": false, "created": created,
        "snapshot_event": snapshot, "related_object": { "id": "ch_1", "type": "charge", "url": "/v1/charges/ch_1" },
    });
    event.to_string().into_bytes()
}

fn ids(db: &TestDb, account: &str, told: &[Told]) -> Vec<String> {
    let mut ids: Vec<String> = known(&mut db.conn(), account, told).unwrap().into_iter().collect();
    ids.sort();
    ids
}

#[actix_rt::test]
async fn a_thin_event_that_names_no_snapshot_stands_for_what_happened_until_then() {
    let (db, at) = (TestDb::new(), now());
    let receiver = Receiver::start_with(&db.url(), &KEY);
    assert_eq!(receiver.deliver(&thin(at, &Value::Null)).await.code(), "accepted");
    let listed = [told("evt_before", at - 5), told("evt_it", at + 1), told("evt_after", at + 2)];
    assert_eq!(ids(&db, "", &listed), ["evt_before", "evt_it"], "the object that is fetched says no more");
    let other = Told { object: Some("ch_2".to_owned()), ..told("evt_other", at) };
    assert_eq!(ids(&db, "", &[other]), Vec::<String>::new());
}

#[actix_rt::test]
async fn one_that_names_its_snapshot_stands_for_that_alone() {
    let (db, at) = (TestDb::new(), now());
    let receiver = Receiver::start_with(&db.url(), &KEY);
    assert_eq!(receiver.deliver(&thin(at, &json!("evt_it"))).await.code(), "accepted");
    assert_eq!(ids(&db, "", &[told("evt_before", at - 5), told("evt_it", at)]), ["evt_it"]);
    assert_eq!(ids(&db, "acct_own", &[told("evt_it", at)]), ["evt_it"], "an account of STRIPE_ACCOUNTS may be our own");
}

#[actix_rt::test]
async fn one_that_is_not_applied_stands_for_nothing() {
    let (db, at) = (TestDb::new(), now());
    let keyless = Receiver::start(&db);
    assert_eq!(keyless.deliver(&thin(at, &json!("evt_it"))).await.code(), "ignored");
    assert_eq!(ids(&db, "", &[told("evt_it", at)]), Vec::<String>::new());
}

#[actix_rt::test]
async fn another_body_is_a_conflict_where_its_data_differ() {
    let (db, at) = (TestDb::new(), now());
    let receiver = Receiver::start(&db);
    let delivered = json!({ "id": "evt_1", "type": "customer.created", "api_version": "2026-09-30.endive", "created": at,
        "pending_webhooks": 2, "request": { "id": "req_1" }, "data": { "object": { "id": "cus_1", "name": "A" } } });
    receiver.deliver(delivered.to_string().as_bytes()).await;
    let again = |change: &dyn Fn(&mut Value)| {
        let mut event = delivered.clone();
        change(&mut event);
        let version = event["api_version"].as_str().unwrap().to_owned();
        let event = NewEvent { body: format!("{event:#}").into_bytes(), ..duplicate(version) };
        let found = inbox::conflicts(&mut db.conn(), &[&duplicate("none".to_owned()), &event]).unwrap();
        found.into_iter().map(|conflict| conflict.event_id).collect::<Vec<_>>()
    };
    let nothing = Vec::<String>::new();
    assert_eq!(again(&|listed| (listed["pending_webhooks"], listed["request"]) = (json!(0), Value::Null)), nothing);
    assert_eq!(again(&|other| other["data"]["object"]["name"] = json!("B")), ["evt_1"]);
    let rendered = |other: &mut Value| {
        (other["data"]["object"]["name"], other["api_version"]) = (json!("B"), json!("2025-03-31.basil"));
    };
    assert_eq!(again(&rendered), nothing, "another version writes it in another way");
}

fn duplicate(version: String) -> NewEvent {
    NewEvent {
        source: "stripe",
        account: String::new(),
        event_id: "evt_1".to_owned(),
        livemode: false,
        event_type: "customer.created".to_owned(),
        api_version: Some(version),
        created: None,
        object_id: None,
        snapshot_event: None,
        state: State::Ignored,
        reason: None,
        received_at: Utc::now(),
        body: b"{}".to_vec(),
        to_fetch: false,
    }
}
