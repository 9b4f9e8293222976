//! The law, tested: by examples, by what others recorded, and by generated lifecycles.

#![allow(clippy::unwrap_used)]

mod examples;
mod first_edition;
mod joined;
mod lifecycles;
mod mails;
mod money_back;
mod objects;
mod recorded;
mod references;
mod refusals;
mod simulated;
mod snapshots;
mod store;
mod world;

use serde_json::{Value, json};

use super::{Facts, Labelling, Order, Taken, due, take};
use crate::source::stripe;

/// An event with this object, taken.
fn taken(kind: &str, created: i64, object: &Value) -> Taken {
    let event = json!({ "id": "evt_1", "type": kind, "created": created, "data": { "object": object } });
    take(&stripe::parse(event.to_string().as_bytes()).unwrap(), &Labelling::default())
}

/// The same, which must be usable.
fn facts(kind: &str, created: i64, object: &Value) -> Facts {
    match taken(kind, created, object) {
        Taken::Facts(facts) => facts,
        other => panic!("{kind}: {other:?}"),
    }
}

/// Some events' facts as one.
fn all(events: &[(&str, Value)]) -> Facts {
    let mut merged = Facts::default();
    for (created, (kind, object)) in (1..).zip(events) {
        merged.merge(&facts(kind, created, object));
    }
    merged
}

/// The only order that these facts make.
fn order(facts: &Facts) -> Order {
    let mut groups = facts.clone().groups();
    assert_eq!(groups.len(), 1, "{groups:?}");
    let group = groups.remove(0);
    Order::derive(&group.name, &group.facts)
}

/// The keys of the notices due for the only order.
fn keys(facts: &Facts) -> Vec<String> {
    due(facts).into_iter().map(|notice| notice.key).collect()
}
