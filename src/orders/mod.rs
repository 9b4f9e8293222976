//! The order law.
use serde::{Deserialize, Serialize};

pub mod attempt;
mod customer;
pub mod due;
pub mod extract;
pub mod facts;
pub mod order;
mod plan;
pub mod reading;
mod reconcile;
pub mod reviews;
mod settings;
mod store;

pub use self::due::due;
pub use self::extract::{Taken, take, take_shop};
pub use self::facts::{Facts, Group, Name, Reference, ReferenceKind};
pub use self::order::{Order, Status};
pub use self::reconcile::{Incoming, Outcome, panic_text, reconcile};
pub use self::settings::Settings;
pub use self::store::{OrderRow, Scope, find};

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
