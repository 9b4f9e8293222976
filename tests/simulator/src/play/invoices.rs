//! Invoices: sent, paid by one or several payments, paid out of band, voided.

use super::Play;
use crate::stripe::{ChargeState, Invoice, InvoicePayment, InvoiceState, Subscription};
use crate::{NewIntent, NewInvoice, RefundStart, Slot, ids};

impl Play<'_> {
    pub(super) fn send_invoice(&mut self, new: &NewInvoice) {
        if self.new_invoice(new) {
            self.tell_invoice(new.invoice, "invoice.created");
            self.finalize(new.invoice, new.balance);
        }
    }

    /// An invoice without events, where the slot is free. The first one of a subscription makes the subscription.
    pub(super) fn new_invoice(&mut self, new: &NewInvoice) -> bool {
        if new.total < 0 || self.stripe.invoices.contains_key(&new.invoice) {
            return false;
        }
        let first = new.subscription.is_some_and(|slot| !self.stripe.subscriptions.contains_key(&slot));
        if let Some(slot) = new.subscription.filter(|_| first) {
            let id = ids::object("sub_1", 23, &[u64::from(slot)]);
            self.stripe.subscriptions.insert(slot, Subscription { id, order_id: new.subscription_order_id.clone() });
        }
        let invoice = Invoice {
            slot: new.invoice,
            home: self.home(),
            id: ids::object("in_1", 23, &[u64::from(new.invoice)]),
            created: self.now,
            total: new.total,
            currency: new.currency.clone(),
            email: new.email.clone(),
            order_id: new.order_id.clone(),
            subscription: new.subscription,
            billing_reason: match (new.subscription, first) {
                (None, _) => "manual",
                (Some(_), true) => "subscription_create",
                (Some(_), false) => "subscription_cycle",
            },
            balance: (new.balance.max(0), new.balance.max(0)),
            amount_paid: 0,
            amount_overpaid: 0,
            credit_notes: 0,
            out_of_band: false,
            state: InvoiceState::Draft,
            attempts: 0,
            payments: Vec::new(),
            intent: None,
            finalized: None,
            ended: None,
        };
        self.stripe.invoices.insert(new.invoice, invoice);
        true
    }

    /// The customer's credit is used up first.
    pub(super) fn finalize(&mut self, slot: Slot, balance: i64) {
        let now = self.now;
        let Some(invoice) = self.stripe.invoices.get_mut(&slot) else { return };
        invoice.state = InvoiceState::Open;
        invoice.finalized = Some(now);
        invoice.balance.1 = (balance - invoice.total).max(0);
        let due = invoice.amount_due();
        self.tell_invoice(slot, "invoice.finalized");
        if due == 0 {
            self.invoice_is_paid(slot);
        }
    }

    pub(super) fn invoice_is_paid(&mut self, slot: Slot) {
        let now = self.now;
        let Some(invoice) = self.stripe.invoices.get_mut(&slot) else { return };
        invoice.state = InvoiceState::Paid;
        invoice.ended = Some(now);
        self.tell_invoice(slot, "invoice.paid");
        self.tell_invoice(slot, "invoice.payment_succeeded");
    }

    /// The invoice's own intent, or a new one that pays `amount` of it. Returns its slot.
    fn invoice_intent(&mut self, slot: Slot, payment: Slot, amount: i64) -> Option<Slot> {
        let invoice = self.stripe.invoices.get(&slot)?;
        let own = invoice.intent.filter(|own| {
            self.stripe.intents.get(own).is_some_and(|intent| intent.is_payable() && intent.amount == amount)
        });
        if own.is_some() {
            return own;
        }
        if self.stripe.sessions.contains_key(&payment) && invoice.billing_reason != "subscription_create" {
            return None;
        }
        let single = !self.script.version.has_invoice_payments();
        if single && invoice.intent.is_some() {
            return None;
        }
        let (home, description) = (invoice.home.clone(), description(invoice.billing_reason));
        if !self.new_intent(&NewIntent::new(payment, amount, &invoice.currency.clone())) {
            return None;
        }
        let intent = self.stripe.intents.get_mut(&payment)?;
        intent.home = home;
        intent.description = Some(description);
        intent.invoices.push(slot);
        self.stripe.invoices.get_mut(&slot)?.intent.get_or_insert(payment);
        self.tell_intent(payment, "payment_intent.created");
        Some(payment)
    }

    pub(super) fn pay_invoice(&mut self, slot: Slot, payment: Slot, amount: Option<i64>) {
        let Some(invoice) = self.stripe.invoices.get(&slot) else { return };
        let left = invoice.amount_remaining();
        let amount = amount.unwrap_or(left);
        let in_parts = self.script.version.has_invoice_payments();
        let possible = match invoice.state {
            InvoiceState::Open => amount == left || in_parts,
            InvoiceState::Paid => in_parts && !invoice.payments.is_empty(),
            InvoiceState::Draft | InvoiceState::Void => false,
        };
        if !possible || amount <= 0 {
            return;
        }
        let Some(payment) = self.invoice_intent(slot, payment, amount) else { return };
        self.pay_by_card(payment, None);
        self.attach(slot, payment, amount);
        self.settle_invoice(slot, amount > left);
    }

    /// The money of a payment is the invoice's.
    pub(super) fn attach(&mut self, slot: Slot, payment: Slot, amount: i64) {
        let now = self.now;
        let Some(invoice) = self.stripe.invoices.get_mut(&slot) else { return };
        let over = (amount - invoice.amount_remaining()).max(0);
        invoice.attempts += 1;
        invoice.amount_paid += amount;
        invoice.amount_overpaid += over;
        let id = ids::object("inpay_1", 23, &[u64::from(slot), u64::from(payment)]);
        invoice.payments.push(InvoicePayment { id, payment, amount, created: now });
        self.tell_invoice_payment(slot);
    }

    pub(super) fn settle_invoice(&mut self, slot: Slot, overpaid: bool) {
        let Some(invoice) = self.stripe.invoices.get(&slot) else { return };
        if invoice.state == InvoiceState::Open && invoice.amount_remaining() == 0 {
            self.invoice_is_paid(slot);
        } else {
            self.tell_invoice(slot, "invoice.updated");
        }
        if overpaid {
            self.tell_invoice(slot, "invoice.overpaid");
        }
    }

    pub(super) fn decline_invoice(&mut self, slot: Slot, payment: Slot) {
        let Some(invoice) = self.stripe.invoices.get(&slot).filter(|invoice| invoice.state == InvoiceState::Open)
        else {
            return;
        };
        let left = invoice.amount_remaining();
        let Some(payment) = self.invoice_intent(slot, payment, left) else { return };
        if let Some(intent) = self.stripe.intents.get_mut(&payment) {
            intent.declined = true;
        }
        if let Some(invoice) = self.stripe.invoices.get_mut(&slot) {
            invoice.attempts += 1;
        }
        self.add_charge(payment, ChargeState::Failed, None);
        self.tell_charge(payment, "charge.failed", None);
        self.tell_intent(payment, "payment_intent.payment_failed");
        self.tell_invoice(slot, "invoice.payment_failed");
    }

    /// One intent for several invoices of one currency and account.
    pub(super) fn pay_invoices(&mut self, slots: &[Slot], payment: Slot) {
        let mut open: Vec<Slot> = Vec::new();
        for slot in slots {
            let untouched = |invoice: &Invoice| invoice.state == InvoiceState::Open && invoice.intent.is_none();
            if self.stripe.invoices.get(slot).is_some_and(untouched) && !open.contains(slot) {
                open.push(*slot);
            }
        }
        let invoices: Vec<&Invoice> = open.iter().filter_map(|slot| self.stripe.invoices.get(slot)).collect();
        let Some(first) = invoices.first() else { return };
        let alike = invoices.iter().all(|invoice| invoice.currency == first.currency && invoice.home == first.home);
        let sum = invoices.iter().map(|invoice| invoice.amount_remaining()).sum();
        let (home, currency) = (first.home.clone(), first.currency.clone());
        let free = !self.stripe.sessions.contains_key(&payment);
        if !self.script.version.has_invoice_payments() || !alike || !free {
            return;
        }
        if !self.new_intent(&NewIntent::new(payment, sum, &currency)) {
            return;
        }
        if let Some(intent) = self.stripe.intents.get_mut(&payment) {
            intent.home = home;
            intent.description = Some("Payment for Invoices");
            intent.invoices.clone_from(&open);
        }
        self.tell_intent(payment, "payment_intent.created");
        self.pay_by_card(payment, None);
        for slot in open {
            let left = self.stripe.invoices.get(&slot).map_or(0, Invoice::amount_remaining);
            if let Some(invoice) = self.stripe.invoices.get_mut(&slot) {
                invoice.intent = Some(payment);
            }
            self.attach(slot, payment, left);
            self.settle_invoice(slot, false);
        }
    }

    pub(super) fn credit_note(&mut self, slot: Slot, refund: Option<Slot>, amount: i64) {
        let Some(invoice) = self.stripe.invoices.get(&slot) else { return };
        let payment = invoice.payments.last().map(|payment| payment.payment);
        let possible = amount > 0 && amount <= invoice.amount_paid - invoice.credit_notes;
        let Some(payment) = payment.filter(|_| possible && invoice.state == InvoiceState::Paid) else { return };
        if let Some(refund) = refund {
            if self.stripe.refunds.contains_key(&refund) || amount > self.stripe.refundable(payment) {
                return;
            }
            self.refund(payment, refund, amount, RefundStart::Succeeded);
        }
        if let Some(invoice) = self.stripe.invoices.get_mut(&slot) {
            invoice.credit_notes += amount;
        }
        self.tell_credit_note(slot, refund, amount);
    }

    pub(super) fn mark_invoice_paid(&mut self, slot: Slot) {
        let open = |invoice: &Invoice| invoice.state == InvoiceState::Open && invoice.payments.is_empty();
        if !self.stripe.invoices.get(&slot).is_some_and(open) {
            return;
        }
        self.end_invoice_intent(slot);
        if let Some(invoice) = self.stripe.invoices.get_mut(&slot) {
            invoice.out_of_band = true;
            invoice.amount_paid = invoice.amount_due();
        }
        self.invoice_is_paid(slot);
    }

    pub(super) fn void_invoice(&mut self, slot: Slot) {
        let open = |invoice: &Invoice| invoice.state == InvoiceState::Open && invoice.payments.is_empty();
        if !self.stripe.invoices.get(&slot).is_some_and(open) {
            return;
        }
        self.end_invoice_intent(slot);
        let now = self.now;
        if let Some(invoice) = self.stripe.invoices.get_mut(&slot) {
            invoice.state = InvoiceState::Void;
            invoice.ended = Some(now);
        }
        self.tell_invoice(slot, "invoice.voided");
    }

    /// An intent that nobody will pay any more is canceled with its invoice.
    fn end_invoice_intent(&mut self, slot: Slot) {
        let own = self.stripe.invoices.get(&slot).and_then(|invoice| invoice.intent);
        if let Some(payment) =
            own.filter(|own| self.stripe.intents.get(own).is_some_and(crate::stripe::Intent::is_payable))
        {
            self.end_intent(payment, "void_invoice");
        }
    }
}

fn description(billing_reason: &str) -> &'static str {
    match billing_reason {
        "subscription_create" => "Subscription creation",
        "subscription_cycle" => "Subscription update",
        _ => "Payment for Invoice",
    }
}
