//! Days as people write them.

use chrono::{DateTime, Datelike, Utc};
use icu_datetime::DateTimeFormatter;
use icu_datetime::fieldsets::YMD;
use icu_datetime::input::Date;
use icu_locale_core::Locale;

/// The day in UTC, in the words of `locale`; in numbers, as ISO 8601 has them, where nothing is known of that.
pub(super) fn long_date(at: DateTime<Utc>, locale: &str) -> String {
    let plain = || at.format("%Y-%m-%d").to_string();
    let Ok(locale) = locale.replace('_', "-").parse::<Locale>() else { return plain() };
    let Ok(formatter) = DateTimeFormatter::try_new(locale.into(), YMD::long()) else { return plain() };
    let (month, day) = (u8::try_from(at.month()).unwrap_or(1), u8::try_from(at.day()).unwrap_or(1));
    Date::try_new_iso(at.year(), month, day).map_or_else(|_| plain(), |date| formatter.format(&date).to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_day_in_each_language() {
        let at = DateTime::parse_from_rfc3339("2026-03-05T23:59:59Z").unwrap().to_utc();
        for (locale, expected) in [
            ("en", "March 5, 2026"),
            ("en_GB", "5 March 2026"),
            ("de", "5. März 2026"),
            ("fr", "5 mars 2026"),
            ("es", "5 de marzo de 2026"),
            ("ja", "2026年3月5日"),
            ("not a locale", "2026-03-05"),
        ] {
            assert_eq!(long_date(at, locale), expected);
        }
    }
}
