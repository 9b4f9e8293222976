//! What makes a payment suspect: Radar's reviews and the card networks' early fraud warnings.

use serde::{Deserialize, Serialize};

use super::join::{Join, Latest, Ranked};
use super::ties::Ties;
use super::{Facts, Seen};
use crate::source::fields::{Fields, Unusable};

/// An early fraud warning. It doesn't change: once there, it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// The payment that it is about.
    #[serde(default, skip_serializing_if = "Ties::is_empty")]
    pub ties: Ties,
}

/// What is known of a review.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// Its greatest snapshot.
    pub now: Latest<State>,
    /// The payment that it is about.
    #[serde(default, skip_serializing_if = "Ties::is_empty")]
    pub ties: Ties,
}

/// One snapshot. The order is the rank: a closed review doesn't open again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Somebody should look.
    Open,
    /// Somebody looked, or it settled itself; Stripe's word for how.
    Closed(Option<String>),
}

impl Ranked for State {
    fn standing(&self) -> u8 {
        u8::from(*self != Self::Open)
    }

    fn rank(&self) -> u8 {
        0
    }
}

impl Join for Warning {
    fn join(&mut self, other: &Self) {
        self.ties.join(&other.ties);
    }
}

impl Join for Review {
    fn join(&mut self, other: &Self) {
        self.now.join(&other.now);
        self.ties.join(&other.ties);
    }
}

impl Review {
    /// Closed with a word that says that the payment is good, or was never one.
    pub fn settled(&self) -> bool {
        match &self.now.is {
            State::Open => false,
            State::Closed(why) => matches!(why.as_deref(), Some("approved" | "acknowledged" | "canceled" | "redacted")),
        }
    }
}

/// Takes an early fraud warning.
pub fn take_warning(fields: &Fields<'_>, facts: &mut Facts) -> Result<(), Unusable> {
    let id = fields.needed_id()?;
    facts.warnings.insert(id, Box::new(Warning { ties: Ties::read(fields)? }));
    Ok(())
}

/// Takes a review.
pub fn take(fields: &Fields<'_>, seen: &Seen<'_>, facts: &mut Facts) -> Result<(), Unusable> {
    let id = fields.needed_id()?;
    let open = match fields.get("open")? {
        Some(raw) => raw.get() == "true",
        None => seen.kind == "review.opened",
    };
    let why = fields.text("closed_reason").or_else(|| fields.text("reason"));
    let state = if open { State::Open } else { State::Closed(why.map(Into::into)) };
    facts.reviews.insert(id, Box::new(Review { now: seen.stamp(state), ties: Ties::read(fields)? }));
    Ok(())
}
