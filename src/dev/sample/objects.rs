//! Stripe's objects about a purchase, each as it stands at one moment.

use rand::Rng;
use serde_json::{Value, json};

use super::{Method, Purchase};

/// A day, in seconds.
const DAY: i64 = 86_400;

/// A template with `fields` over it.
pub(super) fn fill(template: &str, fields: Value) -> Value {
    let mut object = serde_json::from_str(template).unwrap_or_default();
    lay(&mut object, fields);
    object
}

/// Lays `fields` over `object`: objects are merged, all else is replaced.
pub fn lay(object: &mut Value, fields: Value) {
    match (object, fields) {
        (Value::Object(old), Value::Object(new)) => {
            for (name, value) in new {
                lay(old.entry(name).or_insert(Value::Null), value);
            }
        }
        (old, new) => *old = new,
    }
}

impl Purchase {
    /// The succeeded charge.
    pub fn succeeded_charge(&self, rng: &mut impl Rng, created: i64) -> Value {
        fill(
            include_str!("objects/charge.json"),
            json!({
                "id": self.charge, "amount": self.total, "amount_captured": self.total, "created": created,
                "currency": self.currency, "payment_intent": self.payment_intent,
                "payment_method": self.payment_method, "balance_transaction": self.id(rng, "txn"),
                "billing_details": {
                    "address": {
                        "country": self.customer.country, "postal_code": self.customer.address["postal_code"],
                    },
                    "email": self.customer.email, "name": self.customer.name,
                },
                "payment_method_details": self.payment_method_details(), "shipping": self.parcel(),
                "receipt_url": format!("https://pay.stripe.com/receipts/payment/{}", self.secret),
            }),
        )
    }

    /// The declined charge.
    pub fn failed_charge(&self, rng: &mut impl Rng, created: i64) -> Value {
        let mut charge = self.succeeded_charge(rng, created);
        lay(
            &mut charge,
            json!({
                "amount_captured": 0, "balance_transaction": null, "captured": false, "paid": false,
                "status": "failed", "failure_code": "card_declined",
                "failure_message": "Your card has insufficient funds.", "receipt_url": null,
                "outcome": {
                    "advice_code": "try_again_later", "network_decline_code": "51",
                    "network_status": "declined_by_network", "reason": "insufficient_funds",
                    "seller_message": "The bank returned the decline code `insufficient_funds`.",
                    "type": "issuer_declined",
                },
            }),
        );
        charge
    }

    /// The session that the customer has completed; `payment_status` tells whether money has come.
    pub fn completed_session(&self, created: i64, payment_status: &str) -> Value {
        let mut session = self.session(created);
        lay(
            &mut session,
            json!({
                "payment_intent": self.payment_intent, "payment_status": payment_status,
                "customer_details": {
                    "address": {
                        "city": null, "country": self.customer.country, "line1": null, "line2": null,
                        "postal_code": self.customer.address["postal_code"], "state": null,
                    },
                    "business_name": null, "email": self.customer.email, "individual_name": null,
                    "name": self.customer.name, "phone": null, "tax_exempt": "none", "tax_ids": [],
                },
                "collected_information": {
                    "shipping_details": {"address": self.customer.address, "name": self.customer.name},
                },
            }),
        );
        session
    }

    /// The session that nobody completed.
    pub fn expired_session(&self, created: i64) -> Value {
        let mut session = self.session(created);
        lay(&mut session, json!({"status": "expired", "collected_information": null}));
        session
    }

    fn session(&self, created: i64) -> Value {
        fill(
            include_str!("objects/session.json"),
            json!({
                "id": self.session, "amount_subtotal": self.subtotal, "amount_total": self.total,
                "created": created, "currency": self.currency, "expires_at": created + DAY,
                "locale": self.customer.locale, "metadata": {"order_id": self.reference, "items": self.items},
                "payment_method_types": [self.method.name()],
                "shipping_cost": {
                    "amount_subtotal": self.shipping, "amount_tax": 0, "amount_total": self.shipping,
                    "shipping_rate": null,
                },
                "total_details": {"amount_shipping": self.shipping},
            }),
        )
    }

    /// A refund of `amount`, with `fields` over it.
    pub fn refund(&self, id: &str, amount: i64, created: i64, fields: Value) -> Value {
        let mut refund = fill(
            include_str!("objects/refund.json"),
            json!({
                "id": id, "amount": amount, "created": created, "currency": self.currency, "charge": self.charge,
                "payment_intent": self.payment_intent, "balance_transaction": id.replacen("re_", "txn_", 1),
            }),
        );
        lay(&mut refund, fields);
        refund
    }

    /// A dispute over the whole charge, with `fields` over it.
    pub fn dispute(&self, id: &str, created: i64, fields: Value) -> Value {
        let mut dispute = fill(
            include_str!("objects/dispute.json"),
            json!({
                "id": id, "amount": self.total, "created": created, "currency": self.currency,
                "charge": self.charge, "payment_intent": self.payment_intent,
                "evidence_details": {"due_by": created + 9 * DAY},
                "evidence": {
                    "customer_email_address": self.customer.email, "customer_name": self.customer.name,
                },
            }),
        );
        lay(&mut dispute, fields);
        dispute
    }

    /// The issuer's word that the cardholder did not make the payment.
    pub fn fraud_warning(&self, id: &str, created: i64) -> Value {
        json!({
            "id": id, "object": "radar.early_fraud_warning", "actionable": true, "charge": self.charge,
            "created": created, "fraud_type": "made_with_lost_card", "livemode": false,
            "payment_intent": self.payment_intent,
        })
    }

    /// Stripe's rules had the payment looked at, with `fields` over it.
    pub fn review(&self, id: &str, created: i64, fields: Value) -> Value {
        let mut review = json!({
            "id": id, "object": "review", "billing_zip": null, "charge": self.charge, "closed_reason": null,
            "created": created, "ip_address": null, "ip_address_location": null, "livemode": false, "open": true,
            "opened_reason": "rule", "payment_intent": self.payment_intent, "reason": "rule", "session": null,
        });
        lay(&mut review, fields);
        review
    }

    /// How money moved for a dispute: withdrawn (negative) or given back.
    pub fn dispute_transaction(&self, rng: &mut impl Rng, dispute: &str, amount: i64, created: i64) -> Value {
        json!({
            "id": self.id(rng, "txn"), "object": "balance_transaction", "amount": amount, "created": created,
            "currency": self.currency, "description": format!("Chargeback for {}", self.charge), "fee": 0,
            "fee_details": [], "net": amount,
            "reporting_category": if amount < 0 { "dispute" } else { "dispute_reversal" },
            "source": dispute, "status": "pending", "type": "adjustment",
        })
    }

    pub(super) fn parcel(&self) -> Value {
        json!({
            "address": self.customer.address, "carrier": null, "name": self.customer.name, "phone": null,
            "tracking_number": null,
        })
    }

    pub(super) fn payment_method_details(&self) -> Value {
        match self.method {
            Method::Card => fill(
                include_str!("objects/card.json"),
                json!({"card": {
                    "amount_authorized": self.total, "country": self.customer.country,
                    "fingerprint": self.fingerprint, "overcapture": {"maximum_amount_capturable": self.total},
                }}),
            ),
            Method::SepaDebit => fill(
                include_str!("objects/sepa_debit.json"),
                json!({"sepa_debit": {
                    "country": self.customer.country, "fingerprint": self.fingerprint,
                    "mandate": self.payment_method.replacen("pm_", "mandate_", 1),
                }}),
            ),
            Method::BankTransfer => json!({"customer_balance": {}, "type": "customer_balance"}),
        }
    }
}

impl Method {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::SepaDebit => "sepa_debit",
            Self::BankTransfer => "customer_balance",
        }
    }
}
