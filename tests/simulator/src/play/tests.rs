//! What Stripe copies, what it sends and when.

use serde_json::{Value, json};

use crate::{
    Action, ApiVersion, Delivery, DisputeKind, Event, Expectation, Method, Money, NewCheckout, NewIntent, NewInvoice,
    RefundStart, Script, World, play,
};

fn played(version: ApiVersion, actions: Vec<Action>) -> World {
    play(&Script::new(version, actions))
}

fn objects<'a>(world: &'a World, kind: &str) -> Vec<&'a Value> {
    world.events().filter(|event| event.kind == kind).map(|event| &event.body["data"]["object"]).collect()
}

fn kinds(world: &World) -> Vec<&str> {
    world.events().map(|event| event.kind.as_str()).collect()
}

fn only<'a>(world: &'a World, kind: &str) -> &'a Event {
    let mut found = world.events().filter(|event| event.kind == kind);
    let event = found.next().unwrap_or_else(|| panic!("no {kind}"));
    assert!(found.next().is_none(), "more than one {kind}");
    event
}

fn card(payment: u16) -> Action {
    Action::Pay { payment, by: Method::Card, email: Some("ada@example.com".into()) }
}

fn refund(refund: u16, amount: i64, start: RefundStart) -> Action {
    Action::Refund { payment: 1, refund, amount, start }
}

fn named(order_id: &str, amount: i64) -> Action {
    Action::CreateIntent(NewIntent { order_id: Some(order_id.into()), ..NewIntent::new(1, amount, "usd") })
}

#[test]
fn a_sessions_metadata_does_not_reach_its_intent() {
    let page = NewCheckout { order_id: Some("1042".into()), ..NewCheckout::new(1, 4200, "usd", "ada@example.com") };
    let world = played(ApiVersion::Newest, vec![Action::OpenCheckout(page), card(1)]);
    assert_eq!(objects(&world, "checkout.session.completed")[0]["metadata"], json!({ "order_id": "1042" }));
    assert_eq!(objects(&world, "payment_intent.succeeded")[0]["metadata"], json!({}));
    assert_eq!(objects(&world, "charge.succeeded")[0]["metadata"], json!({}));
}

#[test]
fn payment_intent_data_reaches_intent_and_charge_but_not_the_session() {
    let page =
        NewCheckout { intent_order_id: Some("1042".into()), ..NewCheckout::new(1, 4200, "usd", "ada@example.com") };
    let world = played(ApiVersion::Newest, vec![Action::OpenCheckout(page), card(1)]);
    assert_eq!(objects(&world, "checkout.session.completed")[0]["metadata"], json!({}));
    assert_eq!(objects(&world, "payment_intent.succeeded")[0]["metadata"], json!({ "order_id": "1042" }));
    assert_eq!(objects(&world, "charge.succeeded")[0]["metadata"], json!({ "order_id": "1042" }));
}

#[test]
fn a_charge_keeps_the_metadata_of_the_moment_in_which_it_was_made() {
    let declined = Action::Decline { payment: 1, email: None };
    let renamed = Action::ChangeIntent { payment: 1, order_id: Some("2".into()), amount: None };
    let world = played(ApiVersion::Newest, vec![named("1", 4200), declined, renamed, card(1)]);
    assert_eq!(objects(&world, "charge.failed")[0]["metadata"], json!({ "order_id": "1" }));
    assert_eq!(objects(&world, "charge.succeeded")[0]["metadata"], json!({ "order_id": "2" }));
    let (first, second) = (only(&world, "payment_intent.payment_failed"), only(&world, "payment_intent.succeeded"));
    assert!(first.created < second.created, "a renamed intent is not of the second in which it had the old name");
}

#[test]
fn refunds_before_acacia_are_steps_of_a_sum() {
    let actions = vec![
        named("1", 4200),
        card(1),
        Action::Wait(60),
        refund(1, 1000, RefundStart::Succeeded),
        refund(2, 1500, RefundStart::Succeeded),
        Action::Wait(60),
        Action::FailRefund { refund: 1, step: false },
        Action::Wait(60),
        refund(3, 2700, RefundStart::Succeeded),
    ];
    let world = played(ApiVersion::V2024_06_20, actions);
    let steps: Vec<_> =
        world.events().filter(|event| event.kind == "charge.refunded").map(|event| &event.body["data"]).collect();
    let sums: Vec<_> = steps.iter().map(|data| data["object"]["amount_refunded"].as_i64()).collect();
    let before: Vec<_> = steps.iter().map(|data| data["previous_attributes"]["amount_refunded"].as_i64()).collect();
    assert_eq!(sums, [Some(1000), Some(2500), Some(4200)]);
    assert_eq!(before, [Some(0), Some(1000), Some(1500)]);
    assert_eq!(steps[2]["previous_attributes"]["refunded"], json!(false));
    let failed = only(&world, "charge.refund.updated");
    assert_eq!(failed.body["data"]["object"]["status"], "failed");
    assert_eq!(failed.body["data"]["previous_attributes"]["status"], "succeeded");
    assert!(!kinds(&world).iter().any(|kind| kind.starts_with("refund.")));
}

#[test]
fn a_refund_has_events_since_acacia_in_the_second_of_its_sum() {
    let back = refund(1, 1000, RefundStart::Pending);
    let world = played(ApiVersion::Acacia, vec![named("1", 4200), card(1), back, Action::SettleRefund { refund: 1 }]);
    let (sum, object) = (only(&world, "charge.refunded"), only(&world, "refund.created"));
    assert_eq!(sum.created, object.created);
    assert_eq!(object.body["data"]["object"]["status"], "pending");
    assert_eq!(objects(&world, "refund.updated")[0]["status"], "succeeded");
}

#[test]
fn a_failure_may_show_as_a_step_down() {
    let actions = vec![
        named("1", 4200),
        card(1),
        Action::Wait(60),
        refund(1, 4200, RefundStart::Succeeded),
        Action::Wait(60),
        Action::FailRefund { refund: 1, step: true },
    ];
    let world = played(ApiVersion::Newest, actions);
    let down = world.events().filter(|event| event.kind == "charge.updated").last().expect("a step down");
    assert_eq!(down.body["data"]["object"]["amount_refunded"], 0);
    assert_eq!(down.body["data"]["previous_attributes"], json!({ "amount_refunded": 4200, "refunded": true }));
}

#[test]
fn a_last_capture_in_part_counts_the_rest_as_refunded() {
    let manual = NewIntent { manual_capture: true, ..NewIntent::new(1, 1000, "usd") };
    let capture = Action::Capture { payment: 1, amount: 700, last: true };
    let actions =
        vec![Action::CreateIntent(manual), card(1), capture, Action::Wait(60), refund(1, 700, RefundStart::Succeeded)];
    let world = played(ApiVersion::V2024_06_20, actions);
    let charge = objects(&world, "charge.captured")[0];
    assert_eq!((&charge["amount_captured"], &charge["amount_refunded"]), (&json!(700), &json!(300)));
    let intent = objects(&world, "payment_intent.succeeded")[0];
    assert_eq!((&intent["amount"], &intent["amount_received"]), (&json!(1000), &json!(700)));
    let wholly = objects(&world, "charge.refunded")[0];
    assert_eq!((&wholly["amount_refunded"], &wholly["refunded"]), (&json!(1000), &json!(true)));
    let order = &world.books.orders[0];
    assert_eq!((order.amount_paid, order.amount_refunded, order.status.as_str()), (700, 700, "refunded"));
}

#[test]
fn a_released_authorisation_looks_like_a_refund_and_is_none() {
    let manual = NewIntent { manual_capture: true, ..NewIntent::new(1, 1000, "usd") };
    let world =
        played(ApiVersion::Newest, vec![Action::CreateIntent(manual), card(1), Action::CancelIntent { payment: 1 }]);
    let charge = objects(&world, "charge.refunded")[0];
    assert_eq!((&charge["captured"], &charge["amount_refunded"]), (&json!(false), &json!(1000)));
    let order = &world.books.orders[0];
    assert_eq!((order.amount_paid, order.amount_refunded, order.status.as_str()), (0, 0, "canceled"));
}

#[test]
fn what_cannot_be_done_does_nothing() {
    let actions = vec![
        card(1),
        refund(1, 100, RefundStart::Succeeded),
        named("1", 4200),
        Action::Capture { payment: 1, amount: 100, last: true },
        Action::Clear { payment: 1 },
        refund(1, 100, RefundStart::Succeeded),
        card(1),
        refund(1, 4300, RefundStart::Succeeded),
        card(1),
        Action::CancelIntent { payment: 1 },
        Action::Dispute { payment: 1, dispute: 1, amount: 4201, kind: DisputeKind::Chargeback },
    ];
    let world = played(ApiVersion::Newest, actions);
    let expected = ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded", "charge.updated"];
    assert_eq!(kinds(&world), expected);
}

#[test]
fn a_converted_checkout_is_told_in_the_shape_of_its_version() {
    let presentment = Some(Money { currency: "eur".into(), amount: 1875 });
    let page = NewCheckout { presentment, ..NewCheckout::new(1, 1999, "usd", "ada@example.com") };
    let actions = vec![Action::OpenCheckout(page), card(1), Action::Wait(9), refund(1, 1999, RefundStart::Succeeded)];
    let old = played(ApiVersion::V2024_06_20, actions.clone());
    let session = objects(&old, "checkout.session.completed")[0];
    assert_eq!((&session["currency"], &session["amount_total"]), (&json!("eur"), &json!(1875)));
    assert_eq!(session["currency_conversion"]["amount_total"], 1999);
    assert_eq!(objects(&old, "charge.refunded")[0]["amount_refunded"], 1875);
    let new = played(ApiVersion::Newest, actions);
    let session = objects(&new, "checkout.session.completed")[0];
    assert_eq!((&session["currency"], &session["amount_total"]), (&json!("usd"), &json!(1999)));
    let seen = json!({ "presentment_amount": 1875, "presentment_currency": "eur" });
    assert_eq!(session["presentment_details"], seen);
    assert_eq!(objects(&new, "refund.created")[0]["presentment_details"], seen);
    for world in [old, new] {
        let order = &world.books.orders[0];
        assert_eq!((order.currency.as_str(), order.amount_paid, order.amount_refunded), ("usd", 1999, 1999));
        let ledger = world.books.ledger();
        let entry = ledger[&("ada@example.com".to_owned(), "eur".to_owned())];
        assert_eq!((entry.paid, entry.refunded), (1875, 1875));
    }
}

#[test]
fn only_the_invoices_version_tells_how_it_was_paid() {
    let invoice = Action::SendInvoice(NewInvoice::new(1, 1500, "usd", "ada@example.com"));
    let pay = Action::PayInvoice { invoice: 1, payment: 1, amount: None };
    let old = played(ApiVersion::Acacia, vec![invoice.clone(), pay.clone()]);
    let new = played(ApiVersion::Basil, vec![invoice, pay]);
    let paid = objects(&old, "invoice.paid")[0];
    assert_eq!(paid["payment_intent"], objects(&old, "payment_intent.succeeded")[0]["id"]);
    let link = objects(&new, "invoice_payment.paid")[0];
    assert_eq!(link["payment"]["payment_intent"], objects(&new, "payment_intent.succeeded")[0]["id"]);
    assert_eq!(link["invoice"], objects(&new, "invoice.paid")[0]["id"]);
}

#[test]
fn an_intent_of_a_page_may_be_created_after_it_succeeded() {
    let page = |payment| Action::OpenCheckout(NewCheckout::new(payment, 4200, "usd", "ada@example.com"));
    let actions = (1..20).flat_map(|payment| [page(payment), card(payment), Action::Wait(60)]).collect();
    let world = played(ApiVersion::Newest, actions);
    let of =
        |kind: &str| world.events().filter(|event| event.kind == kind).map(|event| event.created).collect::<Vec<_>>();
    let lag: Vec<i64> = of("payment_intent.created")
        .iter()
        .zip(of("payment_intent.succeeded"))
        .map(|(made, paid)| made - paid)
        .collect();
    assert!(lag.contains(&0) && lag.contains(&1), "{lag:?}");
}

#[test]
fn a_charge_is_updated_some_seconds_later_as_it_is_then() {
    let world = played(ApiVersion::Newest, vec![named("1", 4200), card(1), refund(1, 4200, RefundStart::Succeeded)]);
    let (paid, updated) = (only(&world, "charge.succeeded"), only(&world, "charge.updated"));
    assert_eq!(updated.created, paid.created + 3);
    assert_eq!(updated.body["data"]["object"]["amount_refunded"], 4200);
}

#[test]
fn the_shop_says_only_what_it_knows() {
    let expectation =
        Expectation { reference: "1".into(), email: Some("ada@example.com".into()), ..Expectation::default() };
    let world = played(ApiVersion::Newest, vec![Action::Register(expectation)]);
    let Delivery::Put { body, .. } = &world.deliveries[0] else { panic!("no Put") };
    assert_eq!(body, &json!({ "email": "ada@example.com" }));
}
