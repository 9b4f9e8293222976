//! One attempt to pay, added up: what came in, what went back, and how it stands.

use super::facts::Component;
use super::facts::ObjectKind;
use super::facts::charge::Charge;
use super::facts::dispute;
use super::facts::invoice::{self, Tried};
use super::facts::payment_intent::{PaymentIntent, Status as Intent};
use super::facts::refund::Refund;
use super::facts::session::{self, Asked};
use super::facts::{charge, payment_intent};
use super::order::Status;

/// An attempt to pay, in numbers. Amounts are in the attempt's currency, which is the shop's own where a customer
/// paid in another one.
#[derive(Debug)]
pub struct Attempt<'a> {
    /// Its facts.
    pub component: Component<'a>,
    /// What was asked for.
    pub price: Option<Price<'a>>,
    /// What came in.
    pub paid: i64,
    /// All that was asked for came in, even if that is nothing.
    pub full: bool,
    /// What went back. Zero while no payment is known: a refund that comes first waits for its payment.
    pub refunded: i64,
    /// What disputes took for good.
    pub lost: i64,
    /// A dispute is open.
    pub disputed: bool,
    /// How it stands apart from money that came in: `authorized` and below.
    pub state: Status,
    exchange: Option<Exchange<'a>>,
}

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
struct Exchange<'a> {
    from: &'a Asked,
    to: &'a Asked,
}

/// One payment of an attempt, as messages count them.
#[derive(Debug)]
pub struct Payment<'a> {
    /// Payment intent, else invoice, else session, else charge.
    pub name: &'a str,
    /// The other names under which it may have been told already.
    pub also: Vec<&'a str>,
    /// What came in, in `currency`.
    pub amount: i64,
    /// As it was paid.
    pub currency: Option<&'a str>,
    /// Where a payment intent is the payment.
    pub intent: Option<&'a PaymentIntent>,
}

impl<'a> Attempt<'a> {
    /// Adds it up.
    pub fn of(component: Component<'a>) -> Self {
        let exchange = exchange(&component);
        let mut attempt = Self {
            price: price(&component),
            state: state(&component),
            component,
            paid: 0,
            full: false,
            refunded: 0,
            lost: 0,
            disputed: false,
            exchange,
        };
        attempt.paid = attempt.came_in();
        attempt.full = attempt.is_full();
        if attempt.paid > 0 {
            attempt.refunded = attempt.went_back();
            attempt.lost = attempt.was_lost();
            attempt.disputed = attempt.component.disputes.iter().any(|(_, dispute)| !dispute.now.is.status.closed());
        }
        attempt
    }

    /// Money came in, or nothing had to.
    pub fn settled(&self) -> bool {
        self.full || self.paid > 0
    }

    /// Money is still there.
    pub fn holds_money(&self) -> bool {
        self.paid > self.refunded.saturating_add(self.lost)
    }

    /// Money was there, and all of it is gone.
    pub fn emptied(&self) -> bool {
        self.paid > 0 && !self.holds_money()
    }

    /// The payments that arrived. Each succeeded payment intent is one; where none is known yet, whatever else says
    /// that money arrived. What was a payment stays one under this or another of its names.
    pub fn payments(&self) -> Vec<Payment<'a>> {
        let intents: Vec<_> = self.component.payment_intents.iter().filter(|(_, intent)| intent.succeeded()).collect();
        let is_payment = |id: &str| intents.iter().any(|(name, _)| *name == id);
        let named = self.component.names.iter().filter(|(kind, _)| *kind != ObjectKind::Other).map(|(_, id)| *id);
        let others: Vec<&str> = named.filter(|id| !is_payment(id)).collect();
        if intents.is_empty() {
            let paid_invoice =
                self.component.invoices.iter().any(|(_, invoice)| invoice.paid() && invoice.now.is.paid > 0);
            let paid_session = self.component.sessions.iter().any(|(_, session)| session.paid());
            let paid = paid_invoice || paid_session || self.direct_charges().next().is_some();
            let (name, also) = others.split_first().map_or(("", Vec::new()), |(name, also)| (*name, also.to_vec()));
            let currency = self.price.map(|price| price.currency);
            let payment = Payment { name, also, amount: self.paid, currency, intent: None };
            return if paid { vec![payment] } else { Vec::new() };
        }
        let payment = |(name, intent): &&(&'a str, &'a PaymentIntent)| Payment {
            name,
            also: others.clone(),
            amount: intent.now.is.received,
            currency: Some(&intent.now.is.currency),
            intent: Some(intent),
        };
        intents.iter().map(payment).collect()
    }

    /// The refunds that took something back of what was paid; a released authorization took nothing.
    pub fn refunds(&self) -> impl Iterator<Item = (&'a str, &'a Refund)> {
        let only_released = |refund: &Refund| {
            let mut known =
                self.component.charges.iter().filter(|(id, _)| refund.ties.charges.contains(*id)).peekable();
            known.peek().is_some() && known.all(|(_, charge)| !charge.took())
        };
        self.component.refunds.iter().copied().filter(move |(_, refund)| !only_released(refund))
    }

    /// Charges of which more was given back than the known refunds say, and how much more.
    pub fn unexplained(&self) -> impl Iterator<Item = (&'a str, &'a Charge, i64)> {
        let sum = |refunds: &mut dyn Iterator<Item = &Refund>| {
            refunds.fold(0_i64, |sum, refund| sum.saturating_add(refund.now.is.amount))
        };
        let mut unplaced =
            sum(&mut self.refunds().map(|(_, refund)| refund).filter(|refund| refund.ties.charges.is_empty()));
        let charges = self.component.charges.iter().copied().filter(|(_, charge)| charge.took());
        charges.filter_map(move |(id, charge)| {
            let known =
                sum(&mut self.refunds().map(|(_, refund)| refund).filter(|refund| refund.ties.charges.contains(id)));
            let over = charge.amount_refunded.saturating_sub(known).max(0);
            let explained = over.min(unplaced);
            unplaced = unplaced.saturating_sub(explained);
            (over > explained).then_some((id, charge, over - explained))
        })
    }

    fn direct_charges(&self) -> impl Iterator<Item = &'a Charge> {
        self.component.charges.iter().map(|(_, charge)| *charge).filter(|charge| charge.direct && charge.took())
    }

    fn came_in(&self) -> i64 {
        let intents = self.component.payment_intents.iter().map(|(_, intent)| &intent.now.is);
        let live = intents.filter(|intent| intent.status != Intent::Canceled);
        let by_intents = self.sum(live.map(|intent| (intent.received, &*intent.currency)));
        let invoices = self.component.invoices.iter().map(|(_, invoice)| &invoice.now.is);
        let by_invoices = self.sum(invoices.map(|invoice| (invoice.paid, &*invoice.asked.currency)));
        let by_charges =
            self.sum(self.direct_charges().map(|charge| (charge.amount_captured, &*charge.now.is.currency)));
        // They tell of the same money: the one that knows most is right.
        let known = by_intents.max(by_invoices).max(by_charges);
        if known > 0 {
            return known;
        }
        let sessions = self.component.sessions.iter().filter(|(_, session)| session.paid());
        sessions.filter_map(|(_, session)| session.expects()).fold(0, |sum, asked| sum.saturating_add(asked.total))
    }

    fn is_full(&self) -> bool {
        let component = &self.component;
        if component.sessions.iter().any(|(_, session)| session.paid()) {
            return true;
        }
        if component.invoices.iter().any(|(_, invoice)| invoice.paid()) {
            return true;
        }
        let paid = component.payment_intents.iter().any(|(_, intent)| intent.succeeded())
            || self.direct_charges().next().is_some();
        paid && component.invoices.iter().all(|(_, invoice)| self.paid >= invoice.now.is.due)
    }

    fn went_back(&self) -> i64 {
        let live = self.refunds().filter(|(_, refund)| refund.live()).map(|(_, refund)| &refund.now.is);
        let refunds = self.sum(live.map(|refund| (refund.amount, &*refund.currency)));
        let more = self.sum(self.unexplained().map(|(_, charge, more)| (more, &*charge.now.is.currency)));
        refunds.saturating_add(more)
    }

    fn was_lost(&self) -> i64 {
        let disputes = self.component.disputes.iter().map(|(_, dispute)| &dispute.now.is);
        let lost = disputes.filter(|dispute| dispute.status == dispute::Status::Lost);
        lost.fold(0, |sum: i64, dispute| {
            let known = self.price.is_none_or(|price| price.currency == dispute.currency) || self.exchange.is_some();
            // A bank may count in a currency of its own; then it disputes the whole.
            let amount = if known { self.exchanged(dispute.amount, &dispute.currency) } else { self.paid };
            sum.saturating_add(amount)
        })
    }

    fn sum<'b>(&self, amounts: impl Iterator<Item = (i64, &'b str)>) -> i64 {
        amounts.fold(0, |sum, (amount, currency)| sum.saturating_add(self.exchanged(amount, currency)))
    }

    /// In the shop's currency; what was paid in that already stays as it is.
    fn exchanged(&self, amount: i64, currency: &str) -> i64 {
        match self.exchange {
            Some(Exchange { from, to }) if from.currency == currency => {
                let (whole, from) = (i128::from(amount) * i128::from(to.total), i128::from(from.total));
                i64::try_from((whole + from / 2) / from).unwrap_or(i64::MAX)
            }
            _ => amount,
        }
    }
}

fn exchange<'a>(component: &Component<'a>) -> Option<Exchange<'a>> {
    component.sessions.iter().find_map(|(_, session)| {
        let (from, to) = (session.now.is.asked.as_ref()?, session.now.is.converted.as_ref()?);
        (from.total > 0 && from.currency != to.currency).then_some(Exchange { from, to })
    })
}

/// The best word for what was asked: a session's, else an invoice's, else a payment intent's, else a charge's.
fn price<'a>(component: &Component<'a>) -> Option<Price<'a>> {
    let of = |asked: &'a Asked| Price { currency: &asked.currency, total: asked.total, subtotal: asked.subtotal };
    let best = component.sessions.iter().filter(|(_, session)| session.expects().is_some());
    let best = best.max_by_key(|(_, session)| (session.paid(), session.now.is.status));
    if let Some(asked) = best.and_then(|(_, session)| session.expects()) {
        return Some(of(asked));
    }
    if let Some((_, invoice)) = component.invoices.iter().max_by_key(|(_, invoice)| invoice.now.is.status) {
        return Some(of(&invoice.now.is.asked));
    }
    let bare = |currency: &'a str, total: i64| Price { currency, total, subtotal: None };
    if let Some((_, intent)) = component.payment_intents.iter().max_by_key(|(_, intent)| intent.now.is.status) {
        return Some(bare(&intent.now.is.currency, intent.now.is.amount));
    }
    let charge = component.charges.iter().max_by_key(|(_, charge)| charge.now.is.status);
    charge.map(|(_, charge)| bare(&charge.now.is.currency, charge.now.is.amount))
}

fn state(component: &Component<'_>) -> Status {
    let intents: Vec<Intent> = component.payment_intents.iter().map(|(_, intent)| intent.now.is.status).collect();
    let intent = |status: Intent| intents.contains(&status);
    let charge = |test: fn(&Charge) -> bool| component.charges.iter().any(|(_, charge)| test(charge));
    let session = |test: fn(&session::Session) -> bool| component.sessions.iter().any(|(_, session)| test(session));
    let invoice = |test: fn(&invoice::Invoice) -> bool| component.invoices.iter().any(|(_, invoice)| test(invoice));
    // A payment intent knows more of its charges than they do.
    let decided = intents.iter().any(|status| *status >= Intent::Canceled);
    let given_up =
        !intents.is_empty() && intents.iter().all(|status| matches!(status, Intent::Failed | Intent::Canceled));
    if intent(Intent::RequiresCapture) || (!decided && charge(Charge::authorized)) {
        return Status::Authorized;
    }
    let under_way = intents.is_empty() && charge(|charge| charge.now.is.status == charge::Status::Pending);
    if intent(Intent::Processing) || under_way || (!given_up && session(session::Session::awaits_funds)) {
        return Status::AwaitingFunds;
    }
    if intent(Intent::RequiresAction) || invoice(|invoice| invoice.stuck_at(Tried::ActionRequired)) {
        return Status::RequiresAction;
    }
    let declined = intents.is_empty() && charge(|charge| charge.now.is.status == charge::Status::Failed);
    let given_up_by_shop = invoice(|invoice| invoice.now.is.status == invoice::Status::Uncollectible);
    let tried_in_vain = invoice(|invoice| invoice.stuck_at(Tried::Failed));
    if intent(Intent::Failed)
        || session(|session| session.async_failed)
        || declined
        || tried_in_vain
        || given_up_by_shop
    {
        return Status::Failed;
    }
    let void = invoice(|invoice| invoice.now.is.status == invoice::Status::Void);
    if intent(payment_intent::Status::Canceled) || void || charge(|charge| charge.released) {
        return Status::Canceled;
    }
    if session(|session| session.now.is.status == session::Status::Expired) {
        return Status::Expired;
    }
    Status::Pending
}
