//! One step of delivery: claim, render, send, settle.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use chrono::TimeDelta;
use diesel::PgConnection;
use tokio::task::{JoinError, JoinSet, spawn_blocking};
use uuid::Uuid;

use super::store::{self, Attempt, Claimed, Then};
use super::{MessageKind, Outbox, Post, backoff, letter};
use crate::db::DbPool as Pool;

/// The kinds that this version can deliver; others wait in the queue.
const DELIVERED: [MessageKind; 1] = [MessageKind::Email];

/// How one attempt to hand a message over ended, with the other side's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Accepted.
    Sent(String),
    /// Failed for now, or nobody knows.
    Retry(String),
    /// Refused for good.
    Refused(String),
}

/// Delivers what is due, as much as one claim takes, and returns how many messages it handled. It never sleeps:
/// zero means that nothing is due.
///
/// Where it is dropped in the middle, what it was sending stays leased and is sent again later, under the same id.
pub async fn run_once(outbox: &Outbox) -> anyhow::Result<usize> {
    let token = Uuid::now_v7();
    let (lease, batch) = (outbox.lease, outbox.batch);
    let claimed = with_connection(&outbox.pool, move |conn| store::claim(conn, token, &DELIVERED, lease, batch))
        .await
        .context("claiming messages")?;
    let handled = claimed.len();
    let mut sends = Sends::start(&outbox.post, claimed);
    let mut unsettled = Vec::new();
    // A slow delivery doesn't keep the others of its batch waiting for their mark.
    while sends.collect(&mut unsettled).await {
        if let Err(error) = settle(&outbox.pool, token, &mut unsettled).await {
            log::warn!("settling messages failed, will be tried again: {error:#}");
        }
    }
    if !unsettled.is_empty() {
        settle(&outbox.pool, token, &mut unsettled).await.context("settling messages")?;
    }
    Ok(handled)
}

/// Writes what ended; what could not be written stays in `attempts`.
async fn settle(pool: &Pool, token: Uuid, attempts: &mut Vec<Attempt>) -> anyhow::Result<()> {
    let batch = Arc::new(std::mem::take(attempts));
    let theirs = Arc::clone(&batch);
    let settled = with_connection(pool, move |conn| store::settle(conn, token, &theirs)).await;
    match settled {
        Ok(settled) if settled < batch.len() => {
            log::warn!(lost = batch.len() - settled; "some messages were taken over before they could be settled");
            Ok(())
        }
        Ok(_) => Ok(()),
        Err(error) => {
            *attempts = Arc::into_inner(batch).unwrap_or_default();
            Err(error)
        }
    }
}

async fn with_connection<T: Send + 'static>(
    pool: &Pool,
    work: impl FnOnce(&mut PgConnection) -> diesel::QueryResult<T> + Send + 'static,
) -> anyhow::Result<T> {
    let pool = pool.clone();
    spawn_blocking(move || {
        let mut conn = pool.get()?;
        Ok(work(&mut conn)?)
    })
    .await?
}

/// The deliveries under way.
struct Sends {
    tasks: JoinSet<Attempt>,
    /// What each task delivers, for the case that it panics.
    of: HashMap<tokio::task::Id, Started>,
}

/// What is needed to write down how an attempt ended.
#[derive(Clone)]
struct Started {
    message_id: Uuid,
    number: i32,
    /// The claim, by the database's clock and by ours: attempts are dated by the former.
    claimed_at: chrono::DateTime<chrono::Utc>,
    claimed: Instant,
}

impl Sends {
    fn start(post: &Arc<Post>, claimed: Vec<Claimed>) -> Self {
        let mut sends = Self { tasks: JoinSet::new(), of: HashMap::new() };
        for message in claimed {
            let started = Started {
                message_id: message.id,
                number: message.number,
                claimed_at: message.since,
                claimed: Instant::now(),
            };
            let post = Arc::clone(post);
            let entry = started.clone();
            let task = sends.tasks.spawn(async move {
                let begun = Instant::now();
                let outcome = deliver(&post, &message).await;
                entry.ended(begun, outcome)
            });
            sends.of.insert(task.id(), started);
        }
        sends
    }

    /// Waits for a delivery to end and takes it, with all others that have ended meanwhile. False: none is left.
    async fn collect(&mut self, ended: &mut Vec<Attempt>) -> bool {
        let Some(first) = self.tasks.join_next_with_id().await else { return false };
        ended.extend(self.attempt(first));
        while let Some(next) = self.tasks.try_join_next_with_id() {
            ended.extend(self.attempt(next));
        }
        true
    }

    fn attempt(&mut self, ended: Result<(tokio::task::Id, Attempt), JoinError>) -> Option<Attempt> {
        match ended {
            Ok((_, attempt)) => Some(attempt),
            Err(error) => {
                log::error!("a delivery panicked");
                let started = self.of.remove(&error.id())?;
                let begun = started.claimed;
                Some(started.ended(begun, Outcome::Retry("the delivery panicked: this is a bug".to_owned())))
            }
        }
    }
}

impl Started {
    fn ended(self, begun: Instant, outcome: Outcome) -> Attempt {
        let number = usize::try_from(self.number).unwrap_or_default();
        let (outcome, answer, then) = match outcome {
            Outcome::Sent(answer) => ("sent", answer, Then::Sent),
            Outcome::Refused(answer) => ("refused", answer, Then::Dead),
            Outcome::Retry(answer) => match backoff::delay(number, rand::random()) {
                Some(after) => ("retry", answer, Then::Again { after }),
                None => ("retry", answer, Then::Dead),
            },
        };
        let since_claim = TimeDelta::from_std(begun.duration_since(self.claimed)).unwrap_or_default();
        Attempt {
            message_id: self.message_id,
            number: self.number,
            started_at: self.claimed_at + since_claim,
            duration_ms: milliseconds(begun.elapsed()),
            outcome,
            answer,
            then,
        }
    }
}

fn milliseconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

async fn deliver(post: &Post, message: &Claimed) -> Outcome {
    // Each of the attempts before ended with the process itself: this message may be why.
    if usize::try_from(message.number).unwrap_or_default() > backoff::ATTEMPTS {
        return Outcome::Refused("given up: the last attempt never ended; the message may have been sent".to_owned());
    }
    if message.is_settled_review() {
        return Outcome::Refused("superseded: the order is no longer in review".to_owned());
    }
    match letter::compose(&post.templates, &post.shop, message) {
        Ok(letter) => post.mailer.send(message.id, &letter).await,
        // Nothing that the other side said: a person or a later event can still put it right.
        Err(error) => Outcome::Retry(format!("{error:#}")),
    }
}
