//! When a person must look, and when one has.

use std::collections::BTreeSet;

use super::Status;
use super::attempt::{Attempt, Payment, Price};
use super::facts::shop::{Compare, Expectation, Payments, Release};

/// Why a person must look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Not the amount that the shop expects.
    AmountMismatch,
    /// One component bears two of the shop's references.
    ConflictingReference,
    /// Not the currency that the shop expects, or two of them.
    CurrencyMismatch,
    /// Two payments of one order.
    DoublePayment,
    /// The card's bank warns of fraud.
    FraudWarning,
    /// More came in than the invoice asks for.
    InvoiceOverpaid,
    /// More went back than had come in.
    RefundAbovePayment,
    /// Radar wants somebody to look.
    ReviewOpened,
    /// Two payments under a `client_reference_id`, which may be a customer's.
    SharedReference,
}

impl Reason {
    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AmountMismatch => "amount_mismatch",
            Self::ConflictingReference => "conflicting_reference",
            Self::CurrencyMismatch => "currency_mismatch",
            Self::DoublePayment => "double_payment",
            Self::FraudWarning => "fraud_warning",
            Self::InvoiceOverpaid => "invoice_overpaid",
            Self::RefundAbovePayment => "refund_above_payment",
            Self::ReviewOpened => "review_opened",
            Self::SharedReference => "shared_reference",
        }
    }
}

/// One matter for a person: a reason, and the facts that it rests on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Review {
    /// Why.
    pub reason: Reason,
    /// The objects, each under all its names, the best first.
    pub objects: Vec<Vec<String>>,
    /// The numbers; empty where the objects say it all.
    pub detail: String,
}

impl Review {
    fn new(reason: Reason, objects: Vec<Vec<String>>, detail: String) -> Self {
        Self { reason, objects, detail }
    }

    /// As a release names it: `double_payment:pi_1,pi_2`, `amount_mismatch:pi_1=1000/1200`.
    pub fn token(&self) -> String {
        let names: Vec<&str> = self.objects.iter().filter_map(|names| names.first()).map(String::as_str).collect();
        let end = if self.detail.is_empty() { String::new() } else { format!("={}", self.detail) };
        format!("{}:{}{end}", self.reason.as_str(), names.join(","))
    }

    /// Whether a person has seen exactly these facts. An object may have got a better name since.
    pub(super) fn is_released(&self, release: &Release) -> bool {
        release.released.iter().any(|token| {
            let Some((reason, rest)) = token.split_once(':') else {
                return false;
            };
            let (names, detail) = rest.split_once('=').unwrap_or((rest, ""));
            let stated: BTreeSet<&str> = names.split(',').collect();
            let seen = |object: &Vec<String>| object.iter().any(|name| stated.contains(name.as_str()));
            reason == self.reason.as_str() && detail == self.detail && self.objects.iter().all(seen)
        })
    }
}

/// What a person must look at, released or not, sorted.
pub(super) fn reviews(attempts: &[Attempt<'_>], expectation: Option<&Expectation>) -> Vec<Review> {
    let mut reviews = Vec::new();
    for attempt in attempts {
        suspicions(attempt, &mut reviews);
        contradictions(attempt, &mut reviews);
    }
    second_payments(attempts, expectation, &mut reviews);
    mismatches(attempts, expectation, &mut reviews);
    reviews.sort();
    reviews
}

fn second_payments(attempts: &[Attempt<'_>], expectation: Option<&Expectation>, reviews: &mut Vec<Review>) {
    if expectation.is_some_and(|expectation| expectation.payments == Payments::Many) {
        return;
    }
    let holding = || attempts.iter().filter(|attempt| attempt.holds_money());
    // Mostly there is one payment in all.
    if holding().map(|attempt| attempt.payments.len()).sum::<usize>() < 2 {
        return;
    }
    let mut objects: Vec<Vec<String>> = holding().flat_map(payments_of).collect();
    if objects.len() < 2 {
        return;
    }
    objects.sort();
    let shared =
        |attempt: &Attempt<'_>| attempt.component.label().is_some_and(|label| label.rank.is_client_reference());
    let reason = if holding().any(shared) { Reason::SharedReference } else { Reason::DoublePayment };
    reviews.push(Review::new(reason, objects, String::new()));
}

fn mismatches(attempts: &[Attempt<'_>], expectation: Option<&Expectation>, reviews: &mut Vec<Review>) {
    let secured = |attempt: &&Attempt<'_>| attempt.settled() || attempt.state == Status::Authorized;
    let priced = attempts.iter().filter(secured).filter_map(|attempt| Some((attempt, attempt.price?)));
    let priced: Vec<(&Attempt<'_>, Price<'_>)> = priced.collect();
    let currencies: BTreeSet<&str> = priced.iter().map(|(_, price)| price.currency).collect();
    if currencies.len() > 1 {
        let mut objects: Vec<_> = priced.iter().map(|(attempt, _)| names(attempt)).collect();
        objects.sort();
        let detail = currencies.iter().copied().collect::<Vec<_>>().join("/");
        reviews.push(Review::new(Reason::CurrencyMismatch, objects, detail));
    }
    let Some(expectation) = expectation else {
        return;
    };
    let expected = expectation.currency.as_deref();
    for (attempt, price) in &priced {
        if let Some(expected) = expected.filter(|expected| *expected != price.currency) {
            let detail = format!("{}/{expected}", price.currency);
            reviews.push(Review::new(Reason::CurrencyMismatch, vec![names(attempt)], detail));
        }
    }
    let comparable: Vec<_> =
        priced.into_iter().filter(|(_, price)| expected.is_none_or(|expected| expected == price.currency)).collect();
    amount_mismatches(expectation, &comparable, reviews);
}

fn amount_mismatches(expectation: &Expectation, priced: &[(&Attempt<'_>, Price<'_>)], reviews: &mut Vec<Review>) {
    let Some(expected) = expectation.amount else {
        return;
    };
    let asked = |price: &Price<'_>| match expectation.compare {
        Compare::Total => price.total,
        Compare::Subtotal => price.subtotal.unwrap_or(price.total),
    };
    let mut mismatch = |objects: Vec<Vec<String>>, amount: i64| {
        reviews.push(Review::new(Reason::AmountMismatch, objects, format!("{amount}/{expected}")));
    };
    if expectation.payments == Payments::Many {
        let all = priced.iter().fold(0_i64, |sum, (_, price)| sum.saturating_add(asked(price)));
        if all > expected {
            let mut objects: Vec<_> = priced.iter().map(|(attempt, _)| names(attempt)).collect();
            objects.sort();
            mismatch(objects, all);
        }
        return;
    }
    for (attempt, price) in priced {
        if asked(price) != expected {
            mismatch(vec![names(attempt)], asked(price));
        }
    }
}

/// Somebody warned. It is over once the money is gone.
fn suspicions(attempt: &Attempt<'_>, reviews: &mut Vec<Review>) {
    if attempt.emptied() {
        return;
    }
    for (id, _) in &attempt.component.warnings {
        reviews.push(Review::new(Reason::FraudWarning, vec![vec![(*id).to_owned()]], String::new()));
    }
    for (id, review) in &attempt.component.reviews {
        if !review.settled() {
            reviews.push(Review::new(Reason::ReviewOpened, vec![vec![(*id).to_owned()]], String::new()));
        }
    }
}

/// The facts don't fit each other.
fn contradictions(attempt: &Attempt<'_>, reviews: &mut Vec<Review>) {
    let labels = attempt.component.rival_labels().len();
    if labels > 1 {
        reviews.push(Review::new(Reason::ConflictingReference, vec![names(attempt)], labels.to_string()));
    }
    for payment in &attempt.payments {
        let gone = payment.refunded.saturating_add(payment.lost);
        if gone > payment.paid {
            let detail = format!("{gone}/{}", payment.paid);
            reviews.push(Review::new(Reason::RefundAbovePayment, vec![names_of(payment)], detail));
        }
    }
    for (id, invoice) in &attempt.component.invoices {
        if invoice.overpaid && attempt.paid > 0 {
            reviews.push(Review::new(Reason::InvoiceOverpaid, vec![vec![(*id).to_owned()]], String::new()));
        }
    }
}

/// The payments of an attempt that should be the only ones: several may pay one invoice. One that is gone as a whole is
/// history.
fn payments_of(attempt: &Attempt<'_>) -> Vec<Vec<String>> {
    let holding: Vec<_> = attempt.payments.iter().filter(|payment| payment.holds_money()).collect();
    if holding.len() < 2 || !attempt.component.invoices.is_empty() {
        return vec![names(attempt)];
    }
    holding.iter().map(|payment| vec![payment.name.to_owned()]).collect()
}

fn names(attempt: &Attempt<'_>) -> Vec<String> {
    let names: Vec<String> = attempt.names().into_iter().map(str::to_owned).collect();
    if names.is_empty() { vec![attempt.component.name().to_owned()] } else { names }
}

fn names_of(payment: &Payment<'_>) -> Vec<String> {
    std::iter::once(payment.name).chain(payment.also.iter().copied()).map(str::to_owned).collect()
}
