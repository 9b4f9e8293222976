//! The way that nearly every batch goes: one question, one change.
//!
//! The question asks which events are stored already and what is known of their orders, without a lock; the change stores
//! the events and writes orders and messages in one statement, hence in one commit. It fails as a whole where anything
//! that was asked is no longer so; then the batch goes the careful way (`batch.rs`), which locks first.

use super::sorted::Sorted;
use super::{Answer, Submission};
use crate::db::{Parts, ask, change};
use crate::inbox::{self, Seen, State};
use crate::orders::{self, Asked, Incoming, Looked, Ready, Settings};
use crate::outbox::{self, Listeners, Listening, Messages};
use diesel::pg::PgConnection;
use diesel::{Connection, QueryResult, QueryableByName, RunQueryDsl};

/// Whether an event can go this way: nothing is left over of it, it tells nothing by itself and names no snapshot.
pub(super) fn is_plain(submission: &Submission) -> bool {
    let event = &submission.event;
    event.state != State::Pending && event.snapshot_event.is_none() && submission.notices.is_empty()
}

#[derive(QueryableByName)]
struct SeenAlone {
    #[diesel(embed)]
    seen: Seen,
}

#[derive(QueryableByName)]
struct SeenWithOrders {
    #[diesel(embed)]
    seen: Seen,
    #[diesel(embed)]
    looked: Looked,
    #[diesel(embed)]
    listening: Listening,
}

/// Stores and applies `batch` of plain submissions, and commits. None where it needs locks, and nothing was done.
///
/// # Errors
/// The database's, also where somebody was faster; nothing was done then.
pub(super) fn commit(
    conn: &mut PgConnection,
    settings: &Settings,
    batch: &[&Submission],
) -> QueryResult<Option<Vec<Answer>>> {
    let sorted = Sorted::of(batch);
    let events = sorted.events();
    let (places, incoming): (Vec<usize>, Vec<&Incoming>) = sorted
        .each()
        .enumerate()
        .filter_map(|(place, submission)| Some((place, submission.incoming.as_ref()?)))
        .unzip();
    let asked = Asked::of(&incoming);
    let seen = inbox::seen(&events);
    let (seen, orders) = match orders::look(&asked, settings) {
        None => (ask(Some(seen)).get_result::<SeenAlone>(conn)?.seen, None),
        Some(look) => {
            let question = ask((Some(seen), (Some(look), Some(outbox::listening()))));
            let found: SeenWithOrders = question.get_result(conn)?;
            (found.seen, Some((found.looked, Listeners::of(&found.listening)?)))
        }
    };
    let is_new = seen.news(events.len());
    let (ready, listeners) = match orders {
        None => (Ready::default(), Listeners::default()),
        Some((looked, listeners)) => match orders::ready(settings, &asked, &incoming, |n| is_new[places[n]], looked) {
            None => return Ok(None),
            Some(ready) => (ready, listeners),
        },
    };
    let new: Vec<_> = events.iter().zip(&is_new).filter(|(_, new)| **new).map(|(event, _)| *event).collect();
    let messages = Messages::of(ready.notices(), &listeners);
    sorted.report_conflicts(conn, &is_new)?;
    fail::fail_point!("intake.before_commit");
    if !new.is_empty() {
        write(conn, &ready, (inbox::insert(&new), (ready.parts(), (messages.part(), ready.ended()))))?;
    }
    Ok(Some(sorted.answers(&is_new)))
}

fn write(conn: &mut PgConnection, ready: &Ready<'_>, parts: impl Parts) -> QueryResult<()> {
    let all = change(parts);
    if ready.is_unfinished() {
        return conn.transaction(|conn| {
            all.execute(conn)?;
            ready.finish(conn)
        });
    }
    // A statement of its own is a transaction of its own.
    all.execute(conn).map(drop)
}
