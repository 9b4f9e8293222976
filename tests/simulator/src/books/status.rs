//! What an order's money comes to: the law's paragraph "What follows".

use super::attempt::{Attempt, STATES};
use crate::Expectation;

/// The status without `review`. `expected` is the shop's word, where it is of the order's currency.
pub(super) fn money_status(attempts: &[Attempt], expected: Option<&Expectation>) -> &'static str {
    if attempts.iter().any(|attempt| attempt.disputed) {
        return "disputed";
    }
    if attempts.iter().any(Attempt::holds_money) {
        return held(attempts, expected);
    }
    let any = |of: fn(&Attempt) -> bool| attempts.iter().any(of);
    if any(|attempt| attempt.lost > 0) {
        "lost"
    } else if any(|attempt| attempt.refunded > 0) {
        "refunded"
    } else if any(|attempt| attempt.complete) {
        "paid"
    } else {
        STATES.into_iter().find(|state| attempts.iter().any(|a| a.state == *state)).unwrap_or("pending")
    }
}

/// Whether what is held is all of it.
fn held(attempts: &[Attempt], expected: Option<&Expectation>) -> &'static str {
    let holding = || attempts.iter().filter(|attempt| attempt.holds_money());
    let own_price = holding().map(Attempt::price).sum();
    let shops_word = expected.filter(|expectation| !expectation.subtotal).and_then(|expectation| expectation.amount);
    let expected = shops_word.unwrap_or(own_price);
    let comes_to: i64 = holding().map(Attempt::comes_to).sum();
    if comes_to >= expected {
        return "paid";
    }
    let given_back = attempts.iter().filter(|attempt| !attempt.holds_money() && attempt.refunded > 0);
    let mut needed = given_back.filter(|attempt| comes_to + attempt.paid <= expected);
    if holding().any(|attempt| attempt.refunded > 0) || needed.next().is_some() {
        "partially_refunded"
    } else {
        "partially_paid"
    }
}
