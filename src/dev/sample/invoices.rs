//! A subscription's invoice and what ties it to its payment, each as it stands at one moment.

use serde_json::{Value, json};

use super::Purchase;
use super::objects::{fill, lay};

impl Purchase {
    /// The month's invoice as drafted, with `fields` over it.
    pub fn renewal_invoice(&self, created: i64, fields: Value) -> Value {
        let named = |prefix: &str| self.payment_intent.replacen("pi_", prefix, 1);
        let mut invoice = fill(
            include_str!("objects/invoice.json"),
            json!({
                "id": named("in_"), "amount_due": self.total, "amount_remaining": self.total, "created": created,
                "currency": self.currency, "customer": named("cus_"), "customer_email": self.customer.email,
                "customer_name": self.customer.name, "subtotal": self.total, "total": self.total,
                "parent": {"subscription_details": {"subscription": named("sub_")}},
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

    /// What ties the invoice to its payment intent.
    pub fn invoice_payment(&self, created: i64) -> Value {
        let named = |prefix: &str| self.payment_intent.replacen("pi_", prefix, 1);
        json!({
            "id": named("inpay_"), "object": "invoice_payment", "amount_paid": self.total,
            "amount_requested": self.total, "created": created, "currency": self.currency, "invoice": named("in_"),
            "is_default": true, "livemode": false,
            "payment": {"payment_intent": self.payment_intent, "type": "payment_intent"}, "status": "paid",
        })
    }
}
