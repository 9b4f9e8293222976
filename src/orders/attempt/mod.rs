//! One attempt to pay, added up: what came in, what went back, and how it stands.

mod belonging;
mod price;
mod standing;
mod sums;

pub use self::belonging::concerns;
pub use self::price::Price;
use self::price::{Exchange, exchange, price};
use super::facts::payment_intent::PaymentIntent;
use super::facts::refund::Refund;
use super::facts::{Component, ObjectKind};
use super::order::Status;

/// An attempt to pay, in numbers. Amounts are in the attempt's currency, which is the shop's own where a customer
/// paid in another one.
#[derive(Debug)]
pub struct Attempt<'a> {
    /// Its facts.
    pub component: Component<'a>,
    /// What was asked for.
    pub price: Option<Price<'a>>,
    /// What came in.
    pub paid: i64,
    /// All that was asked for came in, even if that is nothing.
    pub full: bool,
    /// What went back. Zero while no payment is known: a refund that comes first waits for its payment.
    pub refunded: i64,
    /// What disputes took for good.
    pub lost: i64,
    /// A dispute is open.
    pub disputed: bool,
    /// How it stands apart from money that came in: `authorized` and below.
    pub state: Status,
    /// The refunds that took something back of what was paid.
    pub refunds: Vec<(&'a str, &'a Refund)>,
    exchange: Option<Exchange<'a>>,
}

/// One payment of an attempt, as messages count them.
#[derive(Debug)]
pub struct Payment<'a> {
    /// Payment intent, else invoice, else session, else charge.
    pub name: &'a str,
    /// The other names under which it may have been told already.
    pub also: Vec<&'a str>,
    /// What came in, in `currency`.
    pub amount: i64,
    /// As it was paid.
    pub currency: Option<&'a str>,
    /// When it arrived, in unix seconds, by the first that is known to say so.
    pub at: Option<i64>,
    /// Where a payment intent is the payment.
    pub intent: Option<&'a PaymentIntent>,
}

impl<'a> Attempt<'a> {
    /// Adds it up.
    pub fn of(component: Component<'a>) -> Self {
        let exchange = exchange(&component);
        let mut attempt = Self {
            price: price(&component),
            state: standing::state(&component),
            refunds: belonging::refunds(&component),
            component,
            paid: 0,
            full: false,
            refunded: 0,
            lost: 0,
            disputed: false,
            exchange,
        };
        attempt.paid = attempt.came_in();
        attempt.full = attempt.is_full();
        if attempt.paid > 0 {
            attempt.refunded = attempt.went_back();
            attempt.lost = attempt.was_lost();
            attempt.disputed = attempt.component.disputes.iter().any(|(_, dispute)| !dispute.now.is.status.closed());
        }
        attempt
    }

    /// Money came in, or nothing had to.
    pub fn settled(&self) -> bool {
        self.full || self.paid > 0
    }

    /// A subscription's renewal was paid.
    pub fn is_renewal(&self) -> bool {
        self.component.invoices.iter().any(|(_, invoice)| invoice.paid() && invoice.now.is.renewal)
    }

    /// Money is still there.
    pub fn holds_money(&self) -> bool {
        self.paid > self.refunded.saturating_add(self.lost)
    }

    /// Money was there, and all of it is gone.
    pub fn emptied(&self) -> bool {
        self.paid > 0 && !self.holds_money()
    }

    /// The payments that arrived. Each succeeded payment intent is one; where none is known yet, whatever else says
    /// that money arrived. What was a payment stays one under this or another of its names.
    pub fn payments(&self) -> Vec<Payment<'a>> {
        let intents: Vec<_> = self.component.payment_intents.iter().filter(|(_, intent)| intent.succeeded()).collect();
        let is_payment = |id: &str| intents.iter().any(|(name, _)| *name == id);
        let named = self.component.names.iter().filter(|(kind, _)| *kind != ObjectKind::Other).map(|(_, id)| *id);
        let others: Vec<&str> = named.filter(|id| !is_payment(id)).collect();
        if intents.is_empty() {
            let paid_invoice =
                self.component.invoices.iter().any(|(_, invoice)| invoice.paid() && invoice.now.is.paid > 0);
            let paid_session = self.component.sessions.iter().any(|(_, session)| session.paid());
            let paid = paid_invoice || paid_session || self.direct_charges().next().is_some();
            let (name, also) = others.split_first().map_or(("", Vec::new()), |(name, also)| (*name, also.to_vec()));
            let currency = self.price.map(|price| price.currency);
            let payment = Payment { name, also, amount: self.paid, currency, at: self.paid_at(), intent: None };
            return if paid { vec![payment] } else { Vec::new() };
        }
        let payment = |(name, intent): &&(&'a str, &'a PaymentIntent)| Payment {
            name,
            also: others.clone(),
            amount: intent.now.is.received,
            currency: Some(&intent.now.is.currency),
            at: Some(intent.now.at),
            intent: Some(intent),
        };
        intents.iter().map(payment).collect()
    }

    /// When money arrived that no payment intent tells of.
    fn paid_at(&self) -> Option<i64> {
        let invoices = self.component.invoices.iter().filter(|(_, invoice)| invoice.paid()).map(|(_, i)| i.now.at);
        let sessions = self.component.sessions.iter().filter(|(_, session)| session.paid()).map(|(_, s)| s.now.at);
        let charges = self.direct_charges().map(|charge| charge.now.at);
        invoices.chain(sessions).chain(charges).min()
    }
}
