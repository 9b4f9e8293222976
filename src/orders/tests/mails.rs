//! What mails say beside status and amounts, each by an example: when, by when, where to go on, and whether at all.

use serde_json::{Value, json};

use super::objects::{and, charge, dispute, intent, invoice, paid, session, shop, told, with};
use super::{all, due, order};
use crate::notices::{Kind, Notice, Wait};
use crate::orders::Facts;
use crate::orders::facts::shop::LineItem;

const VOUCHER: &str = "https://payments.stripe.com/konbini/voucher/test_1";
const INVOICE: &str = "https://invoice.stripe.com/i/acct_1/test_1";

/// The only notice of this kind.
fn only(facts: &Facts, kind: &Kind) -> Notice {
    let mut found: Vec<Notice> = due(facts).into_iter().filter(|notice| notice.kind == *kind).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn awaited(events: &[(&str, Value)]) -> Notice {
    only(&all(events), &Kind::OrderAwaitingFunds)
}

/// A payment intent that says where the customer's voucher is.
fn voucher(kind: &str, name: &str, url: &Value) -> (&'static str, Value) {
    let mut action = json!({ "type": kind });
    action[kind] = json!({ name: url });
    ("payment_intent.requires_action", intent("requires_action", json!({ "next_action": action })))
}

fn konbini() -> (&'static str, Value) {
    voucher("konbini_display_details", "hosted_voucher_url", &json!(VOUCHER))
}

#[test]
fn who_has_paid_is_not_asked_once_more() {
    let processing = ("payment_intent.processing", intent("processing", json!({ "invoice": "in_1" })));
    let open = ("invoice.finalized", invoice("open", json!({ "hosted_invoice_url": INVOICE })));
    assert_eq!(awaited(&[open.clone(), processing]).about.url, None);
    let waits = session("unpaid", json!({ "payment_intent": null, "invoice": "in_1", "mode": "subscription" }));
    assert_eq!(awaited(&[open.clone(), waits.clone()]).about.url.as_deref(), Some(INVOICE));
    let with_voucher = with(konbini().1, json!({ "invoice": "in_1" }));
    let told = awaited(&[open, waits, ("payment_intent.requires_action", with_voucher)]);
    assert_eq!(told.about.url.as_deref(), Some(VOUCHER), "the voucher is what the customer chose");
}

#[test]
fn what_awaits_funds_waits_until_it_is_known_what_to_do() {
    let unpaid = session("unpaid", json!({}));
    assert_eq!(awaited(std::slice::from_ref(&unpaid)).wait, Some(Wait::PaymentIntent));
    let created = ("payment_intent.created", intent("requires_payment_method", json!({})));
    assert_eq!(awaited(&[created, unpaid.clone()]).wait, Some(Wait::PaymentIntent));
    let known = awaited(&[unpaid.clone(), konbini()]);
    assert_eq!((known.wait, known.about.url.as_deref()), (None, Some(VOUCHER)));
    let processing = ("payment_intent.processing", intent("processing", json!({})));
    assert_eq!(awaited(&[unpaid, processing.clone()]).wait, None);
    assert_eq!(awaited(&[processing]).wait, Some(Wait::Reference));
    let without = session("unpaid", json!({ "payment_intent": null }));
    assert_eq!(awaited(&[without]).wait, None, "there is none to wait for");
}

#[test]
fn who_is_declined_at_the_checkout_gets_no_mail_about_it() {
    let error = json!({ "last_payment_error": { "code": "card_declined" } });
    let declined = ("payment_intent.payment_failed", intent("requires_payment_method", error.clone()));
    let processing = ("payment_intent.processing", intent("processing", json!({})));
    let failed = |events: &[(&str, Value)]| only(&all(events), &Kind::OrderPaymentFailed);
    let at_once = failed(std::slice::from_ref(&declined));
    assert!(at_once.unmailed);
    assert_eq!(at_once.wait, None, "whoever subscribed hears of it at once");

    let later = failed(&[processing.clone(), declined.clone()]);
    assert_eq!((later.unmailed, later.wait), (false, Some(Wait::Reference)));
    let (first, then) = (told("evt_1", processing.0, 1, &processing.1), told("evt_2", declined.0, 2, &declined.1));
    assert!(!only(&and(then, &first), &Kind::OrderPaymentFailed).unmailed, "in whatever order it is heard");

    let completed = session("unpaid", json!({}));
    let slow = ("checkout.session.async_payment_failed", completed.1);
    let slow = failed(&[declined.clone(), slow]);
    assert_eq!((slow.unmailed, slow.wait), (false, None));

    let charge = charge(json!({ "payment_intent": null, "status": "failed", "failure_code": "expired_card" }));
    assert!(failed(&[("charge.failed", charge)]).unmailed);
}

#[test]
fn an_invoice_that_failed_is_told_with_the_page_to_pay_it_at() {
    let open = invoice("open", json!({ "hosted_invoice_url": INVOICE }));
    let told = only(&all(&[("invoice.payment_failed", open)]), &Kind::OrderPaymentFailed);
    assert!(!told.unmailed);
    assert_eq!((told.about.url.as_deref(), told.wait), (Some(INVOICE), None));
    let uncollectible = invoice("uncollectible", json!({}));
    assert!(only(&all(&[("invoice.marked_uncollectible", uncollectible)]), &Kind::OrderPaymentFailed).unmailed);
    let canceled = ("payment_intent.canceled", intent("canceled", json!({})));
    let canceled = only(&all(&[canceled]), &Kind::OrderCanceled);
    assert_eq!((canceled.unmailed, canceled.wait, canceled.about.url), (false, None, None));
}

#[test]
fn a_dispute_says_by_when_to_answer_while_there_is_something_to_answer() {
    let due_by = |status: &str, at: Value| {
        let told = ("charge.dispute.created", with(dispute(status).1, json!({ "evidence_details": { "due_by": at } })));
        let opened = ("charge.dispute.created", dispute("needs_response").1);
        only(&all(&[paid(json!({})), opened, told]), &Kind::OrderDisputed).about.due_by
    };
    assert_eq!(due_by("needs_response", json!(1_723_679_999)), Some(1_723_679_999));
    assert_eq!(due_by("under_review", json!(1)), Some(1));
    assert_eq!(due_by("lost", json!(1_723_679_999)), None);
    for nothing in [json!(0), json!(-1), json!("soon"), json!(1.5), json!(null)] {
        assert_eq!(due_by("needs_response", nothing.clone()), None, "{nothing}");
    }
}

#[test]
fn a_payment_says_when_it_arrived() {
    let at = |facts: &Facts| only(facts, &Kind::OrderPaid).about.at;
    let intent = paid(json!({ "metadata": { "order_id": "A" } }));
    assert_eq!(at(&told("evt_1", intent.0, 1_700_000_000, &intent.1)), Some(1_700_000_000));
    assert_eq!(at(&told("evt_1", intent.0, 0, &intent.1)), None, "the event doesn't say");
    let checkout = session("paid", json!({})).1;
    let checkout = |at| told("evt_2", "checkout.session.completed", at, &checkout);
    assert_eq!(at(&checkout(1_700_000_000)), Some(1_700_000_000));
    let settled = invoice("paid", json!({ "payment_intent": "pi_1", "billing_reason": "manual" }));
    let settled = |at| told("evt_3", "invoice.paid", at, &settled);
    assert_eq!(
        at(&and(checkout(1_700_000_500), &settled(1_700_000_200))),
        Some(1_700_000_200),
        "the first that says so"
    );
    let unpaid =
        told("evt_4", "invoice.updated", 5, &invoice("open", json!({ "id": "in_2", "payment_intent": "pi_1" })));
    assert_eq!(at(&and(checkout(1_700_000_500), &unpaid)), Some(1_700_000_500));
    let waiting = session("unpaid", json!({ "id": "cs_2" })).1;
    let waiting = told("evt_5", "checkout.session.completed", 5, &waiting);
    assert_eq!(at(&and(checkout(1_700_000_500), &waiting)), Some(1_700_000_500));
    let direct = told("evt_6", "charge.succeeded", 1_700_000_100, &charge(json!({ "payment_intent": null })));
    assert_eq!(at(&direct), Some(1_700_000_100));
}

#[test]
fn line_items_are_shown_in_the_order_s_currency_or_not_at_all() {
    let said = |changes: Value| {
        let tea = json!({ "description": "Tea", "quantity": 2, "amount": 1000 });
        let said = json!({ "type": "expectation", "reference": "A", "sequence": 1, "line_items": [tea] });
        let facts = and(all(&[session("paid", json!({}))]), &shop(&with(said, changes)));
        order(&facts).line_items
    };
    let tea = LineItem { description: "Tea".to_owned(), quantity: 2, amount: Some(1000) };
    assert_eq!(said(json!({ "amount": 1000, "currency": "eur" })), std::slice::from_ref(&tea));
    assert_eq!(said(json!({})), [tea], "it says no currency, so it means the order's");
    assert_eq!(said(json!({ "amount": 1000, "currency": "usd" })), []);
    assert_eq!(said(json!({ "line_items": [] })), []);
    assert_eq!(order(&all(&[paid(json!({}))])).line_items, []);
}
