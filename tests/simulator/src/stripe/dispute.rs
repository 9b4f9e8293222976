//! Disputes.

use crate::Slot;

/// `status` of a dispute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DisputeState {
    WarningNeedsResponse,
    WarningUnderReview,
    WarningClosed,
    NeedsResponse,
    UnderReview,
    Won,
    Lost,
}

impl DisputeState {
    pub fn name(self) -> &'static str {
        match self {
            Self::WarningNeedsResponse => "warning_needs_response",
            Self::WarningUnderReview => "warning_under_review",
            Self::WarningClosed => "warning_closed",
            Self::NeedsResponse => "needs_response",
            Self::UnderReview => "under_review",
            Self::Won => "won",
            Self::Lost => "lost",
        }
    }

    pub fn is_inquiry(self) -> bool {
        matches!(self, Self::WarningNeedsResponse | Self::WarningUnderReview | Self::WarningClosed)
    }

    pub fn is_open(self) -> bool {
        !matches!(self, Self::WarningClosed | Self::Won | Self::Lost)
    }

    /// Whether the bank has taken the money: until the verdict, or for good.
    pub fn holds_money(self) -> bool {
        matches!(self, Self::NeedsResponse | Self::UnderReview | Self::Lost)
    }
}

/// A dispute, in the currency of the charge.
#[derive(Clone, Debug)]
pub(crate) struct Dispute {
    pub payment: Slot,
    pub id: String,
    pub created: i64,
    pub amount: i64,
    pub state: DisputeState,
    pub answered: bool,
    pub born_lost: bool,
}
