//! Stripe's objects as the examples use them, and what to do with them.

use serde_json::{Value, json};

use super::super::{Facts, Taken, take_shop};
use super::{all, order};

pub fn with(mut object: Value, changes: Value) -> Value {
    if let (Some(object), Value::Object(changes)) = (object.as_object_mut(), changes) {
        object.extend(changes);
    }
    object
}

pub fn intent(status: &str, changes: Value) -> Value {
    let received = if status == "succeeded" { 1000 } else { 0 };
    let object = json!({ "id": "pi_1", "object": "payment_intent", "status": status, "amount": 1000,
        "amount_received": received, "currency": "eur", "metadata": {} });
    with(object, changes)
}

pub fn paid(changes: Value) -> (&'static str, Value) {
    ("payment_intent.succeeded", intent("succeeded", changes))
}

pub fn session(payment: &str, changes: Value) -> (&'static str, Value) {
    let object = json!({ "id": "cs_1", "object": "checkout.session", "mode": "payment", "status": "complete",
        "payment_status": payment, "amount_total": 1000, "amount_subtotal": 900, "currency": "eur",
        "payment_intent": "pi_1", "metadata": { "order_id": "A" }, "customer_details": { "email": "a@example.com" } });
    ("checkout.session.completed", with(object, changes))
}

pub fn charge(changes: Value) -> Value {
    let object = json!({ "id": "ch_1", "object": "charge", "status": "succeeded", "captured": true, "amount": 1000,
        "amount_captured": 1000, "amount_refunded": 0, "currency": "eur", "payment_intent": "pi_1" });
    with(object, changes)
}

pub fn refund(id: &str, status: &str, amount: i64) -> (&'static str, Value) {
    let object = json!({ "id": id, "object": "refund", "status": status, "amount": amount, "currency": "eur",
        "charge": "ch_1", "payment_intent": "pi_1" });
    ("refund.updated", object)
}

pub fn dispute(status: &str) -> (&'static str, Value) {
    let object = json!({ "id": "dp_1", "object": "dispute", "status": status, "amount": 1000, "currency": "eur",
        "charge": "ch_1", "payment_intent": "pi_1", "reason": "fraudulent" });
    ("charge.dispute.updated", object)
}

pub fn invoice(status: &str, changes: Value) -> Value {
    let amount = if status == "paid" { 1000 } else { 0 };
    let object = json!({ "id": "in_1", "object": "invoice", "status": status, "amount_due": 1000, "total": 1000,
        "amount_paid": amount, "currency": "eur", "billing_reason": "subscription_cycle", "metadata": {} });
    with(object, changes)
}

pub fn shop(said: &Value) -> Facts {
    match take_shop(said.to_string().as_bytes()) {
        Taken::Facts(facts) => facts,
        other => panic!("{other:?}"),
    }
}

pub fn and(mut facts: Facts, more: &Facts) -> Facts {
    facts.merge(more);
    facts
}

pub fn status(events: &[(&str, Value)]) -> &'static str {
    order(&all(events)).status.as_str()
}

/// An event with an id of its own, at this second.
pub fn told(id: &str, kind: &str, created: i64, object: &Value) -> Facts {
    let event = json!({ "id": id, "type": kind, "created": created, "data": { "object": object } });
    match super::super::take_stored("stripe", event.to_string().as_bytes(), &super::Labelling::default()) {
        Taken::Facts(facts) => facts,
        other => panic!("{kind}: {other:?}"),
    }
}
