//! The notices of money that goes back.
//!
//! Each refund is told once, with its own amount: by its object, or, where no object explains it, by the step of a
//! charge's sum. A step waits for its object, and is withdrawn once there is one.

mod pairing;

use self::pairing::{Pairing, Step};
use super::{Owed, also, key, of_payment};
use crate::notices::{About, Kind, Wait};
use crate::orders::attempt::{Attempt, Payment};
use crate::orders::facts::refund::Refund;

pub(super) fn refunds(attempt: &Attempt<'_>, payment: &Payment<'_>, owed: &mut Owed) {
    if payment.paid == 0 || !payment.amount_is_known(&attempt.component) {
        return;
    }
    let pairing = Pairing::of(payment);
    for (id, refund) in &payment.refunds {
        let step = pairing.step_of(id);
        made(payment, id, refund, step, owed);
        failed(payment, id, refund, step, owed);
    }
    for step in pairing.unexplained() {
        let kind = kind(payment, step.amount);
        let notice = owed.add_as(kind, &step.suffix, step.charge, of_payment(payment, step.amount));
        notice.also = vec![key(&other(&notice.kind), &step.suffix)];
        notice.wait = Some(Wait::RefundObject);
    }
    whole_by_parts(payment, &pairing, owed);
}

/// A refund as large as its payment gives it back; a smaller one a part of it.
fn kind(payment: &Payment<'_>, amount: i64) -> Kind {
    if amount >= payment.paid { Kind::OrderRefunded } else { Kind::OrderPartiallyRefunded }
}

/// The name under which it may have been told before the payment's amount was known.
fn other(kind: &Kind) -> Kind {
    if *kind == Kind::OrderRefunded { Kind::OrderPartiallyRefunded } else { Kind::OrderRefunded }
}

fn under_both_names(suffix: &str) -> [String; 2] {
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

fn made(payment: &Payment<'_>, id: &str, refund: &Refund, step: Option<&Step<'_>>, owed: &mut Owed) {
    if !refund.succeeded {
        return;
    }
    let kind = kind(payment, refund.now.is.amount);
    let notice = owed.add(kind, id, about(payment, refund));
    notice.also = vec![key(&other(&notice.kind), id)];
    notice.also.extend(step.into_iter().flat_map(|step| under_both_names(&step.suffix)));
}

/// The customer is told of it only if the refund was told before: as made, or as a step whose object came later.
fn failed(payment: &Payment<'_>, id: &str, refund: &Refund, step: Option<&Step<'_>>, owed: &mut Owed) {
    if refund.failed_at.is_none() {
        return;
    }
    let reason = refund.now.is.reason.clone();
    let notice = owed.add(Kind::OrderRefundFailed, id, About { reason, ..about(payment, refund) });
    if !refund.succeeded {
        notice.unmailed = step.is_none();
        notice.after = step.into_iter().flat_map(|step| under_both_names(&step.suffix)).collect();
    }
}

/// Parts that add up to the whole: for programs, which need no amount once more.
fn whole_by_parts(payment: &Payment<'_>, pairing: &Pairing<'_>, owed: &mut Owed) {
    let live = payment.refunds.iter().map(|(_, refund)| *refund).filter(|refund| refund.live() && refund.succeeded);
    let parts = live.map(|refund| refund.now.is.amount).chain(pairing.unexplained().map(|step| step.amount));
    let parts: Vec<i64> = parts.collect();
    let whole = parts.iter().fold(0_i64, |sum, part| sum.saturating_add(*part)) >= payment.paid;
    if whole && payment.refunded >= payment.paid && parts.iter().all(|part| *part < payment.paid) {
        let about = About { payment: Some(payment.name.to_owned()), ..About::default() };
        let notice = owed.add(Kind::OrderRefunded, payment.name, about);
        notice.also = also(&Kind::OrderRefunded, payment);
        notice.unmailed = true;
    }
}
