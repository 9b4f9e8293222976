//! Stripe's API versions, and what differs between them.

/// The version in which an endpoint's events are rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ApiVersion {
    /// Charges embed no refunds and payment intents no charges any more.
    V2022_11_15,
    /// The last one before refunds of charges had events of their own.
    V2024_06_20,
    /// 2024-10-28: `refund.created`, `refund.updated` and `refund.failed` for every refund.
    Acacia,
    /// 2025-03-31: invoices and payments are linked by `invoice_payment`; `presentment_details`.
    Basil,
    /// 2026-09-30, the version that current libraries pin.
    Newest,
}

impl ApiVersion {
    /// From the oldest to the newest.
    pub const ALL: [Self; 5] = [Self::V2022_11_15, Self::V2024_06_20, Self::Acacia, Self::Basil, Self::Newest];

    /// The event's `api_version`.
    pub fn name(self) -> &'static str {
        match self {
            Self::V2022_11_15 => "2022-11-15",
            Self::V2024_06_20 => "2024-06-20",
            Self::Acacia => "2024-10-28.acacia",
            Self::Basil => "2025-03-31.basil",
            Self::Newest => "2026-09-30.endive",
        }
    }

    /// Whether a refund of a charge has events of its own.
    pub fn has_refund_events(self) -> bool {
        self >= Self::Acacia
    }

    /// Whether `invoice_payment` links invoices and payment intents, instead of fields on both.
    pub fn has_invoice_payments(self) -> bool {
        self >= Self::Basil
    }

    /// Whether a converted checkout stays in the shop's currency and bears `presentment_details`.
    pub fn has_presentment_details(self) -> bool {
        self >= Self::Basil
    }
}
