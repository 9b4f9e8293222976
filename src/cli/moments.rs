//! Moments as people type them.

use chrono::{DateTime, TimeDelta, Utc};

/// A moment, or how long ago it was.
pub fn moment_or_ago(text: &str) -> Result<DateTime<Utc>, &'static str> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(at.to_utc());
    }
    let told = "is neither 90s, 30m, 2h, 3d nor a date such as 2026-11-24T08:00:00Z";
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or(told)?;
    let number: u32 = number.parse().map_err(|_| told)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(told),
    };
    Utc::now().checked_sub_signed(TimeDelta::seconds(i64::from(number) * seconds)).ok_or(told)
}
