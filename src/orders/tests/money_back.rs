//! The law's lines about money that goes back and about suspicion, each by an example.

use std::slice::from_ref;

use serde_json::json;

use super::objects::{and, charge, dispute, paid, refund, status};
use super::{all, due, facts, keys, order};
use crate::notices::Wait;

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
    let explained = and(facts, &all(&[refund("re_1", "failed", 1000)]));
    assert_eq!(order(&explained).status.as_str(), "paid");
    assert_eq!(keys(&explained), ["order.paid:pi_1", "order.refund_failed:re_1"]);
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
    assert_eq!(told[0].key, "order.refunded:pi_1");
    assert!(told[0].also.contains(&"order.refunded:ch_1:1000".to_owned()), "{told:?}");
    let behind = all(&[paid(json!({})), counted(400), refund("re_1", "succeeded", 1000)]);
    assert!(due(&behind).iter().all(|notice| !notice.also.contains(&"order.refunded:ch_1:400".to_owned())));
    let free = super::objects::session("no_payment_required", json!({ "payment_intent": null, "amount_total": 0 }));
    assert!(keys(&all(&[free])).iter().all(|key| !key.contains("refunded")));
}

#[test]
fn a_refund_answers_to_the_sum_under_which_it_may_have_been_told() {
    let at = |id: &str, amount: i64, created: i64| {
        let (kind, object) = refund(id, "succeeded", amount);
        (kind, super::objects::with(object, json!({ "created": created })))
    };
    let facts = all(&[paid(json!({})), at("re_b", 400, 1), at("re_a", 300, 2)]);
    let also = |key: &str| due(&facts).into_iter().find(|notice| notice.key == key).unwrap().also;
    assert_eq!(also("order.partially_refunded:re_b"), ["order.partially_refunded:ch_1:400"]);
    assert_eq!(also("order.partially_refunded:re_a"), ["order.partially_refunded:ch_1:700"]);
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
