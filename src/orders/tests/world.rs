//! A small world of payments: its objects keep their ids, amounts and ties; everything else is free.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{Facts, Labelling, Taken, take, take_shop};
use crate::source::stripe;

/// Up to three attempts to pay, and any of the events that they can have.
#[derive(Clone, Debug)]
pub struct World {
    pub events: Vec<Event>,
}

/// One event.
#[derive(Clone, Debug)]
pub struct Event {
    id: String,
    kind: &'static str,
    created: i64,
    object: Value,
}

impl Event {
    /// What it tells.
    pub fn facts(&self) -> Facts {
        let taken = if self.kind == "shop" {
            take_shop(self.object.to_string().as_bytes())
        } else {
            let data = json!({ "object": self.object });
            let body = json!({ "id": self.id, "type": self.kind, "created": self.created, "data": data }).to_string();
            take(&stripe::parse(body.as_bytes()).unwrap(), &Labelling::default())
        };
        match taken {
            Taken::Facts(facts) => facts,
            other => panic!("{self:?}: {other:?}"),
        }
    }
}

/// How one attempt is made. Its objects never change these.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    number: usize,
    amount: i64,
    /// Of the amount, where only a part is captured.
    received: i64,
    refunds: [i64; 2],
    /// Which label, and where.
    label: u8,
    invoice: Option<usize>,
    basil: bool,
    renewal: bool,
    recovered: bool,
}

impl Attempt {
    fn metadata(self, place: u8) -> Value {
        match (self.label, place) {
            (1, 0) | (2, 1) => json!({ "order_id": "A" }),
            (3, 0) | (4, 1) => json!({ "order_id": "B" }),
            _ => json!({}),
        }
    }

    fn client_reference(self) -> Option<&'static str> {
        // 2 has metadata on the payment intent and this: a conflict.
        [(2, "C"), (5, "A"), (6, "C")].iter().find(|(label, _)| *label == self.label).map(|(_, value)| *value)
    }

    fn invoice_id(self) -> Option<String> {
        self.invoice.map(|number| format!("in_{number}"))
    }

    fn old_link(self) -> Option<String> {
        if self.basil { None } else { self.invoice_id() }
    }
}

fn attempt(number: usize) -> impl Strategy<Value = Attempt> {
    let amount = [1000, 2000, 700][number];
    let splits = prop_oneof![Just([300, amount - 300]), Just([amount, 0]), Just([100, 200])];
    let invoice = prop_oneof![3 => Just(None), 1 => Just(Some(number)), 1 => Just(Some(0))];
    (splits, 0..7_u8, invoice, any::<[bool; 3]>(), prop::bool::weighted(0.2)).prop_map(
        move |(refunds, label, invoice, [basil, renewal, recovered], partial)| {
            let received = if partial { amount / 2 } else { amount };
            let recovered = recovered && number > 0 && label == 0;
            Attempt { number, amount, received, refunds, label, invoice, basil, renewal, recovered }
        },
    )
}

/// Any events of any attempts. `chaos` gives different events the same stamp.
pub fn world(chaos: bool) -> impl Strategy<Value = World> {
    let step = (0..3_usize, 0..36_u8, 0..4_i64);
    let steps = proptest::collection::vec(step, 0..14);
    (attempt(0), attempt(1), attempt(2), steps).prop_map(move |(one, two, three, steps)| {
        let mut attempts = [one, two, three];
        for attempt in attempts.iter_mut().filter(|attempt| attempt.invoice == Some(0)) {
            // One invoice, one billing reason.
            attempt.renewal = one.renewal;
        }
        let event = |(at, (number, what, created)): (usize, (usize, u8, i64))| {
            let (kind, object) = happens(attempts[number], what, created);
            let id = if chaos { format!("evt_{}", at % 2) } else { format!("evt_{at}") };
            Event { id, kind, created: 100 + created, object }
        };
        World { events: steps.into_iter().enumerate().map(event).collect() }
    })
}

fn happens(attempt: Attempt, what: u8, created: i64) -> (&'static str, Value) {
    match what {
        0 => ("payment_intent.created", intent(attempt, "requires_payment_method")),
        1 => ("payment_intent.processing", intent(attempt, "processing")),
        2 => ("payment_intent.payment_failed", failed_intent(attempt)),
        3 => ("payment_intent.requires_action", intent(attempt, "requires_action")),
        4 => ("payment_intent.amount_capturable_updated", intent(attempt, "requires_capture")),
        5..=8 => ("payment_intent.succeeded", intent(attempt, "succeeded")),
        9 => ("payment_intent.canceled", intent(attempt, "canceled")),
        10 => ("charge.succeeded", charge(attempt, true, 0)),
        11 => ("charge.succeeded", charge(attempt, false, 0)),
        12 => ("charge.refunded", charge(attempt, true, attempt.refunds[0])),
        13 => ("charge.refunded", charge(attempt, true, attempt.refunds[0] + attempt.refunds[1])),
        14..=18 => refund(attempt, what - 14),
        19..=21 => dispute(attempt, what - 19),
        22..=26 => session(attempt, what - 22),
        27..=30 => invoice(attempt, what - 27),
        31 => invoice_payment(attempt),
        32 => warning(attempt, created),
        33 => expectation(attempt, created),
        _ => release(attempt, created),
    }
}

fn intent(attempt: Attempt, status: &str) -> Value {
    let n = attempt.number;
    let received = if status == "succeeded" { attempt.received } else { 0 };
    json!({
        "id": format!("pi_{n}"), "object": "payment_intent", "status": status, "amount": attempt.amount,
        "amount_received": received, "currency": "usd", "latest_charge": format!("ch_{n}"),
        "invoice": attempt.old_link(), "metadata": attempt.metadata(1), "receipt_email": "r@example.com",
        "next_action": if status == "requires_action" { voucher(n) } else { Value::Null },
    })
}

fn voucher(number: usize) -> Value {
    let url = format!("https://payments.stripe.com/voucher/{number}");
    json!({ "type": "konbini_display_details", "konbini_display_details": { "hosted_voucher_url": url } })
}

fn failed_intent(attempt: Attempt) -> Value {
    let mut intent = intent(attempt, "requires_payment_method");
    intent["last_payment_error"] = json!({ "code": "card_declined" });
    intent
}

fn charge(attempt: Attempt, captured: bool, refunded: i64) -> Value {
    let n = attempt.number;
    json!({
        "id": format!("ch_{n}"), "object": "charge", "status": "succeeded", "captured": captured,
        "amount": attempt.received, "amount_captured": if captured { attempt.received } else { 0 },
        "amount_refunded": refunded.min(attempt.received), "currency": "usd", "payment_intent": format!("pi_{n}"),
        "invoice": attempt.old_link(), "metadata": {}, "billing_details": { "email": "b@example.com", "name": "Bo" },
    })
}

fn refund(attempt: Attempt, what: u8) -> (&'static str, Value) {
    let (n, which) = (attempt.number, usize::from(what % 2));
    let status = ["succeeded", "pending", "succeeded", "failed", "canceled"][usize::from(what)];
    let old = attempt.label.is_multiple_of(2);
    let object = json!({
        "id": format!("re_{n}_{which}"), "object": "refund", "status": status, "amount": attempt.refunds[which],
        "currency": "usd", "charge": format!("ch_{n}"), "created": which,
        "payment_intent": if old { None } else { Some(format!("pi_{n}")) },
    });
    ("refund.updated", object)
}

fn dispute(attempt: Attempt, what: u8) -> (&'static str, Value) {
    let n = attempt.number;
    let status = ["needs_response", "lost", "won"][usize::from(what)];
    let object = json!({
        "id": format!("dp_{n}"), "object": "dispute", "status": status, "amount": attempt.received,
        "currency": "usd", "charge": format!("ch_{n}"), "payment_intent": format!("pi_{n}"), "reason": "fraudulent",
        "evidence_details": { "due_by": 1_700_000_000 },
    });
    ("charge.dispute.updated", object)
}

fn session(attempt: Attempt, what: u8) -> (&'static str, Value) {
    let n = attempt.number;
    let (kind, status, payment) = [
        ("checkout.session.completed", "complete", "paid"),
        ("checkout.session.completed", "complete", "unpaid"),
        ("checkout.session.expired", "expired", "unpaid"),
        ("checkout.session.async_payment_failed", "complete", "unpaid"),
        ("checkout.session.async_payment_succeeded", "complete", "paid"),
    ][usize::from(what)];
    let object = json!({
        "id": format!("cs_{n}"), "object": "checkout.session", "mode": "payment", "status": status,
        "payment_status": payment, "amount_total": attempt.amount, "amount_subtotal": attempt.amount - 100,
        "currency": "usd", "payment_intent": format!("pi_{n}"), "metadata": attempt.metadata(0),
        "client_reference_id": attempt.client_reference(), "customer_details": { "email": "c@example.com" },
        "recovered_from": if attempt.recovered { Some("cs_0") } else { None },
    });
    (kind, object)
}

fn invoice(attempt: Attempt, what: u8) -> (&'static str, Value) {
    let Some(id) = attempt.invoice_id() else { return ("payment_intent.succeeded", intent(attempt, "succeeded")) };
    let (kind, status) = [
        ("invoice.finalized", "open"),
        ("invoice.paid", "paid"),
        ("invoice.payment_failed", "open"),
        ("invoice.voided", "void"),
    ][usize::from(what)];
    let link = if attempt.basil { None } else { Some(format!("pi_{}", attempt.number)) };
    let object = json!({
        "id": id, "object": "invoice", "status": status, "amount_due": 1000, "total": 1000, "currency": "usd",
        "amount_paid": if status == "paid" { 1000 } else { 0 }, "payment_intent": link, "metadata": {},
        "billing_reason": if attempt.renewal { "subscription_cycle" } else { "subscription_create" },
        "customer_email": "i@example.com", "subscription": "sub_1",
        "hosted_invoice_url": format!("https://invoice.stripe.com/{}", attempt.number),
    });
    (kind, object)
}

fn invoice_payment(attempt: Attempt) -> (&'static str, Value) {
    let n = attempt.number;
    let invoice = attempt.invoice_id().unwrap_or_else(|| format!("in_{n}"));
    let payment = json!({ "type": "payment_intent", "payment_intent": format!("pi_{n}") });
    let object =
        json!({ "id": format!("inpay_{n}"), "object": "invoice_payment", "invoice": invoice, "payment": payment });
    ("invoice_payment.paid", object)
}

fn warning(attempt: Attempt, created: i64) -> (&'static str, Value) {
    let charge = format!("ch_{}", attempt.number);
    if created % 2 == 0 {
        let object = json!({ "id": format!("issfr_{}", attempt.number), "charge": charge });
        return ("radar.early_fraud_warning.created", object);
    }
    let open = created == 1;
    let object = json!({ "id": format!("prv_{}", attempt.number), "charge": charge, "open": open,
        "reason": if open { "rule" } else { "approved" } });
    (if open { "review.opened" } else { "review.closed" }, object)
}

fn expectation(attempt: Attempt, sequence: i64) -> (&'static str, Value) {
    let label = ["A", "B", "C"][attempt.number];
    let object = json!({
        "type": "expectation", "reference": label, "sequence": sequence,
        "amount": attempt.amount, "currency": "usd", "payments": if sequence % 2 == 0 { "one" } else { "many" },
    });
    ("shop", object)
}

fn release(attempt: Attempt, sequence: i64) -> (&'static str, Value) {
    let released = json!(["double_payment:pi_0,pi_1", "conflicting_reference:pi_0=2", "fraud_warning:issfr_0"]);
    let mut object = json!({ "type": "release", "sequence": sequence, "released": released });
    if attempt.number == 2 {
        object["object"] = json!("pi_0");
    } else {
        object["reference"] = json!("A");
    }
    ("shop", object)
}
