//! Numbers: what was measured in several rounds, and what was hoped for.

use std::fmt::{self, Display, Formatter};

/// One value a round.
#[derive(Clone, Debug, Default)]
pub struct Figures(Vec<f64>);

impl Figures {
    /// Adds a round's value.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// The middle one; the mean of both where there is an even number.
    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => f64::NAN,
            even if even % 2 == 0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
            _ => sorted[middle],
        }
    }

    /// Each round's value divided by the other's of the same round.
    pub fn over(&self, other: &Self) -> Self {
        self.0.iter().zip(&other.0).map(|(a, b)| a / b).collect()
    }

    /// The least and the greatest.
    fn spread(&self) -> (f64, f64) {
        self.0.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), v| (least.min(*v), most.max(*v)))
    }
}

impl FromIterator<f64> for Figures {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

impl Display for Figures {
    /// The median, then the spread.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (least, most) = self.spread();
        match self.0.len() {
            0 => write!(f, "–"),
            1 => write!(f, "{}", number(least)),
            _ => write!(f, "{} ({}..{})", number(self.median()), number(least), number(most)),
        }
    }
}

/// A number with three digits that count; thousands stay whole.
pub fn number(value: f64) -> String {
    match value.abs() {
        v if v >= 1000.0 => {
            let digits = format!("{value:.0}");
            let split = digits.len() - 3;
            format!("{},{}", &digits[..split], &digits[split..])
        }
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// What a figure should reach.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// More is better.
    AtLeast(f64),
    /// Less is better.
    AtMost(f64),
}

impl Goal {
    /// Whether the median reaches it.
    pub fn is_met(self, figures: &Figures) -> bool {
        match self {
            Self::AtLeast(goal) => figures.median() >= goal,
            Self::AtMost(goal) => figures.median() <= goal,
        }
    }
}

impl Display for Goal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(goal) => write!(f, "≥ {}", number(*goal)),
            Self::AtMost(goal) => write!(f, "≤ {}", number(*goal)),
        }
    }
}

/// How long answers took, in microseconds.
#[derive(Clone, Debug, Default)]
pub struct Latencies(Vec<u32>);

impl Latencies {
    /// What a share of the answers, such as 0.99, did not exceed; in milliseconds.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    pub fn percentile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = (sorted.len() as f64 * share) as usize;
        sorted.get(at.min(sorted.len().saturating_sub(1))).map_or(f64::NAN, |micros| f64::from(*micros) / 1000.0)
    }

    /// The mean, in milliseconds.
    #[allow(clippy::cast_precision_loss)]
    pub fn mean(&self) -> f64 {
        self.0.iter().map(|micros| f64::from(*micros)).sum::<f64>() / self.0.len() as f64 / 1000.0
    }
}

impl FromIterator<u32> for Latencies {
    fn from_iter<I: IntoIterator<Item = u32>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

impl Extend<u32> for Latencies {
    fn extend<I: IntoIterator<Item = u32>>(&mut self, values: I) {
        self.0.extend(values);
    }
}

impl IntoIterator for Latencies {
    type Item = u32;
    type IntoIter = std::vec::IntoIter<u32>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
