//! `invoice` and `invoice_payment`

use serde_json::{Value, json};

use super::session::customer;
use super::{Context, metadata, set};
use crate::stripe::{Invoice, InvoicePayment, InvoiceState, Subscription};

/// An invoice as it is now.
pub(crate) fn invoice(context: Context<'_>, invoice: &Invoice) -> Value {
    let paid = invoice.state == InvoiceState::Paid;
    let ended = |state| invoice.ended.filter(|_| invoice.state == state);
    let mut object = json!({
        "id": invoice.id,
        "object": "invoice",
        "account_country": "US",
        "account_name": "Shop",
        "amount_due": invoice.amount_due(),
        "amount_paid": invoice.amount_paid,
        "amount_remaining": if paid { 0 } else { invoice.amount_remaining() },
        "amount_shipping": 0,
        "application": null,
        "attempt_count": invoice.attempts,
        "attempted": invoice.attempts > 0 || paid,
        "auto_advance": false,
        "billing_reason": invoice.billing_reason,
        "collection_method": "charge_automatically",
        "created": invoice.created,
        "currency": invoice.currency,
        "customer": customer(invoice.slot),
        "customer_email": invoice.email,
        "customer_name": "Ada Lovelace",
        "description": null,
        "due_date": null,
        "effective_at": invoice.finalized,
        "ending_balance": invoice.finalized.map(|_| -invoice.balance.1),
        "lines": { "object": "list", "data": [], "has_more": false, "url": format!("/v1/invoices/{}/lines", invoice.id) },
        "livemode": invoice.home.livemode,
        "metadata": metadata(invoice.order_id.as_ref()),
        "next_payment_attempt": null,
        "number": invoice.finalized.map(|_| format!("SIM-{:04}", invoice.slot)),
        "period_end": invoice.created,
        "period_start": invoice.created - 30 * 86_400,
        "post_payment_credit_notes_amount": invoice.credit_notes,
        "pre_payment_credit_notes_amount": 0,
        "starting_balance": -invoice.balance.0,
        "status": invoice.state.name(),
        "status_transitions": {
            "finalized_at": invoice.finalized,
            "marked_uncollectible_at": null,
            "paid_at": ended(InvoiceState::Paid),
            "voided_at": ended(InvoiceState::Void),
        },
        "subtotal": invoice.total,
        "total": invoice.total,
    });
    let subscription = invoice.subscription.and_then(|slot| context.stripe.subscriptions.get(&slot));
    if context.version.has_invoice_payments() {
        set(&mut object, "amount_overpaid", json!(invoice.amount_overpaid));
        set(&mut object, "parent", parent(subscription));
    } else {
        before_basil(context, invoice, subscription, &mut object);
    }
    object
}

/// Since Basil: where the invoice comes from, with a copy of the subscription's metadata.
fn parent(subscription: Option<&Subscription>) -> Value {
    subscription.map_or(Value::Null, |subscription| {
        json!({
            "quote_details": null,
            "subscription_details": {
                "metadata": metadata(subscription.order_id.as_ref()),
                "subscription": subscription.id,
            },
            "type": "subscription_details",
        })
    })
}

fn before_basil(context: Context<'_>, invoice: &Invoice, subscription: Option<&Subscription>, object: &mut Value) {
    let intent = invoice.intent.and_then(|slot| context.stripe.intents.get(&slot));
    let charge = intent.and_then(|intent| intent.charges.last());
    set(object, "charge", json!(charge.map(|charge| &charge.id)));
    set(object, "paid", json!(invoice.state == InvoiceState::Paid));
    set(object, "paid_out_of_band", json!(invoice.out_of_band));
    set(object, "payment_intent", json!(intent.map(|intent| &intent.id)));
    set(object, "subscription", json!(subscription.map(|subscription| &subscription.id)));
    set(
        object,
        "subscription_details",
        json!({ "metadata": subscription.map(|subscription| metadata(subscription.order_id.as_ref())) }),
    );
}

/// What one payment paid of an invoice.
pub(crate) fn invoice_payment(context: Context<'_>, invoice: &Invoice, payment: &InvoicePayment) -> Value {
    let intent = context.stripe.intents.get(&payment.payment);
    json!({
        "id": payment.id,
        "object": "invoice_payment",
        "amount_paid": payment.amount,
        "amount_requested": payment.amount,
        "created": payment.created,
        "currency": invoice.currency,
        "invoice": invoice.id,
        "is_default": invoice.payments.first().is_some_and(|first| first.id == payment.id),
        "livemode": invoice.home.livemode,
        "payment": { "payment_intent": intent.map(|intent| &intent.id), "type": "payment_intent" },
        "status": "paid",
        "status_transitions": { "canceled_at": null, "paid_at": payment.created },
    })
}
