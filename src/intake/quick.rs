//! The way that nearly every batch goes: one statement that stores its events and writes its orders and messages, hence
//! in one commit.
//!
//! By heart, where the last batches tell what is known of the orders: then the statement writes nothing unless all of that is
//! still so. Else after a look, which asks without a lock what is stored already and what is known of the orders; then it
//! fails as a whole where anything is no longer so. What comes through neither goes the careful way (`batch.rs`), which
//! locks first.

use super::heart::{ByHeart, know};
use super::sorted::Sorted;
use super::{Answer, Pen, Submission};
use crate::db::{Parts, ask, change};
use crate::inbox::{self, NewEvent, Seen};
use crate::orders::{self, Asked, Incoming, Looked, Names, Ready, Settings};
use crate::outbox::{self, Listeners, Listening, Messages};
use diesel::pg::PgConnection;
use diesel::result::{DatabaseErrorKind, Error};
use diesel::{Connection, QueryResult, QueryableByName, RunQueryDsl};
use std::sync::Arc;

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

/// Stores and applies `batch` of plain submissions, and commits; `known` is what it comes to by heart. None where it needs
/// locks, and nothing was done.
///
/// # Errors
/// The database's, also where somebody was faster; nothing was done then.
pub(super) fn commit(
    pen: &mut Pen<'_>,
    batch: &[&Submission],
    known: Option<ByHeart>,
) -> QueryResult<Option<Vec<Answer>>> {
    let sorted = Sorted::of(batch);
    if let Some(known) = known {
        // An event that came twice is to be compared with what is stored.
        let done = if sorted.has_doubles() { None } else { Some(by_heart(pen.conn, &sorted, &known)) };
        if let Some(Ok(true)) = done {
            return Ok(Some(vec![Answer::Accepted; batch.len()]));
        }
        know(pen.heart).forget(batch);
        if let Some(wrong) = done {
            know(pen.heart).doubt();
            if let Err(error) = wrong
                && !is_lost_race(&error)
            {
                return Err(error);
            }
        }
    }
    know(pen.heart).begin_look();
    let looked = looking(pen, &sorted);
    know(pen.heart).end_look();
    looked
}

/// Whether it was done; if not, something is other than it was known.
fn by_heart(conn: &mut PgConnection, sorted: &Sorted<'_>, ByHeart { ready, listeners }: &ByHeart) -> QueryResult<bool> {
    let events = sorted.events();
    // Whoever bears a new name was not applied before. One that was stored all the same is refused by its key.
    let may_be_known = sorted.each().filter(|each| !each.incoming.as_ref().is_some_and(|it| ready.introduces(it)));
    let may_be_known: Vec<&NewEvent> = may_be_known.map(|each| &each.event).collect();
    let conditions = (inbox::unseen(&may_be_known), (ready.conditions(), listeners.same(ready.notices())));
    fail::fail_point!("intake.before_commit");
    write(conn, conditions, &events, ready, listeners)
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
fn looking(Pen { conn, heart, settings }: &mut Pen<'_>, sorted: &Sorted<'_>) -> QueryResult<Option<Vec<Answer>>> {
    fail::fail_point!("intake.look");
    let events = sorted.events();
    let with_facts = sorted.each().enumerate().filter_map(|(place, each)| Some((place, each.incoming.as_ref()?)));
    let (places, incoming): (Vec<usize>, Vec<&Incoming>) = with_facts.unzip();
    let asked = Asked::of(&incoming);
    let Found { is_new, is_replicated, known } = look(conn, settings, &events, &asked)?;
    let (ready, names, listeners) = match known {
        None => (Ready::default(), Names::default(), Arc::default()),
        Some((looked, listeners)) => {
            know(heart).hear(&listeners);
            match orders::ready(settings, &asked, &incoming, |n| is_new[places[n]], looked) {
                None => return Ok(None),
                Some((ready, names)) => (ready, names, listeners),
            }
        }
    };
    let new: Vec<_> = events.iter().zip(&is_new).filter(|(_, new)| **new).map(|(event, _)| *event).collect();
    sorted.report_conflicts(conn, &is_new)?;
    fail::fail_point!("intake.before_commit");
    if !new.is_empty() {
        // Its commit is behind what was found, too.
        write(conn, (), &new, &ready, &listeners)?;
        know(heart).learn(&ready, names, settings);
    } else if is_replicated {
        inbox::wait_for_standby(conn)?;
    }
    Ok(Some(sorted.answers(&is_new)))
}

/// What a look has found.
struct Found {
    /// Of each event.
    is_new: Vec<bool>,
    /// Commits wait for a standby.
    is_replicated: bool,
    /// What is known of their orders, and who hears of notices; none where they have none.
    known: Option<(Looked, Arc<Listeners>)>,
}

impl Found {
    fn of(seen: &Seen, count: usize, known: Option<(Looked, Arc<Listeners>)>) -> Self {
        Self { is_new: seen.news(count), is_replicated: seen.is_replicated, known }
    }
}

fn look(conn: &mut PgConnection, settings: &Settings, events: &[&NewEvent], asked: &Asked<'_>) -> QueryResult<Found> {
    let seen = inbox::seen(events);
    let Some(look) = orders::look(asked, settings) else {
        let found: SeenAlone = ask(Some(seen)).get_result(conn)?;
        return Ok(Found::of(&found.seen, events.len(), None));
    };
    let found: SeenWithOrders = ask((Some(seen), (Some(look), Some(outbox::listening())))).get_result(conn)?;
    let listeners = Arc::new(Listeners::of(found.listening)?);
    Ok(Found::of(&found.seen, events.len(), Some((found.looked, listeners))))
}

/// Says whether the conditions held; where not, nothing is written.
fn write(
    conn: &mut PgConnection,
    conditions: impl Parts,
    new: &[&NewEvent],
    ready: &Ready,
    listeners: &Listeners,
) -> QueryResult<bool> {
    let messages = Messages::of(ready.notices(), listeners);
    if !ready.changes_queued() {
        // A statement of its own is a transaction of its own.
        let all = change(conditions, (inbox::insert(new), (ready.parts(), (messages.part(), ready.ended()))));
        return all.make(conn);
    }
    let done = conn.transaction(|conn| {
        if !change(conditions, (inbox::insert(new), ready.parts())).make(conn)? {
            return Err(Error::RollbackTransaction);
        }
        ready.finish(conn, messages)
    });
    match done {
        Ok(()) => Ok(true),
        Err(Error::RollbackTransaction) => Ok(false),
        Err(error) => Err(error),
    }
}
