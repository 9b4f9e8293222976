//! Which of the facts that came together concern the same orders. Pure.

use super::facts::Facts;
use super::store::{Scope, Scoped};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Facts to be merged into their order.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Where their references mean something.
    pub(super) scope: Scope,
    /// The facts of one event.
    pub(super) facts: Facts,
    /// Every name by which their order may be found, sorted.
    pub(super) references: Vec<Scoped>,
}

impl Incoming {
    /// The facts of one event.
    pub fn new(scope: Scope, facts: Facts) -> Self {
        let scoped = |reference| Scoped { reference, scope: scope.clone() };
        let references = facts.references().into_iter().map(scoped).collect();
        Self { scope, facts, references }
    }
}

/// The references of some incoming facts, sorted, each once.
#[derive(Debug)]
pub struct Asked<'a> {
    pub(super) references: Vec<&'a Scoped>,
    /// Of each incoming facts the places of their references.
    places: Vec<Vec<usize>>,
}

impl<'a> Asked<'a> {
    /// All references of `incoming`.
    pub fn of(incoming: &[&'a Incoming]) -> Self {
        let mut all: Vec<(&Scoped, usize)> = Vec::with_capacity(incoming.len() * 4);
        for (n, incoming) in incoming.iter().enumerate() {
            all.extend(incoming.references.iter().map(|reference| (reference, n)));
        }
        all.sort_unstable();
        let mut asked = Self { references: Vec::with_capacity(all.len()), places: vec![Vec::new(); incoming.len()] };
        for (reference, n) in all {
            if asked.references.last() != Some(&reference) {
                asked.references.push(reference);
            }
            asked.places[n].push(asked.references.len() - 1);
        }
        asked
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.references.is_empty()
    }
}

/// Incoming facts that share references, with the orders which those name.
#[derive(Debug)]
pub(super) struct Set {
    /// Places in what came in.
    pub members: Vec<usize>,
    /// Places in what was asked for.
    pub references: Vec<usize>,
    /// The order to which new references go.
    pub home: Uuid,
    /// `home` is an order that is not there yet.
    pub fresh: bool,
    /// Why it is left for another try.
    pub held: Option<&'static str>,
}

impl Set {
    /// The orders that its references name.
    pub fn orders(&self, named: &[Option<Uuid>]) -> BTreeSet<Uuid> {
        self.references.iter().filter_map(|place| named[*place]).collect()
    }
}

/// Groups what came in, as far as `wanted`, by the references that it shares and by the orders that these name.
pub(super) fn group(asked: &Asked<'_>, named: &[Option<Uuid>], wanted: impl Fn(usize) -> bool) -> Vec<Set> {
    let mut by_reference: Vec<Option<usize>> = vec![None; asked.references.len()];
    let mut by_order: BTreeMap<Uuid, usize> = BTreeMap::new();
    let mut root: Vec<usize> = (0..asked.places.len()).collect();
    let members = || (0..asked.places.len()).filter(|n| wanted(*n));
    for n in members() {
        for place in &asked.places[n] {
            let first = *by_reference[*place].get_or_insert(n);
            unite(&mut root, first, n);
            if let Some(order) = named[*place] {
                let first = *by_order.entry(order).or_insert(n);
                unite(&mut root, first, n);
            }
        }
    }
    let mut sets: BTreeMap<usize, Set> = BTreeMap::new();
    for n in members() {
        let set = sets.entry(find(&mut root, n)).or_insert_with(|| Set {
            members: Vec::new(),
            references: Vec::new(),
            home: Uuid::now_v7(),
            fresh: true,
            held: None,
        });
        set.members.push(n);
        set.references.extend(&asked.places[n]);
    }
    for set in sets.values_mut() {
        set.references.sort_unstable();
        set.references.dedup();
        if let Some(first) = set.orders(named).first() {
            (set.home, set.fresh) = (*first, false);
        }
    }
    sets.into_values().collect()
}

/// The references of `sets` that name no order yet, with the order that each is to name.
pub(super) fn unnamed<'a>(asked: &Asked<'a>, named: &[Option<Uuid>], sets: &[Set]) -> Vec<(&'a Scoped, Uuid)> {
    let own = |set: &Set| set.references.iter().map(|place| (*place, set.home)).collect::<Vec<_>>();
    let mut new: Vec<(usize, Uuid)> = sets.iter().flat_map(own).filter(|(place, _)| named[*place].is_none()).collect();
    // By their places, hence sorted.
    new.sort_unstable();
    new.into_iter().map(|(place, home)| (asked.references[place], home)).collect()
}

/// Lets all references of `sets` that name no order name the home of their set.
pub(super) fn name_all(named: &mut [Option<Uuid>], sets: &[Set]) {
    for set in sets {
        for place in &set.references {
            named[*place].get_or_insert(set.home);
        }
    }
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
