//! The quick way: learn of the orders without a lock, compute, and write only if nobody has changed them meanwhile.
//!
//! What is known of the orders was looked up just now, or is remembered from the last writes. Either may be out of date by
//! the time of writing: what is written fails as a whole where an order's version is not the one that was known, or a new
//! reference names an order by now. Then, and wherever more than orders, new references and messages is concerned,
//! `reconcile` does it, which locks first. Both compute the same.

use super::Settings;
use super::grouping::{Asked, Incoming, group, name_all, unnamed};
use super::memory::Memory;
use super::plan::Plan;
use super::reconcile::{carry_over, compute, end_waits, hold_and_release, withdraw};
use super::store::{self, Known, Looked, Scoped, Written};
use crate::db::{Part, Parts, Values};
use crate::outbox::{self, NewNotice};
use diesel::QueryResult;
use diesel::pg::PgConnection;
use std::collections::HashMap;
use uuid::Uuid;

/// Asks what is known of the orders of some facts: [`Looked`]. None where they have no references.
pub fn look<'a>(asked: &Asked<'a>, settings: &Settings) -> Option<Part<impl Values + use<'a>>> {
    (!asked.is_empty()).then(|| store::look(&asked.references, settings.largest))
}

/// What is to be written of orders, where nothing changes meanwhile.
#[derive(Debug, Default)]
pub struct Ready {
    /// New references and the orders that they are to name, sorted.
    references: Vec<(Scoped, Uuid)>,
    /// The versions of what the writes are based on.
    versions: Vec<(Uuid, i64)>,
    /// Its writes are sorted by id.
    plan: Plan,
}

/// The orders that references name, once what is ready is written.
#[derive(Debug, Default)]
pub struct Names<'a>(Vec<(&'a Scoped, Uuid)>);

/// Merges those of `incoming` that are `wanted` into what was looked up. None where that must not be done without a lock.
pub fn ready<'a>(
    settings: &Settings,
    asked: &Asked<'a>,
    incoming: &[&Incoming],
    wanted: impl Fn(usize) -> bool,
    looked: Looked,
) -> Option<(Ready, Names<'a>)> {
    merge(settings, asked, incoming, wanted, looked.read(asked.references.len())?)
}

/// The same by what is remembered: to be written only on [`Ready::conditions`].
pub fn ready_by_heart<'a>(
    settings: &Settings,
    asked: &Asked<'a>,
    incoming: &[&Incoming],
    memory: &Memory,
) -> Option<(Ready, Names<'a>)> {
    merge(settings, asked, incoming, |_| true, memory.recall(asked))
}

fn merge<'a>(
    settings: &Settings,
    asked: &Asked<'a>,
    incoming: &[&Incoming],
    wanted: impl Fn(usize) -> bool,
    Known { mut named, orders }: Known,
) -> Option<(Ready, Names<'a>)> {
    // A reference that names an order without a row: somebody is about to write it.
    if named.iter().flatten().any(|order| !orders.contains_key(order)) {
        return None;
    }
    let sets = group(asked, &named, wanted);
    let references = unnamed(asked, &named, &sets);
    let references = references.into_iter().map(|(reference, order)| (reference.clone(), order)).collect();
    name_all(&mut named, &sets);
    let mut plan = Plan::default();
    for set in &sets {
        plan.extend(compute(set, incoming, &named, &orders, settings, None).ok()?);
    }
    let moves = plan.retired.is_empty() && plan.moves.is_empty() && plan.same.is_empty() && plan.rehomed.is_empty();
    plan.writes.sort_unstable_by_key(|order| order.id);
    let names = asked.references.iter().zip(&named).filter_map(|(name, order)| Some((*name, (*order)?))).collect();
    let versions = orders.values().map(|order| (order.id, order.version)).collect();
    moves.then_some((Ready { references, versions, plan }, Names(names)))
}

impl Ready {
    /// The notices that became due.
    pub fn notices(&self) -> &[NewNotice] {
        &self.plan.notices
    }

    #[cfg(test)]
    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What was remembered is still so.
    pub fn conditions(&self) -> impl Parts + use<'_> {
        let new: Vec<&Scoped> = self.references.iter().map(|(reference, _)| reference).collect();
        (store::unknown(&new), store::unchanged(&self.versions))
    }

    /// A name that `incoming` has is to name an order for the first time. On [`Ready::conditions`] it does; then what bears it was
    /// not applied before.
    pub fn introduces(&self, incoming: &Incoming) -> bool {
        let is_new = |name: &Scoped| self.references.binary_search_by(|(new, _)| new.cmp(name)).is_ok();
        incoming.references.iter().any(is_new)
    }

    /// References and orders.
    pub fn parts(&self) -> impl Parts + use<'_> {
        let new: Vec<(&Scoped, Uuid)> = self.references.iter().map(|(reference, order)| (reference, *order)).collect();
        (store::refer_new(&new), store::write_unchanged(&self.plan.writes))
    }

    /// Messages that wait no longer.
    pub fn ended(&self) -> impl Parts + use<'_> {
        outbox::ended(&self.plan.end_waits)
    }

    /// Messages that were queued before are to be counted, withdrawn, held or let go: they are locked after the orders, so
    /// [`Ready::finish`] is needed, in the same transaction.
    pub fn changes_queued(&self) -> bool {
        let plan = &self.plan;
        let counts = plan.notices.iter().any(|notice| notice.only.is_some());
        let carried = !(plan.renamed.is_empty() && plan.unmailed.is_empty());
        counts || carried || !(plan.holds.is_empty() && plan.releases.is_empty() && plan.withdrawals.is_empty())
    }

    /// Withdraws messages that were queued before, queues `messages`, and holds or lets go what waits.
    ///
    /// # Errors
    /// The database's.
    pub fn finish(&self, conn: &mut PgConnection, messages: outbox::Messages<'_>) -> QueryResult<()> {
        carry_over(conn, &self.plan)?;
        withdraw(conn, &self.plan)?;
        messages.queue(conn)?;
        end_waits(conn, &self.plan)?;
        hold_and_release(conn, &self.plan)
    }

    /// Has `memory` know the orders as this writes them.
    pub fn remember(&self, names: Names<'_>, memory: &mut Memory, settings: &Settings) {
        let mut own: HashMap<Uuid, Vec<&Scoped>> = HashMap::new();
        for (name, order) in names.0 {
            own.entry(order).or_default().push(name);
        }
        let is_large =
            |order: &Written| settings.largest.is_some_and(|most| order.facts.len() > most.unsigned_abs() as usize);
        for order in &self.plan.writes {
            if is_large(order) {
                memory.forget(order.id);
            } else {
                memory.learn(order, own.remove(&order.id).unwrap_or_default().into_iter());
            }
        }
    }

    /// Has `later`, which was worked out by `memory` from what this leaves behind, written together with this, and the
    /// memory know it.
    pub fn follow(&mut self, mut later: Self, names: Names<'_>, memory: &mut Memory, settings: &Settings) {
        let written = &self.plan.writes;
        let earlier = |id: &Uuid| written.binary_search_by_key(id, |order| order.id).ok().map(|n| &written[n]);
        // One write raises a version once, and is based on what was there before both.
        for order in &mut later.plan.writes {
            order.version = earlier(&order.id).map_or(order.version, |earlier| earlier.version);
        }
        later.remember(names, memory, settings);
        self.versions.extend(later.versions.into_iter().filter(|(id, _)| earlier(id).is_none()));
        self.references.extend(later.references);
        self.references.sort_unstable();
        self.plan.follow(later.plan);
    }
}
