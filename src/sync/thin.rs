//! A thin event names an object; what that is now is fetched, and taken in as an event of its own.
//!
//! The thin event is kept as it came and waits as pending. What is fetched becomes an event of the source `stripe_api`
//! under the thin one's id, so that fetching twice stores once; it is dated by the moment before it was asked for,
//! because it tells the object's present state, not the one of which the thin event told.

use super::{Fetcher, asked};
use crate::inbox::{self, ClaimedEvent, Left, NewEvent, State};
use crate::intake::{Answer, Submission, rules};
use crate::source::stripe::{self, Payload};
use crate::stripe_api::{API_VERSION, Error};
use anyhow::Context;
use chrono::Utc;
use diesel::Connection;
use futures_util::future::join_all;
use serde::Serialize;
use serde_json::value::RawValue;
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

impl From<Error> for Undone {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound(_) => Self::Hopeless(error.to_string()),
            _ => Self::Later(error.to_string()),
        }
    }
}

impl Fetcher {
    /// Fetches what the oldest thin events name, a few of them; returns how many were claimed.
    ///
    /// # Errors
    /// The database's; claimed events come back after their lease.
    pub async fn fetch_named(&self) -> anyhow::Result<usize> {
        let token = Uuid::now_v7();
        let claimed = self.with_db(move |conn| {
            let claimed = conn.transaction(|conn| inbox::claim(conn, Left::ToFetch, token, BATCH, LEASE));
            claimed.context("cannot claim thin events")
        });
        let claimed = claimed.await?;
        let fetched = join_all(claimed.iter().map(|event| self.fetch(event))).await;
        let ends: Vec<_> = claimed.iter().map(|event| (event.id, event.tries)).zip(fetched).collect();
        let ids: Vec<String> = claimed.iter().map(|event| event.event_id.clone()).collect();
        self.with_db(move |conn| {
            for (((row, tries), end), id) in ends.into_iter().zip(ids) {
                settle(conn, token, row, tries, &id, end)?;
            }
            Ok(())
        })
        .await?;
        Ok(claimed.len())
    }

    async fn fetch(&self, claimed: &ClaimedEvent) -> Result<(), Undone> {
        let thin = stripe::parse(&claimed.body).map_err(|error| Undone::Hopeless(error.to_string()))?;
        let Payload::Thin { related_id: Some(id), related_type: Some(object), .. } = &thin.payload else {
            return Err(Undone::Hopeless("it names no object".to_owned()));
        };
        self.turn().await;
        let created = Utc::now().timestamp();
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
        let stored = rules::stored(&event, &verdict, Utc::now());
        let event = NewEvent { source: "stripe_api", body: body.clone(), ..stored };
        let submission = Submission::new(event, verdict.facts, permit);
        let answer = self.intake.submit(submission).map_err(|full| later(&full.to_string()))?;
        match answer.await.unwrap_or(Answer::Unavailable) {
            // Fetched before, by a process that died before it could say so.
            Answer::Accepted | Answer::Duplicate => Ok(()),
            Answer::Unavailable => Err(later("the database takes nothing now")),
        }
    }
}

fn settle(
    conn: &mut diesel::PgConnection,
    token: Uuid,
    row: i64,
    tries: i32,
    id: &str,
    end: Result<(), Undone>,
) -> anyhow::Result<()> {
    let settled = match end {
        Ok(()) => inbox::settle(conn, token, &[row], State::Processed, None),
        Err(Undone::Hopeless(why)) => {
            log::warn!(event = id, why = why; "quarantined: what a thin event names cannot be fetched");
            inbox::settle(conn, token, &[row], State::Quarantined, Some(&why))
        }
        Err(Undone::Later(why)) => {
            let seconds = (1 << tries.clamp(0, 12)).min(LONGEST);
            log::warn!(event = id, why = why; "what a thin event names could not be fetched; trying again in {seconds} s");
            inbox::postpone(conn, token, row, seconds, &why)
        }
    };
    settled.map(drop).context("cannot settle a thin event")
}
