//! How facts of one object merge: small joins of which the big one is made.
//!
//! Each join is commutative, associative and idempotent, whatever it is given: also two snapshots with the same
//! stamp and other contents. That is what makes an order independent of delivery.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// What can take in another one of its kind.
pub trait Join {
    /// Becomes the least that holds both.
    fn join(&mut self, other: &Self);
}

/// A snapshot that has its place in its kind's total order.
pub trait Ranked: Ord + Clone {
    /// The class that comes before time: a greater one is never replaced by a lesser one, however late.
    fn standing(&self) -> u8;
    /// What decides between snapshots of one second.
    fn rank(&self) -> u8;
    /// Amounts that only grow: of two snapshots alike in all else, the greater is the newer.
    fn grown(&self) -> (i64, i64) {
        (0, 0)
    }
}

/// The greatest snapshot seen, by (standing, `created` of its event, rank, grown amounts, event id).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Latest<T> {
    /// `created` of the event.
    pub at: i64,
    /// The event's id.
    pub event: String,
    /// The snapshot.
    pub is: T,
}

impl<T: Ranked> Latest<T> {
    fn place(&self) -> (u8, i64, u8, (i64, i64), &str, &T) {
        (self.is.standing(), self.at, self.is.rank(), self.is.grown(), &self.event, &self.is)
    }
}

impl<T: Ranked> Join for Latest<T> {
    fn join(&mut self, other: &Self) {
        if other.place() > self.place() {
            *self = other.clone();
        }
    }
}

impl<T: Join + Clone> Join for BTreeMap<String, T> {
    fn join(&mut self, other: &Self) {
        for (id, theirs) in other {
            match self.get_mut(id) {
                Some(ours) => ours.join(theirs),
                None => {
                    self.insert(id.clone(), theirs.clone());
                }
            }
        }
    }
}

impl<T: Join> Join for Box<T> {
    fn join(&mut self, other: &Self) {
        T::join(self, other);
    }
}

impl<T: Join + Clone> Join for Option<T> {
    fn join(&mut self, other: &Self) {
        match (self.as_mut(), other) {
            (Some(ours), Some(theirs)) => ours.join(theirs),
            (None, Some(theirs)) => *self = Some(theirs.clone()),
            (_, None) => {}
        }
    }
}

/// Union.
pub fn union<T: Ord + Clone>(ours: &mut BTreeSet<T>, theirs: &BTreeSet<T>) {
    for item in theirs {
        if !ours.contains(item) {
            ours.insert(item.clone());
        }
    }
}

/// The earlier of two seconds, of which either may be unknown.
pub fn earliest(ours: &mut Option<i64>, theirs: Option<i64>) {
    *ours = (*ours).into_iter().chain(theirs).min();
}

/// For `skip_serializing_if`.
#[allow(clippy::trivially_copy_pass_by_ref)]
pub fn is_false(flag: &bool) -> bool {
    !flag
}

/// For `skip_serializing_if`.
#[allow(clippy::trivially_copy_pass_by_ref)]
pub fn is_zero(amount: &i64) -> bool {
    *amount == 0
}
