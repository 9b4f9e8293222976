//! The law's lines, each by an example.

use serde_json::{Value, json};

use super::super::{Facts, Name, Taken, take_shop};
use super::{all, facts, keys, order};
use crate::notices::Wait;

fn with(mut object: Value, changes: Value) -> Value {
    if let (Some(object), Value::Object(changes)) = (object.as_object_mut(), changes) {
        object.extend(changes);
    }
    object
}

fn intent(status: &str, changes: Value) -> Value {
    let received = if status == "succeeded" { 1000 } else { 0 };
    let object = json!({ "id": "pi_1", "object": "payment_intent", "status": status, "amount": 1000,
        "amount_received": received, "currency": "eur", "metadata": {} });
    with(object, changes)
}

fn paid(changes: Value) -> (&'static str, Value) {
    ("payment_intent.succeeded", intent("succeeded", changes))
}

fn session(payment: &str, changes: Value) -> (&'static str, Value) {
    let object = json!({ "id": "cs_1", "object": "checkout.session", "mode": "payment", "status": "complete",
        "payment_status": payment, "amount_total": 1000, "amount_subtotal": 900, "currency": "eur",
        "payment_intent": "pi_1", "metadata": { "order_id": "A" }, "customer_details": { "email": "a@example.com" } });
    ("checkout.session.completed", with(object, changes))
}

fn charge(changes: Value) -> Value {
    let object = json!({ "id": "ch_1", "object": "charge", "status": "succeeded", "captured": true, "amount": 1000,
        "amount_captured": 1000, "amount_refunded": 0, "currency": "eur", "payment_intent": "pi_1" });
    with(object, changes)
}

fn refund(id: &str, status: &str, amount: i64) -> (&'static str, Value) {
    let object = json!({ "id": id, "object": "refund", "status": status, "amount": amount, "currency": "eur",
        "charge": "ch_1", "payment_intent": "pi_1" });
    ("refund.updated", object)
}

fn dispute(status: &str) -> (&'static str, Value) {
    let object = json!({ "id": "dp_1", "object": "dispute", "status": status, "amount": 1000, "currency": "eur",
        "charge": "ch_1", "payment_intent": "pi_1", "reason": "fraudulent" });
    ("charge.dispute.updated", object)
}

fn invoice(status: &str, changes: Value) -> Value {
    let amount = if status == "paid" { 1000 } else { 0 };
    let object = json!({ "id": "in_1", "object": "invoice", "status": status, "amount_due": 1000, "total": 1000,
        "amount_paid": amount, "currency": "eur", "billing_reason": "subscription_cycle", "metadata": {} });
    with(object, changes)
}

fn shop(said: &Value) -> Facts {
    match take_shop(said.to_string().as_bytes()) {
        Taken::Facts(facts) => facts,
        other => panic!("{other:?}"),
    }
}

fn and(mut facts: Facts, more: &Facts) -> Facts {
    facts.merge(more);
    facts
}

fn status(events: &[(&str, Value)]) -> &'static str {
    order(&all(events)).status.as_str()
}

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
    let notices = super::due(&facts);
    assert_eq!(notices[0].wait, Some(Wait::Reference));
    assert_eq!(order(&facts).reference, "pi_1");
    let known = and(facts, &all(&[session("paid", json!({ "metadata": {} }))]));
    assert_eq!(super::due(&known)[0].wait, None);
    assert_eq!(super::due(&known)[0].also, ["order.paid:cs_1"]);
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
    assert_eq!(status(&[completed.clone()]), "awaiting_funds");
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
fn a_released_authorization_is_no_refund() {
    let released = charge(json!({ "captured": false, "amount_refunded": 1000, "refunded": true }));
    let held = ("charge.succeeded", charge(json!({ "captured": false, "amount_captured": 0 })));
    assert_eq!(status(&[held.clone()]), "authorized");
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
    let notices = super::due(&facts);
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
fn an_invoice_and_its_payment_become_one() {
    let apart = all(&[paid(json!({})), ("invoice.paid", invoice("paid", json!({})))]);
    assert_eq!(apart.clone().groups().len(), 2);
    let payment = json!({ "type": "payment_intent", "payment_intent": "pi_1" });
    let link = json!({ "id": "inpay_1", "object": "invoice_payment", "invoice": "in_1", "payment": payment });
    let one = and(apart, &all(&[("invoice_payment.paid", link)]));
    assert_eq!((order(&one).amount_paid, order(&one).reference.as_str()), (1000, "pi_1"));
    assert_eq!(keys(&one), ["order.paid:pi_1", "order.renewed:in_1"]);
    assert_eq!(super::due(&one)[0].also, ["order.paid:in_1"]);
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
}

#[test]
fn a_charge_without_a_payment_intent_is_the_payment() {
    let direct = ("charge.succeeded", charge(json!({ "payment_intent": null })));
    assert_eq!(status(&[direct.clone()]), "paid");
    assert_eq!(keys(&all(&[direct])), ["order.paid:ch_1"]);
    assert_eq!(status(&[("charge.succeeded", charge(json!({})))]), "pending");
}

#[test]
fn labels_are_found_in_their_order() {
    let reference = |changes: Value| order(&all(&[session("paid", changes)])).reference;
    assert_eq!(reference(json!({ "client_reference_id": "user_1" })), "A");
    assert_eq!(reference(json!({ "client_reference_id": "user_1", "metadata": {} })), "user_1");
    assert_eq!(reference(json!({ "payment_link": "plink_1" })), "pi_1");
    assert_eq!(reference(json!({ "payment_link": "plink_1", "client_reference_id": "B" })), "B");
    assert_eq!(reference(json!({ "metadata": { "order_id": "bad\u{0}" } })), "pi_1");
}

#[test]
fn two_labels_in_one_component_need_a_person() {
    let events = [session("paid", json!({ "metadata": {}, "client_reference_id": "Z" }))];
    let both = and(all(&events), &all(&[paid(json!({ "metadata": { "order_id": "B" } }))]));
    let order = order(&both);
    assert_eq!((order.reference.as_str(), order.review_reasons.as_slice()), ("B", &["conflicting_reference"][..]));
}

fn second(label: Value) -> (&'static str, Value) {
    session("paid", with(json!({ "id": "cs_2", "payment_intent": "pi_2" }), label))
}

#[test]
fn a_second_payment_needs_a_person_until_one_is_released_or_given_back() {
    let both = all(&[session("paid", json!({})), second(json!({}))]);
    assert_eq!(order(&both).review_reasons, ["double_payment"]);
    assert_eq!(order(&both).releasable.iter().collect::<Vec<_>>(), ["double_payment:pi_1,pi_2"]);
    assert!(keys(&both).contains(&"order.review:pi_2:double_payment".to_owned()));
    let release =
        json!({ "type": "release", "reference": "A", "sequence": 1, "released": ["double_payment:pi_1,pi_2"] });
    let released = and(both.clone(), &shop(&release));
    assert_eq!((order(&released).status.as_str(), order(&released).amount_paid), ("paid", 2000));
    let third = session("paid", json!({ "id": "cs_3", "payment_intent": "pi_3" }));
    assert_eq!(order(&and(released, &all(&[third]))).status.as_str(), "review");
    assert_eq!(order(&and(both, &all(&[refund("re_1", "succeeded", 1000)]))).status.as_str(), "partially_refunded");
}

#[test]
fn a_release_knows_a_payment_under_its_old_name() {
    let nameless = json!({ "payment_intent": null, "id": "cs_0" });
    let both = all(&[session("paid", nameless), second(json!({}))]);
    let token = order(&both).releasable.into_iter().next().unwrap();
    assert_eq!(token, "double_payment:cs_0,pi_2");
    let release = shop(&json!({ "type": "release", "reference": "A", "sequence": 1, "released": [token] }));
    let renamed = and(and(both, &release), &all(&[session("paid", json!({ "id": "cs_0", "payment_intent": "pi_9" }))]));
    assert_eq!(order(&renamed).status.as_str(), "paid");
}

#[test]
fn several_payments_may_be_expected() {
    let both = all(&[session("paid", json!({})), second(json!({}))]);
    let expects = |amount: i64| {
        shop(&json!({ "type": "expectation", "reference": "A", "sequence": 1, "amount": amount, "currency": "eur",
            "payments": "many" }))
    };
    assert_eq!(order(&and(both.clone(), &expects(2000))).status.as_str(), "paid");
    assert_eq!(order(&and(both.clone(), &expects(2500))).status.as_str(), "partially_paid");
    assert_eq!(order(&and(both, &expects(1500))).review_reasons, ["amount_mismatch"]);
}

#[test]
fn a_shared_client_reference_is_told_as_such() {
    let user = json!({ "metadata": {}, "client_reference_id": "user_1" });
    let both = all(&[session("paid", user.clone()), second(user)]);
    assert_eq!(order(&both).review_reasons, ["shared_reference"]);
}

#[test]
fn the_shop_s_expectation_is_compared() {
    let expects = |sequence: i64, amount: i64, currency: &str, compare: &str| {
        shop(&json!({ "type": "expectation", "reference": "A", "sequence": sequence, "amount": amount,
            "currency": currency, "compare": compare, "email": "shop@example.com" }))
    };
    let checkout = all(&[session("paid", json!({}))]);
    let with = |expectation: Facts| order(&and(checkout.clone(), &expectation));
    assert_eq!(with(expects(1, 1000, "eur", "total")).status.as_str(), "paid");
    assert_eq!(with(expects(1, 1000, "eur", "total")).customer_email.as_deref(), Some("shop@example.com"));
    assert_eq!(with(expects(1, 900, "eur", "subtotal")).status.as_str(), "paid");
    let wrong = with(expects(1, 1200, "eur", "total"));
    assert_eq!(wrong.releasable.iter().collect::<Vec<_>>(), ["amount_mismatch:pi_1=1000/1200"]);
    assert_eq!(with(expects(1, 1000, "usd", "total")).review_reasons, ["currency_mismatch"]);
    let mended = and(expects(2, 1000, "eur", "total"), &expects(1, 1200, "eur", "total"));
    assert_eq!(with(mended).status.as_str(), "paid");
    let ahead = expects(1, 1000, "eur", "total");
    assert_eq!((order(&ahead).status.as_str(), order(&ahead).amount_expected), ("pending", Some(1000)));
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
fn sums_beyond_the_largest_number_stay_there() {
    let huge = json!({ "amount": i64::MAX, "amount_received": i64::MAX });
    let other =
        json!({ "id": "pi_2", "amount": i64::MAX, "amount_received": i64::MAX, "metadata": { "order_id": "A" } });
    let both = and(all(&[paid(with(huge, json!({ "metadata": { "order_id": "A" } })))]), &all(&[paid(other)]));
    assert_eq!(order(&both).amount_paid, i64::MAX);
}

#[test]
fn groups_are_named_by_the_best_id() {
    let name = |events: &[(&str, Value)]| all(events).groups().remove(0).name;
    let bare = json!({ "metadata": {}, "payment_intent": null });
    assert_eq!(name(&[session("unpaid", bare)]), Name::Object("cs_1".to_owned()));
    assert_eq!(name(&[session("unpaid", json!({ "metadata": {} }))]), Name::Object("pi_1".to_owned()));
    assert_eq!(name(&[("invoice.created", invoice("draft", json!({})))]), Name::Object("in_1".to_owned()));
    assert_eq!(name(&[session("unpaid", json!({}))]), Name::Label("A".to_owned()));
    assert!(Facts::default().groups().is_empty());
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
