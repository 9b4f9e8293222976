//! Orders and messages as the database keeps them, in memory: the same planning, the same rules of queueing.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;
use uuid::Uuid;

use super::super::facts::first_edition::Read;
use super::super::grouping::{Asked, Incoming, group, name_all, unnamed};
use super::super::order::Order;
use super::super::plan::Plan;
use super::super::present;
use super::super::reconcile::compute;
use super::super::store::{Locked, Scope, Scoped};
use super::super::{Facts, Labelling, Settings, Status};
use crate::notices::{About, Kind, Only, OrderDetails};
use crate::outbox::{Audience, NewNotice, audience};

/// All orders and messages.
pub struct Store {
    settings: Settings,
    rows: BTreeMap<Uuid, Row>,
    references: BTreeMap<Scoped, Uuid>,
    messages: Vec<Message>,
}

/// An order's row.
pub struct Row {
    /// Whose it is.
    pub scope: Scope,
    /// What it is.
    pub order: Order,
    /// What that is derived from.
    pub facts: Facts,
    version: i64,
}

/// Where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// By mail: to the customer or to the shop.
    Mail,
    /// By webhook.
    Hook,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Queued,
    Sent,
    Dead,
}

#[derive(Debug)]
struct Message {
    destination: Destination,
    kind: Kind,
    key: String,
    about: String,
    order: Option<Uuid>,
    waiting: bool,
    held: bool,
    state: State,
}

/// A message that was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// What it told.
    pub kind: Kind,
    /// Its notice's key.
    pub key: String,
    /// What it was about.
    pub about: About,
    /// The customer who read it; `None` if it went to the shop.
    pub to: Option<String>,
}

impl Default for Store {
    fn default() -> Self {
        let settings = Settings { labelling: Labelling::default(), grace_seconds: 60, largest: None };
        Self { settings, rows: BTreeMap::new(), references: BTreeMap::new(), messages: Vec::new() }
    }
}

impl Store {
    /// The orders.
    pub fn orders(&self) -> impl Iterator<Item = &Row> {
        self.rows.values()
    }

    /// The order that a label or an id names now.
    pub fn named(&self, scope: &Scope, name: &str) -> Option<&Row> {
        let is_named = |scoped: &Scoped| scoped.scope == *scope && scoped.reference.value == name;
        let id = self.references.iter().find(|(scoped, _)| is_named(scoped)).map(|(_, id)| id)?;
        self.rows.get(id).filter(|row| row.facts.answers_to(name))
    }

    /// Merges a batch, as one transaction does.
    pub fn reconcile(&mut self, batch: &[Incoming]) {
        let incoming: Vec<&Incoming> = batch.iter().collect();
        let asked = Asked::of(&incoming);
        let mut named: Vec<Option<Uuid>> =
            asked.references.iter().map(|reference| self.references.get(*reference).copied()).collect();
        let sets = group(&asked, &named, |_| true);
        for (reference, home) in unnamed(&asked, &named, &sets) {
            self.references.insert(reference.clone(), home);
        }
        name_all(&mut named, &sets);
        let known = named.iter().flatten().filter_map(|id| Some((*id, self.rows.get(id)?.locked(*id))));
        let locked: HashMap<Uuid, Locked> = known.collect();
        for set in &sets {
            let plan = compute(set, &incoming, &named, &locked, &self.settings, None).unwrap();
            self.apply(plan);
        }
    }

    fn apply(&mut self, plan: Plan) {
        for (id, heir) in &plan.retired {
            self.rows.remove(id);
            self.references.values_mut().filter(|owner| *owner == id).for_each(|owner| *owner = *heir);
            self.messages.iter_mut().filter(|m| m.order == Some(*id)).for_each(|m| m.order = Some(*heir));
        }
        for write in plan.writes {
            let facts = serde_json::from_str(&write.facts).unwrap();
            let (scope, order) = (write.scope, write.order);
            self.rows.insert(write.id, Row { scope, order, facts, version: write.version + 1 });
        }
        for moved in plan.moves {
            self.references.entry(moved.reference).and_modify(|owner| {
                if *owner == moved.from {
                    *owner = moved.to;
                }
            });
        }
        let untold = |m: &Message| m.state == State::Queued;
        self.messages.retain(|m| !(untold(m) && plan.withdrawals.contains(&m.key)));
        let mut notices: Vec<&NewNotice> = plan.notices.iter().collect();
        notices.sort_by_key(|notice| matches!(notice.only, Some(Only::MoreThan { .. })));
        for notice in notices {
            self.queue(notice);
        }
        for (key, about) in &plan.end_waits {
            for message in self.messages.iter_mut().filter(|m| m.key == *key && untold(m) && m.waiting) {
                (message.waiting, message.about) = (false, about.clone());
            }
        }
        plan.same.iter().for_each(|names| self.keep_one(names));
        for (key, order) in plan.rehomed {
            self.messages.iter_mut().filter(|m| m.key == key).for_each(|m| m.order = Some(order));
        }
        for (orders, held) in [(plan.holds, true), (plan.releases, false)] {
            let theirs = |m: &&mut Message| m.state == State::Queued && m.order.is_some_and(|id| orders.contains(&id));
            self.messages.iter_mut().filter(theirs).for_each(|m| m.held = held && is_held(m.destination, &m.kind));
        }
    }

    fn queue(&mut self, notice: &NewNotice) {
        let mailed = notice.by_mail && audience(&notice.kind).is_some();
        for (destination, wanted) in [(Destination::Mail, mailed), (Destination::Hook, notice.to_listeners)] {
            let is_there =
                |keys: &[String]| self.messages.iter().any(|m| m.destination == destination && keys.contains(&m.key));
            let names: Vec<String> = std::iter::once(&notice.key).chain(&notice.also).cloned().collect();
            let told_nameless = || {
                let paid: Vec<_> = names.iter().map(|n| n.replacen("order.identified:", "order.paid:", 1)).collect();
                let mut told = self.messages.iter().filter(|m| m.destination == destination && paid.contains(&m.key));
                told.any(|m| m.waiting && m.state == State::Sent)
            };
            let amount = amount_of(&notice.about);
            let alike = |m: &&Message| m.destination == destination && amount_of(&m.about) == amount;
            let count = |keys: &[String]| self.messages.iter().filter(alike).filter(|m| keys.contains(&m.key)).count();
            let is_due = match (&notice.kind, &notice.only) {
                (Kind::OrderIdentified, _) => told_nameless(),
                (_, Some(Only::FewerThan { count: room, keys })) => count(keys) < *room,
                (_, Some(Only::MoreThan { count: rightly, keys, without })) if destination == Destination::Mail => {
                    count(keys).saturating_sub(count(without)) > *rightly
                }
                _ => true,
            };
            if wanted && is_due && !is_there(&names) {
                self.messages.push(Message {
                    destination,
                    kind: notice.kind.clone(),
                    key: notice.key.clone(),
                    about: notice.about.clone(),
                    order: notice.order_id,
                    waiting: notice.waiting,
                    held: notice.in_review && is_held(destination, &notice.kind),
                    state: State::Queued,
                });
            }
        }
    }

    fn keep_one(&mut self, names: &[String]) {
        for destination in [Destination::Mail, Destination::Hook] {
            let theirs: Vec<usize> = (0..self.messages.len())
                .filter(|at| self.messages[*at].destination == destination && names.contains(&self.messages[*at].key))
                .collect();
            let sent = theirs.iter().find(|at| self.messages[**at].state == State::Sent);
            let kept = sent.or(theirs.first()).copied();
            for at in theirs.into_iter().filter(|at| Some(*at) != kept) {
                if self.messages[at].state == State::Queued {
                    self.messages[at].state = State::Dead;
                }
            }
        }
    }

    /// Sends what is due, as the workers do; after `grace` also what waits.
    pub fn send(&mut self, grace: bool) {
        let rows = &self.rows;
        for message in self.messages.iter_mut().filter(|m| m.state == State::Queued && !m.held && (grace || !m.waiting))
        {
            let row = message.order.and_then(|id| rows.get(&id));
            if is_over(&message.kind, message.destination, row) {
                message.state = State::Dead;
            } else if message.destination == Destination::Hook || recipient(message, row).is_ok() {
                message.state = State::Sent;
            }
        }
    }

    /// What was sent to `destination` so far.
    pub fn sent(&self, destination: Destination) -> Vec<Sent> {
        let sent = self.messages.iter().filter(|m| m.destination == destination && m.state == State::Sent);
        sent.map(|message| Sent {
            kind: message.kind.clone(),
            key: message.key.clone(),
            about: about(message),
            to: recipient(message, message.order.and_then(|id| self.rows.get(&id))).unwrap(),
        })
        .collect()
    }

    /// What waits although nothing holds it.
    pub fn stuck(&self) -> Vec<&str> {
        let queued = self.messages.iter().filter(|m| m.state == State::Queued && !m.held);
        queued.map(|m| &m.key[..]).collect()
    }
}

impl Row {
    fn locked(&self, id: Uuid) -> Locked {
        let read = Read { facts: self.facts.clone(), first_edition: false };
        let (reference, facts) = (self.order.reference.clone(), Ok(read));
        Locked { id, reference, facts, version: self.version, moved: false, merged: false, large: false }
    }

    /// What is shown beside its columns.
    pub fn details(&self) -> OrderDetails {
        present::of(&self.facts, &Labelling::default().metadata_key)
    }
}

fn amount_of(about: &str) -> Value {
    serde_json::from_str::<Value>(about).unwrap()["amount"].clone()
}

fn about(message: &Message) -> About {
    serde_json::from_str::<Value>(&message.about).and_then(serde_json::from_value).unwrap()
}

/// Who reads a message: the payer of the payment that it is about. `Err` if nobody can yet.
fn recipient(message: &Message, row: Option<&Row>) -> Result<Option<String>, ()> {
    if message.destination == Destination::Hook || audience(&message.kind) != Some(Audience::Customer) {
        return Ok(None);
    }
    let (row, name) = (row.ok_or(())?, about(message).payment.unwrap());
    let details = row.details();
    let payment = details.payments.iter().find(|payment| payment.names.contains(&name)).ok_or(())?;
    payment.mail_to.clone().map(Some).ok_or(())
}

fn is_held(destination: Destination, kind: &Kind) -> bool {
    [Kind::OrderPaid, Kind::OrderIdentified, Kind::OrderRenewed].contains(kind)
        || (destination == Destination::Mail && audience(kind) == Some(Audience::Customer))
}

/// Of a moment that has passed people are not told.
fn is_over(kind: &Kind, destination: Destination, row: Option<&Row>) -> bool {
    let settled = |row: &Row| row.order.amount_paid > 0 || row.order.money_status == Status::Paid;
    let passing = [Kind::OrderAwaitingFunds, Kind::OrderPaymentFailed];
    destination == Destination::Mail && passing.contains(kind) && row.is_some_and(settled)
}
