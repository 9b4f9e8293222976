//! Disputes, and what warns of one.

use serde_json::json;

use super::Play;
use crate::stripe::{ChargeState, Dispute, DisputeState};
use crate::{DisputeKind, Slot, Verdict, ids, render};

impl Play<'_> {
    /// What no dispute of a payment has taken hold of yet.
    fn disputable(&self, payment: Slot) -> i64 {
        let Some(charge) = self.stripe.intents.get(&payment).and_then(|intent| intent.charge()) else { return 0 };
        if charge.state != ChargeState::Succeeded || !charge.captured {
            return 0;
        }
        charge.amount_captured - self.stripe.disputes_of(payment).map(|dispute| dispute.amount).sum::<i64>()
    }

    pub(super) fn dispute(&mut self, payment: Slot, dispute: Slot, amount: i64, kind: DisputeKind) {
        let conversion = self.stripe.sessions.get(&payment).and_then(|session| session.conversion.clone());
        let amount = conversion.map_or(amount, |conversion| conversion.forth(amount));
        let taken = self.stripe.disputes.contains_key(&dispute);
        if amount <= 0 || taken || amount > self.disputable(payment) {
            return;
        }
        let state = match kind {
            DisputeKind::Inquiry => DisputeState::WarningNeedsResponse,
            DisputeKind::Chargeback => DisputeState::NeedsResponse,
            DisputeKind::BornLost => DisputeState::Lost,
        };
        let made = Dispute {
            payment,
            id: ids::object("du_1", 23, &[u64::from(payment), u64::from(dispute)]),
            created: self.now,
            amount,
            state,
            answered: false,
            born_lost: kind == DisputeKind::BornLost,
        };
        self.stripe.disputes.insert(dispute, made);
        self.tell_dispute(dispute, "charge.dispute.created", None);
        if kind != DisputeKind::Inquiry {
            self.tell_dispute(dispute, "charge.dispute.funds_withdrawn", None);
        }
        if kind == DisputeKind::BornLost {
            self.tell_dispute(dispute, "charge.dispute.closed", None);
        }
    }

    /// Moves a dispute a second after its last state at the earliest, and says which state it had.
    fn move_dispute(
        &mut self,
        dispute: Slot,
        to: impl FnOnce(&Dispute) -> Option<DisputeState>,
    ) -> Option<&'static str> {
        let state = to(self.stripe.disputes.get(&dispute)?)?;
        self.wait_past(self.latest);
        let moved = self.stripe.disputes.get_mut(&dispute)?;
        Some(std::mem::replace(&mut moved.state, state).name())
    }

    pub(super) fn answer_dispute(&mut self, dispute: Slot) {
        let before = self.move_dispute(dispute, |dispute| match dispute.state {
            DisputeState::WarningNeedsResponse => Some(DisputeState::WarningUnderReview),
            DisputeState::NeedsResponse => Some(DisputeState::UnderReview),
            _ => None,
        });
        let Some(before) = before else { return };
        if let Some(dispute) = self.stripe.disputes.get_mut(&dispute) {
            dispute.answered = true;
        }
        self.tell_dispute(dispute, "charge.dispute.updated", Some(json!({ "status": before })));
    }

    pub(super) fn escalate_dispute(&mut self, dispute: Slot) {
        let before = self.move_dispute(dispute, |dispute| {
            matches!(dispute.state, DisputeState::WarningNeedsResponse | DisputeState::WarningUnderReview)
                .then_some(DisputeState::NeedsResponse)
        });
        let Some(before) = before else { return };
        self.tell_dispute(dispute, "charge.dispute.updated", Some(json!({ "status": before })));
        self.tell_dispute(dispute, "charge.dispute.funds_withdrawn", None);
    }

    pub(super) fn close_dispute(&mut self, dispute: Slot, verdict: Verdict) {
        let before = self.move_dispute(dispute, |dispute| match (dispute.state, verdict) {
            (state, _) if !state.is_open() => None,
            (state, _) if state.is_inquiry() => Some(DisputeState::WarningClosed),
            (_, Verdict::Won) => Some(DisputeState::Won),
            (_, Verdict::Lost) => Some(DisputeState::Lost),
        });
        let Some(before) = before else { return };
        self.tell_dispute(dispute, "charge.dispute.closed", Some(json!({ "status": before })));
        if self.stripe.disputes.get(&dispute).is_some_and(|dispute| dispute.state == DisputeState::Won) {
            self.tell_dispute(dispute, "charge.dispute.funds_reinstated", None);
        }
    }

    pub(super) fn overturn_dispute(&mut self, dispute: Slot) {
        let before = self.move_dispute(dispute, |dispute| {
            (dispute.state == DisputeState::Lost && !dispute.born_lost).then_some(DisputeState::Won)
        });
        let Some(before) = before else { return };
        self.tell_dispute(dispute, "charge.dispute.updated", Some(json!({ "status": before })));
        self.tell_dispute(dispute, "charge.dispute.funds_reinstated", None);
    }

    pub(super) fn warn_of_fraud(&mut self, payment: Slot) {
        if self.stripe.refundable(payment) <= 0 || self.stripe.warned.contains(&payment) {
            return;
        }
        let Some(intent) = self.stripe.intents.get(&payment) else { return };
        let (object, home) = (render::fraud_warning(intent, self.now), intent.home.clone());
        self.stripe.warned.push(payment);
        self.emit("radar.early_fraud_warning.created", &home, object, None);
    }

    pub(super) fn open_review(&mut self, payment: Slot) {
        if self.stripe.refundable(payment) <= 0 || self.stripe.reviewed.contains(&payment) {
            return;
        }
        let Some(intent) = self.stripe.intents.get(&payment) else { return };
        let (object, home) = (render::review(intent, self.now, true), intent.home.clone());
        self.stripe.reviewed.push(payment);
        self.emit("review.opened", &home, object, None);
    }

    pub(super) fn close_review(&mut self, payment: Slot) {
        let Some(place) = self.stripe.reviewed.iter().position(|reviewed| *reviewed == payment) else { return };
        self.wait_past(self.latest);
        let Some(intent) = self.stripe.intents.get(&payment) else { return };
        let (object, home) = (render::review(intent, self.now, false), intent.home.clone());
        self.stripe.reviewed.remove(place);
        self.emit("review.closed", &home, object, None);
    }
}
