//! What was received, once, with its raw bytes.
//!
//! An event is known by (source, account, event id); a second one with that key is a duplicate, whatever its body.
//! Its state is `processed`, `ignored` or `quarantined` from the commit that stored it, or `pending` until a worker
//! has written its order:
//!
//! ```text
//!            put ──▶ processed | ignored | quarantined
//!             └───▶ pending ──claim──▶ settle: processed
//!                      ▲  └──────────▶ postpone (backoff) ──┐
//!                      └────────────────────────────────────┘──▶ at last quarantined
//!                      ▲
//!   any of the others ─┘ reopen: a replay, which holds it like a claim
//! ```
//!
//! A pending event waits for its order to be written, or, where it only names an object, for that to be fetched.
//!
//! This room knows nothing of orders or messages: it keeps, claims and settles.

pub mod browse;
pub mod known;
mod put;
mod store;

pub use known::{Conflict, conflicts, wait_for_standby};
pub use put::{NewEvent, Seen, insert, put, seen, unseen};
pub use store::{ClaimedEvent, Left, Reopened, claim, claim_to_fetch, explain_other_mode, leave_to_fetch};
pub use store::{mark_pending, postpone, put_back, reopen, settle};

/// Who sends events: as the database's domain `event_source` has it.
pub const SOURCES: [&str; 4] = ["stripe", "stripe_api", "github", "shop"];

/// Where an event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Acknowledged; its order is not yet written.
    Pending,
    /// Its facts are in its order.
    Processed,
    /// Nothing in it concerns an order.
    Ignored,
    /// It cannot be used; a person may replay it after a fix.
    Quarantined,
}

impl State {
    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processed => "processed",
            Self::Ignored => "ignored",
            Self::Quarantined => "quarantined",
        }
    }

    /// Reads the stored word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Pending, Self::Processed, Self::Ignored, Self::Quarantined]
            .into_iter()
            .find(|state| state.as_str() == word)
    }
}
