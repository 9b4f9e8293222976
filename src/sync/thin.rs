//! A thin event names an object; what that is now is fetched, and taken in as an event of its own.
//!
//! The thin event is kept as it came and waits as pending. What is fetched becomes an event of the source `stripe_api`
//! under the thin one's id, so that fetching twice stores once; it is dated by [`dated`], because it tells the object's
//! present state, not the one of which the thin event told.

use super::{Fetcher, PATIENCE, asked};
use crate::config::mode_name;
use crate::inbox::{self, ClaimedEvent, NewEvent, State};
use crate::intake::{Answer, Submission};
use crate::source::stripe::{self, Event, Payload};
use crate::stripe_api::{API_VERSION, Error};
use anyhow::Context;
use chrono::{DateTime, Utc};
use diesel::Connection;
use diesel::pg::PgConnection;
use futures_util::future::join_all;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::timeout;
use uuid::Uuid;

/// Fetched side by side.
const BATCH: i32 = 8;
/// After this a claim is anybody's again, in seconds: longer than Stripe may take.
const LEASE: i32 = 180;
/// The longest pause between two tries, in seconds.
const LONGEST: i32 = 3600;

/// A snapshot event made of what was fetched.
#[derive(Serialize)]
struct Fetched<'a> {
    id: &'a str,
    object: &'static str,
    #[serde(rename = "type")]
    kind: &'a str,
    created: i64,
    livemode: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
    api_version: &'static str,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    object: &'a RawValue,
}

/// Why a thin event is not done.
enum Undone {
    /// Nothing will ever come of it.
    Hopeless(String),
    /// Perhaps later.
    Later(String),
}

/// How it ended for one claimed event.
struct Ended {
    event: ClaimedEvent,
    end: Result<(), Undone>,
}

impl From<Error> for Undone {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound(_) => Self::Hopeless(error.to_string()),
            _ => Self::Later(error.to_string()),
        }
    }
}

impl Fetcher {
    /// Fetches what the oldest thin events name, a few of them; returns how many were claimed. Those of the mode that the key
    /// does not reach are left alone: another process may have the other key.
    ///
    /// # Errors
    /// The database's; claimed events come back after their lease.
    pub async fn fetch_named(&self) -> anyhow::Result<usize> {
        let (token, livemode) = (Uuid::now_v7(), self.livemode);
        let claimed = self.with_db(move |conn| {
            let claimed = conn.transaction(|conn| inbox::claim_to_fetch(conn, livemode, token, BATCH, LEASE));
            claimed.context("cannot claim thin events")
        });
        let ended = join_all(claimed.await?.into_iter().map(|event| self.fetch_one(event))).await;
        let number = ended.len();
        self.with_db(move |conn| ended.iter().try_for_each(|ended| settle(conn, token, ended))).await?;
        Ok(number)
    }

    /// Says of thin events that this key cannot fetch why they wait, in the log and where each is shown.
    ///
    /// # Errors
    /// The database's.
    pub async fn explain_other_mode(&self) -> anyhow::Result<()> {
        let livemode = self.livemode;
        let (theirs, ours) = (mode_name(!livemode), mode_name(livemode));
        let why = format!("it is a {theirs} event, and STRIPE_SECRET_KEY is a {ours} key");
        let waiting = self.with_db(move |conn| {
            inbox::explain_other_mode(conn, livemode, &why).context("cannot look for events of the other mode")
        });
        let waiting = waiting.await?;
        if waiting > 0 {
            log::warn!(
                "{waiting} thin {theirs} event(s) wait for a process with a {theirs} key: STRIPE_SECRET_KEY is a {ours} one"
            );
        }
        Ok(())
    }

    async fn fetch_one(&self, event: ClaimedEvent) -> Ended {
        let end = match stripe::parse(&event.body) {
            Err(error) => Err(Undone::Hopeless(error.to_string())),
            Ok(thin) => match &thin.payload {
                Payload::Thin { related_id: Some(id), related_type: Some(object), .. } => {
                    let end = self.fetch(&event, &thin, (object, id)).await;
                    self.log_fetch(&event.event_id, object, &end);
                    end
                }
                _ => Err(Undone::Hopeless("it names no object".to_owned())),
            },
        };
        Ended { event, end }
    }

    /// One line a cause: what keeps one object of a kind from being fetched keeps the next one, too.
    fn log_fetch(&self, event: &str, object: &str, end: &Result<(), Undone>) {
        match end {
            Ok(()) => self.troubles.are_over(object),
            Err(Undone::Hopeless(why)) => {
                log::warn!(event = event, why = why; "quarantined: what a thin event names cannot be fetched");
            }
            Err(Undone::Later(why)) => {
                let level = if self.troubles.is_news(object, why) { log::Level::Warn } else { log::Level::Debug };
                log::log!(level, event = event, object = object, why = why; "what a thin event names could not be fetched; it is tried again, and so are others of its kind");
            }
        }
    }

    async fn fetch(&self, claimed: &ClaimedEvent, thin: &Event<'_>, (object, id): (&str, &str)) -> Result<(), Undone> {
        self.turn().await;
        let created = dated(thin.created, claimed.received_at, Utc::now());
        let found = self.api.object(object, id, asked(&claimed.account)).await?;
        let body = serde_json::to_vec(&Fetched {
            id: &thin.id,
            object: "event",
            kind: thin.kind_of_snapshot(),
            created,
            livemode: thin.livemode,
            account: asked(&claimed.account),
            api_version: API_VERSION,
            data: Data { object: &found },
        });
        self.submit_fetched(body.map_err(|error| Undone::Hopeless(error.to_string()))?).await
    }

    async fn submit_fetched(&self, body: Vec<u8>) -> Result<(), Undone> {
        let later = |why: &str| Undone::Later(why.to_owned());
        let permit = self.budget.reserve(body.len()).ok_or_else(|| later("no memory for another event"))?;
        let event = stripe::parse(&body).map_err(|error| Undone::Hopeless(error.to_string()))?;
        let verdict = self.rules.judge(&event);
        let stored = self.rules.stored(&event, &verdict, Utc::now());
        let event = NewEvent { source: "stripe_api", body, ..stored };
        let submission = Submission::new(event, verdict.facts, permit);
        let answer = self.intake.submit(submission).map_err(|full| later(&full.to_string()))?;
        match timeout(PATIENCE, answer).await {
            // Fetched before, by a process that died before it could say so.
            Ok(Ok(Answer::Accepted | Answer::Duplicate)) => Ok(()),
            Ok(Ok(Answer::Unavailable) | Err(_)) | Err(_) => Err(later("the database takes nothing now")),
        }
    }
}

/// When what is fetched `now` was so, by Stripe's clock: when the thin event happened, and as long after that as it has
/// been here. Our clock only measures that while, so it may be wrong; it bounds it, for when it is put back meanwhile.
///
/// Stripe's clock itself is not to be had: its client hands no headers out. So this errs towards the past, by the time that
/// the thin event was under way. That does no harm: a state dated too early may lose against an older one, but what
/// changed in between has an event of its own, which comes, and wins. One dated too late would win against all that happens
/// until then.
fn dated(happened: Option<i64>, received_at: DateTime<Utc>, now: DateTime<Utc>) -> i64 {
    let Some(happened) = happened else { return now.timestamp() };
    let here = (now - received_at).num_seconds().max(0);
    happened.saturating_add(here).min(now.timestamp()).max(happened)
}

fn settle(conn: &mut PgConnection, token: Uuid, ended: &Ended) -> anyhow::Result<()> {
    let row = ended.event.id;
    let settled = match &ended.end {
        Ok(()) => inbox::settle(conn, token, &[row], State::Processed, None),
        Err(Undone::Hopeless(why)) => inbox::settle(conn, token, &[row], State::Quarantined, Some(why)),
        Err(Undone::Later(why)) => {
            let seconds = (1 << ended.event.tries.clamp(0, 12)).min(LONGEST);
            inbox::postpone(conn, token, row, seconds, why)
        }
    };
    settled.map(drop).context("cannot settle a thin event")
}

#[cfg(test)]
mod tests {
    use super::dated;
    use chrono::{DateTime, TimeDelta, Utc};

    const HAPPENED: i64 = 1_790_000_000;

    /// Received and fetched so many seconds after it happened, by our clock.
    fn fetched(received: i64, now: i64) -> i64 {
        let at = |seconds: i64| -> DateTime<Utc> { DateTime::UNIX_EPOCH + TimeDelta::seconds(HAPPENED + seconds) };
        dated(Some(HAPPENED), at(received), at(now)) - HAPPENED
    }

    #[test]
    fn a_fetched_state_is_dated_by_stripes_clock() {
        assert_eq!(fetched(1, 61), 60);
        assert_eq!([fetched(3601, 3661), fetched(-3599, -3539)], [60, 0], "our clock is fast, and slow");
        assert_eq!(fetched(3601, 61), 0, "ours was put back meanwhile");
        assert_eq!(fetched(-3599, 61), 61, "ours was put forward meanwhile");
        assert_eq!(dated(None, DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH + TimeDelta::seconds(7)), 7);
    }
}
