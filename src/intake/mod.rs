//! The writer: one batch, one commit, then the answers.
//!
//! Whoever has an event (`http` a verified one, `sync` one of Stripe's own telling) submits it and waits for its answer. A
//! batch is all that waits: it is stored, its orders are brought up to date, their messages are queued, all that is
//! committed, and only then each is answered. While one batch is written, the next is collected and worked out (`desk.rs`,
//! `heart.rs`). There is no other way into the inbox.
//!
//! Invariants: an event is answered as stored only after its commit; the queue is bounded; what cannot be written now
//! is answered [`Answer::Unavailable`], never dropped silently. A statement that hangs is ended by its connection's
//! deadline (`db`); a writer that is stuck all the same is abandoned by the watchdog and replaced, with a connection of
//! its own.

mod batch;
mod budget;
mod desk;
#[cfg(test)]
mod desk_schedules;
#[cfg(test)]
mod desk_tests;
mod heart;
mod quick;
pub mod rules;
mod sorted;
mod writer;

use crate::inbox::{NewEvent, State};
use crate::orders::{Facts, Incoming, Scope, Settings};
use crate::outbox::NewNotice;
use diesel::pg::PgConnection;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use desk::Desk;
use heart::Heart;

/// Where threads wait for each other at the desk; `desk_schedules.rs` has locks of its own.
mod locks {
    pub(super) use std::sync::{Condvar, Mutex, MutexGuard};
}

pub use budget::{Budget, Permit};
pub use rules::{Rules, Verdict};
pub use writer::Writer;

/// Facts of an order that the writer still merges by itself, in bytes: some hundreds of objects.
const LARGEST: i32 = 128 << 10;
/// Events that may wait for the writer; their bytes are bounded by [`Budget`].
const QUEUE: usize = 4096;
/// Between two looks for room.
const PAUSE: Duration = Duration::from_millis(50);

/// A verified event, and what it says of an order.
#[derive(Debug)]
pub struct Submission {
    /// To be stored.
    pub event: NewEvent,
    /// To be merged into its order; `None` where it is ignored, quarantined or left to the workers.
    pub incoming: Option<Incoming>,
    /// What it tells by itself, without an order.
    pub notices: Vec<NewNotice>,
    /// The room that its bytes take.
    pub permit: Permit,
}

impl Submission {
    /// An event with what it says of an order, if anything. What the writer needs of it is worked out here, by whoever has it:
    /// all wait for the writer.
    pub fn new(event: NewEvent, facts: Option<Facts>, permit: Permit) -> Self {
        let scope = || Scope::new(&event.account, event.livemode);
        let incoming = facts.map(|facts| Incoming::new(scope(), facts));
        Self { event, incoming, notices: Vec::new(), permit }
    }

    /// It can go the quick way: nothing is left over of it, it tells nothing by itself and names no snapshot.
    fn is_plain(&self) -> bool {
        self.event.state != State::Pending && self.event.snapshot_event.is_none() && self.notices.is_empty()
    }
}

/// What became of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Stored, and committed.
    Accepted,
    /// It had been stored before.
    Duplicate,
    /// Not stored; try again.
    Unavailable,
}

struct Job {
    submission: Box<Submission>,
    /// The submission goes back with the answer: who has made it frees it, which costs less than to free what another thread
    /// has made.
    reply: oneshot::Sender<(Answer, Box<Submission>)>,
}

impl Job {
    fn new(submission: Submission) -> (Self, Awaited) {
        let (reply, answer) = oneshot::channel();
        (Self { submission: Box::new(submission), reply }, Awaited(answer))
    }

    fn answer(self, answer: Answer) {
        // Whoever hung up meanwhile does not hear it; what is stored is stored all the same.
        let _ = self.reply.send((answer, self.submission));
    }
}

/// An answer that is to come, once the batch is committed. An error where it never will: the writer is gone.
#[derive(Debug)]
pub struct Awaited(oneshot::Receiver<(Answer, Box<Submission>)>);

/// Nobody is there to answer any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the writer is gone")]
pub struct Gone;

impl Awaited {
    /// Waits for it on a thread that may block.
    ///
    /// # Errors
    /// [`Gone`].
    pub fn blocking_recv(self) -> Result<Answer, Gone> {
        self.0.blocking_recv().map(|(answer, _)| answer).map_err(|_| Gone)
    }

    /// The answer, if it has come: once the writer was stopped, none comes any more.
    ///
    /// # Errors
    /// [`Gone`], also where it has not come.
    pub fn now(mut self) -> Result<Answer, Gone> {
        self.0.try_recv().map(|(answer, _)| answer).map_err(|_| Gone)
    }
}

impl Future for Awaited {
    type Output = Result<Answer, Gone>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|answer| answer.map(|(answer, _)| answer).map_err(|_| Gone))
    }
}

/// What a batch is written with.
struct Pen<'a> {
    conn: &'a mut PgConnection,
    /// What is known of what lies behind it.
    heart: &'a Mutex<Heart>,
    settings: &'a Settings,
}

/// The queue has no room.
#[derive(Debug, thiserror::Error)]
#[error("the ingest queue is full")]
pub struct Full;

/// The way in.
#[derive(Clone)]
pub struct Intake {
    desk: Arc<Desk>,
}

impl Intake {
    /// A way in, and the writer that empties it. `wake` is called after a commit that left work to the workers.
    ///
    /// # Errors
    /// Where a thread cannot be started.
    pub fn new(
        database_url: &str,
        settings: Settings,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> io::Result<(Self, Writer)> {
        let settings = Settings { largest: Some(LARGEST), ..settings };
        let desk = Arc::new(Desk::new(QUEUE));
        let intake = Self { desk: Arc::clone(&desk) };
        Ok((intake, Writer::start(database_url, settings, desk, Arc::new(wake))?))
    }

    /// Hands `submission` to the writer. The answer comes when its batch is committed; a caller that stops waiting
    /// before its job was taken takes it back.
    pub fn submit(&self, submission: Submission) -> Result<Awaited, Full> {
        let (job, answer) = Job::new(submission);
        self.desk.submit(job).map(|()| answer).map_err(|_| Full)
    }

    /// The same for whoever can wait: for a place in the queue, until `deadline`.
    pub async fn submit_by(&self, submission: Submission, deadline: Instant) -> Result<Awaited, Full> {
        let (mut job, answer) = Job::new(submission);
        while let Err(refused) = self.desk.submit(job) {
            if Instant::now() >= deadline {
                return Err(Full);
            }
            job = refused;
            sleep(PAUSE).await;
        }
        Ok(answer)
    }

    /// How many writers are left behind in the database.
    pub fn abandoned(&self) -> usize {
        self.desk.abandoned()
    }

    /// No writer gets on: as many as there may be are left behind, or none is there any more.
    pub fn is_stuck(&self) -> bool {
        self.abandoned() >= writer::MAX_ABANDONED || self.desk.is_closed()
    }

    /// How many submissions wait.
    pub fn depth(&self) -> usize {
        self.desk.depth()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    pub(super) fn submission() -> Submission {
        let event = NewEvent {
            source: "stripe",
            account: String::new(),
            event_id: "evt_1".to_owned(),
            livemode: false,
            event_type: String::new(),
            api_version: None,
            created: None,
            object_id: None,
            snapshot_event: None,
            state: State::Processed,
            reason: None,
            received_at: chrono::Utc::now(),
            body: Vec::new(),
            to_fetch: false,
        };
        Submission::new(event, None, Budget::new(0).reserve(0).unwrap())
    }

    #[tokio::test]
    async fn whoever_can_wait_gets_the_next_place() {
        let desk = Arc::new(Desk::new(1));
        let intake = Intake { desk: Arc::clone(&desk) };
        let first = intake.submit(submission());
        assert!(first.is_ok() && intake.submit(submission()).is_err());
        assert!(intake.submit_by(submission(), Instant::now()).await.is_err());
        let later = Instant::now() + Duration::from_secs(60);
        // The first is polled first, and finds no place.
        let (waited, taken) = tokio::join!(intake.submit_by(submission(), later), async { desk.next(|_| ()) });
        assert!(waited.is_ok() && taken.is_some_and(|(draft, _)| draft.jobs.len() == 1));
        assert_eq!(intake.depth(), 1);
    }
}
