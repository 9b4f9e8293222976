//! Facts into orders: lock and read; compute; write. The caller owns the transaction.
//!
//! Orders that someone else holds are skipped, not waited for: their facts are reported as [`Outcome::Held`], and so
//! are those of an order that cannot be computed ([`Outcome::Failed`]). All the others are written.

use super::Settings;
use super::grouping::{Asked, Incoming, Set, group, name_all, unnamed};
use super::plan::{Cluster, Plan, plan};
use super::store::{self, Locked};
use crate::outbox;
use diesel::QueryResult;
use diesel::pg::PgConnection;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use uuid::Uuid;

/// What became of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Their order is written and its messages are queued.
    Applied,
    /// Someone else holds their order, or moved it meanwhile; try again.
    Held(&'static str),
    /// Their order cannot be computed.
    Failed(String),
}

/// Merges each of `incoming` into its order, and queues what that makes due. One outcome each, in the same sequence.
///
/// # Errors
/// What the database said; nothing of the batch may then be committed.
pub fn reconcile(conn: &mut PgConnection, settings: &Settings, incoming: &[&Incoming]) -> QueryResult<Vec<Outcome>> {
    merge(conn, settings, incoming, None)
}

/// Writes the order `id` anew from `facts`, all that its events say; what the row held before does not count. Nothing is
/// queued; what waits and is not owed is withdrawn.
///
/// # Errors
/// As [`reconcile`]'s.
pub fn anew(conn: &mut PgConnection, settings: &Settings, id: Uuid, facts: &Incoming) -> QueryResult<Outcome> {
    let mut outcomes = merge(conn, settings, &[facts], Some(id))?;
    Ok(outcomes.pop().unwrap_or(Outcome::Applied))
}

fn merge(
    conn: &mut PgConnection,
    settings: &Settings,
    incoming: &[&Incoming],
    anew: Option<Uuid>,
) -> QueryResult<Vec<Outcome>> {
    let asked = Asked::of(incoming);
    let mut named = store::resolve(conn, &asked.references)?;
    let mut sets = group(&asked, &named, |_| true);
    let mut outcomes = Outcomes(vec![Outcome::Applied; incoming.len()]);
    refer(conn, &asked, &mut named, &mut sets, &mut outcomes)?;
    let locked = lock(conn, settings, &asked, &named, &mut sets, &mut outcomes)?;

    let (mut all, mut unwritten) = (Plan::default(), Vec::new());
    for set in &sets {
        match set.held.is_none().then(|| compute(set, incoming, &named, &locked, settings, anew)) {
            None => unwritten.push(set),
            Some(Ok(plan)) => all.extend(plan),
            Some(Err(why)) => {
                set.members.iter().for_each(|n| outcomes.0[*n] = Outcome::Failed(why.clone()));
                unwritten.push(set);
            }
        }
    }
    forget(conn, &unwritten)?;
    write(conn, all)?;
    Ok(outcomes.0)
}

/// One a member of what came in.
struct Outcomes(Vec<Outcome>);

impl Outcomes {
    fn hold(&mut self, set: &mut Set, why: &'static str) {
        set.held = Some(why);
        set.members.iter().for_each(|n| self.0[*n] = Outcome::Held(why));
    }
}

/// No reference is committed without its order's row: such an order could not be locked, so whoever read the reference
/// would not notice that it moved meanwhile.
fn forget(conn: &mut PgConnection, unwritten: &[&Set]) -> QueryResult<()> {
    let homes: Vec<Uuid> = unwritten.iter().filter(|set| set.fresh).map(|set| set.home).collect();
    if homes.is_empty() { Ok(()) } else { store::forget(conn, &homes) }
}

/// Inserts the references that are new, sorted. Where another writer was faster, the set is left for another try.
fn refer(
    conn: &mut PgConnection,
    asked: &Asked<'_>,
    named: &mut [Option<Uuid>],
    sets: &mut [Set],
    outcomes: &mut Outcomes,
) -> QueryResult<()> {
    let new = unnamed(asked, named, sets);
    if new.is_empty() {
        return Ok(());
    }
    let inserted = store::refer(conn, &new)?;
    let raced = inserted < new.len();
    let now = if raced { store::resolve(conn, &asked.references)? } else { Vec::new() };
    for set in sets.iter_mut().filter(|_| raced) {
        let lost = |place: &&usize| named[**place].is_none() && now[**place].is_some_and(|order| order != set.home);
        if set.references.iter().find(lost).is_some() {
            outcomes.hold(set, "another writer named its order first");
        }
    }
    name_all(named, sets);
    Ok(())
}

/// Locks the orders of all sets; holds back the sets whose orders are not all ours.
fn lock(
    conn: &mut PgConnection,
    settings: &Settings,
    asked: &Asked<'_>,
    named: &[Option<Uuid>],
    sets: &mut [Set],
    outcomes: &mut Outcomes,
) -> QueryResult<HashMap<Uuid, Locked>> {
    let free = sets.iter().filter(|set| set.held.is_none());
    let wanted: BTreeSet<Uuid> = free.flat_map(|set| set.orders(named)).collect();
    let locked = store::lock(conn, &wanted.iter().copied().collect::<Vec<_>>(), settings.largest)?;
    let locked: HashMap<Uuid, Locked> = locked.into_iter().map(|row| (row.id, row)).collect();

    let absent: Vec<Uuid> = wanted.iter().filter(|id| !locked.contains_key(*id)).copied().collect();
    let elsewhere: HashSet<Uuid> =
        if absent.is_empty() { HashSet::new() } else { store::existing(conn, &absent)?.into_iter().collect() };
    for set in sets.iter_mut().filter(|set| set.held.is_none()) {
        let orders = set.orders(named);
        let any = |is: fn(&Locked) -> bool| orders.iter().any(|id| locked.get(id).is_some_and(is));
        if orders.iter().any(|id| elsewhere.contains(id)) {
            outcomes.hold(set, "its order is locked by someone else");
        } else if any(|row| row.large) {
            outcomes.hold(set, "its order is large: left to the workers");
        } else if any(|row| row.moved || row.merged) && !still_named(conn, asked, named, set, &locked)? {
            outcomes.hold(set, "its order was merged or parted meanwhile");
        }
    }
    Ok(locked)
}

/// References may have left these orders between resolving and locking: reads them again, and says whether they name
/// what they named.
fn still_named(
    conn: &mut PgConnection,
    asked: &Asked<'_>,
    named: &[Option<Uuid>],
    set: &Set,
    locked: &HashMap<Uuid, Locked>,
) -> QueryResult<bool> {
    let orders = set.orders(named);
    let merged: Vec<Uuid> = orders.into_iter().filter(|id| locked.get(id).is_some_and(|row| row.merged)).collect();
    if !merged.is_empty() {
        store::follow_heirs(conn, &merged)?;
    }
    let own: Vec<_> = set.references.iter().map(|place| asked.references[*place]).collect();
    let now = store::resolve(conn, &own)?;
    Ok(set.references.iter().zip(now).all(|(place, now)| now == named[*place]))
}

/// What the set's orders come to, as far as they are `known`. A panic of the law stays within its orders.
pub(super) fn compute(
    set: &Set,
    incoming: &[&Incoming],
    named: &[Option<Uuid>],
    known: &HashMap<Uuid, Locked>,
    settings: &Settings,
    anew: Option<Uuid>,
) -> Result<Plan, String> {
    let Some(first) = set.members.first() else { return Ok(Plan::default()) };
    let orders = set.orders(named);
    let cluster = Cluster {
        scope: incoming[*first].scope.clone(),
        home: set.home,
        orders: orders.iter().filter_map(|id| known.get(id)).collect(),
        named: orders,
        incoming: set.members.iter().map(|n| &incoming[*n].facts).collect(),
        anew,
    };
    catch_unwind(AssertUnwindSafe(|| {
        fail::fail_point!(
            "orders.compute",
            set.members.iter().any(|n| incoming[*n].references.iter().any(|r| r.reference.value.starts_with("poison"))),
            |_| Err("the failpoint says so".to_owned())
        );
        plan(&cluster, settings)
    }))
    .unwrap_or_else(|panic| Err(format!("the order could not be computed: {}", panic_text(&*panic))))
}

fn write(conn: &mut PgConnection, mut plan: Plan) -> QueryResult<()> {
    if !plan.retired.is_empty() {
        store::retire(conn, &plan.retired)?;
    }
    if !plan.writes.is_empty() {
        plan.writes.sort_unstable_by_key(|order| order.id);
        store::write(conn, &plan.writes)?;
    }
    if !plan.moves.is_empty() {
        store::move_references(conn, &plan.moves)?;
    }
    if !plan.retired.is_empty() {
        let (from, to): (Vec<_>, Vec<_>) = plan.retired.iter().copied().unzip();
        store::follow_heirs(conn, &from)?;
        outbox::adopt(conn, &from, &to)?;
    }
    tell(conn, &plan)
}

fn tell(conn: &mut PgConnection, plan: &Plan) -> QueryResult<()> {
    carry_over(conn, plan)?;
    withdraw(conn, plan)?;
    if !plan.notices.is_empty() {
        outbox::enqueue(conn, &plan.notices)?;
    }
    end_waits(conn, plan)?;
    for names in &plan.same {
        outbox::keep_one(conn, names)?;
    }
    if !plan.rehomed.is_empty() {
        outbox::rehome(conn, &plan.rehomed)?;
    }
    for settled in &plan.settled {
        outbox::withdraw_all_but(conn, settled.order, &settled.owed, &settled.unmailed)?;
    }
    hold_and_release(conn, plan)
}

/// Gives messages of the first edition of the law the keys of this one, and withdraws the mails that it owes no more.
pub(super) fn carry_over(conn: &mut PgConnection, plan: &Plan) -> QueryResult<()> {
    if !plan.renamed.is_empty() {
        outbox::rename(conn, &plan.renamed)?;
    }
    if !plan.unmailed.is_empty() {
        outbox::withdraw_mails(conn, &plan.unmailed)?;
    }
    Ok(())
}

/// Withdraws messages that were queued before, so that others can be queued in their place.
pub(super) fn withdraw(conn: &mut PgConnection, plan: &Plan) -> QueryResult<()> {
    if plan.withdrawals.is_empty() { Ok(()) } else { outbox::withdraw(conn, &plan.withdrawals).map(drop) }
}

/// Ends the grace period of messages that were queued before.
pub(super) fn end_waits(conn: &mut PgConnection, plan: &Plan) -> QueryResult<()> {
    if plan.end_waits.is_empty() { Ok(()) } else { outbox::end_wait(conn, &plan.end_waits).map(drop) }
}

/// Holds messages that were queued before, and lets them go.
pub(super) fn hold_and_release(conn: &mut PgConnection, plan: &Plan) -> QueryResult<()> {
    if !plan.holds.is_empty() {
        outbox::hold(conn, &plan.holds)?;
    }
    if !plan.releases.is_empty() {
        outbox::release(conn, &plan.releases)?;
    }
    Ok(())
}

/// What a caught panic said.
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text =
        panic.downcast_ref::<&str>().map(ToString::to_string).or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a panic without a message".to_owned())
}
