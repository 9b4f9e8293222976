//! What templates can name: one set of values for all mails, each absent where it does not apply.

use chrono::{DateTime, Utc};
use minijinja::{Value, context};

use super::super::dates::long_date;
use super::{Shop, one_line};
use crate::money::Money;
use crate::notices::{About, LineView, OrderView, PaymentView};

/// What a mail tells, and to whom.
pub(in crate::outbox) struct Told<'a> {
    pub about: &'a About,
    pub order: &'a OrderView,
    /// The payment that it is about, where that is known.
    pub payment: Option<&'a PaymentView>,
    /// A customer reads it, not the shop.
    pub to_customer: bool,
    /// The customer's, where it is the customer that reads it.
    pub name: Option<&'a str>,
    pub lines: &'a [LineView],
    /// When the notice was due.
    pub at: DateTime<Utc>,
    /// The reader's own locale where it is of the mail's language, such as `en-GB`: days are written as there.
    pub region: &'a str,
}

/// The values of one mail. Days are those of UTC.
pub(in crate::outbox) fn values(shop: &Shop, told: &Told<'_>, locale: &str) -> Value {
    let Told { about, order, .. } = told;
    let money = |amount: Option<(i64, &str)>| amount.map(|(amount, code)| Money::new(amount, code).format(locale));
    let day = |at: DateTime<Utc>| long_date(at, told.region);
    let second = |seconds: i64| DateTime::from_timestamp(seconds, 0);
    let expected = order.amount_expected.zip(order.currency.as_deref()).filter(|_| !told.is_converted());
    context! {
        locale,
        colon => colon(locale),
        name => told.name,
        reference => one_line(&order.reference),
        amount => money(told.amount()),
        credit => told.credit(),
        credited => money(told.credited()),
        // Of a payment the day on which it arrived, however late it was heard of.
        date => day(about.at.and_then(second).unwrap_or(told.at)),
        due_by => about.due_by.and_then(second).map(day),
        part => order.money_status == "partially_paid",
        expected => money(expected),
        total => money(expected.filter(|_| !told.lines.is_empty())),
        stays => told.stays(),
        payment_amount => money(told.payment.and_then(seen)),
        payment_date => told.payment.and_then(|payment| payment.paid_at).map(day),
        subscription => order.subscription.is_some(),
        after_trial => order.follows_trial,
        lost_from_start => about.lost_from_start,
        lines => told.lines.iter().map(|line| told.line(line, locale)).collect::<Vec<_>>(),
        url => &about.url,
        shop => one_line(&shop.name),
        shop_url => &shop.url,
        logo => &shop.logo,
        livemode => order.livemode,
        reason => about.reason.as_deref().map(one_line),
        object => one_line(&about.object),
    }
}

impl Told<'_> {
    /// What moved, in the reader's currency; none where that is not known, and where all was paid from credit.
    fn amount(&self) -> Option<(i64, &str)> {
        if self.credit() == Some("whole") {
            return None;
        }
        let own = self.about.amount.zip(self.about.currency.as_deref());
        let of_payment = self.payment.and_then(seen);
        let of_order = || Some(self.order.amount_paid).zip(self.order.currency.as_deref());
        match (self.to_customer, self.payment) {
            (true, Some(_)) => self.about.seen().or(of_payment),
            (true, None) => self.about.seen().or_else(of_order),
            (false, _) => own.or_else(of_order),
        }
    }

    /// What was paid from the customer's balance at the shop.
    fn credited(&self) -> Option<(i64, &str)> {
        let currency = self.about.currency.as_deref().or(self.order.currency.as_deref());
        self.about.amount_credited.filter(|amount| *amount > 0).zip(currency)
    }

    /// How much of it: the `whole`, a `part`, or nothing.
    fn credit(&self) -> Option<&'static str> {
        let is_part = self.about.amount.is_some_and(|amount| amount > 0);
        self.credited().map(|_| if is_part { "part" } else { "whole" })
    }

    /// What the order is although this payment was given back: still `paid`, or `partly`.
    fn stays(&self) -> Option<&'static str> {
        match &self.order.money_status[..] {
            "paid" => Some("paid"),
            "partially_paid" | "partially_refunded" => Some("partly"),
            _ => None,
        }
    }

    /// The customer saw another currency than the shop counts in: what only the shop knows is not what they saw.
    fn is_converted(&self) -> bool {
        let presented = self.about.presentment_currency.as_deref();
        self.to_customer && presented.is_some_and(|presented| self.order.currency.as_deref() != Some(presented))
    }

    fn line(&self, line: &LineView, locale: &str) -> Value {
        let amount = line.amount.zip(self.order.currency.as_deref()).filter(|_| !self.is_converted());
        let amount = amount.map(|(amount, currency)| Money::new(amount, currency).format(locale));
        context! { description => one_line(&line.description), quantity => line.quantity, amount }
    }
}

/// A payment as its payer saw it.
fn seen(payment: &PaymentView) -> Option<(i64, &str)> {
    let presented = payment.presentment_amount.zip(payment.presentment_currency.as_deref());
    presented.or(Some(payment.amount).zip(payment.currency.as_deref()))
}

/// What stands between a label and its value.
fn colon(locale: &str) -> &'static str {
    match locale.split('-').next() {
        Some("fr") => "\u{a0}: ",
        Some("ja" | "zh") => "：",
        _ => ": ",
    }
}
