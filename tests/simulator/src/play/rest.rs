//! Everything comes to an end of which the law says what it is.

use super::Play;
use crate::stripe::{IntentState, InvoiceState, RefundState};
use crate::{Method, Slot, Verdict};

impl Play<'_> {
    pub(super) fn rest(&mut self) {
        self.wait(3600);
        self.rest_intents();
        let pending = self.stripe.refunds.iter().filter(|(_, refund)| refund.state == RefundState::Pending);
        for refund in pending.map(|(slot, _)| *slot).collect::<Vec<_>>() {
            self.settle_refund(refund);
        }
        let inquiries = self.stripe.disputes.iter().filter(|(_, dispute)| dispute.state.is_inquiry());
        for dispute in inquiries.map(|(slot, _)| *slot).collect::<Vec<_>>() {
            self.close_dispute(dispute, Verdict::Won);
        }
        self.rest_invoices();
    }

    /// Captures that are under way are finished, vouchers run out.
    fn rest_intents(&mut self) {
        let intents: Vec<Slot> = self.stripe.intents.keys().copied().collect();
        for payment in intents {
            let Some(intent) = self.stripe.intents.get(&payment) else { continue };
            if intent.state == IntentState::RequiresCapture && intent.amount_received > 0 {
                self.capture(payment, 0, true);
            } else if intent.state == IntentState::RequiresAction && intent.method == Some(Method::Boleto) {
                self.bounce(payment);
            } else if intent.method == Some(Method::BankTransfer) {
                self.fund(payment, intent.amount);
            }
        }
    }

    /// Invoices on which nobody could take money are voided.
    fn rest_invoices(&mut self) {
        let unpaid =
            self.stripe.invoices.values().filter(|invoice| {
                invoice.state == InvoiceState::Open && (invoice.attempts > 0 || invoice.credited() > 0)
            });
        for invoice in unpaid.map(|invoice| invoice.slot).collect::<Vec<_>>() {
            self.void_invoice(invoice);
        }
    }
}
