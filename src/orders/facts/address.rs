//! A customer's e-mail address, as one is given.

use serde::{Deserialize, Serialize};

use crate::mailbox;
use crate::source::fields::{Fields, string};

pub use crate::mailbox::Problem;

/// An address that was given. A bad one never hurts its event: it only is no address, and the reason is kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Address {
    /// One address that a mail can be sent to.
    Usable(String),
    /// What was given can't be one.
    Refused(Problem),
}

impl Address {
    /// Judges what was given, by the rules of what will send to it.
    pub fn parse(given: &str) -> Self {
        match mailbox::sendable(given) {
            Ok(_) => Self::Usable(mailbox::trimmed(given).to_owned()),
            Err(problem) => Self::Refused(problem),
        }
    }

    /// Reads a field; absent, empty or no string is no address at all.
    pub fn read(fields: &Fields<'_>, name: &str) -> Option<Self> {
        let given = string(fields.get(name).ok()??)?;
        (!given.is_empty()).then(|| Self::parse(&given))
    }

    /// The address, if it can be used.
    pub fn usable(&self) -> Option<&str> {
        match self {
            Self::Usable(address) => Some(address),
            Self::Refused(_) => None,
        }
    }
}
