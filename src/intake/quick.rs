//! The way that nearly every batch goes: one statement that stores its events and writes its orders and messages, hence
//! in one commit.
//!
//! By heart, where the last batches tell what is known of the orders: then the statement does nothing unless all of that is
//! still so. Else after a look, which asks without a lock what is stored already and what is known of the orders; then it
//! fails as a whole where anything is no longer so. What comes through neither goes the careful way (`batch.rs`), which
//! locks first.

use super::sorted::Sorted;
use super::{Answer, Submission};
use crate::db::{Parts, ask, change};
use crate::inbox::{self, NewEvent, Seen, State};
use crate::orders::{self, Asked, Incoming, Looked, Memory, Ready, Settings};
use crate::outbox::{self, Listeners, Listening, Messages};
use diesel::pg::PgConnection;
use diesel::result::{DatabaseErrorKind, Error};
use diesel::{Connection, QueryResult, QueryableByName, RunQueryDsl};
use std::time::{Duration, Instant};

/// After a batch that could not be written by heart, batches look for so long: others write the same orders, events repeat
/// or concern older orders, or somebody has just subscribed.
const DOUBT: Duration = Duration::from_millis(250);

fn doubt() -> Duration {
    fail::fail_point!("intake.no_doubt", |_| Duration::ZERO);
    DOUBT
}

/// Whether an event can go this way: nothing is left over of it, it tells nothing by itself and names no snapshot.
pub(super) fn is_plain(submission: &Submission) -> bool {
    let event = &submission.event;
    event.state != State::Pending && event.snapshot_event.is_none() && submission.notices.is_empty()
}

/// What the last batches have left known.
#[derive(Default)]
pub(super) struct Heart {
    orders: Memory,
    listeners: Option<Listeners>,
    doubted_until: Option<Instant>,
}

impl Heart {
    /// Forgets the orders that a batch is about, since they are about to be written another way.
    pub(super) fn forget(&mut self, batch: &[&Submission]) {
        let incoming: Vec<&Incoming> = batch.iter().filter_map(|submission| submission.incoming.as_ref()).collect();
        self.orders.forget_those(&Asked::of(&incoming));
    }
}

/// What was known is no longer so: the constraints say it that guard what is written.
pub(super) fn is_lost_race(error: &Error) -> bool {
    matches!(
        error,
        Error::DatabaseError(
            DatabaseErrorKind::UniqueViolation
                | DatabaseErrorKind::NotNullViolation
                | DatabaseErrorKind::SerializationFailure,
            _
        )
    )
}

/// A batch, as it is needed here.
struct Batch<'a> {
    sorted: Sorted<'a>,
    events: Vec<&'a NewEvent>,
    /// Of each event that has facts its place, and the facts.
    places: Vec<usize>,
    incoming: Vec<&'a Incoming>,
    asked: Asked<'a>,
}

impl<'a> Batch<'a> {
    fn of(batch: &'a [&'a Submission]) -> Self {
        let sorted = Sorted::of(batch);
        let events = sorted.events();
        let (places, incoming): (Vec<usize>, Vec<&Incoming>) = sorted
            .each()
            .enumerate()
            .filter_map(|(place, submission)| Some((place, submission.incoming.as_ref()?)))
            .unzip();
        let asked = Asked::of(&incoming);
        Self { sorted, events, places, incoming, asked }
    }
}

/// Stores and applies `batch` of plain submissions, and commits. None where it needs locks, and nothing was done.
///
/// # Errors
/// The database's, also where somebody was faster; nothing was done then.
pub(super) fn commit(
    conn: &mut PgConnection,
    heart: &mut Heart,
    settings: &Settings,
    batch: &[&Submission],
) -> QueryResult<Option<Vec<Answer>>> {
    let batch = Batch::of(batch);
    match by_heart(conn, heart, settings, &batch) {
        Ok(None) => {}
        Ok(Some(true)) => return Ok(Some(batch.sorted.answers(&vec![true; batch.events.len()]))),
        wrong => {
            heart.orders.forget_those(&batch.asked);
            heart.doubted_until = Some(Instant::now() + doubt());
            if let Err(error) = wrong
                && !is_lost_race(&error)
            {
                return Err(error);
            }
        }
    }
    looking(conn, heart, settings, &batch)
}

/// Whether it was done; if not, something is other than it was known. None where that was not tried.
fn by_heart(
    conn: &mut PgConnection,
    heart: &mut Heart,
    settings: &Settings,
    batch: &Batch<'_>,
) -> QueryResult<Option<bool>> {
    let is_doubted = heart.doubted_until.is_some_and(|until| Instant::now() < until);
    let Some(listeners) = &heart.listeners else { return Ok(None) };
    // An event that came twice is to be compared with what is stored.
    if is_doubted || batch.sorted.has_doubles() {
        return Ok(None);
    }
    let Some(ready) = orders::ready_by_heart(settings, &batch.asked, &batch.incoming, &heart.orders) else {
        return Ok(None);
    };
    let conditions = (Some(inbox::unseen(&batch.events)), (ready.conditions(), listeners.same(ready.notices())));
    fail::fail_point!("intake.before_commit");
    let done = write(conn, conditions, &batch.events, &ready, listeners)?;
    if done {
        ready.remember(&mut heart.orders, settings);
    }
    Ok(Some(done))
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

/// Looks first; what it learns on the way, who hears of notices included, is known by heart from then on.
fn looking(
    conn: &mut PgConnection,
    heart: &mut Heart,
    settings: &Settings,
    batch: &Batch<'_>,
) -> QueryResult<Option<Vec<Answer>>> {
    fail::fail_point!("intake.look");
    let Batch { sorted, events, places, incoming, asked } = batch;
    let seen = inbox::seen(events);
    let (seen, looked) = match orders::look(asked, settings) {
        None => (ask(Some(seen)).get_result::<SeenAlone>(conn)?.seen, None),
        Some(look) => {
            let question = ask((Some(seen), (Some(look), Some(outbox::listening()))));
            let found: SeenWithOrders = question.get_result(conn)?;
            heart.listeners = Some(Listeners::of(found.listening)?);
            (found.seen, Some(found.looked))
        }
    };
    let is_new = seen.news(events.len());
    let ready = match looked {
        None => Ready::default(),
        Some(looked) => match orders::ready(settings, asked, incoming, |n| is_new[places[n]], looked) {
            None => return Ok(None),
            Some(ready) => ready,
        },
    };
    let new: Vec<_> = events.iter().zip(&is_new).filter(|(_, new)| **new).map(|(event, _)| *event).collect();
    sorted.report_conflicts(conn, &is_new)?;
    fail::fail_point!("intake.before_commit");
    if !new.is_empty() {
        write(conn, (), &new, &ready, heart.listeners.as_ref().unwrap_or(&Listeners::default()))?;
        ready.remember(&mut heart.orders, settings);
    }
    Ok(Some(sorted.answers(&is_new)))
}

/// Says whether the conditions held; where not, nothing is written.
fn write(
    conn: &mut PgConnection,
    conditions: impl Parts,
    new: &[&NewEvent],
    ready: &Ready<'_>,
    listeners: &Listeners,
) -> QueryResult<bool> {
    let messages = Messages::of(ready.notices(), listeners);
    let all = change(conditions, (inbox::insert(new), (ready.parts(), (messages.part(), ready.ended()))));
    if !ready.is_unfinished() {
        // A statement of its own is a transaction of its own.
        return all.make(conn);
    }
    conn.transaction(|conn| {
        let done = all.make(conn)?;
        if done {
            ready.finish(conn)?;
        }
        Ok(done)
    })
}
