//! One event judged and applied anew, after a fix or a change of settings.
//!
//! It goes the way of a pending event: reopened and held like a claim, then judged by today's rules. What its order knew
//! already stays as it is, and no message is queued under a key that was ever used. So a replay is always harmless.

use super::pending::{LEASE_SECONDS, settle_claimed};
use crate::inbox::browse::{self, EventName, EventRow};
use crate::inbox::{self, Reopened};
use crate::intake::Rules;
use crate::orders::{self, OrderRow, Scope};
use anyhow::Context;
use diesel::Connection;
use diesel::pg::PgConnection;
use serde::Serialize;
use uuid::Uuid;

/// What became of a replay.
#[derive(Debug)]
pub enum Replay {
    /// There is no such event, or its bytes are kept no longer.
    NotFound,
    /// It is pending already: a worker sees to it.
    InFlight,
    /// It was judged and applied.
    Done(Box<Report>),
}

/// What a replay did, or would do.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The event as it stands now.
    pub event: EventRow,
    /// Where it stood before.
    pub state_before: String,
    /// Nothing of it was kept.
    pub dry_run: bool,
    /// The orders that the event names, before.
    pub before: Vec<OrderRow>,
    /// The same after.
    pub after: Vec<OrderRow>,
}

/// The dry run's report on its way out of a transaction that is to be rolled back.
enum Undo {
    Report(Replay),
    Failed(anyhow::Error),
}

impl From<diesel::result::Error> for Undo {
    fn from(error: diesel::result::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// Replays the event of that name; a dry run does the same and takes it all back.
///
/// # Errors
/// The database's. An event that was reopened is a worker's matter then.
pub fn replay(conn: &mut PgConnection, rules: &Rules, name: &EventName, dry_run: bool) -> anyhow::Result<Replay> {
    let Some(row) = browse::find(conn, name).context("cannot look the event up")? else {
        return Ok(Replay::NotFound);
    };
    if !dry_run {
        return apply(conn, rules, &row, dry_run);
    }
    let undone: Result<(), Undo> =
        conn.transaction(|conn| Err(apply(conn, rules, &row, dry_run).map_or_else(Undo::Failed, Undo::Report)));
    match undone {
        Err(Undo::Report(report)) => Ok(report),
        Err(Undo::Failed(error)) => Err(error),
        Ok(()) => Ok(Replay::NotFound),
    }
}

fn apply(conn: &mut PgConnection, rules: &Rules, row: &EventRow, dry_run: bool) -> anyhow::Result<Replay> {
    let token = Uuid::now_v7();
    let reopened = conn.transaction(|conn| inbox::reopen(conn, token, row.id, LEASE_SECONDS));
    let event = match reopened.context("cannot reopen the event")? {
        Reopened::Gone => return Ok(Replay::NotFound),
        Reopened::InFlight => return Ok(Replay::InFlight),
        Reopened::Ours(event) => *event,
    };
    let facts = rules.judge_stored(&event.source, &event.body).facts;
    let references = facts.map(|facts| facts.references()).unwrap_or_default();
    let scope = Scope::new(&event.account, event.livemode);
    let named = |conn: &mut PgConnection| {
        orders::browse::naming(conn, &scope, &references).context("cannot read the orders that the event names")
    };
    let before = named(conn)?;
    settle_claimed(conn, rules, token, std::slice::from_ref(&event))?;
    let after = named(conn)?;
    let now = browse::find(conn, &EventName::Row(row.id))?.context("the event is gone")?;
    Ok(Replay::Done(Box::new(Report { event: now, state_before: row.state.clone(), dry_run, before, after })))
}
