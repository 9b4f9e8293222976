//! Payments that somebody doubts: the bank, the card's issuer, Stripe itself.

use rand::Rng;
use serde_json::{Value, json};

use super::Story;

impl<R: Rng> Story<'_, R> {
    pub(super) fn dispute(&mut self, verdict: Option<&str>) {
        self.checkout();
        let id = self.purchase.id(self.rng, "du");
        let created = self.wait(10);
        let total = self.purchase.total;
        let taken = self.purchase.dispute_transaction(self.rng, &id, -total, created);
        let mut state = json!({"balance_transactions": [taken]});
        self.tell("charge.dispute.created", &self.purchase.dispute(&id, created, state.clone()));
        self.tell("charge.dispute.funds_withdrawn", &self.purchase.dispute(&id, created, state.clone()));
        self.wait(8);
        state["status"] = json!("under_review");
        state["evidence_details"] = json!({"has_evidence": true, "submission_count": 1});
        self.tell("charge.dispute.updated", &self.purchase.dispute(&id, created, state.clone()));
        let Some(verdict) = verdict else { return };
        self.wait(8);
        state["status"] = json!(verdict);
        if verdict == "won" {
            let back = self.purchase.dispute_transaction(self.rng, &id, total, self.clock);
            state["balance_transactions"] = json!([taken_of(&state), back]);
            self.tell("charge.dispute.funds_reinstated", &self.purchase.dispute(&id, created, state.clone()));
        }
        self.tell("charge.dispute.closed", &self.purchase.dispute(&id, created, state));
    }

    /// The bank only asks; it takes no money.
    pub(super) fn inquiry(&mut self) {
        self.checkout();
        let id = self.purchase.id(self.rng, "du");
        let created = self.wait(10);
        let asks = |status: &str| json!({"status": status, "is_charge_refundable": true, "balance_transactions": []});
        for (status, kind) in [
            ("warning_needs_response", "charge.dispute.created"),
            ("warning_under_review", "charge.dispute.updated"),
            ("warning_closed", "charge.dispute.closed"),
        ] {
            self.tell(kind, &self.purchase.dispute(&id, created, asks(status)));
            self.wait(8);
        }
    }

    pub(super) fn fraud_warning(&mut self) {
        self.checkout();
        let id = self.purchase.id(self.rng, "issfr");
        let created = self.wait(10);
        self.tell("radar.early_fraud_warning.created", &self.purchase.fraud_warning(&id, created));
    }

    pub(super) fn review(&mut self) {
        self.checkout();
        let id = self.purchase.id(self.rng, "prv");
        let created = self.wait(1);
        self.tell("review.opened", &self.purchase.review(&id, created, json!({})));
        self.wait(20);
        let approved = json!({"open": false, "reason": "approved", "closed_reason": "approved"});
        self.tell("review.closed", &self.purchase.review(&id, created, approved));
    }
}

fn taken_of(state: &Value) -> Value {
    state["balance_transactions"][0].clone()
}
