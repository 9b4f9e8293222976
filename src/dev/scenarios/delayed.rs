//! Money that takes its time: a bank debit that comes, fails or is still on its way, and bank transfers.

use rand::{Rng, RngExt};
use serde_json::{Value, json};

use super::Story;

/// How a bank debit ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Debit {
    Comes,
    Fails,
    IsOnItsWay,
}

impl<R: Rng> Story<'_, R> {
    pub(super) fn checkout_async(&mut self, end: Debit) {
        let paying = self.wait(24);
        self.tell("payment_intent.created", &self.purchase.payment_intent(paying));
        self.wait(1);
        let mut charge = self.purchase.succeeded_charge(self.rng, self.clock);
        let balance = charge["balance_transaction"].take();
        charge["paid"] = json!(false);
        charge["status"] = json!("pending");
        self.tell("charge.pending", &charge);
        let processing = self.purchase.attempted_payment_intent(paying, json!({"status": "processing"}));
        self.tell("payment_intent.processing", &processing);
        self.tell("checkout.session.completed", &self.purchase.completed_session(self.start, "unpaid"));
        if end == Debit::IsOnItsWay {
            return;
        }
        self.wait(20);
        if end == Debit::Fails {
            return self.debit_failed(paying, charge);
        }
        charge["balance_transaction"] = balance;
        charge["paid"] = json!(true);
        charge["status"] = json!("succeeded");
        self.tell("charge.succeeded", &charge);
        self.tell("payment_intent.succeeded", &self.purchase.succeeded_payment_intent(paying));
        self.tell("checkout.session.async_payment_succeeded", &self.purchase.completed_session(self.start, "paid"));
    }

    fn debit_failed(&mut self, paying: i64, mut charge: Value) {
        charge["status"] = json!("failed");
        charge["failure_code"] = json!("insufficient_funds");
        charge["failure_message"] = json!("The customer's account has insufficient funds to cover this payment.");
        self.tell("charge.failed", &charge);
        let error = json!({"last_payment_error": self.purchase.bounce(), "payment_method": null});
        self.tell("payment_intent.payment_failed", &self.purchase.attempted_payment_intent(paying, error));
        self.tell("checkout.session.async_payment_failed", &self.purchase.completed_session(self.start, "unpaid"));
    }

    /// A transfer in two parts; the second may never come.
    pub(super) fn bank_transfer(&mut self, whole: bool) {
        let paying = self.wait(24);
        self.tell("payment_intent.created", &self.purchase.payment_intent(paying));
        let total = self.purchase.total;
        self.tell("payment_intent.requires_action", &self.purchase.transfer_payment_intent(paying, total));
        self.tell("checkout.session.completed", &self.purchase.completed_session(self.start, "unpaid"));
        self.wait(10);
        let rest = self.rng.random_range(total / 4..total / 2).max(1);
        self.tell("payment_intent.partially_funded", &self.purchase.transfer_payment_intent(paying, rest));
        if whole {
            self.wait(20);
            let charge = self.purchase.succeeded_charge(self.rng, self.clock);
            self.tell("charge.succeeded", &charge);
            self.tell("payment_intent.succeeded", &self.purchase.succeeded_payment_intent(paying));
            self.tell("checkout.session.async_payment_succeeded", &self.purchase.completed_session(self.start, "paid"));
        }
    }
}
