//! Whether nothing has come for longer than usual. Pure.

use chrono::{DateTime, Utc};

/// So few say nothing of what is usual.
const ENOUGH: usize = 20;
/// Of a hundred pauses so many are usual.
const USUAL: usize = 95;
/// A silence is that many usual pauses long.
const TIMES: i64 = 10;
/// And never shorter than this, in seconds.
const SHORTEST: i64 = 120;

/// Nothing has come for longer than usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// So long, in seconds.
    pub seconds: i64,
    /// The pause that is usual, in seconds.
    pub usual: i64,
}

impl Silence {
    /// Whether there is one `now`, by when the last events came, the newest first.
    pub fn since(arrivals: &[DateTime<Utc>], now: DateTime<Utc>) -> Option<Self> {
        let mut pauses: Vec<i64> = arrivals.windows(2).map(|pair| (pair[0] - pair[1]).num_seconds()).collect();
        if pauses.len() < ENOUGH {
            return None;
        }
        pauses.sort_unstable();
        let usual = pauses[(pauses.len() * USUAL / 100).min(pauses.len() - 1)];
        let seconds = (now - arrivals[0]).num_seconds();
        (seconds > (usual * TIMES).max(SHORTEST)).then_some(Self { seconds, usual })
    }
}

#[cfg(test)]
mod tests {
    use super::Silence;
    use chrono::{DateTime, TimeDelta, Utc};

    /// Events that came so many seconds ago.
    fn silence(ago: impl IntoIterator<Item = i64>) -> Option<Silence> {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        let arrivals: Vec<DateTime<Utc>> = ago.into_iter().map(|ago| now - TimeDelta::seconds(ago)).collect();
        Silence::since(&arrivals, now)
    }

    #[test]
    fn ten_usual_pauses_are_a_silence() {
        let each_minute = |last: i64| (0..100).map(move |n| last + 60 * n);
        assert_eq!(silence(each_minute(600)), None);
        assert_eq!(silence(each_minute(601)), Some(Silence { seconds: 601, usual: 60 }));
    }

    #[test]
    fn a_busy_shop_is_silent_after_two_minutes_at_the_earliest() {
        let each_second = |last: i64| (0..100).map(move |n| last + n);
        assert_eq!(silence(each_second(120)), None);
        assert_eq!(silence(each_second(121)), Some(Silence { seconds: 121, usual: 1 }));
    }

    #[test]
    fn four_events_a_checkout_count_as_one_pause() {
        let checkouts = (0..50).flat_map(|n| [n * 300 + 1000; 4]);
        assert_eq!(silence(checkouts), None);
    }

    #[test]
    fn one_night_without_an_order_is_no_usual_pause() {
        let night = (0..60).map(|n| 700 + 60 * n).chain((60..100).map(|n| 30_000 + 60 * n));
        assert_eq!(silence(night), Some(Silence { seconds: 700, usual: 60 }));
    }

    #[test]
    fn a_new_shop_is_not_silent() {
        assert_eq!(silence([]), None);
        assert_eq!(silence((0..20).map(|n| 100_000 + n)), None);
    }
}
