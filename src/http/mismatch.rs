//! The alarm for an endpoint that gets nothing but events of another mode or account: a wrong setting, most likely.

use std::sync::atomic::{AtomicI64, Ordering};

/// So long must nothing but mismatches come, in seconds.
const WINDOW: i64 = 600;
/// No mismatch since the last welcome event.
const NONE: i64 = i64::MIN;

/// When mismatches began, in Unix seconds.
#[derive(Debug)]
pub struct Mismatches(AtomicI64);

impl Default for Mismatches {
    fn default() -> Self {
        Self(AtomicI64::new(NONE))
    }
}

impl Mismatches {
    /// An event of ours came.
    pub fn welcome(&self) {
        if self.0.load(Ordering::Relaxed) != NONE {
            self.0.store(NONE, Ordering::Relaxed);
        }
    }

    /// An event of another mode or account came at `now`; true where it is time for an alarm, once a window.
    pub fn mismatch(&self, now: i64) -> bool {
        match self.0.compare_exchange(NONE, now, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => false,
            Err(since) if now.saturating_sub(since) < WINDOW => false,
            Err(since) => self.0.compare_exchange(since, now, Ordering::Relaxed, Ordering::Relaxed).is_ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_window_without_any_welcome_event_raises_the_alarm() {
        let mismatches = Mismatches::default();
        assert!(!mismatches.mismatch(1000));
        assert!(!mismatches.mismatch(1599));
        assert!(mismatches.mismatch(1600));
        assert!(!mismatches.mismatch(1601), "once a window");
        mismatches.welcome();
        assert!(!mismatches.mismatch(3000));
        assert!(!mismatches.mismatch(3599));
    }
}
