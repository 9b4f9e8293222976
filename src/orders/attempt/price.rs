//! What was asked for, and in whose currency.

use crate::orders::facts::Component;
use crate::orders::facts::session::Asked;

/// What somebody is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price<'a> {
    /// Of both amounts.
    pub currency: &'a str,
    /// With everything.
    pub total: i64,
    /// Without shipping, tax and discounts, where that is known.
    pub subtotal: Option<i64>,
}

/// The customer's currency into the shop's, by the two totals of the checkout.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// What the customer pays.
    from: &'a Asked,
    /// The same for the shop.
    to: &'a Asked,
}

impl Exchange<'_> {
    /// In the shop's currency; what is in another than the customer's stays as it is.
    pub fn apply(&self, amount: i64, currency: &str) -> i64 {
        if currency != self.from.currency {
            return amount;
        }
        let (whole, from) = (i128::from(amount) * i128::from(self.to.total), i128::from(self.from.total));
        i64::try_from((whole + from / 2) / from).unwrap_or(i64::MAX)
    }
}

/// Where the customer pays in another currency than the shop's.
pub fn exchange<'a>(component: &Component<'a>) -> Option<Exchange<'a>> {
    component.sessions.iter().find_map(|(_, session)| {
        let (from, to) = (session.now.is.asked.as_ref()?, session.now.is.converted.as_ref()?);
        (from.total > 0 && from.currency != to.currency).then_some(Exchange { from, to })
    })
}

/// The best word for what was asked: a session's, else an invoice's, else a payment intent's, else a charge's.
pub fn price<'a>(component: &Component<'a>) -> Option<Price<'a>> {
    let of = |asked: &'a Asked| Price { currency: &asked.currency, total: asked.total, subtotal: asked.subtotal };
    let best = component.sessions.iter().filter(|(_, session)| session.expects().is_some());
    let best = best.max_by_key(|(_, session)| (session.paid(), session.now.is.status));
    if let Some(asked) = best.and_then(|(_, session)| session.expects()) {
        return Some(of(asked));
    }
    if let Some(price) = invoiced(component) {
        return Some(price);
    }
    let bare = |currency: &'a str, total: i64| Price { currency, total, subtotal: None };
    if let Some((_, intent)) = component.payment_intents.iter().max_by_key(|(_, intent)| intent.now.is.status) {
        return Some(bare(&intent.now.is.currency, intent.now.is.amount.saturating_sub(intent.now.is.tip)));
    }
    let charge = component.charges.iter().max_by_key(|(_, charge)| charge.now.is.status);
    charge.map(|(_, charge)| bare(&charge.now.is.currency, charge.now.is.amount))
}

/// What its invoices ask for together: one payment may pay several. What was given up counts only where nothing else is.
fn invoiced<'a>(component: &Component<'a>) -> Option<Price<'a>> {
    let counted = || component.invoices.iter().filter(|(_, invoice)| invoice.counted_due().is_some());
    let best = component.invoices.iter().max_by_key(|(_, invoice)| invoice.now.is.status)?;
    let asked: Vec<&Asked> = if counted().count() == 0 {
        vec![&best.1.now.is.asked]
    } else {
        counted().map(|(_, invoice)| &invoice.now.is.asked).collect()
    };
    let currency = &asked.first()?.currency[..];
    let total = asked.iter().fold(0_i64, |sum, asked| sum.saturating_add(asked.total));
    let subtotal = asked.iter().try_fold(0_i64, |sum, asked| Some(sum.saturating_add(asked.subtotal?)));
    Some(Price { currency, total, subtotal })
}
