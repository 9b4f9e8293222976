//! The order law: what an order is, given the set of events that were received.
//!
//! ```text
//! event ──extract──▶ Facts ──merge──▶ Facts ──groups──▶ one Group an order ──▶ Order (its row)
//!                                                                          └─▶ due (its notices)
//! ```
//!
//! - [`take`] reads one event and gives its facts, or says why there are none. It looks at nothing but the event.
//! - [`Facts`] hold one compact entry an object of Stripe's. [`Facts::merge`] is a join: commutative, associative and
//!   idempotent. So duplicates, any order of delivery and any split over batches, workers and machines come to the
//!   same facts. `created` alone never decides; each kind of object has a total order of its snapshots.
//! - [`Facts::groups`] says which facts make one order. *Only Stripe's ids join*: objects that share one form a
//!   component, an attempt to pay. *The shop's reference labels* a component, and all components under one label are
//!   one order. A component without a label is an order known by its payment intent, invoice, session or charge.
//!   [`Facts::references`] are the names by which the facts of one order find each other in a store: pool what shares
//!   a name, until nothing is added, then group.
//! - [`Order::derive`] and [`due()`] read a group: attempts are added up (`attempt`), a person is called where the facts
//!   don't fit (`reviews`), the customer is named by whoever says it best (`customer`).
//!
//! What holds:
//!
//! - All of this is pure: no clock, no database, no network, and no arithmetic that overflows.
//! - Facts only grow, and keep what a message was owed for, even if it was undone later: a refund that succeeded and
//!   then failed has `succeeded` and `failed`. So what was owed for money that moved is owed for ever.
//! - A wrong value in a field that nobody reads hurts nobody; one in a field that is needed makes the event unusable,
//!   with a reason that names the field. A bad e-mail address is never a reason.
//! - Scopes (source, account, livemode) are the caller's: facts of two scopes must never be pooled.
//!
//! What it doesn't do: it stores nothing, sends nothing and moves no money. Subscriptions are no orders; each of their
//! invoices is one. Credit notes are not read: money goes back by refunds alone.

use serde::{Deserialize, Serialize};

pub mod attempt;
pub mod browse;
mod customer;
pub mod due;
mod editions;
pub mod explain;
pub mod extract;
pub mod facts;
mod grouping;
mod memory;
pub mod order;
mod plan;
pub mod present;
mod quick;
pub mod reading;
mod reconcile;
pub mod reviews;
mod settings;
mod store;
#[cfg(test)]
mod tests;
pub mod timeline;
mod understood;
pub mod words;

pub use self::browse::{OrderRow, find};
pub use self::due::due;
pub use self::extract::{Taken, take, take_shop, take_stored};
pub use self::facts::{Facts, Group, Name, Reference, ReferenceKind};
pub use self::grouping::{Asked, Incoming};
pub use self::memory::Memory;
pub use self::order::{Order, Status};
pub use self::quick::{Names, Ready, look, ready, ready_by_heart};
pub use self::reconcile::{Outcome, panic_text, reconcile};
pub use self::settings::Settings;
pub use self::store::{Looked, Scope};
pub use understood::UNDERSTOOD;

/// Where the shop's reference stands: `ORDER_METADATA_KEY` and `ORDER_REFERENCE_FROM`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labelling {
    /// The key in `metadata`.
    pub metadata_key: String,
    /// The sources in the order in which an object's are tried; the first that is there is the object's label.
    pub from: Vec<LabelSource>,
}

impl Default for Labelling {
    fn default() -> Self {
        Self { metadata_key: "order_id".to_owned(), from: vec![LabelSource::Metadata, LabelSource::ClientReferenceId] }
    }
}

/// A place where a reference can stand. Metadata names a component before the other does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelSource {
    /// `metadata[key]`.
    Metadata,
    /// A checkout session's `client_reference_id`; some shops keep the customer's id there.
    ClientReferenceId,
}
