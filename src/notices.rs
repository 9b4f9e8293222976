//! What is worth telling, as plain data.
//!
//! `orders` says which notices its facts owe; `outbox` turns a notice into messages and delivers them. Neither
//! knows the other: this page is all that they share. A notice's key names the sender's objects, never our rows,
//! so that the same fact owes the same message however and wherever it arrives.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

pub use crate::source::github::Event as GitHubEvent;

/// The notices there are. Their names are stable: subscriptions and dedupe keys use them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Kind {
    /// Money arrived.
    OrderPaid,
    /// A paid order that was told under Stripe's id got the shop's reference.
    OrderIdentified,
    /// A subscription's renewal was paid.
    OrderRenewed,
    /// All that was paid has been given back.
    OrderRefunded,
    /// One refund succeeded and left something paid.
    OrderPartiallyRefunded,
    /// A refund did not reach the customer.
    OrderRefundFailed,
    /// A payment failed for now.
    OrderPaymentFailed,
    /// The checkout is complete, the money is on its way.
    OrderAwaitingFunds,
    /// The customer disputes the payment.
    OrderDisputed,
    /// A dispute has its verdict.
    OrderDisputeClosed,
    /// The payment was canceled before any money moved.
    OrderCanceled,
    /// A person must look.
    OrderReview,
    /// What GitHub told: its event and, where there is one, the action, such as `workflow_run.completed`.
    GitHub(Box<str>),
    /// A destination failed for so long, or refused so clearly, that nothing more goes there.
    SubscriptionDisabled,
    /// A message was given up.
    MessageDead,
    /// The mail server takes no mail of the shop's.
    MailFailing,
    /// Events of Stripe's did not reach us; they were fetched.
    EventsMissed,
    /// A person tries whether a destination works.
    SubscriptionTest,
}

/// No notice has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no notice is called {0:?}")]
pub struct UnknownNotice(pub String);

impl Kind {
    /// All that orders can owe.
    pub const OF_ORDERS: [Self; 12] = [
        Self::OrderPaid,
        Self::OrderIdentified,
        Self::OrderRenewed,
        Self::OrderRefunded,
        Self::OrderPartiallyRefunded,
        Self::OrderRefundFailed,
        Self::OrderPaymentFailed,
        Self::OrderAwaitingFunds,
        Self::OrderDisputed,
        Self::OrderDisputeClosed,
        Self::OrderCanceled,
        Self::OrderReview,
    ];

    /// The stable name, such as `order.paid` or `github.push`.
    pub fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
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
            Self::SubscriptionDisabled => "subscription.disabled",
            Self::MessageDead => "message.dead",
            Self::MailFailing => "mail.failing",
            Self::EventsMissed => "events.missed",
            Self::SubscriptionTest => "subscription.test",
            Self::GitHub(what) => return Cow::Owned(format!("github.{what}")),
        })
    }
}

impl From<Kind> for String {
    fn from(kind: Kind) -> Self {
        kind.name().into_owned()
    }
}

impl TryFrom<String> for Kind {
    type Error = UnknownNotice;

    fn try_from(name: String) -> Result<Self, UnknownNotice> {
        if let Some(what) = name.strip_prefix("github.").filter(|what| !what.is_empty()) {
            return Ok(Self::GitHub(what.into()));
        }
        let own = [
            Self::SubscriptionDisabled,
            Self::SubscriptionTest,
            Self::MessageDead,
            Self::MailFailing,
            Self::EventsMissed,
        ];
        Self::OF_ORDERS.into_iter().chain(own).find(|kind| kind.name() == name).ok_or(UnknownNotice(name))
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
    /// Whoever else is told, the customer is not: they know it already.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unmailed: bool,
    /// It depends on how many alike were queued: it is one of several that can't be told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Only>,
    /// The customer whom it concerns has an address.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub addressed: bool,
    /// What it is about.
    pub about: About,
}

/// How many messages alike decide whether one more is queued. A refund may be known as a step of a sum, as an object, or
/// as both; refunds of one amount differ in nothing that was told. So they are counted: those of the notice's own amount.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Only {
    /// Only if fewer than `count` messages have one of the keys.
    FewerThan {
        /// So many refunds there are.
        count: usize,
        /// All keys under which any of them may have been told.
        keys: Vec<String>,
    },
    /// Of mails: only if more than `count` have one of the keys, those under `without` taken off. It takes back what was
    /// told.
    MoreThan {
        /// So many of the refunds were rightly told.
        count: usize,
        /// All keys under which any of them may have been told.
        keys: Vec<String>,
        /// Keys of what was taken back before.
        without: Vec<String>,
    },
}

/// Why a notice is not sent at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// For the order's label, session or invoice.
    Reference,
    /// For the refund object behind a cumulative amount.
    RefundObject,
    /// For the payment intent, which says what the customer is to do next.
    PaymentIntent,
    /// For a review to settle itself.
    Settling,
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
    /// When the payment arrived, in unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<i64>,
    /// A page on which the customer can do what is to be done next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Until when the shop must have answered, in unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_by: Option<i64>,
    /// Name of the payment that it concerns: its payer alone reads of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<String>,
    /// The same amount as the customer saw it, in the minor unit of `presentment_currency`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presentment_amount: Option<i64>,
    /// Lower-case ISO code of the currency that the customer saw, if not the shop's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presentment_currency: Option<String>,
    /// What was paid from the customer's balance at the shop, beside `amount`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount_credited: Option<i64>,
    /// The dispute was lost when it first became known: nobody could answer it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lost_from_start: bool,
}

impl About {
    /// Amount and currency as the customer saw them.
    pub fn seen(&self) -> Option<(i64, &str)> {
        let presented = self.presentment_amount.zip(self.presentment_currency.as_deref());
        presented.or(self.amount.zip(self.currency.as_deref()))
    }
}

/// A payment as messages and the API show it: a row of an order's `payments`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PaymentView {
    /// Payment intent.
    pub payment_intent: Option<String>,
    /// The charge that moved its money, else the last one that was tried.
    pub charge: Option<String>,
    /// Checkout session.
    pub session: Option<String>,
    /// Invoice.
    pub invoice: Option<String>,
    /// As an order's `money_status`, of this payment alone.
    pub status: String,
    /// What came in, in the minor unit of `currency`.
    pub amount: i64,
    /// Lower-case ISO code.
    pub currency: Option<String>,
    /// The same as the customer saw it, if in another currency.
    pub presentment_amount: Option<i64>,
    /// Lower-case ISO code of the currency that the customer saw.
    pub presentment_currency: Option<String>,
    /// What went back, in the minor unit of `currency`.
    pub amount_refunded: i64,
    /// What disputes took for good, in the minor unit of `currency`.
    pub amount_lost: i64,
    /// Stripe's word for how it was paid, such as `card`.
    pub method: Option<String>,
    /// The payer's own address.
    pub customer_email: Option<String>,
    /// When the money arrived.
    pub paid_at: Option<DateTime<Utc>>,
    /// What was given back, each once.
    pub refunds: Vec<RefundView>,
    /// Every name that a notice may call it by. Not shown.
    #[serde(skip_serializing)]
    pub names: Vec<String>,
    /// Where messages about it go: the shop's word, else the payer's own address. Not shown.
    #[serde(skip_serializing)]
    pub mail_to: Option<String>,
    /// The payer's name, as given. Not shown.
    #[serde(skip_serializing)]
    pub customer_name: Option<String>,
    /// The language of the payer's checkout. Not shown.
    #[serde(skip_serializing)]
    pub locale: Option<String>,
}

/// A refund as messages and the API show it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RefundView {
    /// Stripe's id; `None` if only a sum told of it.
    pub id: Option<String>,
    /// In the payment's minor unit.
    pub amount: i64,
    /// Stripe's word: `pending`, `requires_action`, `succeeded`, `failed` or `canceled`.
    pub status: String,
    /// When it was made.
    pub created: Option<DateTime<Utc>>,
    /// Stripe's word for why it was made, or why it failed.
    pub reason: Option<String>,
}

/// What is told of missed events.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Missed {
    /// `object` is the account as people read it, `reason` how many there were and since when.
    #[serde(flatten)]
    pub about: About,
    /// Connected account; empty is our own.
    pub account: String,
    /// Real money or a test.
    pub livemode: bool,
    /// How many since this was last told.
    pub events: i64,
    /// When the oldest happened, in unix seconds.
    pub oldest: i64,
}

/// A line of what was bought, as the shop registered it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LineView {
    /// In the customer's words.
    pub description: String,
    /// How many.
    pub quantity: i64,
    /// In the order's minor unit, for all of them.
    pub amount: Option<i64>,
}

/// An order as messages show it, and as a webhook's data has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OrderView {
    /// The shop's reference, else Stripe's id.
    pub reference: String,
    /// Connected account; empty is our own.
    pub account: String,
    /// Real money or a test.
    pub livemode: bool,
    /// As in the order law.
    pub status: String,
    /// The same without `review`.
    pub money_status: String,
    /// Why a person must look.
    pub review_reasons: Vec<String>,
    /// Lower-case ISO code.
    pub currency: Option<String>,
    /// Minor unit.
    pub amount_expected: Option<i64>,
    /// Minor unit.
    pub amount_paid: i64,
    /// Minor unit.
    pub amount_refunded: i64,
    /// Minor unit.
    pub amount_lost: i64,
    /// Where the customer's mails go.
    pub customer_email: Option<String>,
    /// As given; not to be trusted in any markup.
    pub customer_name: Option<String>,
    /// The checkout's locale.
    pub locale: Option<String>,
    /// The subscription whose invoice it is.
    pub subscription: Option<String>,
    /// A subscription's renewal.
    pub renewal: bool,
    /// What was bought, where the shop registered it.
    pub line_items: Option<Vec<LineView>>,
    /// What was paid from the customer's balance at the shop, in the minor unit.
    pub amount_credited: i64,
    /// Tips, part of `amount_paid`.
    pub tip: i64,
    /// Metadata of the newest object that may name the order.
    pub metadata: BTreeMap<String, String>,
    /// A checkout's `client_reference_id`, where something better names the order.
    pub client_reference_id: Option<String>,
    /// Its payments, those that were only tried included.
    pub payments: Vec<PaymentView>,
    /// A subscription's first payment after a trial. Not shown.
    #[serde(skip_serializing)]
    pub follows_trial: bool,
    /// Grows with each write of the order: whoever knows a greater one has newer news.
    pub version: i64,
    /// When the order was first written.
    pub created_at: DateTime<Utc>,
    /// When it was last written.
    pub updated_at: DateTime<Utc>,
}

/// What of an order is read from its facts, beside its columns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OrderDetails {
    /// What was paid from the customer's balance at the shop, in the minor unit.
    pub amount_credited: i64,
    /// Tips, part of `amount_paid`.
    pub tip: i64,
    /// Metadata of the newest object that may name the order.
    pub metadata: BTreeMap<String, String>,
    /// A checkout's `client_reference_id`, if something better names the order.
    pub client_reference_id: Option<String>,
    /// Its payments, those that were only tried included.
    pub payments: Vec<PaymentView>,
}

impl OrderView {
    /// The same with what its facts say.
    #[must_use]
    pub fn with(self, details: OrderDetails) -> Self {
        let OrderDetails { amount_credited, tip, metadata, client_reference_id, payments } = details;
        Self { amount_credited, tip, metadata, client_reference_id, payments, ..self }
    }

    /// The payment that a notice calls by `name`.
    pub fn payment(&self, name: &str) -> Option<&PaymentView> {
        self.payments.iter().find(|payment| payment.names.iter().any(|known| known == name))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_name_and_nothing_else_is() {
        let others = [
            Kind::GitHub("workflow_run.completed".into()),
            Kind::SubscriptionDisabled,
            Kind::SubscriptionTest,
            Kind::MessageDead,
            Kind::MailFailing,
            Kind::EventsMissed,
        ];
        for kind in Kind::OF_ORDERS.into_iter().chain(others) {
            assert_eq!(Kind::try_from(kind.name().into_owned()).unwrap(), kind);
            assert_eq!(serde_json::to_value(&kind).unwrap(), serde_json::json!(kind.name()));
        }
        for name in ["", "github.", "github", "order.", "order.unheard_of", "Order.paid"] {
            assert_eq!(Kind::try_from(name.to_owned()), Err(UnknownNotice(name.to_owned())));
        }
    }
}
