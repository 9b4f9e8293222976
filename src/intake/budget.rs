//! How many bytes of bodies may be in memory at once, unverified ones included.
//!
//! Room is taken for bytes that are there, never for bytes that are announced: a head costs its sender nothing. Small
//! bodies have a share of their own, so that large ones, whoever sends them, never keep out the usual events.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::time::{Instant, sleep};

/// Largest body that may use the share of small ones, in bytes: nearly all events of Stripe and GitHub are smaller.
const SMALL: usize = 64 << 10;

/// The room there is.
#[derive(Clone, Debug)]
pub struct Budget {
    used: Arc<AtomicUsize>,
    limit: usize,
    /// Of `limit`, for small bodies alone.
    share: usize,
}

/// Room taken; dropping it gives it back.
#[derive(Debug)]
pub struct Permit {
    budget: Budget,
    bytes: usize,
    /// All bodies together may use so much before this one is refused.
    limit: usize,
}

impl Budget {
    /// Room for `limit` bytes, of large and small bodies alike.
    pub fn new(limit: usize) -> Self {
        Self { used: Arc::default(), limit, share: 0 }
    }

    /// The same, but bodies over 64 KiB leave `share` of it to the others.
    #[must_use]
    pub fn with_share(self, share: usize) -> Self {
        Self { share, ..self }
    }

    /// A permit for a body that is yet to arrive. It takes no room before it grows. Without a declared length a body may
    /// become large, and counts as such.
    pub fn arriving(&self, declared: Option<usize>) -> Permit {
        let is_small = declared.is_some_and(|declared| declared <= SMALL);
        let limit = if is_small { self.limit } else { self.limit.saturating_sub(self.share) };
        Permit { budget: self.clone(), bytes: 0, limit }
    }

    /// A permit for `bytes` that are there. Returns `None` if that is more than is left.
    pub fn reserve(&self, bytes: usize) -> Option<Permit> {
        let mut permit = self.arriving(Some(bytes));
        permit.grow(bytes).then_some(permit)
    }

    /// The same for whoever can wait, until `deadline`.
    pub async fn reserve_by(&self, bytes: usize, deadline: Instant) -> Option<Permit> {
        loop {
            match self.reserve(bytes) {
                None if Instant::now() < deadline => sleep(super::PAUSE).await,
                permit => return permit,
            }
        }
    }

    /// Bytes in flight.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

impl Permit {
    /// Takes `bytes` more. Returns false if there is no room for them.
    pub fn grow(&mut self, bytes: usize) -> bool {
        let taken = self.budget.used.fetch_add(bytes, Ordering::Relaxed);
        if taken.saturating_add(bytes) > self.limit {
            self.budget.used.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        self.bytes += bytes;
        true
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn room_is_bounded_and_comes_back() {
        let budget = Budget::new(10);
        let mut first = budget.reserve(6).unwrap();
        assert!(budget.reserve(5).is_none());
        assert!(first.grow(4) && !first.grow(1));
        drop(first);
        assert_eq!(budget.used(), 0);
        assert!(budget.reserve(10).is_some());
    }

    #[test]
    fn what_is_only_declared_takes_no_room() {
        let budget = Budget::new(1 << 20);
        let announced: Vec<Permit> = (0..1000).map(|_| budget.arriving(Some(1 << 20))).collect();
        assert_eq!(budget.used(), 0);
        assert!(budget.reserve(1 << 20).is_some());
        drop(announced);
    }

    #[test]
    fn large_bodies_leave_small_ones_their_share() {
        let budget = Budget::new(1 << 20).with_share(256 << 10);
        let mut large = [budget.arriving(Some(SMALL + 1)), budget.arriving(None)];
        while large.iter_mut().any(|permit| permit.grow(1 << 10)) {}
        assert_eq!(budget.used(), (1 << 20) - (256 << 10));
        assert!(budget.reserve(SMALL + 1).is_none());
        let small: Vec<Permit> = std::iter::from_fn(|| budget.reserve(SMALL)).collect();
        assert_eq!((small.len(), budget.used()), (4, 1 << 20));
    }

    #[tokio::test]
    async fn whoever_can_wait_gets_what_comes_back() {
        let budget = Budget::new(10);
        let taken = budget.reserve(6).unwrap();
        assert!(budget.reserve_by(5, Instant::now()).await.is_none());
        let later = Instant::now() + std::time::Duration::from_secs(60);
        // The first is polled first, and finds no room.
        let (waited, ()) = tokio::join!(budget.reserve_by(5, later), async { drop(taken) });
        assert_eq!((waited.is_some(), budget.used()), (true, 5));
    }
}
