//! The order law.
use crate::config::ReferenceFrom;
use serde::{Deserialize, Serialize};

pub mod attempt;
pub mod due;
pub mod extract;
pub mod facts;
pub mod order;
mod plan;
mod reconcile;
pub mod reviews;
mod store;

pub use self::due::due;
pub use self::extract::{Taken, take, take_shop};
pub use self::facts::{Facts, Group, Name, Reference, ReferenceKind};
pub use self::order::{Order, Status};
pub use self::reconcile::{Incoming, Outcome, reconcile};
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

/// How events become orders here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Where an order's reference stands.
    pub labelling: Labelling,
    /// How long a confirmation waits for its order's reference, in seconds.
    pub grace_seconds: i32,
}

impl Settings {
    /// By the configuration.
    pub fn new(config: &crate::config::Orders) -> Self {
        let from = config.reference_from.iter().map(|from| match from {
            ReferenceFrom::Metadata => LabelSource::Metadata,
            ReferenceFrom::ClientReferenceId => LabelSource::ClientReferenceId,
        });
        Self {
            labelling: Labelling { metadata_key: config.metadata_key.clone(), from: from.collect() },
            grace_seconds: i32::try_from(config.confirm_grace.as_secs()).unwrap_or(i32::MAX),
        }
    }
}

/// What a caught panic said.
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text =
        panic.downcast_ref::<&str>().map(ToString::to_string).or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a panic without a message".to_owned())
}
