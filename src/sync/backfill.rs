//! A stretch of time compared at a person's word.

use super::Fetcher;
use super::store::{self, Run};
use super::take_in::Tally;
use super::walk::Walk;
use anyhow::Context;
use chrono::Utc;

/// What is to be compared.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// Events created from here on, in unix seconds.
    pub since: i64,
    /// Events created before, in unix seconds; not in the future, of which nobody can say yet that it was compared.
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
    /// off within the range, it goes on from there. `told` hears of each step, first of where it begins. What it finds
    /// is added to `found`, also where it fails in the end.
    ///
    /// # Errors
    /// Stripe's or the database's; what was reached is kept.
    pub async fn backfill(
        &self,
        account: &str,
        range: &Range,
        found: &mut Tally,
        mut told: impl FnMut(&Progress<'_>),
    ) -> anyhow::Result<()> {
        let run = Run { account: account.to_owned(), livemode: self.livemode, only_failed: range.only_failed };
        let mut reached = self.cut_off_at(&run, range).await?;
        let mut walk = Walk::new(account, reached, range.until).only_failed(range.only_failed);
        told(&Progress { reached, tally: found });
        while let Some(listed) = self.turn_page(&mut walk).await? {
            self.take_in(account, listed, range.dry_run, found).await?;
            if walk.reached > reached {
                reached = walk.reached;
                self.keep_reached(&run, range, reached).await?;
            }
            told(&Progress { reached, tally: found });
        }
        if !range.dry_run {
            self.with_db(move |conn| store::end(conn, &run).context("cannot clear the cursor")).await?;
        }
        Ok(())
    }

    /// Where a back-fill of this range was cut off, or its beginning.
    async fn cut_off_at(&self, run: &Run, range: &Range) -> anyhow::Result<i64> {
        if range.dry_run {
            return Ok(range.since);
        }
        let (run, since, now) = (run.clone(), range.since, Utc::now().timestamp());
        let reached =
            self.with_db(move |conn| store::reached(conn, &run, since, now).context("cannot read the cursor"));
        Ok(reached.await?.map_or(range.since, |reached| reached.min(range.until)))
    }

    async fn keep_reached(&self, run: &Run, range: &Range, reached: i64) -> anyhow::Result<()> {
        if range.dry_run {
            return Ok(());
        }
        let (run, since) = (run.clone(), range.since);
        self.with_db(move |conn| store::reach(conn, &run, since, reached).context("cannot keep the cursor"))
            .await
            .map(drop)
    }
}
