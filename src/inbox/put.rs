//! Storing what was received.

mod store;

use super::State;
use super::store::{Left, insert_pending};
use chrono::{DateTime, Utc};
use diesel::QueryResult;
use diesel::pg::PgConnection;
use std::collections::HashMap;

pub use store::{Seen, insert, seen, unseen};
use store::{insert_events, insert_payloads, name_snapshots};

/// An event to be stored.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// `stripe`, `github`, `shop` or `stripe_api`.
    pub source: &'static str,
    /// Connected account; empty is our own.
    pub account: String,
    /// The sender's id.
    pub event_id: String,
    /// Real money or a test.
    pub livemode: bool,
    /// The sender's event type.
    pub event_type: String,
    /// The sender's rendering.
    pub api_version: Option<String>,
    /// Unix seconds, by the sender.
    pub created: Option<i64>,
    /// The object that it is about.
    pub object_id: Option<String>,
    /// Of a thin event: the snapshot event that tells the same, where it names one.
    pub snapshot_event: Option<String>,
    /// Where it stands once stored.
    pub state: State,
    /// Why, where it is ignored or quarantined.
    pub reason: Option<String>,
    /// When its last byte came.
    pub received_at: DateTime<Utc>,
    /// The bytes as signed.
    pub body: Vec<u8>,
    /// It only names an object, which is to be fetched before anything can be applied: it is pending until then.
    pub to_fetch: bool,
}

impl NewEvent {
    /// What tells duplicates apart. In the index's sequence: of a batch all but the id is mostly the same.
    pub fn key(&self) -> (&str, &str, &str) {
        (&self.event_id, &self.account, self.source)
    }

    pub(super) fn crc(&self) -> i64 {
        i64::from(crc32fast::hash(&self.body))
    }
}

/// Stores `events` (sorted by key, each key once) with their bytes; gives the row id of each that was new.
pub fn put(conn: &mut PgConnection, events: &[&NewEvent]) -> QueryResult<Vec<Option<i64>>> {
    let stored = insert_events(conn, events)?;
    let ids: HashMap<_, _> = stored.iter().map(|s| ((&s.event_id[..], &s.account[..], &s.source[..]), s.id)).collect();
    let ids: Vec<_> = events.iter().map(|event| ids.get(&event.key()).copied()).collect();
    name_snapshots(
        conn,
        events.iter().zip(&ids).filter_map(|(event, id)| Some(((*id)?, event.snapshot_event.as_deref()?))),
    )?;
    insert_payloads(conn, events.iter().zip(&ids).filter_map(|(event, id)| Some(((*id)?, &event.body[..]))))?;
    for left in [Left::ToApply, Left::ToFetch] {
        let is_left = |event: &NewEvent| event.state == State::Pending && event.to_fetch == (left == Left::ToFetch);
        let pending = events.iter().zip(&ids).filter(|(event, _)| is_left(event)).filter_map(|(_, id)| *id);
        insert_pending(conn, &pending.collect::<Vec<_>>(), left, "not yet tried")?;
    }
    Ok(ids)
}
