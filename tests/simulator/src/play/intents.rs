//! The shop's side of a payment intent: made, changed, captured, canceled.

use serde_json::json;

use super::Play;
use crate::stripe::{Intent, IntentState};
use crate::{NewIntent, Slot, ids};

impl Play<'_> {
    /// An intent without events, where the slot is free.
    pub(super) fn new_intent(&mut self, new: &NewIntent) -> bool {
        if new.amount <= 0 || self.stripe.intents.contains_key(&new.payment) {
            return false;
        }
        let intent = Intent {
            payment: new.payment,
            home: self.home(),
            id: ids::object("pi_3", 23, &[u64::from(new.payment)]),
            created: self.now,
            amount: new.amount,
            currency: new.currency.clone(),
            tip: 0,
            order_id: new.order_id.clone(),
            receipt_email: new.receipt_email.clone(),
            manual_capture: new.manual_capture,
            state: IntentState::RequiresPaymentMethod,
            amount_received: 0,
            amount_capturable: 0,
            funded: 0,
            charges: Vec::new(),
            declined: false,
            method: None,
            description: None,
            canceled: None,
            presentment: None,
            invoices: Vec::new(),
            told_order_id: None,
        };
        self.stripe.intents.insert(new.payment, intent);
        true
    }

    pub(super) fn create_intent(&mut self, new: &NewIntent) {
        if !self.stripe.sessions.contains_key(&new.payment) && self.new_intent(new) {
            self.tell_intent(new.payment, "payment_intent.created");
        }
    }

    pub(super) fn change_intent(&mut self, payment: Slot, order_id: Option<&String>, amount: Option<i64>) {
        let made_by_shop = |intent: &Intent| intent.description.is_none() && intent.is_payable();
        if !self.stripe.intents.get(&payment).is_some_and(made_by_shop) || self.stripe.sessions.contains_key(&payment) {
            return;
        }
        self.wait_past(self.latest);
        if let Some(intent) = self.stripe.intents.get_mut(&payment) {
            intent.order_id = order_id.cloned();
            intent.amount = amount.filter(|amount| *amount > 0).unwrap_or(intent.amount);
        }
    }

    pub(super) fn cancel_intent(&mut self, payment: Slot) {
        let Some(intent) = self.stripe.intents.get(&payment) else { return };
        let of_another = !intent.invoices.is_empty() || self.stripe.sessions.get(&payment).is_some_and(|s| !s.told);
        let untouched = matches!(
            intent.state,
            IntentState::RequiresPaymentMethod | IntentState::RequiresAction | IntentState::RequiresCapture
        ) && intent.amount_received == 0;
        if untouched && !of_another {
            self.end_intent(payment, "requested_by_customer");
        }
    }

    pub(super) fn lapse_intent(&mut self, payment: Slot) {
        let Some(intent) = self.stripe.intents.get(&payment) else { return };
        if intent.state == IntentState::RequiresCapture && intent.amount_received == 0 {
            self.end_intent(payment, "automatic");
        }
    }

    /// Cancels an intent. An authorisation is released: as `charge.refunded`, or `charge.expired` where it lapsed.
    pub(super) fn end_intent(&mut self, payment: Slot, reason: &'static str) {
        let now = self.now;
        let Some(intent) = self.stripe.intents.get_mut(&payment) else { return };
        let held = intent.state == IntentState::RequiresCapture;
        intent.state = IntentState::Canceled;
        intent.canceled = Some((now, reason));
        intent.amount_capturable = 0;
        if let Some(charge) = intent.charge_mut().filter(|_| held) {
            charge.released = charge.amount;
        }
        if held {
            let kind = if reason == "automatic" { "charge.expired" } else { "charge.refunded" };
            self.tell_charge(payment, kind, Some(json!({ "amount_refunded": 0, "refunded": false })));
        }
        self.tell_intent(payment, "payment_intent.canceled");
    }

    pub(super) fn capture(&mut self, payment: Slot, amount: i64, last: bool) {
        let Some(intent) = self.stripe.intents.get_mut(&payment) else { return };
        let nothing = amount == 0 && !(last && intent.amount_received > 0);
        // Card networks allow to capture somewhat more than was authorised, at once and as the last capture.
        let most = intent.amount_capturable + if intent.amount_received == 0 { intent.amount / 5 } else { 0 };
        if intent.state != IntentState::RequiresCapture || amount < 0 || nothing || amount > most {
            return;
        }
        let last = last || amount >= intent.amount_capturable;
        let before = intent.amount_received;
        intent.amount_received += amount;
        intent.amount_capturable = if last { 0 } else { intent.amount_capturable - amount };
        intent.state = if last { IntentState::Succeeded } else { IntentState::RequiresCapture };
        let received = intent.amount_received;
        if let Some(charge) = intent.charge_mut() {
            charge.amount_captured = received;
            charge.captured = last;
            charge.released = if last { (charge.amount - received).max(0) } else { 0 };
        }
        if last {
            let previous = json!({ "amount_captured": before, "amount_refunded": 0, "captured": false });
            self.tell_charge(payment, "charge.captured", Some(previous));
            self.tell_intent(payment, "payment_intent.succeeded");
            self.settling.push((self.now + 3, payment));
        } else {
            self.tell_charge(payment, "charge.updated", Some(json!({ "amount_captured": before })));
            self.tell_intent(payment, "payment_intent.amount_capturable_updated");
        }
        if let Some(session) = self.stripe.sessions.get_mut(&payment).filter(|_| last) {
            session.payment_status = crate::stripe::PaymentStatus::Paid;
        }
    }
}
