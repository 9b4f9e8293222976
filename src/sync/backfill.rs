//! A stretch of time compared from its oldest hour to its newest, so that what is cut off can go on.

use super::store::{self, Run};
use super::take_in::Tally;
use super::{Fetcher, asked};
use crate::stripe_api::events::Window;
use anyhow::Context;

/// Compared in one go, in seconds: what is listed newest first is so taken in hour by hour.
pub(super) const STEP: i64 = 3600;

/// What is to be compared.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// Events created from here on, in unix seconds.
    pub since: i64,
    /// Events created before, in unix seconds.
    pub until: i64,
    /// Only events that at least one endpoint did not take.
    pub only_failed: bool,
    /// Counts and takes nothing in.
    pub dry_run: bool,
}

/// How far it is.
#[derive(Debug)]
pub struct Progress<'a> {
    /// Events before this have been compared, in unix seconds.
    pub reached: i64,
    /// What was found so far.
    pub tally: &'a Tally,
}

impl Fetcher {
    /// Compares `range` of one account with the inbox and takes in what is missing. Where an earlier back-fill was cut
    /// off within the range, it goes on from there. `told` hears of each step, first of where it begins.
    ///
    /// # Errors
    /// Stripe's or the database's; what was reached is kept.
    pub async fn backfill(
        &self,
        account: &str,
        range: &Range,
        mut told: impl FnMut(&Progress<'_>),
    ) -> anyhow::Result<Tally> {
        let run = Run { account: account.to_owned(), livemode: self.livemode, only_failed: range.only_failed };
        let mut reached = range.since;
        if !range.dry_run {
            let (cut_off, since) = (run.clone(), range.since);
            let went =
                self.with_db(move |conn| store::reached(conn, &cut_off, since).context("cannot read the cursor"));
            reached = went.await?.map_or(range.since, |went| went.min(range.until));
        }
        let mut tally = Tally::default();
        told(&Progress { reached, tally: &tally });
        while reached < range.until {
            let until = (reached + STEP).min(range.until);
            let window = Window { account: asked(account), from: reached, until, only_failed: range.only_failed };
            tally.add(&self.compare(&window, range.dry_run).await?);
            reached = until;
            if !range.dry_run {
                let (run, since) = (run.clone(), range.since);
                self.with_db(move |conn| store::reach(conn, &run, since, reached).context("cannot keep the cursor"))
                    .await?;
            }
            told(&Progress { reached, tally: &tally });
        }
        if !range.dry_run {
            self.with_db(move |conn| store::end(conn, &run).context("cannot clear the cursor")).await?;
        }
        Ok(tally)
    }
}
