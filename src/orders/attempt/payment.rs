//! The payments of an attempt: what brought money, each with all that concerns it.

use super::belonging::{self, concerns, is_charge_of};
use super::price::Price;
use crate::orders::facts::charge::Charge;
use crate::orders::facts::dispute::Dispute;
use crate::orders::facts::payment_intent::{PaymentIntent, Status as Intent};
use crate::orders::facts::presentment::Presentment;
use crate::orders::facts::refund::Refund;
use crate::orders::facts::ties::Ties;
use crate::orders::facts::{Component, ObjectKind};

/// One payment. Amounts are as it was charged, in `currency`.
#[derive(Debug)]
pub struct Payment<'a> {
    /// Payment intent, else invoice, else session, else charge.
    pub name: &'a str,
    /// The other names under which it may have been told already.
    pub also: Vec<&'a str>,
    /// It arrived whole: people are told of it. A capture that goes on, or a transfer of a part, is not.
    pub arrived: bool,
    /// What came in.
    pub paid: i64,
    /// What the customer's balance at the shop paid beside it.
    pub credited: i64,
    /// The tip in it.
    pub tip: i64,
    /// What went back.
    pub refunded: i64,
    /// What disputes took for good.
    pub lost: i64,
    /// A dispute is open.
    pub disputed: bool,
    /// As it was charged.
    pub currency: Option<&'a str>,
    /// When it arrived, in unix seconds, by the first that is known to say so.
    pub at: Option<i64>,
    /// Where a payment intent is the payment.
    pub intent: Option<&'a PaymentIntent>,
    /// The charges that tried to move its money.
    pub charges: Vec<(&'a str, &'a Charge)>,
    /// What was given back of it, what failed included.
    pub refunds: Vec<(&'a str, &'a Refund)>,
    /// Its disputes.
    pub disputes: Vec<(&'a str, &'a Dispute)>,
    /// What the customer saw of the whole amount, and that amount.
    presentment: Option<(&'a Presentment, i64)>,
}

impl<'a> Payment<'a> {
    /// Money of it is still there.
    pub fn holds_money(&self) -> bool {
        self.paid > self.refunded.saturating_add(self.lost)
    }

    /// Its charges that took money.
    pub fn captured(&self) -> impl Iterator<Item = (&'a str, &'a Charge)> + '_ {
        self.charges.iter().copied().filter(|(_, charge)| charge.took())
    }

    /// `amount` as the customer saw it, if in another currency.
    pub fn seen(&self, amount: i64) -> Option<(i64, &'a str)> {
        let (whole, charged) = self.presentment?;
        Some((whole.share(amount, charged), &whole.currency))
    }

    fn named(component: &Component<'a>, name: &'a str, is_payment: impl Fn(&str) -> bool) -> Self {
        let others = component.names.iter().filter(|(kind, id)| *kind != ObjectKind::Other && !is_payment(id));
        Self {
            name,
            also: others.map(|(_, id)| *id).filter(|id| *id != name).collect(),
            arrived: false,
            paid: 0,
            credited: 0,
            tip: 0,
            refunded: 0,
            lost: 0,
            disputed: false,
            currency: None,
            at: None,
            intent: None,
            charges: Vec::new(),
            refunds: Vec::new(),
            disputes: Vec::new(),
            presentment: None,
        }
    }
}

/// The payments of a component. Each payment intent with money is one; where none is known yet, whatever else says that
/// money arrived. What was a payment stays one under this or another of its names.
pub(super) fn payments<'a>(component: &Component<'a>, price: Option<&Price<'a>>) -> Vec<Payment<'a>> {
    let has_money = |intent: &PaymentIntent| {
        intent.succeeded() || (intent.now.is.received > 0 && intent.now.is.status != Intent::Canceled)
    };
    let intents = component.payment_intents.iter().copied().filter(|(_, intent)| has_money(intent));
    let mut payments: Vec<Payment<'a>> = intents.map(|(name, intent)| by_intent(component, name, intent)).collect();
    if payments.is_empty() {
        payments.extend(without_intent(component, price));
    } else {
        payments.extend(beside_intents(component, &payments));
    }
    hand_out(component, &mut payments);
    payments
}

fn by_intent<'a>(component: &Component<'a>, name: &'a str, intent: &'a PaymentIntent) -> Payment<'a> {
    let is_payment = |id: &str| component.payment_intents.iter().any(|(name, it)| *name == id && it.succeeded());
    let state = &intent.now.is;
    let session = component.sessions.iter().find_map(|(_, session)| session.presented());
    Payment {
        arrived: intent.succeeded(),
        paid: state.received,
        tip: state.tip.min(state.received),
        currency: Some(&state.currency),
        at: Some(intent.now.at),
        intent: Some(intent),
        presentment: state.presentment.as_ref().map(|seen| (seen, state.amount)).or(session),
        ..Payment::named(component, name, is_payment)
    }
}

/// The payment that an invoice, a session or a charge without a payment intent tells of.
fn without_intent<'a>(component: &Component<'a>, price: Option<&Price<'a>>) -> Option<Payment<'a>> {
    let invoiced = component.invoices.iter().map(|(_, invoice)| &invoice.now.is);
    let by_invoices = invoiced.fold(0_i64, |sum, invoice| sum.saturating_add(invoice.paid));
    let direct = component.charges.iter().filter(|(_, charge)| charge.direct && charge.took());
    let by_charges = direct.clone().fold(0_i64, |sum, (_, charge)| sum.saturating_add(charge.amount_captured()));
    let credited: i64 = component.invoices.iter().map(|(_, invoice)| invoice.credited()).sum();
    let paid_session = component.sessions.iter().filter(|(_, session)| session.paid());
    let asked = paid_session.clone().filter_map(|(_, session)| session.now.is.asked.as_ref());
    let by_sessions = asked.clone().fold(0_i64, |sum, asked| sum.saturating_add(asked.total));
    let known = by_invoices.max(by_charges);
    let (paid, of_session) = if known > 0 { (known, None) } else { (by_sessions, asked.clone().next()) };
    let paid_invoices = component.invoices.iter().filter(|(_, invoice)| invoice.paid());
    let by_invoice = paid_invoices.clone().any(|(_, invoice)| invoice.now.is.paid > 0 || invoice.credited() > 0);
    let arrived = by_invoice || paid_session.clone().next().is_some() || direct.clone().next().is_some();
    if paid == 0 && !arrived {
        return None;
    }
    let name = component.names.iter().find(|(kind, _)| *kind != ObjectKind::Other).map(|(_, id)| *id)?;
    let dates = paid_invoices.map(|(_, invoice)| invoice.now.at).chain(paid_session.map(|(_, session)| session.now.at));
    let currency = component.invoices.first().map(|(_, invoice)| &invoice.now.is.asked.currency[..]);
    let charged = direct.clone().next().map(|(_, charge)| &charge.now.is.currency[..]);
    Some(Payment {
        arrived,
        paid,
        credited,
        at: dates.chain(direct.map(|(_, charge)| charge.now.at)).min(),
        currency: of_session
            .map(|asked| &asked.currency[..])
            .or(currency)
            .or(charged)
            .or(price.map(|price| price.currency)),
        presentment: component.sessions.iter().find_map(|(_, session)| session.presented()),
        ..Payment::named(component, name, |_| false)
    })
}

/// What invoices say came in beside all of their payment intents: another intent is still to be linked, or a part was paid
/// out of band. It counts; it is told as what it turns out to be.
fn beside_intents<'a>(component: &Component<'a>, known: &[Payment<'a>]) -> Option<Payment<'a>> {
    let (name, invoice) = component.invoices.iter().find(|(_, invoice)| invoice.paid())?;
    let invoiced = component.invoices.iter().fold(0_i64, |sum, (_, it)| sum.saturating_add(it.now.is.paid));
    let paid = known.iter().fold(0_i64, |sum, payment| sum.saturating_add(payment.paid));
    let is_known = |id: &str| component.payment_intents.iter().any(|(known, _)| *known == id);
    let all_known = component.names.iter().all(|(kind, id)| *kind != ObjectKind::PaymentIntent || is_known(id));
    let settled = component.payment_intents.iter().all(|(_, intent)| intent.now.is.status >= Intent::Canceled);
    (invoiced > paid && all_known && settled).then(|| Payment {
        also: Vec::new(),
        paid: invoiced - paid,
        currency: Some(&invoice.now.is.asked.currency),
        at: Some(invoice.now.at),
        ..Payment::named(component, name, |_| true)
    })
}

/// Gives each payment its charges, refunds and disputes. A payment intent has those that are known to be its own; what
/// else tells of a payment has them all.
fn hand_out<'a>(component: &Component<'a>, payments: &mut [Payment<'a>]) {
    let (refunds, single) = (belonging::refunds(component), payments.len() == 1);
    for payment in payments.iter_mut() {
        let own_charge = |id: &str, charge: &Charge| match payment.intent {
            Some(intent) => is_charge_of(id, charge, payment.name, intent),
            None => single,
        };
        let own = |ties: &Ties| match payment.intent {
            Some(intent) => concerns(component, payment.name, intent, ties),
            None => single,
        };
        payment.charges = component.charges.iter().copied().filter(|(id, charge)| own_charge(id, charge)).collect();
        payment.refunds = refunds.iter().copied().filter(|(_, refund)| own(&refund.ties)).collect();
        payment.disputes = component.disputes.iter().copied().filter(|(_, dispute)| own(&dispute.ties)).collect();
        if payment.presentment.is_none() {
            let seen = |charge: &'a Charge| Some((charge.now.is.presentment.as_ref()?, charge.now.is.amount));
            payment.presentment = payment.charges.iter().find_map(|(_, charge)| seen(charge));
        }
    }
}
