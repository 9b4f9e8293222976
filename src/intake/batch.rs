//! One batch in one transaction; where that fails, halves of it, down to the event that is to blame.

use super::{Answer, Submission};
use crate::inbox::{self, NewEvent};
use crate::orders::{self, Incoming, Outcome, Scope, Settings};
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

/// Stores and applies `batch`, and commits. A submission that cannot be written with the others is tried alone, and
/// alone it is at least stored, as pending.
pub fn commit(conn: &mut PgConnection, settings: &Settings, batch: &[&Submission]) -> Done {
    let error = match conn.transaction(|conn| attempt(conn, settings, batch)) {
        Ok((answers, pending)) => return Done { answers, pending, broken: false },
        Err(error) => error,
    };
    if is_broken(&error) {
        log::error!(error:% = error, events = batch.len(); "a batch could not be committed; its events are answered 503");
        return Done { answers: vec![Answer::Unavailable; batch.len()], pending: false, broken: true };
    }
    if batch.len() > 1 {
        return commit_halves(conn, settings, batch);
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

fn commit_halves(conn: &mut PgConnection, settings: &Settings, batch: &[&Submission]) -> Done {
    let (left, right) = batch.split_at(batch.len() / 2);
    let mut done = commit(conn, settings, left);
    let rest = if done.broken {
        Done { answers: vec![Answer::Unavailable; right.len()], pending: false, broken: true }
    } else {
        commit(conn, settings, right)
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
    let sorted = fold_duplicates(batch);
    let events: Vec<&NewEvent> = sorted.values().map(|n| &batch[*n].event).collect();
    let rows = inbox::put(conn, &events)?;
    report_conflicts(conn, batch, &sorted, &rows)?;

    let mut answers = vec![Answer::Duplicate; batch.len()];
    let mut new: Vec<(i64, Incoming<'_>)> = Vec::new();
    let (mut pending, mut notices) = (false, Vec::new());
    for (n, row) in sorted.values().zip(&rows) {
        let Some(row) = row else { continue };
        answers[*n] = Answer::Accepted;
        let submission = batch[*n];
        pending |= submission.event.state == inbox::State::Pending;
        notices.extend(submission.notices.iter().map(|notice| NewNotice { event: Some(*row), ..notice.clone() }));
        new.extend(submission.facts.as_ref().map(|facts| {
            (*row, Incoming { scope: Scope::new(&submission.event.account, submission.event.livemode), facts })
        }));
    }
    outbox::enqueue(conn, &notices)?;
    pending |= apply(conn, settings, new)?;
    fail::fail_point!("intake.before_commit");
    Ok((answers, pending))
}

/// The first of each key, sorted by key.
fn fold_duplicates<'a>(batch: &[&'a Submission]) -> BTreeMap<(&'a str, &'a str, &'a str), usize> {
    let mut sorted = BTreeMap::new();
    for (n, submission) in batch.iter().enumerate() {
        sorted.entry(submission.event.key()).or_insert(n);
    }
    sorted
}

fn report_conflicts(
    conn: &mut PgConnection,
    batch: &[&Submission],
    sorted: &BTreeMap<(&str, &str, &str), usize>,
    rows: &[Option<i64>],
) -> QueryResult<()> {
    let stored: std::collections::BTreeSet<usize> =
        sorted.values().zip(rows).filter(|(_, row)| row.is_some()).map(|(n, _)| *n).collect();
    let duplicates: Vec<&NewEvent> =
        (0..batch.len()).filter(|n| !stored.contains(n)).map(|n| &batch[n].event).collect();
    for conflict in inbox::conflicts(conn, &duplicates)? {
        log::warn!(event = conflict.event_id.escape_debug().to_string(), account = conflict.account; "conflict: the same event id came with another body; the first is kept");
    }
    Ok(())
}

/// Reconciles; says whether anything was left to the workers.
fn apply(conn: &mut PgConnection, settings: &Settings, new: Vec<(i64, Incoming<'_>)>) -> QueryResult<bool> {
    if new.is_empty() {
        return Ok(false);
    }
    let (rows, incoming): (Vec<i64>, Vec<Incoming<'_>>) = new.into_iter().unzip();
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
    let applicable = batch.iter().zip(&rows).filter(|(submission, _)| submission.facts.is_some());
    inbox::mark_pending(conn, &applicable.filter_map(|(_, row)| *row).collect::<Vec<_>>(), why)?;
    Ok(rows.iter().map(|row| if row.is_some() { Answer::Accepted } else { Answer::Duplicate }).collect())
}
