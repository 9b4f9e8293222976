//! An order's timeline and its rebuilding: both read its events anew, in the sequence of storing.

use super::browse::{self, Stored};
use super::extract;
use super::facts::Facts;
use super::timeline::{Change, Effect, Fold, Outcome};
use super::{Incoming, Labelling, Order, Settings, Taken, reconcile, take_stored};
use crate::inbox::browse::{About, EventRow, StoredEvent, about};
use diesel::QueryResult;
use diesel::pg::PgConnection;
use serde::Serialize;
use uuid::Uuid;

/// How a row of the first edition of the order law is called.
const FIRST_EDITION: &str = "of the law's first edition";

/// Events read at once.
const PAGE: i64 = 256;

/// An event of an order, and what it did.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// The event.
    pub event: EventRow,
    /// What it did.
    #[serde(flatten)]
    pub effect: Effect,
}

/// Up to `limit` steps of an order after the event row `after`; and whether there are more.
///
/// # Errors
/// The database's.
pub fn timeline(
    conn: &mut PgConnection,
    settings: &Settings,
    order: &Stored,
    after: i64,
    limit: usize,
) -> QueryResult<(Vec<Step>, bool)> {
    let (mut fold, mut steps, mut more) = (Fold::default(), Vec::new(), false);
    each_event(conn, order, |StoredEvent { event, body }| {
        if steps.len() == limit {
            more = true;
            return false;
        }
        let taken = (event.state == "processed").then(|| take_stored(&event.source, &body, &settings.labelling));
        let no_label = || extract::unusable_label(&body, &settings.labelling);
        match (&taken, event.id > after) {
            (Some(Taken::Facts(facts)), false) => fold.skip(facts),
            (_, false) => {}
            (_, true) => {
                let mut effect = effect(&mut fold, &event, taken.as_ref());
                if let Some(why) = no_label().filter(|_| event.source != "shop") {
                    effect.because = format!("{}; {why}", effect.because);
                }
                steps.push(Step { event, effect });
            }
        }
        true
    })?;
    Ok((steps, more))
}

fn effect(fold: &mut Fold, row: &EventRow, taken: Option<&Taken>) -> Effect {
    let reason = row.reason.clone().unwrap_or_default();
    match (&row.state[..], taken) {
        (_, Some(Taken::Facts(facts))) => fold.take(facts),
        (_, Some(Taken::Quarantined(why))) => Effect::none(Outcome::Quarantined, why.clone()),
        (_, Some(Taken::Ignored("thin_event"))) => {
            Effect::none(Outcome::Ignored, "it only names its object, which was fetched")
        }
        (_, Some(Taken::Ignored(why))) => Effect::none(Outcome::Ignored, *why),
        ("quarantined", None) => Effect::none(Outcome::Quarantined, reason),
        ("ignored", None) => Effect::none(Outcome::Ignored, reason),
        (_, None) => Effect::none(Outcome::Pending, "acknowledged; a worker will apply it"),
    }
}

/// What a rebuild found.
#[derive(Clone, Debug, Serialize)]
pub struct Rebuilt {
    /// The order's name as it is stored.
    pub reference: String,
    /// Its events.
    pub events: usize,
    /// What the stored row and the events disagree on; empty where all is well.
    pub differences: Vec<Change>,
    /// What became of writing it anew, where that was tried.
    #[serde(skip)]
    pub outcome: Option<super::Outcome>,
}

impl Rebuilt {
    /// Something that people and programs see is another, not only the form in which it is stored.
    pub fn shows_difference(&self) -> bool {
        self.differences.iter().any(|change| change.from != FIRST_EDITION)
    }
}

/// Derives the order anew from its stored events, under its lock, and reports what differs from its row. If `write` is
/// set and something differs, the row and its references are written anew. That tells nothing: no message is queued,
/// since what the events say is history. A message that still waits and is owed no more is withdrawn.
///
/// Returns `None` if the order is gone: another has taken it over.
///
/// # Errors
/// The database's.
pub fn rebuild(conn: &mut PgConnection, settings: &Settings, id: Uuid, write: bool) -> QueryResult<Option<Rebuilt>> {
    let Some(stored) = browse::load(conn, id, true)? else { return Ok(None) };
    let (mut facts, mut events) = (Facts::default(), 0);
    each_event(conn, &stored, |StoredEvent { event, body }| {
        events += 1;
        if event.state == "processed"
            && let Taken::Facts(taken) = take_stored(&event.source, &body, &settings.labelling)
        {
            facts.merge(&taken);
        }
        true
    })?;
    let differences = disagreements(&stored, &facts, &settings.labelling);
    let mut outcome = None;
    if write && !differences.is_empty() {
        let incoming = Incoming::new(stored.scope.clone(), facts);
        outcome = Some(reconcile::anew(conn, settings, id, &incoming)?);
    }
    Ok(Some(Rebuilt { reference: stored.row.reference, events, differences, outcome }))
}

fn disagreements(stored: &Stored, facts: &Facts, labelling: &Labelling) -> Vec<Change> {
    let groups = facts.clone().groups();
    let own = groups.iter().find(|group| group.name.as_str() == stored.row.reference).or(groups.first());
    let Some(own) = own else { return vec![change("events", "some", "none that can be used")] };
    let mut found = stored.row.differences(&Order::derive(&own.name, &own.facts), labelling);
    match &stored.facts {
        Err(error) => found.push(change("facts", error, "what the events say")),
        Ok(_) if stored.first_edition => found.push(change("facts", FIRST_EDITION, "as the second has them")),
        Ok(known) if *known != own.facts => found.push(change("facts", "as stored", "what the events say")),
        Ok(_) => {}
    }
    if groups.len() > 1 {
        let names: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
        found.push(change("orders", &stored.row.reference, &names.join(", ")));
    }
    found
}

fn change(field: &'static str, from: &str, to: &str) -> Change {
    Change { field, from: from.into(), to: to.into() }
}

/// The order's events, in the sequence of storing, until `take` has had enough.
fn each_event(conn: &mut PgConnection, order: &Stored, mut take: impl FnMut(StoredEvent) -> bool) -> QueryResult<()> {
    let (objects, labels) = browse::names(conn, order.row.id)?;
    let names = About { account: order.row.account.clone(), livemode: order.row.livemode, objects, labels };
    let mut after = 0;
    loop {
        let page = about(conn, &names, after, PAGE)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.event.id;
        let is_last = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
        for event in page {
            if !take(event) {
                return Ok(());
            }
        }
        if is_last {
            return Ok(());
        }
    }
}
