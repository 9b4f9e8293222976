//! Facts into orders: lock and read; compute; write. The caller owns the transaction.
//!
//! Orders that someone else holds are skipped, not waited for: their facts are reported as [`Outcome::Held`], and so
//! are those of an order that cannot be computed ([`Outcome::Failed`]). All the others are written.

use super::Settings;
use super::facts::Facts;
use super::plan::{Cluster, Plan, plan};
use super::store::{self, Locked, Scope, Scoped};
use crate::outbox;
use diesel::QueryResult;
use diesel::pg::PgConnection;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use uuid::Uuid;

/// Facts to be merged into their order.
#[derive(Clone, Debug)]
pub struct Incoming<'a> {
    /// Where their references mean something.
    pub scope: Scope,
    /// The facts of one event.
    pub facts: &'a Facts,
}

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
pub fn reconcile(conn: &mut PgConnection, settings: &Settings, incoming: &[Incoming<'_>]) -> QueryResult<Vec<Outcome>> {
    merge(conn, settings, incoming, None)
}

/// Writes the order `id` anew from `facts`, all that its events say; what the row held before does not count.
///
/// # Errors
/// As [`reconcile`]'s.
pub fn anew(conn: &mut PgConnection, settings: &Settings, id: Uuid, facts: &Incoming<'_>) -> QueryResult<Outcome> {
    let mut outcomes = merge(conn, settings, std::slice::from_ref(facts), Some(id))?;
    Ok(outcomes.pop().unwrap_or(Outcome::Applied))
}

fn merge(
    conn: &mut PgConnection,
    settings: &Settings,
    incoming: &[Incoming<'_>],
    anew: Option<Uuid>,
) -> QueryResult<Vec<Outcome>> {
    let mut outcomes = vec![Outcome::Applied; incoming.len()];
    let mut sets = resolve(conn, incoming)?;
    refer(conn, &mut sets, &mut outcomes)?;
    let locked = lock(conn, settings, &mut sets, &mut outcomes)?;

    let (mut all, mut unwritten) = (Plan::default(), Vec::new());
    for set in &sets {
        match set.held.is_none().then(|| compute(set, incoming, &locked, settings, anew)) {
            None => unwritten.push(set),
            Some(Ok(plan)) => all.extend(plan),
            Some(Err(why)) => {
                set.members.iter().for_each(|n| outcomes[*n] = Outcome::Failed(why.clone()));
                unwritten.push(set);
            }
        }
    }
    forget(conn, &unwritten)?;
    write(conn, all)?;
    Ok(outcomes)
}

/// No reference is committed without its order's row: such an order could not be locked, so whoever read the reference
/// would not notice that it moved meanwhile.
fn forget(conn: &mut PgConnection, unwritten: &[&Set]) -> QueryResult<()> {
    let homes: Vec<Uuid> = unwritten.iter().filter(|set| set.fresh).map(|set| set.home).collect();
    if homes.is_empty() { Ok(()) } else { store::forget(conn, &homes) }
}

/// Incoming facts that share references, with the orders which those name.
struct Set {
    members: Vec<usize>,
    references: BTreeSet<Scoped>,
    named: HashMap<Scoped, Uuid>,
    home: Uuid,
    /// `home` is an order that is not there yet.
    fresh: bool,
    held: Option<&'static str>,
}

impl Set {
    fn orders(&self) -> BTreeSet<Uuid> {
        self.named.values().copied().collect()
    }

    fn hold(&mut self, outcomes: &mut [Outcome], why: &'static str) {
        self.held = Some(why);
        self.members.iter().for_each(|n| outcomes[*n] = Outcome::Held(why));
    }
}

/// Groups `incoming` by the references that they share and by the orders that these name already.
fn resolve(conn: &mut PgConnection, incoming: &[Incoming<'_>]) -> QueryResult<Vec<Set>> {
    let references: Vec<BTreeSet<Scoped>> = incoming.iter().map(scoped).collect();
    let all: BTreeSet<&Scoped> = references.iter().flatten().collect();
    let named = store::resolve(conn, &all.into_iter().collect::<Vec<_>>())?;

    let mut by_reference: HashMap<&Scoped, usize> = HashMap::new();
    let mut by_order: HashMap<Uuid, usize> = HashMap::new();
    let mut root: Vec<usize> = (0..incoming.len()).collect();
    for (n, own) in references.iter().enumerate() {
        for reference in own {
            let first = *by_reference.entry(reference).or_insert(n);
            unite(&mut root, first, n);
            if let Some(order) = named.get(reference) {
                let first = *by_order.entry(*order).or_insert(n);
                unite(&mut root, first, n);
            }
        }
    }
    let mut sets: BTreeMap<usize, Set> = BTreeMap::new();
    for (n, own) in references.into_iter().enumerate() {
        let set = sets.entry(find(&mut root, n)).or_insert_with(|| Set {
            members: Vec::new(),
            references: BTreeSet::new(),
            named: HashMap::new(),
            home: Uuid::now_v7(),
            fresh: true,
            held: None,
        });
        set.members.push(n);
        set.named.extend(own.iter().filter_map(|r| Some((r.clone(), *named.get(r)?))));
        set.references.extend(own);
    }
    for set in sets.values_mut() {
        if let Some(first) = set.orders().first() {
            (set.home, set.fresh) = (*first, false);
        }
    }
    Ok(sets.into_values().collect())
}

fn scoped(incoming: &Incoming<'_>) -> BTreeSet<Scoped> {
    let references = incoming.facts.references().into_iter();
    references.map(|reference| Scoped { reference, scope: incoming.scope.clone() }).collect()
}

fn find(root: &mut [usize], mut n: usize) -> usize {
    while root[n] != n {
        root[n] = root[root[n]];
        n = root[n];
    }
    n
}

fn unite(root: &mut [usize], a: usize, b: usize) {
    let (a, b) = (find(root, a), find(root, b));
    root[a.max(b)] = a.min(b);
}

/// Inserts the references that are new, sorted. Where another writer was faster, the set is left for another try.
fn refer(conn: &mut PgConnection, sets: &mut [Set], outcomes: &mut [Outcome]) -> QueryResult<()> {
    let mut new: Vec<(&Scoped, Uuid)> = Vec::new();
    for set in sets.iter() {
        new.extend(set.references.iter().filter(|r| !set.named.contains_key(r)).map(|r| (r, set.home)));
    }
    if new.is_empty() {
        return Ok(());
    }
    new.sort_unstable();
    if store::refer(conn, &new)? == new.len() {
        sets.iter_mut().for_each(Set::name_all);
        return Ok(());
    }
    let now = store::resolve(conn, &new.iter().map(|(r, _)| *r).collect::<Vec<_>>())?;
    for set in sets {
        let raced = set.references.iter().any(|r| now.get(r).is_some_and(|order| *order != set.home));
        set.name_all();
        if raced {
            set.hold(outcomes, "another writer named its order first");
        }
    }
    Ok(())
}

impl Set {
    fn name_all(&mut self) {
        for reference in &self.references {
            self.named.entry(reference.clone()).or_insert(self.home);
        }
    }
}

/// Locks the orders of all sets; holds back the sets whose orders are not all ours.
fn lock(
    conn: &mut PgConnection,
    settings: &Settings,
    sets: &mut [Set],
    outcomes: &mut [Outcome],
) -> QueryResult<HashMap<Uuid, Locked>> {
    let free = sets.iter().filter(|set| set.held.is_none());
    let wanted: BTreeSet<Uuid> = free.flat_map(Set::orders).collect();
    let locked = store::lock(conn, &wanted.iter().copied().collect::<Vec<_>>(), settings.largest)?;
    let locked: HashMap<Uuid, Locked> = locked.into_iter().map(|row| (row.id, row)).collect();

    let absent: Vec<Uuid> = wanted.iter().filter(|id| !locked.contains_key(*id)).copied().collect();
    let elsewhere: HashSet<Uuid> =
        if absent.is_empty() { HashSet::new() } else { store::existing(conn, &absent)?.into_iter().collect() };
    for set in sets.iter_mut().filter(|set| set.held.is_none()) {
        if set.orders().iter().any(|id| elsewhere.contains(id)) {
            set.hold(outcomes, "its order is locked by someone else");
        } else if set.orders().iter().any(|id| locked.get(id).is_some_and(|row| row.large)) {
            set.hold(outcomes, "its order is large: left to the workers");
        } else if set.orders().iter().any(|id| locked.get(id).is_some_and(|row| row.moved || row.merged)) {
            recheck(conn, set, &locked, outcomes)?;
        }
    }
    Ok(locked)
}

/// References may have left these orders between resolving and locking: read them again.
fn recheck(
    conn: &mut PgConnection,
    set: &mut Set,
    locked: &HashMap<Uuid, Locked>,
    outcomes: &mut [Outcome],
) -> QueryResult<()> {
    let merged: Vec<Uuid> =
        set.orders().into_iter().filter(|id| locked.get(id).is_some_and(|row| row.merged)).collect();
    if !merged.is_empty() {
        store::follow_heirs(conn, &merged)?;
    }
    let now = store::resolve(conn, &set.references.iter().collect::<Vec<_>>())?;
    if now != set.named {
        set.hold(outcomes, "its order was merged or parted meanwhile");
    }
    Ok(())
}

/// A panic of the law stays within its orders.
fn compute(
    set: &Set,
    incoming: &[Incoming<'_>],
    locked: &HashMap<Uuid, Locked>,
    settings: &Settings,
    anew: Option<Uuid>,
) -> Result<Plan, String> {
    let Some(first) = set.members.first() else { return Ok(Plan::default()) };
    let cluster = Cluster {
        scope: incoming[*first].scope.clone(),
        home: set.home,
        named: set.orders(),
        orders: set.orders().iter().filter_map(|id| locked.get(id).cloned()).collect(),
        incoming: set.members.iter().map(|n| incoming[*n].facts).collect(),
        anew,
    };
    catch_unwind(AssertUnwindSafe(|| {
        fail::fail_point!(
            "orders.compute",
            set.references.iter().any(|r| r.reference.value.starts_with("poison")),
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
    if !plan.notices.is_empty() {
        outbox::enqueue(conn, &plan.notices)?;
    }
    if !plan.end_waits.is_empty() {
        outbox::end_wait(conn, &plan.end_waits)?;
    }
    for names in &plan.same {
        outbox::keep_one(conn, names)?;
    }
    if !plan.rehomed.is_empty() {
        outbox::rehome(conn, &plan.rehomed)?;
    }
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
