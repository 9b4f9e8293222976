//! Money given back, and refunds that fail.
//!
//! Before 2024-10-28 a refund has no events of its own: `charge.refunded` bears the sum, and `charge.refund.updated` comes
//! when a refund changes later.

use serde_json::{Map, Value, json};

use super::Play;
use crate::stripe::{Refund, RefundState, scale};
use crate::{RefundStart, Slot, ids};

impl Play<'_> {
    pub(super) fn refund(&mut self, payment: Slot, refund: Slot, amount: i64, start: RefundStart) {
        let conversion = self.stripe.sessions.get(&payment).and_then(|session| session.conversion.clone());
        let amount = conversion.map_or(amount, |conversion| conversion.forth(amount));
        let taken = self.stripe.refunds.contains_key(&refund);
        if amount <= 0 || taken || amount > self.stripe.refundable(payment) {
            return;
        }
        // A refund is made again after somebody has seen that it failed.
        let failed = self.stripe.refunds_of(payment).filter_map(|refund| refund.ended).max();
        self.wait_past(failed.unwrap_or_default());
        let before = self.charge_sums(payment);
        let refund_made = Refund {
            payment,
            id: ids::object("re_3", 23, &[u64::from(payment), u64::from(refund)]),
            created: self.now,
            amount,
            presented: self.presented(payment, amount),
            state: if start == RefundStart::Pending { RefundState::Pending } else { RefundState::Succeeded },
            succeeded: start == RefundStart::Succeeded,
            ended: None,
        };
        self.stripe.refunds.insert(refund, refund_made);
        let first = self.coin();
        if first {
            self.tell_made(refund);
        }
        let previous = self.charge_step(payment, before);
        self.tell_charge(payment, "charge.refunded", Some(previous));
        if !first {
            self.tell_made(refund);
        }
    }

    fn tell_made(&mut self, refund: Slot) {
        if self.script.version.has_refund_events() {
            self.tell_refund(refund, "refund.created", None);
        }
    }

    /// What the customer sees of a refund: sums are converted, so that all of it comes to all of it.
    fn presented(&self, payment: Slot, amount: i64) -> Option<i64> {
        let intent = self.stripe.intents.get(&payment)?;
        let seen = intent.presentment.as_ref()?;
        let before = self.stripe.live_refunds(payment);
        let told = |sum| scale(sum, seen.amount, intent.amount);
        Some(told(before + amount) - told(before))
    }

    /// `amount_refunded` and `refunded` of a payment's charge.
    fn charge_sums(&self, payment: Slot) -> (i64, bool) {
        let sum = self.stripe.amount_refunded(payment);
        let most = self.stripe.intents.get(&payment).and_then(|intent| intent.charge());
        (sum, most.is_some_and(|charge| sum > 0 && sum >= charge.amount.max(charge.amount_captured)))
    }

    /// `previous_attributes` of the charge: only what has changed.
    fn charge_step(&self, payment: Slot, before: (i64, bool)) -> Value {
        let now = self.charge_sums(payment);
        let mut previous = Map::new();
        previous.insert("amount_refunded".into(), json!(before.0));
        if now.1 != before.1 {
            previous.insert("refunded".into(), json!(before.1));
        }
        Value::Object(previous)
    }

    pub(super) fn settle_refund(&mut self, refund: Slot) {
        let Some(created) =
            self.stripe.refunds.get(&refund).filter(|r| r.state == RefundState::Pending).map(|r| r.created)
        else {
            return;
        };
        self.wait_past(created);
        if let Some(refund) = self.stripe.refunds.get_mut(&refund) {
            refund.state = RefundState::Succeeded;
            refund.succeeded = true;
        }
        self.tell_changed(refund, &[], json!({ "status": "pending" }));
    }

    pub(super) fn fail_refund(&mut self, refund: Slot, step: bool) {
        self.end_refund(refund, RefundState::Failed, step);
    }

    pub(super) fn cancel_refund(&mut self, refund: Slot, step: bool) {
        self.end_refund(refund, RefundState::Canceled, step);
    }

    fn end_refund(&mut self, slot: Slot, state: RefundState, step: bool) {
        let Some(refund) = self.stripe.refunds.get(&slot).filter(|refund| refund.state.is_live()) else { return };
        let (payment, was) = (refund.payment, refund.state.name());
        self.wait_past(refund.created);
        let before = self.charge_sums(payment);
        let now = self.now;
        if let Some(refund) = self.stripe.refunds.get_mut(&slot) {
            refund.state = state;
            refund.ended = Some(now);
        }
        let failed: &[&str] = if state == RefundState::Failed { &["refund.failed"] } else { &[] };
        let previous = if failed.is_empty() {
            json!({ "status": was })
        } else {
            json!({ "failure_balance_transaction": null, "failure_reason": null, "status": was })
        };
        self.tell_changed(slot, failed, previous);
        if step {
            let previous = self.charge_step(payment, before);
            self.tell_charge(payment, "charge.updated", Some(previous));
        }
    }

    /// The older `charge.refund.updated` comes in every version, the newer events beside it.
    fn tell_changed(&mut self, refund: Slot, also: &[&str], previous: Value) {
        self.tell_refund(refund, "charge.refund.updated", Some(previous.clone()));
        if self.script.version.has_refund_events() {
            self.tell_refund(refund, "refund.updated", Some(previous));
            for kind in also {
                self.tell_refund(refund, kind, None);
            }
        }
    }
}
