//! The inbox as people and replays look at it: lists, one event, the events about some objects.

mod store;

use super::State;
use chrono::{DateTime, Utc};

pub use store::{EventRow, StoredEvent, about, arrivals, body, find, list, matching, pending, waiting};

/// Which event is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventName {
    /// Its row, as lists show it.
    Row(i64),
    /// The sender's id. Two accounts' events can't bear the same one, two sources' could: then the oldest is meant.
    Sent(String),
}

impl EventName {
    /// Reads a name as a person gives it: digits alone are a row.
    pub fn parse(text: &str) -> Option<Self> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().ok().map(Self::Row);
        }
        let usable = !text.is_empty() && text.len() <= 512 && !text.chars().any(char::is_control);
        usable.then(|| Self::Sent(text.to_owned()))
    }
}

/// Which events are listed; what is not set matches all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Where they stand.
    pub state: Option<State>,
    /// The sender's event type.
    pub kind: Option<String>,
    /// `stripe`, `github`, `shop` or `stripe_api`.
    pub source: Option<String>,
    /// The object that they are about.
    pub object: Option<String>,
    /// Received at or after.
    pub since: Option<DateTime<Utc>>,
}

/// The names of what some events are about, in one scope.
#[derive(Clone, Debug)]
pub struct About {
    /// Connected account; empty is our own.
    pub account: String,
    /// Real money or a test.
    pub livemode: bool,
    /// Ids of the sender's.
    pub objects: Vec<String>,
    /// References of the shop's.
    pub labels: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::EventName;

    #[test]
    fn digits_are_a_row_and_the_rest_an_id() {
        assert_eq!(EventName::parse("17"), Some(EventName::Row(17)));
        assert_eq!(EventName::parse("evt_17"), Some(EventName::Sent("evt_17".to_owned())));
        for bad in ["", "a\0b", "99999999999999999999", &"x".repeat(513)] {
            assert_eq!(EventName::parse(bad), None, "{bad:?}");
        }
    }
}
