//! Payment intents and their charges.

use super::Home;
use crate::{Method, Money, Slot};

/// `status` of a payment intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IntentState {
    RequiresPaymentMethod,
    RequiresAction,
    Processing,
    RequiresCapture,
    Succeeded,
    Canceled,
}

impl IntentState {
    pub fn name(self) -> &'static str {
        match self {
            Self::RequiresPaymentMethod => "requires_payment_method",
            Self::RequiresAction => "requires_action",
            Self::Processing => "processing",
            Self::RequiresCapture => "requires_capture",
            Self::Succeeded => "succeeded",
            Self::Canceled => "canceled",
        }
    }
}

/// A payment intent. Amounts are in the currency of the charge.
#[derive(Clone, Debug)]
pub(crate) struct Intent {
    pub payment: Slot,
    pub home: Home,
    pub id: String,
    pub created: i64,
    pub amount: i64,
    pub currency: String,
    pub tip: i64,
    pub order_id: Option<String>,
    pub receipt_email: Option<String>,
    pub manual_capture: bool,
    pub state: IntentState,
    pub amount_received: i64,
    pub amount_capturable: i64,
    /// What has come of a bank transfer.
    pub funded: i64,
    /// The newest last; at most that one is not failed.
    pub charges: Vec<Charge>,
    pub declined: bool,
    pub method: Option<Method>,
    /// Of an intent that a checkout page, an invoice or a subscription made.
    pub description: Option<&'static str>,
    pub canceled: Option<(i64, &'static str)>,
    pub presentment: Option<Money>,
    /// Of the invoices that it pays.
    pub invoices: Vec<Slot>,
    /// `metadata.order_id` as the last snapshot said; only what Stripe told can be known.
    pub told_order_id: Option<String>,
}

impl Intent {
    /// The newest charge, unless it failed.
    pub fn charge(&self) -> Option<&Charge> {
        self.charges.last().filter(|charge| charge.state != ChargeState::Failed)
    }

    pub fn charge_mut(&mut self) -> Option<&mut Charge> {
        self.charges.last_mut().filter(|charge| charge.state != ChargeState::Failed)
    }

    /// Whether somebody can still try to pay.
    pub fn is_payable(&self) -> bool {
        self.state == IntentState::RequiresPaymentMethod
    }
}

/// `status` of a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChargeState {
    Pending,
    Succeeded,
    Failed,
}

impl ChargeState {
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

/// A charge: one try to pay.
#[derive(Clone, Debug)]
pub(crate) struct Charge {
    pub id: String,
    pub created: i64,
    pub amount: i64,
    pub amount_captured: i64,
    /// The part of an authorisation that will not be captured any more.
    pub released: i64,
    pub captured: bool,
    pub state: ChargeState,
    /// The address in the billing details.
    pub email: Option<String>,
    /// A copy of the intent's metadata, made with the charge.
    pub order_id: Option<String>,
}
