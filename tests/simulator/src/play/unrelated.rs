//! Events that concern no order: a receiver must make none of them.

use serde_json::json;

use super::Play;
use crate::{Slot, Unrelated, ids};

impl Play<'_> {
    pub(super) fn unrelated(&mut self, what: Unrelated, number: Slot) {
        let id = |prefix: &str| ids::object(prefix, 23, &[u64::from(number), 0]);
        let (now, home) = (self.now, self.home());
        let (kind, object) = match what {
            Unrelated::RefundOfBalance => (
                "refund.created",
                json!({
                    "id": id("pyr_1"), "object": "refund", "amount": 700, "balance_transaction": null, "charge": null,
                    "created": now, "currency": "usd", "metadata": {}, "payment_intent": null, "reason": null,
                    "receipt_number": null, "source_transfer_reversal": null, "status": "succeeded",
                    "transfer_reversal": null,
                }),
            ),
            Unrelated::SetupPage => (
                "checkout.session.completed",
                json!({
                    "id": id("cs_test_b1"), "object": "checkout.session", "amount_subtotal": null, "amount_total": null,
                    "client_reference_id": null, "created": now, "currency": null, "customer": id("cus_"),
                    "customer_details": { "email": "saves@example.com", "name": null, "phone": null },
                    "expires_at": now + 86_400, "invoice": null, "livemode": home.livemode,
                    "metadata": { "order_id": format!("setup-{number}") }, "mode": "setup", "payment_intent": null,
                    "payment_link": null, "payment_status": "no_payment_required", "recovered_from": null,
                    "setup_intent": id("seti_1"), "status": "complete", "subscription": null,
                }),
            ),
            Unrelated::Customer => (
                "customer.created",
                json!({
                    "id": id("cus_"), "object": "customer", "balance": 0, "created": now, "currency": null,
                    "email": "new@example.com", "livemode": home.livemode, "metadata": {}, "name": "Ada Lovelace",
                }),
            ),
            Unrelated::Payout => (
                "payout.paid",
                json!({
                    "id": id("po_1"), "object": "payout", "amount": 12_345, "arrival_date": now, "automatic": true,
                    "created": now, "currency": "usd", "livemode": home.livemode, "metadata": {}, "method": "standard",
                    "status": "paid", "type": "bank_account",
                }),
            ),
        };
        self.emit(kind, &home, object, None);
    }
}
