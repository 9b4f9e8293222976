//! From an event to facts.

use serde::Deserialize;

use super::Labelling;
use super::facts::address::Address;
use super::facts::label::{self, label};
use super::facts::shop::{Compare, Expectation, LineItem, Payments, Release, Shop};
use super::facts::{Facts, Seen, charge, dispute, invoice, payment_intent, refund, review, session};
use crate::source::fields::{Fields, Unusable, is_currency, is_id};
use crate::source::stripe::{self, Event, Payload, storable_id};

/// What an event comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
// Made and moved once an event: a box would cost more than it saves.
#[allow(clippy::large_enum_variant)]
pub enum Taken {
    /// It tells something of orders.
    Facts(Facts),
    /// It tells nothing that orders need; the code says why.
    Ignored(&'static str),
    /// It should tell something and can't be used; for people to read: the field, and what is wrong with it.
    Quarantined(String),
}

/// The kinds of objects that are read.
#[derive(Clone, Copy)]
enum Read {
    PaymentIntent,
    Charge,
    Session,
    Refund,
    Dispute,
    Invoice,
    InvoicePayment,
    Warning,
    Review,
}

impl Read {
    /// By the event's type; `Err` is the code of an event that is ignored.
    fn of(kind: &str) -> Result<Self, &'static str> {
        match kind {
            "charge.refund.updated" | "refund.created" | "refund.updated" | "refund.failed" => {
                return Ok(Self::Refund);
            }
            // A preview: there is no invoice yet, and no id.
            "invoice.upcoming" => return Err("no_invoice_yet"),
            _ => {}
        }
        let starts = |prefix| kind.starts_with(prefix);
        match () {
            () if starts("payment_intent.") => Ok(Self::PaymentIntent),
            () if starts("charge.dispute.") => Ok(Self::Dispute),
            () if starts("charge.") => Ok(Self::Charge),
            () if starts("checkout.session.") => Ok(Self::Session),
            () if starts("invoice.") => Ok(Self::Invoice),
            () if starts("invoice_payment.") => Ok(Self::InvoicePayment),
            () if starts("radar.early_fraud_warning.") => Ok(Self::Warning),
            () if starts("review.") => Ok(Self::Review),
            // A subscription is no order: each of its invoices is one, and says itself what became of it.
            () if starts("customer.subscription.") => Err("subscription_state"),
            () => Err("unhandled_type"),
        }
    }

    /// What `data.object.object` says, where it says anything.
    fn object(self) -> &'static str {
        match self {
            Self::PaymentIntent => "payment_intent",
            Self::Charge => "charge",
            Self::Session => "checkout.session",
            Self::Refund => "refund",
            Self::Dispute => "dispute",
            Self::Invoice => "invoice",
            Self::InvoicePayment => "invoice_payment",
            Self::Warning => "radar.early_fraud_warning",
            Self::Review => "review",
        }
    }

    fn take(self, fields: &Fields<'_>, seen: &Seen<'_>, facts: &mut Facts) -> Result<(), Unusable> {
        match fields.word("object")? {
            Some(object) if object != self.object() => {
                return Err(Unusable::field("object", "not what its type says"));
            }
            _ => {}
        }
        match self {
            Self::PaymentIntent => payment_intent::take(fields, seen, facts),
            Self::Charge => charge::take(fields, seen, facts),
            Self::Session => session::take(fields, seen, facts),
            Self::Refund => refund::take(fields, seen, facts),
            Self::Dispute => dispute::take(fields, seen, facts),
            Self::Invoice => invoice::take(fields, seen, facts),
            Self::InvoicePayment => invoice::take_payment(fields, facts),
            Self::Warning => review::take_warning(fields, facts),
            Self::Review => review::take(fields, seen, facts),
        }
    }
}

/// Takes the facts out of an event. It depends on nothing but its arguments, so a replay after a fix is worth it.
pub fn take(event: &Event<'_>, labelling: &Labelling) -> Taken {
    if storable_id(&event.id).is_err() {
        return Taken::Quarantined("event id: not usable as a key".to_owned());
    }
    if event.kind.is_empty() {
        return Taken::Quarantined("type: missing or not a plain word".to_owned());
    }
    let snapshot = match &event.payload {
        Payload::Snapshot(snapshot) => snapshot.as_ref(),
        Payload::Thin { .. } => return Taken::Ignored("thin_event"),
        Payload::None => return without_object(&event.kind),
    };
    let read = match Read::of(&event.kind) {
        Ok(read) => read,
        Err(code) => return Taken::Ignored(code),
    };
    let Some(fields) = snapshot else {
        return Taken::Quarantined("data.object: not an object".to_owned());
    };
    if matches!(read, Read::Session) && fields.text("mode").as_deref() == Some("setup") {
        return Taken::Ignored("setup_mode");
    }
    let previous = event.previous_attributes();
    let (at, previous) = (event.created.unwrap_or(0), previous.as_ref());
    let seen = Seen { at, event: &event.id, kind: &event.kind, previous, labelling };
    let mut facts = Facts::default();
    match read.take(fields, &seen, &mut facts) {
        Ok(()) if concerns_no_payment(read, &facts) => Taken::Ignored("no_payment"),
        Ok(()) => Taken::Facts(facts),
        Err(Unusable(reason)) => Taken::Quarantined(reason),
    }
}

/// Whether it is a refund that names neither a charge nor a payment intent, such as one to a customer's balance.
fn concerns_no_payment(read: Read, facts: &Facts) -> bool {
    matches!(read, Read::Refund) && facts.refunds.values().all(|refund| refund.ties.ids().next().is_none())
}

fn without_object(kind: &str) -> Taken {
    match Read::of(kind) {
        Ok(_) => Taken::Quarantined("data.object: missing".to_owned()),
        Err(code) => Taken::Ignored(code),
    }
}

/// The shop's own events, as the API writes them into the inbox.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Said {
    Expectation {
        #[serde(flatten)]
        order: Named,
        sequence: i64,
        amount: Option<i64>,
        currency: Option<String>,
        email: Option<String>,
        name: Option<String>,
        locale: Option<String>,
        #[serde(default)]
        payments: Payments,
        #[serde(default)]
        compare: Compare,
        #[serde(default)]
        line_items: Vec<LineItem>,
    },
    Release {
        #[serde(flatten)]
        order: Named,
        sequence: i64,
        released: std::collections::BTreeSet<String>,
    },
}

/// The order that the shop means: by its own reference, or by an id of Stripe's.
#[derive(Deserialize)]
struct Named {
    reference: Option<String>,
    object: Option<String>,
}

/// Takes the facts out of an event of the source `shop`: `{"type": "expectation" | "release", "reference" | "object":
/// …, "sequence": …, …}`, the other fields as in [`Expectation`] and [`Release`].
pub fn take_shop(body: &[u8]) -> Taken {
    let said = match serde_json::from_slice(body) {
        Ok(said) => said,
        Err(error) => return Taken::Quarantined(error.to_string()),
    };
    let taken = match said {
        Said::Release { order, sequence, released } => {
            let release = Some(Release { sequence, released });
            words_on(order, Shop { release, expectation: None })
        }
        Said::Expectation { order, sequence, amount, currency, email, name, locale, payments, compare, line_items } => {
            let email = email.filter(|given| !given.is_empty()).map(|given| Address::parse(&given));
            let expectation =
                Expectation { sequence, amount, currency, email, name, locale, payments, compare, line_items };
            check(&expectation).and_then(|()| words_on(order, Shop { expectation: Some(expectation), release: None }))
        }
    };
    taken.map_or_else(|Unusable(reason)| Taken::Quarantined(reason), Taken::Facts)
}

/// Takes the facts out of a stored event, whoever sent it.
pub fn take_stored(source: &str, body: &[u8], labelling: &Labelling) -> Taken {
    match source {
        "shop" => take_shop(body),
        "stripe" | "stripe_api" => match stripe::parse(body) {
            Ok(event) => take(&event, labelling),
            Err(error) => Taken::Quarantined(error.to_string()),
        },
        _ => Taken::Ignored("no_order"),
    }
}

/// Why the reference that an event's object bears names no order, if it cannot.
pub fn unusable_label(body: &[u8], labelling: &Labelling) -> Option<String> {
    match stripe::parse(body).ok()?.payload {
        Payload::Snapshot(Some(fields)) => label::problem(&fields, labelling),
        Payload::Snapshot(None) | Payload::Thin { .. } | Payload::None => None,
    }
}

fn check(expectation: &Expectation) -> Result<(), Unusable> {
    if expectation.amount.is_some_and(|amount| amount < 0) {
        return Err(Unusable::field("amount", "negative"));
    }
    match &expectation.currency {
        Some(code) if !is_currency(code) => {
            Err(Unusable::field("currency", "not a currency in three lower-case letters"))
        }
        None if expectation.amount.is_some() => Err(Unusable::field("currency", "missing")),
        _ => Ok(()),
    }
}

fn words_on(order: Named, shop: Shop) -> Result<Facts, Unusable> {
    let mut facts = Facts::default();
    match (order.reference.as_deref().map(label), order.object) {
        (Some(Some(label)), None) => facts.shop.insert(label, Box::new(shop)),
        (None, Some(id)) if is_id(&id) => facts.shop_by_object.insert(id, Box::new(shop)),
        _ => return Err(Unusable::field("reference", "not one usable name")),
    };
    Ok(facts)
}
