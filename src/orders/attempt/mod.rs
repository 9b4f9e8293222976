//! One attempt to pay, added up: its payments, what came in, what went back, and how it stands.

mod belonging;
mod payment;
mod price;
mod standing;
mod sums;

pub use self::belonging::concerns;
pub use self::payment::Payment;
pub use self::price::Price;
use self::price::{Exchange, exchange, price};
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
    /// The payments that brought money, or that had to bring none.
    pub payments: Vec<Payment<'a>>,
    /// What came in.
    pub paid: i64,
    /// What the customer's balance at the shop paid.
    pub credited: i64,
    /// Tips, part of `paid`.
    pub tip: i64,
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
    exchange: Option<Exchange<'a>>,
}

impl<'a> Attempt<'a> {
    /// Adds it up.
    pub fn of(component: Component<'a>) -> Self {
        let (price, exchange) = (price(&component), exchange(&component));
        let mut payments = payment::payments(&component, price.as_ref());
        sums::add_up(&component, &mut payments);
        let mut attempt = Self {
            price,
            state: standing::state(&component),
            credited: component.invoices.iter().map(|(_, invoice)| invoice.credited()).sum(),
            component,
            payments,
            paid: 0,
            tip: 0,
            full: false,
            refunded: 0,
            lost: 0,
            disputed: false,
            exchange,
        };
        attempt.paid = attempt.total(|payment| payment.paid);
        attempt.tip = attempt.total(|payment| payment.tip);
        attempt.refunded = attempt.total(|payment| payment.refunded);
        attempt.lost = attempt.total(|payment| payment.lost);
        attempt.full = sums::is_full(&attempt.component, attempt.paid);
        attempt.disputed = attempt.payments.iter().any(|payment| payment.disputed);
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
        self.payments.iter().any(Payment::holds_money)
    }

    /// Money was there, and all of it is gone.
    pub fn emptied(&self) -> bool {
        self.paid > 0 && !self.holds_money()
    }

    /// What the payments that hold money still come to; those of an invoice count as one. Tips are beside the price; what a
    /// dispute took in part was not given back.
    pub fn comes_to(&self) -> i64 {
        let kept = |payment: &Payment<'_>| payment.paid.saturating_sub(payment.tip).saturating_sub(payment.refunded);
        let are_one = !self.component.invoices.is_empty();
        let held = self.total(|payment| if are_one || payment.holds_money() { kept(payment) } else { 0 });
        held.saturating_add(self.credited)
    }

    /// What it had to come to: what was asked for, and of a payment that was captured in part what it brought.
    pub fn own_price(&self) -> i64 {
        let brought = self.paid.saturating_sub(self.tip);
        let due: Vec<i64> = self.component.invoices.iter().filter_map(|(_, invoice)| invoice.counted_due()).collect();
        match self.price {
            Some(price) if !self.full => price.total,
            _ if due.is_empty() => brought.saturating_add(self.credited),
            _ => brought.min(due.into_iter().sum()).saturating_add(self.credited),
        }
    }

    /// Every name but those of refunds and the like, best first.
    pub fn names(&self) -> Vec<&'a str> {
        self.component.names.iter().filter(|(kind, _)| *kind != ObjectKind::Other).map(|(_, id)| *id).collect()
    }

    /// A sum over its payments in its currency. Sums are converted, never their parts, so that all of it comes to all of
    /// it.
    fn total(&self, part: impl Fn(&Payment<'a>) -> i64) -> i64 {
        let mut by_currency: Vec<(Option<&str>, i64)> = Vec::new();
        for payment in &self.payments {
            match by_currency.iter_mut().find(|(currency, _)| *currency == payment.currency) {
                Some((_, sum)) => *sum = sum.saturating_add(part(payment)),
                None => by_currency.push((payment.currency, part(payment))),
            }
        }
        let converted = by_currency.into_iter().map(|(currency, sum)| match (self.exchange, currency) {
            (Some(exchange), Some(currency)) => exchange.apply(sum, currency),
            _ => sum,
        });
        converted.fold(0, i64::saturating_add)
    }
}
