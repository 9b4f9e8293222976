//! `subscription`

use serde_json::{Value, json};

use super::metadata;
use super::session::customer;
use crate::Slot;
use crate::stripe::{Home, Subscription};

/// A subscription that has just begun.
pub(crate) fn subscription(slot: Slot, subscription: &Subscription, home: &Home, now: i64, trial: bool) -> Value {
    json!({
        "id": subscription.id,
        "object": "subscription",
        "cancel_at_period_end": false,
        "canceled_at": null,
        "collection_method": "charge_automatically",
        "created": now,
        "currency": "usd",
        "customer": customer(slot),
        "ended_at": null,
        "items": { "object": "list", "data": [], "has_more": false, "url": "/v1/subscription_items" },
        "livemode": home.livemode,
        "metadata": metadata(subscription.order_id.as_ref()),
        "start_date": now,
        "status": if trial { "trialing" } else { "active" },
        "trial_end": trial.then_some(now + 14 * 86_400),
        "trial_start": trial.then_some(now),
    })
}
