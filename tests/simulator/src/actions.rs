//! What people and systems do. An action that is impossible at its moment does nothing.
//!
//! Objects are named by slots that the author of a script chooses: the payment in slot 1 is the same one in every action.
//! Amounts are in the minor unit of the shop's currency, also where the customer saw another one.

use crate::{ApiVersion, EventIds};

/// The author's name for an object: payments, refunds, disputes, invoices and subscriptions count apart.
pub type Slot = u16;

/// Actions in their sequence, and how Stripe renders what comes of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The version of the endpoint that receives the events.
    pub version: ApiVersion,
    /// How event ids fall.
    pub ids: EventIds,
    /// Whether real money moves.
    pub livemode: bool,
    /// What is done. Only [`Action::Wait`] lets time pass: the rest happens in the second that it is.
    pub actions: Vec<Action>,
}

impl Script {
    /// A script in test mode, with event ids in no order.
    pub fn new(version: ApiVersion, actions: Vec<Action>) -> Self {
        Self { version, ids: EventIds::Shuffled(0), livemode: false, actions }
    }
}

/// Whose event destination receives the events.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Account {
    /// The receiver's own account: events bear no `account`.
    Own,
    /// A connected account: events bear `account`.
    Connected(String),
    /// An account of an organization: events bear `context`, and no `account`. It may be a path that ends in the account.
    Organization(String),
}

impl Account {
    /// The account's id; empty for the receiver's own.
    pub fn id(&self) -> &str {
        match self {
            Self::Own => "",
            Self::Connected(id) => id,
            Self::Organization(path) => path.rsplit('/').next().unwrap_or_default(),
        }
    }
}

/// An amount in the minor unit of a currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Money {
    /// Three lower-case letters.
    pub currency: String,
    /// In the minor unit.
    pub amount: i64,
}

/// Something that is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Seconds pass.
    Wait(i64),
    /// What follows is made in this account.
    In(Account),

    /// The shop registers what it expects. A second one for the same reference does nothing.
    Register(Expectation),
    /// A person looks at an order in review and releases it.
    Release {
        /// The order's reference.
        reference: String,
    },

    /// The shop makes a payment intent.
    CreateIntent(NewIntent),
    /// The shop gives an unpaid intent another order id, another amount, or both. Stripe sends no event for it.
    ChangeIntent {
        /// Which payment.
        payment: Slot,
        /// The new `metadata.order_id`; `None` takes it away.
        order_id: Option<String>,
        /// The new amount, where it changes.
        amount: Option<i64>,
    },
    /// The shop cancels an intent that is not paid: an authorisation is released.
    CancelIntent {
        /// Which payment.
        payment: Slot,
    },
    /// An authorisation lapses since nobody captured it.
    LapseIntent {
        /// Which payment.
        payment: Slot,
    },

    /// A customer opens a checkout page. Stripe sends no event for it.
    OpenCheckout(NewCheckout),
    /// A checkout page at which nobody ever tried to pay expires.
    AbandonCheckout {
        /// Which payment.
        payment: Slot,
    },

    /// The customer pays: at the checkout page if there is one, else on the shop's own page.
    Pay {
        /// Which payment.
        payment: Slot,
        /// How.
        by: Method,
        /// The address in the billing details.
        email: Option<String>,
    },
    /// The customer tries to pay, and the bank declines.
    Decline {
        /// Which payment.
        payment: Slot,
        /// The address in the billing details.
        email: Option<String>,
    },
    /// The customer confirms the microdeposits.
    Verify {
        /// Which payment.
        payment: Slot,
    },
    /// Money of a delayed method arrives.
    Clear {
        /// Which payment.
        payment: Slot,
    },
    /// Money of a delayed method does not arrive.
    Bounce {
        /// Which payment.
        payment: Slot,
    },
    /// A part of a bank transfer arrives. All of it pays.
    Fund {
        /// Which payment.
        payment: Slot,
        /// How much arrives.
        amount: i64,
    },
    /// The shop captures of an authorisation; more than was authorised is an over-capture.
    Capture {
        /// Which payment.
        payment: Slot,
        /// How much of it, beside what was captured before.
        amount: i64,
        /// Whether the rest is released. A capture of all that is left is always the last.
        last: bool,
    },

    /// The shop gives money back.
    Refund {
        /// Which payment.
        payment: Slot,
        /// The refund's slot.
        refund: Slot,
        /// How much.
        amount: i64,
        /// In which state it begins.
        start: RefundStart,
    },
    /// A pending refund succeeds.
    SettleRefund {
        /// Which refund.
        refund: Slot,
    },
    /// A refund fails, be it pending or long succeeded: the money is the shop's again.
    FailRefund {
        /// Which refund.
        refund: Slot,
        /// Whether Stripe tells the charge's lower sum as well, by `charge.updated`.
        step: bool,
    },
    /// The shop cancels a refund.
    CancelRefund {
        /// Which refund.
        refund: Slot,
        /// Whether Stripe tells the charge's lower sum as well, by `charge.updated`.
        step: bool,
    },

    /// The customer's bank disputes a payment.
    Dispute {
        /// Which payment.
        payment: Slot,
        /// The dispute's slot.
        dispute: Slot,
        /// How much of it.
        amount: i64,
        /// How it begins.
        kind: DisputeKind,
    },
    /// The shop answers with evidence.
    AnswerDispute {
        /// Which dispute.
        dispute: Slot,
    },
    /// An inquiry becomes a chargeback.
    EscalateDispute {
        /// Which dispute.
        dispute: Slot,
    },
    /// The bank decides. An inquiry is closed without a verdict.
    CloseDispute {
        /// Which dispute.
        dispute: Slot,
        /// How it decides.
        verdict: Verdict,
    },
    /// A dispute that was lost is won after all.
    OverturnDispute {
        /// Which dispute.
        dispute: Slot,
    },
    /// The card network warns of fraud.
    WarnOfFraud {
        /// Which payment.
        payment: Slot,
    },
    /// Radar puts a payment under review.
    OpenReview {
        /// Which payment.
        payment: Slot,
    },
    /// A person approves the payment that Radar put under review.
    CloseReview {
        /// Which payment.
        payment: Slot,
    },

    /// The shop, or a subscription, sends an invoice. One of nothing, or paid from the balance, is paid at once.
    SendInvoice(NewInvoice),
    /// The customer pays an invoice, or a part of it (since Basil). More than is left overpays it.
    PayInvoice {
        /// Which invoice.
        invoice: Slot,
        /// The payment's slot.
        payment: Slot,
        /// A part; `None` is all that is left.
        amount: Option<i64>,
    },
    /// The customer's bank declines the payment of an invoice.
    DeclineInvoice {
        /// Which invoice.
        invoice: Slot,
        /// The payment's slot.
        payment: Slot,
    },
    /// One payment pays several invoices (since Basil).
    PayInvoices {
        /// Which invoices.
        invoices: Vec<Slot>,
        /// The payment's slot.
        payment: Slot,
    },
    /// The shop marks an invoice as paid out of band.
    MarkInvoicePaid {
        /// Which invoice.
        invoice: Slot,
    },
    /// The shop writes a credit note for a paid invoice: with a refund, or to the customer's balance.
    CreditNote {
        /// Which invoice.
        invoice: Slot,
        /// The refund's slot; `None` credits the balance, and gives nothing back.
        refund: Option<Slot>,
        /// How much.
        amount: i64,
    },
    /// The shop voids an invoice.
    VoidInvoice {
        /// Which invoice.
        invoice: Slot,
    },
    /// A customer subscribes at a checkout page: session, subscription and first invoice in one second.
    Subscribe(NewSubscription),

    /// Something happens that concerns no order.
    Unrelated {
        /// What happens.
        what: Unrelated,
        /// Tells several apart.
        number: Slot,
    },

    /// All that the law leaves open comes to an end: captures, refunds, inquiries, vouchers, invoices in dunning.
    Rest,
}

/// What the shop expects of an order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expectation {
    /// The order's reference.
    pub reference: String,
    /// How much.
    pub amount: Option<i64>,
    /// In which currency.
    pub currency: Option<String>,
    /// The customer's address, which wins over Stripe's.
    pub email: Option<String>,
    /// Whether several payments are expected.
    pub many: bool,
    /// Whether the amount is without shipping, tax and discounts.
    pub subtotal: bool,
}

/// A payment intent made by API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewIntent {
    /// The payment's slot.
    pub payment: Slot,
    /// How much.
    pub amount: i64,
    /// In which currency.
    pub currency: String,
    /// `metadata.order_id`
    pub order_id: Option<String>,
    /// `receipt_email`
    pub receipt_email: Option<String>,
    /// Whether it is captured by hand.
    pub manual_capture: bool,
}

impl NewIntent {
    /// Without metadata and address, captured at once.
    pub fn new(payment: Slot, amount: i64, currency: &str) -> Self {
        Self { payment, amount, currency: currency.into(), order_id: None, receipt_email: None, manual_capture: false }
    }
}

/// A checkout page for one payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCheckout {
    /// The payment's slot.
    pub payment: Slot,
    /// `amount_total`
    pub amount: i64,
    /// `amount_subtotal`, where it differs.
    pub subtotal: Option<i64>,
    /// The shop's currency.
    pub currency: String,
    /// What the customer types as address.
    pub email: Option<String>,
    /// The session's `metadata.order_id`
    pub order_id: Option<String>,
    /// `payment_intent_data.metadata.order_id`
    pub intent_order_id: Option<String>,
    /// `client_reference_id`
    pub client_reference_id: Option<String>,
    /// The payment link that was opened.
    pub link: Option<Slot>,
    /// What the customer sees and is charged, where it is another currency.
    pub presentment: Option<Money>,
    /// Whether it is captured by hand.
    pub manual_capture: bool,
}

impl NewCheckout {
    /// Without references, captured at once.
    pub fn new(payment: Slot, amount: i64, currency: &str, email: &str) -> Self {
        Self {
            payment,
            amount,
            subtotal: None,
            currency: currency.into(),
            email: Some(email.into()),
            order_id: None,
            intent_order_id: None,
            client_reference_id: None,
            link: None,
            presentment: None,
            manual_capture: false,
        }
    }
}

/// An invoice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewInvoice {
    /// The invoice's slot.
    pub invoice: Slot,
    /// `total`
    pub total: i64,
    /// In which currency.
    pub currency: String,
    /// `customer_email`
    pub email: Option<String>,
    /// The invoice's `metadata.order_id`
    pub order_id: Option<String>,
    /// The subscription that sends it: its first one makes the subscription.
    pub subscription: Option<Slot>,
    /// The subscription's `metadata.order_id`; only its first invoice sets it.
    pub subscription_order_id: Option<String>,
    /// What the customer has as credit.
    pub balance: i64,
}

impl NewInvoice {
    /// Of no subscription, without references.
    pub fn new(invoice: Slot, total: i64, currency: &str, email: &str) -> Self {
        Self {
            invoice,
            total,
            currency: currency.into(),
            email: Some(email.into()),
            order_id: None,
            subscription: None,
            subscription_order_id: None,
            balance: 0,
        }
    }
}

/// A subscription that begins at a checkout page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSubscription {
    /// The subscription's slot.
    pub subscription: Slot,
    /// The slot of its first invoice.
    pub invoice: Slot,
    /// The payment's slot: of the session, and of the intent where money is due.
    pub payment: Slot,
    /// How much; nothing is a trial.
    pub amount: i64,
    /// In which currency.
    pub currency: String,
    /// What the customer types as address.
    pub email: Option<String>,
    /// The session's `metadata.order_id`
    pub order_id: Option<String>,
    /// `subscription_data.metadata.order_id`
    pub subscription_order_id: Option<String>,
    /// `client_reference_id`
    pub client_reference_id: Option<String>,
    /// The payment link that was opened.
    pub link: Option<Slot>,
}

impl NewSubscription {
    /// Without references; the slots are all `slot`.
    pub fn new(slot: Slot, amount: i64, currency: &str, email: &str) -> Self {
        Self {
            subscription: slot,
            invoice: slot,
            payment: slot,
            amount,
            currency: currency.into(),
            email: Some(email.into()),
            order_id: None,
            subscription_order_id: None,
            client_reference_id: None,
            link: None,
        }
    }
}

/// How a customer pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// At once, or as an authorisation where the shop captures by hand.
    Card,
    /// At a terminal, with a tip on the reader.
    Terminal {
        /// What is added to the amount.
        tip: i64,
    },
    /// A bank debit: processing for days.
    Sepa,
    /// A voucher that the customer has to pay: `requires_action` until then.
    Boleto,
    /// A bank account that microdeposits have to confirm first.
    Microdeposits,
    /// A bank transfer that arrives in one or several parts: `requires_action` until then.
    BankTransfer,
}

/// What concerns no order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unrelated {
    /// A refund of a customer's balance: of no charge, and of no payment intent.
    RefundOfBalance,
    /// A checkout page that only saves a payment method, with an order id in its metadata.
    SetupPage,
    /// A customer is made.
    Customer,
    /// Stripe pays out.
    Payout,
}

/// The state in which a refund begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundStart {
    /// As cards do.
    Succeeded,
    /// As bank methods do.
    Pending,
}

/// How a dispute begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisputeKind {
    /// The bank asks; no money moves.
    Inquiry,
    /// The money is withdrawn until the verdict.
    Chargeback,
    /// As with bank debits: lost from the start.
    BornLost,
}

/// How a dispute ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The shop has the money again.
    Won,
    /// The customer has it.
    Lost,
}
