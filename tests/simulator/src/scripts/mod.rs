//! Fixed scripts: each case that has once gone wrong somewhere, by name.

mod money;
mod names;
mod refunds;
#[cfg(test)]
mod tests;

use crate::{Action, ApiVersion, EventIds, Method, NewCheckout, NewIntent, RefundStart, Script, Slot};

/// A script, and what is true after it by hand.
#[derive(Clone, Debug)]
pub struct Fixed {
    /// For test output.
    pub name: &'static str,
    /// What is done.
    pub script: Script,
    /// What each order comes to, worked out by hand; a test holds the books against it.
    pub expected: Vec<Expected>,
}

/// What one order comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Empty for the receiver's own account.
    pub account: &'static str,
    /// The shop's label; empty where the order is known by an id of Stripe's.
    pub reference: &'static str,
    /// The first status that holds.
    pub status: &'static str,
    /// In the order's currency.
    pub paid: i64,
    /// In the order's currency.
    pub refunded: i64,
    /// In the order's currency.
    pub lost: i64,
}

/// All of them.
pub fn all() -> Vec<Fixed> {
    [refunds::all(), names::all(), money::all()].concat()
}

/// The script of that name.
pub fn named(name: &str) -> Option<Fixed> {
    all().into_iter().find(|fixed| fixed.name == name)
}

fn fixed(name: &'static str, version: ApiVersion, actions: Vec<Action>, expected: Vec<Expected>) -> Fixed {
    Fixed { name, script: Script { ids: EventIds::Shuffled(1), ..Script::new(version, actions) }, expected }
}

fn order(reference: &'static str, status: &'static str, paid: i64, refunded: i64) -> Expected {
    Expected { account: "", reference, status, paid, refunded, lost: 0 }
}

/// A page that a buyer opens and pays by card.
fn bought(page: NewCheckout) -> Vec<Action> {
    let payment = page.payment;
    vec![Action::OpenCheckout(page), Action::Wait(30), Action::Pay { payment, by: Method::Card, email: None }]
}

/// A page of 4,200 USD cents under a `client_reference_id`.
fn checkout(payment: Slot, reference: &str) -> NewCheckout {
    let page = NewCheckout::new(payment, 4200, "usd", "ada@example.com");
    NewCheckout { client_reference_id: Some(reference.into()), ..page }
}

fn intent(payment: Slot, amount: i64, order_id: &str) -> NewIntent {
    NewIntent { order_id: Some(order_id.into()), ..NewIntent::new(payment, amount, "usd") }
}

fn refund(payment: Slot, refund: Slot, amount: i64) -> Action {
    Action::Refund { payment, refund, amount, start: RefundStart::Succeeded }
}
