//! What ties one object to others: Stripe's ids, which join, and the shop's labels, which name.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::join::{Join, union};
use crate::orders::{LabelSource, Labelling};
use crate::source::fields::{Fields, Unusable};

/// The shop's reference as one object bears it, and where it stood. The least one of a component names it, so
/// metadata comes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Label(pub LabelSource, pub String);

/// All ties of one object that were ever seen. They only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
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
    /// The shop's references.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub labels: BTreeSet<Label>,
}

impl Ties {
    /// The ids that the usual fields name.
    pub fn read(fields: &Fields<'_>) -> Result<Self, Unusable> {
        Ok(Self {
            payment_intents: fields.link("payment_intent")?.into_iter().collect(),
            charges: fields.link("charge")?.into_iter().collect(),
            sessions: BTreeSet::new(),
            invoices: fields.link("invoice")?.into_iter().collect(),
            labels: BTreeSet::new(),
        })
    }

    /// The same, with the label that the object's own fields give.
    pub fn labelled(fields: &Fields<'_>, labelling: &Labelling) -> Result<Self, Unusable> {
        let mut ties = Self::read(fields)?;
        ties.labels.extend(label(fields, labelling, &labelling.from));
        Ok(ties)
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
        union(&mut self.labels, &other.labels);
    }
}

/// The first label that the object gives, in the order of `sources`.
pub fn label(fields: &Fields<'_>, labelling: &Labelling, sources: &[LabelSource]) -> Option<Label> {
    sources.iter().find_map(|source| {
        let value = match source {
            LabelSource::Metadata => fields.object("metadata")?.text(&labelling.metadata_key),
            LabelSource::ClientReferenceId => fields.text("client_reference_id"),
        };
        let value = value.filter(|value| is_label(value))?;
        Some(Label(*source, value.into_owned()))
    })
}

/// Whether the shop's reference can be used: 1 to 255 characters, none of them a control character.
pub fn is_label(value: &str) -> bool {
    !value.is_empty() && value.chars().count() <= 255 && !value.chars().any(char::is_control)
}
