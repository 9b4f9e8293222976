//! The notices of money that goes back.
//!
//! Each refund is told once, with its own amount: by its object, or, where no object explains it, by the step of a
//! charge's sum. A step waits for its object, and is withdrawn once there is one. Refunds of one amount are counted: no
//! more of them are told than there are, whichever step was told for whichever object.

mod pairing;

use self::pairing::{Alike, Step};
use super::{Owed, also, key, of_payment};
use crate::notices::{About, Kind, Only, Wait};
use crate::orders::attempt::{Attempt, Payment};
use crate::orders::facts::refund::Refund;

pub(super) fn refunds(attempt: &Attempt<'_>, payment: &Payment<'_>, owed: &mut Owed) {
    if payment.paid == 0 || !payment.amount_is_known(&attempt.component) {
        return;
    }
    let all = pairing::alike(payment);
    for alike in &all {
        for (id, refund) in &alike.refunds {
            made(payment, id, refund, alike, owed);
        }
        for step in &alike.unexplained {
            unexplained(payment, step, alike, owed);
        }
        for (id, refund) in &alike.refunds {
            failed(payment, id, refund, alike, owed);
        }
    }
    whole_by_parts(payment, &all, owed);
}

/// A refund as large as its payment gives it back; a smaller one a part of it.
fn kind(payment: &Payment<'_>, amount: i64) -> Kind {
    if amount >= payment.paid { Kind::OrderRefunded } else { Kind::OrderPartiallyRefunded }
}

/// The names of a refund or a step, also the one under which it was told before its payment's amount was known.
fn under_both_kinds(suffix: &str) -> [String; 2] {
    [Kind::OrderPartiallyRefunded, Kind::OrderRefunded].map(|kind| key(&kind, suffix))
}

fn about(payment: &Payment<'_>, refund: &Refund) -> About {
    let state = &refund.now.is;
    let seen = state.presentment.as_ref().map(|seen| (seen.amount, seen.currency.clone()));
    let seen = seen.or_else(|| payment.seen(state.amount).map(|(amount, currency)| (amount, currency.to_owned())));
    let (presentment_amount, presentment_currency) = seen.unzip();
    About {
        currency: Some(state.currency.clone()),
        presentment_amount,
        presentment_currency,
        ..of_payment(payment, state.amount)
    }
}

impl Alike<'_> {
    /// All keys under which any of them may have been told as made.
    fn keys(&self) -> Vec<String> {
        let objects = self.refunds.iter().map(|(id, _)| *id);
        let steps = self.steps.iter().flat_map(|step| std::iter::once(&step.suffix).chain(&step.earlier));
        objects.chain(steps.map(String::as_str)).flat_map(under_both_kinds).collect()
    }

    /// One that is known by an object alone needs no count: nothing else can have told it.
    fn room(&self) -> Option<Only> {
        let count = self.refunds.len().max(self.steps.len());
        (!self.steps.is_empty()).then(|| Only::FewerThan { count, keys: self.keys() })
    }
}

fn made(payment: &Payment<'_>, id: &str, refund: &Refund, alike: &Alike<'_>, owed: &mut Owed) {
    if refund.succeeded {
        let notice = owed.add(kind(payment, refund.now.is.amount), id, about(payment, refund));
        notice.also = under_both_kinds(id).into_iter().filter(|name| *name != notice.key).collect();
        notice.only = alike.room();
    }
}

fn unexplained(payment: &Payment<'_>, step: &Step<'_>, alike: &Alike<'_>, owed: &mut Owed) {
    let about = of_payment(payment, alike.amount);
    let notice = owed.add_as(kind(payment, alike.amount), &step.suffix, step.charge, about);
    notice.also = under_both_kinds(&step.suffix).into_iter().filter(|name| *name != notice.key).collect();
    notice.only = alike.room();
    notice.wait = Some(Wait::RefundObject);
}

/// The customer is told of it only if the refund was told before: as made, or as a step whose object came later.
fn failed(payment: &Payment<'_>, id: &str, refund: &Refund, alike: &Alike<'_>, owed: &mut Owed) {
    if refund.failed_at.is_none() {
        return;
    }
    let reason = refund.now.is.reason.clone();
    let notice = owed.add(Kind::OrderRefundFailed, id, About { reason, ..about(payment, refund) });
    if !refund.succeeded {
        notice.unmailed = alike.steps.is_empty();
        let rightly_told =
            alike.refunds.iter().filter(|(_, refund)| refund.succeeded).count() + alike.unexplained.len();
        let taken_back = alike.refunds.iter().filter(|(other, refund)| !refund.succeeded && *other != id);
        let without = taken_back.map(|(other, _)| key(&Kind::OrderRefundFailed, other)).collect();
        notice.only = Some(Only::MoreThan { count: rightly_told, keys: alike.keys(), without });
    }
}

/// Parts that add up to the whole: for programs, which need no amount once more.
fn whole_by_parts(payment: &Payment<'_>, all: &[Alike<'_>], owed: &mut Owed) {
    let arrived = |alike: &Alike<'_>| {
        let live = alike.refunds.iter().filter(|(_, refund)| refund.live() && refund.succeeded).count();
        alike.amount.saturating_mul(i64::try_from(live + alike.unexplained.len()).unwrap_or(i64::MAX))
    };
    let parts = || all.iter().filter(|alike| alike.amount < payment.paid).map(arrived).fold(0_i64, i64::saturating_add);
    let by_one = all.iter().any(|alike| alike.amount >= payment.paid && arrived(alike) > 0);
    if !by_one && payment.refunded >= payment.paid && parts() >= payment.paid {
        let about = About { payment: Some(payment.name.to_owned()), ..About::default() };
        let notice = owed.add(Kind::OrderRefunded, payment.name, about);
        notice.also = also(&Kind::OrderRefunded, payment);
        notice.unmailed = true;
    }
}
