//! An attempt's amounts: what came in, what went back, what was lost.

use super::Attempt;
use crate::orders::facts::charge::Charge;
use crate::orders::facts::dispute;
use crate::orders::facts::payment_intent::Status as Intent;
use crate::orders::facts::refund::Refund;

impl<'a> Attempt<'a> {
    /// Charges of which more was given back than the known refunds say, and how much more.
    pub fn unexplained(&self) -> Vec<(&'a str, &'a Charge, i64)> {
        let mut unplaced = total(self.refunds.iter().filter(|(_, refund)| refund.ties.charges.is_empty()).copied());
        let mut unexplained = Vec::new();
        for (id, charge) in self.component.charges.iter().copied().filter(|(_, charge)| charge.took()) {
            let placed = self.refunds.iter().filter(|(_, refund)| refund.ties.charges.contains(id));
            let over = charge.given_back().saturating_sub(total(placed.copied())).max(0);
            let explained = over.min(unplaced);
            unplaced -= explained;
            if over > explained {
                unexplained.push((id, charge, over - explained));
            }
        }
        unexplained
    }

    pub(super) fn direct_charges(&self) -> impl Iterator<Item = &'a Charge> {
        self.component.charges.iter().map(|(_, charge)| *charge).filter(|charge| charge.direct && charge.took())
    }

    pub(super) fn came_in(&self) -> i64 {
        let intents = self.component.payment_intents.iter().map(|(_, intent)| &intent.now.is);
        let live = intents.filter(|intent| intent.status != Intent::Canceled);
        let by_intents = self.sum(live.map(|intent| (intent.received, &*intent.currency)));
        let invoices = self.component.invoices.iter().map(|(_, invoice)| &invoice.now.is);
        let by_invoices = self.sum(invoices.map(|invoice| (invoice.paid, &*invoice.asked.currency)));
        let by_charges =
            self.sum(self.direct_charges().map(|charge| (charge.amount_captured, &*charge.now.is.currency)));
        // They tell of the same money: the one that knows most is right.
        let known = by_intents.max(by_invoices).max(by_charges);
        if known > 0 {
            return known;
        }
        let sessions = self.component.sessions.iter().filter(|(_, session)| session.paid());
        sessions.filter_map(|(_, session)| session.expects()).fold(0, |sum, asked| sum.saturating_add(asked.total))
    }

    pub(super) fn is_full(&self) -> bool {
        let component = &self.component;
        if component.sessions.iter().any(|(_, session)| session.paid()) {
            return true;
        }
        if component.invoices.iter().any(|(_, invoice)| invoice.paid()) {
            return true;
        }
        let paid = component.payment_intents.iter().any(|(_, intent)| intent.succeeded())
            || self.direct_charges().next().is_some();
        paid && component.invoices.iter().all(|(_, invoice)| self.paid >= invoice.now.is.due)
    }

    pub(super) fn went_back(&self) -> i64 {
        let live = self.refunds.iter().filter(|(_, refund)| refund.live()).map(|(_, refund)| &refund.now.is);
        let refunds = self.sum(live.map(|refund| (refund.amount, &*refund.currency)));
        let more =
            self.sum(self.unexplained().into_iter().map(|(_, charge, more)| (more, charge.now.is.currency.as_str())));
        refunds.saturating_add(more)
    }

    pub(super) fn was_lost(&self) -> i64 {
        let disputes = self.component.disputes.iter().map(|(_, dispute)| &dispute.now.is);
        let lost = disputes.filter(|dispute| dispute.status == dispute::Status::Lost);
        lost.fold(0, |sum: i64, dispute| {
            let known = self.price.is_none_or(|price| price.currency == dispute.currency) || self.exchange.is_some();
            // A bank may count in a currency of its own; then it disputes the whole.
            let amount = if known { self.exchanged(dispute.amount, &dispute.currency) } else { self.paid };
            sum.saturating_add(amount)
        })
    }

    fn sum<'b>(&self, amounts: impl Iterator<Item = (i64, &'b str)>) -> i64 {
        amounts.fold(0, |sum, (amount, currency)| sum.saturating_add(self.exchanged(amount, currency)))
    }

    fn exchanged(&self, amount: i64, currency: &str) -> i64 {
        self.exchange.map_or(amount, |exchange| exchange.apply(amount, currency))
    }
}

fn total<'b>(refunds: impl Iterator<Item = (&'b str, &'b Refund)>) -> i64 {
    refunds.fold(0, |sum, (_, refund)| sum.saturating_add(refund.now.is.amount))
}
