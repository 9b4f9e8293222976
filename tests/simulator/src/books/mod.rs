//! The true books: what an order is when everything has arrived, judged by the written law.
//!
//! Money comes from what was done: charges captured, refunds that live, disputes lost. Which payments are one order comes
//! from what Stripe has told: a label that no event ever showed names nothing.
//!
//! Where the law leaves room, the books read it so:
//!
//! - A payment's own price is what it brought, without the tip, once its object is complete; before, it is what was asked.
//! - Several payments of one invoice are one attempt: they are not a double payment.
//! - What was captured of an authorisation is paid, also while more captures may come; it is told when the last has come.
//! - An inquiry that is open is a dispute that is open.
//! - An invoice that was voided is `canceled`; one that is open after a decline is `failed`.
//! - A fraud warning stays a reason for review until a person releases the order.
//! - A converted sum is rounded half up.

mod attempt;
mod component;
mod ledger;
mod payment;
mod review;
mod status;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub use ledger::{Ledger, RefundTelling};
pub use payment::{Owed, PaymentBook, Presented, RefundBook};
pub(crate) use review::Matter;

use crate::stripe::Stripe;
use crate::{ApiVersion, Expectation};
use attempt::Attempt;

/// Account, livemode, reference.
pub(crate) type Key = (String, bool, String);
/// What the shop expects of its orders.
pub(crate) type Expectations = BTreeMap<Key, Expectation>;
/// What a person has looked at and released.
pub(crate) type Releases = BTreeMap<Key, Vec<Matter>>;

/// What is true at rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// One entry for each order.
    pub orders: Vec<OrderBook>,
}

/// One order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderBook {
    /// Empty for the receiver's own account.
    pub account: String,
    /// Whether real money moved.
    pub livemode: bool,
    /// The shop's label, else Stripe's best id: payment intent, else invoice, else session.
    pub reference: String,
    /// Ids of Stripe's to which the order answers as well.
    pub also_known_as: BTreeSet<String>,
    /// The first status that holds.
    pub status: String,
    /// The same without `review`.
    pub money_status: String,
    /// Why a person must look.
    pub review_reasons: BTreeSet<String>,
    /// The shop's currency.
    pub currency: String,
    /// What the shop expects; `None` where it never said an amount.
    pub amount_expected: Option<i64>,
    /// What came in.
    pub amount_paid: i64,
    /// What went back, on its way or there.
    pub amount_refunded: i64,
    /// What disputes took for good.
    pub amount_lost: i64,
    /// What the customer's credit paid of paid invoices.
    pub amount_credited: i64,
    /// What customers added at terminals; it is part of `amount_paid`.
    pub tip: i64,
    /// The customer's address, where all payments have the same one.
    pub customer_email: Option<String>,
    /// All addresses that the order's payments have. With several, each may be the order's.
    pub customer_emails: BTreeSet<String>,
    /// Each payment intent, and each thing that was paid without one.
    pub payments: Vec<PaymentBook>,
    pub(crate) matters: BTreeSet<Matter>,
}

impl Books {
    pub(crate) fn of(version: ApiVersion, stripe: &Stripe, expectations: &Expectations, releases: &Releases) -> Self {
        let mut labelled: BTreeMap<Key, Vec<Attempt>> = BTreeMap::new();
        let mut nameless: Vec<(Key, Attempt)> = Vec::new();
        for component in component::components(version, stripe) {
            let label = component.label(stripe);
            let name = label.as_ref().map_or_else(|| component.best_id(stripe), |label| label.name.clone());
            let key = (component.account.clone(), component.livemode, name);
            let expectation = expectations.get(&key).filter(|_| label.is_some());
            let attempt = Attempt::of(version, stripe, &component, label, expectation);
            if attempt.label.is_some() {
                labelled.entry(key).or_default().push(attempt);
            } else {
                nameless.push((key, attempt));
            }
        }
        for key in expectations.keys() {
            labelled.entry(key.clone()).or_default();
        }
        let named = labelled.iter().map(|(key, attempts)| (key, attempts.as_slice(), expectations.get(key)));
        let others = nameless.iter().map(|(key, attempt)| (key, std::slice::from_ref(attempt), None));
        let orders = named
            .chain(others)
            .map(|(key, attempts, expectation)| order(key, attempts, expectation, releases.get(key)))
            .collect();
        Self { orders }
    }

    /// The order of the receiver's own account, in either mode, that has this name.
    pub fn order(&self, reference: &str) -> Option<&OrderBook> {
        self.find("", true, reference).or_else(|| self.find("", false, reference))
    }

    /// The order that has this name as its reference, else among its other names.
    pub fn find(&self, account: &str, livemode: bool, reference: &str) -> Option<&OrderBook> {
        let mut own = self.orders.iter().filter(|order| order.account == account && order.livemode == livemode);
        let by_reference = own.clone().find(|order| order.reference == reference);
        by_reference.or_else(|| own.find(|order| order.also_known_as.contains(reference)))
    }
}

fn order(
    (account, livemode, reference): &Key,
    attempts: &[Attempt],
    expectation: Option<&Expectation>,
    released: Option<&Vec<Matter>>,
) -> OrderBook {
    let currency = attempts.first().map(|attempt| attempt.currency.clone());
    let currency = currency.or_else(|| expectation?.currency.clone()).unwrap_or_default();
    let expected = expectation.filter(|expectation| expectation.currency.as_ref().is_none_or(|c| *c == currency));
    let mut matters = review::matters(attempts, expectation);
    let seen = |matter: &Matter| released.is_some_and(|released| released.iter().any(|old| old.covers(matter)));
    matters.retain(|matter| !seen(matter));
    let review_reasons: BTreeSet<String> = matters.iter().map(|matter| matter.reason.to_owned()).collect();
    let money_status = status::money_status(attempts, expected);
    let emails: BTreeSet<String> = match expectation.and_then(|expectation| expectation.email.clone()) {
        Some(email) => BTreeSet::from([email]),
        None => attempts.iter().filter_map(|attempt| attempt.email.clone()).collect(),
    };
    let sum = |of: fn(&Attempt) -> i64| attempts.iter().map(of).sum();
    OrderBook {
        account: account.clone(),
        livemode: *livemode,
        reference: reference.clone(),
        also_known_as: attempts
            .iter()
            .flat_map(|attempt| attempt.ids.iter().cloned())
            .filter(|id| id != reference)
            .collect(),
        status: if matters.is_empty() { money_status.to_owned() } else { "review".to_owned() },
        money_status: money_status.to_owned(),
        review_reasons,
        currency,
        amount_expected: expectation.and_then(|expectation| expectation.amount),
        amount_paid: sum(|attempt| attempt.paid),
        amount_refunded: sum(|attempt| attempt.refunded),
        amount_lost: sum(|attempt| attempt.lost),
        amount_credited: sum(|attempt| attempt.credited),
        tip: sum(|attempt| attempt.tip),
        customer_email: emails.first().filter(|_| emails.len() == 1).cloned(),
        customer_emails: emails,
        payments: attempts.iter().flat_map(|attempt| attempt.payments.iter().cloned()).collect(),
        matters,
    }
}
