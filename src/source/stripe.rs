//! Stripe's event envelope, read leniently.
//!
//! Only what makes an envelope is demanded: UTF-8, one JSON object, one `id`. All the rest can be odd without harm:
//! whoever needs a field judges it then. The signature was checked before, over the same bytes.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use serde_json::value::RawValue;

use super::envelope::{Carried, Envelope};
use super::fields::{Fields, is_id, string};

/// Deeper nesting than this is refused: no event has it, and it would cost a recursive reader its stack.
const DEEPEST: usize = 128;

/// The type of the doctor's own events: rightly signed, and no sign of Stripe.
pub const PROBE: &str = "ringup.doctor";

/// An event as Stripe sends it.
#[derive(Debug)]
pub struct Event<'a> {
    /// As sent; see [`storable_id`].
    pub id: Cow<'a, str>,
    /// Its `type`; empty where that is missing or no plain word.
    pub kind: Cow<'a, str>,
    /// The account that it belongs to: `account`, else the last `acct_…` of its `context`. Absent is our own.
    /// Untrusted like `id`; see [`storable_id`].
    pub account: Option<Cow<'a, str>>,
    /// Real money; absent counts as a test.
    pub livemode: bool,
    /// When Stripe says that it happened, in Unix seconds.
    pub created: Option<i64>,
    /// The API version that the body was rendered with; absent where it is no plain word.
    pub api_version: Option<Cow<'a, str>>,
    /// What it carries.
    pub payload: Payload<'a>,
    previous: Option<&'a RawValue>,
}

/// What an event carries.
#[derive(Debug)]
pub enum Payload<'a> {
    /// The object as it was: `data.object`; none where that is there and is no object.
    Snapshot(Option<Fields<'a>>),
    /// Only the name of an object, which must be fetched.
    Thin {
        /// `related_object.id`.
        related_id: Option<Cow<'a, str>>,
        /// `related_object.type`.
        related_type: Option<Cow<'a, str>>,
        /// `snapshot_event`: the snapshot event that tells the same.
        snapshot: Option<Cow<'a, str>>,
    },
    /// Nothing, like a `ping`.
    None,
}

impl<'a> Event<'a> {
    /// The fields that changed, as they were before: `data.previous_attributes`.
    pub fn previous_attributes(&self) -> Option<Fields<'a>> {
        Fields::parse(self.previous?.get()).ok()
    }

    /// The type of the snapshot event that tells the same: a thin one of a `v1` resource bears the prefix `v1.`.
    pub fn kind_of_snapshot(&self) -> &str {
        self.kind.strip_prefix("v1.").filter(|_| matches!(self.payload, Payload::Thin { .. })).unwrap_or(&self.kind)
    }

    /// The id of the snapshot event that tells the same, where a thin one names it.
    pub fn snapshot_event(&self) -> Option<&str> {
        match &self.payload {
            Payload::Thin { snapshot, .. } => snapshot.as_deref(),
            Payload::Snapshot(_) | Payload::None => None,
        }
    }

    /// The id of the object that it is about, where that has one which can be stored.
    pub fn object_id(&self) -> Option<Cow<'a, str>> {
        match &self.payload {
            Payload::Snapshot(object) => object.as_ref()?.text("id").filter(|id| is_id(id)),
            Payload::Thin { related_id, .. } => related_id.clone(),
            Payload::None => None,
        }
    }
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
    let Envelope { root, object, previous } = Envelope::parse(text).map_err(|_| InvalidPayload::NotAnObject)?;
    let id = root.word("id").ok().flatten().ok_or(InvalidPayload::NoId)?;
    let kind = root.get("type").map_err(|_| InvalidPayload::TwoTypes)?.and_then(string);
    let account = root.get("account").ok().flatten().map(|raw| string(raw).unwrap_or(Cow::Borrowed(raw.get())));
    let account = account.or_else(|| context(&root));
    Ok(Event {
        id,
        kind: kind.filter(|kind| is_id(kind)).unwrap_or_default(),
        account,
        livemode: root.flag("livemode"),
        created: created(&root),
        api_version: root.text("api_version").filter(|version| is_id(version)),
        payload: payload(&root, object),
        previous,
    })
}

/// The account that `context` names: `acct_…`, or the last of `org_…/acct_…`. Organization destinations send no
/// `account`.
fn context<'a>(root: &Fields<'a>) -> Option<Cow<'a, str>> {
    let context = root.text("context")?;
    let account = context.rsplit('/').next().filter(|last| last.starts_with("acct_"))?.to_owned();
    Some(Cow::Owned(account))
}

/// The id as a key: as it is, or `sha256:…` of it where it holds anything that no id of Stripe's holds.
pub fn storable_id(id: &str) -> Result<&str, String> {
    if is_id(id) {
        return Ok(id);
    }
    Err(format!("sha256:{}", hex::encode(Sha256::digest(id.as_bytes()))))
}

fn payload<'a>(root: &Fields<'a>, object: Carried<'a>) -> Payload<'a> {
    if root.text("object").as_deref() == Some("v2.core.event") {
        let related = root.object("related_object");
        let field = |name| related.as_ref().and_then(|related| related.text(name)).filter(|text| is_id(text));
        let snapshot = root.text("snapshot_event").filter(|id| is_id(id));
        return Payload::Thin { related_id: field("id"), related_type: field("type"), snapshot };
    }
    match object {
        Carried::Nothing => Payload::None,
        Carried::Odd => Payload::Snapshot(None),
        Carried::Object(fields) => Payload::Snapshot(Some(fields)),
    }
}

/// Unix seconds, or the ISO 8601 of a thin event.
fn created(root: &Fields<'_>) -> Option<i64> {
    let raw = root.get("created").ok()??;
    let date = |text: Cow<'_, str>| chrono::DateTime::parse_from_rfc3339(&text).ok().map(|date| date.timestamp());
    raw.get().parse().ok().or_else(|| string(raw).and_then(date))
}

fn nested_too_deeply(body: &[u8]) -> bool {
    opens(body) > DEEPEST && depth(body) > DEEPEST
}

/// How many brackets open, whatever they stand in. `[` and `{` differ in one bit; a piece's number fits into a byte, so that
/// many bytes are counted at a time.
fn opens(body: &[u8]) -> usize {
    let of = |piece: &[u8]| piece.iter().map(|byte| u8::from((byte | 0x20) == b'{')).sum::<u8>();
    body.chunks(usize::from(u8::MAX)).map(|piece| usize::from(of(piece))).sum()
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Cow, InvalidPayload, Payload, parse, storable_id};

    fn refused(body: &[u8]) -> InvalidPayload {
        parse(body).unwrap_err()
    }

    #[test]
    fn what_is_no_envelope_is_refused() {
        assert_eq!(refused(b"\xef\xbb\xbf{\"id\":\"evt_1\"}"), InvalidPayload::ByteOrderMark);
        assert_eq!(refused(b"{\"id\":\"evt_1\",\"x\":\"\xff\"}"), InvalidPayload::NotUtf8);
        for body in [
            "",
            "null",
            "[]",
            "[\"evt_1\"]",
            "{\"id\":\"evt_1\"} x",
            "{\"id\":\"evt_1\"",
            "\"evt_1\"",
            "{\"id\":\"a\nb\"}",
        ] {
            assert_eq!(refused(body.as_bytes()), InvalidPayload::NotAnObject, "{body}");
        }
        for body in ["{}", "{\"id\":5}", "{\"id\":null}", "{\"id\":\"a\",\"id\":\"a\"}", "{\"id\":\"\\ud800\"}"] {
            assert_eq!(refused(body.as_bytes()), InvalidPayload::NoId, "{body}");
        }
        assert_eq!(refused(b"{\"id\":\"a\",\"type\":\"b\",\"type\":\"b\"}"), InvalidPayload::TwoTypes);
    }

    #[test]
    fn nesting_has_an_end() {
        let nested = |deep: usize| format!("{{\"id\":\"evt_1\",\"x\":{}{}}}", "[".repeat(deep), "]".repeat(deep));
        assert!(parse(nested(100).as_bytes()).is_ok());
        assert!(parse(nested(127).as_bytes()).is_ok());
        assert_eq!(refused(nested(128).as_bytes()), InvalidPayload::TooDeep);
        assert_eq!(refused(nested(100_000).as_bytes()), InvalidPayload::TooDeep);
        assert_eq!(refused("{\"id\":".repeat(100_000).as_bytes()), InvalidPayload::TooDeep);
        let quoted = format!("{{\"id\":\"evt_1\",\"x\":\"\\\"{}\"}}", "[".repeat(1000));
        assert!(parse(quoted.as_bytes()).is_ok());
        let wide = format!("{{\"id\":\"evt_1\",\"x\":[{}{{}}]}}", "{},".repeat(1000));
        assert!(parse(wide.as_bytes()).is_ok());
    }

    #[test]
    fn odd_things_that_nobody_reads_are_fine() {
        let body = br#" {"id":"evt_\u0031","x":"\ud800","y":1e400,"z":"\u0000","created":"soon","api_version":7,"livemode":1} "#;
        let event = parse(body).unwrap();
        assert_eq!((&*event.id, &*event.kind, event.livemode, event.created), ("evt_1", "", false, None));
        assert!(event.account.is_none() && event.api_version.is_none());
        assert!(matches!(event.payload, Payload::None));
    }

    #[test]
    fn a_thin_event_names_its_object() {
        let body = br#"{"id":"evt_1","object":"v2.core.event","type":"v1.payment_intent.succeeded",
            "created":"2026-09-30T00:00:01.000Z","snapshot_event":"evt_2","related_object":{"id":"pi_1","type":"payment_intent","url":"/x"}}"#;
        let event = parse(body).unwrap();
        assert_eq!(event.created, Some(1_790_726_401));
        assert_eq!(event.snapshot_event(), Some("evt_2"));
        let Payload::Thin { related_id, related_type, .. } = event.payload else { panic!("{event:?}") };
        assert_eq!((related_id.as_deref(), related_type.as_deref()), (Some("pi_1"), Some("payment_intent")));
        assert_eq!(parse(body).unwrap().kind_of_snapshot(), "payment_intent.succeeded");
    }

    #[test]
    fn an_event_without_an_account_is_of_the_last_of_its_context() {
        let account = |context: &str| {
            let body =
                format!(r#"{{"id":"evt_1","object":"v2.core.event","type":"v1.charge.updated","context":{context}}}"#);
            parse(body.as_bytes()).unwrap().account.map(Cow::into_owned)
        };
        assert_eq!(account("\"acct_1\""), Some("acct_1".to_owned()));
        assert_eq!(account("\"org_1/acct_2\""), Some("acct_2".to_owned()));
        assert_eq!([account("null"), account("\"org_1\""), account("7")], [None, None, None]);
        let snapshot = parse(br#"{"id":"evt_1","type":"v1.charge.updated","context":"acct_1"}"#).unwrap();
        assert_eq!((snapshot.account.as_deref(), snapshot.kind_of_snapshot()), (Some("acct_1"), "v1.charge.updated"));
        let connected =
            parse(br#"{"id":"evt_1","type":"charge.updated","context":"acct_1","account":"acct_2"}"#).unwrap();
        assert_eq!(connected.account.as_deref(), Some("acct_2"));
    }

    #[test]
    fn ids_that_are_no_keys_are_hashed() {
        assert_eq!(storable_id("evt_1A"), Ok("evt_1A"));
        for id in ["", "a/../b", "a\"b", "a\u{202e}b", "a\nb", &"a".repeat(256)] {
            let hashed = storable_id(id).unwrap_err();
            assert!(hashed.starts_with("sha256:") && hashed.len() == 71, "{hashed}");
        }
    }
}
