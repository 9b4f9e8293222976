//! What the writer remembers of the orders that it wrote last, or is about to write, so that their next events, which
//! mostly come within seconds, need no look.
//!
//! What is remembered may be out of date, since others write orders, too. Whoever writes by it has the database compare
//! the versions first, and looks where they differ. Versions tell nothing of a write that did not come true: it is to be
//! forgotten before anything that rests on it is written. A memory is of one connection: after a failover nothing is known.

use super::grouping::Asked;
use super::store::{Known, Locked, Scoped, Written, read_row};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use uuid::Uuid;

/// So many writes are remembered, each of an order of two or three kilobytes: of the batch that is being written and of
/// the one that is worked out meanwhile.
const MOST: usize = 512;

/// An order with larger facts, in bytes, is not remembered.
const LARGEST: usize = 16 << 10;

/// The orders that were written last.
#[derive(Debug, Default)]
pub struct Memory {
    orders: HashMap<Uuid, Remembered>,
    names: HashMap<Arc<Scoped>, Uuid>,
    /// Writes, the oldest first; of an order that was written anew since, only the last counts.
    writes: VecDeque<(u64, Uuid)>,
    turn: u64,
}

/// As the row has it: facts as JSON take a third of the room that they take when read, and few are needed again.
#[derive(Debug)]
struct Remembered {
    reference: String,
    facts: Box<str>,
    version: i64,
    names: Vec<Arc<Scoped>>,
    turn: u64,
}

impl Remembered {
    fn read(&self, id: Uuid) -> Locked {
        let (reference, facts) = (self.reference.clone(), read_row(&self.facts));
        Locked { id, reference, facts, version: self.version, moved: false, merged: false, large: false }
    }
}

impl Memory {
    /// The orders that some references name, as far as it is remembered.
    pub(super) fn recall(&self, asked: &Asked<'_>) -> Known {
        let named: Vec<Option<Uuid>> =
            asked.references.iter().map(|reference| self.names.get(*reference).copied()).collect();
        let ids: BTreeSet<Uuid> = named.iter().flatten().copied().collect();
        let orders = ids.into_iter().filter_map(|id| Some((id, self.orders.get(&id)?.read(id)))).collect();
        Known { named, orders }
    }

    /// Remembers an order as it is written, under those of its names that are new or asked for, beside the earlier ones.
    pub(super) fn learn<'a>(&mut self, written: &Written, names: impl Iterator<Item = &'a Scoped>) {
        if written.facts.len() > LARGEST {
            return self.forget(written.id);
        }
        self.turn += 1;
        let mut known = self.orders.remove(&written.id).map(|earlier| earlier.names).unwrap_or_default();
        for name in names {
            if self.names.get(name) != Some(&written.id) {
                let name = Arc::new(name.clone());
                // Whoever loses a name is no longer what it was.
                if let Some(loser) = self.names.insert(Arc::clone(&name), written.id) {
                    self.forget(loser);
                }
                known.push(name);
            }
        }
        let (reference, facts) = (written.order.reference.clone(), written.facts.as_str().into());
        let remembered = Remembered { reference, facts, version: written.version + 1, names: known, turn: self.turn };
        self.orders.insert(written.id, remembered);
        self.writes.push_back((self.turn, written.id));
        while self.writes.len() > MOST {
            let Some((turn, id)) = self.writes.pop_front() else { break };
            if self.orders.get(&id).is_some_and(|order| order.turn == turn) {
                self.forget(id);
            }
        }
    }

    /// Forgets an order and its names.
    pub(super) fn forget(&mut self, id: Uuid) {
        for name in self.orders.remove(&id).into_iter().flat_map(|order| order.names) {
            if self.names.get(&name) == Some(&id) {
                self.names.remove(&name);
            }
        }
    }

    /// Forgets the orders that some references name.
    pub fn forget_those(&mut self, asked: &Asked<'_>) {
        for name in &asked.references {
            if let Some(id) = self.names.get(*name) {
                self.forget(*id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::{Facts, Reference, ReferenceKind};
    use super::super::grouping::Incoming;
    use super::super::order::Order;
    use super::super::store::Scope;
    use super::*;

    fn named(values: &[&str]) -> Incoming {
        let scope = Scope::new("", false);
        let reference = |value: &&str| Reference { kind: ReferenceKind::Object, value: (*value).to_owned() };
        let scoped = |value| Scoped { reference: reference(value), scope: scope.clone() };
        Incoming { references: values.iter().map(scoped).collect(), facts: Facts::default(), scope }
    }

    fn written(id: u128, version: i64) -> Written {
        let (facts, scope) = (Facts::default(), Scope::new("", false));
        let order = Order::derive(&super::super::facts::Name::Object("pi_1".to_owned()), &facts);
        Written { id: Uuid::from_u128(id), version, scope, order, facts: "{}".to_owned() }
    }

    /// The order and its version that each name is remembered for.
    fn known(memory: &Memory, values: &[&str]) -> Vec<Option<(u128, i64)>> {
        let incoming = named(values);
        let known = memory.recall(&Asked::of(&[&incoming]));
        known.named.iter().map(|id| id.map(|id| (id.as_u128(), known.orders[&id].version))).collect()
    }

    #[test]
    fn an_order_is_remembered_as_it_was_written_last_under_all_its_names() {
        let mut memory = Memory::default();
        memory.learn(&written(1, 0), named(&["ch_1", "pi_1"]).references.iter());
        assert_eq!(known(&memory, &["ch_1", "cs_1", "pi_1"]), [Some((1, 1)), None, Some((1, 1))]);
        memory.learn(&written(1, 1), named(&["cs_1", "pi_1"]).references.iter());
        assert_eq!(known(&memory, &["ch_1", "cs_1", "pi_1"]), [Some((1, 2)); 3]);
        memory.forget_those(&Asked::of(&[&named(&["cs_1"])]));
        assert_eq!(known(&memory, &["ch_1", "cs_1", "pi_1"]), [None; 3]);
        assert!(memory.names.is_empty() && memory.orders.is_empty());
    }

    #[test]
    fn a_name_that_went_to_another_order_stays_with_it() {
        let mut memory = Memory::default();
        memory.learn(&written(1, 0), named(&["SO-1", "pi_1"]).references.iter());
        memory.learn(&written(2, 0), named(&["SO-1", "pi_2"]).references.iter());
        let now = [Some((2, 1)), None, Some((2, 1))];
        assert_eq!(known(&memory, &["SO-1", "pi_1", "pi_2"]), now, "the other is forgotten under all its names");
        assert_eq!(memory.orders.len(), 1);
        memory.forget(Uuid::from_u128(1));
        assert_eq!(known(&memory, &["SO-1", "pi_1", "pi_2"]), now);
    }

    #[test]
    fn the_oldest_writes_are_forgotten() {
        let mut memory = Memory::default();
        memory.learn(&written(1, 0), named(&["a"]).references.iter());
        memory.learn(&written(2, 0), named(&["b"]).references.iter());
        memory.learn(&written(1, 1), named(&["a"]).references.iter());
        for n in 0..MOST as u128 - 2 {
            memory.learn(&written(10 + n, 0), named(&[&format!("c{n}")]).references.iter());
        }
        assert_eq!(known(&memory, &["a", "b"]), [Some((1, 2)), Some((2, 1))]);
        memory.learn(&written(3, 0), named(&["d"]).references.iter());
        assert_eq!(known(&memory, &["a", "b"]), [Some((1, 2)), None], "it was written since");
        assert_eq!((memory.orders.len(), memory.names.len(), memory.writes.len()), (MOST, MOST, MOST));
    }
}
