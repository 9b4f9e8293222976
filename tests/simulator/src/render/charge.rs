//! `charge`

use serde_json::{Value, json};

use super::intent::method_type;
use super::{Context, metadata, no_address, presentment, set};
use crate::stripe::{Charge, ChargeState, Intent};

/// A charge as it is now. Since 2022-11-15 none embeds its refunds.
pub(crate) fn charge(context: Context<'_>, intent: &Intent, charge: &Charge) -> Value {
    let is_last = intent.charges.last().is_some_and(|last| last.id == charge.id);
    let refunded = if is_last { context.stripe.amount_refunded(intent.payment) } else { 0 };
    let failed = charge.state == ChargeState::Failed;
    let method = method_type(intent.method);
    let mut object = json!({
        "id": charge.id,
        "object": "charge",
        "amount": charge.amount,
        "amount_captured": charge.amount_captured,
        "amount_refunded": refunded,
        "application": null,
        "application_fee": null,
        "application_fee_amount": null,
        "balance_transaction": null,
        "billing_details": {
            "address": no_address(), "email": charge.email, "name": "Ada Lovelace", "phone": null,
        },
        "calculated_statement_descriptor": "SHOP",
        "captured": charge.captured,
        "created": charge.created,
        "currency": intent.currency,
        "customer": null,
        "description": intent.description,
        "disputed": is_last && context.stripe.disputes_of(intent.payment).next().is_some(),
        "failure_balance_transaction": null,
        "failure_code": failed.then_some("card_declined"),
        "failure_message": failed.then_some("Your card was declined."),
        "fraud_details": {},
        "livemode": intent.home.livemode,
        "metadata": metadata(charge.order_id.as_ref()),
        "on_behalf_of": null,
        "outcome": outcome(charge),
        "paid": !failed,
        "payment_intent": intent.id,
        "payment_method": format!("pm_{}", &charge.id[3..]),
        "payment_method_details": { method: details(charge, method), "type": method },
        "receipt_email": intent.receipt_email,
        "receipt_number": null,
        "receipt_url": null,
        "refunded": refunded > 0 && refunded >= charge.amount.max(charge.amount_captured),
        "review": null,
        "shipping": null,
        "source": null,
        "source_transfer": null,
        "statement_descriptor": null,
        "statement_descriptor_suffix": null,
        "status": charge.state.name(),
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

fn outcome(charge: &Charge) -> Value {
    if charge.state == ChargeState::Failed {
        json!({
            "network_status": "declined_by_network",
            "reason": "generic_decline",
            "risk_level": "normal",
            "seller_message": "The bank did not return any further details with this decline.",
            "type": "issuer_declined",
        })
    } else {
        json!({
            "network_status": "approved_by_network",
            "reason": null,
            "risk_level": "normal",
            "seller_message": "Payment complete.",
            "type": "authorized",
        })
    }
}

fn details(charge: &Charge, method: &str) -> Value {
    if method == "card" {
        json!({
            "amount_authorized": charge.amount,
            "brand": "visa",
            "country": "US",
            "exp_month": 8,
            "exp_year": 2030,
            "funding": "credit",
            "last4": "4242",
            "network": "visa",
        })
    } else {
        json!({ "last4": "3000" })
    }
}
