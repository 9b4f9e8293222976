//! Checkout pages: opened without an event, completed with the first try that the bank takes.

use super::Play;
use crate::stripe::{Conversion, PaymentStatus, Session, SessionState};
use crate::{Money, NewCheckout, NewIntent, Slot, ids};

impl Play<'_> {
    pub(super) fn open_checkout(&mut self, new: &NewCheckout) {
        let taken = self.stripe.sessions.contains_key(&new.payment) || self.stripe.intents.contains_key(&new.payment);
        if taken || new.amount < 0 {
            return;
        }
        let session = self.session_of(new);
        self.stripe.sessions.insert(new.payment, session);
        if new.amount == 0 {
            self.complete_session(new.payment, PaymentStatus::NoPaymentRequired);
        }
    }

    fn session_of(&self, new: &NewCheckout) -> Session {
        let subtotal = new.subtotal.unwrap_or(new.amount);
        let seen = new.presentment.as_ref().filter(|seen| seen.amount > 0 && new.amount > 0);
        let details = self.script.version.has_presentment_details();
        let conversion = seen.filter(|_| !details).map(|seen| Conversion {
            source: Money { currency: new.currency.clone(), amount: new.amount },
            source_subtotal: subtotal,
            charged: seen.amount,
        });
        let charged = |amount| conversion.as_ref().map_or(amount, |conversion| conversion.forth(amount));
        Session {
            payment: new.payment,
            home: self.home(),
            id: self.session_id(new.payment),
            created: self.now,
            amount_total: charged(new.amount),
            amount_subtotal: charged(subtotal),
            currency: seen.filter(|_| !details).map_or(&new.currency, |seen| &seen.currency).clone(),
            conversion,
            presentment: seen.filter(|_| details).cloned(),
            email: new.email.clone(),
            order_id: new.order_id.clone(),
            intent_order_id: new.intent_order_id.clone(),
            client_reference_id: new.client_reference_id.clone(),
            link: new.link,
            manual_capture: new.manual_capture,
            state: SessionState::Open,
            payment_status: PaymentStatus::Unpaid,
            subscription: None,
            invoice: None,
            told: false,
        }
    }

    pub(super) fn session_id(&self, payment: Slot) -> String {
        let prefix = if self.script.livemode { "cs_live_a1" } else { "cs_test_a1" };
        ids::object(prefix, 56, &[u64::from(payment)])
    }

    /// The intent of an open session is made when the customer first tries to pay.
    pub(super) fn session_intent(&mut self, payment: Slot) {
        let Some(session) = self.stripe.sessions.get(&payment) else { return };
        if session.state != SessionState::Open || self.stripe.intents.contains_key(&payment) {
            return;
        }
        let (home, presentment) = (session.home.clone(), session.presentment.clone());
        let new = NewIntent {
            payment,
            amount: session.amount_total,
            currency: session.currency.clone(),
            order_id: session.intent_order_id.clone(),
            receipt_email: None,
            manual_capture: session.manual_capture,
        };
        self.new_intent(&new);
        if let Some(intent) = self.stripe.intents.get_mut(&payment) {
            intent.home = home;
            intent.presentment = presentment;
        }
        let late = i64::from(self.coin());
        self.tell_intent_at(self.now + late, payment, "payment_intent.created");
    }

    /// The page shows that it is done.
    pub(super) fn complete_session(&mut self, payment: Slot, status: PaymentStatus) {
        let Some(session) = self.stripe.sessions.get_mut(&payment) else { return };
        if session.state == SessionState::Open {
            session.state = SessionState::Complete;
            session.payment_status = status;
            self.tell_session(payment, "checkout.session.completed");
        }
    }

    /// Money of a delayed method came, or did not.
    pub(super) fn settle_session(&mut self, payment: Slot, paid: bool) {
        let Some(session) = self.stripe.sessions.get_mut(&payment) else { return };
        if session.state != SessionState::Complete || session.payment_status != PaymentStatus::Unpaid {
            return;
        }
        if paid {
            session.payment_status = PaymentStatus::Paid;
            self.tell_session(payment, "checkout.session.async_payment_succeeded");
        } else {
            self.tell_session(payment, "checkout.session.async_payment_failed");
        }
    }

    pub(super) fn abandon_checkout(&mut self, payment: Slot) {
        let tried = self.stripe.intents.contains_key(&payment);
        let Some(session) = self.stripe.sessions.get_mut(&payment) else { return };
        if session.state == SessionState::Open && !tried {
            session.state = SessionState::Expired;
            self.tell_session(payment, "checkout.session.expired");
        }
    }
}
