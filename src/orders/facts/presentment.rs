//! What the customer saw, where that was in another currency than the shop's (`presentment_details`).

use serde::{Deserialize, Serialize};

use crate::source::fields::Fields;

/// An amount as the customer saw it and was charged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Presentment {
    /// In the minor unit of `currency`.
    pub amount: i64,
    /// Lower-case ISO code.
    pub currency: String,
}

impl Presentment {
    /// Reads an object's `presentment_details`. It is only shown, so nonsense counts as absent.
    pub fn read(fields: &Fields<'_>) -> Option<Self> {
        let details = fields.object("presentment_details")?;
        let amount = details.amount("presentment_amount").ok()??;
        let currency = details.currency("presentment_currency").ok()??;
        Some(Self { amount, currency })
    }

    /// `part` of `whole` in the customer's currency, rounded to its minor unit.
    pub fn share(&self, part: i64, whole: i64) -> i64 {
        if part == whole || whole <= 0 {
            return self.amount;
        }
        let (scaled, whole) = (i128::from(part) * i128::from(self.amount), i128::from(whole));
        i64::try_from((scaled + whole / 2) / whole).unwrap_or(i64::MAX)
    }
}
