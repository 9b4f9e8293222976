//! One JSON object's fields, read on demand.
//!
//! The whole object is scanned once, its values stay raw. So a strange value hurts only the reader who needs it, and
//! that one can say which field was wrong and how.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Why a signed object can't be used: the field, a colon, and what is wrong with it. Shown to people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(pub String);

impl Unusable {
    /// `field: problem`.
    pub fn field(name: &str, problem: &str) -> Self {
        Self(format!("{name}: {problem}"))
    }
}

/// The fields of one JSON object, in the order in which they stand.
#[derive(Debug)]
pub struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Fields<'a> {
    /// Reads an object; anything else, an array above all, is an error.
    pub fn parse(json: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// The raw value of a field; `null` counts as absent, a field that stands twice is unusable.
    pub fn get(&self, name: &str) -> Result<Option<&'a RawValue>, Unusable> {
        let mut found = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| *value);
        let first = found.next();
        if found.next().is_some() {
            return Err(Unusable::field(name, "stands twice"));
        }
        Ok(first.filter(|value| value.get() != "null"))
    }

    /// A string, where the field holds one that can be decoded and stored; anything else counts as absent.
    pub fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        let text = string(self.get(name).ok()??)?;
        (!text.contains('\0')).then_some(text)
    }

    /// Every field that holds a string which can be stored; of one that stands twice, the first.
    pub fn texts(&self) -> impl Iterator<Item = (String, String)> {
        let stored = |text: &str| !text.contains('\0');
        let text = move |(key, raw): &(Cow<'a, str>, &'a RawValue)| {
            let value = string(raw).filter(|value| stored(value))?;
            stored(key).then(|| (key.clone().into_owned(), value.into_owned()))
        };
        self.0.iter().rev().filter_map(text)
    }

    /// A string that must be one where the field is there.
    pub fn word(&self, name: &str) -> Result<Option<Cow<'a, str>>, Unusable> {
        match self.get(name)? {
            None => Ok(None),
            Some(raw) => string(raw).map(Some).ok_or_else(|| Unusable::field(name, "not a string")),
        }
    }

    /// The address of a page that customers can be sent to: https alone.
    pub fn page(&self, name: &str) -> Option<String> {
        let text = self.text(name)?;
        let plain = text.starts_with("https://") && text.len() <= 2048 && text.chars().all(|c| c.is_ascii_graphic());
        plain.then(|| text.into_owned())
    }

    /// True only where the field says `true`.
    pub fn flag(&self, name: &str) -> bool {
        self.is(name, "true")
    }

    /// Whether the field says `false`, which differs from being absent.
    pub fn denied(&self, name: &str) -> bool {
        self.is(name, "false")
    }

    /// An amount of money in minor units, if there is one.
    pub fn amount(&self, name: &str) -> Result<Option<i64>, Unusable> {
        match self.signed_amount(name)? {
            Some(amount) if amount < 0 => Err(Unusable::field(name, "negative")),
            amount => Ok(amount),
        }
    }

    /// An amount that must be there.
    pub fn needed_amount(&self, name: &str) -> Result<i64, Unusable> {
        self.amount(name)?.ok_or_else(|| Unusable::field(name, "missing"))
    }

    /// An amount that may be below zero, such as an invoice's total with its credits.
    pub fn signed_amount(&self, name: &str) -> Result<Option<i64>, Unusable> {
        let Some(raw) = self.get(name)? else {
            return Ok(None);
        };
        let whole = raw.get().parse().map_err(|_| Unusable::field(name, "not a whole number of minor units"))?;
        Ok(Some(whole))
    }

    /// A currency: three lower-case letters.
    pub fn currency(&self, name: &str) -> Result<Option<String>, Unusable> {
        let Some(word) = self.word(name)? else {
            return Ok(None);
        };
        if is_currency(&word) {
            return Ok(Some(word.into_owned()));
        }
        Err(Unusable::field(name, "not a currency in three lower-case letters"))
    }

    /// A currency that must be there.
    pub fn needed_currency(&self, name: &str) -> Result<String, Unusable> {
        self.currency(name)?.ok_or_else(|| Unusable::field(name, "missing"))
    }

    /// The id of another object, which may stand there whole (Stripe calls that expanded).
    pub fn link(&self, name: &str) -> Result<Option<String>, Unusable> {
        let Some(raw) = self.get(name)? else {
            return Ok(None);
        };
        let expanded = if raw.get().starts_with('{') { Fields::parse(raw.get()).ok() } else { None };
        let id = match expanded {
            Some(expanded) => expanded.word("id").ok().flatten(),
            None => string(raw),
        };
        match id {
            // Some libraries send the empty string for "none".
            Some(id) if id.is_empty() => Ok(None),
            Some(id) if is_id(&id) => Ok(Some(id.into_owned())),
            _ => Err(Unusable::field(name, "not an id")),
        }
    }

    /// The object's own id.
    pub fn needed_id(&self) -> Result<String, Unusable> {
        let id = self.word("id")?.ok_or_else(|| Unusable::field("id", "missing"))?;
        if is_id(&id) {
            return Ok(id.into_owned());
        }
        Err(Unusable::field("id", "not an id"))
    }

    /// An object within the object; anything else counts as absent.
    pub fn object(&self, name: &str) -> Option<Fields<'a>> {
        Fields::parse(self.get(name).ok()??.get()).ok()
    }

    /// The objects of a list in Stripe's shape, `{"data": […]}`; what is not an object is left out.
    pub fn list(&self, name: &str) -> Vec<Fields<'a>> {
        let data = self.object(name).and_then(|list| list.get("data").ok().flatten());
        let items: Vec<&'a RawValue> = data.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        items.into_iter().filter_map(|raw| Fields::parse(raw.get()).ok()).collect()
    }

    fn is(&self, name: &str, word: &str) -> bool {
        matches!(self.get(name), Ok(Some(raw)) if raw.get() == word)
    }
}

/// Whether this can be an object's id and a key of ours: 1 to 255 characters out of `A-Z a-z 0-9 _ - . :`.
pub fn is_id(id: &str) -> bool {
    (1..=255).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte))
}

/// Three lower-case letters, as Stripe writes currencies.
pub fn is_currency(code: &str) -> bool {
    code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_lowercase())
}

/// Decodes a raw value that is a string.
pub fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    let inner = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str(raw.get()).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}

impl<'a> From<Vec<(Cow<'a, str>, &'a RawValue)>> for Fields<'a> {
    fn from(fields: Vec<(Cow<'a, str>, &'a RawValue)>) -> Self {
        Self(fields)
    }
}

/// A field's name.
#[derive(Deserialize)]
pub(super) struct Key<'a>(#[serde(borrow)] pub Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::with_capacity(48);
                while let Some((Key(key), value)) = map.next_entry()? {
                    fields.push((key, value));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}
