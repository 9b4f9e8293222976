//! Checkout sessions.

use super::Home;
use crate::{Money, Slot};

/// `status` of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionState {
    Open,
    Complete,
    Expired,
}

impl SessionState {
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Complete => "complete",
            Self::Expired => "expired",
        }
    }
}

/// `payment_status` of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PaymentStatus {
    Unpaid,
    Paid,
    NoPaymentRequired,
}

impl PaymentStatus {
    pub fn name(self) -> &'static str {
        match self {
            Self::Unpaid => "unpaid",
            Self::Paid => "paid",
            Self::NoPaymentRequired => "no_payment_required",
        }
    }
}

/// The sum that the shop asked, and the sum that the customer was charged instead.
#[derive(Clone, Debug)]
pub(crate) struct Conversion {
    pub source: Money,
    pub source_subtotal: i64,
    pub charged: i64,
}

impl Conversion {
    /// A charged amount in the shop's currency, rounded half up. The whole comes to the whole.
    pub fn back(&self, charged: i64) -> i64 {
        scale(charged, self.source.amount, self.charged)
    }

    /// An amount of the shop's currency as the customer is charged.
    pub fn forth(&self, amount: i64) -> i64 {
        scale(amount, self.charged, self.source.amount)
    }
}

/// `amount * to / from`, rounded half up.
pub(crate) fn scale(amount: i64, to: i64, from: i64) -> i64 {
    if from == 0 { 0 } else { (2 * amount * to + from).div_euclid(2 * from) }
}

/// A session. Amounts are in the currency that it is charged in.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub payment: Slot,
    pub home: Home,
    pub id: String,
    pub created: i64,
    pub amount_total: i64,
    pub amount_subtotal: i64,
    pub currency: String,
    pub conversion: Option<Conversion>,
    pub presentment: Option<Money>,
    pub email: Option<String>,
    pub order_id: Option<String>,
    pub intent_order_id: Option<String>,
    pub client_reference_id: Option<String>,
    pub link: Option<Slot>,
    pub manual_capture: bool,
    pub state: SessionState,
    pub payment_status: PaymentStatus,
    /// With `mode: subscription`.
    pub subscription: Option<Slot>,
    pub invoice: Option<Slot>,
    /// Whether an event has shown it.
    pub told: bool,
}

impl Session {
    pub fn mode(&self) -> &'static str {
        if self.subscription.is_some() { "subscription" } else { "payment" }
    }
}
