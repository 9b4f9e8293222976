//! Why an order is what it is: its events, one after the other in the sequence of storing, each with what it changed.
//! Pure, and derived from the events alone: there are no rows that could tell another story.

use super::due;
use super::facts::{Facts, Group};
use super::order::Order;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What an event did to its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The order is not what it was.
    Changed,
    /// What it says is kept, and changes nothing that is seen.
    Kept,
    /// Other events say as much or more.
    Known,
    /// It says nothing of orders.
    Ignored,
    /// It cannot be used.
    Quarantined,
    /// It is not yet applied.
    Pending,
}

/// One field that became another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// As the API names it.
    pub field: &'static str,
    /// Before; null where there was nothing.
    pub from: Value,
    /// After.
    pub to: Value,
}

/// What an event did, and why.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Effect {
    /// In a word.
    pub outcome: Outcome,
    /// In a sentence.
    pub because: String,
    /// What it changed.
    pub changes: Vec<Change>,
    /// The keys of the notices that became due.
    pub owes: Vec<String>,
}

impl Effect {
    /// Of an event that was not merged.
    pub fn none(outcome: Outcome, because: impl Into<String>) -> Self {
        Self { outcome, because: because.into(), changes: Vec::new(), owes: Vec::new() }
    }
}

/// The events so far.
#[derive(Clone, Debug, Default)]
pub struct Fold {
    pool: Facts,
}

impl Fold {
    /// Takes the facts in without asking what they change.
    pub fn skip(&mut self, facts: &Facts) {
        self.pool.merge(facts);
    }

    /// Takes the facts in, and says what they change.
    pub fn take(&mut self, facts: &Facts) -> Effect {
        let names = facts.references();
        let touched = |group: &Group| !group.facts.references().is_disjoint(&names);
        let known = self.pool.clone();
        self.pool.merge(facts);
        if self.pool == known {
            return Effect::none(Outcome::Known, "other events say as much, or something later");
        }
        let before: Vec<Group> = known.groups().into_iter().filter(touched).collect();
        let after: Vec<Group> = self.pool.clone().groups().into_iter().filter(touched).collect();
        let was = before.first().map_or_else(nothing, |group| seen(&derived(group)));
        let changes = after.first().map(|group| changes(&was, &derived(group))).unwrap_or_default();
        let told: BTreeSet<String> = keys(&before);
        let owes: Vec<String> = keys(&after).difference(&told).cloned().collect();
        let because = match (before.len(), changes.is_empty() && owes.is_empty()) {
            (0, _) => "the first that is known of this order".to_owned(),
            (1, true) => {
                "kept: it will count with what is still to come, or says nothing new of status and amounts".to_owned()
            }
            (1, false) => "it says more than was known".to_owned(),
            (_, _) => {
                let names: Vec<&str> = before.iter().map(|group| group.name.as_str()).collect();
                format!("it shows that {} are one order", names.join(", "))
            }
        };
        let outcome = if changes.is_empty() && owes.is_empty() { Outcome::Kept } else { Outcome::Changed };
        Effect { outcome, because, changes, owes }
    }
}

fn derived(group: &Group) -> Order {
    Order::derive(&group.name, &group.facts)
}

fn keys(groups: &[Group]) -> BTreeSet<String> {
    groups.iter().flat_map(|group| due(&group.facts)).map(|notice| notice.key).collect()
}

/// The fields in which `is` differs from what is seen in `was`.
pub fn changes(was: &Value, is: &Order) -> Vec<Change> {
    let changed = |(field, to): (&'static str, Value)| {
        let from = was[field].clone();
        (from != to).then_some(Change { field, from, to })
    };
    fields(is).into_iter().filter_map(changed).collect()
}

/// What is seen of an order, as the API names it.
fn fields(order: &Order) -> Vec<(&'static str, Value)> {
    vec![
        ("reference", json!(order.reference)),
        ("status", json!(order.status.as_str())),
        ("money_status", json!(order.money_status.as_str())),
        ("review_reasons", json!(order.review_reasons)),
        ("currency", json!(order.currency)),
        ("amount_expected", json!(order.amount_expected)),
        ("amount_paid", json!(order.amount_paid)),
        ("amount_refunded", json!(order.amount_refunded)),
        ("amount_lost", json!(order.amount_lost)),
        ("amount_credited", json!(order.amount_credited)),
        ("tip", json!(order.tip)),
        ("customer_email", json!(order.customer_email)),
        ("customer_name", json!(order.customer_name)),
        ("locale", json!(order.locale)),
        ("subscription", json!(order.subscription)),
        ("renewal", json!(order.renewal)),
        ("line_items", lines(order)),
    ]
}

fn lines(order: &Order) -> Value {
    if order.line_items.is_empty() { Value::Null } else { json!(order.line_items) }
}

fn seen(order: &Order) -> Value {
    fields(order).into_iter().map(|(field, value)| (field.to_owned(), value)).collect::<serde_json::Map<_, _>>().into()
}

/// What is seen of an order that is not there yet; any other field is null.
fn nothing() -> Value {
    json!({ "review_reasons": [], "amount_paid": 0, "amount_refunded": 0, "amount_lost": 0, "amount_credited": 0, "tip": 0,
        "renewal": false })
}
