//! `credit_note`

use serde_json::{Value, json};

use super::session::customer;
use super::{Context, set};
use crate::ids;
use crate::stripe::{Invoice, Refund};

/// A credit note for a paid invoice. Its refund, if it has one, tells the money; its own amount does not.
pub(crate) fn credit_note(
    context: Context<'_>,
    invoice: &Invoice,
    refund: Option<&Refund>,
    (amount, now): (i64, i64),
) -> Value {
    let notes = u64::try_from(invoice.credit_notes).unwrap_or_default();
    let mut object = json!({
        "id": ids::object("cn_1", 23, &[u64::from(invoice.slot), notes]),
        "object": "credit_note",
        "amount": amount,
        "created": now,
        "currency": invoice.currency,
        "customer": customer(invoice.slot),
        "customer_balance_transaction": if refund.is_some() { Value::Null } else { json!("cbtxn_1Sim") },
        "invoice": invoice.id,
        "livemode": invoice.home.livemode,
        "memo": null,
        "metadata": {},
        "out_of_band_amount": null,
        "reason": null,
        "status": "issued",
        "subtotal": amount,
        "total": amount,
        "type": "post_payment",
        "voided_at": null,
    });
    if context.version.has_invoice_payments() {
        let refunds =
            refund.map(|refund| json!({ "amount_refunded": refund.amount, "refund": refund.id, "type": "refund" }));
        set(&mut object, "refunds", json!(refunds.into_iter().collect::<Vec<_>>()));
    } else {
        set(&mut object, "refund", json!(refund.map(|refund| &refund.id)));
    }
    object
}
