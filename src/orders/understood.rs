//! The event types that say something of orders: what an endpoint is registered for.

/// Every type of Stripe's that this build reads, sorted.
pub const UNDERSTOOD: [&str; 49] = [
    "charge.captured",
    "charge.dispute.closed",
    "charge.dispute.created",
    "charge.dispute.funds_reinstated",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.updated",
    "charge.expired",
    "charge.failed",
    "charge.pending",
    "charge.refund.updated",
    "charge.refunded",
    "charge.succeeded",
    "charge.updated",
    "checkout.session.async_payment_failed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.completed",
    "checkout.session.expired",
    "invoice.created",
    "invoice.deleted",
    "invoice.finalization_failed",
    "invoice.finalized",
    "invoice.marked_uncollectible",
    "invoice.overdue",
    "invoice.overpaid",
    "invoice.paid",
    "invoice.payment_action_required",
    "invoice.payment_attempt_required",
    "invoice.payment_failed",
    "invoice.payment_succeeded",
    "invoice.sent",
    "invoice.updated",
    "invoice.voided",
    "invoice.will_be_due",
    "invoice_payment.paid",
    "payment_intent.amount_capturable_updated",
    "payment_intent.canceled",
    "payment_intent.created",
    "payment_intent.partially_funded",
    "payment_intent.payment_failed",
    "payment_intent.processing",
    "payment_intent.requires_action",
    "payment_intent.succeeded",
    "radar.early_fraud_warning.created",
    "radar.early_fraud_warning.updated",
    "refund.created",
    "refund.failed",
    "refund.updated",
    "review.closed",
    "review.opened",
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::UNDERSTOOD;
    use crate::orders::{Labelling, Taken, take};
    use crate::source::stripe;

    /// One that is read is missed where it comes without its object.
    fn is_read(kind: &str) -> bool {
        let body = format!(r#"{{"id":"evt_1","type":"{kind}"}}"#);
        matches!(take(&stripe::parse(body.as_bytes()).unwrap(), &Labelling::default()), Taken::Quarantined(_))
    }

    #[test]
    fn they_are_those_of_stripes_types_that_are_read() {
        let samples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/stripe/official-objects");
        let names = std::fs::read_dir(samples).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut kinds: Vec<String> = names.filter_map(|name| Some(name.strip_suffix(".json")?.to_owned())).collect();
        kinds.retain(|kind| is_read(kind));
        kinds.sort();
        assert_eq!(kinds, UNDERSTOOD);
    }
}
