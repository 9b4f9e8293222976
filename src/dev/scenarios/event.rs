//! The envelope, written as Stripe writes it: two spaces, and an object's id and kind before its other fields.

use rand::Rng;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::dev::sample::{Purchase, base62};

/// What the sample shop's endpoint is pinned to.
const API_VERSION: &str = "2025-08-27.basil";

/// One event, ready to be signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `evt_…`
    pub id: String,
    /// Such as `payment_intent.succeeded`.
    pub kind: String,
    /// The bytes that are sent.
    pub body: String,
}

impl Event {
    /// An event that tells of `object` as it stands at the time `created`.
    pub fn about(purchase: &Purchase, rng: &mut impl Rng, kind: &str, created: i64, object: &Value) -> Self {
        let id = purchase.id(rng, "evt");
        let envelope = Envelope {
            id: &id,
            object: "event",
            api_version: API_VERSION,
            created,
            data: Data { object: IdFirst(object) },
            livemode: false,
            pending_webhooks: 1,
            request: request(rng, kind),
            kind,
        };
        let body = serde_json::to_string_pretty(&envelope).unwrap_or_default();
        Self { id, kind: kind.to_owned(), body }
    }
}

/// The API call behind an event; what Stripe does by itself has none.
fn request(rng: &mut impl Rng, kind: &str) -> Request {
    let by_call = [
        "payment_intent.created",
        "payment_intent.requires_action",
        "payment_intent.amount_capturable_updated",
        "charge.succeeded",
        "charge.captured",
        "charge.failed",
        "payment_intent.succeeded",
        "payment_intent.payment_failed",
        "refund.created",
        "charge.refunded",
    ]
    .contains(&kind);
    let id = format!("req_{}", base62(rng, 14));
    let key = uuid::Builder::from_random_bytes(rng_bytes(rng)).into_uuid().to_string();
    Request { id: by_call.then_some(id), idempotency_key: by_call.then_some(key) }
}

fn rng_bytes(rng: &mut impl Rng) -> [u8; 16] {
    let mut bytes = [0; 16];
    rng.fill_bytes(&mut bytes);
    bytes
}

#[derive(Serialize)]
struct Envelope<'a> {
    id: &'a str,
    object: &'static str,
    api_version: &'static str,
    created: i64,
    data: Data<'a>,
    livemode: bool,
    pending_webhooks: u32,
    request: Request,
    #[serde(rename = "type")]
    kind: &'a str,
}

#[derive(Serialize)]
struct Data<'a> {
    object: IdFirst<'a>,
}

#[derive(Serialize)]
struct Request {
    id: Option<String>,
    idempotency_key: Option<String>,
}

struct IdFirst<'a>(&'a Value);

impl Serialize for IdFirst<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Value::Object(fields) = self.0 else { return self.0.serialize(serializer) };
        let mut map = serializer.serialize_map(Some(fields.len()))?;
        for name in ["id", "object"] {
            if let Some(value) = fields.get(name) {
                map.serialize_entry(name, value)?;
            }
        }
        for (name, value) in fields.iter().filter(|(name, _)| !["id", "object"].contains(&name.as_str())) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
