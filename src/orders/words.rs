//! What the shop says of an order, as an event of the inbox: what it expects, what a person let go on.
//!
//! Each word bears a sequence number and the highest counts, so that words may be stored in any sequence. The number is
//! part of the event's key: of two writers with one number the second finds a duplicate, and takes the next.

mod store;

use super::browse::Stored;
use super::facts::address::Address;
use super::facts::label::{label, normalized};
use super::facts::shop::{Compare, Expectation, LineItem, Payments};
use super::facts::{Reference, ReferenceKind};
use super::reading::Reading;
use super::{Facts, Name, Scope};
use crate::inbox::{NewEvent, State};
use crate::source::fields::{is_currency, is_id};
use chrono::{DateTime, Utc};
use diesel::QueryResult;
use diesel::pg::PgConnection;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The event type of an expectation.
pub const EXPECTATION: &str = "order.expectation";
/// The event type of a release.
pub const RELEASE: &str = "order.release";

/// An order that the shop speaks of.
#[derive(Clone, Debug)]
pub struct Addressed {
    /// Connected account and mode.
    pub scope: Scope,
    /// The name under which the shop's words are kept.
    pub name: Name,
    /// All that is known of the order so far.
    pub facts: Facts,
}

/// What the shop expects, as the API takes it: the whole of it, each time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Expected {
    /// In the currency's minor unit.
    pub amount: Option<i64>,
    /// Lower-case ISO code; needed with an amount.
    pub currency: Option<String>,
    /// Where the customer's mails go.
    pub email: Option<String>,
    /// The customer's name.
    pub name: Option<String>,
    /// The customer's language, such as `de` or `pt-BR`.
    pub locale: Option<String>,
    /// Whether several payments are as they should be.
    pub payments: Payments,
    /// With what the amount is compared.
    pub compare: Compare,
    /// What was bought.
    pub line_items: Vec<LineItem>,
}

/// The prefixes of the ids that an order can be known by.
const NAMING: [&str; 5] = ["pi_", "cs_", "in_", "ch_", "py_"];
/// Most line items that an order may have.
const MOST_LINES: usize = 100;
/// Longest text in a field, in characters.
const LONGEST: usize = 255;

impl Expected {
    /// Says which field cannot be used, and why.
    pub fn problem(&self) -> Option<&'static str> {
        let text_is_odd = |text: &str| text.chars().count() > LONGEST || text.chars().any(char::is_control);
        let texts = [&self.name, &self.locale];
        if self.amount.is_some_and(|amount| amount < 0) {
            return Some("amount is negative");
        }
        match &self.currency {
            Some(code) if !is_currency(code) => {
                return Some("currency is not a code of three lower-case letters");
            }
            None if self.amount.is_some() => return Some("currency is missing beside an amount"),
            _ => {}
        }
        if self.email.as_deref().is_some_and(|email| Address::parse(email).usable().is_none()) {
            return Some("email is not one usable address");
        }
        if texts.into_iter().flatten().any(|text| text_is_odd(text)) {
            return Some("name or locale is longer than 255 characters or has control characters");
        }
        if self.line_items.len() > MOST_LINES {
            return Some("there are more than 100 line_items");
        }
        let odd = |line: &LineItem| text_is_odd(&line.description) || line.description.is_empty() || line.quantity < 1;
        self.line_items
            .iter()
            .any(odd)
            .then_some("a line item needs a description of 1 to 255 characters and a quantity")
    }

    /// Whether `stored` says the same.
    fn is(&self, stored: &Expectation) -> bool {
        let told = Expectation {
            sequence: stored.sequence,
            amount: self.amount,
            currency: self.currency.clone(),
            email: self.email.as_deref().map(Address::parse),
            name: self.name.clone(),
            locale: self.locale.clone(),
            payments: self.payments,
            compare: self.compare,
            line_items: self.line_items.clone(),
        };
        told == *stored
    }
}

/// A person's word that all that is under review may go on.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Released {
    /// The version of the order that the person looked at.
    pub version: Option<i64>,
    /// Why, in the person's words.
    pub note: Option<String>,
}

impl Addressed {
    /// An order that nothing is known of yet: under one of Stripe's ids, or the shop's own reference.
    pub fn unknown(scope: Scope, name: &str) -> Self {
        let name = normalized(name).into_owned();
        let is_object = is_id(&name) && NAMING.iter().any(|prefix| name.starts_with(prefix));
        let name = if is_object { Name::Object(name) } else { Name::Label(name) };
        Self { scope, name, facts: Facts::default() }
    }

    /// An order as it is stored.
    ///
    /// # Errors
    /// Says that its facts cannot be read.
    pub fn known(order: Stored) -> anyhow::Result<Self> {
        let Stored { row, scope, facts, .. } = order;
        let facts = facts.map_err(anyhow::Error::msg)?;
        let group = facts.clone().groups().into_iter().find(|group| group.name.as_str() == row.reference);
        let name = group.map_or_else(|| Name::Label(row.reference), |group| group.name);
        Ok(Self { scope, name, facts })
    }

    /// The order that bears the label `asked`, where this one only answers to it. A shop may take an intent for another
    /// order: the earlier label is no name of it any more, and what the shop expects of it is that label's own.
    pub fn bearing(&self, asked: &str) -> Option<Self> {
        let own = Self::unknown(self.scope.clone(), asked);
        let Name::Label(label) = &own.name else { return None };
        let is_its_object = |reference: &Reference| reference.kind != ReferenceKind::Label && reference.value == *label;
        let is_another = *label != self.name.as_str() && !self.facts.references().iter().any(is_its_object);
        is_another.then_some(own)
    }

    /// The event that says `expected` of this order; none where that is what it expects already.
    pub fn expect(&self, conn: &mut PgConnection, expected: &Expected) -> QueryResult<Option<NewEvent>> {
        let known = Reading::of(&self.facts).expectation;
        if known.as_ref().is_some_and(|known| expected.is(known)) {
            return Ok(None);
        }
        let said = json!(expected);
        self.event(conn, EXPECTATION, known.map_or(0, |known| known.sequence), said).map(Some)
    }

    /// The event that releases all that is under review; none where nothing is.
    pub fn release(&self, conn: &mut PgConnection, note: Option<&str>) -> QueryResult<Option<NewEvent>> {
        let reading = Reading::of(&self.facts);
        if reading.open_reviews().next().is_none() {
            return Ok(None);
        }
        // What an earlier release named is named again, since the last one alone counts.
        let released: BTreeSet<String> = reading.reviews.iter().map(super::reviews::Review::token).collect();
        let known = reading.release.map_or(0, |release| release.sequence);
        self.event(conn, RELEASE, known, json!({ "released": released, "note": note })).map(Some)
    }

    fn event(&self, conn: &mut PgConnection, kind: &'static str, known: i64, said: Value) -> QueryResult<NewEvent> {
        let sequence = store::last_sequence(conn, &self.scope, kind, self.name.as_str())?.max(known) + 1;
        Ok(event(&self.scope, &self.name, kind, sequence, said, Utc::now()))
    }
}

fn event(
    scope: &Scope,
    name: &Name,
    kind: &'static str,
    sequence: i64,
    said: Value,
    received_at: DateTime<Utc>,
) -> NewEvent {
    let (field, value) = match name {
        Name::Label(label) => ("reference", label),
        Name::Object(id) => ("object", id),
    };
    let mut body = said;
    body["type"] = json!(kind.trim_start_matches("order."));
    body[field] = json!(value);
    body["sequence"] = json!(sequence);
    let mode = if scope.livemode { "live" } else { "test" };
    NewEvent {
        source: "shop",
        account: scope.account.clone(),
        event_id: format!("{kind}:{mode}:{value}:{sequence}"),
        livemode: scope.livemode,
        event_type: kind.to_owned(),
        api_version: None,
        created: Some(received_at.timestamp()),
        object_id: Some(value.clone()),
        snapshot_event: None,
        state: State::Processed,
        reason: None,
        received_at,
        body: body.to_string().into_bytes(),
        to_fetch: false,
    }
}

/// Whether `reference` can name an order.
pub fn is_reference(reference: &str) -> bool {
    label(reference).is_some_and(|reference| reference.len() <= LONGEST)
}

/// The mode of an order that nothing is known of yet: live once this receiver has had a live order.
pub fn likely_livemode(conn: &mut PgConnection) -> QueryResult<bool> {
    store::has_live_orders(conn)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::orders::{Taken, take_shop};

    fn expected(value: Value) -> Expected {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_is_written_is_what_the_law_reads() {
        let scope = Scope::new("", false);
        let said = expected(json!({ "amount": 1200, "currency": "eur", "email": "a@b.example", "payments": "many",
            "line_items": [{ "description": "Tea", "quantity": 2, "amount": 1200 }] }));
        assert_eq!(said.problem(), None);
        let event = event(&scope, &Name::Label("R-1".to_owned()), EXPECTATION, 3, json!(said), Utc::now());
        assert_eq!(event.event_id, "order.expectation:test:R-1:3");
        let Taken::Facts(facts) = take_shop(&event.body) else { panic!("{:?}", take_shop(&event.body)) };
        let known = facts.shop["R-1"].expectation.as_ref().unwrap();
        assert_eq!(known.sequence, 3);
        assert!(said.is(known));
        assert!(!Expected { amount: Some(1), ..said }.is(known));
    }

    #[test]
    fn a_label_that_an_order_only_answers_to_is_another_order_and_an_id_of_stripes_is_not() {
        let order = Addressed::unknown(Scope::new("acct_1", true), "R-2");
        let other = order.bearing(" R-1 ").unwrap();
        assert_eq!((other.name, other.scope), (Name::Label("R-1".to_owned()), order.scope.clone()));
        assert!(order.bearing("R-2").is_none() && order.bearing("pi_3abc").is_none());
    }

    #[test]
    fn nonsense_is_named() {
        for (value, word) in [
            (json!({ "amount": -1, "currency": "eur" }), "amount"),
            (json!({ "amount": 1 }), "currency"),
            (json!({ "amount": 1, "currency": "EUR" }), "currency"),
            (json!({ "currency": "euro" }), "currency"),
            (json!({ "email": "a@b, c@d" }), "email"),
            (json!({ "name": "x".repeat(256) }), "name"),
            (json!({ "locale": "d\ne" }), "locale"),
            (json!({ "line_items": vec![json!({ "description": "x", "quantity": 1 }); 101] }), "line_items"),
            (json!({ "line_items": [{ "description": "x", "quantity": 0 }] }), "line item"),
        ] {
            assert!(expected(value.clone()).problem().unwrap().contains(word), "{value}");
        }
        for value in [
            json!({ "amount": 1.5 }),
            json!({ "amount": "1" }),
            json!({ "amuont": 1 }),
            json!({ "amount": 9_223_372_036_854_775_808_u64 }),
        ] {
            assert!(serde_json::from_value::<Expected>(value.clone()).is_err(), "{value}");
        }
    }
}
