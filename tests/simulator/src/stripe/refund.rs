//! Refunds.

use crate::Slot;

/// `status` of a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefundState {
    Pending,
    Succeeded,
    Failed,
    Canceled,
}

impl RefundState {
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// Whether the money is on its way to the customer, or there.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Pending | Self::Succeeded)
    }
}

/// A refund, in the currency of the charge.
#[derive(Clone, Debug)]
pub(crate) struct Refund {
    pub payment: Slot,
    pub id: String,
    pub created: i64,
    pub amount: i64,
    /// What the customer sees, where it is another currency.
    pub presented: Option<i64>,
    pub state: RefundState,
    /// Whether it was ever `succeeded`.
    pub succeeded: bool,
    /// The second in which it failed or was canceled.
    pub ended: Option<i64>,
}
