//! The orders that the API shows against the true books.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use stripe_simulator::{ApiVersion, Books, OrderBook, PaymentBook, RefundBook};

use super::ids::Ids;
use super::path;
use crate::support::server::Receiver;

/// Whether the orders are those of the books, in the list and each by its name.
pub async fn orders_equal(receiver: &Receiver, ids: &Ids, books: &Books, version: ApiVersion) -> Result<(), String> {
    let answer = receiver.api("/api/orders?limit=100").await;
    let listed = answer.json["data"].as_array().unwrap();
    let own: Vec<&Value> = listed.iter().filter(|order| ids.is_own(order["reference"].as_str().unwrap())).collect();
    let names: Vec<&str> = own.iter().map(|order| order["reference"].as_str().unwrap()).collect();
    if own.len() != books.orders.len() {
        let theirs: Vec<&str> = books.orders.iter().map(|book| &book.reference[..]).collect();
        return Err(format!("orders {names:?}, in the books {theirs:?}"));
    }
    for book in &books.orders {
        let is_it = |order: &&&Value| {
            let scope = order["account"] == book.account && order["livemode"] == book.livemode;
            scope && is_of(order["reference"].as_str().unwrap(), book)
        };
        let order = own.iter().find(is_it).ok_or_else(|| format!("no order {} of {names:?}", book.reference))?;
        let (ours, theirs) = (seen(order, book, version), true_of(book, version));
        if ours != theirs {
            return Err(format!("order {}:\n ours  {ours}\n books {theirs}\n{order:#}", book.reference));
        }
        answers_to_its_names(receiver, book, order).await?;
    }
    Ok(())
}

/// The order is found under its reference and under every id of Stripe's that it answers to.
async fn answers_to_its_names(receiver: &Receiver, book: &OrderBook, order: &Value) -> Result<(), String> {
    for name in book.also_known_as.iter().chain([&book.reference]) {
        let answer = receiver.api(&path(&book.account, book.livemode, name, "")).await;
        if answer.json != *order {
            return Err(format!("order {} is not found as {name}: {}", book.reference, answer.json));
        }
    }
    Ok(())
}

/// An order that no label names may be known by any of its payment intents.
fn is_of(reference: &str, book: &OrderBook) -> bool {
    let kind = |id: &str| id.split('_').next().map(str::to_owned);
    let alike = kind(reference) == kind(&book.reference) && reference.contains('_');
    reference == book.reference || (alike && book.also_known_as.contains(reference))
}

fn seen(order: &Value, book: &OrderBook, version: ApiVersion) -> Value {
    let reasons: BTreeSet<&str> =
        order["review_reasons"].as_array().unwrap().iter().map(|reason| reason.as_str().unwrap()).collect();
    // An order with several payers has one of their addresses.
    let email = match order["customer_email"].as_str() {
        None => Some("none"),
        Some(email) => Some(email).filter(|email| !book.customer_emails.contains(*email)),
    };
    let payments = order["payments"].as_array().unwrap();
    let payments: BTreeSet<String> = payments.iter().filter_map(|payment| shown_payment(payment, version)).collect();
    json!({
        "status": order["status"], "money_status": money_status(order["money_status"].as_str().unwrap(), book),
        "review_reasons": reasons, "paid": order["amount_paid"], "refunded": order["amount_refunded"],
        "lost": order["amount_lost"], "credited": order["amount_credited"], "tip": order["tip"],
        "wrong_email": email, "payments": payments,
    })
}

fn true_of(book: &OrderBook, version: ApiVersion) -> Value {
    let email = book.customer_emails.is_empty().then_some("none");
    let (mut status, mut reasons) = (&book.status[..], book.review_reasons.clone());
    if gone_twice(book) {
        (status, _) = ("review", reasons.insert("refund_above_payment".to_owned()));
    }
    let payments: BTreeSet<String> =
        book.payments.iter().filter_map(|payment| true_payment(payment, version)).collect();
    json!({
        "status": status, "money_status": money_status(&book.money_status, book), "review_reasons": reasons,
        "paid": book.amount_paid, "refunded": book.amount_refunded, "lost": book.amount_lost,
        "credited": book.amount_credited, "tip": book.tip, "wrong_email": email, "payments": payments,
    })
}

/// Whether the order is in review at rest.
pub fn is_in_review(book: &OrderBook) -> bool {
    book.status == "review" || gone_twice(book)
}

/// Money is of a payment: one of several that was given back and lost needs a person, too.
fn gone_twice(book: &OrderBook) -> bool {
    book.payments.iter().any(|payment| payment.amount_refunded + payment.amount_lost > payment.amount)
}

/// Of money that was given back twice over, or came in beside what an invoice asks for, the law says only that a person
/// must look.
fn money_status<'a>(status: &'a str, book: &OrderBook) -> &'a str {
    let unsaid = ["refund_above_payment", "invoice_overpaid"];
    let is_unsaid = unsaid.iter().any(|reason| book.review_reasons.contains(*reason));
    if is_unsaid || gone_twice(book) { "unsaid" } else { status }
}

/// What a payment came to.
pub struct Sums {
    pub currency: String,
    pub amount: i64,
    pub refunded: i64,
    pub lost: i64,
}

/// A payment's sums as it shows and tells them. Before Basil a converted payment has the currency in which it was charged,
/// and only its session knows the shop's; the order's own sums are in the shop's in every version.
pub fn sums(payment: &PaymentBook, version: ApiVersion) -> Sums {
    if version.has_presentment_details() || payment.amount == 0 {
        let (currency, amount) = (payment.currency.clone(), payment.amount);
        return Sums { currency, amount, refunded: payment.amount_refunded, lost: payment.amount_lost };
    }
    let seen = &payment.presentment;
    let lost = payment.amount_lost * seen.amount / payment.amount;
    Sums { currency: seen.currency.clone(), amount: seen.amount, refunded: seen.amount_refunded, lost }
}

/// The amount of a refund, in the same currency as its payment's sums.
pub fn refund_amount(refund: &RefundBook, version: ApiVersion) -> i64 {
    if version.has_presentment_details() { refund.amount } else { refund.amount_presented }
}

/// One that moved money, with what of it moved; `None` of one that was only tried.
fn shown_payment(payment: &Value, version: ApiVersion) -> Option<String> {
    let text = |field: &str| payment[field].as_str().map(str::to_owned);
    let number = |field: &str| payment[field].as_i64().unwrap();
    let name = text("payment_intent").or(text("invoice")).or(text("session"));
    let refund = |refund: &Value| {
        format!("{} {} {}", refund["id"].as_str().unwrap_or("-"), refund["amount"], refund["status"].as_str().unwrap())
    };
    let refunds = payment["refunds"].as_array().unwrap().iter().map(refund).collect();
    let currency = text("currency").unwrap_or_default();
    let [amount, refunded, lost] = ["amount", "amount_refunded", "amount_lost"].map(number);
    line(name, &Sums { currency, amount, refunded, lost }, refunds, version)
}

fn true_payment(payment: &PaymentBook, version: ApiVersion) -> Option<String> {
    let name = [&payment.payment_intent, &payment.invoice, &payment.session].into_iter().flatten().next().cloned();
    let refund = |refund: &RefundBook| format!("{} {} {}", refund.id, refund_amount(refund, version), refund.status);
    line(name, &sums(payment, version), payment.refunds.iter().map(refund).collect(), version)
}

/// Refunds are compared where each has events of its own: before, only those that changed later are known by an object.
fn line(name: Option<String>, sums: &Sums, refunds: BTreeSet<String>, version: ApiVersion) -> Option<String> {
    let Sums { currency, amount, refunded, lost } = sums;
    let refunds = if version.has_refund_events() { refunds } else { BTreeSet::new() };
    let moved = *amount != 0 || *refunded != 0 || *lost != 0;
    moved.then(|| format!("{} {amount} {refunded} {lost} {currency} {refunds:?}", name.unwrap_or_default()))
}
