//! What is worked out piece by piece, by heart, and written at once, against the same worked out whole.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

use super::super::grouping::{Asked, Incoming};
use super::super::memory::Memory;
use super::super::plan::Plan;
use super::super::quick::{Ready, ready_by_heart};
use super::super::store::{Scope, Written};
use super::super::{Facts, Labelling, Settings, Status};
use super::facts;
use super::lifecycles::{delivered, facts_of};
use super::objects::paid;
use crate::notices::Kind;
use crate::outbox::NewNotice;

/// Owed for good, as soon as it is owed.
const LASTING: [Kind; 4] = [Kind::OrderPaid, Kind::OrderIdentified, Kind::OrderRenewed, Kind::OrderDisputed];

fn settings() -> Settings {
    Settings { labelling: Labelling::default(), grace_seconds: 60, largest: None }
}

/// None where locks are needed.
fn worked_out<'a>(pieces: impl Iterator<Item = &'a [Incoming]>) -> Option<Ready> {
    let (mut all, mut memory) = (Ready::default(), Memory::default());
    for piece in pieces {
        let piece: Vec<&Incoming> = piece.iter().collect();
        let (ready, names) = ready_by_heart(&settings(), &Asked::of(&piece), &piece, &memory)?;
        all.follow(ready, names, &mut memory, &settings());
    }
    Some(all)
}

/// Each order by its name.
fn orders(plan: &Plan) -> BTreeMap<&str, &Written> {
    plan.writes.iter().map(|order| (&order.order.reference[..], order)).collect()
}

/// Each message to be queued, by mail or to listeners, by its notice's key.
fn messages(plan: &Plan) -> BTreeMap<(&str, bool), &NewNotice> {
    let mut messages = BTreeMap::new();
    for notice in &plan.notices {
        for (by_mail, is_wanted) in [(true, notice.by_mail), (false, notice.to_listeners)] {
            if is_wanted {
                // Of two of one name the first is queued.
                messages.entry((&notice.key[..], by_mail)).or_insert(notice);
            }
        }
    }
    messages
}

/// Whether a notice goes out under one of its names.
fn is_told(notice: &NewNotice, by_mail: bool, messages: &BTreeMap<(&str, bool), &NewNotice>) -> bool {
    std::iter::once(&notice.key).chain(&notice.also).any(|name| messages.contains_key(&(&name[..], by_mail)))
}

/// Works out `incoming`, and has the memory know it.
fn learned(incoming: &Incoming, memory: &mut Memory) -> Ready {
    let (ready, names) = ready_by_heart(&settings(), &Asked::of(&[incoming]), &[incoming], memory).unwrap();
    let mut learned = Ready::default();
    learned.follow(ready, names, memory, &settings());
    learned
}

#[test]
fn a_name_is_introduced_by_what_bears_it_first() {
    let paid = |charge: &str| {
        let (kind, intent) = paid(json!({ "latest_charge": charge }));
        Incoming::new(Scope::new("", false), facts(kind, 1, &intent))
    };
    let mut memory = Memory::default();
    let (first, again, another) = (paid("ch_1"), paid("ch_1"), paid("ch_2"));
    assert!(learned(&first, &mut memory).introduces(&first));
    assert!(!learned(&again, &mut memory).introduces(&again));
    let ready = learned(&another, &mut memory);
    assert!(ready.introduces(&another) && !ready.introduces(&first), "one of its names is new");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, max_shrink_iters: 3000, ..ProptestConfig::default() })]

    #[test]
    fn pieces_that_are_written_at_once_come_to_the_whole((world, order, cuts) in delivered()) {
        let facts: Vec<Facts> = facts_of(&world);
        let incoming: Vec<Incoming> =
            order.iter().map(|n| Incoming::new(Scope::new("", false), facts[*n].clone())).collect();
        let mut pieces: Vec<&[Incoming]> = Vec::new();
        let mut rest = &incoming[..];
        for at in (1..incoming.len()).rev().filter(|n| cuts[*n]) {
            let (before, piece) = rest.split_at(at);
            pieces.push(piece);
            rest = before;
        }
        pieces.push(rest);
        let joined = worked_out(pieces.into_iter().rev());
        let whole = worked_out(std::iter::once(&incoming[..]));
        let (Some(joined), Some(whole)) = (joined, whole) else { return Ok(()) };
        let (joined, whole) = (joined.plan(), whole.plan());

        let (written, wanted) = (orders(joined), orders(whole));
        prop_assert_eq!(written.len(), joined.writes.len(), "an order is written twice");
        prop_assert_eq!(written.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
        for (name, order) in &wanted {
            let written = written[name];
            prop_assert_eq!((written.version, &written.facts, &written.order), (0, &order.facts, &order.order));
        }
        let (queued, owed) = (messages(joined), messages(whole));
        for ((key, by_mail), notice) in &owed {
            prop_assert!(is_told(notice, *by_mail, &queued), "{} is not told", key);
            // What is owed for good comes and goes no more, so it waits for the same.
            if let Some(other) = queued.get(&(*key, *by_mail)).filter(|_| LASTING.contains(&notice.kind)) {
                prop_assert_eq!(other.waiting, notice.waiting, "{}", key);
            }
        }
        let in_review: BTreeSet<Uuid> =
            joined.writes.iter().filter(|order| order.order.status == Status::Review).map(|order| order.id).collect();
        prop_assert!(joined.holds.iter().all(|order| in_review.contains(order)));
        prop_assert!(!joined.releases.iter().any(|order| in_review.contains(order)));
    }
}
