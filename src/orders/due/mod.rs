//! From facts to the notices that are owed.

mod refunds;

use super::attempt::{Attempt, Payment};
use super::customer;
use super::facts::dispute::{Dispute, Status as Verdict};
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
        for payment in attempt.payments.iter().filter(|payment| payment.arrived) {
            let addressed = customer::of_payment(reading, attempt, payment).is_some();
            let first = owed.0.len();
            paid(attempt, payment, &mut owed);
            refunds::refunds(attempt, payment, &mut owed);
            owed.address(first, addressed);
        }
        let first = owed.0.len();
        renewed(attempt, &mut owed);
        owed.address(first, customer::of_payer(reading, attempt).is_some());
        disputes(attempt, &mut owed);
    }
    passing(reading, &mut owed);
    reviews(reading, &mut owed);
    owed.by_key()
}

/// The notices so far.
#[derive(Default)]
struct Owed(Vec<Notice>);

impl Owed {
    fn add(&mut self, kind: Kind, object: &str, about: About) -> &mut Notice {
        self.add_as(kind, object, object, about)
    }

    /// Under a key that says more than the object's id.
    fn add_as(&mut self, kind: Kind, suffix: &str, object: &str, about: About) -> &mut Notice {
        let key = key(&kind, suffix);
        let about = About { object: object.to_owned(), ..about };
        let at = self.0.len();
        self.0.push(Notice {
            kind,
            key,
            also: Vec::new(),
            wait: None,
            unmailed: false,
            only: None,
            addressed: false,
            about,
        });
        &mut self.0[at]
    }

    /// Says of the notices from the place `first` on whether their customer has an address.
    fn address(&mut self, first: usize, addressed: bool) {
        self.0[first..].iter_mut().for_each(|notice| notice.addressed = addressed);
    }

    /// Each key once, the first of several, sorted.
    fn by_key(mut self) -> Vec<Notice> {
        self.0.sort_by(|one, other| one.key.cmp(&other.key));
        self.0.dedup_by(|later, earlier| later.key == earlier.key);
        self.0
    }
}

pub(super) fn key(kind: &Kind, suffix: &str) -> String {
    format!("{}:{suffix}", kind.name())
}

fn amount(amount: i64, currency: Option<&str>) -> About {
    About { amount: Some(amount), currency: currency.map(str::to_owned), ..About::default() }
}

/// What a notice about a payment tells of an amount of it, in the shop's currency and as the customer saw it.
fn of_payment(payment: &Payment<'_>, told: i64) -> About {
    let (presentment_amount, presentment_currency) = payment.seen(told).unzip();
    About {
        payment: Some(payment.name.to_owned()),
        presentment_amount,
        presentment_currency: presentment_currency.map(str::to_owned),
        ..amount(told, payment.currency)
    }
}

fn paid(attempt: &Attempt<'_>, payment: &Payment<'_>, owed: &mut Owed) {
    let component = &attempt.component;
    // An event without a date counts as one of 1970.
    let at = payment.at.filter(|at| *at > 0);
    let amount_credited = Some(payment.credited).filter(|credited| *credited > 0);
    let about = About { at, amount_credited, ..of_payment(payment, payment.paid) };
    let paid = owed.add(Kind::OrderPaid, payment.name, about.clone());
    paid.also = also(&Kind::OrderPaid, payment);
    paid.wait = match () {
        () if !told_apart(component) => Some(Wait::Reference),
        () if is_yet_to_be_linked(payment, component) => Some(Wait::PaymentIntent),
        () => None,
    };
    if component.label().is_some() {
        let identified = owed.add(Kind::OrderIdentified, payment.name, about);
        identified.also = also(&Kind::OrderIdentified, payment);
    }
}

fn renewed(attempt: &Attempt<'_>, owed: &mut Owed) {
    for (id, invoice) in &attempt.component.invoices {
        let state = &invoice.now.is;
        if state.renewal && (invoice.paid() && state.paid > 0 || invoice.credited() > 0) {
            let amount_credited = Some(invoice.credited()).filter(|credited| *credited > 0);
            let payment = attempt.payments.first().map(|payment| payment.name.to_owned());
            let about = About { payment, amount_credited, ..amount(state.paid, Some(&state.asked.currency)) };
            owed.add(Kind::OrderRenewed, id, about);
        }
    }
}

/// Whether only an invoice tells of the payment, and its payment intent is still to come: since Basil one intent may pay
/// several invoices, and another event links them. One that was paid out of band has none.
fn is_yet_to_be_linked(payment: &Payment<'_>, component: &Component<'_>) -> bool {
    let by_invoice = !component.invoices.is_empty() && payment.intent.is_none();
    let by_other_means = component.sessions.iter().any(|(_, session)| session.paid())
        || component.charges.iter().any(|(_, charge)| charge.direct)
        || component.invoices.iter().any(|(_, invoice)| invoice.now.is.out_of_band);
    payment.paid > 0 && by_invoice && !by_other_means
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
        let of = attempt.payments.iter().find(|payment| payment.disputes.iter().any(|(known, _)| known == id));
        let payment = of.map(|payment| payment.name.to_owned());
        let about = About { payment, ..amount(state.amount, Some(&state.currency)) };
        if dispute.opened {
            // Once there is a verdict, nothing is left to answer.
            let due_by = state.due_by.filter(|_| !state.status.closed());
            let news = About { reason: state.reason.clone(), due_by, ..about.clone() };
            owed.add(Kind::OrderDisputed, id, news);
        }
        verdicts(id, dispute, &about, owed);
    }
}

/// An inquiry's end and a chargeback's are told each; so is a verdict that was turned round.
fn verdicts(id: &str, dispute: &Dispute, about: &About, owed: &mut Owed) {
    let word = |status: Verdict| About { reason: Some(status.as_str().to_owned()), ..about.clone() };
    if dispute.inquiry_closed {
        owed.add_as(Kind::OrderDisputeClosed, &format!("{id}:warning_closed"), id, word(Verdict::WarningClosed));
    }
    let status = dispute.now.is.status;
    if status.closed() && status != Verdict::WarningClosed {
        let lost_from_start = status == Verdict::Lost && !dispute.opened;
        owed.add(Kind::OrderDisputeClosed, id, About { lost_from_start, ..word(status) });
        if dispute.lost && dispute.won {
            owed.add_as(Kind::OrderDisputeClosed, &format!("{id}:won"), id, word(Verdict::Won));
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
        let mut names = attempt.names().into_iter();
        let Some(name) = names.next() else { continue };
        let addressed = customer::of_payer(reading, attempt).is_some();
        let errors = component.payment_intents.iter().find_map(|(_, intent)| intent.now.is.error.clone());
        let error = errors.or_else(|| component.charges.iter().find_map(|(_, charge)| charge.now.is.error.clone()));
        let about = About {
            amount: attempt.price.map(|price| price.total),
            currency: attempt.price.map(|price| price.currency.to_owned()),
            reason: error.filter(|_| state == Status::Failed),
            url: next_page(component, state),
            payment: Some(name.to_owned()),
            ..About::default()
        };
        let also = names.map(|name| key(&kind, name)).collect();
        let notice = owed.add(kind.clone(), name, about);
        notice.also = also;
        notice.addressed = addressed;
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
            // One that settles itself meanwhile is told to nobody.
            notice.wait = Some(Wait::Settling);
        }
    }
}
