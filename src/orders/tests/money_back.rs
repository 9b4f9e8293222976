//! The law's lines about money that goes back and about suspicion, each by an example.

use std::slice::from_ref;

use serde_json::json;

use super::objects::{and, charge, dispute, paid, refund, status, told};
use super::{all, due, facts, keys, order};
use crate::notices::{Only, Wait};

#[test]
fn a_released_authorization_is_no_refund() {
    let released = charge(json!({ "captured": false, "amount_refunded": 1000, "refunded": true }));
    let held = ("charge.succeeded", charge(json!({ "captured": false, "amount_captured": 0 })));
    assert_eq!(status(from_ref(&held)), "authorized");
    let facts = all(&[held, ("charge.refunded", released), refund("re_1", "succeeded", 1000)]);
    let order = order(&facts);
    assert_eq!((order.status.as_str(), order.amount_refunded), ("canceled", 0));
}

#[test]
fn the_rest_of_a_partial_capture_is_no_refund() {
    let part = json!({ "amount_captured": 600, "amount_refunded": 400 });
    let captured = [paid(json!({ "amount_received": 600 })), ("charge.captured", charge(part))];
    let facts = and(all(&captured), &all(&[refund("re_1", "succeeded", 400)]));
    let order = order(&facts);
    assert_eq!((order.status.as_str(), order.amount_paid, order.amount_refunded), ("paid", 600, 0));
    assert_eq!(keys(&facts), ["order.paid:pi_1"]);
}

#[test]
fn refunds_are_counted_one_by_one() {
    let payment = [paid(json!({})), ("charge.succeeded", charge(json!({})))];
    let part = and(all(&payment), &all(&[refund("re_1", "succeeded", 300)]));
    assert_eq!(order(&part).status.as_str(), "partially_refunded");
    assert_eq!(keys(&part), ["order.paid:pi_1", "order.partially_refunded:re_1"]);
    let whole = and(part, &all(&[refund("re_2", "succeeded", 700)]));
    assert_eq!(order(&whole).status.as_str(), "refunded");
    assert!(keys(&whole).contains(&"order.refunded:pi_1".to_owned()));
    let failed = and(whole, &all(&[refund("re_2", "failed", 700)]));
    let order = order(&failed);
    assert_eq!((order.status.as_str(), order.amount_refunded), ("partially_refunded", 300));
    assert!(keys(&failed).contains(&"order.refund_failed:re_2".to_owned()));
}

#[test]
fn a_cumulative_amount_counts_what_no_refund_explains() {
    let sum = ("charge.refunded", charge(json!({ "amount_refunded": 1000 })));
    let facts = all(&[paid(json!({})), sum]);
    assert_eq!(order(&facts).status.as_str(), "refunded");
    let notices = due(&facts);
    assert_eq!((notices[1].key.as_str(), notices[1].wait), ("order.refunded:ch_1:1000", Some(Wait::RefundObject)));
    let (kind, failed) = refund("re_1", "failed", 1000);
    let explained = and(facts.clone(), &told("evt_9", kind, 9, &failed));
    assert_eq!(order(&explained).status.as_str(), "paid");
    assert_eq!(keys(&explained), ["order.paid:pi_1", "order.refund_failed:re_1"]);
    let before = and(facts, &told("evt_9", kind, 1, &failed));
    assert_eq!(order(&before).status.as_str(), "refunded", "the snapshot leaves out what failed before");
}

#[test]
fn a_refund_waits_for_its_payment() {
    let early = all(&[refund("re_1", "succeeded", 1000)]);
    assert_eq!((order(&early).status.as_str(), order(&early).amount_refunded), ("pending", 0));
    assert_eq!(order(&and(early, &all(&[paid(json!({}))]))).status.as_str(), "refunded");
}

#[test]
fn more_back_than_came_in_needs_a_person() {
    let facts = all(&[paid(json!({})), refund("re_1", "succeeded", 1001)]);
    let order = order(&facts);
    assert_eq!((order.status.as_str(), order.review_reasons.as_slice()), ("review", &["refund_above_payment"][..]));
}

#[test]
fn a_dispute_ends_with_its_verdict() {
    let payment = [paid(json!({})), ("charge.succeeded", charge(json!({})))];
    let open = and(all(&payment), &all(&[dispute("needs_response")]));
    assert_eq!(order(&open).status.as_str(), "disputed");
    let lost = and(open, &all(&[dispute("lost")]));
    assert_eq!((order(&lost).status.as_str(), order(&lost).amount_lost), ("lost", 1000));
    let won = and(lost, &facts("charge.dispute.closed", 9, &dispute("won").1));
    assert_eq!((order(&won).status.as_str(), order(&won).amount_lost), ("paid", 0));
    let told = keys(&won);
    assert_eq!(told[..3], ["order.dispute_closed:dp_1", "order.dispute_closed:dp_1:won", "order.disputed:dp_1"]);
    let late = and(won, &facts("charge.dispute.updated", 20, &dispute("under_review").1));
    assert_eq!(order(&late).status.as_str(), "paid");
}

#[test]
fn a_warning_holds_until_the_money_is_gone() {
    let warning = json!({ "id": "issfr_1", "charge": "ch_1" });
    let payment = [paid(json!({})), ("charge.succeeded", charge(json!({})))];
    let warned = and(all(&payment), &all(&[("radar.early_fraud_warning.created", warning)]));
    assert_eq!(order(&warned).review_reasons, ["fraud_warning"]);
    assert!(keys(&warned).contains(&"order.review:issfr_1:fraud_warning".to_owned()));
    assert_eq!(order(&and(warned, &all(&[refund("re_1", "succeeded", 1000)]))).status.as_str(), "refunded");
}

#[test]
fn a_review_is_over_when_it_is_approved() {
    let review = |open: bool, reason: &str| json!({ "id": "prv_1", "charge": null, "payment_intent": "pi_1", "open": open, "reason": reason });
    let opened = all(&[paid(json!({})), ("review.opened", review(true, "rule"))]);
    assert_eq!(order(&opened).review_reasons, ["review_opened"]);
    let approved = and(opened, &all(&[("review.closed", review(false, "approved"))]));
    assert_eq!(order(&approved).status.as_str(), "paid");
}

#[test]
fn a_refund_that_failed_says_why() {
    let failed =
        super::objects::with(refund("re_1", "failed", 400).1, json!({ "failure_reason": "expired_or_canceled_card" }));
    let facts = all(&[paid(json!({})), ("refund.failed", failed)]);
    let told = due(&facts).into_iter().find(|notice| notice.key == "order.refund_failed:re_1").unwrap();
    assert_eq!(told.about.reason.as_deref(), Some("expired_or_canceled_card"));
    assert_eq!((told.about.amount, told.about.currency.as_deref()), (Some(400), Some("eur")));
}

#[test]
fn a_warning_counts_before_any_money_is_there_and_no_more_once_it_is_gone() {
    let warning = (
        "radar.early_fraud_warning.created",
        json!({ "id": "issfr_1", "object": "radar.early_fraud_warning", "charge": "ch_1", "payment_intent": "pi_1" }),
    );
    let held = ("payment_intent.x", super::objects::intent("requires_capture", json!({})));
    assert_eq!(order(&all(&[held, warning.clone()])).review_reasons, ["fraud_warning"]);
    let gone = [paid(json!({})), warning, refund("re_1", "succeeded", 1000)];
    assert!(order(&all(&gone)).review_reasons.is_empty());
}

#[test]
fn a_whole_refund_is_told_as_whole_and_a_free_order_has_none() {
    let counted = |sum: i64| ("charge.refunded", super::objects::charge(json!({ "amount_refunded": sum })));
    let whole = all(&[paid(json!({})), counted(1000), refund("re_1", "succeeded", 1000)]);
    let told = due(&whole).into_iter().filter(|notice| notice.key.contains("refunded")).collect::<Vec<_>>();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].key, "order.refunded:re_1");
    let Some(Only::FewerThan { count: 1, keys: alike }) = &told[0].only else { panic!("{told:?}") };
    assert!(alike.contains(&"order.refunded:ch_1:1000".to_owned()), "{told:?}");
    let behind = all(&[paid(json!({})), counted(400), refund("re_1", "succeeded", 1000)]);
    let object = due(&behind).into_iter().find(|notice| notice.key == "order.refunded:re_1").unwrap();
    assert_eq!(object.only, None, "a step of another amount says nothing of it");
    let free = super::objects::session("no_payment_required", json!({ "payment_intent": null, "amount_total": 0 }));
    assert!(keys(&all(&[free])).iter().all(|key| !key.contains("refunded")));
}

#[test]
fn a_refund_answers_to_the_sum_under_which_it_may_have_been_told() {
    let at = |id: &str, amount: i64, created: i64| {
        let (kind, object) = refund(id, "succeeded", amount);
        (kind, super::objects::with(object, json!({ "created": created })))
    };
    let counted = |sum: i64| ("charge.refunded", charge(json!({ "amount_refunded": sum })));
    let facts = all(&[paid(json!({})), counted(400), counted(700), at("re_b", 400, 2), at("re_a", 300, 3)]);
    let counted = |key: &str| match due(&facts).into_iter().find(|notice| notice.key == key).unwrap().only {
        Some(Only::FewerThan { count: 1, keys: alike }) => alike,
        other => panic!("{other:?}"),
    };
    assert!(counted("order.partially_refunded:re_b").contains(&"order.partially_refunded:ch_1:400".to_owned()));
    assert!(counted("order.partially_refunded:re_a").contains(&"order.partially_refunded:ch_1:700".to_owned()));
    assert!(keys(&facts).iter().all(|key| !key.contains("ch_1")), "what is explained is told as its object");
}

#[test]
fn a_payment_that_was_captured_whole_has_no_rest_to_be_given_back() {
    let facts = all(&[paid(json!({})), refund("re_1", "succeeded", 0)]);
    assert!(keys(&facts).contains(&"order.partially_refunded:re_1".to_owned()), "{:?}", keys(&facts));
}

#[test]
fn a_refund_without_a_charge_explains_only_its_own_amount() {
    let given_back = |id: &str| {
        let changes = json!({ "id": id, "amount": 1000, "amount_captured": 1000, "amount_refunded": 500 });
        ("charge.refunded", charge(changes))
    };
    let unplaced = super::objects::with(refund("re_1", "succeeded", 500).1, json!({ "charge": null }));
    let both = paid(json!({ "amount": 2000, "amount_received": 2000 }));
    let facts = all(&[both, given_back("ch_1"), given_back("ch_2"), ("refund.updated", unplaced)]);
    assert_eq!(order(&facts).amount_refunded, 1000);
}

#[test]
fn a_review_notice_says_its_reason() {
    let warning = json!({ "id": "issfr_1", "charge": "ch_1", "payment_intent": "pi_1" });
    let facts = all(&[paid(json!({})), ("radar.early_fraud_warning.created", warning)]);
    let told = due(&facts).into_iter().find(|notice| notice.key == "order.review:issfr_1:fraud_warning").unwrap();
    assert_eq!(told.about.reason.as_deref(), Some("fraud_warning"));
}

#[test]
fn an_overpaid_invoice_needs_a_person_once_it_is_paid() {
    let told = |paid: i64, status: &str| {
        let invoice = super::objects::invoice(status, json!({ "amount_paid": paid }));
        order(&all(&[("invoice.overpaid", invoice)])).review_reasons
    };
    assert_eq!(told(1000, "paid"), ["invoice_overpaid"]);
    assert!(told(0, "open").is_empty());
}

#[test]
fn a_refund_is_told_once_it_is_known_what_its_payment_brought_in() {
    let session = super::objects::session("paid", json!({}));
    let told = |facts: &super::Facts| keys(facts).iter().any(|key| key == "order.partially_refunded:re_1");
    let named = all(&[session, refund("re_1", "succeeded", 400)]);
    assert!(!told(&named), "{:?}", keys(&named));
    assert!(told(&and(named, &all(&[paid(json!({}))]))));
    let direct = ("charge.succeeded", charge(json!({ "payment_intent": null })));
    let back = super::objects::with(refund("re_1", "succeeded", 400).1, json!({ "payment_intent": null }));
    assert!(told(&all(&[direct, ("refund.updated", back)])));
}

/// Two payments that one session names, one after the other: one attempt, 1000 each.
fn two_payments() -> super::Facts {
    let second = super::objects::session("paid", json!({ "payment_intent": "pi_2" }));
    all(&[
        super::objects::session("paid", json!({})),
        second,
        paid(json!({ "latest_charge": "ch_1" })),
        paid(json!({ "id": "pi_2", "latest_charge": "ch_2" })),
    ])
}

#[test]
fn two_payments_of_one_session_are_one_too_many_and_of_one_invoice_are_not() {
    assert_eq!(order(&two_payments()).review_reasons, ["double_payment"]);
    let of_invoice = |id: &str| {
        let payment = json!({ "type": "payment_intent", "payment_intent": id });
        ("invoice_payment.paid", json!({ "id": format!("inpay_{id}"), "invoice": "in_1", "payment": payment }))
    };
    let half = |id: &str| paid(json!({ "id": id, "amount": 500, "amount_received": 500 }));
    let invoice = ("invoice.paid", super::objects::invoice("paid", json!({})));
    let facts = all(&[invoice, of_invoice("pi_1"), of_invoice("pi_2"), half("pi_1"), half("pi_2")]);
    assert_eq!((order(&facts).review_reasons.len(), order(&facts).amount_paid), (0, 1000));
}

#[test]
fn a_refund_is_of_the_payment_that_it_names_or_whose_charge_it_names() {
    let whole = |changes: serde_json::Value| {
        let (kind, object) = refund("re_1", "succeeded", 1000);
        let facts = and(two_payments(), &all(&[(kind, super::objects::with(object, changes))]));
        let mut told = due(&facts).into_iter().filter(|notice| notice.key == "order.refunded:re_1");
        told.next().unwrap().about.payment.unwrap()
    };
    assert_eq!(whole(json!({ "payment_intent": "pi_1", "charge": null })), "pi_1");
    assert_eq!(whole(json!({ "payment_intent": "pi_2", "charge": null })), "pi_2");
    assert_eq!(whole(json!({ "payment_intent": null, "charge": "ch_1" })), "pi_1");
    assert_eq!(whole(json!({ "payment_intent": null, "charge": "ch_2" })), "pi_2");
    let third = ("charge.succeeded", charge(json!({ "id": "ch_3", "payment_intent": "pi_2" })));
    let by_charge =
        super::objects::with(refund("re_1", "succeeded", 1000).1, json!({ "payment_intent": null, "charge": "ch_3" }));
    let facts = and(two_payments(), &all(&[third, ("refund.updated", by_charge)]));
    let told = due(&facts).into_iter().find(|notice| notice.key == "order.refunded:re_1").unwrap();
    assert_eq!(told.about.payment.as_deref(), Some("pi_2"), "{:?}", keys(&facts));
}

#[test]
fn a_refund_of_what_was_never_taken_counts_for_nothing_beside_what_was() {
    let of_invoice = |id: &str, changes: serde_json::Value| {
        let own = json!({ "id": id, "payment_intent": null, "invoice": "in_1" });
        ("charge.succeeded", super::objects::with(charge(own), changes))
    };
    let facts = all(&[
        of_invoice("ch_1", json!({ "captured": false, "amount_captured": 0 })),
        of_invoice("ch_2", json!({})),
        ("refund.updated", super::objects::with(refund("re_1", "succeeded", 300).1, json!({ "payment_intent": null }))),
    ]);
    assert_eq!((order(&facts).status.as_str(), order(&facts).amount_refunded), ("paid", 0));
    let of_second = json!({ "payment_intent": null, "charge": "ch_2" });
    let more = all(&[("refund.updated", super::objects::with(refund("re_2", "succeeded", 300).1, of_second))]);
    assert_eq!(order(&and(facts, &more)).amount_refunded, 300);
}

#[test]
fn a_charge_seen_before_its_capture_is_paid_once_its_intent_is() {
    let held = |changes: serde_json::Value| {
        let uncaptured = charge(json!({ "captured": false, "amount_captured": 0 }));
        ("charge.succeeded", super::objects::with(uncaptured, changes))
    };
    let back = super::objects::with(refund("re_1", "succeeded", 300).1, json!({ "payment_intent": null }));
    let by_intent = [held(json!({ "payment_intent": null })), paid(json!({ "latest_charge": "ch_1" }))];
    let by_charge = [held(json!({})), paid(json!({}))];
    for known in [by_intent, by_charge] {
        let facts = and(all(&known), &all(&[("refund.updated", back.clone())]));
        assert_eq!(order(&facts).amount_refunded, 300);
    }
}

#[test]
fn the_rest_is_the_refund_of_its_amount_and_no_earlier_one() {
    let at = |id: &str, amount: i64, created: i64| {
        let (kind, object) = refund(id, "succeeded", amount);
        (kind, super::objects::with(object, json!({ "created": created })))
    };
    let facts = all(&[paid(json!({ "amount_received": 600 })), at("re_a", 100, 1), at("re_b", 400, 2)]);
    assert_eq!(order(&facts).amount_refunded, 100);
}

#[test]
fn what_a_sum_says_beyond_the_known_refunds_counts_once() {
    let counted = ("charge.refunded", charge(json!({ "amount_refunded": 500 })));
    let unplaced = super::objects::with(refund("re_1", "succeeded", 200).1, json!({ "charge": null }));
    let facts = all(&[paid(json!({})), counted, ("refund.updated", unplaced)]);
    assert_eq!(order(&facts).amount_refunded, 500);
}

#[test]
fn a_lost_dispute_takes_its_amount_or_the_whole_where_it_counts_in_a_strange_currency() {
    let lost = |changes: serde_json::Value| ("charge.dispute.closed", super::objects::with(dispute("lost").1, changes));
    let after = |changes: serde_json::Value| {
        let order = order(&all(&[paid(json!({})), ("charge.succeeded", charge(json!({}))), lost(changes)]));
        (order.amount_lost, order.review_reasons.len())
    };
    assert_eq!(after(json!({ "amount": 400 })), (400, 0));
    assert_eq!(after(json!({ "amount": 77, "currency": "usd" })), (1000, 0));
    let unpaid = order(&all(&[lost(json!({}))]));
    assert!(unpaid.review_reasons.is_empty(), "nothing that is known came in");
}

#[test]
fn an_exchange_rounds_and_needs_two_currencies_and_something_to_exchange() {
    let sold = |source: &str, total: i64, changes: serde_json::Value| {
        let conversion = json!({ "source_currency": source, "amount_total": total, "amount_subtotal": total });
        let own = json!({ "currency_conversion": conversion, "amount_total": 1001, "currency": "eur" });
        super::objects::session("paid", super::objects::with(own, changes))
    };
    let intent = || paid(json!({ "amount": 1001, "amount_received": 1001 }));
    let back = |amount: i64| refund("re_1", "succeeded", amount);
    let exchanged = order(&all(&[sold("usd", 1101, json!({})), intent(), back(500)]));
    assert_eq!((exchanged.currency.as_deref(), exchanged.amount_paid), (Some("usd"), 1101));
    assert_eq!(exchanged.amount_refunded, 550, "500 × 1101 ÷ 1001 is 549.95");
    let dispute = super::objects::with(dispute("lost").1, json!({ "amount": 500 }));
    let disputed = order(&all(&[sold("usd", 1101, json!({})), intent(), ("charge.dispute.closed", dispute)]));
    assert_eq!(disputed.amount_lost, 550);
    let same = order(&all(&[sold("eur", 1101, json!({})), intent(), back(500)]));
    assert_eq!(same.amount_refunded, 500);
    let nothing = json!({ "amount_total": 0, "payment_intent": null, "payment_status": "no_payment_required" });
    assert_eq!(order(&all(&[sold("usd", 0, nothing)])).amount_paid, 0);
}

#[test]
fn an_authorization_ends_with_its_payment_intent() {
    let held = ("charge.succeeded", charge(json!({ "captured": false, "amount_captured": 0 })));
    let with_intent = |state: &str| {
        let intent = ("payment_intent.x", super::objects::intent(state, json!({})));
        order(&all(&[held.clone(), intent])).status.as_str()
    };
    assert_eq!((with_intent("processing"), with_intent("canceled")), ("authorized", "canceled"));
}

#[test]
fn a_checkout_of_nothing_exchanges_nothing() {
    let conversion = json!({ "source_currency": "usd", "amount_total": 5, "amount_subtotal": 5 });
    let free = super::objects::session("paid", json!({ "amount_total": 0, "currency_conversion": conversion }));
    assert_eq!(order(&all(&[free, paid(json!({}))])).amount_paid, 1000);
}
