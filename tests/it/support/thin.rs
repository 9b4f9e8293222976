//! Thin events, and the objects that they name.

use super::stripe::FakeStripe;
use chrono::{DateTime, SecondsFormat};
use ringup::dev::scenarios::Stream;
use serde_json::{Value, json};

/// The thin twin of a snapshot event.
pub fn thin(snapshot: &str) -> Value {
    let event: Value = serde_json::from_str(snapshot).unwrap();
    let object = &event["data"]["object"];
    let created = DateTime::from_timestamp(event["created"].as_i64().unwrap(), 0).unwrap();
    json!({
        "id": format!("evt_test_65{}", &event["id"].as_str().unwrap()[4..]), "object": "v2.core.event", "livemode": false,
        "type": format!("v1.{}", event["type"].as_str().unwrap()), "context": null,
        "created": created.to_rfc3339_opts(SecondsFormat::Millis, true),
        "reason": null, "changes": null, "snapshot_event": event["id"],
        "related_object": { "id": object["id"], "type": object["object"], "url": path(object) },
    })
}

/// Where an object is.
pub fn path(object: &Value) -> String {
    let plural = match object["object"].as_str().unwrap() {
        "checkout.session" => "checkout/sessions".to_owned(),
        other => format!("{other}s"),
    };
    format!("/v1/{plural}/{}", object["id"].as_str().unwrap())
}

/// Has Stripe keep the objects of these events as they are last.
pub fn keep(stripe: &FakeStripe, account: &str, stream: &Stream) {
    for event in &stream.events {
        let event: Value = serde_json::from_str(&event.body).unwrap();
        stripe.keeps(account, &path(&event["data"]["object"]), &event["data"]["object"]);
    }
}
