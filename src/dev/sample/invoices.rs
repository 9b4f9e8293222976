//! A subscription's invoice and what ties it to its payment, each as it stands at one moment.

use serde_json::{Value, json};

use super::Purchase;
use super::objects::{fill, lay};

impl Purchase {
    /// The id of another object about the same payment.
    fn named(&self, prefix: &str) -> String {
        self.payment_intent.replacen("pi_", prefix, 1)
    }

    /// The month's invoice as drafted, with `fields` over it.
    pub fn renewal_invoice(&self, created: i64, fields: Value) -> Value {
        let mut invoice = fill(
            include_str!("objects/invoice.json"),
            json!({
                "id": self.named("in_"), "amount_due": self.total, "amount_remaining": self.total, "created": created,
                "currency": self.currency, "customer": self.named("cus_"), "customer_email": self.customer.email,
                "customer_name": self.customer.name, "subtotal": self.total, "total": self.total,
                "parent": {"subscription_details": {"subscription": self.named("sub_")}},
            }),
        );
        lay(&mut invoice, fields);
        invoice
    }

    /// The same once it is paid.
    pub fn paid_invoice(&self, created: i64) -> Value {
        let paid = json!({
            "amount_paid": self.total, "amount_remaining": 0, "attempt_count": 1, "attempted": true, "status": "paid",
        });
        self.renewal_invoice(created, paid)
    }

    /// The subscription, a month old when its invoice is drafted, in a status of Stripe's.
    pub fn subscription(&self, status: &str, drafted: i64) -> Value {
        json!({
            "id": self.named("sub_"), "object": "subscription", "cancel_at_period_end": false,
            "collection_method": "charge_automatically", "created": drafted - 30 * 86_400, "currency": self.currency, "customer": self.named("cus_"),
            "latest_invoice": self.named("in_"), "livemode": false, "metadata": {}, "status": status,
        })
    }

    /// What ties the invoice to its payment intent.
    pub fn invoice_payment(&self, created: i64) -> Value {
        json!({
            "id": self.named("inpay_"), "object": "invoice_payment", "amount_paid": self.total,
            "amount_requested": self.total, "created": created, "currency": self.currency, "invoice": self.named("in_"),
            "is_default": true, "livemode": false,
            "payment": {"payment_intent": self.payment_intent, "type": "payment_intent"}, "status": "paid",
        })
    }
}
