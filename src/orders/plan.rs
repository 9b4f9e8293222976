//! What a batch does to the orders that it touches: computed purely, one cluster at a time.
//!
//! A cluster is a set of locked orders and of new facts that share references. Everything known of it is pooled and
//! grouped anew by the law; each group is then written back to the order that had it. In the common case that is one
//! order and one group. Where a new label or link joins orders, the lesser retires; where it parts them, references move.

use super::editions::{self, Settled};
use super::facts::first_edition::Read;
use super::facts::{Facts, Group, Reference, ReferenceKind};
use super::order::{Order, Status};
use super::reading::Reading;
use super::store::{Locked, Move, Scope, Scoped, Written};
use super::{Settings, due};
use crate::notices::{Notice, Wait};
use crate::outbox::{self, Audience, NewNotice, Renamed};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Orders and facts that share references.
pub struct Cluster<'a> {
    /// Whose they are.
    pub scope: Scope,
    /// The row of an order that is not there yet.
    pub home: Uuid,
    /// The orders that the references of what was received name, rows or not.
    pub named: BTreeSet<Uuid>,
    /// The rows that are.
    pub orders: Vec<&'a Locked>,
    /// What was received.
    pub incoming: Vec<&'a Facts>,
    /// An order that is made anew: what was received is all that counts of it. That is history: it queues nothing.
    pub anew: Option<Uuid>,
}

/// What is to be written, of one cluster or of many.
#[derive(Debug, Default)]
pub struct Plan {
    /// Orders, new and changed.
    pub writes: Vec<Written>,
    /// Orders that another took over.
    pub retired: Vec<(Uuid, Uuid)>,
    /// References that change hands.
    pub moves: Vec<Move>,
    /// Keys of notices that waited and are due no longer: a sum that its refund explains, a review that settled itself, a
    /// payment that turned out to be another's. To be done before notices are queued.
    pub withdrawals: Vec<String>,
    /// Notices that became due.
    pub notices: Vec<NewNotice>,
    /// Keys of notices that need wait no longer, with what they are about by now.
    pub end_waits: Vec<(String, String)>,
    /// Orders that went into review.
    pub holds: Vec<Uuid>,
    /// Orders that came out of it.
    pub releases: Vec<Uuid>,
    /// Names of one payment under which several messages may have been queued.
    pub same: Vec<Vec<String>>,
    /// Messages that belong to another order now.
    pub rehomed: Vec<(String, Uuid)>,
    /// Messages that bear another key since the second edition of the law. To be done before all else is queued.
    pub renamed: Vec<Renamed>,
    /// Keys of notices that go to programs alone since then.
    pub unmailed: Vec<String>,
    /// Orders that were made anew, of which nothing else is to be sent.
    pub settled: Vec<Settled>,
}

impl Plan {
    /// Adds what another cluster needs.
    pub fn extend(&mut self, other: Self) {
        self.writes.extend(other.writes);
        self.retired.extend(other.retired);
        self.moves.extend(other.moves);
        self.withdrawals.extend(other.withdrawals);
        self.notices.extend(other.notices);
        self.end_waits.extend(other.end_waits);
        self.holds.extend(other.holds);
        self.releases.extend(other.releases);
        self.same.extend(other.same);
        self.rehomed.extend(other.rehomed);
        self.renamed.extend(other.renamed);
        self.unmailed.extend(other.unmailed);
        self.settled.extend(other.settled);
    }

    /// Adds what `later` does to what this one leaves behind, to be written with it at once. Writes are sorted by id. What
    /// became due in between stays so, as if each had been written by itself.
    pub fn follow(&mut self, mut later: Self) {
        let count = self.writes.len();
        for order in later.writes.drain(..) {
            match self.writes[..count].binary_search_by_key(&order.id, |earlier| earlier.id) {
                Ok(n) => self.writes[n] = order,
                Err(_) => self.writes.push(order),
            }
        }
        self.writes.sort_unstable_by_key(|order| order.id);
        // What is only now to be queued is not there yet for a wait to be ended.
        for (key, about) in &later.end_waits {
            for notice in self.notices.iter_mut().filter(|notice| notice.waiting && notice.key == *key) {
                (notice.waiting, notice.delay_seconds) = (false, 0);
                notice.about.clone_from(about);
            }
        }
        // Likewise what is only now to be queued and due no longer.
        self.notices.retain(|notice| !later.withdrawals.contains(&notice.key));
        self.holds.retain(|order| !later.releases.contains(order));
        self.releases.retain(|order| !later.holds.contains(order));
        self.extend(later);
    }
}

/// Computes what `cluster` needs.
///
/// # Errors
/// Says why the cluster's orders cannot be computed.
pub fn plan(cluster: &Cluster<'_>, settings: &Settings) -> Result<Plan, String> {
    let unread = Read::default();
    let before = Before::of(&cluster.orders, cluster.anew.map(|id| (id, &unread)))?;
    let mut pool = before.pool(cluster.anew);
    cluster.incoming.iter().for_each(|facts| pool.merge(facts));
    let groups = assign(cluster, &before, pool.groups());

    let mut plan = before.carried();
    let mut after = BTreeMap::new();
    let mut due_now = BTreeSet::new();
    for (id, group) in groups {
        let known = before.orders.get(&id);
        let same =
            |known: &Known<'_>| !known.first_edition && *known.facts == group.facts && known.name == name(&group);
        if known.is_some_and(same) && cluster.anew != Some(id) {
            // Its notices stay due; those of no other group can be among them.
            due_now.extend(before.owed.iter().filter(|(_, owed)| owed.order == id).map(|(key, _)| key.clone()));
            after.insert(id, group);
            continue;
        }
        let (order, owed) = read(name(&group), &group.facts);
        let owed: Vec<Owed> = owed.into_iter().map(|(notice, by_mail)| Owed { notice, by_mail, order: id }).collect();
        due_now.extend(owed.iter().map(|owed| owed.notice.key.clone()));
        if cluster.anew.is_some() {
            plan.settled.push(Settled::new(id, owed.iter().map(|owed| &owed.notice)));
        }
        tell(&mut plan, settings, &before, id, &order, owed);
        let version = before.orders.get(&id).map_or(0, |known| known.version);
        let facts =
            serde_json::to_string(&group.facts).map_err(|error| format!("its facts cannot be written: {error}"))?;
        plan.writes.push(Written { id, version, scope: cluster.scope.clone(), order, facts });
        after.insert(id, group);
    }
    if cluster.anew.is_some() {
        settle(&mut plan, cluster, &after);
    }
    let gone = before.owed.iter().filter(|(key, owed)| owed.notice.wait.is_some() && !due_now.contains(*key));
    plan.withdrawals.extend(gone.map(|(key, _)| key.clone()));
    // One order, found by all of its references: the common case.
    if !cluster.named.iter().eq(after.keys()) || after.len() > 1 {
        rearrange(&mut plan, cluster, &before, &after);
    }
    Ok(plan)
}

/// The locked orders as they were.
struct Before<'a> {
    orders: BTreeMap<Uuid, Known<'a>>,
    owed: BTreeMap<String, Owed>,
}

/// A notice that is due.
struct Owed {
    notice: Notice,
    /// A mail is due with it: one to the customer is owed once there is an address.
    by_mail: bool,
    /// The order that owes it.
    order: Uuid,
}

struct Known<'a> {
    name: &'a str,
    facts: &'a Facts,
    version: i64,
    in_review: bool,
    first_edition: bool,
}

impl<'a> Before<'a> {
    /// Of an order that is made anew, facts that cannot be read count as none.
    fn of(locked: &[&'a Locked], anew: Option<(Uuid, &'a Read)>) -> Result<Self, String> {
        let (mut orders, mut owed) = (BTreeMap::new(), BTreeMap::new());
        for row in locked {
            let unread = anew.filter(|(id, _)| *id == row.id).map(|(_, unread)| unread);
            let Read { facts, first_edition } = row.facts.as_ref().or_else(|why| unread.ok_or_else(|| why.clone()))?;
            let (order, due) = read(&row.reference, facts);
            let due = due.into_iter().map(|(notice, by_mail)| Owed { notice, by_mail, order: row.id });
            owed.extend(due.map(|owed| (owed.notice.key.clone(), owed)));
            let known = Known {
                name: &row.reference,
                facts,
                version: row.version,
                in_review: is_held(&order),
                first_edition: *first_edition,
            };
            orders.insert(row.id, known);
        }
        Ok(Self { orders, owed })
    }

    /// What rows of the first edition left in the outbox, under the keys of this one.
    fn carried(&self) -> Plan {
        let mut plan = Plan::default();
        for (id, known) in self.orders.iter().filter(|(_, known)| known.first_edition) {
            let owed: Vec<&Notice> =
                self.owed.values().filter(|owed| owed.order == *id).map(|owed| &owed.notice).collect();
            plan.renamed.extend(editions::renamed(&Reading::of(known.facts), &owed));
            plan.unmailed.extend(owed.iter().filter_map(|notice| editions::mailed_before(notice)));
        }
        plan
    }

    fn pool(&self, but: Option<Uuid>) -> Facts {
        let mut orders = self.orders.iter().filter(|(id, _)| Some(**id) != but).map(|(_, known)| known);
        let mut pool = orders.next().map(|known| known.facts.clone()).unwrap_or_default();
        orders.for_each(|known| pool.merge(known.facts));
        pool
    }
}

/// An order that is made anew tells nothing: what its events say was told when they came, by the law of that time. What
/// still waits of it is told if it is still owed.
fn settle(plan: &mut Plan, cluster: &Cluster<'_>, after: &BTreeMap<Uuid, Group>) {
    plan.notices.clear();
    let unread = cluster.orders.iter().any(|row| Some(row.id) == cluster.anew && row.facts.is_err());
    for group in after.values() {
        let reading = Reading::of(&group.facts);
        let owed = due::due_by(&reading);
        let owed: Vec<&Notice> = owed.iter().collect();
        if unread {
            plan.renamed.extend(editions::renamed(&reading, &owed));
        }
        plan.renamed.extend(editions::told_otherwise(&owed));
    }
}

fn name(group: &Group) -> &str {
    group.name.as_str()
}

/// What `facts` are, and the notices that they owe, each with whether a mail is due with it.
fn read(name: &str, facts: &Facts) -> (Order, Vec<(Notice, bool)>) {
    let reading = Reading::of(facts);
    let by_mail = |notice: &Notice| match outbox::audience(&notice.kind) {
        Some(Audience::Customer) => notice.addressed && !notice.unmailed,
        Some(Audience::Shop) => true,
        None => false,
    };
    let owed = due::due_by(&reading).into_iter().map(|notice| (by_mail(&notice), notice));
    (Order::of(name, &reading), owed.map(|(by_mail, notice)| (notice, by_mail)).collect())
}

fn is_held(order: &Order) -> bool {
    order.status == Status::Review
}

/// Gives each group a row: the one that bears its name, else one that had some of it, else a new one.
fn assign(cluster: &Cluster<'_>, before: &Before<'_>, groups: Vec<Group>) -> Vec<(Uuid, Group)> {
    let mut free: BTreeMap<Uuid, &Known<'_>> = before.orders.iter().map(|(id, known)| (*id, known)).collect();
    let mut named = Vec::new();
    for group in groups {
        let id = free.iter().find(|(_, known)| known.name == name(&group)).map(|(id, _)| *id);
        id.map(|id| free.remove(&id));
        named.push((id, group));
    }
    let mut home = Some(cluster.home);
    let row = |(id, group): (Option<Uuid>, Group)| {
        let id = id.or_else(|| {
            let references = group.facts.references();
            let had =
                free.iter().find(|(_, known)| !known.facts.references().is_disjoint(&references)).map(|(id, _)| *id);
            had.inspect(|id| {
                free.remove(id);
            })
        });
        let id = id.or_else(|| home.take_if(|home| !before.orders.contains_key(home)));
        (id.unwrap_or_else(Uuid::now_v7), group)
    };
    named.into_iter().map(row).collect()
}

/// Queues what became due, and lets go or holds back what waits.
fn tell(plan: &mut Plan, settings: &Settings, before: &Before<'_>, id: Uuid, order: &Order, owed: Vec<Owed>) {
    let held = is_held(order);
    for Owed { notice, by_mail, .. } in owed {
        let key = notice.key.clone();
        let earlier = before.owed.get(&key);
        // Under a name that it no longer has it may have stood for another one, and counts change: it is queued now, if it
        // never was.
        let stands = |earlier: &&Owed| {
            let mut names = earlier.notice.also.iter();
            names.all(|name| notice.also.contains(name)) && earlier.notice.only == notice.only
        };
        let earlier_news = earlier.filter(stands);
        let new = NewNotice {
            by_mail: by_mail && earlier_news.is_none_or(|earlier| !earlier.by_mail),
            to_listeners: earlier_news.is_none(),
            ..new(&notice, id, held, settings)
        };
        // It may wait under a name that was another notice's meanwhile.
        let waited =
            |owed: &Owed| owed.notice.wait.is_some() && (owed.notice.key == key || owed.notice.also.contains(&key));
        if notice.wait.is_none() && before.owed.values().any(waited) {
            plan.end_waits.push((key.clone(), new.about.clone()));
        }
        if new.by_mail || new.to_listeners {
            plan.notices.push(new);
        }
        let names: Vec<_> = std::iter::once(key).chain(notice.also).collect();
        if names.iter().filter(|name| before.owed.contains_key(*name)).count() > 1 {
            plan.same.push(names);
        }
    }
    // What an order that is made anew was before is not known for sure.
    let was_held = before.orders.get(&id).map(|known| known.in_review).filter(|_| plan.settled.is_empty());
    match was_held {
        None if !plan.settled.is_empty() => {
            if held {
                plan.holds.push(id);
            } else {
                plan.releases.push(id);
            }
        }
        Some(false) if held => plan.holds.push(id),
        Some(true) if !held => plan.releases.push(id),
        _ => {}
    }
}

fn new(notice: &Notice, order: Uuid, in_review: bool, settings: &Settings) -> NewNotice {
    let delay_seconds = notice.wait.map_or(0, |wait| match wait {
        Wait::Reference | Wait::RefundObject | Wait::PaymentIntent | Wait::Settling => settings.grace_seconds,
    });
    NewNotice {
        also: notice.also.clone(),
        only: notice.only.clone(),
        order_id: Some(order),
        delay_seconds,
        waiting: notice.wait.is_some(),
        in_review,
        ..NewNotice::new(notice.kind.clone(), notice.key.clone(), &notice.about)
    }
}

/// Orders were joined or parted: references and messages follow their facts, rows without facts retire.
fn rearrange(plan: &mut Plan, cluster: &Cluster<'_>, before: &Before<'_>, after: &BTreeMap<Uuid, Group>) {
    let names: BTreeSet<&str> = after.values().map(name).collect();
    // A label that several orders bear and that names none of them stays where it is.
    let mut bearers: BTreeMap<Reference, usize> = BTreeMap::new();
    for reference in after.values().flat_map(|group| group.facts.references()) {
        *bearers.entry(reference).or_default() += 1;
    }
    let owners: BTreeSet<Uuid> = before.orders.keys().chain(&cluster.named).copied().collect();
    for (to, group) in after {
        for reference in group.facts.references() {
            // A label that lost names the order that won it, unless some other order of the pool bears it.
            let elsewhere = reference.kind == ReferenceKind::Label
                && reference.value != name(group)
                && (names.contains(&reference.value[..]) || bearers.get(&reference).is_some_and(|count| *count > 1));
            if !elsewhere {
                let scoped = Scoped { reference, scope: cluster.scope.clone() };
                let leave = owners.iter().filter(|from| *from != to);
                plan.moves.extend(leave.map(|from| Move { reference: scoped.clone(), from: *from, to: *to }));
            }
        }
        let (order, owed) = read(name(group), &group.facts);
        plan.rehomed.extend(owed.into_iter().map(|(notice, _)| (notice.key, *to)));
        // Messages come with the flag of the order that they leave.
        if is_held(&order) { plan.holds.push(*to) } else { plan.releases.push(*to) }
    }
    for (id, known) in before.orders.iter().filter(|(id, _)| !after.contains_key(*id)) {
        let references = known.facts.references();
        let heir = after
            .iter()
            .find(|(_, group)| !group.facts.references().is_disjoint(&references))
            .or_else(|| after.iter().next());
        plan.retired.extend(heir.map(|(heir, _)| (*id, *heir)));
    }
}
