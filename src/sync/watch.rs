//! The gap watch: every few minutes Stripe's list since a stored cursor is compared with the inbox.
//!
//! Events younger than the grace period may still be on their way. A silence (nothing came for longer than usual) has it
//! look at once, and with less grace. A lease lets one process at a time compare an account.
//!
//! The cursor rests on Stripe's own times alone. Our clock says how young is too young, and no more: where it is fast, the
//! grace is shorter, and no event is passed over.

use super::silence::Silence;
use super::store::{self, Claimed, Key};
use super::take_in::Tally;
use super::walk::Walk;
use super::{Fetcher, asked, named};
use crate::inbox::browse::arrivals;
use crate::notices::{About, Kind, Missed};
use crate::outbox::{self, NewNotice};
use crate::stripe_api::events::KEPT;
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
/// After this a comparison is anybody's again, in seconds; each page that was compared renews it.
const LEASE: i32 = 300;
/// Nobody is told again before, in seconds.
const TOLD: i32 = 3600;
/// So many of the last events say what is usual.
const RECENT: i64 = 200;

/// One account's comparison.
#[derive(Debug)]
pub struct Looked {
    /// Empty is our own.
    pub account: String,
    /// What was found, also where it failed in the end.
    pub tally: Tally,
    /// It was done early, because nothing came.
    pub silence: Option<Silence>,
    /// Why it did not come to its end: Stripe's error, or the database's.
    pub failure: Option<anyhow::Error>,
}

impl Fetcher {
    /// Compares each account that is due `now` and that nobody else compares; takes in what was missed, and tells.
    pub async fn look(&self, now: DateTime<Utc>) -> Vec<Looked> {
        let mut looked = Vec::new();
        for account in &self.accounts {
            let key = Key { account: account.clone(), livemode: self.livemode };
            if let Some(one) = self.look_at(&key, now).await {
                self.log_look(&key, &one);
                looked.push(one);
            }
        }
        looked
    }

    async fn look_at(&self, key: &Key, now: DateTime<Utc>) -> Option<Looked> {
        let token = Uuid::now_v7();
        let mut looked = Looked { account: key.account.clone(), tally: Tally::default(), silence: None, failure: None };
        let claimed = match self.claim(key, token, now).await {
            Ok(Some((claimed, silence))) => {
                looked.silence = silence;
                claimed
            }
            Ok(None) => return None,
            Err(error) => return Some(Looked { failure: Some(error), ..looked }),
        };
        let grace = if looked.silence.is_some() { SILENT_GRACE } else { GRACE };
        let compared = self.compare(key, token, claimed, now.timestamp() - grace, &mut looked.tally).await;
        let ended = self.end(key, token, compared.is_ok(), looked.silence).await;
        // What Stripe said matters more than that it could not be written down.
        Some(Looked { failure: compared.and(ended).err(), ..looked })
    }

    async fn claim(
        &self,
        key: &Key,
        token: Uuid,
        now: DateTime<Utc>,
    ) -> anyhow::Result<Option<(Claimed, Option<Silence>)>> {
        let key = key.clone();
        self.with_db(move |conn| {
            store::begin(conn, &key).context("cannot begin the gap watch")?;
            let recent = arrivals(conn, &key.account, key.livemode, RECENT).context("cannot read what came last")?;
            let silence = Silence::since(&recent, now);
            let early = silence.map(|_| AGAIN);
            let claimed = store::claim(conn, &key, token, LEASE, early).context("cannot claim the gap watch")?;
            Ok(claimed.map(|claimed| (claimed, silence)))
        })
        .await
    }

    /// Page by page, so that a long outage is caught up with step by step, and by others where this process ends.
    async fn compare(
        &self,
        key: &Key,
        token: Uuid,
        claimed: Claimed,
        until: i64,
        found: &mut Tally,
    ) -> anyhow::Result<()> {
        self.turn().await;
        let Some(newest) = self.api.newest_event(asked(&key.account)).await? else { return Ok(()) };
        if claimed.is_first {
            // What was before is `ringup sync`'s.
            return self.keep(key, token, newest + 1, &Tally::default()).await.map(drop);
        }
        let until = until.min(newest + 1);
        let (from, oldest) = (claimed.reached.min(newest + 1), until - KEPT);
        if from < oldest && claimed.is_stale {
            log::error!(account = key.account; "nothing was compared for more than the 30 days that Stripe keeps its events: what was missed before cannot be fetched any more");
        }
        let mut walk = Walk::new(&key.account, from.max(oldest), until);
        loop {
            let before = walk.reached;
            let Some(listed) = self.turn_page(&mut walk).await? else { return Ok(()) };
            let mut page = Tally::default();
            let done = self.take_in(&key.account, listed, false, &mut page).await;
            found.add(&page);
            // The newest one's second is not over: there may be more of it the next time.
            let reached = if done.is_ok() { walk.reached.min(newest) } else { before };
            let kept = self.keep(key, token, reached, &page).await;
            done?;
            if !kept? {
                log::warn!(account = key.account; "the gap watch took too long, and another process has taken it over");
                return Ok(());
            }
        }
    }

    /// Keeps how far it came and what was missed; false where another process has taken it over.
    async fn keep(&self, key: &Key, token: Uuid, reached: i64, page: &Tally) -> anyhow::Result<bool> {
        let (key, missed) = (key.clone(), page.span.map(|(from, _)| (page.missed, from)));
        self.with_db(move |conn| {
            store::move_on(conn, &key, token, reached, LEASE, missed).context("cannot keep the cursor")
        })
        .await
    }

    /// Ends it, and tells by a notice what was missed, once an hour at most.
    async fn end(&self, key: &Key, token: Uuid, well: bool, silence: Option<Silence>) -> anyhow::Result<()> {
        let key = key.clone();
        self.with_db(move |conn| {
            let told = conn.transaction(|conn| {
                let again = if well { EVERY } else { AGAIN };
                if !store::finish(conn, &key, token, again, well)? {
                    return Ok(0);
                }
                let untold = store::tell(conn, &key, TOLD)?;
                let notices: Vec<NewNotice> =
                    untold.map(|untold| notice(&key, token, untold, silence)).into_iter().collect();
                outbox::enqueue(conn, &notices)
            });
            told.map(drop).context("cannot end the gap watch")
        })
        .await
    }

    fn log_look(&self, key: &Key, looked: &Looked) {
        let (account, whose, tally) = (&key.account[..], named(&key.account, key.livemode), &looked.tally);
        if tally.missed > 0 {
            let kinds: Vec<String> = tally.kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
            let silent = looked
                .silence
                .map_or_else(String::new, |s| format!(" (silent for {} s, usually {} s)", s.seconds, s.usual));
            log::error!(account = account, events = kinds.join(", "); "{} event(s) of {whose} did not reach us{silent}; they were fetched and applied. `ringup endpoint doctor` says what is wrong", tally.missed);
        }
        match (&looked.failure, looked.silence) {
            (Some(error), _) => {
                let why = format!("{error:#}");
                let level = if self.troubles.is_news(&whose, &why) { log::Level::Error } else { log::Level::Debug };
                log::log!(level, account = account, error = why; "the gap watch fails for {whose}; it goes on trying");
                return;
            }
            (None, Some(silence)) if tally.missed == 0 => {
                log::debug!(account = account; "nothing came for {} s (usually {} s), and Stripe has nothing either", silence.seconds, silence.usual);
            }
            (None, _) => {}
        }
        self.troubles.are_over(&whose);
    }
}

fn notice(key: &Key, token: Uuid, untold: store::Untold, silence: Option<Silence>) -> NewNotice {
    let when = |at: i64| DateTime::from_timestamp(at, 0).unwrap_or_default().format("%Y-%m-%d %H:%M UTC").to_string();
    let silent = silence.map(|silence| format!("nothing came for {} minutes", silence.seconds / 60));
    let reason = format!("{} event(s), the oldest of {}", untold.missed, when(untold.missed_from));
    let told = Missed {
        about: About {
            object: named(&key.account, key.livemode),
            reason: Some(silent.map_or_else(|| reason.clone(), |silent| format!("{reason}; {silent}"))),
            ..About::default()
        },
        account: key.account.clone(),
        livemode: key.livemode,
        events: untold.missed,
        oldest: untold.missed_from,
    };
    let kind = Kind::EventsMissed;
    let name = format!("{}:{token}", kind.name());
    NewNotice { by_mail: true, ..NewNotice::new(kind, name, &told) }
}
