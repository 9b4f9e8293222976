//! An event's envelope and the object in it, read in one pass over the body.

use super::fields::{Fields, Key};
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// The fields of the root, `data` perhaps not among them, and `data.object`.
#[derive(Debug)]
pub(super) struct Envelope<'a> {
    pub root: Fields<'a>,
    pub object: Carried<'a>,
    /// `data.previous_attributes`, unread.
    pub previous: Option<&'a RawValue>,
}

/// What stands in the place of `data.object`.
#[derive(Debug)]
pub(super) enum Carried<'a> {
    /// It is missing, null or there twice.
    Nothing,
    /// It is no object.
    Odd,
    /// An object.
    Object(Fields<'a>),
}

impl<'a> Envelope<'a> {
    /// Reads one.
    ///
    /// # Errors
    /// Where `json` is not one object.
    pub fn parse(json: &'a str) -> Result<Self, serde_json::Error> {
        // One pass looks at values which nobody may need, such as a number that no type holds: what it can't read may be
        // harmless, and is read once more with more patience.
        serde_json::from_str(json).or_else(|_| Self::parse_patiently(json))
    }

    fn parse_patiently(json: &'a str) -> Result<Self, serde_json::Error> {
        let root = Fields::parse(json)?;
        let data = root.object("data");
        let previous = data.as_ref().and_then(|data| data.get("previous_attributes").ok().flatten());
        let object = data.and_then(|data| data.get("object").ok().flatten());
        let object = match object.map(|object| Fields::parse(object.get())) {
            None => Carried::Nothing,
            Some(Err(_)) => Carried::Odd,
            Some(Ok(fields)) => Carried::Object(fields),
        };
        Ok(Self { root, object, previous })
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Envelope<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Root;
        impl<'de> Visitor<'de> for Root {
            type Value = Envelope<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let (mut root, mut data) = (Vec::with_capacity(16), None);
                while let Some(Key(key)) = map.next_key()? {
                    if key == "data" {
                        once(&mut data, map.next_value::<Data<'de>>()?)?;
                    } else {
                        root.push((key, map.next_value()?));
                    }
                }
                let Data { object, previous } = data.unwrap_or_default();
                let object = object.map_or(Carried::Nothing, Carried::Object);
                Ok(Envelope { root: Fields::from(root), object, previous })
            }
        }
        deserializer.deserialize_map(Root)
    }
}

/// What stands twice is for the patient reader, who knows which field it was.
fn once<T, E: Error>(place: &mut Option<T>, value: T) -> Result<(), E> {
    if place.replace(value).is_some() { Err(E::custom("stands twice")) } else { Ok(()) }
}

/// The members of `data` that are read.
#[derive(Default)]
struct Data<'a> {
    object: Option<Fields<'a>>,
    previous: Option<&'a RawValue>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Data<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Inner;
        impl<'de> Visitor<'de> for Inner {
            type Value = Data<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let (mut object, mut previous) = (None, None);
                while let Some(Key(key)) = map.next_key()? {
                    match &*key {
                        "object" => once(&mut object, map.next_value::<Option<Fields<'de>>>()?)?,
                        "previous_attributes" => once(&mut previous, map.next_value::<&'de RawValue>()?)?,
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(Data { object: object.flatten(), previous })
            }
        }
        // Anything else is for the patient reader.
        deserializer.deserialize_map(Inner)
    }
}
