//! From a page of Stripe's list to the inbox.

use super::Fetcher;
use crate::inbox::NewEvent;
use crate::inbox::known::{Told, known};
use crate::intake::{Answer, Submission, rules};
use crate::orders::UNDERSTOOD;
use crate::source::stripe;
use crate::stripe_api::events::{Listed, Window};
use anyhow::{Context, bail};
use chrono::Utc;
use std::collections::{BTreeMap, HashSet};

/// What a comparison of Stripe's list with the inbox found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events that Stripe lists.
    pub listed: u64,
    /// Of these, events whose type says nothing of orders: they are not taken in.
    pub of_no_concern: u64,
    /// Events that were there.
    pub known: u64,
    /// Events that were missing; by now they are stored and applied, or left to the workers.
    pub missed: u64,
    /// When the oldest and the newest of the missing ones happened, in Stripe's unix seconds.
    pub span: Option<(i64, i64)>,
    /// The missing ones by their types.
    pub kinds: BTreeMap<String, u64>,
}

impl Tally {
    /// Adds what another comparison found.
    pub fn add(&mut self, other: &Self) {
        self.listed += other.listed;
        self.of_no_concern += other.of_no_concern;
        self.known += other.known;
        self.missed += other.missed;
        self.span = match (self.span, other.span) {
            (Some((from, until)), Some((first, last))) => Some((from.min(first), until.max(last))),
            (ours, theirs) => ours.or(theirs),
        };
        for (kind, count) in &other.kinds {
            *self.kinds.entry(kind.clone()).or_default() += count;
        }
    }

    fn miss(&mut self, event: &Listed) {
        self.missed += 1;
        *self.kinds.entry(event.kind.clone()).or_default() += 1;
        let at = event.created.unwrap_or_default();
        self.span = Some(self.span.map_or((at, at), |(from, until)| (from.min(at), until.max(at))));
    }
}

impl Fetcher {
    /// Compares all events of `window` with the inbox; what is missing is taken in, unless `dry_run`.
    pub(super) async fn compare(&self, window: &Window<'_>, dry_run: bool) -> anyhow::Result<Tally> {
        let (mut tally, mut after) = (Tally::default(), None);
        loop {
            self.turn().await;
            let page = self.api.events(window, after.as_deref()).await?;
            tally.add(&self.take_in(window.account.unwrap_or_default(), &page.events, dry_run).await?);
            after = page.events.last().map(|event| event.id.clone());
            if !page.more {
                return Ok(tally);
            }
        }
    }

    async fn take_in(&self, account: &str, listed: &[Listed], dry_run: bool) -> anyhow::Result<Tally> {
        let wanted: Vec<&Listed> = listed.iter().filter(|event| UNDERSTOOD.contains(&&event.kind[..])).collect();
        let known = self.known(account, &wanted).await?;
        let missing: Vec<&Listed> = wanted.iter().copied().filter(|event| !known.contains(&event.id)).collect();
        let mut tally = Tally {
            listed: listed.len() as u64,
            of_no_concern: (listed.len() - wanted.len()) as u64,
            known: (wanted.len() - missing.len()) as u64,
            ..Tally::default()
        };
        if dry_run {
            for event in missing {
                tally.miss(event);
            }
            return Ok(tally);
        }
        let mut answers = Vec::new();
        // Any sequence gives the same orders; the oldest first gives timelines that read well.
        for event in missing.iter().rev() {
            let answer = self.intake.submit(self.submission(account, event)?);
            answers.push((event, answer.context("the receiver has more to do than it can; try again later")?));
        }
        for (event, answer) in answers {
            match answer.await.unwrap_or(Answer::Unavailable) {
                Answer::Accepted => tally.miss(event),
                Answer::Duplicate => tally.known += 1,
                Answer::Unavailable => bail!("the database takes nothing now; try again later"),
            }
        }
        Ok(tally)
    }

    async fn known(&self, account: &str, events: &[&Listed]) -> anyhow::Result<HashSet<String>> {
        let told = |event: &&Listed| Told {
            id: event.id.clone(),
            kind: event.kind.clone(),
            object: event.object.clone(),
            created: event.created,
        };
        let told: Vec<Told> = events.iter().map(told).collect();
        let account = account.to_owned();
        self.with_db(move |conn| known(conn, &account, &told).context("cannot look events up")).await
    }

    fn submission(&self, account: &str, listed: &Listed) -> anyhow::Result<Submission> {
        let mut event = stripe::parse(&listed.body).context("an event of Stripe's list is none")?;
        // The list of a connected account need not repeat whose it is.
        if !account.is_empty() {
            event.account = Some(account.into());
        }
        let verdict = self.rules.judge(&event);
        let stored = rules::stored(&event, &verdict, Utc::now());
        let permit = self.budget.reserve(listed.body.len()).context("no memory for another event; try again later")?;
        let event = NewEvent { body: listed.body.clone(), ..stored };
        Ok(Submission::new(event, verdict.facts, permit))
    }
}
