//! One attempt to pay an order: a component, and its money.

use std::collections::BTreeSet;

use super::component::{Component, Label};
use super::payment::{PaymentBook, Shared};
use crate::stripe::{IntentState, InvoiceState, SessionState, Stripe};
use crate::{ApiVersion, Expectation, Slot};

/// A component as an order sees it. Amounts are in the order's currency.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub label: Option<Label>,
    pub ids: BTreeSet<String>,
    pub currency: String,
    pub email: Option<String>,
    pub payments: Vec<PaymentBook>,
    pub paid: i64,
    pub refunded: i64,
    pub lost: i64,
    pub credited: i64,
    pub tip: i64,
    /// What was asked, without the tip; and without shipping, tax and discounts.
    pub asked: i64,
    pub asked_subtotal: i64,
    /// Whether its object says that it is paid.
    pub complete: bool,
    /// Where no money came yet.
    pub state: &'static str,
    pub disputed: bool,
    /// Reasons for review that its objects bear by themselves.
    pub noticed: Vec<&'static str>,
}

impl Attempt {
    pub fn of(
        version: ApiVersion,
        stripe: &Stripe,
        component: &Component,
        label: Option<Label>,
        expectation: Option<&Expectation>,
    ) -> Self {
        let payer = expectation.and_then(|expectation| expectation.email.as_ref());
        let shared = Shared { version, stripe, component, payer };
        let mut payments: Vec<PaymentBook> = component.intents(stripe).map(|intent| shared.payment(intent)).collect();
        if component.intents.is_empty() {
            payments.extend(shared.payment_without_intent());
        }
        let email = payments.iter().find_map(|payment| payment.payer.clone()).or_else(|| shared.address(None));
        let tip = component.intents(stripe).filter(|i| i.amount_received > 0).map(|intent| intent.tip).sum();
        let (asked, asked_subtotal) = asked(stripe, component);
        let disputed = component.intents.iter().any(|slot| stripe.disputes_of(*slot).any(|d| d.state.is_open()));
        let paid_invoices = || component.invoices(stripe).filter(|invoice| invoice.state == InvoiceState::Paid);
        Self {
            ids: component.ids(stripe),
            currency: currency(stripe, component),
            email,
            paid: payments.iter().map(|payment| payment.amount).sum(),
            refunded: payments.iter().map(|payment| payment.amount_refunded).sum(),
            lost: payments.iter().map(|payment| payment.amount_lost).sum(),
            credited: paid_invoices().map(crate::stripe::Invoice::credited).sum(),
            tip,
            asked,
            asked_subtotal,
            complete: is_complete(stripe, component, &payments),
            state: state(stripe, component),
            disputed,
            noticed: noticed(stripe, component),
            payments,
            label,
        }
    }

    /// Whether something of its money is still the shop's.
    pub fn holds_money(&self) -> bool {
        self.paid - self.refunded - self.lost > 0
    }

    /// What it brought if it is complete, else what was asked.
    pub fn price(&self) -> i64 {
        if self.complete { self.paid - self.tip } else { self.asked }
    }

    /// What its payments still come to. What a dispute took in part was not given back.
    pub fn comes_to(&self) -> i64 {
        self.paid - self.tip - self.refunded
    }
}

fn noticed(stripe: &Stripe, component: &Component) -> Vec<&'static str> {
    let about = |slots: &[Slot]| component.intents.iter().any(|slot| slots.contains(slot));
    let overpaid = component.invoices(stripe).any(|invoice| invoice.amount_overpaid > 0);
    let reasons = [
        ("invoice_overpaid", overpaid),
        ("fraud_warning", about(&stripe.warned)),
        ("review_opened", about(&stripe.reviewed)),
    ];
    reasons.into_iter().filter(|(_, holds)| *holds).map(|(reason, _)| reason).collect()
}

fn is_complete(stripe: &Stripe, component: &Component, payments: &[PaymentBook]) -> bool {
    if component.invoices.is_empty() {
        payments.iter().any(|payment| payment.complete)
    } else {
        component.invoices(stripe).all(|invoice| invoice.state == InvoiceState::Paid)
    }
}

/// What was asked, in the shop's currency: total and subtotal.
fn asked(stripe: &Stripe, component: &Component) -> (i64, i64) {
    if !component.invoices.is_empty() {
        let due = component.invoices(stripe).map(crate::stripe::Invoice::amount_due).sum();
        return (due, due);
    }
    if let Some(session) = component.sessions(stripe).next() {
        return match &session.conversion {
            Some(conversion) => (conversion.source.amount, conversion.source_subtotal),
            None => (session.amount_total, session.amount_subtotal),
        };
    }
    let asked = component.intents(stripe).map(|intent| intent.amount - intent.tip).sum();
    (asked, asked)
}

fn currency(stripe: &Stripe, component: &Component) -> String {
    let session = component.sessions(stripe).next();
    let of_session = session.map(|session| match &session.conversion {
        Some(conversion) => conversion.source.currency.clone(),
        None => session.currency.clone(),
    });
    let of_intent = component.intents(stripe).next().map(|intent| intent.currency.clone());
    let of_invoice = component.invoices(stripe).next().map(|invoice| invoice.currency.clone());
    of_session.or(of_intent).or(of_invoice).unwrap_or_default()
}

/// From the first that holds to the last.
pub(super) const STATES: [&str; 7] =
    ["authorized", "awaiting_funds", "requires_action", "failed", "canceled", "expired", "pending"];

fn state(stripe: &Stripe, component: &Component) -> &'static str {
    let intents = component.intents(stripe).map(|intent| match intent.state {
        IntentState::RequiresCapture => "authorized",
        IntentState::Processing => "awaiting_funds",
        IntentState::RequiresAction => "requires_action",
        IntentState::RequiresPaymentMethod if intent.declined => "failed",
        IntentState::Canceled => "canceled",
        IntentState::RequiresPaymentMethod | IntentState::Succeeded => "pending",
    });
    let sessions =
        component.sessions(stripe).filter(|session| session.state == SessionState::Expired).map(|_| "expired");
    let invoices = component.invoices(stripe).map(|invoice| match invoice.state {
        InvoiceState::Void => "canceled",
        InvoiceState::Open if invoice.attempts > 0 => "failed",
        InvoiceState::Open | InvoiceState::Draft | InvoiceState::Paid => "pending",
    });
    let states: Vec<&str> = intents.chain(sessions).chain(invoices).collect();
    STATES.into_iter().find(|state| states.contains(state)).unwrap_or("pending")
}
