//! When a failed message is tried again.
//!
//! The schedule is the one that Standard Webhooks recommends: eight attempts over about a day. Each delay is
//! spread by a fifth either way, so that what failed together doesn't come back together.

use std::time::Duration;

/// Delays after the first, second, … failed attempt: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 10 h.
const DELAYS: [u64; 7] = [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000];

/// How often a message is tried before it is given up.
pub const ATTEMPTS: usize = DELAYS.len() + 1;

/// How long to wait after failed attempt `number` (counted from 1); none once the last was made. `roll` is a random
/// number from 0 to 1.
pub fn delay(number: usize, roll: f64) -> Option<Duration> {
    DELAYS.get(number.saturating_sub(1)).map(|seconds| spread(*seconds, roll))
}

/// The same for what is not given up: after the schedule's end with its last delay, again and again.
pub fn delay_without_end(number: usize, roll: f64) -> Duration {
    delay(number, roll).unwrap_or_else(|| spread(DELAYS[DELAYS.len() - 1], roll))
}

fn spread(seconds: u64, roll: f64) -> Duration {
    Duration::from_secs(seconds).mul_f64(0.8 + 0.4 * roll.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seven_delays_then_none() {
        let plain: Vec<_> = (1..=9).map(|number| delay(number, 0.5).map(|d| d.as_secs_f64().round())).collect();
        let known = [5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 36_000.0].map(Some);
        assert_eq!(plain[..7], known);
        assert_eq!(plain[7..], [None, None]);
        assert_eq!(ATTEMPTS, 8);
    }

    #[test]
    fn what_is_not_given_up_is_tried_every_ten_hours() {
        assert_eq!(delay_without_end(1, 0.5), Duration::from_secs(5));
        for number in [7, 8, 9, 1000] {
            assert_eq!(delay_without_end(number, 0.5), Duration::from_secs(36_000));
        }
    }

    #[test]
    fn the_jitter_is_a_fifth_either_way() {
        assert_eq!(delay(1, 0.0), Some(Duration::from_secs(4)));
        assert_eq!(delay(1, 1.0), Some(Duration::from_secs(6)));
        assert_eq!(delay(2, 7.0), Some(Duration::from_secs(360)));
        assert_eq!(delay(0, 0.0), delay(1, 0.0));
    }
}
