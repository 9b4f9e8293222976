//! Which objects belong together: those that Stripe's events join by Stripe's ids. And what names them.

use std::collections::BTreeSet;

use crate::stripe::{Home, Intent, Invoice, Session, Stripe};
use crate::{ApiVersion, Slot};

/// Objects that share ids: one attempt to pay.
#[derive(Clone, Debug)]
pub(super) struct Component {
    pub account: String,
    pub livemode: bool,
    pub intents: BTreeSet<Slot>,
    pub sessions: BTreeSet<Slot>,
    pub invoices: BTreeSet<Slot>,
}

/// The shop's name for an order.
#[derive(Clone, Debug)]
pub(super) struct Label {
    pub name: String,
    /// Whether it is a `client_reference_id`.
    pub from_client: bool,
    /// Whether two objects of the same rank disagree.
    pub disputed: bool,
}

pub(super) fn components(version: ApiVersion, stripe: &Stripe) -> Vec<Component> {
    let mut components: Vec<Component> = Vec::new();
    for intent in stripe.intents.values() {
        components.push(Component::at(&intent.home, |component| component.intents.insert(intent.payment)));
    }
    for session in stripe.sessions.values().filter(|session| session.told) {
        components.push(Component::at(&session.home, |component| component.sessions.insert(session.payment)));
    }
    for invoice in stripe.invoices.values() {
        components.push(Component::at(&invoice.home, |component| component.invoices.insert(invoice.slot)));
    }
    for session in stripe.sessions.values().filter(|session| session.told) {
        let has_session = |component: &Component| component.sessions.contains(&session.payment);
        if session.subscription.is_none() {
            join(&mut components, has_session, |component| component.intents.contains(&session.payment));
        }
        if let Some(invoice) = session.invoice {
            join(&mut components, has_session, |component| component.invoices.contains(&invoice));
        }
    }
    for invoice in stripe.invoices.values() {
        for payment in payments(version, invoice) {
            join(
                &mut components,
                |component| component.invoices.contains(&invoice.slot),
                |component| component.intents.contains(&payment),
            );
        }
    }
    components
}

/// The payments that events link to an invoice: since Basil only those that paid something of it.
fn payments(version: ApiVersion, invoice: &Invoice) -> Vec<Slot> {
    if version.has_invoice_payments() {
        invoice.payments.iter().map(|payment| payment.payment).collect()
    } else {
        invoice.intent.into_iter().collect()
    }
}

fn join(components: &mut Vec<Component>, one: impl Fn(&Component) -> bool, other: impl Fn(&Component) -> bool) {
    let (Some(one), Some(other)) = (components.iter().position(one), components.iter().position(other)) else { return };
    if one != other {
        let moved = components.remove(one.max(other));
        let kept = &mut components[one.min(other)];
        kept.intents.extend(moved.intents);
        kept.sessions.extend(moved.sessions);
        kept.invoices.extend(moved.invoices);
    }
}

impl Component {
    fn at(home: &Home, fill: impl FnOnce(&mut Self) -> bool) -> Self {
        let mut component = Self {
            account: home.account.id().to_owned(),
            livemode: home.livemode,
            intents: BTreeSet::new(),
            sessions: BTreeSet::new(),
            invoices: BTreeSet::new(),
        };
        fill(&mut component);
        component
    }

    pub fn intents<'a>(&'a self, stripe: &'a Stripe) -> impl Iterator<Item = &'a Intent> {
        self.intents.iter().filter_map(|slot| stripe.intents.get(slot))
    }

    pub fn sessions<'a>(&'a self, stripe: &'a Stripe) -> impl Iterator<Item = &'a Session> {
        self.sessions.iter().filter_map(|slot| stripe.sessions.get(slot))
    }

    pub fn invoices<'a>(&'a self, stripe: &'a Stripe) -> impl Iterator<Item = &'a Invoice> {
        self.invoices.iter().filter_map(|slot| stripe.invoices.get(slot))
    }

    /// Payment intent, else invoice, else session.
    pub fn best_id(&self, stripe: &Stripe) -> String {
        let intent = self.intents(stripe).next().map(|intent| intent.id.clone());
        let invoice = self.invoices(stripe).next().map(|invoice| invoice.id.clone());
        let session = self.sessions(stripe).next().map(|session| session.id.clone());
        intent.or(invoice).or(session).unwrap_or_default()
    }

    /// All ids that name it.
    pub fn ids(&self, stripe: &Stripe) -> BTreeSet<String> {
        let mut ids = BTreeSet::new();
        for intent in self.intents(stripe) {
            ids.insert(intent.id.clone());
            ids.extend(intent.charges.iter().map(|charge| charge.id.clone()));
        }
        ids.extend(self.sessions(stripe).map(|session| session.id.clone()));
        ids.extend(self.invoices(stripe).map(|invoice| invoice.id.clone()));
        ids
    }

    /// The label of the best rank that there is. A payment link copies metadata to every buyer: there it names nothing.
    pub fn label(&self, stripe: &Stripe) -> Option<Label> {
        let by_link = self.sessions(stripe).any(|session| session.link.is_some());
        let metadata = || self.ranks(stripe).into_iter().find(|names| !names.is_empty());
        let from_metadata = if by_link { None } else { metadata() };
        from_metadata.and_then(|names| label(&names, false)).or_else(|| {
            let clients = self.sessions(stripe).filter_map(|session| session.client_reference_id.clone());
            label(&clients.collect(), true)
        })
    }

    fn ranks(&self, stripe: &Stripe) -> [BTreeSet<String>; 3] {
        let sessions = self.sessions(stripe).filter_map(|session| session.order_id.clone());
        let intents = self.intents(stripe).filter_map(|intent| intent.told_order_id.clone());
        let invoices = self.invoices(stripe).flat_map(|invoice| {
            let first = invoice.subscription.filter(|_| invoice.billing_reason == "subscription_create");
            let subscription = first.and_then(|slot| stripe.subscriptions.get(&slot)?.order_id.clone());
            [invoice.order_id.clone(), subscription].into_iter().flatten()
        });
        let charges = self.intents(stripe).flat_map(|intent| intent.charges.iter().filter_map(|c| c.order_id.clone()));
        [sessions.chain(intents).collect(), invoices.collect(), charges.collect()]
    }
}

fn label(names: &BTreeSet<String>, from_client: bool) -> Option<Label> {
    let name = names.first()?.clone();
    Some(Label { name, from_client, disputed: !from_client && names.len() > 1 })
}
