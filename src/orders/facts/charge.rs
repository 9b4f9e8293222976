//! A charge: one attempt to move a payment's money.

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::join::{Join, Latest, Ranked, is_false, is_zero};
use super::label::Metadata;
use super::presentment::Presentment;
use super::steps::{Step, Sums};
use super::ties::Ties;
use super::{Facts, Seen, refund};
use crate::source::fields::{Fields, Unusable};

/// What is known of a charge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charge {
    /// Its newest snapshot.
    pub now: Latest<State>,
    /// Its authorization was given back or lapsed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub released: bool,
    /// It was seen without a payment intent: made by the old Charges API, so it is the payment itself.
    #[serde(default, skip_serializing_if = "is_false")]
    pub direct: bool,
    /// The sums of what was given back, as they came.
    #[serde(default, skip_serializing_if = "Sums::is_empty")]
    pub sums: Sums,
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
    /// `amount_captured`; `None` if its money is only authorized.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub captured: Option<i64>,
    /// `amount_refunded`, as far as money was taken before.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refunded: i64,
    /// `refunded`: all of it went back.
    #[serde(default, skip_serializing_if = "is_false")]
    pub all_refunded: bool,
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
    /// `payment_method_details.type`, such as `card`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// `amount` as the customer saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presentment: Option<Presentment>,
    /// The shop's words.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
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
    /// What succeeded or was captured stays so, whatever comes late.
    fn standing(&self) -> u8 {
        self.status as u8 * 2 + u8::from(self.captured.is_some())
    }

    fn rank(&self) -> u8 {
        0
    }

    fn grown(&self) -> (i64, i64) {
        (self.captured.unwrap_or(0), self.refunded)
    }
}

impl Join for Charge {
    fn join(&mut self, other: &Self) {
        self.now.join(&other.now);
        self.released |= other.released;
        self.direct |= other.direct;
        self.sums.join(&other.sums);
        self.ties.join(&other.ties);
    }
}

impl Charge {
    /// It took money.
    pub fn took(&self) -> bool {
        self.now.is.captured.is_some() && self.now.is.status == Status::Succeeded
    }

    /// What it took.
    pub fn amount_captured(&self) -> i64 {
        self.now.is.captured.unwrap_or(0)
    }

    /// What was authorized and not taken.
    pub fn uncaptured(&self) -> i64 {
        if self.took() { (self.now.is.amount - self.amount_captured()).max(0) } else { 0 }
    }

    /// What the sums of given-back money count without a refund: the rest of a partial capture, if they count it.
    pub fn sums_floor(&self) -> i64 {
        let rest = self.uncaptured();
        if self.now.is.refunded >= rest { rest } else { 0 }
    }

    /// What was given back of what it took, by its sums alone. Each failed refund is the second in which it failed, and
    /// its amount.
    pub fn given_back(&self, failed: &[(i64, i64)]) -> i64 {
        let Latest { at, is: newest, .. } = &self.now;
        if newest.all_refunded && failed.iter().all(|(failed_at, _)| failed_at < at) {
            return self.amount_captured();
        }
        (self.sums.given_back((*at, newest.refunded), failed) - self.sums_floor()).max(0)
    }

    /// It holds money that is not taken yet.
    pub fn authorized(&self) -> bool {
        self.now.is.captured.is_none() && !self.released && self.now.is.status == Status::Succeeded
    }
}

/// Takes a charge, with the refunds that older API versions embed.
pub fn take(fields: &Fields<'_>, seen: &Seen<'_>, facts: &mut Facts) -> Result<(), Unusable> {
    let id = fields.needed_id()?;
    let mut charge = charge(fields, seen)?;
    charge.direct = charge.ties.payment_intents.is_empty();
    charge.released |= seen.kind == "charge.expired" && charge.now.is.captured.is_none();
    charge.sums = sums(&charge.now.is, seen);
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
    let mut ties = Ties::read(fields)?;
    ties.charges.clear();
    let state = state(fields, seen)?;
    let given_back = fields.amount("amount_refunded")?.unwrap_or(0);
    let all = fields.flag("refunded") || (given_back > 0 && given_back >= state.amount);
    let released = state.captured.is_none() && all;
    Ok(Charge { released, direct: false, sums: Sums::default(), now: seen.stamp(state), ties })
}

/// The sum that a refund's event tells of: a step, if it says what the sum was before. A later event repeats the sum, and
/// a capture counts as given back what was never taken.
fn sums(state: &State, seen: &Seen<'_>) -> Sums {
    if state.captured.is_none() || seen.kind == "charge.captured" {
        return Sums::default();
    }
    let before = seen.previous.filter(|previous| !previous.denied("captured"));
    let from = before.and_then(|previous| previous.amount("amount_refunded").ok().flatten());
    match from {
        Some(from) => Sums::stepped(seen.event, Step { from, to: state.refunded, at: seen.at }),
        None if seen.kind == "charge.refunded" => Sums::seen(state.refunded, seen.at),
        None => Sums::default(),
    }
}

fn state(fields: &Fields<'_>, seen: &Seen<'_>) -> Result<State, Unusable> {
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
    let amount = fields.needed_amount("amount")?;
    // The oldest versions captured always and didn't say so.
    let is_captured = !fields.denied("captured") && status == Status::Succeeded;
    let captured = fields.amount("amount_captured")?.unwrap_or(amount);
    let billing = fields.object("billing_details");
    Ok(State {
        status,
        amount,
        currency: fields.needed_currency("currency")?,
        captured: is_captured.then_some(captured),
        // What comes back of an authorization was never paid.
        refunded: if is_captured { fields.amount("amount_refunded")?.unwrap_or(0) } else { 0 },
        all_refunded: is_captured && fields.flag("refunded"),
        error: fields.text("failure_code").map(Into::into),
        receipt_email: Address::read(fields, "receipt_email"),
        billing_email: billing.as_ref().and_then(|billing| Address::read(billing, "email")),
        name: billing.and_then(|billing| billing.text("name")).map(Into::into),
        method: fields.object("payment_method_details").and_then(|details| details.text("type")).map(Into::into),
        presentment: Presentment::read(fields),
        metadata: Metadata::read(fields, seen.labelling),
    })
}
