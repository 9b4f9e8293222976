//! Which facts belong together.
//!
//! Objects that share one of Stripe's ids form a *component*: one attempt to pay, with all that became of it. Every
//! component that bears the same label of the shop's belongs to one order; a component without a label is an order
//! of its own.

use std::collections::{BTreeMap, BTreeSet};

use super::label::{Label, LabelRank};
use super::ties::Ties;
use super::{Facts, ObjectKind, charge, dispute, invoice, payment_intent, refund, review, session, shop};

/// What an order is known by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// The shop's reference.
    Label(String),
    /// The best of Stripe's ids: payment intent, else invoice, else session, else charge, else any.
    Object(String),
}

impl Name {
    /// The name itself.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Label(value) | Self::Object(value) => value,
        }
    }
}

/// One order's facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What it is known by.
    pub name: Name,
    /// All that is known of it.
    pub facts: Facts,
}

/// One attempt to pay. It borrows its facts.
#[derive(Debug, Default)]
pub struct Component<'a> {
    /// Payment intents.
    pub payment_intents: Vec<(&'a str, &'a payment_intent::PaymentIntent)>,
    /// Charges.
    pub charges: Vec<(&'a str, &'a charge::Charge)>,
    /// Checkout sessions.
    pub sessions: Vec<(&'a str, &'a session::Session)>,
    /// Invoices.
    pub invoices: Vec<(&'a str, &'a invoice::Invoice)>,
    /// Refunds.
    pub refunds: Vec<(&'a str, &'a refund::Refund)>,
    /// Disputes.
    pub disputes: Vec<(&'a str, &'a dispute::Dispute)>,
    /// Early fraud warnings.
    pub warnings: Vec<(&'a str, &'a review::Warning)>,
    /// Reviews.
    pub reviews: Vec<(&'a str, &'a review::Review)>,
    /// The shop's words on one of these objects.
    pub shop: Vec<&'a shop::Shop>,
    /// Every id that any of them is or names, best first: a payment intent's is the best name.
    pub names: BTreeSet<(ObjectKind, &'a str)>,
    /// Every label that any of them bears and that may name it, best first.
    pub labels: BTreeSet<Label<'a>>,
}

impl<'a> Component<'a> {
    /// The best of Stripe's ids.
    pub fn name(&self) -> &'a str {
        self.names.first().map_or("", |(_, id)| id)
    }

    /// The label that counts.
    pub fn label(&self) -> Option<Label<'a>> {
        self.labels.first().copied()
    }

    /// The different labels at the best rank. Invoices that one payment pays each name the order.
    pub fn rival_labels(&self) -> BTreeSet<&'a str> {
        let best = self.label().map(|label| label.rank).filter(|rank| *rank != LabelRank::Invoice);
        self.labels.iter().filter(|label| Some(label.rank) == best).map(|label| label.value).collect()
    }

    /// A `client_reference_id` that names something else than the order: a user, a cart, a customer.
    pub fn client_reference(&self) -> Option<&'a str> {
        let given = self.sessions.iter().find_map(|(_, session)| session.now.is.client_reference.as_ref())?;
        let named = self.label().is_some_and(|label| label.value == given.value);
        (!named).then_some(&given.value[..])
    }

    /// A payment link copies its metadata to all that its buyers pay: it names none of them.
    fn is_of_link(&self) -> bool {
        self.sessions.iter().any(|(_, session)| session.now.is.of_link)
    }

    fn order(&self) -> Name {
        match self.label() {
            Some(label) => Name::Label(label.value.to_owned()),
            None => Name::Object(self.name().to_owned()),
        }
    }

    fn tie(&mut self, kind: ObjectKind, id: &'a str, ties: &'a Ties) {
        self.names.insert((kind, id));
        self.names.extend(ties.payment_intents.iter().map(|id| (ObjectKind::PaymentIntent, id.as_str())));
        self.names.extend(ties.invoices.iter().map(|id| (ObjectKind::Invoice, id.as_str())));
        self.names.extend(ties.sessions.iter().map(|id| (ObjectKind::Session, id.as_str())));
        self.names.extend(ties.charges.iter().map(|id| (ObjectKind::Charge, id.as_str())));
    }
}

impl Facts {
    /// The attempts, by name. The shop's words under a label belong to no single one.
    pub fn components(&self) -> Vec<Component<'_>> {
        let joined = Joined::of(self);
        let mut found: BTreeMap<usize, Component<'_>> = BTreeMap::new();
        for (kind, id, ties) in self.objects() {
            found.entry(joined.root(id)).or_default().tie(kind, id, ties);
        }
        macro_rules! hand_out {
            ($($kind:ident),*) => {$(
                for (id, object) in &self.$kind {
                    found.entry(joined.root(id)).or_default().$kind.push((id, object));
                }
            )*};
        }
        hand_out!(payment_intents, charges, sessions, invoices, refunds, disputes, warnings, reviews);
        for (id, shop) in &self.shop_by_object {
            let component = found.entry(joined.root(id)).or_default();
            component.shop.push(shop);
            component.names.insert((ObjectKind::Other, id));
        }
        for label in self.labels() {
            let component = found.entry(joined.root(label.object)).or_default();
            if label.rank.is_client_reference() || !component.is_of_link() {
                component.labels.insert(label);
            }
        }
        let mut components: Vec<_> = found.into_values().collect();
        components.sort_by_key(Component::name);
        components
    }

    /// Whether an order of these facts is known by `name`: an id of Stripe's, or a reference of the best rank. A reference
    /// that an object bore once, or a `client_reference_id` beside something better, is none.
    pub fn answers_to(&self, name: &str) -> bool {
        let names = |component: &Component<'_>| {
            let best = component.label().map(|label| label.rank);
            let mut labels = component.labels.iter().filter(|label| Some(label.rank) == best);
            component.names.iter().any(|(_, id)| *id == name) || labels.any(|label| label.value == name)
        };
        self.shop.contains_key(name) || self.components().iter().any(names)
    }

    /// The orders that these facts make: the same ones whoever pooled them, in the order of their names. An order's
    /// facts are exactly those of its components, and the shop's words on it.
    pub fn groups(mut self) -> Vec<Group> {
        let orders: BTreeSet<Name> = self.components().iter().map(Component::order).collect();
        let labels = self.shop.keys().map(|label| Name::Label(label.clone()));
        let mut names: Vec<Name> = orders.into_iter().chain(labels).collect();
        names.sort();
        names.dedup();
        if names.len() > 1 {
            return self.split();
        }
        names.into_iter().map(|name| Group { name, facts: std::mem::take(&mut self) }).collect()
    }

    fn split(&self) -> Vec<Group> {
        let joined = Joined::of(self);
        let mut orders: BTreeMap<usize, Name> = BTreeMap::new();
        for component in self.components() {
            orders.insert(joined.root(component.name()), component.order());
        }
        let mut groups: BTreeMap<Name, Facts> = BTreeMap::new();
        macro_rules! hand_out {
            ($($kind:ident),*) => {$(
                for (id, object) in &self.$kind {
                    let facts = groups.entry(orders[&joined.root(id)].clone()).or_default();
                    facts.$kind.insert(id.clone(), object.clone());
                }
            )*};
        }
        hand_out!(payment_intents, charges, sessions, invoices, invoice_payments, refunds, disputes, warnings, reviews);
        hand_out!(shop_by_object);
        for (label, shop) in &self.shop {
            let facts = groups.entry(Name::Label(label.clone())).or_default();
            facts.shop.insert(label.clone(), shop.clone());
        }
        groups.into_iter().map(|(name, facts)| Group { name, facts }).collect()
    }
}

/// Ids, and which of them are joined: a disjoint-set forest.
struct Joined<'a> {
    index: BTreeMap<&'a str, usize>,
    parents: Vec<usize>,
}

impl<'a> Joined<'a> {
    fn of(facts: &'a Facts) -> Self {
        let mut joined = Self { index: BTreeMap::new(), parents: Vec::new() };
        for (_, id, ties) in facts.objects() {
            let one = joined.add(id);
            for other in ties.ids() {
                let other = joined.add(other);
                joined.join(one, other);
            }
        }
        for id in facts.shop_by_object.keys() {
            joined.add(id);
        }
        joined
    }

    fn add(&mut self, id: &'a str) -> usize {
        let next = self.parents.len();
        let index = *self.index.entry(id).or_insert(next);
        if index == next {
            self.parents.push(next);
        }
        index
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.top(one), self.top(other));
        self.parents[one.max(other)] = one.min(other);
    }

    fn top(&self, mut at: usize) -> usize {
        while self.parents[at] != at {
            at = self.parents[at];
        }
        at
    }

    /// The component of an id that is known to be there.
    fn root(&self, id: &str) -> usize {
        self.index.get(id).map_or(usize::MAX, |at| self.top(*at))
    }
}
