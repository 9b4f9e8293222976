//! Which refund object explains which step of a charge's sum.
//!
//! Steps and objects pair one to one, by equal amount, nearest in time.

use std::collections::BTreeMap;

use crate::orders::attempt::Payment;
use crate::orders::facts::refund::Refund;

/// A step of a charge's sum.
#[derive(Clone, Debug)]
pub struct Step<'a> {
    /// The charge.
    pub charge: &'a str,
    /// What ends its notice's key: the charge and the sum; then a number, if the charge came to that sum several times.
    pub suffix: String,
    /// What it added.
    pub amount: i64,
    at: i64,
    explained: bool,
}

/// The steps of a payment's charges, and the refunds that explain them.
pub struct Pairing<'a> {
    steps: Vec<Step<'a>>,
    by_refund: BTreeMap<&'a str, Step<'a>>,
}

impl<'a> Pairing<'a> {
    /// Pairs them.
    pub fn of(payment: &Payment<'a>) -> Self {
        let mut pairing = Self { steps: steps(payment), by_refund: BTreeMap::new() };
        let mut candidates = Vec::new();
        for (place, step) in pairing.steps.iter().enumerate() {
            let fits = |refund: &Refund| {
                refund.now.is.amount == step.amount
                    && (refund.ties.charges.is_empty() || refund.ties.charges.contains(step.charge))
            };
            for (id, refund) in payment.refunds.iter().filter(|(_, refund)| fits(refund)) {
                candidates.push((made_at(refund).abs_diff(step.at), step.at, place, *id));
            }
        }
        candidates.sort_unstable();
        for (_, _, place, id) in candidates {
            let step = &mut pairing.steps[place];
            if !step.explained && !pairing.by_refund.contains_key(id) {
                step.explained = true;
                pairing.by_refund.insert(id, step.clone());
            }
        }
        pairing
    }

    /// The step that a refund explains.
    pub fn step_of(&self, refund: &str) -> Option<&Step<'a>> {
        self.by_refund.get(refund)
    }

    /// The steps that no refund explains.
    pub fn unexplained(&self) -> impl Iterator<Item = &Step<'a>> {
        self.steps.iter().filter(|step| !step.explained)
    }
}

/// When a refund was made, as far as that is known.
fn made_at(refund: &Refund) -> i64 {
    if refund.now.is.created > 0 { refund.now.is.created } else { refund.now.at }
}

fn steps<'a>(payment: &Payment<'a>) -> Vec<Step<'a>> {
    let mut steps = Vec::new();
    for (charge, known) in payment.captured() {
        let mut times: BTreeMap<i64, usize> = BTreeMap::new();
        for step in known.sums.increases(known.sums_floor()) {
            let time = times.entry(step.to).or_default();
            *time += 1;
            let suffix =
                if *time == 1 { format!("{charge}:{}", step.to) } else { format!("{charge}:{}:{time}", step.to) };
            steps.push(Step { charge, suffix, amount: step.to - step.from, at: step.at, explained: false });
        }
    }
    steps
}
