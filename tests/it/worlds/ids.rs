//! Names of a world's own. The simulator's are unique in one script only, and many worlds share a database.

use std::collections::BTreeSet;

use serde_json::Value;
use stripe_simulator::{Books, OrderBook, PaymentBook, RefundBook};

/// How the simulator's ids begin.
const PREFIXES: [&str; 17] = [
    "pi_3", "ch_3", "py_3", "re_3", "in_1", "inpay_1", "du_1", "sub_1", "cn_1", "issfr_3", "prv_3", "plink_1", "evt_1",
    "cs_test_", "cs_live_", "pyr_1", "cus_",
];

/// Renames what is of one world.
pub struct Ids {
    tag: String,
}

impl Ids {
    pub fn of_world(number: u64) -> Self {
        Self { tag: format!("w{number}-") }
    }

    /// What each name of the world bears.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Whether an id, a reference or an address is of this world.
    pub fn is_own(&self, name: &str) -> bool {
        let of_stripe = name.rsplit('_').next().unwrap_or_default();
        name.starts_with(&self.tag) || of_stripe.starts_with(&self.tag)
    }

    /// An id of Stripe's keeps its kind; anything else is a shop's reference or an address.
    pub fn name(&self, name: &str) -> String {
        match PREFIXES.iter().find(|prefix| name.starts_with(*prefix)) {
            Some(prefix) => {
                let (kind, rest) = name.split_at(prefix.rfind('_').unwrap() + 1);
                format!("{kind}{}{rest}", self.tag)
            }
            None => format!("{}{name}", self.tag),
        }
    }

    /// The same body with this world's ids, references and addresses.
    pub fn renamed(&self, body: &Value) -> Value {
        match body {
            Value::Array(all) => all.iter().map(|one| self.renamed(one)).collect(),
            Value::Object(fields) => {
                fields.iter().map(|(field, value)| (field.clone(), self.renamed_field(field, value))).collect()
            }
            Value::String(text) if is_of_world(text) => Value::String(self.name(text)),
            other => other.clone(),
        }
    }

    fn renamed_field(&self, field: &str, value: &Value) -> Value {
        match value {
            Value::String(label) if ["order_id", "client_reference_id"].contains(&field) => {
                Value::String(self.name(label))
            }
            other => self.renamed(other),
        }
    }

    pub fn renamed_books(&self, books: &Books) -> Books {
        Books { orders: books.orders.iter().map(|order| self.order(order)).collect() }
    }

    fn order(&self, order: &OrderBook) -> OrderBook {
        let all = |names: &BTreeSet<String>| names.iter().map(|name| self.name(name)).collect();
        let mut own = order.clone();
        own.reference = self.name(&order.reference);
        own.also_known_as = all(&order.also_known_as);
        own.customer_email = self.maybe(order.customer_email.as_ref());
        own.customer_emails = all(&order.customer_emails);
        own.payments = order.payments.iter().map(|payment| self.payment(payment)).collect();
        own
    }

    fn payment(&self, payment: &PaymentBook) -> PaymentBook {
        let refund = |refund: &RefundBook| RefundBook { id: self.name(&refund.id), ..refund.clone() };
        PaymentBook {
            payment_intent: self.maybe(payment.payment_intent.as_ref()),
            charge: self.maybe(payment.charge.as_ref()),
            session: self.maybe(payment.session.as_ref()),
            invoice: self.maybe(payment.invoice.as_ref()),
            payer: self.maybe(payment.payer.as_ref()),
            refunds: payment.refunds.iter().map(refund).collect(),
            ..payment.clone()
        }
    }

    fn maybe(&self, name: Option<&String>) -> Option<String> {
        name.map(|name| self.name(name))
    }
}

fn is_of_world(text: &str) -> bool {
    PREFIXES.iter().any(|prefix| text.starts_with(prefix)) || is_address(text)
}

/// Whether a text of a body is a customer's address.
pub fn is_address(text: &str) -> bool {
    text.contains('@') && !text.contains([' ', '/'])
}
