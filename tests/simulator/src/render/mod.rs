//! Objects as JSON, each in the shape of an API version.
//!
//! The keys are those of recorded events and of Stripe's published objects; `shapes.rs` tests that.

mod charge;
mod credit_note;
mod dispute;
mod envelope;
mod intent;
mod invoice;
mod refund;
mod session;
#[cfg(test)]
mod shapes;
mod subscription;

pub(crate) use charge::charge;
pub(crate) use credit_note::credit_note;
pub(crate) use dispute::{dispute, fraud_warning, review};
pub(crate) use envelope::envelope;
pub(crate) use intent::payment_intent;
pub(crate) use invoice::{invoice, invoice_payment};
pub(crate) use refund::refund;
pub(crate) use session::session;
pub(crate) use subscription::subscription;

use serde_json::{Value, json};

use crate::stripe::Stripe;
use crate::{ApiVersion, Money};

/// What a rendering needs beside its object.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub stripe: &'a Stripe,
    pub version: ApiVersion,
}

/// The metadata of an object that may name an order.
pub(crate) fn metadata(order_id: Option<&String>) -> Value {
    order_id.map_or_else(|| json!({}), |order_id| json!({ "order_id": order_id }))
}

fn presentment(money: &Money) -> Value {
    json!({ "presentment_amount": money.amount, "presentment_currency": money.currency })
}

/// Sets a field that only some versions or objects have.
fn set(object: &mut Value, key: &str, value: Value) {
    if let Value::Object(fields) = object {
        fields.insert(key.into(), value);
    }
}

fn no_address() -> Value {
    json!({ "city": null, "country": null, "line1": null, "line2": null, "postal_code": null, "state": null })
}
