//! The customer's side: pays by some method, is declined, and the bank's answer days later.

use super::Play;
use crate::stripe::{Charge, ChargeState, Intent, IntentState, PaymentStatus};
use crate::{Method, Slot, ids};

impl Play<'_> {
    /// Whether a customer can pay it on a page: an invoice's intent is paid as the invoice is.
    fn can_pay(&mut self, payment: Slot) -> bool {
        self.session_intent(payment);
        // Nobody tries again within the second of a decline.
        if self.stripe.intents.get(&payment).is_some_and(|intent| intent.declined) {
            self.wait_past(self.latest);
        }
        self.stripe.intents.get(&payment).is_some_and(|intent| intent.is_payable() && intent.invoices.is_empty())
    }

    pub(super) fn pay(&mut self, payment: Slot, by: Method, email: Option<&String>) {
        let at_terminal = matches!(by, Method::Terminal { .. });
        if at_terminal && self.stripe.sessions.contains_key(&payment) || !self.can_pay(payment) {
            return;
        }
        let from_page = self.stripe.sessions.get(&payment).and_then(|session| session.email.clone());
        let email = email.cloned().or(from_page);
        if let Some(intent) = self.stripe.intents.get_mut(&payment) {
            intent.method = Some(by);
            intent.declined = false;
            if let Method::Terminal { tip } = by {
                intent.tip = tip.max(0);
                intent.amount += intent.tip;
            }
        }
        match by {
            Method::Card | Method::Terminal { .. } => self.pay_by_card(payment, email),
            Method::Sepa => self.send_debit(payment, email),
            Method::Boleto | Method::Microdeposits | Method::BankTransfer => self.ask_to_act(payment),
        }
    }

    /// A charge of the whole amount; the caller says what became of it.
    pub(super) fn add_charge(&mut self, payment: Slot, state: ChargeState, email: Option<String>) {
        let now = self.now;
        let Some(intent) = self.stripe.intents.get_mut(&payment) else { return };
        let number = u64::try_from(intent.charges.len()).unwrap_or_default();
        let prefix =
            if matches!(intent.method, None | Some(Method::Card | Method::Terminal { .. })) { "ch_3" } else { "py_3" };
        let captured = state == ChargeState::Succeeded && !intent.manual_capture;
        intent.charges.push(Charge {
            id: ids::object(prefix, 23, &[u64::from(payment), number]),
            created: now,
            amount: intent.amount,
            amount_captured: if captured { intent.amount } else { 0 },
            released: 0,
            captured,
            state,
            email,
            order_id: intent.order_id.clone(),
        });
    }

    pub(super) fn pay_by_card(&mut self, payment: Slot, email: Option<String>) {
        self.add_charge(payment, ChargeState::Succeeded, email);
        let Some(intent) = self.stripe.intents.get_mut(&payment) else { return };
        if intent.manual_capture {
            intent.state = IntentState::RequiresCapture;
            intent.amount_capturable = intent.amount;
            self.tell_charge(payment, "charge.succeeded", None);
            self.tell_intent(payment, "payment_intent.amount_capturable_updated");
            self.complete_session(payment, PaymentStatus::Unpaid);
        } else {
            intent.state = IntentState::Succeeded;
            intent.amount_received = intent.amount;
            self.tell_charge(payment, "charge.succeeded", None);
            self.tell_intent(payment, "payment_intent.succeeded");
            self.complete_session(payment, PaymentStatus::Paid);
            self.settling.push((self.now + 3, payment));
        }
    }

    /// A bank debit is on its way.
    fn send_debit(&mut self, payment: Slot, email: Option<String>) {
        self.add_charge(payment, ChargeState::Pending, email);
        if let Some(intent) = self.stripe.intents.get_mut(&payment) {
            intent.state = IntentState::Processing;
        }
        self.tell_charge(payment, "charge.pending", None);
        self.tell_intent(payment, "payment_intent.processing");
        self.complete_session(payment, PaymentStatus::Unpaid);
    }

    fn ask_to_act(&mut self, payment: Slot) {
        if let Some(intent) = self.stripe.intents.get_mut(&payment) {
            intent.state = IntentState::RequiresAction;
        }
        self.tell_intent(payment, "payment_intent.requires_action");
        self.complete_session(payment, PaymentStatus::Unpaid);
    }

    pub(super) fn decline(&mut self, payment: Slot, email: Option<&String>) {
        let done = self.stripe.sessions.get(&payment).is_some_and(|session| session.told);
        if done || !self.can_pay(payment) {
            return;
        }
        if let Some(intent) = self.stripe.intents.get_mut(&payment) {
            intent.method = Some(Method::Card);
            intent.declined = true;
        }
        self.add_charge(payment, ChargeState::Failed, email.cloned());
        self.tell_charge(payment, "charge.failed", None);
        self.tell_intent(payment, "payment_intent.payment_failed");
    }

    pub(super) fn verify(&mut self, payment: Slot) {
        let waits = |intent: &Intent| {
            intent.state == IntentState::RequiresAction && intent.method == Some(Method::Microdeposits)
        };
        if self.stripe.intents.get(&payment).is_some_and(waits) {
            let email = self.stripe.sessions.get(&payment).and_then(|session| session.email.clone());
            self.send_debit(payment, email);
        }
    }

    /// Whether money of a delayed method is awaited.
    fn is_delayed(&self, payment: Slot) -> bool {
        self.stripe.intents.get(&payment).is_some_and(|intent| {
            intent.state == IntentState::Processing
                || intent.state == IntentState::RequiresAction && intent.method == Some(Method::Boleto)
        })
    }

    pub(super) fn clear(&mut self, payment: Slot) {
        if !self.is_delayed(payment) {
            return;
        }
        self.wait_past(self.latest);
        let Some(intent) = self.stripe.intents.get_mut(&payment) else { return };
        intent.state = IntentState::Succeeded;
        intent.amount_received = intent.amount;
        let amount = intent.amount;
        if let Some(charge) = intent.charges.last_mut().filter(|charge| charge.state == ChargeState::Pending) {
            charge.state = ChargeState::Succeeded;
            charge.captured = true;
            charge.amount_captured = amount;
        } else {
            let email = self.stripe.sessions.get(&payment).and_then(|session| session.email.clone());
            self.add_charge(payment, ChargeState::Succeeded, email);
        }
        self.tell_charge(payment, "charge.succeeded", None);
        self.tell_intent(payment, "payment_intent.succeeded");
        self.settle_session(payment, true);
    }

    pub(super) fn fund(&mut self, payment: Slot, amount: i64) {
        let awaited = |intent: &Intent| {
            intent.state == IntentState::RequiresAction && intent.method == Some(Method::BankTransfer)
        };
        if amount <= 0 || !self.stripe.intents.get(&payment).is_some_and(awaited) {
            return;
        }
        self.wait_past(self.latest);
        let Some(intent) = self.stripe.intents.get_mut(&payment) else { return };
        intent.funded += amount.min(intent.amount - intent.funded);
        if intent.funded < intent.amount {
            self.tell_intent(payment, "payment_intent.partially_funded");
            return;
        }
        intent.state = IntentState::Succeeded;
        intent.amount_received = intent.amount;
        let email = self.stripe.sessions.get(&payment).and_then(|session| session.email.clone());
        self.add_charge(payment, ChargeState::Succeeded, email);
        self.tell_charge(payment, "charge.succeeded", None);
        self.tell_intent(payment, "payment_intent.succeeded");
        self.settle_session(payment, true);
    }

    pub(super) fn bounce(&mut self, payment: Slot) {
        if !self.is_delayed(payment) {
            return;
        }
        self.wait_past(self.latest);
        let Some(intent) = self.stripe.intents.get_mut(&payment) else { return };
        intent.state = IntentState::RequiresPaymentMethod;
        intent.declined = true;
        let sent = intent.charges.last_mut().filter(|charge| charge.state == ChargeState::Pending);
        let charged = sent.is_some();
        if let Some(charge) = sent {
            charge.state = ChargeState::Failed;
        }
        if charged {
            self.tell_charge(payment, "charge.failed", None);
        }
        self.tell_intent(payment, "payment_intent.payment_failed");
        self.settle_session(payment, false);
    }
}
