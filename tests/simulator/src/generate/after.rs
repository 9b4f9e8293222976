//! What may happen to a payment after it succeeded.

use proptest::prelude::*;

use super::story::{Story, release};
use crate::{Action, DisputeKind, RefundStart, Slot, Verdict};

/// Refunds and disputes of a payment of `amount`. `number` keeps the slots of several payments apart.
pub(super) fn after(story: &Story, payment: Slot, number: u16, amount: i64) -> BoxedStrategy<Vec<Action>> {
    let first = story.slot(number * 10);
    let steps = prop_oneof![
        6 => refunds(payment, first, amount),
        2 => disputes(payment, first, amount),
        1 => Just([vec![Action::WarnOfFraud { payment }], release(story)].concat()),
        1 => Just([vec![Action::OpenReview { payment }], release(story)].concat()),
        2 => Just(vec![Action::OpenReview { payment }, Action::CloseReview { payment }]),
        3 => Just(Vec::new()),
    ];
    let both = (refunds(payment, first, amount), disputes(payment, first, amount));
    prop_oneof![6 => steps, 1 => both.prop_map(|(refunds, disputes)| [refunds, disputes].concat())].boxed()
}

/// The whole, or a quarter, the half or three quarters of it.
fn part(amount: i64) -> impl Strategy<Value = i64> {
    prop_oneof![2 => Just(amount), 3 => (1..=3_i64).prop_map(move |quarters| amount / 4 * quarters)]
}

fn refunds(payment: Slot, first: Slot, amount: i64) -> impl Strategy<Value = Vec<Action>> {
    let one = move |refund: Slot| {
        let start =
            proptest::sample::select(vec![RefundStart::Succeeded, RefundStart::Succeeded, RefundStart::Pending]);
        let later = (0..8_u8, any::<bool>()).prop_map(move |(end, step)| match end {
            0 | 1 => Some(Action::FailRefund { refund, step }),
            2 => Some(Action::CancelRefund { refund, step }),
            3 | 4 => Some(Action::SettleRefund { refund }),
            _ => None,
        });
        (part(amount), start, later).prop_map(move |(amount, start, later)| {
            [vec![Action::Refund { payment, refund, amount, start }], later.into_iter().collect()].concat()
        })
    };
    // The second may come before the first has ended, and the same sum may be tried again.
    (one(first), one(first + 1), one(first + 2), 1..=3_usize, any::<bool>()).prop_map(
        |(mut a, mut b, c, count, late)| {
            let ends = if late { a.split_off(1) } else { Vec::new() };
            let c = if count > 2 { c } else { Vec::new() };
            if count < 2 {
                b.clear();
            }
            [a, b, ends, c].concat()
        },
    )
}

fn disputes(payment: Slot, first: Slot, amount: i64) -> impl Strategy<Value = Vec<Action>> {
    let kinds = vec![DisputeKind::Inquiry, DisputeKind::Chargeback, DisputeKind::Chargeback, DisputeKind::BornLost];
    let verdict = prop_oneof![Just(Verdict::Won), Just(Verdict::Lost)];
    let moves = (any::<bool>(), any::<bool>(), proptest::option::weighted(0.8, verdict), proptest::bool::weighted(0.2));
    (part(amount), proptest::sample::select(kinds), moves).prop_map(
        move |(amount, kind, (answered, escalated, verdict, overturned))| {
            let dispute = first;
            let mut actions = vec![Action::Dispute { payment, dispute, amount, kind }];
            actions.extend(answered.then_some(Action::AnswerDispute { dispute }));
            actions.extend(escalated.then_some(Action::EscalateDispute { dispute }));
            actions.extend(verdict.map(|verdict| Action::CloseDispute { dispute, verdict }));
            actions.extend(overturned.then_some(Action::OverturnDispute { dispute }));
            actions
        },
    )
}
