//! Why a person must look.

use std::collections::BTreeSet;

use super::attempt::Attempt;
use crate::Expectation;

/// One thing that a person must look at, and what it is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Matter {
    pub reason: &'static str,
    pub about: BTreeSet<String>,
}

impl Matter {
    /// Whether somebody who looked at this one has seen all of the other.
    pub fn covers(&self, other: &Self) -> bool {
        self.reason == other.reason && other.about.is_subset(&self.about)
    }
}

pub(super) fn matters(attempts: &[Attempt], expectation: Option<&Expectation>) -> BTreeSet<Matter> {
    let mut matters = BTreeSet::new();
    let mut add = |reason, about: Vec<&Attempt>| {
        if !about.is_empty() {
            let about = about.iter().flat_map(|attempt| attempt.ids.iter().cloned()).collect();
            matters.insert(Matter { reason, about });
        }
    };
    let those = |of: &dyn Fn(&Attempt) -> bool| attempts.iter().filter(|attempt| of(attempt)).collect::<Vec<_>>();
    let holding = those(&Attempt::holds_money);
    if holding.len() > 1 && !expectation.is_some_and(|expectation| expectation.many) {
        let by_client = holding.iter().any(|attempt| attempt.label.as_ref().is_some_and(|label| label.from_client));
        add(if by_client { "shared_reference" } else { "double_payment" }, holding);
    }
    add("conflicting_reference", those(&|attempt| attempt.label.as_ref().is_some_and(|label| label.disputed)));
    add("refund_above_payment", those(&|attempt| attempt.refunded + attempt.lost > attempt.paid));
    for reason in ["invoice_overpaid", "fraud_warning", "review_opened"] {
        add(reason, those(&|attempt| attempt.noticed.contains(&reason)));
    }
    let currencies = [attempts.first().map(|attempt| &attempt.currency), expectation.and_then(|e| e.currency.as_ref())];
    let expected = currencies[1].or(currencies[0]);
    let foreign = those(&|attempt| expected.is_some_and(|expected| attempt.currency != *expected));
    if foreign.is_empty() {
        add("amount_mismatch", mismatched(attempts, expectation));
    }
    add("currency_mismatch", foreign);
    matters
}

/// Payments of another price than the shop expects; of many, all of them where they come to more.
fn mismatched<'a>(attempts: &'a [Attempt], expectation: Option<&Expectation>) -> Vec<&'a Attempt> {
    let Some((expectation, amount)) = expectation.and_then(|e| Some((e, e.amount?))) else { return Vec::new() };
    let holding = attempts.iter().filter(|attempt| attempt.holds_money());
    let asked = |attempt: &Attempt| if expectation.subtotal { attempt.asked_subtotal } else { attempt.asked };
    if expectation.many {
        let sum: i64 = holding.clone().map(Attempt::comes_to).sum();
        if sum > amount { holding.collect() } else { Vec::new() }
    } else {
        holding.filter(|attempt| asked(attempt) != amount).collect()
    }
}
