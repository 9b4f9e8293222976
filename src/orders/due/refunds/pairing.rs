//! Which refunds of a payment can't be told apart, and which steps of a charge's sum no refund object explains.
//!
//! Steps and objects pair one to one, by equal amount, nearest in time.

use std::collections::{BTreeMap, BTreeSet};

use crate::orders::attempt::Payment;
use crate::orders::facts::charge::Charge;
use crate::orders::facts::refund::Refund;
use crate::orders::facts::steps as sums;

/// A step of a charge's sum.
#[derive(Clone, Debug)]
pub struct Step<'a> {
    /// The charge.
    pub charge: &'a str,
    /// What ends its notice's key: the charge and the sum; then more, if the charge came to that sum several times.
    pub suffix: String,
    /// The ends of keys under which it was told while less was known.
    pub earlier: Vec<String>,
    at: i64,
}

/// The refunds of one amount, as objects and as steps.
#[derive(Debug, Default)]
pub struct Alike<'a> {
    /// Of each.
    pub amount: i64,
    /// The objects.
    pub refunds: Vec<(&'a str, &'a Refund)>,
    /// The steps, the earliest first.
    pub steps: Vec<Step<'a>>,
    /// Those that no object explains.
    pub unexplained: Vec<Step<'a>>,
}

/// A payment's refunds, by their amount.
pub fn alike<'a>(payment: &Payment<'a>) -> Vec<Alike<'a>> {
    let mut all: BTreeMap<i64, Alike<'a>> = BTreeMap::new();
    let mut of_amount = |amount: i64, add: &dyn Fn(&mut Alike<'a>)| {
        add(all.entry(amount).or_insert_with(|| Alike { amount, ..Alike::default() }));
    };
    for refund in &payment.refunds {
        of_amount(refund.1.now.is.amount, &|alike| alike.refunds.push(*refund));
    }
    for (charge, known) in payment.captured() {
        for (amount, step) in named(charge, known) {
            of_amount(amount, &|alike| alike.steps.push(step.clone()));
        }
    }
    all.into_values().map(|alike| Alike { unexplained: unexplained(&alike), ..alike }).collect()
}

/// The steps of a charge's sum, each with its amount and its name.
fn named<'a>(charge: &'a str, known: &Charge) -> Vec<(i64, Step<'a>)> {
    let increases = known.sums.increases(known.sums_floor());
    let mut times: BTreeMap<(i64, i64), usize> = BTreeMap::new();
    let mut name = |step: &sums::Step| {
        let time = times.entry((step.from, step.to)).or_default();
        *time += 1;
        let plain = format!("{charge}:{}", step.to);
        let from = format!("{plain}:{}", step.from);
        let is_only_one = increases.iter().all(|other| other.to != step.to || other.from == step.from);
        let suffix = match time {
            1 if is_only_one => plain.clone(),
            1 => from.clone(),
            _ => format!("{from}:{time}"),
        };
        let earlier = [plain, from].into_iter().filter(|earlier| *earlier != suffix).collect();
        (step.to - step.from, Step { charge, suffix, earlier, at: step.at })
    };
    increases.iter().map(&mut name).collect()
}

fn unexplained<'a>(alike: &Alike<'a>) -> Vec<Step<'a>> {
    let mut pairs = Vec::new();
    for (place, step) in alike.steps.iter().enumerate() {
        for (id, refund) in &alike.refunds {
            pairs.push((made_at(refund).abs_diff(step.at), place, *id));
        }
    }
    pairs.sort_unstable();
    let (mut explained, mut used) = (BTreeSet::new(), BTreeSet::new());
    for (_, place, id) in pairs {
        if !explained.contains(&place) && !used.contains(id) {
            explained.insert(place);
            used.insert(id);
        }
    }
    let open = alike.steps.iter().enumerate().filter(|(place, _)| !explained.contains(place));
    open.map(|(_, step)| step.clone()).collect()
}

/// When a refund was made, as far as that is known.
fn made_at(refund: &Refund) -> i64 {
    if refund.now.is.created > 0 { refund.now.is.created } else { refund.now.at }
}
