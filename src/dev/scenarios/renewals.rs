//! A subscription's month: its invoice, paid at once, late, or never.

use rand::Rng;
use serde_json::{Value, json};

use super::Story;
use crate::dev::sample::lay;

impl<R: Rng> Story<'_, R> {
    pub(super) fn subscription(&mut self) {
        let (drafted, paying) = self.bill();
        self.wait(2);
        self.pay(drafted, paying);
    }

    pub(super) fn renewal_recovered(&mut self) {
        let (drafted, paying) = self.bill();
        self.decline(drafted, paying, 1);
        self.tell("customer.subscription.updated", &self.purchase.subscription("past_due", drafted));
        self.wait(10);
        self.pay(drafted, paying);
        self.tell("customer.subscription.updated", &self.purchase.subscription("active", drafted));
    }

    pub(super) fn renewal_failed(&mut self) {
        let (drafted, paying) = self.bill();
        self.decline(drafted, paying, 1);
        self.tell("customer.subscription.updated", &self.purchase.subscription("past_due", drafted));
        self.wait(10);
        self.decline(drafted, paying, 2);
        self.tell("customer.subscription.deleted", &self.purchase.subscription("canceled", drafted));
        let given_up = self.attempted(drafted, 2, json!({"status": "uncollectible"}));
        self.tell("invoice.marked_uncollectible", &given_up);
    }

    /// The customer pays a part by other means as well: Stripe credits it to them, and a person should know.
    pub(super) fn renewal_overpaid(&mut self) {
        let (drafted, paying) = self.bill();
        self.wait(2);
        self.pay(drafted, paying);
        let over = self.purchase.total / 30 * 10;
        let mut invoice = self.purchase.paid_invoice(drafted);
        lay(&mut invoice, json!({"amount_overpaid": over, "amount_paid": self.purchase.total + over}));
        self.tell("invoice.overpaid", &invoice);
    }

    /// The invoice is drafted and finalized; returns when, and when the payment was begun.
    fn bill(&mut self) -> (i64, i64) {
        let drafted = self.wait(10);
        self.tell("invoice.created", &self.purchase.renewal_invoice(drafted, json!({})));
        let paying = self.wait(10);
        let open = json!({"status": "open", "number": "CS-0042"});
        self.tell("invoice.finalized", &self.purchase.renewal_invoice(drafted, open));
        self.tell("payment_intent.created", &self.purchase.payment_intent(paying));
        (drafted, paying)
    }

    fn pay(&mut self, drafted: i64, paying: i64) {
        let charge = self.purchase.succeeded_charge(self.rng, self.clock);
        self.tell("charge.succeeded", &charge);
        self.tell("payment_intent.succeeded", &self.purchase.succeeded_payment_intent(paying));
        self.tell("invoice_payment.paid", &self.purchase.invoice_payment(paying));
        self.tell("invoice.paid", &self.purchase.paid_invoice(drafted));
    }

    /// The card is declined for the `attempt`-th time.
    fn decline(&mut self, drafted: i64, paying: i64, attempt: i64) {
        self.wait(2);
        let charge = self.purchase.failed_charge(self.rng, self.clock);
        self.tell("charge.failed", &charge);
        let error = json!({"last_payment_error": self.purchase.decline(), "payment_method": null});
        self.tell("payment_intent.payment_failed", &self.purchase.attempted_payment_intent(paying, error));
        self.tell("invoice.payment_failed", &self.attempted(drafted, attempt, json!({"status": "open"})));
    }

    fn attempted(&self, drafted: i64, attempts: i64, fields: Value) -> Value {
        let next = (attempts == 1).then_some(drafted + 3 * 86_400);
        let mut invoice = json!({
            "number": "CS-0042", "attempted": true, "attempt_count": attempts, "next_payment_attempt": next,
        });
        lay(&mut invoice, fields);
        self.purchase.renewal_invoice(drafted, invoice)
    }
}
