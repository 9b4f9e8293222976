//! What waits to be written, and whose turn it is.
//!
//! Two writers share one connection. While one of them writes, the other collects what comes, and works it out meanwhile
//! (`heart.rs`); when the connection is free, it takes it together with all that has come, and the first collects. A
//! writer is woken only where it has something to do: for each event alone that would cost more than the work.

use super::Job;
use super::heart::Worked;
use diesel::pg::PgConnection;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A batch takes at most this many events…
const MAX_EVENTS: usize = 512;
/// …and stops growing at this many bytes.
const MAX_BYTES: usize = 512 << 10;

/// A batch in the making.
#[derive(Default)]
pub(super) struct Draft {
    /// In the sequence in which they came.
    pub jobs: Vec<Job>,
    /// What the first of them come to.
    pub worked: Worked,
    bytes: usize,
}

impl Draft {
    fn is_full(&self) -> bool {
        self.jobs.len() >= MAX_EVENTS || self.bytes >= MAX_BYTES
    }

    fn push(&mut self, job: Job) {
        self.bytes += job.submission.event.body.len();
        self.jobs.push(job);
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
    /// Of the last turn; whoever has an earlier one was given up.
    turn: u64,
    collecting: Collecting,
    /// Somebody is awake, or has been called, and looks at what waits before sleeping.
    is_attentive: bool,
    /// How many there are, without those that were given up.
    writers: usize,
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
    Enough,
}

impl State {
    /// How many have to wait for a writer to be called.
    fn wanted(&self) -> usize {
        match (&self.line, &self.collecting) {
            (_, Collecting::Enough) => usize::MAX,
            (Line::Free(_), _) => 1,
            // A few at a time: what is worked out in many pieces costs more than in two.
            (Line::Taken { events, .. }, _) => (events / 2).max(1),
        }
    }

    fn has_enough(&self) -> bool {
        self.jobs.len() >= self.wanted()
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
    fn take(&mut self, draft: &mut Draft) -> Option<Turn> {
        if !matches!(self.line, Line::Free(_)) {
            return None;
        }
        self.fill(draft);
        let taken = Line::Taken { since: Instant::now(), events: draft.jobs.len() };
        let Line::Free(conn) = std::mem::replace(&mut self.line, taken) else { return None };
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
            turn: 0,
            collecting: Collecting::Nobody,
            is_attentive: false,
            writers: 0,
        };
        Self { state: Mutex::new(state), call: Condvar::new(), end: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call(&self, state: &mut State) {
        if !state.is_attentive {
            state.is_attentive = true;
            self.call.notify_one();
        }
    }

    fn sleep<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.call.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what waits; gives it back where there is no room, or nobody will come for it.
    pub fn submit(&self, job: Job) -> Result<(), Box<Job>> {
        let mut state = self.lock();
        if state.is_closed || state.jobs.len() >= state.most {
            return Err(Box::new(job));
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

    /// Collects the next batch, and takes the connection for it. `work_out` is called with what has come while the
    /// connection is another's. None once nothing more can come.
    pub fn next(&self, mut work_out: impl FnMut(&mut Draft)) -> Option<(Draft, Turn)> {
        let mut state = self.lock();
        loop {
            while state.collecting != Collecting::Nobody || !state.has_enough() {
                if state.is_closed && state.jobs.is_empty() {
                    return None;
                }
                if state.collecting == Collecting::Nobody {
                    state.is_attentive = false;
                }
                state = self.sleep(state);
            }
            let (then, collected) = self.collect(state, &mut work_out);
            if collected.is_some() {
                return collected;
            }
            state = then;
        }
    }

    /// None where all that waited has hung up.
    fn collect<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        work_out: &mut impl FnMut(&mut Draft),
    ) -> (MutexGuard<'a, State>, Option<(Draft, Turn)>) {
        (state.collecting, state.is_attentive) = (Collecting::Somebody, true);
        let mut draft = Draft::default();
        let turn = loop {
            if state.has_enough() {
                state.fill(&mut draft);
                if draft.jobs.is_empty() {
                    break None;
                }
                state.collecting = if draft.is_full() { Collecting::Enough } else { Collecting::Somebody };
                if matches!(state.line, Line::Taken { .. }) {
                    drop(state);
                    work_out(&mut draft);
                    state = self.lock();
                    continue;
                }
            }
            if let Some(turn) = state.take(&mut draft) {
                break Some(turn);
            }
            state.is_attentive = false;
            state = self.sleep(state);
            state.is_attentive = true;
        };
        (state.collecting, state.is_attentive) = (Collecting::Nobody, false);
        if state.has_enough() {
            self.call(&mut state);
        }
        (state, turn.map(|turn| (draft, turn)))
    }

    /// Ends a turn. False where it was given up before: its writer was replaced.
    pub fn release(&self, turn: Turn) -> bool {
        let mut state = self.lock();
        let is_current = turn.number == state.turn;
        if is_current {
            self.free(&mut state, turn.conn);
        }
        is_current
    }

    fn free(&self, state: &mut State, conn: Option<PgConnection>) {
        state.line = Line::Free(conn);
        if state.collecting != Collecting::Nobody || !state.jobs.is_empty() {
            self.call(state);
        }
    }

    /// Gives up a turn that takes longer than `patience`: the next one gets a connection of its own. Says whether it did.
    pub fn give_up(&self, patience: Duration) -> bool {
        let mut state = self.lock();
        let is_stuck = matches!(state.line, Line::Taken { since, .. } if since.elapsed() > patience);
        if is_stuck {
            state.turn += 1;
            self.free(&mut state, None);
        }
        is_stuck
    }

    /// Another writer is about to start, or one has ended.
    pub fn count_writers(&self, change: isize) {
        let mut state = self.lock();
        state.writers = state.writers.saturating_add_signed(change);
        if state.writers == 0 {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::tests::submission;
    use super::*;
    use crate::intake::Answer;
    use std::sync::mpsc::channel;
    use std::thread;
    use tokio::sync::oneshot;

    fn submit(desk: &Desk) -> oneshot::Receiver<Answer> {
        let (reply, answer) = oneshot::channel();
        desk.submit(Job { submission: submission(), reply }).ok().unwrap();
        answer
    }

    fn next(desk: &Desk) -> (usize, Turn) {
        let (draft, turn) = desk.next(|_| ()).unwrap();
        (draft.jobs.len(), turn)
    }

    #[test]
    fn all_that_waits_is_one_batch() {
        let desk = Desk::new(10);
        let _answers = [submit(&desk), submit(&desk), submit(&desk)];
        let (events, turn) = next(&desk);
        assert_eq!((events, desk.depth()), (3, 0));
        assert!(desk.release(turn));
        desk.close();
        assert!(desk.next(|_| ()).is_none());
    }

    #[test]
    fn what_comes_while_another_writes_is_worked_out_meanwhile_and_written_after() {
        let desk = Desk::new(10);
        let _answers = [submit(&desk), submit(&desk), submit(&desk), submit(&desk)];
        let (_, turn) = next(&desk);
        let (worked, works) = channel();
        thread::scope(|threads| {
            let second = threads.spawn(|| desk.next(|draft| worked.send(draft.jobs.len()).unwrap()).unwrap());
            let _more = [submit(&desk), submit(&desk)];
            assert_eq!(works.recv().unwrap(), 2, "half as many as are being written");
            let _last = submit(&desk);
            assert!(desk.release(turn));
            let (draft, _turn) = second.join().unwrap();
            assert_eq!((draft.jobs.len(), desk.depth()), (3, 0));
        });
    }

    #[test]
    fn who_has_hung_up_is_left_out() {
        let desk = Desk::new(10);
        drop(submit(&desk));
        let _answer = submit(&desk);
        assert_eq!(next(&desk).0, 1);
        drop(submit(&desk));
        desk.close();
        assert!(desk.next(|_| ()).is_none());
    }

    #[test]
    fn a_batch_has_an_end() {
        let desk = Desk::new(2 * MAX_EVENTS);
        let _answers: Vec<_> = (0..=MAX_EVENTS).map(|_| submit(&desk)).collect();
        let (events, turn) = next(&desk);
        assert_eq!((events, desk.depth()), (MAX_EVENTS, 1));
        assert!(desk.release(turn));
        assert_eq!(next(&desk).0, 1);
    }

    #[test]
    fn who_has_enough_waits_for_the_connection_alone() {
        let desk = Desk::new(4 * MAX_EVENTS);
        let _first = submit(&desk);
        let (_, turn) = next(&desk);
        let _answers: Vec<_> = (0..3 * MAX_EVENTS).map(|_| submit(&desk)).collect();
        let (worked, works) = channel();
        thread::scope(|threads| {
            let second = threads.spawn(|| desk.next(move |draft| worked.send(draft.jobs.len()).unwrap()).unwrap());
            assert_eq!(works.recv().unwrap(), MAX_EVENTS);
            let _more = submit(&desk);
            assert!(desk.release(turn));
            let (draft, _turn) = second.join().unwrap();
            assert_eq!((draft.jobs.len(), works.iter().count()), (MAX_EVENTS, 0), "worked out once");
        });
    }

    #[test]
    fn a_turn_that_was_given_up_is_over() {
        let desk = Desk::new(10);
        let _first = submit(&desk);
        let (_, stuck) = next(&desk);
        assert!(!desk.give_up(Duration::from_secs(60)) && desk.give_up(Duration::ZERO));
        let _second = submit(&desk);
        let (_, turn) = next(&desk);
        assert!(!desk.release(stuck) && desk.release(turn));
    }

    #[test]
    fn nothing_is_taken_that_nobody_comes_for() {
        let desk = Desk::new(1);
        let _answer = submit(&desk);
        let job = || Job { submission: submission(), reply: oneshot::channel().0 };
        assert!(desk.submit(job()).is_err(), "full");
        let _turn = next(&desk);
        desk.close();
        assert!(desk.submit(job()).is_err(), "closed");
    }

    #[test]
    fn the_last_writer_ends_it() {
        let desk = Desk::new(1);
        desk.count_writers(1);
        desk.count_writers(1);
        desk.count_writers(-1);
        assert!(!desk.has_ended(Duration::ZERO));
        desk.count_writers(-1);
        assert!(desk.has_ended(Duration::from_secs(60)));
    }
}
