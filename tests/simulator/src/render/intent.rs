//! `payment_intent`

use serde_json::{Value, json};

use super::{Context, metadata, presentment, set};
use crate::Method;
use crate::stripe::{Intent, IntentState};

/// A payment intent as it is now.
pub(crate) fn payment_intent(context: Context<'_>, intent: &Intent) -> Value {
    let method = method_type(intent.method);
    let mut object = json!({
        "id": intent.id,
        "object": "payment_intent",
        "amount": intent.amount,
        "amount_capturable": intent.amount_capturable,
        "amount_details": { "tip": if intent.tip > 0 { json!({ "amount": intent.tip }) } else { json!({}) } },
        "amount_received": intent.amount_received,
        "application": null,
        "application_fee_amount": null,
        "automatic_payment_methods": null,
        "canceled_at": intent.canceled.map(|(at, _)| at),
        "cancellation_reason": intent.canceled.map(|(_, reason)| reason),
        "capture_method": if intent.manual_capture { "manual" } else { "automatic" },
        "client_secret": format!("{}_secret_Sim", intent.id),
        "confirmation_method": "automatic",
        "created": intent.created,
        "currency": intent.currency,
        "customer": null,
        "description": intent.description,
        "last_payment_error": last_error(intent),
        "latest_charge": intent.charges.last().map(|charge| &charge.id),
        "livemode": intent.home.livemode,
        "metadata": metadata(intent.order_id.as_ref()),
        "next_action": next_action(intent),
        "on_behalf_of": null,
        "payment_method": intent.charge().map(|charge| format!("pm_{}", &charge.id[3..])),
        "payment_method_options": {},
        "payment_method_types": [method],
        "processing": null,
        "receipt_email": intent.receipt_email,
        "review": null,
        "setup_future_usage": null,
        "shipping": null,
        "source": null,
        "statement_descriptor": null,
        "statement_descriptor_suffix": null,
        "status": intent.state.name(),
        "transfer_data": null,
        "transfer_group": null,
    });
    if !context.version.has_invoice_payments() {
        let invoice = intent.invoices.first().and_then(|slot| context.stripe.invoices.get(slot));
        set(&mut object, "invoice", json!(invoice.map(|invoice| &invoice.id)));
    }
    if let Some(money) = &intent.presentment {
        set(&mut object, "presentment_details", presentment(money));
    }
    object
}

/// The type of a payment method.
pub(super) fn method_type(method: Option<Method>) -> &'static str {
    match method {
        None | Some(Method::Card) => "card",
        Some(Method::Terminal { .. }) => "card_present",
        Some(Method::Sepa) => "sepa_debit",
        Some(Method::Boleto) => "boleto",
        Some(Method::Microdeposits) => "us_bank_account",
        Some(Method::BankTransfer) => "customer_balance",
    }
}

fn last_error(intent: &Intent) -> Value {
    if !intent.declined || intent.state != IntentState::RequiresPaymentMethod {
        return Value::Null;
    }
    json!({
        "charge": intent.charges.last().map(|charge| &charge.id),
        "code": "card_declined",
        "decline_code": "generic_decline",
        "doc_url": "https://stripe.com/docs/error-codes/card-declined",
        "message": "Your card was declined.",
        "type": "card_error",
    })
}

fn next_action(intent: &Intent) -> Value {
    match intent.method {
        _ if intent.state != IntentState::RequiresAction => Value::Null,
        Some(Method::Microdeposits) => json!({
            "type": "verify_with_microdeposits",
            "verify_with_microdeposits": {
                "arrival_date": intent.created + 86_400,
                "hosted_verification_url": "https://payments.stripe.com/microdeposit/pacs_test",
                "microdeposit_type": "amounts",
            },
        }),
        Some(Method::BankTransfer) => json!({
            "type": "display_bank_transfer_instructions",
            "display_bank_transfer_instructions": {
                "amount_remaining": intent.amount - intent.funded,
                "currency": intent.currency,
                "hosted_instructions_url": "https://payments.stripe.com/bank_transfers/instructions/test",
                "type": "us_bank_transfer",
            },
        }),
        _ => json!({
            "type": "boleto_display_details",
            "boleto_display_details": {
                "expires_at": intent.created + 3 * 86_400,
                "hosted_voucher_url": "https://payments.stripe.com/boleto/voucher/test",
                "number": "01010101010101010101010101010101010101010101010",
                "pdf": "https://payments.stripe.com/boleto/voucher/test/pdf",
            },
        }),
    }
}
