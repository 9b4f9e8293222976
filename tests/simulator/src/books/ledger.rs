//! What each payer is to be told, added up.

use std::collections::BTreeMap;

use super::{Books, Owed, PaymentBook};

/// What a payer's payments come to, in one currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// What was paid.
    pub paid: i64,
    /// What went back.
    pub refunded: i64,
}

/// One refund, and whether its payer is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundTelling {
    /// The payer's address; without one nothing is told by mail.
    pub payer: Option<String>,
    /// The currency that the customer sees.
    pub currency: String,
    /// In that currency.
    pub amount: i64,
    /// `re_…`
    pub refund: String,
    /// `ch_…`
    pub charge: Option<String>,
    /// Whether it is told as made.
    pub made: Owed,
    /// Whether it is told as failed.
    pub failed: Owed,
}

impl Books {
    /// By payer's address and the currency that the customer saw: what was paid and what went back, at rest.
    ///
    /// Σ told as paid − Σ told as refunded + Σ told as failed must come to `paid − refunded`.
    pub fn ledger(&self) -> BTreeMap<(String, String), Ledger> {
        let mut ledger: BTreeMap<(String, String), Ledger> = BTreeMap::new();
        for payment in self.payments().filter(|payment| payment.complete && payment.presentment.amount > 0) {
            if let Some(payer) = &payment.payer {
                let entry = ledger.entry((payer.clone(), payment.presentment.currency.clone())).or_default();
                entry.paid += payment.presentment.amount;
                let told = payment.refunds.iter().filter(|refund| refund.made == Owed::Always);
                entry.refunded += told.map(|refund| refund.amount_presented).sum::<i64>();
            }
        }
        ledger
    }

    /// Each refund, those too of which nobody is told.
    pub fn refunds(&self) -> Vec<RefundTelling> {
        let tellings = |payment: &PaymentBook| {
            let payment = payment.clone();
            payment.refunds.into_iter().map(move |refund| RefundTelling {
                payer: payment.payer.clone(),
                currency: payment.presentment.currency.clone(),
                amount: refund.amount_presented,
                refund: refund.id,
                charge: payment.charge.clone(),
                made: refund.made,
                failed: refund.failed,
            })
        };
        self.payments().flat_map(tellings).collect()
    }

    fn payments(&self) -> impl Iterator<Item = &PaymentBook> {
        self.orders.iter().flat_map(|order| &order.payments)
    }
}
