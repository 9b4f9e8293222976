//! The deliveries under way: what was claimed, a task each, and how each ended.
//!
//! A mail waits for one of a few turns, so that the server sees few connections. So many are claimed that the turns are
//! never idle, and no more than the server takes in about a second: the rest is better off in the table, where other
//! workers find it, too.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use uuid::Uuid;

use super::deliver::Outcome;
use super::store::{self, Attempt, Claimed, Room, Then};
use super::{MAIL, MessageKind, Outbox, Post, backoff};
use crate::db::{DbPool as Pool, with_connection};

/// The deliveries under way.
pub(super) struct Sends {
    tasks: JoinSet<Attempt>,
    /// What each task delivers: for the case that it panics, and to know who is busy.
    of: HashMap<tokio::task::Id, Started>,
    /// One for each mail that is sent at the same time. Closed: no more are sent.
    turns: Arc<Semaphore>,
    pace: Pace,
    /// The last claim filled a destination's room: there may be more for it.
    is_full: bool,
}

/// How fast mails go out.
struct Pace {
    since: Instant,
    ended: u32,
}

impl Pace {
    /// As many as went out in a second, as it was since the last call.
    fn in_a_second(&mut self) -> i32 {
        let passed = self.since.elapsed().as_secs_f64().max(0.001);
        let ended = f64::from(std::mem::take(&mut self.ended));
        self.since = Instant::now();
        #[allow(clippy::cast_possible_truncation, reason = "a cast to an integer stops at its bounds")]
        let pace = (ended / passed).ceil() as i32;
        pace
    }
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
    due_at: DateTime<Utc>,
    /// The claim, by the database's clock and by ours: attempts are dated by the former.
    claimed_at: DateTime<Utc>,
    claimed: Instant,
}

impl Sends {
    /// None yet.
    pub fn new(outbox: &Outbox) -> Self {
        Self {
            tasks: JoinSet::new(),
            of: HashMap::new(),
            turns: Arc::new(Semaphore::new(usize::try_from(outbox.batch).unwrap_or(1))),
            pace: Pace { since: Instant::now(), ended: 0 },
            is_full: false,
        }
    }

    /// Claims what there is room for, and starts to deliver it.
    pub async fn claim(&mut self, outbox: &Outbox) -> anyhow::Result<usize> {
        self.is_full = false;
        let limit = outbox.total.saturating_sub(self.tasks.len());
        if limit == 0 {
            self.is_full = true;
            return Ok(0);
        }
        let busy = self.busy();
        let mails = outbox.batch + self.pace.in_a_second().min(Outbox::AHEAD);
        let (token, lease, others) = (Uuid::now_v7(), outbox.lease, Outbox::PER_DESTINATION);
        let total = i32::try_from(limit)?;
        let claimed = with_connection(&outbox.pool, move |conn| {
            store::claim(conn, token, &Room { busy: &busy, mails, others, total }, lease)
        });
        let claimed = claimed.await.context("claiming messages")?;
        let handled = claimed.len();
        for message in claimed {
            self.start(&outbox.post, &outbox.pool, token, message);
        }
        let full = |(id, count): (String, i32)| count >= if id == MAIL { mails } else { others };
        self.is_full = handled == limit || self.busy().into_iter().any(full);
        Ok(handled)
    }

    /// Whether there may be more that was left for want of room.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// No mail's turn comes any more: those that wait go back.
    pub fn close(&self) {
        self.turns.close();
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
            due_at: message.due_at,
            claimed_at: message.since,
            claimed: Instant::now(),
        };
        let (post, pool, entry) = (Arc::clone(post), pool.clone(), started.clone());
        let turns = (started.kind == MessageKind::Email.name()).then(|| Arc::clone(&self.turns));
        let task = self.tasks.spawn(async move {
            let turn = match turns {
                None => None,
                Some(turns) => match timeout(Outbox::PATIENCE, turns.acquire_owned()).await {
                    Ok(Ok(turn)) => Some(turn),
                    Ok(Err(_)) | Err(_) => return entry.untried(),
                },
            };
            let begun = Instant::now();
            let outcome = deliver(&post, &pool, &message).await;
            drop(turn);
            entry.ended(begun, outcome)
        });
        self.of.insert(task.id(), started);
    }

    /// Waits for a delivery to end and takes it, with all others that have ended meanwhile. False: none is left.
    pub async fn collect(&mut self, ended: &mut Vec<Attempt>) -> bool {
        let Some(first) = self.tasks.join_next_with_id().await else { return false };
        ended.extend(self.attempt(first));
        self.collect_ended(ended);
        true
    }

    /// Takes those that have ended.
    pub fn collect_ended(&mut self, ended: &mut Vec<Attempt>) {
        while let Some(next) = self.tasks.try_join_next_with_id() {
            ended.extend(self.attempt(next));
        }
    }

    fn attempt(&mut self, ended: Result<(tokio::task::Id, Attempt), JoinError>) -> Option<Attempt> {
        match ended {
            Ok((task, attempt)) => {
                self.of.remove(&task);
                if attempt.destination == MAIL && attempt.then != Then::Back {
                    self.pace.ended += 1;
                }
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
    /// Its turn did not come.
    fn untried(self) -> Attempt {
        let begun = self.claimed;
        Attempt { then: Then::Back, ..self.ended(begun, Outcome::Unready(String::new())) }
    }

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
            Outcome::ShopTrouble { answer, .. } => {
                let number = usize::try_from(self.number).unwrap_or_default();
                ("retry", answer, Then::Again { after: backoff::delay_without_end(number, rand::random()) })
            }
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
            due_at: self.due_at,
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
