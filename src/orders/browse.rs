//! Orders as people and programs look at them: one by a name, lists, and what an order is made of.

mod store;

pub use store::{OrderRow, Stored, count, find, list, load, names, naming, next};

/// Which orders are listed; what is not set matches all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// As in the order law.
    pub status: Option<String>,
    /// Connected account; empty is our own.
    pub account: Option<String>,
    /// Real money or a test.
    pub livemode: Option<bool>,
}

/// The name of an order, and where it means something.
#[derive(Clone, Debug)]
pub struct Named {
    /// The shop's reference, an alias, or an id of Stripe's.
    pub reference: String,
    /// Connected account; empty is our own.
    pub account: String,
    /// Real money or a test; where it is not said, live orders come before test orders.
    pub livemode: Option<bool>,
}
