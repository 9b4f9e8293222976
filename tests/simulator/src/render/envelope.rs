//! The event around an object.

use serde_json::{Value, json};

use super::set;
use crate::stripe::Home;
use crate::{Account, ApiVersion};

/// An event's whole body.
pub(crate) fn envelope(
    id: &str,
    kind: &str,
    created: i64,
    version: ApiVersion,
    home: &Home,
    (object, previous): (Value, Option<Value>),
) -> Value {
    let mut data = json!({ "object": object });
    if let Some(previous) = previous {
        set(&mut data, "previous_attributes", previous);
    }
    let mut body = json!({
        "id": id,
        "object": "event",
        "api_version": version.name(),
        "created": created,
        "data": data,
        "livemode": home.livemode,
        "pending_webhooks": 1,
        "request": { "id": null, "idempotency_key": null },
        "type": kind,
    });
    match &home.account {
        Account::Own => {}
        Account::Connected(account) => set(&mut body, "account", json!(account)),
        Account::Organization(account) => set(&mut body, "context", json!(account)),
    }
    body
}
