//! Which refunds belong to what was paid, and to which payment.

use crate::orders::facts::Component;
use crate::orders::facts::charge::Charge;
use crate::orders::facts::payment_intent::PaymentIntent;
use crate::orders::facts::refund::Refund;
use crate::orders::facts::ties::Ties;

/// Whether a charge is known to be of this payment intent.
pub(super) fn is_charge_of(id: &str, charge: &Charge, name: &str, intent: &PaymentIntent) -> bool {
    charge.ties.payment_intents.contains(name) || intent.ties.charges.contains(id)
}

/// Whether a refund or a dispute, by its ties, is known to be of this payment intent: it or its charge names it, or the
/// intent names its charge.
pub fn concerns(component: &Component<'_>, name: &str, intent: &PaymentIntent, ties: &Ties) -> bool {
    let charges = &ties.charges;
    let mut own = component.charges.iter().filter(|(id, _)| charges.contains(*id));
    ties.payment_intents.contains(name)
        || own.any(|(_, charge)| charge.ties.payment_intents.contains(name))
        || !intent.ties.charges.is_disjoint(charges)
}

/// The refunds but for those of a mere authorization: one that was released whole, or the rest of one that was
/// captured in part, for which Stripe makes a refund, too.
pub(super) fn refunds<'a>(component: &Component<'a>) -> Vec<(&'a str, &'a Refund)> {
    let of_released = |refund: &Refund| {
        let mut known = component.charges.iter().filter(|(id, _)| refund.ties.charges.contains(*id)).peekable();
        known.peek().is_some() && known.all(|(id, charge)| !is_paid(component, id, charge))
    };
    let mut refunds: Vec<_> = component.refunds.iter().copied().filter(|(_, refund)| !of_released(refund)).collect();
    let succeeded: Vec<_> = component.payment_intents.iter().filter(|(_, intent)| intent.succeeded()).collect();
    for (name, intent) in &succeeded {
        let rest = intent.now.is.amount.saturating_sub(intent.now.is.received);
        remove_rest(&mut refunds, rest, |refund| concerns(component, name, intent, &refund.ties));
    }
    if succeeded.is_empty() {
        for (id, charge) in &component.charges {
            remove_rest(&mut refunds, charge.uncaptured(), |refund| refund.ties.charges.contains(*id));
        }
    }
    refunds
}

/// A charge may have been seen only before it was captured; its payment intent knows better.
fn is_paid(component: &Component<'_>, id: &str, charge: &Charge) -> bool {
    let mut intents = component.payment_intents.iter().filter(|(_, intent)| intent.succeeded());
    charge.took()
        || intents.any(|(name, intent)| charge.ties.payment_intents.contains(*name) || intent.ties.charges.contains(id))
}

/// Stripe makes the refund of the rest when it captures, so it is the first one of its amount. It gives back what was
/// never taken, so it can't fail: a failed one of the same amount is the customer's.
fn remove_rest(refunds: &mut Vec<(&str, &Refund)>, rest: i64, own: impl Fn(&Refund) -> bool) {
    let is_rest = |refund: &Refund| refund.now.is.amount == rest && refund.live() && own(refund);
    let of_rest = refunds.iter().enumerate().filter(|(_, (_, refund))| is_rest(refund));
    let first = of_rest.min_by_key(|(_, (id, refund))| (refund.now.is.created, *id)).map(|(at, _)| at);
    if let Some(at) = first.filter(|_| rest > 0) {
        refunds.remove(at);
    }
}
