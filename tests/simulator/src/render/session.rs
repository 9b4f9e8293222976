//! `checkout.session`

use serde_json::{Value, json};

use super::{Context, metadata, no_address, presentment, set};
use crate::ids;
use crate::stripe::{Session, SessionState};

/// A session as it is now.
pub(crate) fn session(context: Context<'_>, session: &Session) -> Value {
    let intent = context.stripe.intents.get(&session.payment).filter(|_| session.subscription.is_none());
    let invoice = session.invoice.and_then(|slot| context.stripe.invoices.get(&slot));
    let subscription = session.subscription.and_then(|slot| context.stripe.subscriptions.get(&slot));
    let mut object = json!({
        "id": session.id,
        "object": "checkout.session",
        "after_expiration": null,
        "allow_promotion_codes": null,
        "amount_subtotal": session.amount_subtotal,
        "amount_total": session.amount_total,
        "automatic_tax": { "enabled": false, "status": null },
        "billing_address_collection": null,
        "cancel_url": "https://shop.example/cancel",
        "client_reference_id": session.client_reference_id,
        "consent": null,
        "consent_collection": null,
        "created": session.created,
        "currency": session.currency,
        "custom_fields": [],
        "customer": subscription.map(|_| customer(session.payment)),
        "customer_creation": "if_required",
        "customer_details": customer_details(session),
        "customer_email": null,
        "expires_at": session.created + 86_400,
        "invoice": invoice.map(|invoice| &invoice.id),
        "livemode": session.home.livemode,
        "locale": "en",
        "metadata": metadata(session.order_id.as_ref()),
        "mode": session.mode(),
        "payment_intent": intent.map(|intent| &intent.id),
        "payment_link": session.link.map(|link| ids::object("plink_1", 23, &[u64::from(link)])),
        "payment_method_collection": "if_required",
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "payment_status": session.payment_status.name(),
        "phone_number_collection": { "enabled": false },
        "recovered_from": null,
        "setup_intent": null,
        "shipping_address_collection": null,
        "shipping_cost": null,
        "shipping_options": [],
        "status": session.state.name(),
        "submit_type": null,
        "subscription": subscription.map(|subscription| &subscription.id),
        "success_url": "https://shop.example/success",
        "total_details": {
            "amount_discount": 0,
            "amount_shipping": session.amount_total - session.amount_subtotal,
            "amount_tax": 0,
        },
        "url": null,
    });
    set(&mut object, "currency_conversion", conversion(session));
    if let Some(money) = &session.presentment {
        set(&mut object, "presentment_details", presentment(money));
    }
    object
}

/// A customer's id.
pub(super) fn customer(slot: crate::Slot) -> String {
    ids::object("cus_", 14, &[u64::from(slot)])
}

fn customer_details(session: &Session) -> Value {
    if session.state != SessionState::Complete {
        return Value::Null;
    }
    json!({
        "address": no_address(),
        "email": session.email,
        "name": "Ada Lovelace",
        "phone": null,
        "tax_exempt": "none",
        "tax_ids": [],
    })
}

fn conversion(session: &Session) -> Value {
    session.conversion.as_ref().map_or(Value::Null, |conversion| {
        json!({
            "amount_subtotal": conversion.source_subtotal,
            "amount_total": conversion.source.amount,
            "fx_rate": rate(conversion.charged, conversion.source.amount),
            "source_currency": conversion.source.currency,
        })
    })
}

/// A rate in decimals, as Stripe writes it: a string.
fn rate(charged: i64, source: i64) -> String {
    let scaled = if source == 0 { 0 } else { charged * 1_000_000 / source };
    format!("{}.{:06}", scaled / 1_000_000, scaled % 1_000_000)
}
