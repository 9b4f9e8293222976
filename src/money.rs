//! Amounts of money, as Stripe counts them and as people read them.
//!
//! An amount is an integer in the currency's minor unit. How many decimals that unit has is Stripe's word, not
//! ISO 4217's: ISK and UGX have no minor unit but are sent as if they had one (`500` is 5). No crate knows these
//! cases, so the table is our own. Digits and grouping come from CLDR by `icu_decimal`; where the currency stands
//! is a small table, because `icu` formats no currencies yet.

use std::fmt;

use icu_decimal::input::Decimal;
use icu_decimal::{DecimalFormatter, DecimalFormatterPreferences};
use icu_locale_core::Locale;

/// Currencies without a minor unit.
const ZERO_DECIMAL: [&str; 15] =
    ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"];

/// Currencies whose minor unit is a thousandth.
const THREE_DECIMAL: [&str; 5] = ["BHD", "JOD", "KWD", "OMR", "TND"];

/// Currencies sent as two-decimal though they have no minor unit: a whole amount shows no decimals.
const SENT_AS_TWO_DECIMAL: [&str; 2] = ["ISK", "UGX"];

/// The symbols that a reader of any of our languages knows; all others are shown by their ISO code. A bare `$` is
/// the US dollar's alone: other dollars bear their letters.
const SYMBOLS: [(&str, &str); 10] = [
    ("USD", "$"),
    ("EUR", "€"),
    ("GBP", "£"),
    ("JPY", "¥"),
    ("CAD", "CA$"),
    ("AUD", "A$"),
    ("NZD", "NZ$"),
    ("INR", "₹"),
    ("KRW", "₩"),
    ("BRL", "R$"),
];

/// An amount in its currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Money {
    amount: i64,
    /// Upper case.
    currency: String,
}

impl Money {
    /// `amount` in the minor unit of `currency`, an ISO code in any case.
    pub fn new(amount: i64, currency: &str) -> Self {
        Self { amount, currency: currency.to_ascii_uppercase() }
    }

    /// In the currency's minor unit.
    pub fn amount(&self) -> i64 {
        self.amount
    }

    /// The ISO code, in upper case.
    pub fn currency(&self) -> &str {
        &self.currency
    }

    /// As a reader of `locale` (a BCP 47 tag; English where it is none) expects it: `$10.99`, `10,99 €`, `¥1,099`.
    pub fn format(&self, locale: &str) -> String {
        let language = locale.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
        let sign = if self.amount < 0 { "-" } else { "" };
        let digits = digits(&self.unsigned(), locale);
        let symbol = SYMBOLS.iter().find(|(code, _)| *code == self.currency).map(|(_, symbol)| *symbol);
        match (language.as_str(), symbol) {
            ("de" | "fr" | "es", symbol) => {
                format!("{sign}{digits}\u{a0}{}", symbol.unwrap_or(&self.currency))
            }
            // Japanese writes its own currency with the full-width sign's narrow twin, as English does.
            (_, Some(symbol)) => format!("{sign}{symbol}{digits}"),
            (_, None) => format!("{sign}{}\u{a0}{digits}", self.currency),
        }
    }

    /// The absolute value with as many decimals as the currency has.
    fn unsigned(&self) -> Decimal {
        let decimals = decimals(&self.currency);
        let mut value = Decimal::from(self.amount.unsigned_abs());
        value.multiply_pow10(-decimals);
        value.absolute.trim_end();
        let whole = value.absolute.nonzero_magnitude_end() >= 0;
        if !(whole && SENT_AS_TWO_DECIMAL.contains(&self.currency.as_str())) {
            value.absolute.pad_end(-decimals);
        }
        value
    }
}

/// The ISO code and the plain decimal number, for logs and programs: `EUR 10.99`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.amount < 0 { "-" } else { "" };
        write!(f, "{} {sign}{}", self.currency, self.unsigned())
    }
}

/// How many decimals Stripe's integer has. An unknown currency has two, as nearly all have: Stripe adds currencies
/// without asking us, and a message that shows the code and two decimals is better than none.
fn decimals(currency: &str) -> i16 {
    if ZERO_DECIMAL.contains(&currency) {
        0
    } else if THREE_DECIMAL.contains(&currency) {
        3
    } else {
        2
    }
}

fn digits(value: &Decimal, locale: &str) -> String {
    let locale: Locale = locale.replace('_', "-").parse().unwrap_or(Locale::UNKNOWN);
    let preferences = DecimalFormatterPreferences::from(&locale);
    match DecimalFormatter::try_new(preferences, icu_decimal::options::DecimalFormatterOptions::default()) {
        Ok(formatter) => formatter.format(value).to_string(),
        Err(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(amount: i64, currency: &str, locale: &str) -> String {
        Money::new(amount, currency).format(locale).replace(['\u{a0}', '\u{202f}'], " ")
    }

    #[test]
    fn every_class_of_exponent() {
        for (amount, currency, expected) in [
            (1099, "usd", "$10.99"),
            (5, "USD", "$0.05"),
            (0, "usd", "$0.00"),
            (100_000_000, "usd", "$1,000,000.00"),
            (1099, "jpy", "¥1,099"),
            (1099, "krw", "₩1,099"),
            (1099, "clp", "CLP 1,099"),
            (1099, "kwd", "KWD 1.099"),
            (1_234_560, "tnd", "TND 1,234.560"),
            (500, "isk", "ISK 5"),
            (500_000, "ugx", "UGX 5,000"),
            (550, "isk", "ISK 5.50"),
            (0, "isk", "ISK 0"),
            (100_000, "huf", "HUF 1,000.00"),
            (100_000, "twd", "TWD 1,000.00"),
            (1099, "gbp", "£10.99"),
            (1099, "cad", "CA$10.99"),
            (1099, "chf", "CHF 10.99"),
        ] {
            assert_eq!(shown(amount, currency, "en"), expected);
        }
    }

    #[test]
    fn all_zero_and_three_decimal_currencies() {
        for currency in ZERO_DECIMAL {
            assert_eq!(Money::new(1234, currency).to_string(), format!("{currency} 1234"));
        }
        for currency in THREE_DECIMAL {
            assert_eq!(Money::new(1234, currency).to_string(), format!("{currency} 1.234"));
        }
    }

    #[test]
    fn each_language_places_the_currency_its_own_way() {
        for (locale, euros, dollars, yen, francs) in [
            ("en", "€1,234.50", "$1,234.50", "¥1,234", "CHF 1,234.50"),
            ("de", "1.234,50 €", "1.234,50 $", "1.234 ¥", "1.234,50 CHF"),
            ("fr", "1 234,50 €", "1 234,50 $", "1 234 ¥", "1 234,50 CHF"),
            ("es", "1234,50 €", "1234,50 $", "1234 ¥", "1234,50 CHF"),
            ("ja", "€1,234.50", "$1,234.50", "¥1,234", "CHF 1,234.50"),
        ] {
            assert_eq!(shown(123_450, "eur", locale), euros);
            assert_eq!(shown(123_450, "usd", locale), dollars);
            assert_eq!(shown(1234, "jpy", locale), yen);
            assert_eq!(shown(123_450, "chf", locale), francs);
        }
    }

    #[test]
    fn an_unknown_locale_reads_as_english_and_an_unknown_currency_has_two_decimals() {
        for locale in ["", "auto", "xx-YY", "not a locale", "en_US"] {
            assert_eq!(shown(123_456, "eur", locale), "€1,234.56", "{locale}");
        }
        assert_eq!(shown(1099, "zzz", "en"), "ZZZ 10.99");
        assert_eq!(shown(1099, "", "en").trim(), "10.99");
        assert_eq!(shown(123_456, "eur", "de-AT").replace(' ', ""), "1234,56€");
    }

    #[test]
    fn negatives_and_extremes() {
        assert_eq!(shown(-1099, "usd", "en"), "-$10.99");
        assert_eq!(shown(-1099, "eur", "de"), "-10,99 €");
        assert_eq!(shown(i64::MAX, "usd", "en"), "$92,233,720,368,547,758.07");
        assert_eq!(shown(i64::MIN, "usd", "en"), "-$92,233,720,368,547,758.08");
        assert_eq!(shown(i64::MIN, "jpy", "ja"), "-¥9,223,372,036,854,775,808");
        assert_eq!(shown(i64::MIN, "kwd", "en"), "-KWD 9,223,372,036,854,775.808");
    }
}
