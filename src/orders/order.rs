//! From facts to the order.

use std::collections::BTreeSet;

use super::attempt::Attempt;
use super::customer;
use super::facts::shop::{Compare, Expectation, LineItem, Payments};
use super::facts::{Facts, Name};
use super::reading::Reading;
use super::reviews::{Reason, Review};

/// What an order is. The first that holds, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// A person must look.
    Review,
    /// A dispute is open.
    Disputed,
    /// Nothing is left, and a dispute took some of it.
    Lost,
    /// All went back.
    Refunded,
    /// Some went back.
    PartiallyRefunded,
    /// All came in.
    Paid,
    /// Some came in.
    PartiallyPaid,
    /// All is held, none taken.
    Authorized,
    /// The money is on its way.
    AwaitingFunds,
    /// The customer must act.
    RequiresAction,
    /// The last try failed; another may follow.
    Failed,
    /// Ended unpaid.
    Canceled,
    /// Abandoned.
    Expired,
    /// Nothing happened yet.
    Pending,
}

impl Status {
    /// Its stable name, as it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Review => "review",
            Self::Disputed => "disputed",
            Self::Lost => "lost",
            Self::Refunded => "refunded",
            Self::PartiallyRefunded => "partially_refunded",
            Self::Paid => "paid",
            Self::PartiallyPaid => "partially_paid",
            Self::Authorized => "authorized",
            Self::AwaitingFunds => "awaiting_funds",
            Self::RequiresAction => "requires_action",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Expired => "expired",
            Self::Pending => "pending",
        }
    }
}

/// An order, derived whole from its facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The shop's reference, else the best of Stripe's ids.
    pub reference: String,
    /// What it is.
    pub status: Status,
    /// What became of the money, whatever is under review.
    pub money_status: Status,
    /// Why it is in review, sorted; empty where it is not.
    pub review_reasons: Vec<&'static str>,
    /// The same with the facts that each reason rests on.
    pub reviews: Vec<Review>,
    /// What a release must name to let all of it go on, what an earlier one named included.
    pub releasable: BTreeSet<String>,
    /// Lower-case code of the amounts.
    pub currency: Option<String>,
    /// What the shop expects, else what was asked for.
    pub amount_expected: Option<i64>,
    /// What came in.
    pub amount_paid: i64,
    /// What went back.
    pub amount_refunded: i64,
    /// What disputes took for good.
    pub amount_lost: i64,
    /// What the customer's balance at the shop paid.
    pub amount_credited: i64,
    /// Tips, part of what came in.
    pub tip: i64,
    /// Where the customer's mails go.
    pub customer_email: Option<String>,
    /// Why there is no address although one was given.
    pub email_problem: Option<&'static str>,
    /// The customer's name, as given.
    pub customer_name: Option<String>,
    /// The customer's language.
    pub locale: Option<String>,
    /// The subscription whose invoice this is.
    pub subscription: Option<String>,
    /// What it brought in is a subscription's renewal.
    pub renewal: bool,
    /// What was bought, where the shop says it.
    pub line_items: Vec<LineItem>,
}

impl Order {
    /// Derives it.
    pub fn derive(name: &Name, facts: &Facts) -> Self {
        Self::of(name.as_str(), &Reading::of(facts))
    }

    /// What its facts come to.
    pub fn of(name: &str, reading: &Reading<'_>) -> Self {
        let currency = currency(reading);
        let sums = Sums::of(reading, currency.as_deref());
        let money_status = sums.status(reading, currency.as_deref());
        let reviews: Vec<Review> = reading.open_reviews().cloned().collect();
        let reasons: BTreeSet<&'static str> = reviews.iter().map(|review| review.reason.as_str()).collect();
        let expected = reading.expectation.as_ref();
        let asked = reading.attempts.first().and_then(|attempt| attempt.price).map(|price| price.total);
        let (customer_email, email_problem) = customer::address(reading);
        let line_items = expected.map(|expected| lines(expected, currency.as_deref())).unwrap_or_default();
        Self {
            reference: name.to_owned(),
            status: if reviews.is_empty() { money_status } else { Status::Review },
            money_status,
            review_reasons: reasons.into_iter().collect(),
            reviews,
            releasable: reading.reviews.iter().map(Review::token).collect(),
            currency,
            amount_expected: expected.and_then(|expected| expected.amount).or(asked),
            amount_paid: sums.paid,
            amount_refunded: sums.refunded,
            amount_lost: sums.lost,
            amount_credited: sums.credited,
            tip: sums.tip,
            customer_email,
            email_problem,
            customer_name: customer::name(reading),
            locale: customer::locale(reading),
            subscription: customer::subscription(reading),
            renewal: reading.attempts.iter().any(Attempt::is_renewal),
            line_items,
        }
    }
}

/// What was bought, as it can be stored: Postgres makes no text of a NUL. Amounts in another currency than the order's
/// would be shown as what they are not.
fn lines(expected: &Expectation, currency: Option<&str>) -> Vec<LineItem> {
    if expected.currency.is_some() && expected.currency.as_deref() != currency {
        return Vec::new();
    }
    let plain = |line: &LineItem| LineItem { description: line.description.replace('\0', ""), ..line.clone() };
    expected.line_items.iter().map(plain).collect()
}

/// The attempts' money in the order's currency.
struct Sums {
    paid: i64,
    refunded: i64,
    lost: i64,
    credited: i64,
    tip: i64,
}

impl Sums {
    fn of(reading: &Reading<'_>, currency: Option<&str>) -> Self {
        let sum = |part: fn(&Attempt<'_>) -> i64| counted(reading, currency).map(part).fold(0, i64::saturating_add);
        Self {
            paid: sum(|a| a.paid),
            refunded: sum(|a| a.refunded),
            lost: sum(|a| a.lost),
            credited: sum(|a| a.credited),
            tip: sum(|a| a.tip),
        }
    }

    fn status(&self, reading: &Reading<'_>, currency: Option<&str>) -> Status {
        if reading.attempts.iter().any(|attempt| attempt.disputed) {
            return Status::Disputed;
        }
        if self.paid == 0 {
            let full = reading.attempts.iter().any(|attempt| attempt.full);
            if full && expects_several(reading).is_none_or(|amount| self.credited >= amount) {
                return Status::Paid;
            }
            return reading.attempts.iter().map(|attempt| attempt.state).min().unwrap_or(Status::Pending);
        }
        let holding: Vec<&Attempt<'_>> = counted(reading, currency).filter(|attempt| attempt.holds_money()).collect();
        if holding.is_empty() {
            return if self.lost > 0 { Status::Lost } else { Status::Refunded };
        }
        let comes_to = holding.iter().fold(0_i64, |sum, attempt| sum.saturating_add(attempt.comes_to()));
        let own = holding.iter().fold(0_i64, |sum, attempt| sum.saturating_add(attempt.own_price()));
        let expected = expected(reading, currency).filter(|_| !is_mismatch_accepted(reading)).unwrap_or(own);
        if comes_to >= expected {
            return Status::Paid;
        }
        // A payment that is gone as a whole was needed, unless it and what is there are more than was to be paid.
        let was_needed = |attempt: &Attempt<'_>| comes_to.saturating_add(attempt.paid) <= expected;
        let mut given_back = counted(reading, currency).filter(|attempt| attempt.refunded > 0);
        let went_back = given_back.any(|attempt| attempt.holds_money() || was_needed(attempt));
        if went_back { Status::PartiallyRefunded } else { Status::PartiallyPaid }
    }
}

/// The attempts whose money is in the order's currency.
fn counted<'r, 'a>(reading: &'r Reading<'a>, currency: Option<&'r str>) -> impl Iterator<Item = &'r Attempt<'a>> {
    reading.attempts.iter().filter(move |attempt| attempt.price.is_none_or(|price| Some(price.currency) == currency))
}

/// Whether a person released the order although its amount is not the one that the shop expects.
fn is_mismatch_accepted(reading: &Reading<'_>) -> bool {
    let is_mismatch = |review: &&Review| review.reason == Reason::AmountMismatch;
    reading.reviews.iter().any(|review| is_mismatch(&review))
        && !reading.open_reviews().any(|review| is_mismatch(&review))
}

/// What the shop expects the payments to come to, if that can be compared.
fn expected(reading: &Reading<'_>, currency: Option<&str>) -> Option<i64> {
    let expectation = reading.expectation.as_ref()?;
    let comparable = expectation.compare == Compare::Total
        && expectation.currency.as_deref().is_none_or(|expected| Some(expected) == currency);
    expectation.amount.filter(|_| comparable)
}

/// The amount that several payments are to make up.
fn expects_several(reading: &Reading<'_>) -> Option<i64> {
    reading.expectation.as_ref().filter(|expected| expected.payments == Payments::Many)?.amount
}

fn currency(reading: &Reading<'_>) -> Option<String> {
    let asked = reading.attempts.iter().find_map(|attempt| attempt.price).map(|price| price.currency.to_owned());
    asked.or_else(|| reading.expectation.as_ref().and_then(|expected| expected.currency.clone()))
}
