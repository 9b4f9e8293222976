//! Stripe's event envelope, read leniently.
//!
//! Only what makes an envelope is demanded: UTF-8, one JSON object, one `id`. All the rest can be odd without harm:
//! whoever needs a field judges it then. The signature was checked before, over the same bytes.

use std::borrow::Cow;

use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::fields::{Fields, is_id, string};

/// Deeper nesting than this is refused: no event has it, and it would cost a recursive reader its stack.
const DEEPEST: usize = 128;

/// An event as Stripe sends it.
#[derive(Debug)]
pub struct Event<'a> {
    /// As sent; see [`storable_id`].
    pub id: Cow<'a, str>,
    /// Its `type`; empty where that is missing or no plain word.
    pub kind: Cow<'a, str>,
    /// The connected account that it belongs to; absent is our own. Untrusted like `id`; see [`storable_id`].
    pub account: Option<Cow<'a, str>>,
    /// Real money; absent counts as a test.
    pub livemode: bool,
    /// When Stripe says that it happened, in Unix seconds.
    pub created: Option<i64>,
    /// The API version that the body was rendered with; absent where it is no plain word.
    pub api_version: Option<Cow<'a, str>>,
    /// What it carries.
    pub payload: Payload<'a>,
}

/// What an event carries.
#[derive(Debug)]
pub enum Payload<'a> {
    /// The object as it was: `data.object`.
    Snapshot(&'a RawValue),
    /// Only the name of an object, which must be fetched.
    Thin {
        /// `related_object.id`.
        related_id: Option<Cow<'a, str>>,
        /// `related_object.type`.
        related_type: Option<Cow<'a, str>>,
    },
    /// Nothing, like a `ping`.
    None,
}

/// Why signed bytes are no event: answered 400 `invalid_payload`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPayload {
    /// Starts with a byte order mark.
    #[error("starts with a byte order mark")]
    ByteOrderMark,
    /// Not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// Nested too deeply.
    #[error("nested deeper than {DEEPEST}")]
    TooDeep,
    /// Not one JSON object and nothing else.
    #[error("not one JSON object")]
    NotAnObject,
    /// `id` missing, not a string, or there twice.
    #[error("no single id")]
    NoId,
    /// `type` there twice.
    #[error("two types")]
    TwoTypes,
}

/// Reads an envelope.
pub fn parse(body: &[u8]) -> Result<Event<'_>, InvalidPayload> {
    if body.starts_with(b"\xef\xbb\xbf") {
        return Err(InvalidPayload::ByteOrderMark);
    }
    // serde_json doesn't look into what it skips.
    let text = std::str::from_utf8(body).map_err(|_| InvalidPayload::NotUtf8)?;
    if nested_too_deeply(body) {
        return Err(InvalidPayload::TooDeep);
    }
    let root = Fields::parse(text).map_err(|_| InvalidPayload::NotAnObject)?;
    let id = root.word("id").ok().flatten().ok_or(InvalidPayload::NoId)?;
    let kind = root.get("type").map_err(|_| InvalidPayload::TwoTypes)?.and_then(string);
    let account = root.get("account").ok().flatten().map(|raw| string(raw).unwrap_or(Cow::Borrowed(raw.get())));
    Ok(Event {
        id,
        kind: kind.filter(|kind| is_id(kind)).unwrap_or_default(),
        account,
        livemode: root.flag("livemode"),
        created: created(&root),
        api_version: root.text("api_version").filter(|version| is_id(version)),
        payload: payload(&root),
    })
}

/// The id as a key: as it is, or `sha256:…` of it where it holds anything that no id of Stripe's holds.
pub fn storable_id(id: &str) -> Result<&str, String> {
    if is_id(id) {
        return Ok(id);
    }
    Err(format!("sha256:{}", hex::encode(Sha256::digest(id.as_bytes()))))
}

fn payload<'a>(root: &Fields<'a>) -> Payload<'a> {
    if root.text("object").as_deref() == Some("v2.core.event") {
        let related = root.object("related_object");
        let field = |name| related.as_ref().and_then(|related| related.text(name)).filter(|text| is_id(text));
        return Payload::Thin { related_id: field("id"), related_type: field("type") };
    }
    match root.object("data").and_then(|data| data.get("object").ok().flatten()) {
        Some(object) => Payload::Snapshot(object),
        None => Payload::None,
    }
}

/// Unix seconds, or the ISO 8601 of a thin event.
fn created(root: &Fields<'_>) -> Option<i64> {
    let raw = root.get("created").ok()??;
    let date = |text: Cow<'_, str>| chrono::DateTime::parse_from_rfc3339(&text).ok().map(|date| date.timestamp());
    raw.get().parse().ok().or_else(|| string(raw).and_then(date))
}

fn nested_too_deeply(body: &[u8]) -> bool {
    let opens = body.iter().filter(|byte| matches!(byte, b'{' | b'[')).count();
    opens > DEEPEST && depth(body) > DEEPEST
}

fn depth(body: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => depth += 1,
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}
