//! What is known of an order: one compact entry for each of Stripe's objects, and the shop's own words.
//!
//! One file a kind of object says what is kept of it, how two of its entries merge, and how it is read from an
//! event. Facts only grow: [`Facts::merge`] is commutative, associative and idempotent, so that any order of
//! delivery, any duplication and any split give the same facts. What follows from them is told elsewhere.

pub mod address;
pub mod charge;
pub mod component;
pub mod dispute;
pub mod first_edition;
pub mod invoice;
pub mod join;
pub mod label;
pub mod payment_intent;
pub mod presentment;
pub mod refund;
pub mod review;
pub mod session;
pub mod shop;
pub mod steps;
pub mod ties;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use self::component::{Component, Group, Name};
use self::join::{Join, Latest};
use self::label::{Label, LabelRank, Metadata};
use self::ties::Ties;
use super::Labelling;
use crate::source::fields::Fields;

/// Entries by id. Boxed, since a map has room for eleven from the first on, and mostly there is one.
pub type Objects<T> = BTreeMap<String, Box<T>>;

/// Everything that is known of some orders, by Stripe's ids.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// By which they were written.
    #[serde(default = "first_edition::Edition::first")]
    pub edition: first_edition::Edition,
    /// `pi_…`
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub payment_intents: Objects<payment_intent::PaymentIntent>,
    /// `ch_…`, `py_…`
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub charges: Objects<charge::Charge>,
    /// `cs_…`
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sessions: Objects<session::Session>,
    /// `in_…`
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub invoices: Objects<invoice::Invoice>,
    /// `inpay_…`
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub invoice_payments: Objects<invoice::InvoicePayment>,
    /// `re_…`, `pyr_…`
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub refunds: Objects<refund::Refund>,
    /// `dp_…`, `du_…`
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub disputes: Objects<dispute::Dispute>,
    /// `issfr_…`
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub warnings: Objects<review::Warning>,
    /// `prv_…`
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub reviews: Objects<review::Review>,
    /// The shop's words on an order that it named by its own reference.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub shop: Objects<shop::Shop>,
    /// The shop's words on an order that it named by one of Stripe's ids.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub shop_by_object: Objects<shop::Shop>,
}

/// A name by which an order's facts find each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// Whose name it is.
    pub kind: ReferenceKind,
    /// The name.
    pub value: String,
}

/// Who gave a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReferenceKind {
    /// Stripe: an object's id.
    Object,
    /// The shop: its reference.
    Label,
}

impl ReferenceKind {
    /// Its stable name, as it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Label => "label",
        }
    }
}

/// The event out of which an object is read.
pub struct Seen<'a> {
    /// Its `created`.
    pub at: i64,
    /// Its id.
    pub event: &'a str,
    /// Its type.
    pub kind: &'a str,
    /// The fields that changed, as they were before.
    pub previous: Option<&'a Fields<'a>>,
    /// Where the shop's references stand.
    pub labelling: &'a Labelling,
}

impl Seen<'_> {
    /// The snapshot with the event's stamp.
    pub fn stamp<T>(&self, is: T) -> Latest<T> {
        Latest { at: self.at, event: self.event.to_owned(), is }
    }
}

impl Facts {
    /// Takes in other facts.
    pub fn merge(&mut self, other: &Self) {
        self.payment_intents.join(&other.payment_intents);
        self.charges.join(&other.charges);
        self.sessions.join(&other.sessions);
        self.invoices.join(&other.invoices);
        self.invoice_payments.join(&other.invoice_payments);
        self.refunds.join(&other.refunds);
        self.disputes.join(&other.disputes);
        self.warnings.join(&other.warnings);
        self.reviews.join(&other.reviews);
        self.shop.join(&other.shop);
        self.shop_by_object.join(&other.shop_by_object);
    }

    /// Every id of Stripe's that joins, and every reference of the shop's: facts that share one must be pooled.
    pub fn references(&self) -> BTreeSet<Reference> {
        let mut references = BTreeSet::new();
        let object = |value: &str| Reference { kind: ReferenceKind::Object, value: value.to_owned() };
        let label = |value: &str| Reference { kind: ReferenceKind::Label, value: value.to_owned() };
        for (_, id, ties) in self.objects() {
            references.insert(object(id));
            references.extend(ties.ids().map(|id| object(id)));
        }
        references.extend(self.labels().map(|given| label(given.value)));
        references.extend(self.shop_by_object.keys().map(|id| object(id)));
        references.extend(self.shop.keys().map(|reference| label(reference)));
        references
    }

    /// Every reference of the shop's that an object bears now, whether or not it names the order. A session's own
    /// metadata stands in for its `client_reference_id` unless the configuration prefers that.
    pub fn labels(&self) -> impl Iterator<Item = Label<'_>> {
        use LabelRank::{Charge, Invoice, Payment};
        fn of<'a>(rank: LabelRank, object: &'a str, metadata: &'a Metadata) -> Option<Label<'a>> {
            let value = metadata.label.as_deref()?;
            Some(Label { rank, value, object })
        }
        let intents = self.payment_intents.iter().filter_map(|(id, it)| of(Payment, id, &it.now.is.metadata));
        let sessions = self.sessions.iter().filter_map(|(id, it)| of(Payment, id, &it.now.is.metadata));
        let invoices = self.invoices.iter().filter_map(|(id, it)| of(Invoice, id, &it.now.is.metadata));
        let charges = self.charges.iter().filter_map(|(id, it)| of(Charge, id, &it.now.is.metadata));
        let clients = self.sessions.iter().filter_map(|(object, session)| session.client_label(object));
        intents.chain(sessions).chain(invoices).chain(charges).chain(clients)
    }

    /// Every object with its ties.
    pub fn objects(&self) -> impl Iterator<Item = (ObjectKind, &str, &Ties)> {
        use ObjectKind::{Charge, Invoice, Other, PaymentIntent, Session};
        let payment_intents = self.payment_intents.iter().map(|(id, object)| (PaymentIntent, id, &object.ties));
        let charges = self.charges.iter().map(|(id, object)| (Charge, id, &object.ties));
        let sessions = self.sessions.iter().map(|(id, object)| (Session, id, &object.ties));
        let invoices = self.invoices.iter().map(|(id, object)| (Invoice, id, &object.ties));
        let links = self.invoice_payments.iter().map(|(id, object)| (Other, id, &object.ties));
        let refunds = self.refunds.iter().map(|(id, object)| (Other, id, &object.ties));
        let disputes = self.disputes.iter().map(|(id, object)| (Other, id, &object.ties));
        let warnings = self.warnings.iter().map(|(id, object)| (Other, id, &object.ties));
        let reviews = self.reviews.iter().map(|(id, object)| (Other, id, &object.ties));
        let money = payment_intents.chain(charges).chain(sessions).chain(invoices);
        let rest = links.chain(refunds).chain(disputes).chain(warnings).chain(reviews);
        money.chain(rest).map(|(kind, id, ties)| (kind, id.as_str(), ties))
    }
}

/// The kinds of objects that a payment can be named by, best first; and the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectKind {
    /// A payment intent.
    PaymentIntent,
    /// An invoice.
    Invoice,
    /// A checkout session.
    Session,
    /// A charge.
    Charge,
    /// Anything else.
    Other,
}
