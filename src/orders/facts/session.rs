//! A checkout session: what the customer was shown and did.

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::join::{Join, Latest, Ranked, is_false};
use super::label::{ClientReference, Label, Metadata};
use super::presentment::Presentment;
use super::ties::Ties;
use super::{Facts, Seen};
use crate::source::fields::{Fields, Unusable};

/// What is known of a checkout session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its greatest snapshot.
    pub now: Latest<State>,
    /// Its slow payment was seen to fail. Only the event's type tells, the object looks as before.
    #[serde(default, skip_serializing_if = "is_false")]
    pub async_failed: bool,
    /// What it is tied to.
    #[serde(default, skip_serializing_if = "Ties::is_empty")]
    pub ties: Ties,
}

/// One snapshot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct State {
    /// Stripe's `payment_status`.
    pub payment: Payment,
    /// Stripe's `status`.
    pub status: Status,
    /// `mode` is `payment`, not `subscription`.
    pub one_off: bool,
    /// `amount_total` and `amount_subtotal`, as the customer pays them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    /// The same in the shop's own currency, where the customer pays in another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub converted: Option<Asked>,
    /// The customer's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Address>,
    /// The customer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The page's language, where it is not `auto`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// `amount_total` as the customer saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presentment: Option<Presentment>,
    /// A payment link made it. The link copies its metadata to every buyer's objects.
    #[serde(default, skip_serializing_if = "is_false")]
    pub of_link: bool,
    /// The shop's words.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    /// The shop's other words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_reference: Option<ClientReference>,
}

/// An amount that somebody is asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Asked {
    /// Of both amounts.
    pub currency: String,
    /// With discounts, shipping and tax.
    pub total: i64,
    /// Without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subtotal: Option<i64>,
}

/// Stripe's `payment_status`. The order is the rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payment {
    /// No money yet.
    Unpaid,
    /// Nothing to pay, or nothing now.
    NoPaymentRequired,
    /// Money arrived.
    Paid,
}

/// Stripe's `status`. The order is the rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The customer is at it.
    Open,
    /// The customer left.
    Expired,
    /// The customer is through.
    Complete,
}

impl Ranked for State {
    fn standing(&self) -> u8 {
        let settled = u8::from(self.payment != Payment::Unpaid);
        settled * 3 + self.status as u8
    }

    fn rank(&self) -> u8 {
        self.payment as u8
    }
}

impl Join for Session {
    fn join(&mut self, other: &Self) {
        self.now.join(&other.now);
        self.async_failed |= other.async_failed;
        self.ties.join(&other.ties);
    }
}

impl Session {
    /// Paid, with money or because a one-off checkout cost nothing.
    pub fn paid(&self) -> bool {
        let state = &self.now.is;
        match state.payment {
            Payment::Paid => true,
            Payment::NoPaymentRequired => state.one_off && state.asked.as_ref().is_some_and(|asked| asked.total == 0),
            Payment::Unpaid => false,
        }
    }

    /// The customer is through and the money is not there.
    pub fn awaits_funds(&self) -> bool {
        let state = &self.now.is;
        !self.async_failed && state.status == Status::Complete && state.payment == Payment::Unpaid
    }

    /// Its `client_reference_id` as a label. Metadata of its own stands in for that, unless the configuration prefers it
    /// or a payment link copied the metadata.
    pub fn client_label<'a>(&'a self, id: &'a str) -> Option<Label<'a>> {
        let State { client_reference, metadata, of_link, .. } = &self.now.is;
        let given = client_reference.as_ref()?;
        let counts = given.preferred || *of_link || metadata.label.is_none();
        counts.then_some(Label { rank: given.rank(), value: &given.value, object: id })
    }

    /// What the customer saw of its total, and that total.
    pub fn presented(&self) -> Option<(&Presentment, i64)> {
        Some((self.now.is.presentment.as_ref()?, self.now.is.asked.as_ref()?.total))
    }

    /// What the shop asked for, in its own currency.
    pub fn expects(&self) -> Option<&Asked> {
        self.now.is.converted.as_ref().or(self.now.is.asked.as_ref())
    }
}

/// Takes a checkout session.
pub fn take(fields: &Fields<'_>, seen: &Seen<'_>, facts: &mut Facts) -> Result<(), Unusable> {
    let id = fields.needed_id()?;
    let mut ties = Ties::read(fields)?;
    ties.sessions.extend(fields.link("recovered_from")?);
    let async_failed = seen.kind == "checkout.session.async_payment_failed";
    let now = seen.stamp(state(fields, seen)?);
    facts.sessions.insert(id, Box::new(Session { now, async_failed, ties }));
    Ok(())
}

fn state(fields: &Fields<'_>, seen: &Seen<'_>) -> Result<State, Unusable> {
    let payment = match fields.word("payment_status")?.as_deref() {
        Some("unpaid") => Payment::Unpaid,
        Some("no_payment_required") => Payment::NoPaymentRequired,
        Some("paid") => Payment::Paid,
        Some(_) => return Err(Unusable::field("payment_status", "unknown")),
        None => return Err(Unusable::field("payment_status", "missing")),
    };
    let status = match fields.word("status")?.as_deref().unwrap_or_else(|| status_by_type(seen.kind)) {
        "complete" => Status::Complete,
        "expired" => Status::Expired,
        "open" => Status::Open,
        _ => return Err(Unusable::field("status", "unknown")),
    };
    let asked = asked(fields, "currency")?;
    if payment == Payment::Paid && asked.is_none() {
        return Err(Unusable::field("amount_total", "missing"));
    }
    let converted = match fields.object("currency_conversion") {
        Some(conversion) if asked.is_some() => self::asked(&conversion, "source_currency")?,
        _ => None,
    };
    let details = fields.object("customer_details");
    let given = details.as_ref().and_then(|details| Address::read(details, "email"));
    Ok(State {
        payment,
        status,
        one_off: fields.word("mode")?.is_none_or(|mode| mode == "payment"),
        asked,
        converted,
        email: given.or_else(|| Address::read(fields, "customer_email")),
        name: details.and_then(|details| details.text("name")).map(Into::into),
        locale: fields.text("locale").filter(|locale| locale != "auto").map(Into::into),
        presentment: Presentment::read(fields),
        of_link: fields.get("payment_link")?.is_some(),
        metadata: Metadata::read(fields, seen.labelling),
        client_reference: ClientReference::read(fields, seen.labelling),
    })
}

/// Versions before 2021 have no status: there, the type tells.
fn status_by_type(kind: &str) -> &'static str {
    if kind == "checkout.session.expired" { "expired" } else { "complete" }
}

fn asked(fields: &Fields<'_>, currency: &str) -> Result<Option<Asked>, Unusable> {
    let (currency, total) = (fields.currency(currency)?, fields.amount("amount_total")?);
    let subtotal = fields.amount("amount_subtotal")?;
    Ok(currency.zip(total).map(|(currency, total)| Asked { currency, total, subtotal }))
}
