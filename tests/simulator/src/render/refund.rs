//! `refund`

use serde_json::{Value, json};

use super::{Context, presentment, set};
use crate::Money;
use crate::stripe::{Refund, RefundState};

/// A refund as it is now.
pub(crate) fn refund(context: Context<'_>, refund: &Refund) -> Value {
    let intent = context.stripe.intents.get(&refund.payment);
    let charge = intent.and_then(|intent| intent.charge());
    let mut object = json!({
        "id": refund.id,
        "object": "refund",
        "amount": refund.amount,
        "balance_transaction": format!("txn_{}", &refund.id[3..]),
        "charge": charge.map(|charge| &charge.id),
        "created": refund.created,
        "currency": intent.map(|intent| &intent.currency),
        "metadata": {},
        "payment_intent": intent.map(|intent| &intent.id),
        "reason": null,
        "receipt_number": null,
        "source_transfer_reversal": null,
        "status": refund.state.name(),
        "transfer_reversal": null,
    });
    if refund.state == RefundState::Failed {
        set(&mut object, "failure_balance_transaction", json!(format!("txn_f{}", &refund.id[4..])));
        set(&mut object, "failure_reason", json!("expired_or_canceled_card"));
    }
    if let (Some(amount), Some(seen)) = (refund.presented, intent.and_then(|intent| intent.presentment.as_ref())) {
        let money = Money { currency: seen.currency.clone(), amount };
        set(&mut object, "presentment_details", presentment(&money));
    }
    object
}
