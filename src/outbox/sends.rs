//! The deliveries under way: what was claimed, a task each, and how each ended.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::task::{JoinError, JoinSet};
use uuid::Uuid;

use super::deliver::{Outcome, with_connection};
use super::store::{self, Attempt, Claimed, Room, Then};
use super::{Outbox, Post, backoff};
use crate::db::DbPool as Pool;

/// The deliveries under way.
#[derive(Default)]
pub(super) struct Sends {
    tasks: JoinSet<Attempt>,
    /// What each task delivers: for the case that it panics, and to know who is busy.
    of: HashMap<tokio::task::Id, Started>,
}

/// What is needed to write down how an attempt ended.
#[derive(Clone)]
struct Started {
    message_id: Uuid,
    key: String,
    token: Uuid,
    destination: String,
    kind: String,
    number: i32,
    /// Attempts that count towards the last one.
    tried: i32,
    /// The claim, by the database's clock and by ours: attempts are dated by the former.
    claimed_at: DateTime<Utc>,
    claimed: Instant,
}

impl Sends {
    /// Claims what there is room for, and starts to deliver it.
    pub async fn claim(&mut self, outbox: &Outbox) -> anyhow::Result<usize> {
        let total = outbox.total.saturating_sub(i32::try_from(self.tasks.len()).unwrap_or(i32::MAX));
        if total <= 0 {
            return Ok(0);
        }
        let busy = self.busy();
        let (token, lease, mails, others) = (Uuid::now_v7(), outbox.lease, outbox.batch, Outbox::PER_DESTINATION);
        let claimed = with_connection(&outbox.pool, move |conn| {
            store::claim(conn, token, &Room { busy: &busy, mails, others, total }, lease)
        });
        let claimed = claimed.await.context("claiming messages")?;
        let handled = claimed.len();
        for message in claimed {
            self.start(&outbox.post, &outbox.pool, token, message);
        }
        Ok(handled)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    fn busy(&self) -> Vec<(String, i32)> {
        let mut busy: BTreeMap<&str, i32> = BTreeMap::new();
        self.of.values().for_each(|started| *busy.entry(&started.destination).or_default() += 1);
        busy.into_iter().map(|(id, count)| (id.to_owned(), count)).collect()
    }

    fn start(&mut self, post: &Arc<Post>, pool: &Pool, token: Uuid, message: Claimed) {
        let started = Started {
            message_id: message.id,
            key: message.dedupe_key.clone(),
            token,
            destination: message.destination.clone(),
            kind: message.kind.clone(),
            number: message.number,
            tried: message.number - message.given_up,
            claimed_at: message.since,
            claimed: Instant::now(),
        };
        let (post, pool, entry) = (Arc::clone(post), pool.clone(), started.clone());
        let task = self.tasks.spawn(async move {
            let begun = Instant::now();
            let outcome = deliver(&post, &pool, &message).await;
            entry.ended(begun, outcome)
        });
        self.of.insert(task.id(), started);
    }

    /// Waits for a delivery to end and takes it, with all others that have ended meanwhile. False: none is left.
    pub async fn collect(&mut self, ended: &mut Vec<Attempt>) -> bool {
        let Some(first) = self.tasks.join_next_with_id().await else { return false };
        ended.extend(self.attempt(first));
        while let Some(next) = self.tasks.try_join_next_with_id() {
            ended.extend(self.attempt(next));
        }
        true
    }

    fn attempt(&mut self, ended: Result<(tokio::task::Id, Attempt), JoinError>) -> Option<Attempt> {
        match ended {
            Ok((task, attempt)) => {
                self.of.remove(&task);
                Some(attempt)
            }
            Err(error) => {
                log::error!("a delivery panicked");
                let started = self.of.remove(&error.id())?;
                let begun = started.claimed;
                Some(started.ended(begun, Outcome::Unready("the delivery panicked: this is a bug".to_owned())))
            }
        }
    }
}

impl Started {
    fn ended(self, begun: Instant, ended: Outcome) -> Attempt {
        let tried = usize::try_from(self.tried).unwrap_or_default();
        let later = |pause: Option<Duration>| match backoff::delay(tried, rand::random()) {
            Some(delay) => Then::Again { after: delay.max(pause.unwrap_or_default()) },
            None => Then::Dead,
        };
        let (outcome, answer, then) = match &ended {
            Outcome::Sent(answer) => ("sent", answer, Then::Sent),
            Outcome::Refused(answer) | Outcome::Over(answer) => ("refused", answer, Then::Dead),
            Outcome::Retry { answer, pause } => ("retry", answer, later(*pause)),
            Outcome::Unready(answer) => ("retry", answer, later(None)),
            // Its destination is disabled with it: the message goes out once a person has resumed that.
            Outcome::Stopped(answer) => ("refused", answer, Then::Again { after: Duration::ZERO }),
        };
        let since_claim = TimeDelta::from_std(begun.duration_since(self.claimed)).unwrap_or_default();
        Attempt {
            message_id: self.message_id,
            key: self.key,
            token: self.token,
            destination: self.destination,
            kind: self.kind,
            number: self.number,
            started_at: self.claimed_at + since_claim,
            duration_ms: milliseconds(begun.elapsed()),
            outcome,
            answer: answer.clone(),
            then,
            ended,
        }
    }
}

fn milliseconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

async fn deliver(post: &Post, pool: &Pool, message: &Claimed) -> Outcome {
    // Each of the attempts before ended with the process itself: this message may be why.
    if usize::try_from(message.number - message.given_up).unwrap_or_default() > backoff::ATTEMPTS {
        return Outcome::Refused("given up: the last attempt never ended; the message may have been sent".to_owned());
    }
    match post.send(pool, message).await {
        Ok(outcome) => outcome,
        // Nothing that the other side said: a person or a later event can still put it right.
        Err(error) => Outcome::Unready(format!("{error:#}")),
    }
}
