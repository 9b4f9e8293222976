//! A model of the other side, as an oracle that knows nothing of the receiver.
//!
//! Customers, shops, banks and Stripe *act* in a [`Script`]. [`play`] carries the actions out: it moves the objects at
//! Stripe, emits the events that Stripe sends for them in the shape of the script's [`ApiVersion`], and keeps the
//! true [`Books`]. Whatever the sequence in which the deliveries arrive, doubled or not, a receiver must come to the books.
//!
//! A script may end anywhere. [`Action::Rest`] ends what would be open to two readings, such as captures that are under way or
//! refunds that are pending; random scripts always end so. A script in which a person releases orders is delivered by
//! [`delivery_of`], any other by [`delivery`].
//!
//! Truth comes from the actions. Nothing here reads an event back, and the crate depends on nothing of the receiver.
//!
//! | file | subject |
//! | --- | --- |
//! | `actions.rs` | what people and systems do |
//! | `version.rs` | Stripe's API versions and what differs between them |
//! | `stripe/` | the state of the objects at Stripe |
//! | `play/` | the interpreter: an action moves objects and emits events |
//! | `render/` | an object as JSON |
//! | `books/` | what is true at rest: orders, payments, refunds, and what each payer is to be told |
//! | `generate/` | proptest strategies |
//! | `scripts/` | fixed scripts, each with a name |
//!
//! ```
//! use stripe_simulator::{Action, ApiVersion, Method, NewIntent, RefundStart, Script, play};
//!
//! let script = Script::new(ApiVersion::Newest, vec![
//!     Action::CreateIntent(NewIntent { order_id: Some("1042".into()), ..NewIntent::new(1, 4200, "usd") }),
//!     Action::Pay { payment: 1, by: Method::Card, email: Some("ada@example.com".into()) },
//!     Action::Wait(60),
//!     Action::Refund { payment: 1, refund: 1, amount: 1200, start: RefundStart::Succeeded },
//! ]);
//! let world = play(&script);
//! let order = world.books.order("1042").expect("the order is there");
//! assert_eq!((order.status.as_str(), order.amount_paid, order.amount_refunded), ("partially_refunded", 4200, 1200));
//! assert!(world.events().any(|event| event.kind == "refund.created"));
//! ```

#![recursion_limit = "256"]

mod actions;
mod books;
mod generate;
mod ids;
mod play;
mod render;
pub mod scripts;
mod stripe;
mod version;

pub use actions::{
    Account, Action, DisputeKind, Expectation, Method, Money, NewCheckout, NewIntent, NewInvoice, NewSubscription,
    RefundStart, Script, Slot, Unrelated, Verdict,
};
pub use books::{Books, Ledger, OrderBook, Owed, PaymentBook, Presented, RefundBook, RefundTelling};
pub use generate::{delivery, delivery_of, script_for, world, world_with_releases};
pub use ids::EventIds;
pub use play::play;
pub use version::ApiVersion;

use serde_json::Value;

/// Everything that came of a script.
#[derive(Clone, Debug)]
pub struct World {
    /// In the sequence in which things happened.
    pub deliveries: Vec<Delivery>,
    /// What is true when all of them have arrived.
    pub books: Books,
}

impl World {
    /// Stripe's events alone.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.deliveries.iter().filter_map(|delivery| match delivery {
            Delivery::Event(event) => Some(event),
            Delivery::Put { .. } | Delivery::Release { .. } => None,
        })
    }
}

/// One thing that reaches the receiver.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// Stripe posts an event to the endpoint.
    Event(Event),
    /// The shop registers what it expects: `PUT /api/orders/{reference}`.
    Put {
        /// Empty for the receiver's own account.
        account: String,
        /// Whether the order is one of real money.
        livemode: bool,
        /// The shop's reference.
        reference: String,
        /// `amount`, `currency`, `email`, `payments`, `compare`, as far as the shop says them.
        body: Value,
    },
    /// A person releases an order that is in review: `POST /api/orders/{reference}/release`.
    Release {
        /// Empty for the receiver's own account.
        account: String,
        /// Whether the order is one of real money.
        livemode: bool,
        /// The order's reference.
        reference: String,
    },
}

/// An event as Stripe sends it.
#[derive(Clone, Debug)]
pub struct Event {
    /// `evt_…`
    pub id: String,
    /// Its `type`.
    pub kind: String,
    /// The second in which it happened, as the event says.
    pub created: i64,
    /// The whole JSON body.
    pub body: Value,
}
