//! The gap watch: every few minutes Stripe's list since a stored cursor is compared with the inbox.
//!
//! Events younger than the grace period may still be on their way. A silence (nothing came for longer than usual) has it
//! look at once, and with less grace. A lease lets one process at a time compare an account.

use super::backfill::STEP;
use super::silence::Silence;
use super::store::{self, Key};
use super::take_in::Tally;
use super::{Fetcher, asked, named};
use crate::inbox::browse::arrivals;
use crate::metrics::Watched;
use crate::notices::{About, Kind, Missed};
use crate::outbox::{self, NewNotice};
use crate::stripe_api::events::{KEPT, Window};
use anyhow::Context;
use chrono::{DateTime, Utc};
use diesel::Connection;
use uuid::Uuid;

/// Between two comparisons, in seconds.
const EVERY: i32 = 300;
/// After a comparison that failed, and between two that a silence asked for, in seconds.
const AGAIN: i32 = 60;
/// An event so young may still be on its way, in seconds.
const GRACE: i64 = 300;
/// The same in a silence, in seconds.
const SILENT_GRACE: i64 = 60;
/// After this a comparison is anybody's again, in seconds; each hour that was compared renews it.
const LEASE: i32 = 300;
/// Nobody is told again before, in seconds.
const TOLD: i32 = 3600;
/// So many of the last events say what is usual.
const RECENT: i64 = 200;

/// One account's comparison.
#[derive(Clone, Debug)]
pub struct Looked {
    /// Empty is our own.
    pub account: String,
    /// What was found.
    pub tally: Tally,
    /// It was done early, because nothing came.
    pub silence: Option<Silence>,
}

impl Fetcher {
    /// Compares each account that is due and that nobody else compares; takes in what was missed, and tells.
    ///
    /// # Errors
    /// Stripe's or the database's, of the first account that failed; the others are compared all the same.
    pub async fn look(&self) -> anyhow::Result<Vec<Looked>> {
        let (mut looked, mut failure) = (Vec::new(), None);
        for account in &self.accounts {
            let key = Key { account: account.clone(), livemode: self.livemode };
            match self.look_at(&key).await {
                Ok(Some((tally, silence))) => looked.push(Looked { account: account.clone(), tally, silence }),
                Ok(None) => {}
                Err(error) => {
                    self.metrics.watch_failures.inc();
                    failure = failure.or(Some(error.context(named(account, self.livemode))));
                }
            }
        }
        failure.map_or(Ok(looked), Err)
    }

    async fn look_at(&self, key: &Key) -> anyhow::Result<Option<(Tally, Option<Silence>)>> {
        let now = Utc::now();
        let (token, ours) = (Uuid::now_v7(), key.clone());
        let claimed = self.with_db(move |conn| {
            store::begin(conn, &ours, now.timestamp()).context("cannot set the cursor")?;
            let recent = arrivals(conn, &ours.account, ours.livemode, RECENT).context("cannot read what came last")?;
            let silence = Silence::since(&recent, now);
            let early = silence.map(|_| AGAIN);
            let reached = store::claim(conn, &ours, token, LEASE, early).context("cannot claim the gap watch")?;
            Ok(reached.map(|reached| (reached, silence)))
        });
        let Some((reached, silence)) = claimed.await? else { return Ok(None) };
        let grace = if silence.is_some() { SILENT_GRACE } else { GRACE };
        match self.compare_since(key, token, reached, now.timestamp() - grace).await {
            Ok(tally) => {
                self.finish(key, token, &tally, silence).await?;
                Ok(Some((tally, silence)))
            }
            Err(error) => {
                let ours = key.clone();
                self.with_db(move |conn| store::give_back(conn, &ours, token, AGAIN).context("cannot give it back"))
                    .await?;
                Err(error)
            }
        }
    }

    /// Hour by hour, so that a long outage is caught up with step by step, and by others where this process ends.
    async fn compare_since(&self, key: &Key, token: Uuid, reached: i64, until: i64) -> anyhow::Result<Tally> {
        let oldest = until - KEPT;
        if reached < oldest {
            let days = (oldest - reached) / 86_400 + 1;
            log::error!(account = key.account; "Stripe keeps its events for 30 days: what was missed before, {days} day(s), cannot be fetched any more");
        }
        let (mut reached, mut found) = (reached.max(oldest), Tally::default());
        while reached < until {
            let end = (reached + STEP).min(until);
            let window = Window { account: asked(&key.account), from: reached, until: end, only_failed: false };
            let tally = self.compare(&window, false).await?;
            reached = end;
            let (ours, missed) = (key.clone(), tally.span.map(|(from, _)| (tally.missed, from)));
            let held = self.with_db(move |conn| {
                store::move_on(conn, &ours, token, reached, LEASE, missed).context("cannot keep the cursor")
            });
            found.add(&tally);
            if !held.await? {
                log::warn!(account = key.account; "the gap watch took too long, and another process has taken it over");
                break;
            }
            self.metrics.watch_reached.get_or_create(&Watched { account: key.account.clone() }).set(reached);
        }
        Ok(found)
    }

    /// Ends it, and tells what was missed: in the log and the metrics each time, by a notice once an hour at most.
    async fn finish(&self, key: &Key, token: Uuid, tally: &Tally, silence: Option<Silence>) -> anyhow::Result<()> {
        self.metrics.events_missed.inc_by(tally.missed);
        if tally.missed > 0 {
            let kinds =
                tally.kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect::<Vec<_>>().join(", ");
            let silent =
                silence.map_or_else(String::new, |s| format!(" (silent for {} s, usually {} s)", s.seconds, s.usual));
            log::error!(account = key.account, events = kinds; "{} event(s) of {} did not reach us{silent}; they were fetched and applied. `ringup endpoint doctor` says what is wrong", tally.missed, named(&key.account, key.livemode));
        } else if let Some(silence) = silence {
            log::debug!(account = key.account; "nothing came for {} s (usually {} s), and Stripe has nothing either", silence.seconds, silence.usual);
        }
        let ours = key.clone();
        self.with_db(move |conn| {
            let told = conn.transaction(|conn| {
                let due = store::finish(conn, &ours, token, EVERY, TOLD)?;
                let notices: Vec<NewNotice> = due.map(|due| notice(&ours, token, due, silence)).into_iter().collect();
                outbox::enqueue(conn, &notices)
            });
            told.map(drop).context("cannot end the gap watch")
        })
        .await
    }
}

fn notice(key: &Key, token: Uuid, due: store::Untold, silence: Option<Silence>) -> NewNotice {
    let when = |at: i64| DateTime::from_timestamp(at, 0).unwrap_or_default().format("%Y-%m-%d %H:%M UTC").to_string();
    let silent = silence.map(|silence| format!("nothing came for {} minutes", silence.seconds / 60));
    let reason = format!("{} event(s), the oldest of {}", due.missed, when(due.missed_from));
    let told = Missed {
        about: About {
            object: named(&key.account, key.livemode),
            reason: Some(silent.map_or_else(|| reason.clone(), |silent| format!("{reason}; {silent}"))),
            ..About::default()
        },
        account: key.account.clone(),
        livemode: key.livemode,
        events: due.missed,
        oldest: due.missed_from,
    };
    let kind = Kind::EventsMissed;
    let name = format!("{}:{token}", kind.name());
    NewNotice { by_mail: true, ..NewNotice::new(kind, name, &told) }
}
