//! The objects as they are at Stripe. Only actions change them.

mod dispute;
mod intent;
mod invoice;
mod refund;
mod session;

use std::collections::BTreeMap;

pub(crate) use dispute::{Dispute, DisputeState};
pub(crate) use intent::{Charge, ChargeState, Intent, IntentState};
pub(crate) use invoice::{Invoice, InvoicePayment, InvoiceState, Subscription};
pub(crate) use refund::{Refund, RefundState};
pub(crate) use session::{Conversion, PaymentStatus, Session, SessionState, scale};

use crate::{Account, Slot};

/// Where an object lives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Home {
    pub account: Account,
    pub livemode: bool,
}

/// All objects, by slot.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stripe {
    pub intents: BTreeMap<Slot, Intent>,
    pub sessions: BTreeMap<Slot, Session>,
    pub refunds: BTreeMap<Slot, Refund>,
    pub disputes: BTreeMap<Slot, Dispute>,
    pub invoices: BTreeMap<Slot, Invoice>,
    pub subscriptions: BTreeMap<Slot, Subscription>,
    /// Payments that the card network warned of.
    pub warned: Vec<Slot>,
    /// Payments under Radar's review.
    pub reviewed: Vec<Slot>,
}

impl Stripe {
    /// The refunds of a payment that neither failed nor were canceled.
    pub fn live_refunds(&self, payment: Slot) -> i64 {
        self.refunds_of(payment).filter(|refund| refund.state.is_live()).map(|refund| refund.amount).sum()
    }

    /// All refunds of a payment.
    pub fn refunds_of(&self, payment: Slot) -> impl Iterator<Item = &Refund> {
        self.refunds.values().filter(move |refund| refund.payment == payment)
    }

    /// All disputes of a payment.
    pub fn disputes_of(&self, payment: Slot) -> impl Iterator<Item = &Dispute> {
        self.disputes.values().filter(move |dispute| dispute.payment == payment)
    }

    /// `amount_refunded` of a payment's charge: an authorisation's released rest counts.
    pub fn amount_refunded(&self, payment: Slot) -> i64 {
        let released = self.intents.get(&payment).and_then(Intent::charge).map_or(0, |charge| charge.released);
        released + self.live_refunds(payment)
    }

    /// What can still be given back: neither refunded, nor taken by a dispute.
    pub fn refundable(&self, payment: Slot) -> i64 {
        let Some(charge) = self.intents.get(&payment).and_then(Intent::charge) else { return 0 };
        if charge.state != ChargeState::Succeeded || !charge.captured {
            return 0;
        }
        let disputed: i64 = self.disputes_of(payment).filter(|d| d.state.holds_money()).map(|d| d.amount).sum();
        charge.amount_captured - self.live_refunds(payment) - disputed
    }
}
