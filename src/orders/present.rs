//! What messages and the API show of an order beside its columns: read from its facts, kept in no column of its own.

use chrono::DateTime;

use super::attempt::{Attempt, Payment};
use super::customer;
use super::facts::charge::Charge;
use super::facts::label::Metadata;
use super::facts::refund::Refund;
use super::facts::{Component, Facts};
use super::order::{Order, Status};
use super::reading::Reading;
use super::store::read_facts;
use super::{Labelling, OrderRow};
use crate::notices::{OrderDetails, PaymentView, RefundView};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What the columns of an order don't hold, from its stored facts.
///
/// # Errors
/// Says that the facts cannot be read.
pub fn details(facts: &str, labelling: &Labelling) -> Result<OrderDetails, String> {
    Ok(of(&read_facts(facts)?, &labelling.metadata_key))
}

/// An order as the API and the command line show it.
pub fn shown(order: &OrderRow, labelling: &Labelling) -> Value {
    let mut shown = json!(order);
    match details(&order.facts, labelling) {
        Ok(details) => {
            if let (Some(shown), Value::Object(details)) = (shown.as_object_mut(), json!(details)) {
                shown.extend(details);
            }
        }
        Err(error) => log::error!(order = order.reference, error = error; "an order is shown without its payments"),
    }
    shown
}

/// The same from facts.
pub(super) fn of(facts: &Facts, metadata_key: &str) -> OrderDetails {
    let reading = Reading::of(facts);
    let order = Order::of("", &reading);
    let components = || reading.attempts.iter().map(|attempt| &attempt.component);
    OrderDetails {
        amount_credited: order.amount_credited,
        tip: order.tip,
        metadata: components().find_map(|it| metadata(it, metadata_key)).unwrap_or_default(),
        client_reference_id: components().find_map(Component::client_reference).map(str::to_owned),
        payments: reading.attempts.iter().flat_map(|attempt| payments(&reading, attempt)).collect(),
    }
}

/// Metadata of the newest object at the best rank: of a session or an intent, else of an invoice, else of a charge.
fn metadata(component: &Component<'_>, key: &str) -> Option<BTreeMap<String, String>> {
    let sessions = component.sessions.iter().map(|(_, it)| (it.now.at, &it.now.is.metadata));
    let intents = component.payment_intents.iter().map(|(_, it)| (it.now.at, &it.now.is.metadata));
    let invoices = component.invoices.iter().map(|(_, it)| (it.now.at, &it.now.is.metadata));
    let charges = component.charges.iter().map(|(_, it)| (it.now.at, &it.now.is.metadata));
    let best = [sessions.chain(intents).collect::<Vec<_>>(), invoices.collect(), charges.collect()];
    Some(best.into_iter().find_map(newest)?.whole(key))
}

fn newest(said: Vec<(i64, &Metadata)>) -> Option<&Metadata> {
    said.into_iter().filter(|(_, said)| !said.is_empty()).max_by_key(|(at, _)| *at).map(|(_, said)| said)
}

/// The payments of an attempt that brought money; else the attempt as one that was only tried.
fn payments(reading: &Reading<'_>, attempt: &Attempt<'_>) -> Vec<PaymentView> {
    if attempt.payments.is_empty() {
        return vec![tried(reading, attempt)];
    }
    attempt.payments.iter().map(|payment| view(reading, attempt, payment)).collect()
}

fn view(reading: &Reading<'_>, attempt: &Attempt<'_>, payment: &Payment<'_>) -> PaymentView {
    let intent = payment.intent.map(|_| payment.name);
    let charge = payment.captured().next().or(payment.charges.last().copied());
    let whole = payment.seen(payment.paid);
    PaymentView {
        payment_intent: intent.map(str::to_owned).or(of_component(attempt).payment_intent),
        status: status(attempt, payment).as_str().to_owned(),
        amount: payment.paid,
        currency: payment.currency.map(str::to_owned),
        presentment_amount: whole.map(|(amount, _)| amount),
        presentment_currency: whole.map(|(_, currency)| currency.to_owned()),
        amount_refunded: payment.refunded,
        amount_lost: payment.lost,
        customer_email: customer::own_of_payment(attempt, payment).map(str::to_owned),
        paid_at: payment.at.filter(|at| *at > 0 && payment.arrived).and_then(|at| DateTime::from_timestamp(at, 0)),
        refunds: payment.refunds.iter().map(|(id, refund)| refund_view(id, refund)).collect(),
        names: std::iter::once(payment.name).chain(payment.also.iter().copied()).map(str::to_owned).collect(),
        mail_to: customer::of_payment(reading, attempt, payment).map(str::to_owned),
        ..charged(charge, with_payer(reading, attempt))
    }
}

/// An attempt that brought no money.
fn tried(reading: &Reading<'_>, attempt: &Attempt<'_>) -> PaymentView {
    PaymentView {
        status: attempt.state.as_str().to_owned(),
        currency: attempt.price.map(|price| price.currency.to_owned()),
        customer_email: customer::own_of_attempt(attempt).map(str::to_owned),
        mail_to: customer::of_payer(reading, attempt).map(str::to_owned),
        ..charged(attempt.component.charges.last().copied(), with_payer(reading, attempt))
    }
}

fn with_payer(reading: &Reading<'_>, attempt: &Attempt<'_>) -> PaymentView {
    PaymentView {
        names: attempt.names().into_iter().map(str::to_owned).collect(),
        customer_name: customer::name_of(reading, attempt),
        locale: customer::locale_of(reading, attempt),
        ..of_component(attempt)
    }
}

fn of_component(attempt: &Attempt<'_>) -> PaymentView {
    let component = &attempt.component;
    PaymentView {
        payment_intent: component.payment_intents.first().map(|(id, _)| (*id).to_owned()),
        session: component.sessions.first().map(|(id, _)| (*id).to_owned()),
        invoice: component.invoices.first().map(|(id, _)| (*id).to_owned()),
        ..PaymentView::default()
    }
}

fn charged(charge: Option<(&str, &Charge)>, view: PaymentView) -> PaymentView {
    PaymentView {
        charge: charge.map(|(id, _)| id.to_owned()),
        method: charge.and_then(|(_, charge)| charge.now.is.method.clone()),
        ..view
    }
}

fn refund_view(id: &str, refund: &Refund) -> RefundView {
    let state = &refund.now.is;
    RefundView {
        id: Some(id.to_owned()),
        amount: state.amount,
        status: state.status.as_str().to_owned(),
        created: Some(state.created).filter(|at| *at > 0).and_then(|at| DateTime::from_timestamp(at, 0)),
        reason: state.reason.clone(),
    }
}

/// How one payment stands, as an order's `money_status` would say it.
fn status(attempt: &Attempt<'_>, payment: &Payment<'_>) -> Status {
    match payment {
        _ if payment.disputed => Status::Disputed,
        _ if payment.paid > 0 && !payment.holds_money() && payment.lost > 0 => Status::Lost,
        _ if payment.paid > 0 && !payment.holds_money() => Status::Refunded,
        _ if payment.refunded > 0 => Status::PartiallyRefunded,
        _ if payment.arrived => Status::Paid,
        _ if payment.paid > 0 => Status::PartiallyPaid,
        _ => attempt.state,
    }
}
