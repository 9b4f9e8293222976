//! From a page of Stripe's list to the inbox.

use super::{Fetcher, PATIENCE};
use crate::inbox::NewEvent;
use crate::inbox::known::{Told, known, wait_for_standby};
use crate::intake::{Answer, Awaited, Submission};
use crate::orders::UNDERSTOOD;
use crate::source::stripe;
use crate::stripe_api::events::Listed;
use anyhow::{Context, anyhow};
use chrono::Utc;
use diesel::pg::PgConnection;
use std::collections::{BTreeMap, HashSet};
use std::mem;
use tokio::time::{Instant, timeout_at};

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
    /// Compares a page with the inbox; what is missing is taken in, unless `dry_run`. What it finds is added to `found`,
    /// also where it fails in the end.
    pub(super) async fn take_in(
        &self,
        account: &str,
        page: Vec<Listed>,
        dry_run: bool,
        found: &mut Tally,
    ) -> anyhow::Result<()> {
        let listed = page.len() as u64;
        let mut missing: Vec<Listed> = page.into_iter().filter(|event| UNDERSTOOD.contains(&&event.kind[..])).collect();
        let wanted = missing.len() as u64;
        let known = self.known(account, &missing).await?;
        missing.retain(|event| !known.contains(&event.id));
        found.listed += listed;
        found.of_no_concern += listed - wanted;
        found.known += wanted - missing.len() as u64;
        if dry_run {
            for event in &missing {
                found.miss(event);
            }
            return Ok(());
        }
        self.submit(account, missing, found).await
    }

    /// Has events stored and applied, and counts those that were: where one fails, those before it are in all the same.
    async fn submit(&self, account: &str, missing: Vec<Listed>, found: &mut Tally) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let (mut answers, mut done) = (Vec::new(), Ok(()));
        // Any sequence gives the same orders; the oldest first gives timelines that read well.
        for mut event in missing.into_iter().rev() {
            match self.hand_over(account, &mut event, deadline).await {
                Ok(answer) => answers.push((event, answer)),
                Err(error) => {
                    done = Err(error);
                    break;
                }
            }
        }
        for (event, answer) in answers {
            match timeout_at(deadline, answer).await {
                Ok(Ok(Answer::Accepted)) => found.miss(&event),
                Ok(Ok(Answer::Duplicate)) => found.known += 1,
                Ok(Ok(Answer::Unavailable) | Err(_)) | Err(_) => {
                    done = done.and(Err(anyhow!("the database takes nothing now; try again later")));
                }
            }
        }
        done
    }

    async fn hand_over(&self, account: &str, listed: &mut Listed, deadline: Instant) -> anyhow::Result<Awaited> {
        let permit = self.budget.reserve_by(listed.body.len(), deadline).await;
        let permit = permit.context("no memory for another event; try again later")?;
        let mut event = stripe::parse(&listed.body).context("an event of Stripe's list is none")?;
        // The list of a connected account need not repeat whose it is.
        if !account.is_empty() {
            event.account = Some(account.into());
        }
        let verdict = self.rules.judge(&event);
        let stored = self.rules.stored(&event, &verdict, Utc::now());
        let event = NewEvent { body: mem::take(&mut listed.body), ..stored };
        let submission = Submission::new(event, verdict.facts, permit);
        let answer = self.intake.submit_by(submission, deadline).await;
        answer.context("the receiver has more to do than it can; try again later")
    }

    async fn known(&self, account: &str, events: &[Listed]) -> anyhow::Result<HashSet<String>> {
        let told = |event: &Listed| Told {
            id: event.id.clone(),
            kind: event.kind.clone(),
            object: event.object.clone(),
            created: event.created,
        };
        let (account, told) = (account.to_owned(), events.iter().map(told).collect::<Vec<_>>());
        let look_up = move |conn: &mut PgConnection| {
            let known = known(conn, &account, &told)?;
            // What is known is passed over for good.
            if !known.is_empty() {
                wait_for_standby(conn)?;
            }
            Ok::<_, diesel::result::Error>(known)
        };
        self.with_db(move |conn| look_up(conn).context("cannot look events up")).await
    }
}
