//! A refund: money on its way back.

use serde::{Deserialize, Serialize};

use super::join::{Join, Latest, Ranked, earliest, is_false, is_zero};
use super::presentment::Presentment;
use super::ties::Ties;
use super::{Facts, Seen};
use crate::source::fields::{Fields, Unusable};

/// What is known of a refund.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// Its greatest snapshot.
    pub now: Latest<State>,
    /// It was seen to succeed, even if it failed later.
    #[serde(default, skip_serializing_if = "is_false")]
    pub succeeded: bool,
    /// The second in which it was first seen to fail or to be canceled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_at: Option<i64>,
    /// What it is tied to.
    #[serde(default, skip_serializing_if = "Ties::is_empty")]
    pub ties: Ties,
}

/// One snapshot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct State {
    /// Stripe's status.
    pub status: Status,
    /// What goes back.
    pub amount: i64,
    /// Of the amount.
    pub currency: String,
    /// When Stripe says that it was made, in Unix seconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub created: i64,
    /// `failure_reason`, else `reason`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// `amount` as the customer saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presentment: Option<Presentment>,
}

/// Stripe's statuses. The order is the rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// On its way.
    Pending,
    /// The customer must act.
    RequiresAction,
    /// Sent back.
    Succeeded,
    /// Taken back by the shop.
    Canceled,
    /// Did not reach the customer.
    Failed,
}

impl Ranked for State {
    fn standing(&self) -> u8 {
        match self.status {
            Status::Pending => 0,
            Status::RequiresAction => 1,
            Status::Succeeded => 2,
            Status::Canceled | Status::Failed => 3,
        }
    }

    fn rank(&self) -> u8 {
        self.status as u8
    }
}

impl Join for Refund {
    fn join(&mut self, other: &Self) {
        self.now.join(&other.now);
        self.succeeded |= other.succeeded;
        earliest(&mut self.failed_at, other.failed_at);
        self.ties.join(&other.ties);
    }
}

impl Refund {
    /// Neither failed nor canceled: it counts as given back.
    pub fn live(&self) -> bool {
        !matches!(self.now.is.status, Status::Failed | Status::Canceled)
    }
}

impl Status {
    /// Stripe's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::RequiresAction => "requires_action",
            Self::Succeeded => "succeeded",
            Self::Canceled => "canceled",
            Self::Failed => "failed",
        }
    }
}

/// Takes a refund.
pub fn take(fields: &Fields<'_>, seen: &Seen<'_>, facts: &mut Facts) -> Result<(), Unusable> {
    let id = fields.needed_id()?;
    facts.refunds.insert(id, Box::new(refund(fields, seen)?));
    Ok(())
}

/// Takes a refund that stands within its charge, if it is well formed.
pub fn take_embedded(fields: &Fields<'_>, charge: &str, seen: &Seen<'_>, facts: &mut Facts) {
    if let (Ok(id), Ok(mut refund)) = (fields.needed_id(), refund(fields, seen)) {
        refund.ties.charges.insert(charge.to_owned());
        facts.refunds.insert(id, Box::new(refund));
    }
}

fn refund(fields: &Fields<'_>, seen: &Seen<'_>) -> Result<Refund, Unusable> {
    let status = match fields.word("status")?.as_deref() {
        Some("pending") => Status::Pending,
        Some("requires_action") => Status::RequiresAction,
        // The oldest versions have no status: a refund had succeeded.
        Some("succeeded") | None => Status::Succeeded,
        Some("failed") => Status::Failed,
        Some("canceled") => Status::Canceled,
        Some(_) => return Err(Unusable::field("status", "unknown")),
    };
    let reason = fields.text("failure_reason").or_else(|| fields.text("reason"));
    let state = State {
        status,
        amount: fields.needed_amount("amount")?,
        currency: fields.needed_currency("currency")?,
        created: fields.signed_amount("created").ok().flatten().unwrap_or(0),
        reason: reason.map(Into::into),
        presentment: Presentment::read(fields),
    };
    let refund = Refund {
        now: seen.stamp(state),
        succeeded: status == Status::Succeeded,
        failed_at: None,
        // A refund's own metadata names no order: a shop may well keep other ids there.
        ties: Ties::read(fields)?,
    };
    Ok(Refund { failed_at: (!refund.live()).then_some(seen.at), ..refund })
}
