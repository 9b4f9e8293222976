//! What Stripe sends. A snapshot shows its object as it is at the moment.

use serde_json::{Value, json};

use super::Play;
use crate::render::{self, Context};
use crate::stripe::Home;
use crate::{Delivery, Event, Slot};

impl Play<'_> {
    fn context(&self) -> Context<'_> {
        Context { stripe: &self.stripe, version: self.script.version }
    }

    /// Half of the time, differently in each script.
    pub(super) fn coin(&self) -> bool {
        self.script.ids.coin(self.count)
    }

    pub(super) fn emit(&mut self, kind: &str, home: &Home, object: Value, previous: Option<Value>) {
        self.emit_at(self.now, kind, home, object, previous);
    }

    fn emit_at(&mut self, created: i64, kind: &str, home: &Home, object: Value, previous: Option<Value>) {
        self.count += 1;
        self.latest = self.latest.max(created);
        let id = self.script.ids.event(self.count);
        let body = render::envelope(&id, kind, created, self.script.version, home, (object, previous));
        self.deliveries.push(Delivery::Event(Event { id, kind: kind.into(), created, body }));
    }

    pub(super) fn tell_intent(&mut self, payment: Slot, kind: &str) {
        self.tell_intent_at(self.now, payment, kind);
    }

    /// `payment_intent.created` may bear the second after its own success.
    pub(super) fn tell_intent_at(&mut self, created: i64, payment: Slot, kind: &str) {
        let Some(intent) = self.stripe.intents.get(&payment) else { return };
        let object = render::payment_intent(self.context(), intent);
        let home = intent.home.clone();
        if let Some(intent) = self.stripe.intents.get_mut(&payment) {
            intent.told_order_id = intent.order_id.clone();
        }
        self.emit_at(created, kind, &home, object, None);
    }

    /// Tells the newest charge of a payment.
    pub(super) fn tell_charge(&mut self, payment: Slot, kind: &str, previous: Option<Value>) {
        let Some(intent) = self.stripe.intents.get(&payment) else { return };
        let Some(charge) = intent.charges.last() else { return };
        let object = render::charge(self.context(), intent, charge);
        self.emit(kind, &intent.home.clone(), object, previous);
    }

    pub(super) fn tell_session(&mut self, payment: Slot, kind: &str) {
        let Some(session) = self.stripe.sessions.get(&payment) else { return };
        let object = render::session(self.context(), session);
        let home = session.home.clone();
        if let Some(session) = self.stripe.sessions.get_mut(&payment) {
            session.told = true;
        }
        self.emit(kind, &home, object, None);
    }

    pub(super) fn tell_refund(&mut self, refund: Slot, kind: &str, previous: Option<Value>) {
        let Some(refund) = self.stripe.refunds.get(&refund) else { return };
        let Some(intent) = self.stripe.intents.get(&refund.payment) else { return };
        let object = render::refund(self.context(), refund);
        self.emit(kind, &intent.home.clone(), object, previous);
    }

    pub(super) fn tell_dispute(&mut self, dispute: Slot, kind: &str, previous: Option<Value>) {
        let Some(dispute) = self.stripe.disputes.get(&dispute) else { return };
        let Some(intent) = self.stripe.intents.get(&dispute.payment) else { return };
        let object = render::dispute(self.context(), dispute);
        self.emit(kind, &intent.home.clone(), object, previous);
    }

    pub(super) fn tell_invoice(&mut self, invoice: Slot, kind: &str) {
        let Some(invoice) = self.stripe.invoices.get(&invoice) else { return };
        let object = render::invoice(self.context(), invoice);
        self.emit(kind, &invoice.home.clone(), object, None);
    }

    /// Tells what paid an invoice last, since there are events for it.
    pub(super) fn tell_invoice_payment(&mut self, invoice: Slot) {
        if !self.script.version.has_invoice_payments() {
            return;
        }
        let Some(invoice) = self.stripe.invoices.get(&invoice) else { return };
        let Some(payment) = invoice.payments.last() else { return };
        let object = render::invoice_payment(self.context(), invoice, payment);
        self.emit("invoice_payment.paid", &invoice.home.clone(), object, None);
    }

    pub(super) fn tell_credit_note(&mut self, invoice: Slot, refund: Option<Slot>, amount: i64) {
        let Some(invoice) = self.stripe.invoices.get(&invoice) else { return };
        let refund = refund.and_then(|refund| self.stripe.refunds.get(&refund));
        let object = render::credit_note(self.context(), invoice, refund, (amount, self.now));
        self.emit("credit_note.created", &invoice.home.clone(), object, None);
    }

    /// Some seconds after a charge its balance transaction is known.
    pub(super) fn charge_settles(&mut self, payment: Slot) {
        self.tell_charge(payment, "charge.updated", Some(json!({ "balance_transaction": null, "receipt_url": null })));
    }
}
