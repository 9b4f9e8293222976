//! Which notices somebody gets a mail about, who that is, and the built-in files.

use crate::notices::Kind;

/// A file's name below `templates/`, and what it holds.
pub type File = (&'static str, &'static str);

macro_rules! file {
    ($name:expr) => {
        ($name, include_str!(concat!("../../../templates/", $name)))
    };
}

macro_rules! mail {
    ($name:literal) => {
        mail!($name, "en", "de", "es", "fr", "ja")
    };
    ($name:literal, $($locale:literal),+) => {
        &[$(
            file!(concat!($locale, "/", $name, ".subject.txt")),
            file!(concat!($locale, "/", $name, ".txt")),
            file!(concat!($locale, "/", $name, ".html")),
        )+]
    };
}

/// Who gets a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Whoever ordered. Their mails wait while the order is in review.
    Customer,
    /// Whoever runs the shop.
    Shop,
}

/// The notices that somebody gets a mail about, who that is, the stem of their files' names, and the built-in files.
pub const MAILS: [(Kind, Audience, &str, &[File]); 11] = [
    (Kind::OrderPaid, Audience::Customer, "order_paid", mail!("order_paid")),
    (Kind::OrderRefunded, Audience::Customer, "order_refunded", mail!("order_refunded")),
    (Kind::OrderPartiallyRefunded, Audience::Customer, "order_partially_refunded", mail!("order_partially_refunded")),
    (Kind::OrderRefundFailed, Audience::Customer, "order_refund_failed", mail!("order_refund_failed")),
    (Kind::OrderAwaitingFunds, Audience::Customer, "order_awaiting_funds", mail!("order_awaiting_funds")),
    (Kind::OrderPaymentFailed, Audience::Customer, "order_payment_failed", mail!("order_payment_failed")),
    (Kind::OrderDisputed, Audience::Shop, "order_disputed", mail!("order_disputed")),
    (Kind::OrderDisputeClosed, Audience::Shop, "order_dispute_closed", mail!("order_dispute_closed")),
    (Kind::OrderReview, Audience::Shop, "order_review", mail!("order_review")),
    (Kind::SubscriptionDisabled, Audience::Shop, "subscription_disabled", mail!("subscription_disabled", "en")),
    (Kind::EventsMissed, Audience::Shop, "events_missed", mail!("events_missed", "en")),
];

/// In place of the mail about `order.paid` where the order is a subscription's renewal.
pub const RENEWED: (&str, &[File]) = ("order_renewed", mail!("order_renewed"));

/// What all mails of a language share.
pub const BASES: &[File] = &[
    file!("layout.txt"),
    file!("de/base.html"),
    file!("de/base.txt"),
    file!("de/reasons.txt"),
    file!("en/base.html"),
    file!("en/base.txt"),
    file!("en/reasons.txt"),
    file!("es/base.html"),
    file!("es/base.txt"),
    file!("es/reasons.txt"),
    file!("fr/base.html"),
    file!("fr/base.txt"),
    file!("fr/reasons.txt"),
    file!("ja/base.html"),
    file!("ja/base.txt"),
    file!("ja/reasons.txt"),
];

/// Who gets a mail about the notice, if anybody does.
pub fn audience(kind: &Kind) -> Option<Audience> {
    MAILS.iter().find(|(of, ..)| of == kind).map(|(_, audience, ..)| *audience)
}

/// The names of the notices that the shop gets a mail about.
pub fn told_to_the_shop() -> Vec<String> {
    let told = MAILS.iter().filter(|(_, audience, ..)| *audience == Audience::Shop);
    told.map(|(kind, ..)| kind.name().into_owned()).collect()
}

/// The stem of the names of the files of a mail.
pub fn stem(kind: &Kind, renewal: bool) -> Option<&'static str> {
    match kind {
        Kind::OrderPaid if renewal => Some(RENEWED.0),
        // There is a template of that name; the mail itself is that of order.paid.
        Kind::OrderRenewed => Some(RENEWED.0),
        _ => MAILS.iter().find(|(of, ..)| of == kind).map(|(_, _, stem, _)| *stem),
    }
}

/// All stems that there are.
pub fn stems() -> impl Iterator<Item = &'static str> {
    MAILS.iter().map(|(_, _, stem, _)| *stem).chain([RENEWED.0])
}

/// The frame of every HTML mail.
pub const LAYOUT_FILE: File = file!("layout.mjml");
