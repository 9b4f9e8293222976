//! What is worth telling, as plain data.
//!
//! `orders` says which notices its facts owe; `outbox` turns a notice into messages and delivers them. Neither
//! knows the other: this page is all that they share. A notice's key names the sender's objects, never our rows,
//! so that the same fact owes the same message however and wherever it arrives.

use serde::{Deserialize, Serialize};

/// The notices there are. Their names are stable: subscriptions and dedupe keys use them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// Money arrived.
    #[serde(rename = "order.paid")]
    OrderPaid,
    /// A paid order that was told under Stripe's id got the shop's reference.
    #[serde(rename = "order.identified")]
    OrderIdentified,
    /// A subscription's renewal was paid.
    #[serde(rename = "order.renewed")]
    OrderRenewed,
    /// All that was paid has been given back.
    #[serde(rename = "order.refunded")]
    OrderRefunded,
    /// One refund succeeded and left something paid.
    #[serde(rename = "order.partially_refunded")]
    OrderPartiallyRefunded,
    /// A refund did not reach the customer.
    #[serde(rename = "order.refund_failed")]
    OrderRefundFailed,
    /// A payment failed for now.
    #[serde(rename = "order.payment_failed")]
    OrderPaymentFailed,
    /// The checkout is complete, the money is on its way.
    #[serde(rename = "order.awaiting_funds")]
    OrderAwaitingFunds,
    /// The customer disputes the payment.
    #[serde(rename = "order.disputed")]
    OrderDisputed,
    /// A dispute has its verdict.
    #[serde(rename = "order.dispute_closed")]
    OrderDisputeClosed,
    /// The payment was canceled before any money moved.
    #[serde(rename = "order.canceled")]
    OrderCanceled,
    /// A person must look.
    #[serde(rename = "order.review")]
    OrderReview,
}

impl Kind {
    /// The stable name, such as `order.paid`.
    pub fn name(self) -> &'static str {
        match self {
            Self::OrderPaid => "order.paid",
            Self::OrderIdentified => "order.identified",
            Self::OrderRenewed => "order.renewed",
            Self::OrderRefunded => "order.refunded",
            Self::OrderPartiallyRefunded => "order.partially_refunded",
            Self::OrderRefundFailed => "order.refund_failed",
            Self::OrderPaymentFailed => "order.payment_failed",
            Self::OrderAwaitingFunds => "order.awaiting_funds",
            Self::OrderDisputed => "order.disputed",
            Self::OrderDisputeClosed => "order.dispute_closed",
            Self::OrderCanceled => "order.canceled",
            Self::OrderReview => "order.review",
        }
    }
}

/// A notice that is owed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Notice {
    /// What it tells.
    pub kind: Kind,
    /// Unique for ever: the notice's name, a colon and the sender's object, such as `order.paid:pi_123`.
    pub key: String,
    /// Keys of the same notice under the payment's other names: one that was queued under any of them counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
    /// What it waits for; the longest wait is `CONFIRM_GRACE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Wait>,
    /// What it is about.
    pub about: About,
}

/// Why a notice is not sent at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// For the order's label, session or invoice.
    Reference,
    /// For the refund object behind a cumulative amount.
    RefundObject,
}

/// The part of the order that a notice is about. The rest is rendered from the order as it is at delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct About {
    /// The sender's object: payment intent, invoice, session, refund or dispute.
    pub object: String,
    /// The amount that it moved, in the currency's minor unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
    /// Lower-case ISO code of the amount's currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// The sender's own word for why: a decline code, a dispute's reason or verdict, the review reasons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// An order as messages show it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderView {
    /// The shop's reference, else Stripe's id.
    pub reference: String,
    /// As in the order law.
    pub status: String,
    /// Lower-case ISO code.
    pub currency: Option<String>,
    /// Minor unit.
    pub amount_expected: Option<i64>,
    /// Minor unit.
    pub amount_paid: i64,
    /// Minor unit.
    pub amount_refunded: i64,
    /// Where the customer's mails go.
    pub customer_email: Option<String>,
    /// As given; not to be trusted in any markup.
    pub customer_name: Option<String>,
    /// The checkout's locale.
    pub locale: Option<String>,
    /// Real money or a test.
    pub livemode: bool,
    /// Grows with each write of the order.
    pub version: i64,
}
