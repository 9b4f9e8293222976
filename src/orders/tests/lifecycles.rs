//! Generated lifecycles: whatever arrives, in whatever order and however split, the same order comes out, and what is
//! owed stays owed.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::{Facts, Group, Name, Order, Reference, ReferenceKind, due};
use super::world::{Event, World, world};
use crate::notices::{Kind, Notice};

/// The notices of money that moved: those must never be taken back.
fn lasting(notice: &Notice) -> bool {
    use Kind::{
        OrderDisputeClosed, OrderDisputed, OrderIdentified, OrderPaid, OrderPartiallyRefunded, OrderRefundFailed,
        OrderRefunded, OrderRenewed,
    };
    let money = [OrderPaid, OrderIdentified, OrderRenewed, OrderRefunded, OrderPartiallyRefunded, OrderRefundFailed];
    let disputes = [OrderDisputed, OrderDisputeClosed];
    let parts_made_the_whole = notice.kind == OrderRefunded && notice.about.amount.is_none();
    !parts_made_the_whole && notice.wait.is_none() && (money.contains(&notice.kind) || disputes.contains(&notice.kind))
}

fn fold<'a>(facts: impl IntoIterator<Item = &'a Facts>) -> Facts {
    facts.into_iter().fold(Facts::default(), |mut sum, facts| {
        sum.merge(facts);
        sum
    })
}

fn owed(facts: &Facts) -> Vec<Notice> {
    facts.clone().groups().iter().flat_map(|group| due(&group.facts)).collect()
}

fn told(notice: &Notice, queued: &BTreeMap<String, Notice>) -> bool {
    queued.contains_key(&notice.key) || notice.also.iter().any(|key| queued.contains_key(key))
}

/// What the store does, without a database: pools what shares a reference, groups it anew, writes each order back.
#[derive(Default)]
struct Orders {
    rows: BTreeMap<usize, Group>,
    owners: BTreeMap<Reference, usize>,
    queued: BTreeMap<String, Notice>,
    next: usize,
}

impl Orders {
    fn reconcile(&mut self, batch: &[&Facts]) {
        let mut pooled = fold(batch.iter().copied());
        loop {
            let references = pooled.references();
            let rows: BTreeSet<usize> = references.iter().filter_map(|name| self.owners.get(name).copied()).collect();
            let found: Vec<Group> = rows.iter().filter_map(|row| self.rows.remove(row)).collect();
            if found.is_empty() {
                break;
            }
            for group in &found {
                pooled.merge(&group.facts);
            }
        }
        let groups = pooled.groups();
        let names: BTreeSet<Name> = groups.iter().map(|group| group.name.clone()).collect();
        for group in groups {
            self.write(group, &names);
        }
    }

    fn write(&mut self, group: Group, names: &BTreeSet<Name>) {
        self.next += 1;
        for reference in group.facts.references() {
            let label = Name::Label(reference.value.clone());
            // A label that names another order belongs to that one.
            if reference.kind == ReferenceKind::Object || label == group.name || !names.contains(&label) {
                self.owners.insert(reference, self.next);
            }
        }
        for notice in due(&group.facts) {
            if !told(&notice, &self.queued) {
                assert_eq!(self.queued.insert(notice.key.clone(), notice), None);
            }
        }
        self.rows.insert(self.next, group);
    }

    fn by_name(&self) -> BTreeMap<Name, Facts> {
        self.rows.values().map(|group| (group.name.clone(), group.facts.clone())).collect()
    }
}

/// A world's events as they are delivered: each at least once, in any order, cut into batches.
fn delivery(count: usize) -> impl Strategy<Value = (Vec<usize>, Vec<bool>)> {
    let twice = proptest::collection::vec(0..count.max(1), 0..=count / 2);
    let events =
        twice.prop_map(move |again| (0..count).chain(again.into_iter().filter(move |at| *at < count)).collect());
    let order = events.prop_flat_map(|events: Vec<usize>| Just(events).prop_shuffle());
    (order, proptest::collection::vec(any::<bool>(), count * 2))
}

pub(super) fn delivered() -> impl Strategy<Value = (World, Vec<usize>, Vec<bool>)> {
    world(false).prop_flat_map(|world| {
        let count = world.events.len();
        (Just(world), delivery(count)).prop_map(|(world, (order, cuts))| (world, order, cuts))
    })
}

pub(super) fn facts_of(world: &World) -> Vec<Facts> {
    world.events.iter().map(Event::facts).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, max_shrink_iters: 3000, ..ProptestConfig::default() })]

    /// Also where stamps are equal and bodies differ.
    #[test]
    fn merge_is_a_join(world in world(true), cut in any::<[u8; 2]>()) {
        let facts = facts_of(&world);
        let at = |cut: u8| usize::from(cut) % (facts.len() + 1);
        let (low, high) = (at(cut[0]).min(at(cut[1])), at(cut[0]).max(at(cut[1])));
        let (a, b, c) = (fold(&facts[..low]), fold(&facts[low..high]), fold(&facts[high..]));
        prop_assert_eq!(fold([&a, &b]), fold([&b, &a]));
        prop_assert_eq!(fold([&fold([&a, &b]), &c]), fold([&a, &fold([&b, &c])]));
        prop_assert_eq!(fold([&a, &a]), a.clone());
        let text = serde_json::to_string(&a).unwrap();
        prop_assert_eq!(serde_json::from_str::<Facts>(&text).unwrap(), a);
    }

    /// Whatever is learned later, what was owed for money is owed.
    #[test]
    fn what_is_owed_stays_owed(world in world(false), cut in any::<u8>()) {
        let facts = facts_of(&world);
        let cut = usize::from(cut) % (facts.len() + 1);
        let later: Vec<Notice> = owed(&fold(&facts));
        for notice in owed(&fold(&facts[..cut])).iter().filter(|notice| lasting(notice)) {
            let still = later.iter().any(|later| later.key == notice.key || later.also.contains(&notice.key));
            prop_assert!(still, "{} is no longer owed: {:?}", notice.key, later);
        }
    }

    /// The store's way, over any delivery, ends where one fold over the set ends; and its outbox holds what is owed.
    #[test]
    fn any_delivery_ends_in_the_same_orders((world, order, cuts) in delivered()) {
        let facts = facts_of(&world);
        let mut orders = Orders::default();
        let mut batch = Vec::new();
        for (at, cut) in order.iter().zip(cuts.iter().chain(std::iter::repeat(&true))) {
            batch.push(&facts[*at]);
            if *cut {
                orders.reconcile(&batch);
                batch.clear();
            }
        }
        orders.reconcile(&batch);
        let whole = fold(&facts);
        let expected: BTreeMap<Name, Facts> = whole.clone().groups().into_iter().map(|g| (g.name, g.facts)).collect();
        prop_assert_eq!(orders.by_name(), expected);
        let finally = owed(&whole);
        for notice in &finally {
            prop_assert!(told(notice, &orders.queued), "{} was not queued", notice.key);
        }
        let owed: BTreeSet<&String> = finally.iter().flat_map(|notice| notice.also.iter().chain([&notice.key])).collect();
        for notice in orders.queued.values().filter(|notice| lasting(notice)) {
            prop_assert!(owed.contains(&notice.key), "{} was queued and is not owed", notice.key);
        }
    }

    /// The row that is stored keeps what the database checks.
    #[test]
    fn an_order_keeps_its_invariants(world in world(true)) {
        for group in fold(&facts_of(&world)).groups() {
            let order = Order::derive(&group.name, &group.facts);
            prop_assert_eq!(order.status.as_str() == "review", !order.review_reasons.is_empty());
            prop_assert!(order.money_status.as_str() != "review");
            prop_assert!(order.amount_paid >= 0 && order.amount_refunded >= 0 && order.amount_lost >= 0);
            prop_assert!(order.amount_paid > 0 || order.amount_refunded == 0);
            prop_assert!(order.reviews.iter().all(|review| order.releasable.contains(&review.token())));
            let notices = due(&group.facts);
            prop_assert!(notices.is_sorted_by(|one, next| one.key < next.key));
            prop_assert!(notices.iter().all(|notice| notice.key.starts_with(&*notice.kind.name())));
            prop_assert_eq!(group.facts.clone().groups(), vec![group]);
        }
    }
}
