//! One payment: what it brought, what went back, and who is told of it.

use super::component::Component;
use crate::stripe::{
    Conversion, DisputeState, Intent, IntentState, Invoice, InvoiceState, Refund, Session, Stripe, scale,
};
use crate::{ApiVersion, Slot};

/// One payment of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentBook {
    /// `pi_…`
    pub payment_intent: Option<String>,
    /// The charge that was not refused.
    pub charge: Option<String>,
    /// The checkout session.
    pub session: Option<String>,
    /// The invoice, or the first of several.
    pub invoice: Option<String>,
    /// What it brought, in the order's currency.
    pub amount: i64,
    /// What went back.
    pub amount_refunded: i64,
    /// What a dispute took for good.
    pub amount_lost: i64,
    /// The order's currency.
    pub currency: String,
    /// What the customer saw and was charged.
    pub presentment: Presented,
    /// Whether the customer is told that it is paid: not while captures are under way.
    pub complete: bool,
    /// Where messages about this payment go.
    pub payer: Option<String>,
    /// Its refunds, those too that failed.
    pub refunds: Vec<RefundBook>,
}

/// A payment as the customer sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presented {
    /// The currency that the customer was charged in.
    pub currency: String,
    /// What was paid.
    pub amount: i64,
    /// What went back.
    pub amount_refunded: i64,
}

/// One refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundBook {
    /// `re_…`
    pub id: String,
    /// In the order's currency.
    pub amount: i64,
    /// In the currency that the customer sees.
    pub amount_presented: i64,
    /// `status` at rest.
    pub status: String,
    /// Whether the customer is told that it was made.
    pub made: Owed,
    /// Whether the customer is told that it failed.
    pub failed: Owed,
}

/// Whether something is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owed {
    /// Once, whatever the sequence of deliveries.
    Always,
    /// Never.
    Never,
    /// Both that it was made and that it failed, or neither of the two.
    Together,
}

/// What the payments of one component share.
pub(super) struct Shared<'a> {
    pub version: ApiVersion,
    pub stripe: &'a Stripe,
    pub component: &'a Component,
    pub payer: Option<&'a String>,
}

impl Shared<'_> {
    fn session(&self) -> Option<&Session> {
        self.component.sessions(self.stripe).next()
    }

    fn conversion(&self) -> Option<&Conversion> {
        self.session().and_then(|session| session.conversion.as_ref())
    }

    /// The session's address, else the invoice's, the receipt's, that of the billing details.
    pub fn address(&self, intent: Option<&Intent>) -> Option<String> {
        let complete = |session: &&Session| session.state == crate::stripe::SessionState::Complete;
        let session = self.component.sessions(self.stripe).filter(complete).find_map(|session| session.email.clone());
        let invoice = self.component.invoices(self.stripe).find_map(|invoice| invoice.email.clone());
        let receipt = intent.and_then(|intent| intent.receipt_email.clone());
        let billing = intent.and_then(|intent| intent.charges.iter().rev().find_map(|charge| charge.email.clone()));
        session.or(invoice).or(receipt).or(billing)
    }

    /// The payment that an intent is.
    pub fn payment(&self, intent: &Intent) -> PaymentBook {
        let back = |amount| self.conversion().map_or(amount, |conversion| conversion.back(amount));
        let refunded = self.stripe.live_refunds(intent.payment);
        let lost: i64 = self.lost(intent.payment);
        let refunds = self.stripe.refunds_of(intent.payment);
        PaymentBook {
            payment_intent: Some(intent.id.clone()),
            charge: intent.charge().map(|charge| charge.id.clone()),
            session: self.session().map(|session| session.id.clone()),
            invoice: self.component.invoices(self.stripe).next().map(|invoice| invoice.id.clone()),
            amount: back(intent.amount_received),
            amount_refunded: back(refunded),
            amount_lost: back(lost),
            currency: self.conversion().map_or(&intent.currency, |conversion| &conversion.source.currency).clone(),
            presentment: presented(intent, refunded),
            complete: intent.state == IntentState::Succeeded,
            payer: self.payer.cloned().or_else(|| self.address(Some(intent))),
            refunds: refunds.map(|refund| self.refund(intent, refund, back(refund.amount))).collect(),
        }
    }

    fn lost(&self, payment: Slot) -> i64 {
        let lost = |state| state == DisputeState::Lost;
        self.stripe.disputes_of(payment).filter(|dispute| lost(dispute.state)).map(|dispute| dispute.amount).sum()
    }

    fn refund(&self, intent: &Intent, refund: &Refund, amount: i64) -> RefundBook {
        let presented = if intent.presentment.is_some() { refund.presented } else { None };
        let (made, failed) = owed(self.version, refund);
        RefundBook {
            id: refund.id.clone(),
            amount,
            amount_presented: presented.unwrap_or(refund.amount),
            status: refund.state.name().to_owned(),
            made,
            failed,
        }
    }

    /// A payment without an intent: a free session, or an invoice that was paid by other means.
    pub fn payment_without_intent(&self) -> Option<PaymentBook> {
        let invoices = || self.component.invoices(self.stripe).filter(|invoice| invoice.state == InvoiceState::Paid);
        let free = |session: &Session| session.payment_status == crate::stripe::PaymentStatus::NoPaymentRequired;
        let session = self.session();
        let amount: i64 = invoices().map(|invoice| invoice.amount_paid).sum();
        let invoice: Option<&Invoice> = invoices().next();
        if invoice.is_none() && !session.is_some_and(|session| free(session) && session.subscription.is_none()) {
            return None;
        }
        let currency = invoice.map(|invoice| &invoice.currency).or(session.map(|session| &session.currency));
        let currency = currency.cloned().unwrap_or_default();
        Some(PaymentBook {
            payment_intent: None,
            charge: None,
            session: session.map(|session| session.id.clone()),
            invoice: invoice.map(|invoice| invoice.id.clone()),
            amount,
            amount_refunded: 0,
            amount_lost: 0,
            currency: currency.clone(),
            presentment: Presented { currency, amount, amount_refunded: 0 },
            complete: true,
            payer: self.payer.cloned().or_else(|| self.address(None)),
            refunds: Vec::new(),
        })
    }
}

fn presented(intent: &Intent, refunded: i64) -> Presented {
    match &intent.presentment {
        Some(seen) => Presented {
            currency: seen.currency.clone(),
            amount: scale(intent.amount_received, seen.amount, intent.amount),
            amount_refunded: scale(refunded, seen.amount, intent.amount),
        },
        None => {
            Presented { currency: intent.currency.clone(), amount: intent.amount_received, amount_refunded: refunded }
        }
    }
}

/// Without refund events a refund shows as a step of the sum, pending or not.
fn owed(version: ApiVersion, refund: &Refund) -> (Owed, Owed) {
    let seen = refund.succeeded || !version.has_refund_events();
    match (seen, refund.state.is_live()) {
        (false, _) => (Owed::Never, Owed::Never),
        (true, true) => (Owed::Always, Owed::Never),
        (true, false) => (Owed::Together, Owed::Together),
    }
}
