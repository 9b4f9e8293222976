//! From facts to the notices that are owed.

mod refunds;

use std::collections::BTreeMap;

use super::attempt::{Attempt, Payment};
use super::facts::invoice::Tried;
use super::facts::payment_intent::Status as Intent;
use super::facts::{Component, Facts, ObjectKind};
use super::order::Status;
use super::reading::Reading;
use crate::notices::{About, Kind, Notice, Wait};

/// The notices that one order's facts owe, by key, each key once.
///
/// What is told of money that moved is owed for ever: whatever is learned later, it is still in this list, under its
/// key or with its key in `also`. What is told of the moment (failed, awaiting funds, canceled, review, and refunds
/// that are only known as a sum) may be gone once it is superseded.
///
/// `order.identified` is in the list whenever a paid order has a label. It is worth sending only where `order.paid`
/// was sent while there was none; that is known to who sent it.
pub fn due(facts: &Facts) -> Vec<Notice> {
    due_by(&Reading::of(facts))
}

/// The same of facts that are read already.
pub fn due_by(reading: &Reading<'_>) -> Vec<Notice> {
    let mut owed = Owed::default();
    for attempt in &reading.attempts {
        payments(attempt, &mut owed);
        refunds::refunds(attempt, &mut owed);
        disputes(attempt, &mut owed);
    }
    passing(reading, &mut owed);
    reviews(reading, &mut owed);
    owed.0.into_values().collect()
}

#[derive(Default)]
struct Owed(BTreeMap<String, Notice>);

impl Owed {
    fn add(&mut self, kind: Kind, object: &str, about: About) -> &mut Notice {
        self.add_as(kind, object, object, about)
    }

    /// Under a key that says more than the object's id.
    fn add_as(&mut self, kind: Kind, suffix: &str, object: &str, about: About) -> &mut Notice {
        let key = key(&kind, suffix);
        let about = About { object: object.to_owned(), ..about };
        let notice = Notice { kind, key: key.clone(), also: Vec::new(), wait: None, unmailed: false, about };
        self.0.entry(key).or_insert(notice)
    }
}

fn key(kind: &Kind, suffix: &str) -> String {
    format!("{}:{suffix}", kind.name())
}

fn amount(amount: i64, currency: Option<&str>) -> About {
    About { amount: Some(amount), currency: currency.map(str::to_owned), ..About::default() }
}

fn payments(attempt: &Attempt<'_>, owed: &mut Owed) {
    let component = &attempt.component;
    for payment in attempt.payments() {
        // An event without a date counts as one of 1970.
        let at = payment.at.filter(|at| *at > 0);
        let about = About { at, ..amount(payment.amount, payment.currency) };
        let paid = owed.add(Kind::OrderPaid, payment.name, about.clone());
        paid.also = also(&Kind::OrderPaid, &payment);
        paid.wait = (!told_apart(component)).then_some(Wait::Reference);
        if component.label().is_some() {
            let identified = owed.add(Kind::OrderIdentified, payment.name, about);
            identified.also = also(&Kind::OrderIdentified, &payment);
        }
    }
    for (id, invoice) in &component.invoices {
        let state = &invoice.now.is;
        if state.renewal && invoice.paid() && state.paid > 0 {
            owed.add(Kind::OrderRenewed, id, amount(state.paid, Some(&state.asked.currency)));
        }
    }
}

/// Whether a person can tell which order it is.
fn told_apart(component: &Component<'_>) -> bool {
    let known_by = |kind: ObjectKind| component.names.iter().any(|(named, _)| *named == kind);
    component.label().is_some() || known_by(ObjectKind::Session) || known_by(ObjectKind::Invoice)
}

fn also(kind: &Kind, payment: &Payment<'_>) -> Vec<String> {
    payment.also.iter().map(|name| key(kind, name)).collect()
}

fn disputes(attempt: &Attempt<'_>, owed: &mut Owed) {
    for (id, dispute) in &attempt.component.disputes {
        let state = &dispute.now.is;
        let about = amount(state.amount, Some(&state.currency));
        if dispute.opened {
            // Once there is a verdict, nothing is left to answer.
            let due_by = state.due_by.filter(|_| !state.status.closed());
            let news = About { reason: state.reason.clone(), due_by, ..about.clone() };
            owed.add(Kind::OrderDisputed, id, news);
        }
        if state.status.closed() {
            let verdict = About { reason: Some(state.status.as_str().to_owned()), ..about };
            owed.add(Kind::OrderDisputeClosed, id, verdict.clone());
            if dispute.lost && dispute.won {
                owed.add_as(Kind::OrderDisputeClosed, &format!("{id}:won"), id, verdict);
            }
        }
    }
}

/// What is told of the moment: only while no money came in, and only of the attempts that make the order's status.
fn passing(reading: &Reading<'_>, owed: &mut Owed) {
    if reading.attempts.iter().any(Attempt::settled) {
        return;
    }
    let Some(state) = reading.attempts.iter().map(|attempt| attempt.state).min() else {
        return;
    };
    let kind = match state {
        Status::AwaitingFunds => Kind::OrderAwaitingFunds,
        Status::Failed => Kind::OrderPaymentFailed,
        Status::Canceled => Kind::OrderCanceled,
        _ => return,
    };
    for attempt in reading.attempts.iter().filter(|attempt| attempt.state == state) {
        let component = &attempt.component;
        let mut names = component.names.iter().filter(|(kind, _)| *kind != ObjectKind::Other).map(|(_, id)| *id);
        let Some(name) = names.next() else { continue };
        let errors = component.payment_intents.iter().find_map(|(_, intent)| intent.now.is.error.clone());
        let error = errors.or_else(|| component.charges.iter().find_map(|(_, charge)| charge.now.is.error.clone()));
        let about = About {
            amount: attempt.price.map(|price| price.total),
            currency: attempt.price.map(|price| price.currency.to_owned()),
            reason: error.filter(|_| state == Status::Failed),
            url: next_page(component, state),
            ..About::default()
        };
        let also = names.map(|name| key(&kind, name)).collect();
        let notice = owed.add(kind.clone(), name, about);
        notice.also = also;
        notice.unmailed = state == Status::Failed && !comes_as_news(component);
        notice.wait = match state {
            Status::AwaitingFunds | Status::Failed if !notice.unmailed && !told_apart(component) => {
                Some(Wait::Reference)
            }
            Status::AwaitingFunds if is_yet_to_say(component) => Some(Wait::PaymentIntent),
            _ => None,
        };
    }
}

/// There is a payment intent, and what was seen of it is from before the customer chose how to pay.
fn is_yet_to_say(component: &Component<'_>) -> bool {
    component.names.first().is_some_and(|(kind, _)| *kind == ObjectKind::PaymentIntent)
        && component.payment_intents.iter().all(|(_, intent)| intent.now.is.status < Intent::RequiresAction)
}

/// Where the customer can do what is to be done next.
fn next_page(component: &Component<'_>, state: Status) -> Option<String> {
    let invoice = component.invoices.iter().find_map(|(_, invoice)| invoice.now.is.url.clone());
    let mut intents = component.payment_intents.iter().map(|(_, intent)| &intent.now.is);
    let under_way = intents.clone().any(|intent| intent.status == Intent::Processing);
    let instructions = intents.find_map(|intent| intent.url.clone());
    match state {
        // Whose money is under way must not be asked for it once more.
        Status::AwaitingFunds => instructions.or(invoice.filter(|_| !under_way)),
        Status::Failed => invoice,
        _ => None,
    }
}

/// Whether the customer doesn't know yet that a payment failed: they left the checkout, or never were at one. A card
/// that is declined at the checkout is told there.
fn comes_as_news(component: &Component<'_>) -> bool {
    component.sessions.iter().any(|(_, session)| session.async_failed)
        || component.payment_intents.iter().any(|(_, intent)| intent.was_processing || intent.now.is.delayed)
        || component.invoices.iter().any(|(_, invoice)| invoice.stuck_at(Tried::Failed) && !invoice.now.is.at_checkout)
}

/// One a matter; of several payments, one for each but the first, so that each one more is told once.
fn reviews(reading: &Reading<'_>, owed: &mut Owed) {
    for review in reading.open_reviews() {
        let reason = review.reason.as_str();
        let told = review.objects.len().saturating_sub(1).max(1);
        for names in review.objects.iter().rev().take(told) {
            let Some((name, also)) = names.split_first() else {
                continue;
            };
            let about = About { reason: Some(reason.to_owned()), ..About::default() };
            let notice = owed.add_as(Kind::OrderReview, &format!("{name}:{reason}"), name, about);
            notice.also = also.iter().map(|name| key(&Kind::OrderReview, &format!("{name}:{reason}"))).collect();
        }
    }
}
