//! What can happen to a purchase, each as the stream of events that Stripe sends about it.
//!
//! A scenario is a pure function of its random numbers and `now`; all of its ids are fresh.

mod delayed;
mod doubts;
mod event;
mod holds;
mod renewals;

use rand::Rng;
use serde_json::{Value, json};

use self::delayed::Debit;
pub use self::event::Event;
use self::holds::{HELD, Hold};
use super::sample::{Method, Purchase};

/// One thing that can happen.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// What a person types.
    pub name: &'static str,
    /// What it shows, in a line.
    pub about: &'static str,
}

/// A scenario's events about one purchase, in the order in which they happened.
#[derive(Clone, Debug)]
pub struct Stream {
    /// What the order is known by: the shop's reference, else the payment intent.
    pub reference: String,
    /// The purchase behind it.
    pub purchase: Purchase,
    /// What Stripe sends.
    pub events: Vec<Event>,
}

const LIST: [Scenario; 30] = [
    Scenario { name: "checkout", about: "a card checkout, paid at once" },
    Scenario { name: "checkout-async", about: "a SEPA checkout: completed unpaid, the money comes later" },
    Scenario { name: "checkout-async-pending", about: "a SEPA checkout whose money is still on its way" },
    Scenario { name: "checkout-async-failed", about: "a SEPA checkout whose debit bounces" },
    Scenario { name: "three-d-secure", about: "a card checkout in which the bank asks the cardholder first" },
    Scenario { name: "requires-action", about: "a card payment that waits for its cardholder's word" },
    Scenario { name: "payment-failed", about: "a declined card; nobody tries again" },
    Scenario { name: "pending", about: "a payment that is begun, and no more" },
    Scenario { name: "cancel", about: "a payment that the shop calls off before it is paid" },
    Scenario { name: "expired", about: "a checkout that nobody completes" },
    Scenario { name: "authorize", about: "a checkout whose money is held, not taken" },
    Scenario { name: "authorize-capture", about: "a checkout whose money is held, then taken" },
    Scenario { name: "authorize-cancel", about: "a checkout whose money is held, then let go" },
    Scenario { name: "authorize-expire", about: "a checkout whose money is held until that lapses, after a week" },
    Scenario { name: "bank-transfer", about: "a bank transfer in two parts" },
    Scenario { name: "bank-transfer-partial", about: "a bank transfer that brings only a part" },
    Scenario { name: "double-payment", about: "a basket that is paid twice, in two checkouts" },
    Scenario { name: "refund-partial", about: "a checkout, then about a third is given back" },
    Scenario { name: "refund-full", about: "a checkout, then all is given back" },
    Scenario { name: "refund-failed", about: "a checkout, then a refund that the bank sends back" },
    Scenario { name: "dispute-open", about: "a checkout, disputed, not yet decided" },
    Scenario { name: "dispute-won", about: "a checkout, disputed, decided for the shop" },
    Scenario { name: "dispute-lost", about: "a checkout, disputed, decided against the shop" },
    Scenario { name: "inquiry", about: "a checkout, then the bank asks and goes away: nothing is taken" },
    Scenario { name: "fraud-warning", about: "a checkout, then the card's issuer warns of fraud" },
    Scenario { name: "review", about: "a checkout that Stripe wants looked at, and a person approves" },
    Scenario { name: "subscription", about: "a subscription's renewal: the month's invoice, paid by card" },
    Scenario { name: "renewal-recovered", about: "a renewal whose card is declined, and paid at the second try" },
    Scenario { name: "renewal-failed", about: "a renewal that is never paid: the subscription ends" },
    Scenario { name: "renewal-overpaid", about: "a renewal for which more comes in than was asked" },
];

/// All scenarios.
pub fn list() -> &'static [Scenario] {
    &LIST
}

/// Plays a scenario that ends within the minute before `now` (Unix seconds); `None` where there is none of that name.
pub fn play(name: &str, rng: &mut impl Rng, now: i64) -> Option<Stream> {
    let mut story = Story::begin(rng, method(name), now - if name == "authorize-expire" { HELD } else { 0 });
    match name {
        "checkout" => drop(story.checkout()),
        "checkout-async" => story.checkout_async(Debit::Comes),
        "checkout-async-pending" => story.checkout_async(Debit::IsOnItsWay),
        "checkout-async-failed" => story.checkout_async(Debit::Fails),
        "three-d-secure" => story.three_d_secure(true),
        "requires-action" => story.three_d_secure(false),
        "payment-failed" => story.payment_failed(),
        "pending" => story.pending(),
        "cancel" => story.cancel(),
        "expired" => story.expired(),
        "authorize" => story.authorize(Hold::Stands),
        "authorize-capture" => story.authorize(Hold::IsCaptured),
        "authorize-cancel" => story.authorize(Hold::IsCalledOff),
        "authorize-expire" => story.authorize(Hold::Lapses),
        "bank-transfer" => story.bank_transfer(true),
        "bank-transfer-partial" => story.bank_transfer(false),
        "double-payment" => story.double_payment(),
        "refund-partial" => story.refund(|total| (total / 30 * 10).max(1), false),
        "refund-full" => story.refund(|total| total, false),
        "refund-failed" => story.refund(|total| total, true),
        "dispute-open" => story.dispute(None),
        "dispute-won" => story.dispute(Some("won")),
        "dispute-lost" => story.dispute(Some("lost")),
        "inquiry" => story.inquiry(),
        "fraud-warning" => story.fraud_warning(),
        "review" => story.review(),
        "subscription" => story.subscription(),
        "renewal-recovered" => story.renewal_recovered(),
        "renewal-failed" => story.renewal_failed(),
        "renewal-overpaid" => story.renewal_overpaid(),
        _ => return None,
    }
    Some(story.end(now))
}

fn method(name: &str) -> Method {
    match name {
        _ if name.starts_with("checkout-async") => Method::SepaDebit,
        _ if name.starts_with("bank-transfer") => Method::BankTransfer,
        _ => Method::Card,
    }
}

/// A stream in the making.
struct Story<'a, R> {
    rng: &'a mut R,
    purchase: Purchase,
    /// The customer came to the checkout.
    start: i64,
    clock: i64,
    labeled: bool,
    events: Vec<Event>,
}

impl<'a, R: Rng> Story<'a, R> {
    fn begin(rng: &'a mut R, method: Method, now: i64) -> Self {
        let purchase = Purchase::draw(rng, method);
        // Nothing takes longer than a minute, but what is held for a week: no event comes from the future.
        let start = now - 60;
        Self { rng, purchase, start, clock: start, labeled: false, events: Vec::new() }
    }

    fn end(self, now: i64) -> Stream {
        debug_assert!(self.clock <= now, "an event from the future");
        let reference = if self.labeled { &self.purchase.reference } else { &self.purchase.payment_intent };
        Stream { reference: reference.clone(), events: self.events, purchase: self.purchase }
    }

    fn tell(&mut self, kind: &str, object: &Value) {
        self.labeled |= kind.starts_with("checkout.session.");
        self.events.push(Event::about(&self.purchase, self.rng, kind, self.clock, object));
    }

    fn wait(&mut self, seconds: i64) -> i64 {
        self.clock += seconds;
        self.clock
    }

    /// A card checkout; returns its charge.
    fn checkout(&mut self) -> Value {
        let paying = self.wait(24);
        self.tell("payment_intent.created", &self.purchase.payment_intent(paying));
        self.wait(1);
        let charge = self.purchase.succeeded_charge(self.rng, self.clock);
        self.tell("charge.succeeded", &charge);
        self.tell("payment_intent.succeeded", &self.purchase.succeeded_payment_intent(paying));
        self.wait(1);
        self.tell("checkout.session.completed", &self.purchase.completed_session(self.start, "paid"));
        charge
    }

    fn pending(&mut self) {
        let paying = self.wait(24);
        self.tell("payment_intent.created", &self.purchase.payment_intent(paying));
    }

    /// Two tabs, one basket.
    fn double_payment(&mut self) {
        self.checkout();
        let (start, again) = (self.clock, self.purchase.again(self.rng));
        let first = std::mem::replace(&mut self.purchase, again);
        let begun = std::mem::replace(&mut self.start, start);
        self.checkout();
        (self.purchase, self.start) = (first, begun);
    }

    fn payment_failed(&mut self) {
        let paying = self.wait(24);
        self.tell("payment_intent.created", &self.purchase.payment_intent(paying));
        self.wait(1);
        let charge = self.purchase.failed_charge(self.rng, self.clock);
        self.tell("charge.failed", &charge);
        let error = json!({"last_payment_error": self.purchase.decline(), "payment_method": null});
        self.tell("payment_intent.payment_failed", &self.purchase.attempted_payment_intent(paying, error));
    }

    fn refund(&mut self, share: fn(i64) -> i64, fails: bool) {
        let mut charge = self.checkout();
        let amount = share(self.purchase.total);
        let id = self.purchase.id(self.rng, "re");
        let created = self.wait(10);
        self.tell("refund.created", &self.purchase.refund(&id, amount, created, json!({})));
        charge["amount_refunded"] = json!(amount);
        charge["refunded"] = json!(amount == self.purchase.total);
        self.tell("charge.refunded", &charge);
        self.wait(4);
        let later = if fails {
            let back = self.purchase.id(self.rng, "txn");
            json!({"status": "failed", "failure_reason": "lost_or_stolen_card", "failure_balance_transaction": back})
        } else {
            let number = super::sample::base62(self.rng, 23).to_uppercase();
            json!({"destination_details": {"card": {"reference": number, "reference_status": "available"}}})
        };
        let refund = self.purchase.refund(&id, amount, created, later);
        if fails {
            self.tell("refund.failed", &refund);
        }
        self.tell("refund.updated", &refund);
        self.tell("charge.refund.updated", &refund);
    }

    fn expired(&mut self) {
        // A session lives for a day.
        self.tell("checkout.session.expired", &self.purchase.expired_session(self.start - 86_400));
    }
}
