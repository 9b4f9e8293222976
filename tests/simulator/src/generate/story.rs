//! What a buyer goes through. Each story has its own slots and its own references.

use proptest::prelude::*;

use super::{anything, invoices, payments};
use crate::{Account, Action, Expectation, Slot, Unrelated};

/// Which story it is, and where it takes place.
#[derive(Clone, Debug)]
pub(super) struct Story {
    pub number: u16,
    pub account: Account,
    pub currency: &'static str,
    /// Whether a person releases what is in review.
    pub released: bool,
}

impl Story {
    /// A slot of its own.
    pub fn slot(&self, number: u16) -> Slot {
        self.number * 100 + number
    }

    /// A reference of its own.
    pub fn reference(&self, number: u16) -> String {
        format!("{}", 1000 + self.slot(number))
    }

    /// A buyer of its own.
    pub fn email(&self, number: u16) -> String {
        format!("buyer{}@example.com", self.slot(number))
    }

    /// An expectation of the shop. Only of the receiver's own account can it register one.
    pub fn expects(&self, amount: i64, many: bool, email: Option<String>) -> Vec<Action> {
        if self.account != Account::Own {
            return Vec::new();
        }
        let (reference, currency) = (self.reference(0), Some(self.currency.into()));
        vec![Action::Register(Expectation { reference, amount: Some(amount), currency, email, many, subtotal: false })]
    }
}

/// A person releases the story's order, where persons do.
pub(super) fn release(story: &Story) -> Vec<Action> {
    let release = Action::Release { reference: story.reference(0) };
    story.released.then_some(release).into_iter().collect()
}

/// Prices that can be halved and quartered, and converted without a rest.
pub(super) fn price() -> impl Strategy<Value = i64> {
    (1..=40_i64).prop_map(|number| number * 400)
}

/// What concerns no order.
fn unrelated(story: Story) -> BoxedStrategy<Vec<Action>> {
    let all = [Unrelated::RefundOfBalance, Unrelated::SetupPage, Unrelated::Customer, Unrelated::Payout];
    let what = proptest::sample::subsequence(all.to_vec(), 1..=4);
    what.prop_map(move |what| what.into_iter().map(|what| Action::Unrelated { what, number: story.slot(1) }).collect())
        .boxed()
}

/// One story, and its account.
pub(super) fn story(story: Story) -> BoxedStrategy<(Account, Vec<Action>)> {
    let account = story.account.clone();
    let actions = prop_oneof![
        4 => payments::by_intent(story.clone()),
        4 => payments::by_checkout(story.clone()),
        2 => payments::captured(story.clone()),
        2 => payments::paid_twice(story.clone()),
        2 => payments::deposit_and_rest(story.clone()),
        2 => payments::by_link(story.clone()),
        1 => payments::intent_used_again(story.clone()),
        1 => payments::unpaid(story.clone()),
        1 => payments::of_another_price(story.clone()),
        2 => payments::in_another_currency(story.clone()),
        2 => anything::anything(&story),
        2 => invoices::subscription(story.clone()),
        2 => invoices::one_invoice(story.clone()),
        1 => invoices::several_invoices(story.clone()),
        1 => unrelated(story),
    ];
    actions.prop_map(move |actions| (account.clone(), actions)).boxed()
}
