//! `dispute`, and what warns of one: `radar.early_fraud_warning`, `review`.

use serde_json::{Value, json};

use super::Context;
use crate::ids;
use crate::stripe::{Dispute, Intent};

/// A dispute as it is now.
pub(crate) fn dispute(context: Context<'_>, dispute: &Dispute) -> Value {
    let intent = context.stripe.intents.get(&dispute.payment);
    let charge = intent.and_then(|intent| intent.charge());
    json!({
        "id": dispute.id,
        "object": "dispute",
        "amount": dispute.amount,
        "balance_transactions": [],
        "charge": charge.map(|charge| &charge.id),
        "created": dispute.created,
        "currency": intent.map(|intent| &intent.currency),
        "evidence": {},
        "evidence_details": {
            "due_by": if dispute.born_lost { Value::Null } else { json!(dispute.created + 7 * 86_400) },
            "has_evidence": dispute.answered,
            "past_due": false,
            "submission_count": i64::from(dispute.answered),
        },
        "is_charge_refundable": dispute.state.is_inquiry(),
        "livemode": intent.is_some_and(|intent| intent.home.livemode),
        "metadata": {},
        "payment_intent": intent.map(|intent| &intent.id),
        "reason": if dispute.born_lost { "debit_not_authorized" } else { "fraudulent" },
        "status": dispute.state.name(),
    })
}

/// An early fraud warning of a payment.
pub(crate) fn fraud_warning(intent: &Intent, created: i64) -> Value {
    json!({
        "id": ids::object("issfr_3", 23, &[u64::from(intent.payment)]),
        "object": "radar.early_fraud_warning",
        "actionable": true,
        "charge": intent.charge().map(|charge| &charge.id),
        "created": created,
        "fraud_type": "unauthorized_use_of_card",
        "livemode": intent.home.livemode,
        "payment_intent": intent.id,
    })
}

/// A review of a payment.
pub(crate) fn review(intent: &Intent, created: i64, open: bool) -> Value {
    json!({
        "id": ids::object("prv_3", 23, &[u64::from(intent.payment)]),
        "object": "review",
        "billing_zip": null,
        "charge": intent.charge().map(|charge| &charge.id),
        "closed_reason": if open { Value::Null } else { json!("approved") },
        "created": created,
        "ip_address": null,
        "ip_address_location": null,
        "livemode": intent.home.livemode,
        "open": open,
        "opened_reason": "rule",
        "payment_intent": intent.id,
        "reason": if open { "rule" } else { "approved" },
        "session": null,
    })
}
