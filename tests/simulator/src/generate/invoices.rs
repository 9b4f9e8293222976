//! Stories of invoices and subscriptions.

use proptest::prelude::*;

use super::after::after;
use super::story::{Story, price};
use crate::{Action, NewInvoice, NewSubscription};

type Actions = BoxedStrategy<Vec<Action>>;

/// A subscription that begins at a checkout page, and its renewals. One story's buyers may share a payment link.
pub(super) fn subscription(story: Story) -> Actions {
    (price(), any::<[bool; 4]>(), 0..=2_u16, any::<bool>())
        .prop_flat_map(move |(amount, [named, by_client, linked, trial], renewals, declined)| {
            let new = NewSubscription {
                subscription_order_id: named.then(|| story.reference(0)),
                client_reference_id: by_client.then(|| story.reference(0)),
                link: linked.then_some(story.number),
                ..NewSubscription::new(story.slot(1), if trial { 0 } else { amount }, story.currency, &story.email(1))
            };
            let mut actions = vec![Action::Subscribe(new)];
            for number in 2..2 + renewals {
                let slot = story.slot(number);
                actions.push(Action::SendInvoice(NewInvoice {
                    subscription: Some(story.slot(1)),
                    ..NewInvoice::new(slot, amount, story.currency, &story.email(1))
                }));
                actions.extend(declined.then_some(Action::DeclineInvoice { invoice: slot, payment: slot }));
                actions.push(Action::PayInvoice { invoice: slot, payment: slot, amount: None });
            }
            let last = story.slot(1 + renewals);
            after(&story, last, 1, amount).prop_map(move |after| [actions.clone(), after].concat())
        })
        .boxed()
}

/// One invoice: paid at once, in parts, after a decline, from the balance, out of band, overpaid, or voided.
pub(super) fn one_invoice(story: Story) -> Actions {
    (price(), 0..9_u8, any::<bool>())
        .prop_flat_map(move |(amount, how, named)| {
            let (invoice, payment) = (story.slot(1), story.slot(1));
            let balance = match how {
                5 => amount,
                6 => amount / 4,
                _ => 0,
            };
            let new = NewInvoice {
                order_id: named.then(|| story.reference(0)),
                balance,
                ..NewInvoice::new(invoice, amount, story.currency, &story.email(1))
            };
            let pay = |payment, amount| Action::PayInvoice { invoice, payment, amount };
            let whole = pay(payment, None);
            let rest = match how {
                0 => vec![pay(payment, Some(amount / 4)), pay(story.slot(2), None)],
                1 => vec![pay(payment, Some(amount / 4))],
                2 => vec![Action::DeclineInvoice { invoice, payment }, whole],
                3 => vec![Action::MarkInvoicePaid { invoice }],
                4 => vec![Action::DeclineInvoice { invoice, payment }, Action::VoidInvoice { invoice }],
                7 => vec![whole, pay(story.slot(2), Some(400))],
                _ => vec![whole],
            };
            let actions = [vec![Action::SendInvoice(new)], rest].concat();
            let paid = if how < 2 { amount / 4 } else { amount - balance.min(amount) };
            let note = |refund| Action::CreditNote { invoice, refund, amount: amount / 4 };
            let noted = vec![Vec::new(), Vec::new(), vec![note(None)], vec![note(Some(story.slot(50)))]];
            let after = after(&story, payment, 1, paid / 4 * 4);
            (proptest::sample::select(noted), after)
                .prop_map(move |(noted, after)| [actions.clone(), noted, after].concat())
        })
        .boxed()
}

/// One payment for several invoices.
pub(super) fn several_invoices(story: Story) -> Actions {
    (price(), price())
        .prop_flat_map(move |(one, other)| {
            let send = |number, amount| {
                Action::SendInvoice(NewInvoice::new(story.slot(number), amount, story.currency, &story.email(1)))
            };
            let payment = story.slot(1);
            let invoices = vec![story.slot(1), story.slot(2)];
            // Before Basil each has to be paid by itself.
            let pay = |number, payment| {
                let (invoice, payment) = (story.slot(number), story.slot(payment));
                Action::PayInvoice { invoice, payment, amount: None }
            };
            let together = Action::PayInvoices { invoices, payment };
            let actions = vec![send(1, one), send(2, other), together, pay(1, 1), pay(2, 4)];
            after(&story, payment, 1, one + other).prop_map(move |after| [actions.clone(), after].concat())
        })
        .boxed()
}
