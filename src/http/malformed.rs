//! Requests that are no HTTP: counted, and told once a minute, as anybody may send thousands a second.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Between two lines in the log, in seconds.
const PAUSE: i64 = 60;

/// What came since it was last told.
#[derive(Debug, Default)]
pub struct Malformed {
    untold: AtomicU64,
    /// When it may be told again, in Unix seconds.
    next: AtomicI64,
}

impl Malformed {
    /// One came at `now`. Returns how many came since the last time, if they are to be told.
    pub fn add(&self, now: i64) -> Option<u64> {
        self.untold.fetch_add(1, Ordering::Relaxed);
        let next = self.next.load(Ordering::Relaxed);
        if now < next {
            return None;
        }
        let told = self.next.compare_exchange(next, now + PAUSE, Ordering::Relaxed, Ordering::Relaxed);
        told.is_ok().then(|| self.untold.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_told_once_a_minute_with_their_number() {
        let malformed = Malformed::default();
        assert_eq!(malformed.add(1000), Some(1));
        assert!((0..500).all(|n| malformed.add(1000 + n % 60).is_none()));
        assert_eq!(malformed.add(1060), Some(501));
        assert_eq!(malformed.add(1061), None);
    }
}
