//! Rows that the first edition of the law wrote, met before they are rebuilt.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Value, json};
use uuid::Uuid;

use super::super::facts::first_edition::{Read, read};
use super::super::plan::{Cluster, Plan, plan};
use super::super::store::{Locked, Scope};
use super::super::{Facts, Order, Settings};
use super::facts;

const ROWS: &str = include_str!("../../../tests/data/first_edition/orders.jsonl");

/// Rows of which this edition says another thing, whatever is kept of them.
const OTHERWISE: [(&str, &str); 4] = [
    // A duplicate payment was given back.
    ("button", r#"["button","partially_refunded",5000,2500,0] → ["button","paid",5000,2500,0]"#),
    ("dup", r#"["dup","partially_refunded",8400,4200,0] → ["dup","paid",8400,4200,0]"#),
    // One object bore two references, one after the other.
    ("2000", r#"["2000","review",3000,0,0] → ["2000","paid",3000,0,0]"#),
    // A user's id stands beside the order's.
    ("ord-1", r#"["ord-1","review",3000,0,0] → ["ord-1","paid",3000,0,0]"#),
];

fn rows() -> Vec<Value> {
    ROWS.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn stored(json: &str) -> Read {
    read(json).unwrap()
}

fn name_and_order(facts: &Facts) -> (String, Order) {
    let mut groups = facts.clone().groups();
    assert_eq!(groups.len(), 1, "{groups:?}");
    let group = groups.remove(0);
    (group.name.as_str().to_owned(), Order::derive(&group.name, &group.facts))
}

/// What an event with these facts does to a row.
fn planned(reference: &str, row: &Read, event: &Facts, anew: bool) -> Plan {
    let id = Uuid::from_u128(1);
    let locked = Locked {
        id,
        reference: reference.to_owned(),
        facts: Ok(row.clone()),
        version: 1,
        moved: false,
        merged: false,
        large: false,
    };
    let cluster = Cluster {
        scope: Scope::new("", true),
        home: id,
        named: BTreeSet::from([id]),
        orders: vec![&locked],
        incoming: vec![event],
        anew: anew.then_some(id),
    };
    plan(&cluster, &Settings::default()).unwrap()
}

#[test]
fn every_row_is_read_and_keeps_its_reference_status_and_amounts() {
    let mut otherwise: HashMap<String, String> = HashMap::new();
    for row in rows() {
        let read = stored(&row["facts"].to_string());
        assert!(read.first_edition);
        let (name, order) = name_and_order(&read.facts);
        let was =
            json!([row["reference"], row["status"], row["amount_paid"], row["amount_refunded"], row["amount_lost"]]);
        let is = json!([name, order.status.as_str(), order.amount_paid, order.amount_refunded, order.amount_lost]);
        if was != is {
            otherwise.insert(row["reference"].as_str().unwrap().to_owned(), format!("{was} → {is}"));
        }
        let written = serde_json::to_string(&read.facts).unwrap();
        let again = stored(&written);
        assert_eq!((again.first_edition, &again.facts), (false, &read.facts), "{written}");
    }
    let known: HashMap<String, String> =
        OTHERWISE.iter().map(|(reference, what)| ((*reference).to_owned(), (*what).to_owned())).collect();
    assert_eq!(otherwise, known);
}

/// A dispute about the row's first paid payment intent.
fn disputed(row: &Read) -> Option<Facts> {
    let (intent, _) = row.facts.payment_intents.iter().find(|(_, intent)| intent.succeeded())?;
    let dispute = json!({
        "id": "du_new", "object": "dispute", "status": "needs_response", "amount": 1, "currency": "usd",
        "payment_intent": intent, "reason": "fraudulent",
    });
    Some(facts("charge.dispute.created", 1_800_000_000, &dispute))
}

#[test]
fn a_later_event_tells_its_own_news_alone() {
    let mut tried = 0;
    for row in rows() {
        let (reference, read) = (row["reference"].as_str().unwrap(), stored(&row["facts"].to_string()));
        let Some(event) = disputed(&read) else { continue };
        let plan = planned(reference, &read, &event, false);
        let keys: Vec<&str> = plan.notices.iter().map(|notice| &notice.key[..]).collect();
        assert_eq!(keys, ["order.disputed:du_new"], "{reference}");
        let [written] = &plan.writes[..] else { panic!("{:?}", plan.writes) };
        assert_eq!(written.order.reference, reference);
        assert!(!stored(&written.facts).first_edition);
        tried += 1;
    }
    assert!(tried > 40, "{tried}");
}

#[test]
fn a_rebuild_queues_nothing_whatever_the_row_was() {
    for row in rows() {
        let (reference, read) = (row["reference"].as_str().unwrap(), stored(&row["facts"].to_string()));
        let unknown = Read { facts: Facts::default(), first_edition: false };
        for known in [&read, &unknown] {
            let plan = planned(reference, known, &read.facts, true);
            assert!(plan.notices.is_empty(), "{reference}: {:?}", plan.notices);
            assert_eq!(plan.settled.len(), 1, "{reference}");
        }
    }
}

#[test]
fn a_whole_refund_that_was_told_under_its_payment_gets_a_key_of_its_own() {
    let mut renamed = 0;
    for row in rows() {
        let (reference, read) = (row["reference"].as_str().unwrap(), stored(&row["facts"].to_string()));
        let plan = planned(reference, &read, &read.facts, false);
        assert!(plan.notices.is_empty(), "{reference}: {:?}", plan.notices);
        let told: Vec<&str> = row["owed"].as_array().unwrap().iter().map(|key| key.as_str().unwrap()).collect();
        for one in plan.renamed.iter().filter(|renamed| told.contains(&&renamed.from[..])) {
            let refund = one.to.strip_prefix("order.refunded:").unwrap_or_default();
            let inquiry = one.to.strip_suffix(":warning_closed");
            assert!(read.facts.refunds.contains_key(refund) || inquiry == Some(&one.from[..]), "{one:?}");
            renamed += 1;
        }
    }
    assert!(renamed >= 8, "{renamed}");
}

#[test]
fn what_only_the_first_edition_wrote_is_told_from_damage() {
    let whole = json!({ "now": { "at": 7, "event": "evt_1", "is": { "status": "failed", "amount": 5, "currency": "eur" } },
        "succeeded": true, "failed": true, "ties": { "charges": ["ch_1"] } });
    let old = stored(&json!({ "refunds": { "re_1": whole } }).to_string());
    assert!(old.first_edition);
    assert_eq!(old.facts.refunds["re_1"].failed_at, Some(7), "this edition wants to know when");
    for damaged in
        ["", "7", "{\"edition\":2,\"charges\":{\"ch_1\":{}}}", "{\"charges\":{\"ch_1\":{\"captured\":true}}}"]
    {
        assert!(read(damaged).is_err(), "{damaged}");
    }
}
