//! The notices of money that goes back.

use std::collections::BTreeMap;

use super::{Owed, also, amount, key};
use crate::notices::{About, Kind, Wait};
use crate::orders::attempt::{Attempt, Payment, concerns};
use crate::orders::facts::ObjectKind;
use crate::orders::facts::refund::Refund;

pub(super) fn refunds(attempt: &Attempt<'_>, owed: &mut Owed) {
    let sums = RunningSums::of(attempt);
    for payment in attempt.payments() {
        refunds_of(attempt, &payment, &sums, owed);
    }
    for (id, refund) in &attempt.component.refunds {
        if refund.failed {
            let state = &refund.now.is;
            let about = About { reason: state.reason.clone(), ..amount(state.amount, Some(&state.currency)) };
            owed.add(Kind::OrderRefundFailed, id, about);
        }
    }
    if attempt.paid == 0 {
        return;
    }
    for (id, charge, _) in attempt.unexplained() {
        let sum = charge.amount_refunded;
        let whole = charge.given_back() >= charge.amount_captured;
        let kind = if whole { Kind::OrderRefunded } else { Kind::OrderPartiallyRefunded };
        let notice =
            owed.add_as(kind, &format!("{id}:{sum}"), id, amount(charge.given_back(), Some(&charge.now.is.currency)));
        notice.wait = Some(Wait::RefundObject);
    }
}

/// Refunds that were seen to succeed, against what one payment brought in. While a payment intent is only known by
/// name, what it brought in is not known for sure, so its refunds wait for it.
fn refunds_of(attempt: &Attempt<'_>, payment: &Payment<'_>, sums: &RunningSums<'_>, owed: &mut Owed) {
    let named_only = attempt.component.names.first().is_some_and(|(kind, _)| *kind == ObjectKind::PaymentIntent);
    if payment.intent.is_none() && named_only {
        return;
    }
    let concerned = |refund: &Refund| {
        payment.intent.is_none_or(|intent| concerns(&attempt.component, payment.name, intent, refund))
    };
    let mut given_back = 0_i64;
    for (id, refund) in attempt.refunds.iter().filter(|(_, refund)| refund.succeeded && concerned(refund)) {
        let state = &refund.now.is;
        given_back = given_back.saturating_add(state.amount);
        if state.amount < payment.amount {
            let notice = owed.add(Kind::OrderPartiallyRefunded, id, amount(state.amount, Some(&state.currency)));
            notice.also = sums.keys(id, refund);
        }
    }
    if payment.amount > 0 && given_back >= payment.amount {
        let notice = owed.add(Kind::OrderRefunded, payment.name, amount(given_back, payment.currency));
        notice.also = also(&Kind::OrderRefunded, payment);
        let charges = attempt.component.charges.iter().filter(|(_, charge)| charge.amount_refunded >= payment.amount);
        notice
            .also
            .extend(charges.map(|(id, charge)| key(&Kind::OrderRefunded, &format!("{id}:{}", charge.amount_refunded))));
    }
}

/// By charge and refund, what was given back of the charge up to and with that refund.
struct RunningSums<'a>(BTreeMap<(&'a str, &'a str), i64>);

impl<'a> RunningSums<'a> {
    fn of(attempt: &Attempt<'a>) -> Self {
        let mut placed: BTreeMap<&str, BTreeMap<(i64, &str), i64>> = BTreeMap::new();
        for (id, refund) in &attempt.refunds {
            let state = &refund.now.is;
            for charge in &refund.ties.charges {
                placed.entry(charge).or_default().insert((state.created, id), state.amount);
            }
        }
        let mut sums = BTreeMap::new();
        for (charge, refunds) in placed {
            let mut sum = 0_i64;
            for ((_, id), amount) in refunds {
                sum = sum.saturating_add(amount);
                sums.insert((charge, id), sum);
            }
        }
        Self(sums)
    }

    /// The keys under which this refund may have been told while it was only known as a sum.
    fn keys(&self, id: &str, refund: &Refund) -> Vec<String> {
        let sums = refund.ties.charges.iter().filter_map(|charge| Some((charge, self.0.get(&(charge.as_str(), id))?)));
        sums.map(|(charge, sum)| key(&Kind::OrderPartiallyRefunded, &format!("{charge}:{sum}"))).collect()
    }
}
