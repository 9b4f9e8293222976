//! One batch in one transaction; where that fails, halves of it, down to the event that is to blame.

use super::heart::{ByHeart, know};
use super::sorted::Sorted;
use super::{Answer, Pen, Submission, quick};
use crate::inbox::{self, NewEvent};
use crate::orders::{self, Incoming, Outcome, Settings};
use crate::outbox::{self, NewNotice};
use diesel::pg::PgConnection;
use diesel::result::{DatabaseErrorKind, Error};
use diesel::{Connection, QueryResult};
use std::collections::BTreeMap;

/// What a batch came to.
pub struct Done {
    /// One answer a submission, in the same sequence.
    pub answers: Vec<Answer>,
    /// Something was left to the workers.
    pub pending: bool,
    /// The connection is not to be used again.
    pub broken: bool,
}

/// Stores and applies `batch`, and commits: what is plain the quick way, by what is `known` of it by heart, the rest the
/// careful way.
pub(super) fn commit(pen: &mut Pen<'_>, batch: &[&Submission], mut known: Option<ByHeart>) -> Done {
    let (plain, odd): (Vec<usize>, Vec<usize>) = (0..batch.len()).partition(|n| batch[*n].is_plain());
    if odd.is_empty() {
        return commit_plain(pen, batch, known);
    }
    let mut done = Done { answers: vec![Answer::Unavailable; batch.len()], pending: false, broken: false };
    for (places, is_plain) in [(plain, true), (odd, false)] {
        if places.is_empty() || done.broken {
            continue;
        }
        let part: Vec<&Submission> = places.iter().map(|n| batch[*n]).collect();
        let of_part = if is_plain { commit_plain(pen, &part, known.take()) } else { commit_carefully(pen, &part) };
        places.iter().zip(of_part.answers).for_each(|(n, answer)| done.answers[*n] = answer);
        (done.pending, done.broken) = (done.pending || of_part.pending, of_part.broken);
    }
    done
}

fn commit_plain(pen: &mut Pen<'_>, batch: &[&Submission], mut known: Option<ByHeart>) -> Done {
    if know(pen.heart).is_careful() {
        return commit_carefully(pen, batch);
    }
    // Who was faster is done by now: a second look mostly finds nobody in the way.
    for looks in 1..=2 {
        match quick::commit(pen, batch, known.take()) {
            Ok(Some(answers)) => return Done { answers, pending: false, broken: false },
            Ok(None) => break,
            Err(error) if is_broken(&error) => return lost(&error, batch),
            Err(error) if looks == 1 && quick::is_lost_race(&error) => {}
            Err(error) => {
                let level =
                    if matches!(error, Error::DatabaseError(..)) { log::Level::Debug } else { log::Level::Error };
                log::log!(level, error:% = error, events = batch.len(); "somebody is in the way, or something is odd: a batch goes the careful way");
                know(pen.heart).take_care();
                break;
            }
        }
    }
    commit_carefully(pen, batch)
}

fn commit_carefully(pen: &mut Pen<'_>, batch: &[&Submission]) -> Done {
    know(pen.heart).forget(batch);
    careful(pen.conn, pen.settings, batch)
}

fn lost(error: &Error, batch: &[&Submission]) -> Done {
    log::error!(error:% = error, events = batch.len(); "a batch could not be committed; its events are answered 503");
    Done { answers: vec![Answer::Unavailable; batch.len()], pending: false, broken: true }
}

/// A submission that cannot be written with the others is tried alone, and alone it is at least stored, as pending.
fn careful(conn: &mut PgConnection, settings: &Settings, batch: &[&Submission]) -> Done {
    let error = match conn.transaction(|conn| attempt(conn, settings, batch)) {
        Ok((answers, pending)) => return Done { answers, pending, broken: false },
        Err(error) => error,
    };
    if is_broken(&error) {
        return lost(&error, batch);
    }
    if batch.len() > 1 {
        return careful_halves(conn, settings, batch);
    }
    let event = batch.iter().map(|s| s.event.event_id.escape_debug().to_string()).collect::<String>();
    log::warn!(error:% = error, event = event; "an event could not be applied; storing it as pending");
    match conn.transaction(|conn| store_pending(conn, batch, &error.to_string())) {
        Ok(answers) => Done { answers, pending: true, broken: false },
        Err(error) => {
            log::error!(error:% = error, event = event; "an event could not be stored; it is answered 503");
            Done { answers: vec![Answer::Unavailable; batch.len()], pending: false, broken: is_broken(&error) }
        }
    }
}

fn careful_halves(conn: &mut PgConnection, settings: &Settings, batch: &[&Submission]) -> Done {
    let (left, right) = batch.split_at(batch.len() / 2);
    let mut done = careful(conn, settings, left);
    let rest = if done.broken {
        Done { answers: vec![Answer::Unavailable; right.len()], pending: false, broken: true }
    } else {
        careful(conn, settings, right)
    };
    done.answers.extend(rest.answers);
    Done { answers: done.answers, pending: done.pending || rest.pending, broken: rest.broken }
}

/// An error after which the connection's state is unknown, or the server takes no writes at all.
fn is_broken(error: &Error) -> bool {
    match error {
        Error::DatabaseError(
            DatabaseErrorKind::ClosedConnection
            | DatabaseErrorKind::ReadOnlyTransaction
            | DatabaseErrorKind::UnableToSendCommand,
            _,
        )
        | Error::BrokenTransactionManager
        | Error::RollbackErrorOnCommit { .. } => true,
        // libpq reports a cut connection without an SQLSTATE: only its words tell.
        Error::DatabaseError(DatabaseErrorKind::Unknown, info) => {
            let text = info.message();
            [
                "server closed the connection",
                "terminating connection",
                "no connection to the server",
                // The schema was changed; a new connection prepares its statements anew.
                "cached plan must not change result type",
                "could not extend file",
                "No space left",
            ]
            .iter()
            .any(|sign| text.contains(sign))
        }
        _ => false,
    }
}

fn attempt(conn: &mut PgConnection, settings: &Settings, batch: &[&Submission]) -> QueryResult<(Vec<Answer>, bool)> {
    let sorted = Sorted::of(batch);
    let rows = inbox::put(conn, &sorted.events())?;
    let is_new: Vec<bool> = rows.iter().map(Option::is_some).collect();
    sorted.report_conflicts(conn, &is_new)?;

    let mut new: Vec<(i64, &Incoming)> = Vec::new();
    let (mut pending, mut notices) = (false, Vec::new());
    for (submission, row) in sorted.each().zip(&rows) {
        let Some(row) = row else { continue };
        pending |= submission.event.state == inbox::State::Pending;
        notices.extend(submission.notices.iter().map(|notice| NewNotice { event: Some(*row), ..notice.clone() }));
        new.extend(submission.incoming.as_ref().map(|incoming| (*row, incoming)));
    }
    outbox::enqueue(conn, &notices)?;
    pending |= apply(conn, settings, new)?;
    wait_for_standby_unless_new(conn, &rows)?;
    fail::fail_point!("intake.before_commit");
    Ok((sorted.answers(&is_new), pending))
}

/// Gives a transaction a commit record that stored nothing: its duplicates are answered from other sessions' rows.
fn wait_for_standby_unless_new(conn: &mut PgConnection, rows: &[Option<i64>]) -> QueryResult<()> {
    if rows.iter().any(Option::is_some) {
        return Ok(());
    }
    inbox::wait_for_standby(conn)
}

/// Reconciles; says whether anything was left to the workers.
fn apply(conn: &mut PgConnection, settings: &Settings, new: Vec<(i64, &Incoming)>) -> QueryResult<bool> {
    if new.is_empty() {
        return Ok(false);
    }
    let (rows, incoming): (Vec<i64>, Vec<&Incoming>) = new.into_iter().unzip();
    let outcomes = orders::reconcile(conn, settings, &incoming)?;
    let mut left: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for (row, outcome) in rows.iter().zip(outcomes) {
        match outcome {
            Outcome::Applied => {}
            Outcome::Held(why) => left.entry(why.to_owned()).or_default().push(*row),
            Outcome::Failed(why) => left.entry(why).or_default().push(*row),
        }
    }
    for (why, rows) in &left {
        inbox::mark_pending(conn, rows, why)?;
    }
    Ok(!left.is_empty())
}

fn store_pending(conn: &mut PgConnection, batch: &[&Submission], why: &str) -> QueryResult<Vec<Answer>> {
    let events: Vec<&NewEvent> = batch.iter().map(|submission| &submission.event).collect();
    let rows = inbox::put(conn, &events)?;
    for (submission, row) in batch.iter().zip(&rows).filter(|(_, row)| row.is_some()) {
        let notices = submission.notices.iter().map(|notice| NewNotice { event: *row, ..notice.clone() });
        outbox::enqueue(conn, &notices.collect::<Vec<_>>())?;
    }
    let applicable = batch.iter().zip(&rows).filter(|(submission, _)| submission.incoming.is_some());
    inbox::mark_pending(conn, &applicable.filter_map(|(_, row)| *row).collect::<Vec<_>>(), why)?;
    wait_for_standby_unless_new(conn, &rows)?;
    Ok(rows.iter().map(|row| if row.is_some() { Answer::Accepted } else { Answer::Duplicate }).collect())
}
