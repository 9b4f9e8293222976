//! The law's lines about money that comes in, each by an example.

use std::slice::from_ref;

use serde_json::json;

use super::objects::{and, charge, intent, invoice, paid, refund, session, status, told};
use super::{all, due, facts, keys, order};
use crate::notices::Wait;

#[test]
fn a_checkout_is_paid_and_told_once() {
    let facts = all(&[session("paid", json!({})), paid(json!({})), ("charge.succeeded", charge(json!({})))]);
    let order = order(&facts);
    assert_eq!((order.reference.as_str(), order.status.as_str(), order.amount_paid), ("A", "paid", 1000));
    assert_eq!(order.customer_email.as_deref(), Some("a@example.com"));
    assert_eq!(keys(&facts), ["order.identified:pi_1", "order.paid:pi_1"]);
}

#[test]
fn the_status_decides_not_the_type() {
    assert_eq!(status(&[("payment_intent.succeeded", intent("requires_payment_method", json!({})))]), "pending");
}

#[test]
fn a_payment_waits_for_its_reference() {
    let facts = all(&[paid(json!({}))]);
    let notices = due(&facts);
    assert_eq!(notices[0].wait, Some(Wait::Reference));
    assert_eq!(order(&facts).reference, "pi_1");
    let known = and(facts, &all(&[session("paid", json!({ "metadata": {} }))]));
    assert_eq!(due(&known)[0].wait, None);
    assert_eq!(due(&known)[0].also, ["order.paid:cs_1"]);
}

#[test]
fn succeeded_and_canceled_absorb_whatever_is_later() {
    let late = [paid(json!({})), ("payment_intent.processing", intent("processing", json!({})))];
    assert_eq!(status(&late), "paid");
    let late = [("payment_intent.canceled", intent("canceled", json!({}))), late[1].clone()];
    assert_eq!(status(&late), "canceled");
}

#[test]
fn within_a_second_the_rank_decides() {
    let error = json!({ "last_payment_error": { "code": "card_declined" } });
    let ladder = [
        ("pending", intent("requires_payment_method", json!({}))),
        ("requires_action", intent("requires_action", json!({}))),
        ("awaiting_funds", intent("processing", json!({}))),
        ("failed", intent("requires_payment_method", error)),
    ];
    for (at, (expected, greater)) in ladder.iter().enumerate() {
        for (_, lesser) in &ladder[..at] {
            let both = and(facts("payment_intent.x", 7, greater), &facts("payment_intent.x", 7, lesser));
            assert_eq!(order(&both).status.as_str(), *expected);
        }
    }
}

#[test]
fn an_unpaid_completed_session_awaits_its_funds_or_failed() {
    let completed = session("unpaid", json!({}));
    assert_eq!(status(from_ref(&completed)), "awaiting_funds");
    let failed = ("checkout.session.async_payment_failed", completed.1.clone());
    assert_eq!(status(&[completed.clone(), failed.clone()]), "failed");
    assert_eq!(keys(&all(&[completed.clone(), failed.clone()])), ["order.payment_failed:pi_1"]);
    assert_eq!(status(&[session("paid", json!({})), failed, completed]), "paid");
}

#[test]
fn nothing_to_pay_is_paid_only_for_a_one_off_of_zero() {
    let free = json!({ "amount_total": 0, "payment_intent": null });
    assert_eq!(status(&[session("no_payment_required", free)]), "paid");
    let trial = json!({ "amount_total": 0, "payment_intent": null, "mode": "subscription" });
    assert_eq!(status(&[session("no_payment_required", trial.clone())]), "pending");
    assert!(keys(&all(&[session("no_payment_required", trial)])).is_empty());
    assert_eq!(status(&[session("unpaid", json!({ "status": "expired" }))]), "expired");
}

#[test]
fn an_invoice_and_its_payment_become_one() {
    let apart = all(&[paid(json!({})), ("invoice.paid", invoice("paid", json!({})))]);
    assert_eq!(apart.clone().groups().len(), 2);
    let payment = json!({ "type": "payment_intent", "payment_intent": "pi_1" });
    let link = json!({ "id": "inpay_1", "object": "invoice_payment", "invoice": "in_1", "payment": payment });
    let one = and(apart, &all(&[("invoice_payment.paid", link)]));
    assert_eq!((order(&one).amount_paid, order(&one).reference.as_str()), (1000, "pi_1"));
    assert_eq!(keys(&one), ["order.paid:pi_1", "order.renewed:in_1"]);
    assert_eq!(due(&one)[0].also, ["order.paid:in_1"]);
}

#[test]
fn a_subscription_labels_only_its_first_invoice() {
    let details = json!({ "subscription": "sub_1", "metadata": { "order_id": "S" } });
    let basil = json!({ "parent": { "subscription_details": details }, "billing_reason": "subscription_create" });
    let first = order(&all(&[("invoice.paid", invoice("paid", basil))]));
    assert_eq!((first.reference.as_str(), first.subscription.as_deref()), ("S", Some("sub_1")));
    let renewal = invoice("paid", json!({ "subscription_details": details, "subscription": "sub_1" }));
    assert_eq!(order(&all(&[("invoice.paid", renewal)])).reference, "in_1");
}

#[test]
fn a_trial_s_zero_invoice_sends_nothing() {
    let zero = invoice("paid", json!({ "amount_due": 0, "amount_paid": 0, "total": 0 }));
    let facts = all(&[("invoice.paid", zero)]);
    assert_eq!(order(&facts).status.as_str(), "paid");
    assert!(keys(&facts).is_empty());
}

#[test]
fn an_invoice_that_cannot_be_collected_says_why() {
    let open = || invoice("open", json!({}));
    assert_eq!(status(&[("invoice.payment_failed", open())]), "failed");
    assert_eq!(status(&[("invoice.payment_action_required", open())]), "requires_action");
    assert_eq!(status(&[("invoice.voided", invoice("void", json!({})))]), "canceled");
    assert_eq!(status(&[("invoice.paid", invoice("paid", json!({}))), ("invoice.payment_failed", open())]), "paid");
    let overpaid = all(&[("invoice.overpaid", invoice("paid", json!({ "amount_overpaid": 5 })))]);
    assert_eq!(order(&overpaid).review_reasons, ["invoice_overpaid"]);
}

#[test]
fn part_of_an_invoice_is_partially_paid() {
    let open = invoice("open", json!({ "payment_intent": "pi_1", "amount_due": 3000, "total": 3000 }));
    assert_eq!(status(&[paid(json!({})), ("invoice.updated", open)]), "partially_paid");
    let funded = intent("requires_action", json!({ "amount_received": 400 }));
    assert_eq!(status(&[("payment_intent.partially_funded", funded)]), "partially_paid");
    let lacks = |remaining: i64| {
        let transfer = json!({ "display_bank_transfer_instructions": { "amount_remaining": remaining } });
        intent("requires_action", json!({ "amount_received": 0, "next_action": transfer }))
    };
    assert_eq!(status(&[("payment_intent.partially_funded", lacks(400))]), "partially_paid");
    let asked = lacks(lacks(0)["amount"].as_i64().unwrap());
    assert_eq!(status(&[("payment_intent.requires_action", asked)]), "requires_action");
}

#[test]
fn a_charge_without_a_payment_intent_is_the_payment() {
    let direct = ("charge.succeeded", charge(json!({ "payment_intent": null })));
    assert_eq!(status(from_ref(&direct)), "paid");
    assert_eq!(keys(&all(&[direct])), ["order.paid:ch_1"]);
    assert_eq!(status(&[("charge.succeeded", charge(json!({})))]), "pending");
}

#[test]
fn a_foreign_currency_is_counted_in_the_shop_s() {
    let conversion =
        json!({ "amount_total": 1200, "amount_subtotal": 1080, "source_currency": "usd", "fx_rate": "1.2" });
    let checkout = [session("paid", json!({ "currency_conversion": conversion })), paid(json!({}))];
    let half = and(all(&checkout), &all(&[refund("re_1", "succeeded", 500)]));
    let order = order(&half);
    assert_eq!((order.currency.as_deref(), order.amount_expected), (Some("usd"), Some(1200)));
    assert_eq!((order.amount_paid, order.amount_refunded), (1200, 600));
}

#[test]
fn older_versions_embed_charges_and_refunds() {
    let refunds =
        json!({ "object": "list", "data": [{ "id": "re_1", "amount": 400, "currency": "eur" }, { "id": 7 }] });
    let charges = json!({ "data": [charge(json!({ "refunds": refunds, "amount_refunded": 400 })), "junk"] });
    let facts = all(&[paid(json!({ "charges": charges }))]);
    assert_eq!(order(&facts).amount_refunded, 400);
    assert_eq!(keys(&facts), ["order.paid:pi_1", "order.partially_refunded:re_1"]);
    let expanded = paid(json!({ "latest_charge": { "id": "ch_9", "object": "charge" } }));
    assert!(all(&[expanded]).references().iter().any(|reference| reference.value == "ch_9"));
}

#[test]
fn while_some_money_is_there_no_failure_is_told() {
    let link = |id: &str, intent: &str| {
        (
            "invoice_payment.paid",
            json!({ "id": id, "object": "invoice_payment", "invoice": "in_1", "status": "paid", "amount_paid": 400,
            "currency": "eur", "payment": { "type": "payment_intent", "payment_intent": intent } }),
        )
    };
    let declined = json!({ "id": "pi_2", "last_payment_error": { "code": "card_declined" } });
    let part = all(&[
        paid(json!({ "amount": 400, "amount_received": 400 })),
        ("payment_intent.payment_failed", intent("requires_payment_method", declined.clone())),
        ("invoice.updated", invoice("open", json!({ "billing_reason": "manual" }))),
        link("inpay_1", "pi_1"),
        link("inpay_2", "pi_2"),
    ]);
    assert_eq!(order(&part).status.as_str(), "partially_paid");
    assert!(!keys(&part).iter().any(|key| key.starts_with("order.payment_failed")), "{:?}", keys(&part));
    let free = session("no_payment_required", json!({ "payment_intent": null, "amount_total": 0 }));
    let labelled =
        json!({ "id": "pi_2", "metadata": { "order_id": "A" }, "last_payment_error": { "code": "card_declined" } });
    let free = all(&[free, ("payment_intent.payment_failed", intent("requires_payment_method", labelled))]);
    assert!(!keys(&free).iter().any(|key| key.starts_with("order.payment_failed")), "{:?}", keys(&free));
    let alone = all(&[("payment_intent.payment_failed", intent("requires_payment_method", declined))]);
    assert_eq!(due(&alone)[0].about.reason.as_deref(), Some("card_declined"));
}

#[test]
fn a_direct_charge_is_money_only_once_it_is_captured() {
    let direct =
        |changes| ("charge.succeeded", super::objects::with(charge(json!({ "payment_intent": null })), changes));
    assert_eq!(status(&[direct(json!({}))]), "paid");
    assert_eq!(status(&[direct(json!({ "captured": false, "amount_captured": 0 }))]), "authorized");
    let failed = json!({ "status": "failed", "captured": false, "amount_captured": 0, "failure_code": "expired_card" });
    assert_eq!(status(&[direct(failed.clone())]), "failed");
    assert_eq!(due(&all(&[direct(failed)]))[0].about.reason.as_deref(), Some("expired_card"));
    // What was captured stays so, whatever comes late.
    let late = [direct(json!({})), direct(json!({ "captured": false, "amount_captured": 0 }))];
    assert_eq!(status(&late), "paid");
}

#[test]
fn an_invoice_that_is_paid_by_nothing_owes_nothing() {
    let nothing = json!({ "amount_due": 0, "total": 0, "amount_paid": 0, "billing_reason": "subscription_create" });
    let trial = all(&[("invoice.paid", invoice("paid", nothing))]);
    assert_eq!(keys(&trial), Vec::<String>::new());
}

#[test]
fn names_are_stable() {
    use crate::orders::ReferenceKind;
    assert_eq!([ReferenceKind::Object.as_str(), ReferenceKind::Label.as_str()], ["object", "label"]);
}

#[test]
fn an_invoice_alone_is_a_payment_and_overpaid_whenever_that_was_said() {
    let manual = |changes| invoice("paid", super::objects::with(json!({ "billing_reason": "manual" }), changes));
    let alone = all(&[("invoice.paid", manual(json!({})))]);
    assert_eq!(keys(&alone), ["order.paid:in_1"]);
    let said = ("invoice.overpaid", manual(json!({ "amount_paid": 1200, "amount_overpaid": 200 })));
    for events in [[said.clone(), ("invoice.paid", manual(json!({})))], [("invoice.paid", manual(json!({}))), said]] {
        assert_eq!(order(&all(&events)).review_reasons, ["invoice_overpaid"]);
    }
    assert!(order(&alone).review_reasons.is_empty());
    let exact = all(&[("invoice.paid", manual(json!({ "amount_overpaid": 0 })))]);
    assert!(order(&exact).review_reasons.is_empty());
}

#[test]
fn a_failure_that_comes_late_does_not_undo_a_charge() {
    let succeeded = ("charge.succeeded", charge(json!({ "payment_intent": null })));
    let failed = ("charge.failed", charge(json!({ "payment_intent": null, "status": "failed", "failure_code": "x" })));
    assert_eq!(status(&[succeeded.clone(), failed.clone()]), "paid");
    assert_eq!(status(&[failed, succeeded]), "paid");
}

#[test]
fn a_free_checkout_in_another_currency_divides_by_nothing() {
    let free = session(
        "no_payment_required",
        json!({ "payment_intent": null, "amount_total": 0, "amount_subtotal": 0,
        "currency": "usd", "currency_conversion": { "source_currency": "eur", "amount_total": 0, "amount_subtotal": 0, "fx_rate": "1.1" } }),
    );
    assert_eq!(status(&[free]), "paid");
}

#[test]
fn what_is_on_its_way_says_how_much() {
    let notices = due(&all(&[("payment_intent.processing", intent("processing", json!({})))]));
    assert_eq!((notices[0].about.amount, notices[0].about.currency.as_deref()), (Some(1000), Some("eur")));
}

#[test]
fn of_two_tries_within_a_second_the_rank_decides_and_not_the_event_s_id() {
    let open = invoice("open", json!({ "billing_reason": "manual" }));
    let status = |failed: &str, action: &str| {
        let failed = told(failed, "invoice.payment_failed", 7, &open);
        order(&and(failed, &told(action, "invoice.payment_action_required", 7, &open))).status.as_str()
    };
    assert_eq!(status("evt_1", "evt_2"), status("evt_2", "evt_1"));
}

#[test]
fn an_authorization_that_expired_is_over() {
    let held = json!({ "payment_intent": null, "captured": false, "amount_captured": 0 });
    let expired = [("charge.succeeded", charge(held.clone())), ("charge.expired", charge(held))];
    assert_eq!(status(&expired[..1]), "authorized");
    assert_ne!(status(&expired), "authorized");
    let taken = [
        ("charge.succeeded", charge(json!({ "payment_intent": null }))),
        ("charge.expired", charge(json!({ "payment_intent": null }))),
    ];
    assert_eq!(status(&taken), "paid");
}

#[test]
fn what_says_nothing_is_not_stored() {
    let facts = all(&[
        paid(json!({})),
        ("charge.succeeded", charge(json!({}))),
        session("paid", json!({})),
        refund("re_1", "succeeded", 5),
    ]);
    let text = serde_json::to_string(&facts).unwrap();
    assert!(
        !text.contains("false") && !text.contains("null") && !text.contains("[]") && !text.contains("{}"),
        "{text}"
    );
}

#[test]
fn stored_events_are_read_by_their_source() {
    use crate::orders::{Labelling, Taken, take_stored};
    let word = json!({ "type": "expectation", "reference": "A", "sequence": 1 }).to_string();
    let read = |source| take_stored(source, word.as_bytes(), &Labelling::default());
    assert!(matches!(read("shop"), Taken::Facts(_)));
    assert!(matches!(read("stripe"), Taken::Quarantined(_)));
    assert_eq!(read("github"), Taken::Ignored("no_order"));
}
