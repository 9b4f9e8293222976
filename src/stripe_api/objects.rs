//! Single objects as they are now.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::client::{self, Ask};
use super::{Error, StripeApi};

/// The objects that are fetched: what Stripe calls them, where they are, and what a restricted key needs.
const OBJECTS: [(&str, &str, &str); 9] = [
    ("payment_intent", "/payment_intents", "PaymentIntents: Read"),
    ("charge", "/charges", "Charges and Refunds: Read"),
    ("checkout.session", "/checkout/sessions", "Checkout Sessions: Read"),
    ("refund", "/refunds", "Charges and Refunds: Read"),
    ("dispute", "/disputes", "Disputes: Read"),
    ("invoice", "/invoices", "Invoices: Read"),
    ("invoice_payment", "/invoice_payments", "Invoices: Read"),
    ("radar.early_fraud_warning", "/radar/early_fraud_warnings", "Radar: Read"),
    ("review", "/reviews", "Radar: Read"),
];

/// Whether objects of this name are fetched.
pub fn is_known(object: &str) -> bool {
    OBJECTS.iter().any(|(name, ..)| *name == object)
}

/// A line of a checkout session.
#[derive(Clone, Debug, Deserialize)]
pub struct Line {
    /// In the customer's words.
    pub description: Option<String>,
    /// How many.
    pub quantity: Option<i64>,
    /// For all of them, taxes and discounts included, in the currency's minor unit.
    pub amount_total: Option<i64>,
    /// Lower-case ISO code.
    pub currency: Option<String>,
}

#[derive(Deserialize)]
struct Lines {
    data: Vec<Line>,
    #[serde(default)]
    has_more: bool,
}

#[derive(Serialize)]
struct Limit {
    limit: u32,
}

impl StripeApi {
    /// The lines of a checkout session; none where there are more than 100.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn line_items(&self, session: &str, account: Option<&str>) -> Result<Option<Vec<Line>>, Error> {
        let path = format!("{}/line_items", path_of("checkout.session", session)?.0);
        let ask = Ask { path, needs: "Checkout Sessions: Read", account };
        let lines: Lines = client::read(&self.get_bytes(ask, &Limit { limit: 100 }).await?)?;
        Ok((!lines.has_more).then_some(lines.data))
    }

    /// The object of that name and id, of this connected account or our own, as Stripe wrote it.
    ///
    /// # Errors
    /// [`Error::NotFound`] also for an object that is none of [`is_known`], or whose id no object of Stripe's has.
    pub async fn object(&self, object: &str, id: &str, account: Option<&str>) -> Result<Box<RawValue>, Error> {
        let (path, needs) = path_of(object, id)?;
        client::read(&self.get_bytes(Ask { path, needs, account }, &()).await?)
    }
}

/// Where an object is, and what a restricted key needs.
fn path_of(object: &str, id: &str) -> Result<(String, &'static str), Error> {
    let known = OBJECTS.iter().find(|(name, ..)| *name == object);
    // The id becomes part of a path.
    let is_plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let found = known.filter(|_| is_plain).map(|(_, path, needs)| (format!("{path}/{id}"), *needs));
    found.ok_or_else(|| Error::NotFound(format!("{object} {id}")))
}
