//! Sample data, with which every template is rendered at the start: each case that a mail has words for.

use chrono::{DateTime, TimeDelta, Utc};
use minijinja::Value;

use crate::notices::{About, LineView, OrderView, PaymentView};
use crate::outbox::letter::{self, Shop, Told};

/// What is shown of a sample.
#[derive(Clone)]
struct Sample {
    about: About,
    order: OrderView,
    payment: Option<PaymentView>,
}

/// The cases of the mail of that name: all that it can have, as little as there can be, and then each other that it has
/// words for. A template must take them all.
pub fn samples(stem: &str, locale: &str) -> Vec<(&'static str, Value)> {
    let lines =
        [line("Highland Tea <loose>", 2, Some(23_450)), line("Kettle", 1, Some(100_000)), line("A card", 1, None)];
    let confirms = ["order_paid", "order_renewed"].contains(&stem);
    let lines = if confirms { &lines[..] } else { &[] };
    let to_customer = !["order_disputed", "order_dispute_closed", "order_review"].contains(&stem);
    let values = |shop: &Shop, sample: &Sample, name: Option<&str>, lines: &[LineView]| {
        let Sample { about, order, payment } = sample;
        let payment = payment.as_ref();
        letter::values(
            shop,
            &Told { about, order, payment, to_customer, name, lines, at: at(), region: locale },
            locale,
        )
    };
    let full = full(stem);
    let bare = OrderView { currency: None, livemode: false, ..full.order.clone() };
    let least = Sample { about: About::default(), order: bare, payment: None };
    let nameless = Shop { url: None, logo: None, ..shop() };
    let mut all = vec![
        ("all that there can be", values(&shop(), &full, Some("Ada Lovelace"), lines)),
        ("as little as there can be", values(&nameless, &least, None, &[])),
    ];
    let others = cases(stem, &full);
    all.extend(others.into_iter().map(|(name, sample)| (name, values(&shop(), &sample, Some("Ada Lovelace"), lines))));
    all
}

fn at() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
}

fn shop() -> Shop {
    Shop {
        name: "Pipers & Sons".to_owned(),
        url: Some("https://shop.example.com".to_owned()),
        logo: Some("https://shop.example.com/logo.png".to_owned()),
        email: "desk@shop.example.com".to_owned(),
        locale: "en".to_owned(),
    }
}

fn line(description: &str, quantity: i64, amount: Option<i64>) -> LineView {
    LineView { description: description.to_owned(), quantity, amount }
}

fn full(stem: &str) -> Sample {
    let goes_on = ["order_awaiting_funds", "order_payment_failed"].contains(&stem);
    let order = OrderView {
        reference: "R-1042".to_owned(),
        status: "paid".to_owned(),
        money_status: if stem == "order_refunded" { "refunded" } else { "paid" }.to_owned(),
        currency: Some("eur".to_owned()),
        amount_expected: Some(123_450),
        amount_paid: 123_450,
        livemode: true,
        ..OrderView::default()
    };
    let about = About {
        object: "pi_3MtwBwLkdIwHu7ix28a3tqPa".to_owned(),
        amount: Some(123_450),
        currency: Some("eur".to_owned()),
        reason: Some(reason(stem).to_owned()),
        url: goes_on.then(|| "https://pay.example.com/next?a=1&b=2".to_owned()),
        due_by: (stem == "order_disputed").then_some(1_800_000_000),
        ..About::default()
    };
    Sample { about, order, payment: None }
}

fn reason(stem: &str) -> &'static str {
    match stem {
        "order_disputed" => "product_not_received",
        "order_dispute_closed" => "won",
        "events_missed" => "3 event(s), the oldest of 2026-11-24 08:00 UTC",
        "subscription_disabled" => "it has failed for 5 days",
        _ => "amount_mismatch",
    }
}

/// What else the mail of that name has words for.
fn cases(stem: &str, full: &Sample) -> Vec<(&'static str, Sample)> {
    let about = |change: fn(&mut About)| {
        let mut sample = full.clone();
        change(&mut sample.about);
        sample
    };
    let order = |change: fn(&mut OrderView)| {
        let mut sample = full.clone();
        change(&mut sample.order);
        sample
    };
    let verdict = |word: &str| {
        let mut sample = full.clone();
        sample.about.reason = Some(word.to_owned());
        sample
    };
    let partly_from_credit = |about: &mut About| {
        (about.amount, about.amount_credited) = (Some(100_000), Some(23_450));
    };
    let wholly_from_credit = |about: &mut About| (about.amount, about.amount_credited) = (Some(0), Some(123_450));
    match stem {
        "order_paid" => vec![
            ("a part of it arrived", part()),
            ("a part of it arrived, of a sum that nobody named", Sample { order: unnamed_sum(), ..part() }),
            ("partly from credit", about(partly_from_credit)),
            ("wholly from credit", about(wholly_from_credit)),
            ("in the customer's currency", about(|about| presented(about, 189_000))),
        ],
        "order_renewed" => vec![
            ("partly from credit", about(partly_from_credit)),
            ("wholly from credit", about(wholly_from_credit)),
            ("the first payment after a trial", order(|order| order.follows_trial = true)),
            ("the first payment after a trial, from credit", {
                let mut sample = about(wholly_from_credit);
                sample.order.follows_trial = true;
                sample
            }),
        ],
        "order_refunded" => vec![
            ("one of two payments, and the order stays paid", one_of_two("paid")),
            ("one of two payments, and the order stays paid in part", one_of_two("partially_paid")),
            ("one of two payments, of which nothing is known", Sample { payment: None, ..one_of_two("paid") }),
        ],
        "order_partially_refunded" => vec![("in the customer's currency", about(|about| presented(about, 3_780)))],
        "order_payment_failed" => {
            vec![("a subscription's", order(|order| order.subscription = Some("sub_1".to_owned())))]
        }
        "order_dispute_closed" => vec![
            ("lost", verdict("lost")),
            ("lost from the start", {
                let mut sample = verdict("lost");
                sample.about.lost_from_start = true;
                sample
            }),
            ("an inquiry", verdict("warning_closed")),
            ("prevented", verdict("prevented")),
            ("a verdict that is new to us", verdict("settled_elsewhere")),
        ],
        _ => Vec::new(),
    }
}

/// A deposit.
fn part() -> Sample {
    let mut sample = full("order_paid");
    "partially_paid".clone_into(&mut sample.order.money_status);
    sample.about.amount = Some(41_150);
    sample
}

fn unnamed_sum() -> OrderView {
    OrderView { amount_expected: None, ..part().order }
}

fn presented(about: &mut About, amount: i64) {
    (about.presentment_amount, about.presentment_currency) = (Some(amount), Some("cad".to_owned()));
}

/// A payment that was wholly given back, beside one that holds money.
fn one_of_two(money_status: &str) -> Sample {
    let mut sample = full("order_refunded");
    money_status.clone_into(&mut sample.order.money_status);
    sample.about.amount = Some(41_150);
    let payment = PaymentView {
        amount: 41_150,
        currency: Some("eur".to_owned()),
        paid_at: Some(at() - TimeDelta::days(3)),
        ..PaymentView::default()
    };
    sample.payment = Some(payment);
    sample
}
