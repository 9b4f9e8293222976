//! The shop's references: where an object bears one, and which of several names a component.

use std::borrow::Cow;
use std::collections::BTreeMap;

use icu_normalizer::ComposingNormalizer;
use serde::{Deserialize, Serialize};

use super::join::is_false;
use crate::orders::{LabelSource, Labelling};
use crate::source::fields::Fields;

/// Longest reference, in characters.
const LONGEST: usize = 255;

/// A reference of the shop's as one object bears it. The least one of a component names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label<'a> {
    /// How much its place says.
    pub rank: LabelRank,
    /// The reference.
    pub value: &'a str,
    /// The object that bears it.
    pub object: &'a str,
}

/// The places where a reference can stand, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LabelRank {
    /// A session's `client_reference_id`, if the configuration puts it first.
    PreferredClientReference,
    /// Metadata of a checkout session or a payment intent.
    Payment,
    /// Metadata of an invoice, or of a subscription on its first invoice.
    Invoice,
    /// Metadata of a charge: a copy, made when the charge was made.
    Charge,
    /// A session's `client_reference_id`.
    ClientReference,
}

impl LabelRank {
    /// Whether it is a `client_reference_id`, which may name a customer.
    pub fn is_client_reference(self) -> bool {
        matches!(self, Self::PreferredClientReference | Self::ClientReference)
    }
}

/// What one snapshot's metadata says: the order's reference and everything beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// The order's reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The other entries, for people and programs to read.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rest: BTreeMap<String, String>,
}

impl Metadata {
    /// All of it, as it was read: the reference under the name `key`.
    pub fn whole(&self, key: &str) -> BTreeMap<String, String> {
        let label = self.label.iter().map(|label| (key.to_owned(), label.clone()));
        self.rest.clone().into_iter().chain(label).collect()
    }

    /// Nothing is known of it.
    pub fn is_empty(&self) -> bool {
        self.label.is_none() && self.rest.is_empty()
    }

    /// Reads an object's `metadata`.
    pub fn read(fields: &Fields<'_>, labelling: &Labelling) -> Self {
        let Some(metadata) = fields.object("metadata") else {
            return Self::default();
        };
        let key = &labelling.metadata_key;
        let named = labelling.from.contains(&LabelSource::Metadata);
        let label = if named { metadata.text(key).and_then(|given| label(&given)) } else { None };
        let kept = |name: &str| label.is_none() || name != key;
        let rest = metadata.texts().filter(|(name, _)| kept(name)).collect();
        Self { label, rest }
    }
}

/// A checkout session's `client_reference_id`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ClientReference {
    /// The reference.
    pub value: String,
    /// The configuration puts it before metadata.
    #[serde(default, skip_serializing_if = "is_false")]
    pub preferred: bool,
}

impl ClientReference {
    /// Reads it, if the configuration lets it name orders.
    pub fn read(fields: &Fields<'_>, labelling: &Labelling) -> Option<Self> {
        if !labelling.from.contains(&LabelSource::ClientReferenceId) {
            return None;
        }
        let value = label(&fields.text("client_reference_id")?)?;
        Some(Self { value, preferred: labelling.from.first() == Some(&LabelSource::ClientReferenceId) })
    }

    /// How much it says.
    pub fn rank(&self) -> LabelRank {
        if self.preferred { LabelRank::PreferredClientReference } else { LabelRank::ClientReference }
    }
}

/// A reference as it is compared: without surrounding blanks, its characters composed (NFC). Returns `None` if it
/// cannot be one: empty, longer than 255 characters, or with control characters.
pub fn label(given: &str) -> Option<String> {
    let value = normalized(given);
    let usable = !value.is_empty() && value.chars().count() <= LONGEST && !value.chars().any(char::is_control);
    usable.then(|| value.into_owned())
}

/// The reference without surrounding blanks and composed, usable or not.
pub fn normalized(given: &str) -> Cow<'_, str> {
    let trimmed = given.trim();
    if trimmed.is_ascii() {
        return Cow::Borrowed(trimmed);
    }
    ComposingNormalizer::new_nfc().normalize(trimmed)
}

/// Why the reference that an object bears cannot be used, if it bears one that cannot.
pub fn problem(fields: &Fields<'_>, labelling: &Labelling) -> Option<String> {
    let metadata = || fields.object("metadata")?.text(&labelling.metadata_key);
    let given = [
        (LabelSource::Metadata, format!("metadata.{}", labelling.metadata_key), metadata()),
        (LabelSource::ClientReferenceId, "client_reference_id".to_owned(), fields.text("client_reference_id")),
    ];
    let wanted = given.into_iter().filter(|(source, ..)| labelling.from.contains(source));
    wanted.filter_map(|(_, name, value)| Some((name, value?))).find_map(|(name, value)| {
        let given = normalized(&value);
        let why = match given.chars().count() {
            0 => return None,
            count if count > LONGEST => format!("{name} has {count} characters, more than {LONGEST}"),
            _ if given.chars().any(char::is_control) => format!("{name} has control characters"),
            _ => return None,
        };
        Some(format!("{why}: it names no order"))
    })
}

#[cfg(test)]
mod tests {
    use super::label;

    #[test]
    fn a_reference_is_trimmed_and_composed() {
        assert_eq!(label(" SO-1042\u{a0}\n").as_deref(), Some("SO-1042"));
        assert_eq!(label("Bestellung-Ko\u{308}ln").as_deref(), Some("Bestellung-K\u{f6}ln"));
        for unusable in ["", " \t", "a\u{7}b", &"x".repeat(256)] {
            assert_eq!(label(unusable), None, "{unusable:?}");
        }
        assert_eq!(label(&"é".repeat(255)), Some("é".repeat(255)));
    }
}
