//! An attempt's amounts: what went back of each payment, what was lost, and whether all came in.

use super::Payment;
use crate::orders::facts::charge::Charge;
use crate::orders::facts::dispute;
use crate::orders::facts::refund::Refund;
use crate::orders::facts::{Component, ObjectKind};

/// Fills in what went back of each payment and what disputes took. Nothing did of a payment that brought nothing.
pub(super) fn add_up(component: &Component<'_>, payments: &mut [Payment<'_>]) {
    for payment in payments.iter_mut().filter(|payment| payment.paid > 0) {
        payment.refunded = went_back(payment);
        payment.lost = was_lost(payment);
        payment.disputed = payment.disputes.iter().any(|(_, dispute)| !dispute.now.is.status.closed());
    }
    // A dispute whose payment can't be told apart is open all the same.
    let told_apart = |id: &str| payments.iter().any(|payment| payment.disputes.iter().any(|(known, _)| *known == id));
    let mut open = component.disputes.iter().filter(|(_, dispute)| !dispute.now.is.status.closed());
    if open.any(|(id, _)| !told_apart(id))
        && let Some(payment) = payments.iter_mut().find(|payment| payment.paid > 0)
    {
        payment.disputed = true;
    }
}

/// By refund objects, and by what the charges' sums say beyond those.
fn went_back(payment: &Payment<'_>) -> i64 {
    let live = |refund: &&(&str, &Refund)| refund.1.live();
    let captured: Vec<(&str, &Charge)> = payment.captured().collect();
    let is_placed = |refund: &Refund| captured.iter().any(|(id, _)| refund.ties.charges.contains(*id));
    let mut unplaced = total(payment.refunds.iter().filter(live).filter(|(_, refund)| !is_placed(refund)));
    let mut back = total(payment.refunds.iter().filter(live));
    for (id, charge) in &captured {
        let own = |refund: &Refund| {
            refund.ties.charges.contains(*id) || (captured.len() == 1 && refund.ties.charges.is_empty())
        };
        let placed = total(payment.refunds.iter().filter(live).filter(|(_, r)| r.ties.charges.contains(*id)));
        let over = charge.given_back(&failures(payment, own)).saturating_sub(placed).max(0);
        let explained = over.min(unplaced);
        unplaced -= explained;
        back = back.saturating_add(over - explained);
    }
    back
}

/// The refunds that failed, each the second in which it did, and its amount.
fn failures(payment: &Payment<'_>, own: impl Fn(&Refund) -> bool) -> Vec<(i64, i64)> {
    let failed = payment.refunds.iter().filter(|(_, refund)| !refund.live() && own(refund));
    failed.map(|(_, refund)| (refund.failed_at.unwrap_or(refund.now.at), refund.now.is.amount)).collect()
}

fn was_lost(payment: &Payment<'_>) -> i64 {
    let disputes = payment.disputes.iter().map(|(_, dispute)| &dispute.now.is);
    let lost = disputes.filter(|dispute| dispute.status == dispute::Status::Lost);
    lost.fold(0, |sum: i64, dispute| {
        // A bank may count in a currency of its own; then it disputes the whole.
        let known = payment.currency.is_none_or(|currency| currency == dispute.currency);
        sum.saturating_add(if known { dispute.amount } else { payment.paid })
    })
}

fn total<'b>(refunds: impl Iterator<Item = &'b (&'b str, &'b Refund)>) -> i64 {
    refunds.fold(0, |sum, (_, refund)| sum.saturating_add(refund.now.is.amount))
}

/// Whether all that was asked for came in.
pub(super) fn is_full(component: &Component<'_>, paid: i64) -> bool {
    if component.sessions.iter().any(|(_, session)| session.paid()) {
        return true;
    }
    let due: Vec<_> = component.invoices.iter().filter(|(_, invoice)| invoice.counted_due().is_some()).collect();
    if !due.is_empty() && due.iter().all(|(_, invoice)| invoice.paid()) {
        return true;
    }
    let direct = component.charges.iter().any(|(_, charge)| charge.direct && charge.took());
    let brought = direct || component.payment_intents.iter().any(|(_, intent)| intent.succeeded());
    let asked = due.iter().fold(0_i64, |sum, (_, invoice)| sum.saturating_add(invoice.now.is.due));
    brought && paid >= asked
}

impl Payment<'_> {
    /// What was given back of it is told apart from its amount: it is known for sure what came in. While a payment intent
    /// is only known by name, it is not.
    pub fn amount_is_known(&self, component: &Component<'_>) -> bool {
        let named_only = component.names.first().is_some_and(|(kind, _)| *kind == ObjectKind::PaymentIntent);
        self.intent.is_some() || !named_only
    }
}
