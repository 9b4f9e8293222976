//! A subscription that begins at a checkout page: all of it in one second.

use super::Play;
use crate::stripe::{PaymentStatus, Session, SessionState};
use crate::{NewInvoice, NewSubscription, Slot, render};

impl Play<'_> {
    pub(super) fn subscribe(&mut self, new: &NewSubscription) {
        let taken = self.stripe.sessions.contains_key(&new.payment)
            || self.stripe.intents.contains_key(&new.payment)
            || self.stripe.subscriptions.contains_key(&new.subscription)
            || self.stripe.invoices.contains_key(&new.invoice);
        if taken || new.amount < 0 {
            return;
        }
        let invoice = NewInvoice {
            invoice: new.invoice,
            total: new.amount,
            currency: new.currency.clone(),
            email: new.email.clone(),
            order_id: None,
            subscription: Some(new.subscription),
            subscription_order_id: new.subscription_order_id.clone(),
            balance: 0,
        };
        let session = self.subscription_session(new);
        self.stripe.sessions.insert(new.payment, session);
        self.send_invoice(&invoice);
        self.tell_subscription(new.subscription, new.amount == 0);
        self.pay_invoice(new.invoice, new.payment, None);
        let status = if new.amount == 0 { PaymentStatus::NoPaymentRequired } else { PaymentStatus::Paid };
        self.complete_session(new.payment, status);
    }

    fn subscription_session(&self, new: &NewSubscription) -> Session {
        Session {
            payment: new.payment,
            home: self.home(),
            id: self.session_id(new.payment),
            created: self.now,
            amount_total: new.amount,
            amount_subtotal: new.amount,
            currency: new.currency.clone(),
            conversion: None,
            presentment: None,
            email: new.email.clone(),
            order_id: new.order_id.clone(),
            intent_order_id: None,
            client_reference_id: new.client_reference_id.clone(),
            link: new.link,
            manual_capture: false,
            state: SessionState::Open,
            payment_status: PaymentStatus::Unpaid,
            subscription: Some(new.subscription),
            invoice: Some(new.invoice),
            told: false,
        }
    }

    fn tell_subscription(&mut self, slot: Slot, trial: bool) {
        let Some(subscription) = self.stripe.subscriptions.get(&slot) else { return };
        let home = self.home();
        let object = render::subscription(slot, subscription, &home, self.now, trial);
        self.emit("customer.subscription.created", &home, object, None);
    }
}
