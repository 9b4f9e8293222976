//! How many bytes of bodies may be in memory at once, unverified ones included.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::time::{Instant, sleep};

/// The room there is.
#[derive(Clone, Debug)]
pub struct Budget {
    used: Arc<AtomicUsize>,
    limit: usize,
}

/// Room taken; dropping it gives it back.
#[derive(Debug)]
pub struct Permit {
    budget: Budget,
    bytes: usize,
}

impl Budget {
    /// Room for `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { used: Arc::default(), limit }
    }

    /// A permit for `bytes`, unless that is more than is left.
    pub fn reserve(&self, bytes: usize) -> Option<Permit> {
        let mut permit = Permit { budget: self.clone(), bytes: 0 };
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
    /// Takes `bytes` more; false where there is no room for them.
    pub fn grow(&mut self, bytes: usize) -> bool {
        let taken = self.budget.used.fetch_add(bytes, Ordering::Relaxed);
        if taken.saturating_add(bytes) > self.budget.limit {
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
