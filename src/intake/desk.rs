//! What waits to be written, and whose turn it is.
//!
//! Two writers share one connection. While one of them writes, the other collects what comes, and works it out meanwhile
//! (`heart.rs`); when the connection is free, it takes it together with all that has come, and the first collects. A
//! writer is woken only where it has something to do: for each event alone that would cost more than the work.
//!
//! While one has the connection, at most one other sleeps: so a call reaches whom it is meant for. The watchdog looks after
//! whoever has the connection alone: what is worked out waits for nobody, and comes to an end by itself.

use super::heart::{SharedHeart, Worked};
use super::locks::{Condvar, Mutex, MutexGuard};
use super::{Answer, Job};
use diesel::pg::PgConnection;
use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// A batch takes at most this many events…
pub(super) const MAX_EVENTS: usize = 256;
/// …and stops growing at this many bytes.
pub(super) const MAX_BYTES: usize = 512 << 10;

/// A batch in the making.
pub(super) struct Draft {
    /// In the sequence in which they came.
    pub jobs: Vec<Job>,
    /// What the first of them come to, by this heart.
    pub worked: Worked,
    /// What is known of what lies behind the connection.
    pub heart: SharedHeart,
    bytes: usize,
}

impl Draft {
    fn of(heart: &SharedHeart) -> Self {
        Self { jobs: Vec::new(), worked: Worked::default(), heart: Arc::clone(heart), bytes: 0 }
    }

    fn is_full(&self) -> bool {
        self.jobs.len() >= MAX_EVENTS || self.bytes >= MAX_BYTES
    }

    fn push(&mut self, job: Job) {
        self.bytes += job.submission.event.body.len();
        self.jobs.push(job);
    }

    /// What was worked out by another heart counts no more.
    fn rely_on(&mut self, heart: &SharedHeart) {
        if !Arc::ptr_eq(&self.heart, heart) {
            (self.heart, self.worked) = (Arc::clone(heart), Worked::default());
        }
    }
}

/// The right to write, until it is given back.
pub(super) struct Turn {
    number: u64,
    /// None where a new one is to be made.
    pub conn: Option<PgConnection>,
}

/// The queue and the connection.
pub(super) struct Desk {
    state: Mutex<State>,
    call: Condvar,
    end: Condvar,
}

struct State {
    jobs: VecDeque<Job>,
    /// How many may wait.
    most: usize,
    is_closed: bool,
    line: Line,
    /// What is known of what lies behind the connection: a new connection has a new heart, since it may be to another
    /// server.
    heart: SharedHeart,
    /// Of the last turn; whoever has an earlier one was given up.
    turn: u64,
    collecting: Collecting,
    /// Whoever is to look at what waits is awake, or has been called, and looks before sleeping.
    is_awake: bool,
    /// How many there are, without those that were given up.
    writers: usize,
    /// How many were given up and have not come back.
    abandoned: usize,
}

/// Who may use the connection.
enum Line {
    Free(Option<PgConnection>),
    Taken { since: Instant, events: usize },
}

#[derive(PartialEq, Eq)]
enum Collecting {
    Nobody,
    Somebody,
    /// Somebody who has as much as a batch may have, and waits for the connection alone.
    Full,
}

impl State {
    /// Enough waits for a writer to be called.
    fn has_enough(&self) -> bool {
        match (&self.collecting, &self.line) {
            (Collecting::Full, _) => false,
            (_, Line::Free(_)) => !self.jobs.is_empty(),
            // A few at a time: what is worked out in many pieces costs more than in two.
            (_, Line::Taken { events, .. }) => self.jobs.len() >= (events / 2).max(1),
        }
    }

    fn fill(&mut self, draft: &mut Draft) {
        while !draft.is_full() {
            let Some(job) = self.jobs.pop_front() else { return };
            // Who has stopped waiting has been answered 503 already, or has hung up: its sender tries again.
            if !job.reply.is_closed() {
                draft.push(job);
            }
        }
    }

    /// Takes the connection for `draft`, where it is free.
    fn take(&mut self, draft: &Draft) -> Option<Turn> {
        let Line::Free(conn) = &mut self.line else { return None };
        let conn = conn.take();
        self.line = Line::Taken { since: Instant::now(), events: draft.jobs.len() };
        self.turn += 1;
        Some(Turn { number: self.turn, conn })
    }
}

impl Desk {
    /// Room for `most` submissions that wait.
    pub fn new(most: usize) -> Self {
        let state = State {
            jobs: VecDeque::new(),
            most,
            is_closed: false,
            line: Line::Free(None),
            heart: Arc::default(),
            turn: 0,
            collecting: Collecting::Nobody,
            is_awake: false,
            writers: 0,
            abandoned: 0,
        };
        Self { state: Mutex::new(state), call: Condvar::new(), end: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call(&self, state: &mut State) {
        if !state.is_awake {
            state.is_awake = true;
            self.call.notify_one();
        }
    }

    fn sleep<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.call.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what waits; gives it back where there is no room, or nobody will come for it.
    pub fn submit(&self, job: Job) -> Result<(), Job> {
        let mut state = self.lock();
        if state.is_closed || state.jobs.len() >= state.most {
            return Err(job);
        }
        state.jobs.push_back(job);
        if state.has_enough() {
            self.call(&mut state);
        }
        Ok(())
    }

    /// How many wait.
    pub fn depth(&self) -> usize {
        self.lock().jobs.len()
    }

    /// Collects the next batch, and takes the connection for it. `work_out` is called with what has come: while the
    /// connection is another's, and with the rest before anybody else collects. None once nothing more can come.
    pub fn next(&self, mut work_out: impl FnMut(&mut Draft)) -> Option<(Draft, Turn)> {
        let mut state = self.lock();
        loop {
            while state.collecting != Collecting::Nobody || !state.has_enough() {
                if state.is_closed && state.jobs.is_empty() {
                    self.call.notify_all();
                    return None;
                }
                if state.collecting == Collecting::Nobody {
                    state.is_awake = false;
                }
                state = self.sleep(state);
            }
            let (then, collected) = self.collect(state, &mut work_out);
            state = then;
            (state.collecting, state.is_awake) = (Collecting::Nobody, false);
            if state.has_enough() {
                self.call(&mut state);
            }
            if collected.is_some() {
                return collected;
            }
        }
    }

    /// None where all that waited has hung up.
    fn collect<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        work_out: &mut impl FnMut(&mut Draft),
    ) -> (MutexGuard<'a, State>, Option<(Draft, Turn)>) {
        state.is_awake = true;
        let mut draft = Draft::of(&state.heart);
        loop {
            let is_more = state.has_enough();
            if is_more {
                state.fill(&mut draft);
            }
            if draft.jobs.is_empty() {
                return (state, None);
            }
            state.collecting = if draft.is_full() { Collecting::Full } else { Collecting::Somebody };
            if let Some(turn) = state.take(&draft) {
                // Nobody else collects before: a batch is worked out from what all before it leave behind.
                return (self.aside(state, &mut draft, work_out), Some((draft, turn)));
            }
            if is_more {
                state = self.aside(state, &mut draft, work_out);
            } else {
                state.is_awake = false;
                state = self.sleep(state);
                state.is_awake = true;
            }
        }
    }

    /// Has `draft` worked out, while others go on.
    fn aside<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        draft: &mut Draft,
        work_out: &mut impl FnMut(&mut Draft),
    ) -> MutexGuard<'a, State> {
        draft.rely_on(&state.heart);
        drop(state);
        work_out(draft);
        self.lock()
    }

    /// Ends a turn. False where it was given up before: its writer was replaced.
    pub fn release(&self, turn: Turn) -> bool {
        let mut state = self.lock();
        let is_current = turn.number == state.turn;
        if is_current {
            self.free(&mut state, turn.conn);
        } else {
            state.abandoned -= 1;
        }
        is_current
    }

    fn free(&self, state: &mut State, conn: Option<PgConnection>) {
        if conn.is_none() {
            state.heart = Arc::default();
        }
        state.line = Line::Free(conn);
        if state.collecting != Collecting::Nobody || !state.jobs.is_empty() {
            self.call(state);
        }
    }

    /// Gives up a turn that takes longer than `patience`, unless `most` were given up already: the next one gets a
    /// connection of its own. Says whether it did; the writer is to be replaced.
    pub fn give_up(&self, patience: Duration, most: usize) -> bool {
        let mut state = self.lock();
        let is_stuck = matches!(state.line, Line::Taken { since, .. } if since.elapsed() > patience);
        if !is_stuck || state.abandoned >= most {
            return false;
        }
        (state.turn, state.abandoned) = (state.turn + 1, state.abandoned + 1);
        self.free(&mut state, None);
        true
    }

    /// How many writers were given up and have not come back.
    pub fn abandoned(&self) -> usize {
        self.lock().abandoned
    }

    /// A writer begins.
    pub fn enter(&self) {
        self.lock().writers += 1;
    }

    /// A writer has ended, or was given up. After the last one nothing more is taken, and what waits can't be written.
    pub fn leave(&self) {
        let mut state = self.lock();
        state.writers -= 1;
        if state.writers == 0 {
            state.is_closed = true;
            for job in state.jobs.drain(..) {
                job.answer(Answer::Unavailable);
            }
            self.end.notify_all();
        }
    }

    /// Nothing more is taken; writers end when they have written what waits.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.call.notify_all();
    }

    /// Nothing more is taken.
    pub fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    /// Waits for the last writer to end, no longer than `patience`; says whether it has.
    pub fn has_ended(&self, patience: Duration) -> bool {
        let waited = self.end.wait_timeout_while(self.lock(), patience, |state| state.writers > 0);
        waited.unwrap_or_else(PoisonError::into_inner).0.writers == 0
    }
}
