//! One order's facts, read: its attempts to pay in numbers, and the shop's last words.

use super::attempt::Attempt;
use super::facts::Facts;
use super::facts::join::Join;
use super::facts::shop::{Expectation, Release};
use super::reviews::{Review, reviews};

/// Everything that an order's facts come to, before it is put into words: the ground of its status and its notices.
#[derive(Debug)]
pub struct Reading<'a> {
    /// The attempts to pay: the one that counts most first.
    pub attempts: Vec<Attempt<'a>>,
    /// What the shop expects.
    pub expectation: Option<Expectation>,
    /// What a person let go on.
    pub release: Option<Release>,
    /// What a person must look at, released or not, sorted.
    pub reviews: Vec<Review>,
}

impl<'a> Reading<'a> {
    /// Reads the facts of one order.
    pub fn of(facts: &'a Facts) -> Self {
        let mut attempts: Vec<_> = facts.components().into_iter().map(Attempt::of).collect();
        // Stable: among equals, the order of their names stays.
        attempts.sort_by_key(|attempt| (!attempt.holds_money(), !attempt.settled(), attempt.state));
        let mut expectation = None;
        let mut release = None;
        let by_object = attempts.iter().flat_map(|attempt| attempt.component.shop.iter().copied());
        for shop in facts.shop.values().map(Box::as_ref).chain(by_object) {
            expectation.join(&shop.expectation);
            release.join(&shop.release);
        }
        let reviews = reviews(&attempts, expectation.as_ref());
        Self { attempts, expectation, release, reviews }
    }

    /// What a person must still look at, sorted.
    pub fn open_reviews(&self) -> impl Iterator<Item = &Review> {
        let is_open = |review: &&Review| self.release.as_ref().is_none_or(|release| !review.is_released(release));
        self.reviews.iter().filter(is_open)
    }
}
