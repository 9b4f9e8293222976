//! The sums of what was given back of a charge, as events told of them.
//!
//! Before API 2024-10-28 a refund of a charge comes as `charge.refunded` alone: with `amount_refunded`, the sum so far,
//! and mostly with what it was before. Such a step is a refund's own amount. A sum that comes without what it was before
//! is told apart from the next lower one that is known.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::join::Join;

/// One event's step from a sum to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Step {
    /// `previous_attributes.amount_refunded`.
    pub from: i64,
    /// `amount_refunded`.
    pub to: i64,
    /// `created` of the event.
    pub at: i64,
}

/// All sums of one charge that were seen. They only grow in number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sums {
    /// By the id of their event.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub steps: BTreeMap<String, Step>,
    /// Sums of events that don't say what the sum was before, each with the second in which it was first seen.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub seen: BTreeMap<i64, i64>,
}

impl Join for Sums {
    fn join(&mut self, other: &Self) {
        for (event, step) in &other.steps {
            let ours = self.steps.entry(event.clone()).or_insert(*step);
            *ours = (*ours).max(*step);
        }
        for (sum, at) in &other.seen {
            let ours = self.seen.entry(*sum).or_insert(*at);
            *ours = (*ours).min(*at);
        }
    }
}

impl Sums {
    /// A sum of which nothing more is known.
    pub fn seen(sum: i64, at: i64) -> Self {
        let seen = if sum > 0 { BTreeMap::from([(sum, at)]) } else { BTreeMap::new() };
        Self { steps: BTreeMap::new(), seen }
    }

    /// A step that this event tells of.
    pub fn stepped(event: &str, step: Step) -> Self {
        Self { steps: BTreeMap::from([(event.to_owned(), step)]), seen: BTreeMap::new() }
    }

    /// Nothing went back.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.seen.is_empty()
    }

    /// What each sum added, the earliest first. `floor` is what the charge counts as given back without a refund.
    pub fn increases(&self, floor: i64) -> Vec<Step> {
        let known = |sum: i64| self.steps.values().any(|step| step.to == sum);
        let bare = self.seen.iter().filter(|(sum, _)| **sum > floor && !known(**sum));
        let bare = bare.map(|(sum, at)| Step { from: self.next_lower(*sum, floor), to: *sum, at: *at });
        let mut steps: Vec<Step> =
            self.steps.values().copied().chain(bare).filter(|step| step.to > step.from).collect();
        steps.sort_by_key(|step| (step.at, step.to, step.from));
        steps
    }

    /// What the sum came to at last, without the refunds that failed: each the second in which it failed, and its
    /// amount. `newest` is the charge's newest snapshot.
    ///
    /// A snapshot leaves out what failed before. Within its own second it may tell either: what it leaves out is what it
    /// lacks of the sum before and the steps of that second.
    pub fn given_back(&self, newest: (i64, i64), failed: &[(i64, i64)]) -> i64 {
        let steps = self.steps.values().map(|step| (step.at, step.to));
        let seen = self.seen.iter().map(|(sum, at)| (*at, *sum));
        let mut snapshots: BTreeMap<i64, i64> = BTreeMap::new();
        for (at, sum) in steps.chain(seen).chain([newest]) {
            let greatest = snapshots.entry(at).or_insert(sum);
            *greatest = (*greatest).max(sum);
        }
        let seconds: BTreeSet<i64> = snapshots.keys().copied().chain(failed.iter().map(|(at, _)| *at)).collect();
        let mut sum = 0_i64;
        for second in seconds {
            let of_second = |items: &[(i64, i64)]| -> i64 {
                items.iter().filter(|(at, _)| *at == second).fold(0, |sum, (_, amount)| sum.saturating_add(*amount))
            };
            let failures = of_second(failed);
            sum = match snapshots.get(&second) {
                None => sum.saturating_sub(failures),
                Some(snapshot) => {
                    let steps: Vec<_> =
                        self.steps.values().map(|step| (step.at, (step.to - step.from).max(0))).collect();
                    let expected = sum.saturating_add(of_second(&steps));
                    let left_out = expected.saturating_sub(*snapshot).clamp(0, failures);
                    snapshot.saturating_sub(failures - left_out)
                }
            };
            sum = sum.max(0);
        }
        sum
    }

    /// The greatest sum below `sum` that is known.
    fn next_lower(&self, sum: i64, floor: i64) -> i64 {
        let known = self.steps.values().map(|step| step.to).chain(self.seen.keys().copied());
        known.filter(|lower| *lower < sum).max().unwrap_or(0).max(floor)
    }
}

#[cfg(test)]
mod tests {
    use super::{Join, Step, Sums};

    fn amounts(sums: &Sums, floor: i64) -> Vec<i64> {
        sums.increases(floor).iter().map(|step| step.to - step.from).collect()
    }

    fn all(parts: &[Sums]) -> Sums {
        parts.iter().fold(Sums::default(), |mut all, part| {
            all.join(part);
            all
        })
    }

    #[test]
    fn a_step_is_what_its_event_says_it_is() {
        let step = |event: &str, from: i64, to: i64, at: i64| Sums::stepped(event, Step { from, to, at });
        let made_again = [step("a", 0, 2500, 10), step("b", 0, 2500, 90), step("c", 2500, 0, 50)];
        assert_eq!(amounts(&all(&made_again), 0), [2500, 2500]);
        let later = Sums::seen(2500, 95);
        assert_eq!(amounts(&all(&[step("a", 0, 2500, 10), later]), 0), [2500], "a later snapshot says nothing new");
    }

    #[test]
    fn what_failed_is_subtracted_once() {
        let step = |event: &str, from: i64, to: i64, at: i64| Sums::stepped(event, Step { from, to, at });
        let made = step("a", 0, 2500, 10);
        assert_eq!(made.given_back((10, 2500), &[]), 2500);
        assert_eq!(made.given_back((10, 2500), &[(20, 2500)]), 0, "it failed later");
        assert_eq!(made.given_back((10, 2500), &[(10, 2500)]), 0, "it failed in the same second");
        assert_eq!(made.given_back((30, 0), &[(20, 2500)]), 0, "the newest snapshot leaves it out");
        let again = all(&[made.clone(), step("b", 0, 2500, 30)]);
        assert_eq!(again.given_back((30, 2500), &[(20, 2500)]), 2500, "made again later");
        assert_eq!(again.given_back((30, 2500), &[(30, 2500)]), 2500, "failed and made again within a second");
        let at_once = all(&[made.clone(), step("b", 0, 2500, 10)]);
        assert_eq!(at_once.given_back((10, 2500), &[(10, 2500)]), 2500, "made, failed and made again within a second");
        let down = all(&[made, step("c", 2500, 0, 20)]);
        assert_eq!(down.given_back((20, 0), &[(20, 2500)]), 0, "a step down is the failure itself");
        let beside = all(&[step("a", 0, 1000, 5), step("b", 1000, 3500, 10), step("c", 1000, 3500, 20)]);
        assert_eq!(beside.given_back((20, 3500), &[(20, 2500)]), 3500, "another one is left alone");
    }

    #[test]
    fn a_bare_sum_is_told_apart_from_the_next_lower_one() {
        let bare = [Sums::seen(1000, 10), Sums::seen(4200, 30), Sums::seen(2500, 20), Sums::seen(0, 5)];
        assert_eq!(amounts(&all(&bare), 0), [1000, 1500, 1700]);
        assert_eq!(amounts(&Sums::seen(500, 1), 400), [100], "the rest of a partial capture is no refund");
        assert_eq!(amounts(&Sums::seen(400, 1), 400), [0; 0]);
    }
}
