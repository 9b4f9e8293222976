//! Rows that the first edition of the law wrote, met before they are rebuilt.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Value, json};
use uuid::Uuid;

use super::super::facts::first_edition::{Read, read};
use super::super::grouping::Incoming;
use super::super::plan::{Cluster, Plan, plan};
use super::super::store::{Locked, Scope};
use super::super::{Facts, Order, Settings};
use super::facts;

const ROWS: &str = include_str!("../../../tests/data/first_edition/orders.jsonl");

/// Rows that read otherwise by this edition: what it says of them, and why.
const OTHERWISE: [(&str, &str); 0] = [];

fn rows() -> Vec<Value> {
    ROWS.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn stored(json: &str) -> Read {
    read(json).unwrap()
}

fn of(reference: &str) -> Read {
    let row = rows().into_iter().find(|row| row["reference"] == reference).unwrap();
    stored(&row["facts"].to_string())
}

fn name_and_order(facts: &Facts) -> (String, Order) {
    let mut groups = facts.clone().groups();
    assert_eq!(groups.len(), 1, "{groups:?}");
    let group = groups.remove(0);
    (group.name.as_str().to_owned(), Order::derive(&group.name, &group.facts))
}

/// What an event with these facts does to a row.
fn planned(reference: &str, row: &Read, event: Facts, anew: bool) -> Plan {
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
        incoming: vec![&event],
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
        let was = json!([row["reference"], row["status"], row["amount_paid"], row["amount_refunded"], row["amount_lost"]]);
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
