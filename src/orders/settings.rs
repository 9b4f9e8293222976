//! How events become orders here, by the configuration.

use super::{LabelSource, Labelling, present};
use crate::config::{self, ReferenceFrom};
use crate::outbox::ReadDetails;
use std::sync::Arc;

/// How events become orders here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Where an order's reference stands.
    pub labelling: Labelling,
    /// How long a confirmation waits for its order's reference, in seconds.
    pub grace_seconds: i32,
    /// Orders whose facts take more bytes than that are left to the workers, so that the writer is never busy with one
    /// for long; `None` takes all.
    pub largest: Option<i32>,
}

impl Settings {
    /// By the configuration.
    pub fn new(config: &config::Orders) -> Self {
        let from = config.reference_from.iter().map(|from| match from {
            ReferenceFrom::Metadata => LabelSource::Metadata,
            ReferenceFrom::ClientReferenceId => LabelSource::ClientReferenceId,
        });
        Self {
            labelling: Labelling { metadata_key: config.metadata_key.clone(), from: from.collect() },
            grace_seconds: i32::try_from(config.confirm_grace.as_secs()).unwrap_or(i32::MAX),
            largest: None,
        }
    }

    /// Reads what an order's columns don't hold from its stored facts, for messages.
    pub fn read_details(&self) -> ReadDetails {
        let labelling = self.labelling.clone();
        Arc::new(move |facts| present::details(facts, &labelling))
    }
}
