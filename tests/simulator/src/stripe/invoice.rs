//! Invoices, what pays them, and the subscriptions that send them.

use super::Home;
use crate::Slot;

/// `status` of an invoice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InvoiceState {
    Draft,
    Open,
    Paid,
    Void,
}

impl InvoiceState {
    pub fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Open => "open",
            Self::Paid => "paid",
            Self::Void => "void",
        }
    }
}

/// An invoice.
#[derive(Clone, Debug)]
pub(crate) struct Invoice {
    pub slot: Slot,
    pub home: Home,
    pub id: String,
    pub created: i64,
    pub total: i64,
    pub currency: String,
    pub email: Option<String>,
    pub order_id: Option<String>,
    pub subscription: Option<Slot>,
    pub billing_reason: &'static str,
    /// The customer's credit before and after.
    pub balance: (i64, i64),
    pub amount_paid: i64,
    pub amount_overpaid: i64,
    /// What credit notes gave back after it was paid, as money or as credit.
    pub credit_notes: i64,
    pub out_of_band: bool,
    pub state: InvoiceState,
    pub attempts: i64,
    pub payments: Vec<InvoicePayment>,
    /// Before Basil: the one intent that it has.
    pub intent: Option<Slot>,
    pub finalized: Option<i64>,
    pub ended: Option<i64>,
}

impl Invoice {
    /// What the customer's credit paid.
    pub fn credited(&self) -> i64 {
        self.balance.0 - self.balance.1
    }

    pub fn amount_due(&self) -> i64 {
        self.total - self.credited()
    }

    pub fn amount_remaining(&self) -> i64 {
        (self.amount_due() - self.amount_paid).max(0)
    }
}

/// What one payment paid of an invoice.
#[derive(Clone, Debug)]
pub(crate) struct InvoicePayment {
    pub id: String,
    pub payment: Slot,
    pub amount: i64,
    pub created: i64,
}

/// A subscription.
#[derive(Clone, Debug)]
pub(crate) struct Subscription {
    pub id: String,
    pub order_id: Option<String>,
}
