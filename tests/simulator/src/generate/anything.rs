//! Stories without a plot: any action, possible or not.

use proptest::prelude::*;

use super::after::after;
use super::story::Story;
use crate::{Action, Method, NewCheckout, NewIntent, Slot};

/// Any action on one of two payments, possible or not.
pub(super) fn anything(story: &Story) -> BoxedStrategy<Vec<Action>> {
    let begin = |payment: Slot, label: bool, page: bool, manual_capture: bool| {
        let order_id = label.then(|| story.reference(0));
        if page {
            let page = NewCheckout::new(payment, 4000, story.currency, &story.email(payment % 100));
            Action::OpenCheckout(NewCheckout { intent_order_id: order_id.clone(), order_id, manual_capture, ..page })
        } else {
            Action::CreateIntent(NewIntent {
                order_id,
                manual_capture,
                ..NewIntent::new(payment, 4000, story.currency)
            })
        }
    };
    let slots = [story.slot(1), story.slot(2)];
    let starts: Vec<Vec<Action>> = (0..16_u8)
        .map(|bits| {
            let bit = |number: u8| bits >> number & 1 == 1;
            vec![begin(slots[0], bit(0), bit(1), bit(2)), begin(slots[1], bit(0), bit(3), false)]
        })
        .collect();
    let email = Some(story.email(9));
    let after = [after(story, slots[0], 1, 4000), after(story, slots[1], 3, 4000)];
    let act = (0..2_usize, 0..12_u8, 1..=4_i64).prop_map(move |(which, what, quarters)| {
        let (payment, email) = (slots[which], email.clone());
        match what {
            0..=3 => Action::Pay { payment, by: Method::Card, email },
            4 => Action::Pay { payment, by: Method::Sepa, email },
            5 => Action::Decline { payment, email },
            6 => Action::Clear { payment },
            7 => Action::Bounce { payment },
            8 | 9 => Action::Capture { payment, amount: quarters * 1000, last: quarters % 2 == 0 },
            10 => Action::CancelIntent { payment },
            _ => Action::AbandonCheckout { payment },
        }
    });
    let acts = proptest::collection::vec(act, 1..10);
    (proptest::sample::select(starts), acts, after)
        .prop_map(|(start, acts, [one, other])| [start, acts, one, other].concat())
        .boxed()
}
