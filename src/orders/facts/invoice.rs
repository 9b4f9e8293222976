//! An invoice, and the link between it and its payments.

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::join::{Join, Latest, Ranked, is_false, is_zero};
use super::label::Metadata;
use super::session::Asked;
use super::ties::Ties;
use super::{Facts, Seen};
use crate::source::fields::{Fields, Unusable};

/// What is known of an invoice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invoice {
    /// Its greatest snapshot.
    pub now: Latest<State>,
    /// The last try to collect it that came to nothing. Only the event's type tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tried: Option<Latest<Tried>>,
    /// More came in than was asked for.
    #[serde(default, skip_serializing_if = "is_false")]
    pub overpaid: bool,
    /// What it is tied to.
    #[serde(default, skip_serializing_if = "Ties::is_empty")]
    pub ties: Ties,
}

/// One snapshot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct State {
    /// Stripe's status.
    pub status: Status,
    /// What is to be paid, credits taken off.
    pub due: i64,
    /// What came in.
    pub paid: i64,
    /// What it says, credits not taken off.
    pub asked: Asked,
    /// A subscription's renewal.
    #[serde(default, skip_serializing_if = "is_false")]
    pub renewal: bool,
    /// Its subscription. It doesn't join: each invoice is an order of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<String>,
    /// `customer_email`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Address>,
    /// `customer_name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The page on which it can be paid, while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// A subscription's first: the customer is at the checkout and sees how it ends.
    #[serde(default, skip_serializing_if = "is_false")]
    pub at_checkout: bool,
    /// It was paid by other means than Stripe's.
    #[serde(default, skip_serializing_if = "is_false")]
    pub out_of_band: bool,
    /// What the customer's balance at the shop paid of it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub credited: i64,
    /// The shop's words.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
}

/// Stripe's statuses. The order is the rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Not yet sent.
    Draft,
    /// To be paid.
    Open,
    /// Given up by the shop.
    Uncollectible,
    /// Taken back by the shop.
    Void,
    /// Paid, by whatever way.
    Paid,
}

/// How collecting came to nothing. The order is the rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tried {
    /// The customer must act.
    ActionRequired,
    /// Declined.
    Failed,
}

impl Ranked for State {
    fn standing(&self) -> u8 {
        match self.status {
            Status::Draft => 0,
            Status::Open => 1,
            Status::Uncollectible | Status::Void => 2,
            Status::Paid => 3,
        }
    }

    fn rank(&self) -> u8 {
        self.status as u8
    }
}

impl Ranked for Tried {
    fn standing(&self) -> u8 {
        0
    }

    fn rank(&self) -> u8 {
        *self as u8
    }
}

impl Join for Invoice {
    fn join(&mut self, other: &Self) {
        self.now.join(&other.now);
        self.tried.join(&other.tried);
        self.overpaid |= other.overpaid;
        self.ties.join(&other.ties);
    }
}

impl Invoice {
    /// Whether it is paid; a trial's is, with zero.
    pub fn paid(&self) -> bool {
        self.now.is.status == Status::Paid
    }

    /// What the customer's balance at the shop paid of it.
    pub fn credited(&self) -> i64 {
        if self.paid() { self.now.is.credited } else { 0 }
    }

    /// What it asks for, credits taken off; `None` if it was given up or is not yet sent.
    pub fn counted_due(&self) -> Option<i64> {
        matches!(self.now.is.status, Status::Open | Status::Paid).then_some(self.now.is.due)
    }

    /// It is still to be paid, and the last try ended like this.
    pub fn stuck_at(&self, how: Tried) -> bool {
        self.now.is.status == Status::Open && self.tried.as_ref().is_some_and(|tried| tried.is == how)
    }
}

/// Takes an invoice.
pub fn take(fields: &Fields<'_>, seen: &Seen<'_>, facts: &mut Facts) -> Result<(), Unusable> {
    let id = fields.needed_id()?;
    let parent = fields.object("parent").and_then(|parent| parent.object("subscription_details"));
    let details = parent.or_else(|| fields.object("subscription_details"));
    let reason = fields.word("billing_reason")?;
    let mut ties = Ties::read(fields)?;
    ties.invoices.clear();
    for payment in fields.list("payments") {
        ties.join(&payment_ties(&payment)?);
    }
    let mut state = state(fields, reason.as_deref())?;
    state.metadata = metadata(fields, details.as_ref(), reason.as_deref(), seen);
    state.subscription = match details {
        Some(details) => details.link("subscription")?,
        None => fields.link("subscription")?,
    };
    let tried = match seen.kind {
        "invoice.payment_failed" => Some(Tried::Failed),
        "invoice.payment_action_required" => Some(Tried::ActionRequired),
        _ => None,
    };
    // Stripe's samples of drafts have an amount there, too.
    let over = fields.amount("amount_overpaid")?.is_some_and(|over| over > 0) && state.status != Status::Draft;
    let overpaid = over || seen.kind == "invoice.overpaid";
    let tried = tried.map(|tried| seen.stamp(tried));
    facts.invoices.insert(id, Box::new(Invoice { now: seen.stamp(state), tried, overpaid, ties }));
    Ok(())
}

/// The invoice's own words; on a subscription's first invoice the subscription's, if its own name no order.
fn metadata(fields: &Fields<'_>, details: Option<&Fields<'_>>, reason: Option<&str>, seen: &Seen<'_>) -> Metadata {
    let own = Metadata::read(fields, seen.labelling);
    match details {
        Some(details) if own.label.is_none() && reason == Some("subscription_create") => {
            let inherited = Metadata::read(details, seen.labelling);
            if inherited.label.is_some() || own.is_empty() { inherited } else { own }
        }
        _ => own,
    }
}

/// What the customer's balance paid: it is below zero where the shop owes, and rises as it pays.
fn credited(fields: &Fields<'_>, total: i64) -> i64 {
    let balance = |name: &str| fields.signed_amount(name).ok().flatten();
    let start = balance("starting_balance").unwrap_or(0).min(0);
    let end = balance("ending_balance").unwrap_or(start).min(0);
    end.saturating_sub(start).clamp(0, total)
}

fn state(fields: &Fields<'_>, reason: Option<&str>) -> Result<State, Unusable> {
    let status = match fields.word("status")?.as_deref() {
        Some("draft") => Status::Draft,
        Some("open") => Status::Open,
        Some("uncollectible") => Status::Uncollectible,
        // A draft that was deleted is as good as void.
        Some("void" | "deleted") => Status::Void,
        Some("paid") => Status::Paid,
        Some(_) => return Err(Unusable::field("status", "unknown")),
        // Before 2018-11-08 an invoice had no status.
        None if fields.flag("paid") => Status::Paid,
        None if fields.flag("forgiven") => Status::Uncollectible,
        None => Status::Open,
    };
    let due = fields.needed_amount("amount_due")?;
    // `total` is below zero where credits outweigh what is sold.
    let total = fields.signed_amount("total")?.unwrap_or(due).max(0);
    let subtotal = fields.signed_amount("subtotal")?.map(|amount| amount.max(0));
    let given = fields.amount("amount_paid")?;
    let elsewhere = status == Status::Paid && (fields.flag("paid_out_of_band") || given.is_none());
    Ok(State {
        status,
        due,
        paid: if elsewhere { given.unwrap_or(0).max(due) } else { given.unwrap_or(0) },
        asked: Asked { currency: fields.needed_currency("currency")?, total, subtotal },
        renewal: reason == Some("subscription_cycle"),
        subscription: None,
        email: Address::read(fields, "customer_email"),
        name: fields.text("customer_name").map(Into::into),
        url: fields.page("hosted_invoice_url").filter(|_| status == Status::Open),
        at_checkout: reason == Some("subscription_create"),
        out_of_band: fields.flag("paid_out_of_band"),
        credited: credited(fields, total),
        metadata: Metadata::default(),
    })
}

/// The link between an invoice and one of its payments (`invoice_payment`, since 2025-03-31).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoicePayment {
    /// What it ties together.
    #[serde(default, skip_serializing_if = "Ties::is_empty")]
    pub ties: Ties,
}

impl Join for InvoicePayment {
    fn join(&mut self, other: &Self) {
        self.ties.join(&other.ties);
    }
}

/// Takes an invoice's payment.
pub fn take_payment(fields: &Fields<'_>, facts: &mut Facts) -> Result<(), Unusable> {
    let id = fields.needed_id()?;
    facts.invoice_payments.insert(id, Box::new(InvoicePayment { ties: payment_ties(fields)? }));
    Ok(())
}

fn payment_ties(fields: &Fields<'_>) -> Result<Ties, Unusable> {
    let mut ties = match fields.object("payment") {
        Some(payment) => Ties::read(&payment)?,
        None => Ties::default(),
    };
    ties.invoices.extend(fields.link("invoice")?);
    Ok(ties)
}
