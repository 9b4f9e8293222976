//! The quick way: look at the orders without a lock, compute, and write only if nobody has changed them meanwhile.
//!
//! What is written fails as a whole where an order's version is not the one that was looked at, or a new reference names
//! an order by now. Then, and wherever more than orders, new references and messages is concerned, `reconcile` does it,
//! which locks first. Both compute the same.

use super::Settings;
use super::grouping::{Asked, Incoming, group, name_all, unnamed};
use super::plan::Plan;
use super::reconcile::{compute, hold_and_release};
use super::store::{self, Known, Looked, Scoped};
use crate::db::{Part, Parts, Values};
use crate::outbox::{self, NewNotice};
use diesel::QueryResult;
use diesel::pg::PgConnection;
use uuid::Uuid;

/// Asks what is known of the orders of some facts: [`Looked`]. None where they have no references.
pub fn look<'a>(asked: &Asked<'a>, settings: &Settings) -> Option<Part<impl Values + use<'a>>> {
    (!asked.is_empty()).then(|| store::look(&asked.references, settings.largest))
}

/// What is to be written of orders, where nothing changes meanwhile.
#[derive(Debug, Default)]
pub struct Ready<'a> {
    references: Vec<(&'a Scoped, Uuid)>,
    plan: Plan,
}

/// Merges those of `incoming` that are `wanted` into what was looked up. None where that must not be done without a lock.
pub fn ready<'a>(
    settings: &Settings,
    asked: &Asked<'a>,
    incoming: &[&Incoming],
    wanted: impl Fn(usize) -> bool,
    looked: Looked,
) -> Option<Ready<'a>> {
    let Known { mut named, orders } = looked.read(asked.references.len())?;
    // A reference that names an order without a row: somebody is about to write it.
    if named.iter().flatten().any(|order| !orders.contains_key(order)) {
        return None;
    }
    let sets = group(asked, &named, wanted);
    let references = unnamed(asked, &named, &sets);
    name_all(&mut named, &sets);
    let mut plan = Plan::default();
    for set in &sets {
        plan.extend(compute(set, incoming, &named, &orders, settings, None).ok()?);
    }
    let moves = plan.retired.is_empty() && plan.moves.is_empty() && plan.same.is_empty() && plan.rehomed.is_empty();
    plan.writes.sort_unstable_by_key(|order| order.id);
    moves.then_some(Ready { references, plan })
}

impl Ready<'_> {
    /// The notices that became due.
    pub fn notices(&self) -> &[NewNotice] {
        &self.plan.notices
    }

    /// References and orders.
    pub fn parts(&self) -> impl Parts + use<'_> {
        (store::refer_new(&self.references), store::write_unchanged(&self.plan.writes))
    }

    /// Messages that wait no longer.
    pub fn ended(&self) -> impl Parts + use<'_> {
        outbox::ended(&self.plan.end_waits)
    }

    /// Messages that were queued before are to be held or let go: [`Ready::finish`] is needed, in the same transaction.
    pub fn is_unfinished(&self) -> bool {
        !(self.plan.holds.is_empty() && self.plan.releases.is_empty())
    }

    /// Holds messages that were queued before, and lets them go.
    ///
    /// # Errors
    /// The database's.
    pub fn finish(&self, conn: &mut PgConnection) -> QueryResult<()> {
        hold_and_release(conn, &self.plan)
    }
}
