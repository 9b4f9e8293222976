//! A charge: one attempt to move a payment's money.

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::join::{Join, Latest, Ranked, is_false, is_zero};
use super::ties::Ties;
use super::{Facts, Seen, refund};
use crate::source::fields::{Fields, Unusable};

/// What is known of a charge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// Its greatest snapshot.
    pub now: Latest<State>,
    /// Its money was taken, not just authorized. Once true, always true.
    #[serde(default, skip_serializing_if = "is_false")]
    pub captured: bool,
    /// Its authorization was given back or lapsed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub released: bool,
    /// It was seen without a payment intent: made by the old Charges API, so it is the payment itself.
    #[serde(default, skip_serializing_if = "is_false")]
    pub direct: bool,
    /// The greatest seen.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub amount_captured: i64,
    /// The greatest seen; cumulative.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub amount_refunded: i64,
    /// What it is tied to.
    #[serde(default, skip_serializing_if = "Ties::is_empty")]
    pub ties: Ties,
}

/// One snapshot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct State {
    /// Stripe's status.
    pub status: Status,
    /// What was authorized.
    pub amount: i64,
    /// Of all its amounts.
    pub currency: String,
    /// `failure_code`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// `receipt_email`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt_email: Option<Address>,
    /// `billing_details.email`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing_email: Option<Address>,
    /// `billing_details.name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Stripe's statuses. The order is the rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// On its way.
    Pending,
    /// Declined.
    Failed,
    /// Authorized or taken.
    Succeeded,
}

impl Ranked for State {
    fn standing(&self) -> u8 {
        self.status as u8
    }

    fn rank(&self) -> u8 {
        0
    }
}

impl Join for Charge {
    fn join(&mut self, other: &Self) {
        self.now.join(&other.now);
        self.captured |= other.captured;
        self.released |= other.released;
        self.direct |= other.direct;
        self.amount_captured = self.amount_captured.max(other.amount_captured);
        self.amount_refunded = self.amount_refunded.max(other.amount_refunded);
        self.ties.join(&other.ties);
    }
}

impl Charge {
    /// It took money.
    pub fn took(&self) -> bool {
        self.captured && self.now.is.status == Status::Succeeded
    }

    /// What was authorized and not taken.
    pub fn uncaptured(&self) -> i64 {
        if self.took() { (self.now.is.amount - self.amount_captured).max(0) } else { 0 }
    }

    /// What was given back of what it took. Stripe counts the uncaptured rest of a partial capture as refunded, too.
    pub fn given_back(&self) -> i64 {
        (self.amount_refunded - self.uncaptured()).max(0)
    }

    /// It holds money that is not taken yet.
    pub fn authorized(&self) -> bool {
        !self.captured && !self.released && self.now.is.status == Status::Succeeded
    }
}

/// Takes a charge, with the refunds that older API versions embed.
pub fn take(fields: &Fields<'_>, seen: &Seen<'_>, facts: &mut Facts) -> Result<(), Unusable> {
    let id = fields.needed_id()?;
    let mut charge = charge(fields, seen)?;
    charge.direct = charge.ties.payment_intents.is_empty();
    charge.released |= seen.kind == "charge.expired" && !charge.captured;
    for embedded in fields.list("refunds") {
        refund::take_embedded(&embedded, &id, seen, facts);
    }
    facts.charges.insert(id, Box::new(charge));
    Ok(())
}

/// Takes a charge that stands within its payment intent, if it is well formed; its id.
pub fn take_embedded(fields: &Fields<'_>, parent: &str, seen: &Seen<'_>, facts: &mut Facts) -> Option<String> {
    let id = fields.needed_id().ok()?;
    let mut charge = charge(fields, seen).ok()?;
    charge.ties.payment_intents.insert(parent.to_owned());
    for embedded in fields.list("refunds") {
        refund::take_embedded(&embedded, &id, seen, facts);
    }
    facts.charges.insert(id.clone(), Box::new(charge));
    Some(id)
}

fn charge(fields: &Fields<'_>, seen: &Seen<'_>) -> Result<Charge, Unusable> {
    let state = state(fields)?;
    // The oldest versions captured always and didn't say so.
    let captured = !fields.denied("captured") && state.status == Status::Succeeded;
    let given = fields.amount("amount_captured")?;
    let amount_refunded = fields.amount("amount_refunded")?.unwrap_or(0);
    let mut ties = Ties::labelled(fields, seen.labelling)?;
    ties.charges.clear();
    Ok(Charge {
        captured,
        released: !captured && (fields.flag("refunded") || (amount_refunded > 0 && amount_refunded >= state.amount)),
        direct: false,
        amount_captured: if captured { given.unwrap_or(state.amount) } else { 0 },
        // What comes back of an authorization was never paid.
        amount_refunded: if captured { amount_refunded } else { 0 },
        now: seen.stamp(state),
        ties,
    })
}

fn state(fields: &Fields<'_>) -> Result<State, Unusable> {
    let status = match fields.word("status")?.as_deref() {
        Some("succeeded" | "paid") => Status::Succeeded,
        Some("pending") => Status::Pending,
        Some("failed") => Status::Failed,
        Some(_) => return Err(Unusable::field("status", "unknown")),
        // Before 2015 a charge had no status.
        None if fields.flag("paid") => Status::Succeeded,
        None if fields.denied("paid") => Status::Failed,
        None => return Err(Unusable::field("status", "missing")),
    };
    let billing = fields.object("billing_details");
    Ok(State {
        status,
        amount: fields.needed_amount("amount")?,
        currency: fields.needed_currency("currency")?,
        error: fields.text("failure_code").map(Into::into),
        receipt_email: Address::read(fields, "receipt_email"),
        billing_email: billing.as_ref().and_then(|billing| Address::read(billing, "email")),
        name: billing.and_then(|billing| billing.text("name")).map(Into::into),
    })
}
