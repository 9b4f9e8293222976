//! What is stored already, of what somebody else has a list of.

mod store;

pub use store::known;

/// An event of Stripe's as its list has it.
#[derive(Clone, Debug)]
pub struct Told {
    /// `evt_…`
    pub id: String,
    /// Such as `payment_intent.succeeded`.
    pub kind: String,
    /// The object that it is about.
    pub object: Option<String>,
    /// When it happened, in Stripe's unix seconds.
    pub created: Option<i64>,
}
