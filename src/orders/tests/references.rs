//! The law's lines about what belongs together and what the shop expects, each by an example.

use serde_json::{Value, json};

use super::super::{Facts, Name};
use super::objects::{and, invoice, paid, refund, session, shop, with};
use super::{all, keys, order};

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
    let intent = all(&[paid(json!({ "metadata": { "order_id": "B" } }))]);
    let both = order(&and(all(&[session("paid", json!({ "metadata": { "order_id": "C" } }))]), &intent));
    assert_eq!((both.reference.as_str(), both.review_reasons.as_slice()), ("B", &["conflicting_reference"][..]));
    let customer = session("paid", json!({ "metadata": {}, "client_reference_id": "Z" }));
    let beside = order(&and(all(&[customer]), &intent));
    assert_eq!((beside.reference.as_str(), beside.review_reasons.len()), ("B", 0), "it names a customer");
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
    let given_back = order(&and(both, &all(&[refund("re_1", "succeeded", 1000)])));
    assert_eq!((given_back.status.as_str(), given_back.amount_refunded), ("paid", 1000), "it is history");
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
fn every_kind_of_object_keeps_all_that_it_was_ever_tied_to() {
    let base = |id: &str, object: &str| json!({ "id": id, "object": object, "amount": 1000, "currency": "eur", "status": "succeeded", "metadata": {} });
    let invoice_payment = |intent: &str| {
        json!({ "id": "inpay_1", "object": "invoice_payment", "invoice": "in_1", "status": "paid", "amount_paid": 1, "currency": "eur",
            "payment": { "type": "payment_intent", "payment_intent": intent } })
    };
    let tied = |kind: &'static str, object: Value, field: &'static str, one: &'static str, other: &'static str| {
        let to = |id: &str| with(object.clone(), json!({ field: id }));
        (kind, to(one), to(other), one, other)
    };
    let session = session("paid", json!({})).1;
    let dispute = with(base("dp_1", "dispute"), json!({ "status": "won", "reason": "x" }));
    let warning = base("issfr_1", "radar.early_fraud_warning");
    for (kind, one, other, to, too) in [
        tied("payment_intent.succeeded", paid(json!({})).1, "latest_charge", "ch_8", "ch_9"),
        tied("charge.succeeded", super::objects::charge(json!({})), "payment_intent", "pi_8", "pi_9"),
        tied("checkout.session.completed", session, "payment_intent", "pi_8", "pi_9"),
        tied("invoice.paid", invoice("paid", json!({})), "payment_intent", "pi_8", "pi_9"),
        tied("refund.updated", refund("re_1", "succeeded", 5).1, "charge", "ch_8", "ch_9"),
        tied("charge.dispute.closed", dispute, "charge", "ch_8", "ch_9"),
        tied("radar.early_fraud_warning.created", warning, "charge", "ch_8", "ch_9"),
        tied("review.opened", with(base("prv_1", "review"), json!({ "open": true })), "charge", "ch_8", "ch_9"),
        ("invoice_payment.paid", invoice_payment("pi_8"), invoice_payment("pi_9"), "pi_8", "pi_9"),
    ] {
        let (one, other) = (super::facts(kind, 1, &one), super::facts(kind, 2, &other));
        let merged = and(one.clone(), &other);
        assert_eq!(merged, and(other, &one), "{kind}");
        let named: Vec<String> = merged.references().into_iter().map(|reference| reference.value).collect();
        assert!([to, too].iter().all(|id| named.contains(&(*id).to_owned())), "{kind}: {named:?}");
    }
}

#[test]
fn the_attempt_that_counts_most_says_what_was_asked_for() {
    let labelled = |id: &str, status: &str, amount: i64| {
        let received = if status == "succeeded" { amount } else { 0 };
        let changes =
            json!({ "id": id, "amount": amount, "amount_received": received, "metadata": { "order_id": "A" } });
        ("payment_intent.x", with(super::objects::intent(status, json!({})), changes))
    };
    let back = |intent: &str, amount: i64| {
        let changes = json!({ "id": "re_1", "charge": null, "payment_intent": intent });
        ("refund.updated", with(refund("re_1", "succeeded", amount).1, changes))
    };
    for (first, second) in [("pi_1", "pi_2"), ("pi_2", "pi_1")] {
        let (tried, paid) = (labelled(first, "requires_action", 500), labelled(second, "succeeded", 1000));
        assert_eq!(order(&all(&[tried.clone(), paid.clone()])).amount_expected, Some(1000));
        let gone = back(second, 1000);
        assert_eq!(order(&all(&[tried.clone(), paid.clone(), gone.clone()])).amount_expected, Some(1000));
        let again = labelled(first, "succeeded", 500);
        assert_eq!(order(&all(&[again, paid, gone])).amount_expected, Some(500));
    }
}

#[test]
fn the_customer_is_named_by_the_shop_then_by_who_paid() {
    let session = |id: &str, payment: &str, name: &str, locale: &str| {
        let details = json!({ "email": "a@example.com", "name": name });
        let own =
            json!({ "id": id, "payment_intent": format!("pi_{id}"), "customer_details": details, "locale": locale });
        super::objects::session(payment, own)
    };
    let left = session("cs_1", "unpaid", "Left", "fr");
    let came = session("cs_2", "paid", "Came", "de");
    let facts = all(&[left, came]);
    let known = order(&facts);
    assert_eq!((known.customer_name.as_deref(), known.locale.as_deref()), (Some("Came"), Some("de")));
    let said = json!({ "type": "expectation", "reference": "A", "sequence": 1, "name": "Said", "locale": "ja" });
    let known = order(&and(facts, &shop(&said)));
    assert_eq!((known.customer_name.as_deref(), known.locale.as_deref()), (Some("Said"), Some("ja")));
}

#[test]
fn two_currencies_under_one_reference_matter_once_money_is_secured_in_both() {
    let labelled = |id: &str, status: &str, currency: &str| {
        let own = json!({ "id": id, "currency": currency, "metadata": { "order_id": "A" } });
        ("payment_intent.x", super::objects::intent(status, own))
    };
    let reasons = |second: &str| {
        order(&all(&[labelled("pi_1", "succeeded", "eur"), labelled("pi_2", second, "usd")])).review_reasons
    };
    assert_eq!(reasons("requires_capture"), ["currency_mismatch"]);
    assert!(reasons("requires_action").is_empty());
}

#[test]
fn the_last_word_counts() {
    let expected = |sequence: i64, amount: i64| {
        shop(
            &json!({ "type": "expectation", "reference": "A", "sequence": sequence, "amount": amount, "currency": "eur" }),
        )
    };
    let released = |sequence: i64, token: &str| {
        shop(&json!({ "type": "release", "reference": "A", "sequence": sequence, "released": [token] }))
    };
    for (early, late) in [(expected(1, 900), expected(2, 100)), (released(1, "b"), released(2, "a"))] {
        assert_eq!(and(early.clone(), &late).shop, late.shop);
        assert_eq!(and(late.clone(), &early).shop, late.shop);
    }
}
