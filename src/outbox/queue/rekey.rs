//! What an edition of the order law leaves queued when the next one takes over.

mod store;

pub use store::{rename, withdraw_all_but, withdraw_mails};

/// A message's key, and the key of the same news from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// The key that it has.
    pub from: String,
    /// The key that it gets.
    pub to: String,
    /// The notice's own data, as JSON, for messages that are still to be sent.
    pub about: String,
}
