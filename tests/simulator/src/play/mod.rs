//! The interpreter: each action moves objects at Stripe and emits the events that Stripe sends for it.

mod checkout;
mod disputes;
mod emit;
mod intents;
mod invoices;
mod paying;
mod refunds;
mod rest;
mod subscriptions;
#[cfg(test)]
mod tests;
mod unrelated;

use serde_json::{Map, Value, json};

use crate::books::{Books, Expectations, Releases};
use crate::stripe::{Home, Stripe};
use crate::{Account, Action, Delivery, Expectation, Script, Slot, World};

/// The second in which every script begins.
const START: i64 = 1_795_800_000;

/// Plays a script to its end.
pub fn play(script: &Script) -> World {
    let mut play = Play::new(script);
    for action in &script.actions {
        play.act(action);
    }
    play.wait(3600);
    let books = Books::of(script.version, &play.stripe, &play.expectations, &play.releases);
    World { deliveries: play.deliveries, books }
}

/// A script that is being played.
pub(crate) struct Play<'a> {
    script: &'a Script,
    now: i64,
    account: Account,
    /// How many events there were.
    count: u64,
    /// The greatest `created` so far.
    latest: i64,
    /// Payments whose charge is updated once its balance transaction is known, and when.
    settling: Vec<(i64, Slot)>,
    stripe: Stripe,
    expectations: Expectations,
    releases: Releases,
    deliveries: Vec<Delivery>,
}

impl<'a> Play<'a> {
    fn new(script: &'a Script) -> Self {
        Self {
            script,
            now: START,
            account: Account::Own,
            count: 0,
            latest: START - 1,
            settling: Vec::new(),
            stripe: Stripe::default(),
            expectations: Expectations::default(),
            releases: Releases::default(),
            deliveries: Vec::new(),
        }
    }

    fn home(&self) -> Home {
        Home { account: self.account.clone(), livemode: self.script.livemode }
    }

    /// Time passes; what Stripe had yet to tell is told on the way.
    fn wait(&mut self, seconds: i64) {
        let until = self.now + seconds.max(0);
        self.settling.sort_unstable();
        while let Some(&(due, payment)) = self.settling.first().filter(|(due, _)| *due <= until) {
            self.settling.remove(0);
            self.now = due.max(self.now);
            self.charge_settles(payment);
        }
        self.now = until;
    }

    /// Lets time pass until it is later than `moment`: nobody acts twice on one thing within a second.
    fn wait_past(&mut self, moment: i64) {
        if self.now <= moment {
            self.wait(moment + 1 - self.now);
        }
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::Wait(seconds) => self.wait(*seconds),
            Action::In(account) => self.account = account.clone(),
            Action::Register(expectation) => self.register(expectation),
            Action::Release { reference } => self.release(reference),
            Action::Rest => self.rest(),
            Action::CreateIntent(new) => self.create_intent(new),
            Action::ChangeIntent { payment, order_id, amount } => {
                self.change_intent(*payment, order_id.as_ref(), *amount);
            }
            Action::CancelIntent { payment } => self.cancel_intent(*payment),
            Action::LapseIntent { payment } => self.lapse_intent(*payment),
            Action::OpenCheckout(new) => self.open_checkout(new),
            Action::AbandonCheckout { payment } => self.abandon_checkout(*payment),
            Action::Pay { payment, by, email } => self.pay(*payment, *by, email.as_ref()),
            Action::Decline { payment, email } => self.decline(*payment, email.as_ref()),
            Action::Verify { payment } => self.verify(*payment),
            Action::Clear { payment } => self.clear(*payment),
            Action::Bounce { payment } => self.bounce(*payment),
            Action::Fund { payment, amount } => self.fund(*payment, *amount),
            Action::Capture { payment, amount, last } => self.capture(*payment, *amount, *last),
            _ => self.act_later(action),
        }
    }

    /// The actions on what was paid before, and on invoices.
    fn act_later(&mut self, action: &Action) {
        match action {
            Action::Refund { payment, refund, amount, start } => self.refund(*payment, *refund, *amount, *start),
            Action::SettleRefund { refund } => self.settle_refund(*refund),
            Action::FailRefund { refund, step } => self.fail_refund(*refund, *step),
            Action::CancelRefund { refund, step } => self.cancel_refund(*refund, *step),
            Action::Dispute { payment, dispute, amount, kind } => self.dispute(*payment, *dispute, *amount, *kind),
            Action::AnswerDispute { dispute } => self.answer_dispute(*dispute),
            Action::EscalateDispute { dispute } => self.escalate_dispute(*dispute),
            Action::CloseDispute { dispute, verdict } => self.close_dispute(*dispute, *verdict),
            Action::OverturnDispute { dispute } => self.overturn_dispute(*dispute),
            Action::WarnOfFraud { payment } => self.warn_of_fraud(*payment),
            Action::OpenReview { payment } => self.open_review(*payment),
            Action::CloseReview { payment } => self.close_review(*payment),
            Action::SendInvoice(new) => self.send_invoice(new),
            Action::PayInvoice { invoice, payment, amount } => self.pay_invoice(*invoice, *payment, *amount),
            Action::DeclineInvoice { invoice, payment } => self.decline_invoice(*invoice, *payment),
            Action::PayInvoices { invoices, payment } => self.pay_invoices(invoices, *payment),
            Action::MarkInvoicePaid { invoice } => self.mark_invoice_paid(*invoice),
            Action::VoidInvoice { invoice } => self.void_invoice(*invoice),
            Action::Subscribe(new) => self.subscribe(new),
            Action::CreditNote { invoice, refund, amount } => self.credit_note(*invoice, *refund, *amount),
            Action::Unrelated { what, number } => self.unrelated(*what, *number),
            _ => {}
        }
    }

    fn register(&mut self, expectation: &Expectation) {
        let key = (self.account.id().to_owned(), self.script.livemode, expectation.reference.clone());
        if self.expectations.contains_key(&key) {
            return;
        }
        let mut body = Map::new();
        let mut say = |field: &str, value: Option<Value>| {
            if let Some(value) = value {
                body.insert(field.into(), value);
            }
        };
        say("amount", expectation.amount.map(|amount| json!(amount)));
        say("currency", expectation.currency.as_ref().map(|currency| json!(currency)));
        say("email", expectation.email.as_ref().map(|email| json!(email)));
        say("payments", expectation.many.then(|| json!("many")));
        say("compare", expectation.subtotal.then(|| json!("subtotal")));
        self.deliveries.push(Delivery::Put {
            account: key.0.clone(),
            livemode: key.1,
            reference: key.2.clone(),
            body: Value::Object(body),
        });
        self.expectations.insert(key, expectation.clone());
    }

    fn release(&mut self, reference: &str) {
        let books = Books::of(self.script.version, &self.stripe, &self.expectations, &self.releases);
        let account = self.account.id();
        let Some(order) = books.find(account, self.script.livemode, reference).filter(|order| order.status == "review")
        else {
            return;
        };
        let key = (order.account.clone(), order.livemode, order.reference.clone());
        self.releases.entry(key).or_default().extend(order.matters.iter().cloned());
        self.deliveries.push(Delivery::Release {
            account: account.to_owned(),
            livemode: self.script.livemode,
            reference: reference.to_owned(),
        });
    }
}
