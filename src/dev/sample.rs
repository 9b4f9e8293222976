//! The sample shop: one purchase, drawn at random, and Stripe's objects about it.
//!
//! The fields that a purchase does not vary stand in `sample/objects/*.json`, named as in Stripe's published samples.

mod catalogue;
mod invoices;
mod objects;
mod payment_intents;
pub use objects::lay;

use rand::{Rng, RngExt};

pub use self::catalogue::Customer;
use self::catalogue::Market;

/// Where a stream's objects come from, within every id: the account's own letters.
const ACCOUNT: &str = "NqCornerS7";
const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// How a purchase is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// At once.
    Card,
    /// Days later.
    SepaDebit,
    /// When the customer sends it, in whichever parts.
    BankTransfer,
}

/// One purchase: all ids and amounts that its events share.
#[derive(Clone, Debug)]
pub struct Purchase {
    /// The shop's reference, in the session's metadata.
    pub reference: String,
    /// How it is paid.
    pub method: Method,
    /// Lower-case ISO code.
    pub currency: &'static str,
    /// Minor unit; what is paid.
    pub total: i64,
    /// Minor unit; the goods alone.
    pub subtotal: i64,
    /// Minor unit.
    pub shipping: i64,
    /// What was bought, in words.
    pub items: String,
    /// Who buys.
    pub customer: Customer,
    /// Payment intent.
    pub payment_intent: String,
    /// Charge.
    pub charge: String,
    /// Checkout session.
    pub session: String,
    payment_method: String,
    secret: String,
    fingerprint: String,
    stem: String,
}

impl Purchase {
    /// Draws a purchase; the same random numbers give the same purchase.
    pub fn draw(rng: &mut impl Rng, method: Method) -> Self {
        let market = match method {
            Method::Card => Market::any(rng),
            Method::SepaDebit | Method::BankTransfer => Market::euro(rng),
        };
        let (items, subtotal) = market.basket(rng);
        let shipping = market.shipping(subtotal);
        let stem = stem(rng);
        Self {
            reference: format!("CS-{}", rng.random_range(100_000_000..1_000_000_000_u32)),
            method,
            currency: market.currency,
            total: subtotal + shipping,
            subtotal,
            shipping,
            items,
            customer: market.customer(rng),
            payment_intent: payment_intent(rng, &stem),
            charge: format!("{}_3{stem}{}", if method == Method::Card { "ch" } else { "py" }, base62(rng, 8)),
            session: session(rng),
            payment_method: format!("pm_1{stem}{}", base62(rng, 8)),
            secret: base62(rng, 25),
            fingerprint: base62(rng, 16),
            stem,
        }
    }

    /// The same basket, paid once more.
    #[must_use]
    pub fn again(&self, rng: &mut impl Rng) -> Self {
        let mut again = Self { stem: stem(rng), secret: base62(rng, 25), session: session(rng), ..self.clone() };
        again.payment_intent = payment_intent(rng, &again.stem);
        again.charge = again.id(rng, "ch");
        again.payment_method = again.id(rng, "pm");
        again
    }

    /// A fresh id about this purchase, such as `evt_3…`.
    pub fn id(&self, rng: &mut impl Rng, prefix: &str) -> String {
        format!("{prefix}_3{}{}", self.stem, base62(rng, 8))
    }
}

/// What the ids of one payment have in common.
fn stem(rng: &mut impl Rng) -> String {
    format!("{}{ACCOUNT}", base62(rng, 6))
}

fn payment_intent(rng: &mut impl Rng, stem: &str) -> String {
    format!("pi_3{stem}{}", base62(rng, 8))
}

fn session(rng: &mut impl Rng) -> String {
    format!("cs_test_a1{}", base62(rng, 56))
}

/// Random letters and digits, as in Stripe's ids.
pub fn base62(rng: &mut impl Rng, length: usize) -> String {
    (0..length).map(|_| char::from(BASE62[rng.random_range(0..BASE62.len())])).collect()
}
