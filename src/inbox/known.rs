//! What is stored already: of what Stripe lists, and of what comes again.

mod store;

use super::NewEvent;
use diesel::QueryResult;
use diesel::pg::PgConnection;
use serde_json::Value;

pub use store::{known, wait_for_standby};

/// An event of Stripe's as its list has it.
#[derive(Clone, Debug)]
pub struct Told {
    /// `evt_…`
    pub id: String,
    /// Such as `payment_intent.succeeded`.
    pub kind: String,
    /// The object that it is about.
    pub object: Option<String>,
    /// When it happened, in Stripe's unix seconds.
    pub created: Option<i64>,
}

/// The same id with another body.
#[derive(Debug)]
pub struct Conflict {
    /// The sender's id.
    pub event_id: String,
    /// Connected account; empty is our own.
    pub account: String,
}

/// Which of `duplicates` tell something else than what is stored under their key, at an equal API version.
pub fn conflicts(conn: &mut PgConnection, duplicates: &[&NewEvent]) -> QueryResult<Vec<Conflict>> {
    let differing = store::differing(conn, duplicates)?.into_iter().filter_map(|stored| {
        let event = duplicates.get(usize::try_from(stored.position).ok()?)?;
        (!tell_the_same(&event.body, &stored.body)).then_some(*event)
    });
    Ok(differing.map(|event| Conflict { event_id: event.event_id.clone(), account: event.account.clone() }).collect())
}

/// Whether two bodies have the same `data`, however that is written. What stands around it changes from one delivery to
/// the next (`pending_webhooks`), and from a delivery to Stripe's list (`account`, `request`).
fn tell_the_same(one: &[u8], other: &[u8]) -> bool {
    let told = |body: &[u8]| {
        let mut event: Value = serde_json::from_slice(body).ok()?;
        Some(event.get_mut("data").map(Value::take).unwrap_or(event))
    };
    match (told(one), told(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::tell_the_same;

    #[test]
    fn what_stands_around_the_data_may_differ() {
        let delivered = br#"{"id":"evt_1","account":"acct_1","pending_webhooks":2,"request":null,"data":{"object":{"id":"ch_1","amount":5}}}"#;
        let listed =
            br#"{ "id": "evt_1", "pending_webhooks": 0, "data": { "object": { "amount": 5, "id": "ch_1" } } }"#;
        assert!(tell_the_same(delivered, listed));
        let other = br#"{"id":"evt_1","data":{"object":{"id":"ch_1","amount":6}}}"#;
        assert!(!tell_the_same(listed, other));
        let before = br#"{"id":"evt_1","data":{"object":{"id":"ch_1","amount":5},"previous_attributes":{"amount":4}}}"#;
        assert!(!tell_the_same(listed, before));
    }

    #[test]
    fn what_has_no_data_is_compared_whole() {
        assert!(tell_the_same(br#"{"id": 1}"#, br#"{"id":1}"#) && !tell_the_same(br#"{"id":1}"#, br#"{"id":2}"#));
        assert!(tell_the_same(b"{", b"{") && !tell_the_same(b"{", b"["));
    }
}
