//! A dispute: the customer's bank takes a payment back, for now or for good.

use serde::{Deserialize, Serialize};

use super::join::{Join, Latest, Ranked, is_false};
use super::ties::Ties;
use super::{Facts, Seen};
use crate::source::fields::{Fields, Unusable};

/// What is known of a dispute.
#[allow(clippy::struct_excessive_bools, reason = "each was seen or not, and merges by itself")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispute {
    /// Its greatest snapshot.
    pub now: Latest<State>,
    /// It was seen open.
    #[serde(default, skip_serializing_if = "is_false")]
    pub opened: bool,
    /// It was seen lost, even if it was won later.
    #[serde(default, skip_serializing_if = "is_false")]
    pub lost: bool,
    /// It was seen won, even if it was lost later.
    #[serde(default, skip_serializing_if = "is_false")]
    pub won: bool,
    /// It was an inquiry that was seen closed, even if a chargeback followed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub inquiry_closed: bool,
    /// What it is tied to.
    #[serde(default, skip_serializing_if = "Ties::is_empty")]
    pub ties: Ties,
}

/// One snapshot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct State {
    /// Stripe's status.
    pub status: Status,
    /// What is disputed.
    pub amount: i64,
    /// Of the amount.
    pub currency: String,
    /// Stripe's word for why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Until when evidence is taken, in unix seconds; none where the bank takes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_by: Option<i64>,
}

/// Stripe's statuses. The order is the rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// An inquiry that waits for the shop.
    WarningNeedsResponse,
    /// An inquiry that waits for the bank.
    WarningUnderReview,
    /// An inquiry that came to nothing.
    WarningClosed,
    /// Waits for the shop.
    NeedsResponse,
    /// Waits for the bank.
    UnderReview,
    /// Averted before it became one.
    Prevented,
    /// The money is gone.
    Lost,
    /// The money is back.
    Won,
}

impl Status {
    /// It has its verdict.
    pub fn closed(self) -> bool {
        matches!(self, Self::WarningClosed | Self::Prevented | Self::Lost | Self::Won)
    }

    /// Stripe's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WarningNeedsResponse => "warning_needs_response",
            Self::WarningUnderReview => "warning_under_review",
            Self::NeedsResponse => "needs_response",
            Self::UnderReview => "under_review",
            Self::WarningClosed => "warning_closed",
            Self::Prevented => "prevented",
            Self::Lost => "lost",
            Self::Won => "won",
        }
    }

    fn parse(word: &str) -> Result<Self, Unusable> {
        Ok(match word {
            "warning_needs_response" => Self::WarningNeedsResponse,
            "warning_under_review" => Self::WarningUnderReview,
            "needs_response" => Self::NeedsResponse,
            "under_review" => Self::UnderReview,
            "warning_closed" => Self::WarningClosed,
            // `charge_refunded` is of the oldest versions: the shop gave the money back itself.
            "prevented" | "charge_refunded" => Self::Prevented,
            "lost" => Self::Lost,
            "won" => Self::Won,
            _ => return Err(Unusable::field("status", "unknown")),
        })
    }
}

impl Ranked for State {
    /// An inquiry may become a chargeback, which ends with a verdict; never the other way round.
    fn standing(&self) -> u8 {
        match self.status {
            Status::WarningNeedsResponse | Status::WarningUnderReview | Status::WarningClosed => 0,
            Status::NeedsResponse | Status::UnderReview => 1,
            Status::Prevented | Status::Lost | Status::Won => 2,
        }
    }

    fn rank(&self) -> u8 {
        self.status as u8
    }
}

impl Join for Dispute {
    fn join(&mut self, other: &Self) {
        self.now.join(&other.now);
        self.opened |= other.opened;
        self.lost |= other.lost;
        self.won |= other.won;
        self.inquiry_closed |= other.inquiry_closed;
        self.ties.join(&other.ties);
    }
}

/// Takes a dispute.
pub fn take(fields: &Fields<'_>, seen: &Seen<'_>, facts: &mut Facts) -> Result<(), Unusable> {
    let id = fields.needed_id()?;
    let word = fields.word("status")?.ok_or_else(|| Unusable::field("status", "missing"))?;
    let status = Status::parse(&word)?;
    let state = State {
        status,
        amount: fields.needed_amount("amount")?,
        currency: fields.needed_currency("currency")?,
        reason: fields.text("reason").map(Into::into),
        due_by: fields.object("evidence_details").as_ref().and_then(due_by),
    };
    let dispute = Dispute {
        now: seen.stamp(state),
        opened: !status.closed(),
        lost: status == Status::Lost,
        won: status == Status::Won,
        inquiry_closed: status == Status::WarningClosed,
        ties: Ties::read(fields)?,
    };
    facts.disputes.insert(id, Box::new(dispute));
    Ok(())
}

/// Zero means that there is nothing to answer. It is only shown, so nonsense counts as absent.
fn due_by(evidence: &Fields<'_>) -> Option<i64> {
    evidence.signed_amount("due_by").ok().flatten().filter(|at| *at > 0)
}
