//! Payments that stop on their way: money held and taken later or never, a customer who must act, a shop that calls off.

use rand::Rng;
use serde_json::{Value, json};

use super::Story;
use crate::dev::sample::lay;

/// What becomes of an authorization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    Stands,
    IsCaptured,
    IsCalledOff,
    Lapses,
}

/// Card networks hold money for so long, in seconds.
pub(super) const HELD: i64 = 7 * 86_400;

impl<R: Rng> Story<'_, R> {
    pub(super) fn authorize(&mut self, end: Hold) {
        let paying = self.wait(24);
        self.tell(
            "payment_intent.created",
            &self.manual(paying, json!({"latest_charge": null, "payment_method": null})),
        );
        self.wait(1);
        let mut charge = self.purchase.succeeded_charge(self.rng, self.clock);
        let balance = charge["balance_transaction"].take();
        lay(&mut charge, json!({"amount_captured": 0, "captured": false}));
        charge["payment_method_details"]["card"]["capture_before"] = json!(self.clock + HELD);
        self.tell("charge.succeeded", &charge);
        let held = json!({"amount_capturable": self.purchase.total, "status": "requires_capture"});
        self.tell("payment_intent.amount_capturable_updated", &self.manual(paying, held));
        self.wait(1);
        self.tell("checkout.session.completed", &self.purchase.completed_session(self.start, "unpaid"));
        match end {
            Hold::Stands => {}
            Hold::IsCaptured => {
                self.wait(20);
                let total = self.purchase.total;
                lay(&mut charge, json!({"amount_captured": total, "captured": true, "balance_transaction": balance}));
                self.tell("charge.captured", &charge);
                let taken = json!({"amount_received": total, "status": "succeeded"});
                self.tell("payment_intent.succeeded", &self.manual(paying, taken));
            }
            Hold::IsCalledOff => self.released(paying, charge, "charge.refunded", "requested_by_customer"),
            Hold::Lapses => {
                self.wait(HELD);
                self.released(paying, charge, "charge.expired", "automatic");
            }
        }
    }

    /// Nothing was taken, and yet Stripe says of the charge that all of it was refunded.
    fn released(&mut self, paying: i64, mut charge: Value, kind: &str, reason: &str) {
        self.wait(20);
        lay(&mut charge, json!({"amount_refunded": self.purchase.total, "refunded": true}));
        self.tell(kind, &charge);
        let canceled = json!({"canceled_at": self.clock, "cancellation_reason": reason, "status": "canceled"});
        self.tell("payment_intent.canceled", &self.manual(paying, canceled));
    }

    fn manual(&self, paying: i64, fields: Value) -> Value {
        let mut intent = self.purchase.attempted_payment_intent(paying, json!({"capture_method": "manual"}));
        lay(&mut intent, fields);
        intent
    }

    /// The shop calls a payment off before anybody has paid.
    pub(super) fn cancel(&mut self) {
        let paying = self.wait(24);
        let mut intent = self.purchase.payment_intent(paying);
        self.tell("payment_intent.created", &intent);
        let canceled_at = self.wait(20);
        lay(&mut intent, json!({"canceled_at": canceled_at, "cancellation_reason": "abandoned", "status": "canceled"}));
        self.tell("payment_intent.canceled", &intent);
    }

    /// The bank wants to know whether it is the cardholder.
    pub(super) fn three_d_secure(&mut self, goes_on: bool) {
        let paying = self.wait(14);
        self.tell("payment_intent.created", &self.purchase.payment_intent(paying));
        self.wait(1);
        self.tell("payment_intent.requires_action", &self.purchase.challenged_payment_intent(paying));
        if !goes_on {
            return;
        }
        self.wait(20);
        let mut charge = self.purchase.succeeded_charge(self.rng, self.clock);
        let proof = json!({"authentication_flow": "challenge", "result": "authenticated", "version": "2.2.0"});
        charge["payment_method_details"]["card"]["three_d_secure"] = proof;
        self.tell("charge.succeeded", &charge);
        self.tell("payment_intent.succeeded", &self.purchase.succeeded_payment_intent(paying));
        self.wait(1);
        self.tell("checkout.session.completed", &self.purchase.completed_session(self.start, "paid"));
    }
}
