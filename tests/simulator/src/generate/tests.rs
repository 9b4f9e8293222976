use std::collections::{BTreeMap, BTreeSet};

use proptest::strategy::{Strategy, ValueTree};

use super::*;
use crate::{Owed, play, scripts};

/// Statuses, reasons and event types that random worlds must reach, or they say nothing about them.
#[test]
fn random_worlds_reach_what_there_is() {
    let mut statuses: BTreeMap<String, usize> = BTreeMap::new();
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let mut kinds: BTreeSet<String> = BTreeSet::new();
    let mut owed: BTreeSet<Owed> = BTreeSet::new();
    for script in samples(1000) {
        let world = play(&script);
        kinds.extend(world.events().map(|event| event.kind.clone()));
        owed.extend(world.books.refunds().iter().flat_map(|refund| [refund.made, refund.failed]));
        for order in world.books.orders {
            *statuses.entry(order.money_status).or_default() += 1;
            for reason in order.review_reasons {
                *reasons.entry(reason).or_default() += 1;
            }
        }
    }
    let reached: Vec<&str> =
        statuses.iter().filter(|(_, count)| **count >= 3).map(|(status, _)| status.as_str()).collect();
    assert_eq!(
        reached,
        [
            "authorized",
            "awaiting_funds",
            "canceled",
            "disputed",
            "expired",
            "failed",
            "lost",
            "paid",
            "partially_paid",
            "partially_refunded",
            "pending",
            "refunded",
            "requires_action"
        ],
        "{statuses:?}"
    );
    let reached: Vec<&str> =
        reasons.iter().filter(|(_, count)| **count >= 3).map(|(reason, _)| reason.as_str()).collect();
    assert_eq!(
        reached,
        [
            "amount_mismatch",
            "double_payment",
            "fraud_warning",
            "invoice_overpaid",
            "refund_above_payment",
            "review_opened",
            "shared_reference"
        ],
        "{reasons:?}"
    );
    assert_eq!(owed.len(), 3);
    let reached = [
        "charge.captured",
        "charge.dispute.closed",
        "charge.dispute.created",
        "charge.dispute.funds_reinstated",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.updated",
        "charge.expired",
        "charge.failed",
        "charge.pending",
        "charge.refund.updated",
        "charge.refunded",
        "charge.succeeded",
        "charge.updated",
        "checkout.session.async_payment_failed",
        "checkout.session.async_payment_succeeded",
        "checkout.session.completed",
        "checkout.session.expired",
        "credit_note.created",
        "customer.created",
        "customer.subscription.created",
        "invoice.created",
        "invoice.finalized",
        "invoice.overpaid",
        "invoice.paid",
        "invoice.payment_failed",
        "invoice.payment_succeeded",
        "invoice.updated",
        "invoice.voided",
        "invoice_payment.paid",
        "payment_intent.amount_capturable_updated",
        "payment_intent.canceled",
        "payment_intent.created",
        "payment_intent.partially_funded",
        "payment_intent.payment_failed",
        "payment_intent.processing",
        "payment_intent.requires_action",
        "payment_intent.succeeded",
        "payout.paid",
        "radar.early_fraud_warning.created",
        "refund.created",
        "refund.failed",
        "refund.updated",
        "review.closed",
        "review.opened",
    ];
    assert_eq!(kinds.iter().map(String::as_str).collect::<Vec<_>>(), reached);
}

#[test]
fn a_script_is_played_alike_each_time() {
    for script in samples(20) {
        let (one, other) = (play(&script), play(&script));
        assert_eq!(one.books, other.books);
        let bodies = |world: &crate::World| world.events().map(|event| event.body.to_string()).collect::<Vec<_>>();
        assert_eq!(bodies(&one), bodies(&other));
    }
}

#[test]
fn worlds_without_releases_have_none_and_the_others_some() {
    let released = |script: &Script| {
        play(script).deliveries.iter().filter(|delivery| matches!(delivery, crate::Delivery::Release { .. })).count()
    };
    assert_eq!(samples(100).iter().map(released).sum::<usize>(), 0);
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let worlds = world_with_releases();
    let scripts = (0..200).map(|_| worlds.new_tree(&mut runner).expect("a script can be made").current());
    assert!(scripts.map(|script| released(&script)).sum::<usize>() >= 5);
}

#[test]
fn each_delivery_arrives_and_a_release_keeps_its_place() {
    let world = play(&scripts::named("shared_link_released").expect("it is there").script);
    let release = world.deliveries.iter().position(|delivery| matches!(delivery, crate::Delivery::Release { .. }));
    let release = release.expect("it has a release");
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..50 {
        let (order, cuts) = delivery_of(&world).new_tree(&mut runner).expect("an order").current();
        assert_eq!(order.len(), cuts.len());
        assert_eq!(order.iter().collect::<BTreeSet<_>>().len(), world.deliveries.len());
        let at = order.iter().position(|index| *index == release).expect("it is released");
        assert!(order[..at].iter().all(|index| *index < release));
        assert!(order[at + 1..].iter().all(|index| *index > release));
        let (order, _) = delivery(7).new_tree(&mut runner).expect("an order").current();
        assert_eq!(order.into_iter().collect::<BTreeSet<_>>(), (0..7).collect());
    }
}
