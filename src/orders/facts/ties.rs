//! What ties one object to others: Stripe's ids.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::join::{Join, union};
use crate::source::fields::{Fields, Unusable};

/// All ties of one object that were ever seen. They only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ties {
    /// Payment intents.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub payment_intents: BTreeSet<String>,
    /// Charges.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub charges: BTreeSet<String>,
    /// Checkout sessions.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub sessions: BTreeSet<String>,
    /// Invoices.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub invoices: BTreeSet<String>,
}

impl Ties {
    /// The ids that the usual fields name.
    pub fn read(fields: &Fields<'_>) -> Result<Self, Unusable> {
        Ok(Self {
            payment_intents: fields.link("payment_intent")?.into_iter().collect(),
            charges: fields.link("charge")?.into_iter().collect(),
            sessions: BTreeSet::new(),
            invoices: fields.link("invoice")?.into_iter().collect(),
        })
    }

    /// Nothing tied.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Every id that joins.
    pub fn ids(&self) -> impl Iterator<Item = &String> {
        self.payment_intents.iter().chain(&self.charges).chain(&self.sessions).chain(&self.invoices)
    }
}

impl Join for Ties {
    fn join(&mut self, other: &Self) {
        union(&mut self.payment_intents, &other.payment_intents);
        union(&mut self.charges, &other.charges);
        union(&mut self.sessions, &other.sessions);
        union(&mut self.invoices, &other.invoices);
    }
}
