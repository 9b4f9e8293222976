//! Stories of payments that no invoice asks for.

use proptest::prelude::*;

use super::after::after;
use super::story::{Story, price, release};
use crate::{Action, Expectation, Method, Money, NewCheckout, NewIntent, RefundStart, Slot};

type Actions = BoxedStrategy<Vec<Action>>;

/// One payment by card, or by a delayed method with its outcome.
fn paying(payment: Slot, email: Option<String>) -> impl Strategy<Value = Vec<Action>> {
    let declines = prop_oneof![4 => 0..1_usize, 1 => 1..3_usize];
    (declines, 0..12_u8).prop_map(move |(declines, how)| {
        let mut actions = vec![Action::Decline { payment, email: email.clone() }; declines];
        let pay = |by| Action::Pay { payment, by, email: email.clone() };
        let fund = |amount| Action::Fund { payment, amount };
        let (clear, bounce, verify) =
            (Action::Clear { payment }, Action::Bounce { payment }, Action::Verify { payment });
        actions.extend(match how {
            0 => vec![pay(Method::Sepa), clear],
            1 => vec![pay(Method::Sepa), bounce],
            2 => vec![pay(Method::Boleto), clear],
            3 => vec![pay(Method::Microdeposits), verify, clear],
            4 => vec![pay(Method::Sepa)],
            5 => vec![pay(Method::Microdeposits)],
            6 => vec![pay(Method::BankTransfer), fund(400), fund(100_000)],
            _ => vec![pay(Method::Card)],
        });
        actions
    })
}

/// Before or after the rest, or not at all.
fn registered(register: Vec<Action>, rest: Vec<Action>, when: u8) -> Vec<Action> {
    match when {
        0 => [register, rest].concat(),
        1 => [rest, register].concat(),
        2 => {
            let (first, last) = rest.split_at(rest.len() / 2);
            [first.to_vec(), register, last.to_vec()].concat()
        }
        _ => rest,
    }
}

/// The shop says who the customer is, but not how much it expects.
fn without_amount(register: Vec<Action>) -> Vec<Action> {
    let less = |action| match action {
        Action::Register(expectation) => Action::Register(Expectation { amount: None, currency: None, ..expectation }),
        other => other,
    };
    register.into_iter().map(less).collect()
}

/// The shop makes an intent, with or without metadata and addresses.
pub(super) fn by_intent(story: Story) -> Actions {
    (price(), any::<[bool; 4]>(), 0..6_u8, proptest::option::weighted(0.2, 1..=3_i64))
        .prop_flat_map(move |(amount, [named, receipt, billing, own_email], when, tip)| {
            let payment = story.slot(1);
            let intent = NewIntent {
                order_id: named.then(|| story.reference(0)),
                receipt_email: receipt.then(|| story.email(1)),
                ..NewIntent::new(payment, amount, story.currency)
            };
            let email = billing.then(|| story.email(2));
            let register = story.expects(amount, false, own_email.then(|| story.email(3)));
            let register = if named { register } else { without_amount(register) };
            let pay: Actions = match tip {
                Some(tip) => {
                    Just(vec![Action::Pay { payment, by: Method::Terminal { tip: tip * 100 }, email }]).boxed()
                }
                None => paying(payment, email).boxed(),
            };
            (pay, after(&story, payment, 1, amount)).prop_map(move |(pay, after)| {
                let rest = [vec![Action::CreateIntent(intent.clone())], pay, after].concat();
                registered(register.clone(), rest, when)
            })
        })
        .boxed()
}

/// How a checkout page names its order.
fn named(story: &Story, checkout: NewCheckout, by: u8) -> NewCheckout {
    let (order, user) = (Some(story.reference(0)), Some(format!("user_{}", story.number)));
    match by {
        0 => NewCheckout { client_reference_id: order, ..checkout },
        1 => NewCheckout { order_id: order, ..checkout },
        2 => NewCheckout { intent_order_id: order, ..checkout },
        3 => NewCheckout { order_id: order.clone(), intent_order_id: order, client_reference_id: user, ..checkout },
        4 => NewCheckout { intent_order_id: order, client_reference_id: user, ..checkout },
        _ => checkout,
    }
}

/// A checkout page for one payment.
pub(super) fn by_checkout(story: Story) -> Actions {
    (price(), 0..6_u8, 0..6_u8, any::<[bool; 2]>())
        .prop_flat_map(move |(amount, by, when, [email, shipped])| {
            let payment = story.slot(1);
            let page = NewCheckout::new(payment, amount, story.currency, &story.email(1));
            let subtotal = shipped.then_some(amount / 4 * 3);
            let page = named(&story, NewCheckout { subtotal, ..page }, by);
            let reference = story.reference(0);
            let expected =
                story.expects(if shipped { amount / 4 * 3 } else { amount }, false, email.then(|| story.email(3)));
            let register = expected.into_iter().map(|action| match action {
                Action::Register(expectation) => Action::Register(Expectation { subtotal: shipped, ..expectation }),
                other => other,
            });
            let register: Vec<Action> = register.filter(|_| by < 5 && !reference.is_empty()).collect();
            (paying(payment, None), after(&story, payment, 1, amount)).prop_map(move |(pay, after)| {
                let rest = [vec![Action::OpenCheckout(page.clone())], pay, after].concat();
                registered(register.clone(), rest, when)
            })
        })
        .boxed()
}

/// An authorisation: captured whole, in part, in parts, or somewhat more; released or lapsed.
pub(super) fn captured(story: Story) -> Actions {
    (price(), 0..7_u8, any::<bool>(), 0..6_u8)
        .prop_flat_map(move |(amount, how, by_page, when)| {
            let payment = story.slot(1);
            let begin = if by_page {
                let page = NewCheckout::new(payment, amount, story.currency, &story.email(1));
                Action::OpenCheckout(named(&story, NewCheckout { manual_capture: true, ..page }, 3))
            } else {
                let order_id = Some(story.reference(0));
                let intent = NewIntent::new(payment, amount, story.currency);
                Action::CreateIntent(NewIntent { order_id, manual_capture: true, ..intent })
            };
            let pay = Action::Pay { payment, by: Method::Card, email: Some(story.email(1)) };
            let quarter = amount / 4;
            let capture = |amount, last| Action::Capture { payment, amount, last };
            let (captures, taken) = match how {
                0 => (vec![capture(amount, true)], amount),
                1 => (vec![capture(quarter * 3, true)], quarter * 3),
                2 => (vec![capture(quarter, false), capture(quarter, false), capture(quarter, true)], quarter * 3),
                3 => (vec![capture(quarter, false), capture(quarter * 3, false)], amount),
                4 => (vec![capture(amount + amount / 10, true)], amount + amount / 10),
                5 => (vec![Action::CancelIntent { payment }], 0),
                _ => (vec![Action::LapseIntent { payment }], 0),
            };
            let register = story.expects(amount, false, None);
            after(&story, payment, 1, taken / 4 * 4).prop_map(move |after| {
                let rest = [vec![begin.clone(), pay.clone()], captures.clone(), after].concat();
                registered(register.clone(), rest, when)
            })
        })
        .boxed()
}

/// Two payments for one order, by metadata or by `client_reference_id`; the second may go back.
pub(super) fn paid_twice(story: Story) -> Actions {
    (price(), any::<[bool; 3]>(), 0..6_u8)
        .prop_flat_map(move |(amount, [by_client, second_goes_back, other_buyer], when)| {
            let pay = |number: u16| {
                let payment = story.slot(number);
                let email = story.email(if other_buyer { number } else { 1 });
                let page = NewCheckout::new(payment, amount, story.currency, &email);
                let page = named(&story, page, if by_client { 0 } else { 2 });
                vec![Action::OpenCheckout(page), Action::Pay { payment, by: Method::Card, email: None }]
            };
            let (first, second) = (pay(1), pay(2));
            let refund = Action::Refund {
                payment: story.slot(2),
                refund: story.slot(29),
                amount,
                start: RefundStart::Succeeded,
            };
            let back: Vec<Action> = second_goes_back.then_some(refund).into_iter().collect();
            let register = story.expects(amount, false, None);
            let released = release(&story);
            after(&story, story.slot(1), 1, amount).prop_map(move |after| {
                let rest = [first.clone(), second.clone(), released.clone(), back.clone(), after].concat();
                registered(register.clone(), rest, when)
            })
        })
        .boxed()
}

/// The shop expects several payments; they may not come to the whole.
pub(super) fn deposit_and_rest(story: Story) -> Actions {
    (price(), 1..=3_i64, any::<[bool; 2]>(), 0..3_u8)
        .prop_flat_map(move |(amount, quarters, [rest_comes, own_email], when)| {
            let parts = [amount / 4 * quarters, amount - amount / 4 * quarters];
            let pay = |number: u16, amount: i64| {
                let payment = story.slot(number);
                let order_id = Some(story.reference(0));
                let receipt_email = Some(story.email(number));
                let intent = NewIntent { order_id, receipt_email, ..NewIntent::new(payment, amount, story.currency) };
                vec![Action::CreateIntent(intent), Action::Pay { payment, by: Method::Card, email: None }]
            };
            let deposit = pay(1, parts[0]);
            let rest = if rest_comes { pay(2, parts[1]) } else { Vec::new() };
            // Without an expectation two payments are a matter of review.
            let register = story.expects(amount, true, own_email.then(|| story.email(3)));
            let afters = (after(&story, story.slot(1), 1, parts[0]), after(&story, story.slot(2), 3, parts[1]));
            afters.prop_map(move |(one, other)| {
                registered(register.clone(), [deposit.clone(), rest.clone(), one, other].concat(), when)
            })
        })
        .boxed()
}

/// Buyers of one payment link, with metadata that the link copies, or a `client_reference_id` in its URL.
pub(super) fn by_link(story: Story) -> Actions {
    (price(), 0..5_u8, 1..=3_u16)
        .prop_flat_map(move |(amount, by, buyers)| {
            let link = Some(story.number);
            let buy = |number: u16| {
                let payment = story.slot(number);
                let page = NewCheckout::new(payment, amount, story.currency, &story.email(number));
                let page = NewCheckout { link, ..named(&story, page, by) };
                vec![Action::OpenCheckout(page), Action::Pay { payment, by: Method::Card, email: None }]
            };
            let bought: Vec<Action> = (1..=buyers).flat_map(buy).collect();
            after(&story, story.slot(1), 1, amount).prop_map(move |after| [bought.clone(), after].concat())
        })
        .boxed()
}

/// A draft's id becomes a number, or another order uses the intent.
pub(super) fn intent_used_again(story: Story) -> Actions {
    (price(), price(), any::<[bool; 3]>())
        .prop_flat_map(move |(amount, other, [declined, registered, cleared])| {
            let payment = story.slot(1);
            let order_id = Some(story.reference(1));
            let mut actions =
                vec![Action::CreateIntent(NewIntent { order_id, ..NewIntent::new(payment, amount, story.currency) })];
            actions.extend(declined.then(|| Action::Decline { payment, email: Some(story.email(1)) }));
            // A refused charge keeps a copy of the old metadata, so that taking it away leaves two readings.
            let order_id = (!cleared || declined).then(|| story.reference(0));
            actions.push(Action::ChangeIntent { payment, order_id, amount: Some(other) });
            actions.push(Action::Pay { payment, by: Method::Card, email: Some(story.email(1)) });
            if registered {
                actions.extend(story.expects(other, false, Some(story.email(2))));
            }
            after(&story, payment, 1, other).prop_map(move |after| [actions.clone(), after].concat())
        })
        .boxed()
}

/// Nothing is paid: abandoned, canceled, declined, free, or only expected.
pub(super) fn unpaid(story: Story) -> Actions {
    (price(), 0..6_u8)
        .prop_map(move |(amount, how)| {
            let payment = story.slot(1);
            let page = |amount| named(&story, NewCheckout::new(payment, amount, story.currency, &story.email(1)), 1);
            let intent =
                NewIntent { order_id: Some(story.reference(0)), ..NewIntent::new(payment, amount, story.currency) };
            match how {
                0 => vec![Action::OpenCheckout(page(amount)), Action::AbandonCheckout { payment }],
                1 => vec![Action::OpenCheckout(page(0))],
                2 => vec![Action::CreateIntent(intent), Action::CancelIntent { payment }],
                3 => vec![Action::CreateIntent(intent), Action::Decline { payment, email: None }],
                4 => story.expects(amount, false, Some(story.email(1))),
                _ => vec![Action::OpenCheckout(page(amount)), Action::Decline { payment, email: None }],
            }
        })
        .boxed()
}

/// The shop expects another amount.
pub(super) fn of_another_price(story: Story) -> Actions {
    (price(), 0..3_u8)
        .prop_map(move |(amount, when)| {
            let payment = story.slot(1);
            let page = named(&story, NewCheckout::new(payment, amount, story.currency, &story.email(1)), 1);
            let pay = vec![Action::OpenCheckout(page), Action::Pay { payment, by: Method::Card, email: None }];
            registered(story.expects(amount + 100, false, None), pay, when)
        })
        .boxed()
}

/// Adaptive pricing: the customer sees and is charged another currency.
pub(super) fn in_another_currency(story: Story) -> Actions {
    (price(), 2..=6_i64, 0..6_u8, 0..6_u8)
        .prop_flat_map(move |(amount, quarters, by, when)| {
            let payment = story.slot(1);
            let presentment = Some(Money { currency: "cad".into(), amount: amount / 4 * quarters });
            let page = NewCheckout::new(payment, amount, story.currency, &story.email(1));
            let page = named(&story, NewCheckout { presentment, ..page }, by);
            let register = if by < 5 { story.expects(amount, false, None) } else { Vec::new() };
            after(&story, payment, 1, amount).prop_map(move |after| {
                let pay =
                    vec![Action::OpenCheckout(page.clone()), Action::Pay { payment, by: Method::Card, email: None }];
                registered(register.clone(), [pay, after].concat(), when)
            })
        })
        .boxed()
}
