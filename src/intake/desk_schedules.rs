//! The desk, however threads take turns: Shuttle chooses at each lock who goes on, a few thousand times each test. A call that
//! reaches nobody shows as a deadlock.
//!
//! `desk.rs` is compiled once more here, with Shuttle's locks in place of the standard library's.

#![allow(clippy::unwrap_used)]
use super::tests::submission;
use super::{Answer, Awaited, Job, heart};
use shuttle::future::block_on;
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::thread::{self, JoinHandle};
use shuttle::{Config, Runner};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

mod locks {
    pub(super) use shuttle::sync::{Condvar, Mutex, MutexGuard};
}

#[allow(dead_code, clippy::duplicate_mod, reason = "the same desk, at other locks; not all of it is called here")]
#[path = "desk.rs"]
mod desk;

use desk::{Desk, Draft, MAX_BYTES};

/// So many schedules by chance, and as many that hold back single threads for long.
const SCHEDULES: usize = 2_000;
/// How often a thread is held back in one of those.
const HELD_BACK: usize = 3;
/// Of each thread, in bytes; Shuttle's own are too small for a build that is not optimised.
const STACK: usize = 512 << 10;

fn whatever_the_schedule(test: impl Fn() + Send + Sync + Clone + 'static) {
    let mut config = Config::new();
    config.stack_size = STACK;
    Runner::new(RandomScheduler::new(SCHEDULES), config.clone()).run(test.clone());
    Runner::new(PctScheduler::new(HELD_BACK, SCHEDULES), config).run(test);
}

/// A desk, and what is seen of the work at it.
struct Office {
    desk: Desk,
    is_working: AtomicBool,
    /// What was worked out: the first event of the batch, and how many it had then.
    worked: Mutex<Vec<(String, usize)>>,
    writers: Mutex<Vec<JoinHandle<()>>>,
}

impl Office {
    fn with_two_writers() -> Arc<Self> {
        let office = Arc::new(Self {
            desk: Desk::new(16),
            is_working: AtomicBool::new(false),
            worked: Mutex::default(),
            writers: Mutex::default(),
        });
        (0..2).for_each(|_| office.hire());
        office
    }

    fn hire(self: &Arc<Self>) {
        self.desk.enter();
        let office = Arc::clone(self);
        self.writers.lock().unwrap().push(thread::spawn(move || office.write_on()));
    }

    /// A writer, until it is given up or nothing more comes.
    fn write_on(&self) {
        while let Some((draft, turn)) = self.desk.next(|draft| self.work_out(draft)) {
            let batch = Self::batch(&draft);
            assert!(self.worked().contains(&batch), "{batch:?} is written before it is worked out whole");
            let is_current = self.desk.release(turn);
            draft.jobs.into_iter().for_each(|job| job.answer(Answer::Accepted));
            if !is_current {
                return;
            }
        }
        self.desk.leave();
    }

    /// Gives up whoever writes right now, and has another take the place.
    fn give_up(self: &Arc<Self>) {
        if self.desk.give_up(Duration::ZERO, 2) {
            self.hire();
            self.desk.leave();
        }
    }

    fn work_out(&self, draft: &Draft) {
        assert!(!self.is_working.swap(true, Ordering::SeqCst), "two work something out at once");
        thread::yield_now();
        self.worked().push(Self::batch(draft));
        self.is_working.store(false, Ordering::SeqCst);
    }

    fn worked(&self) -> std::sync::MutexGuard<'_, Vec<(String, usize)>> {
        self.worked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn batch(draft: &Draft) -> (String, usize) {
        (draft.jobs[0].submission.event.event_id.clone(), draft.jobs.len())
    }

    /// An answer to come; none where nothing more is taken.
    fn submit(&self, sender: usize, n: usize, bytes: usize) -> Option<Awaited> {
        let mut submission = submission();
        (submission.event.event_id, submission.event.body) = (format!("evt_{sender}_{n}"), vec![0; bytes]);
        let (job, answer) = Job::new(submission);
        self.desk.submit(job).is_ok().then_some(answer)
    }

    /// Somebody who sends events, as `how` says.
    fn sender(self: &Arc<Self>, how: impl FnOnce(&Self) + Send + 'static) -> JoinHandle<()> {
        let office = Arc::clone(self);
        thread::spawn(move || how(&office))
    }

    /// Sends one after the other, and waits for each answer.
    fn patient(self: &Arc<Self>, sender: usize, events: usize) -> JoinHandle<()> {
        self.sender(move |office| {
            for n in 0..events {
                assert_eq!(block_on(office.submit(sender, n, 0).unwrap()), Ok(Answer::Accepted));
            }
        })
    }

    /// Ends it: every writer does, and no batch was begun before the one before it was worked out.
    fn close(&self) {
        self.desk.close();
        // Shuttle knows no time: this waits for the last writer.
        assert!(self.desk.has_ended(Duration::ZERO));
        let writers = std::mem::take(&mut *self.writers.lock().unwrap());
        all(writers);
        assert_eq!((self.desk.depth(), self.desk.abandoned()), (0, 0));
        let worked = self.worked();
        let mut begun: Vec<&String> = worked.iter().map(|(first, _)| first).collect();
        begun.dedup();
        let batches = begun.len();
        begun.sort_unstable();
        begun.dedup();
        assert_eq!(begun.len(), batches, "batches were worked out in turns: {worked:?}");
    }
}

fn all(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn each_is_answered_and_all_come_to_an_end() {
    whatever_the_schedule(|| {
        let office = Office::with_two_writers();
        all([0, 1, 2].map(|sender| office.patient(sender, 2)));
        office.close();
    });
}

#[test]
fn nobody_is_forgotten_where_a_writer_is_given_up() {
    whatever_the_schedule(|| {
        let office = Office::with_two_writers();
        let senders = [0, 1].map(|sender| office.patient(sender, 2));
        for _ in 0..3 {
            office.give_up();
            thread::yield_now();
        }
        all(senders);
        office.close();
    });
}

#[test]
fn what_is_taken_while_it_ends_is_written() {
    whatever_the_schedule(|| {
        let office = Office::with_two_writers();
        let sender = |sender| {
            office.sender(move |office| {
                for n in 0..3 {
                    let Some(answer) = office.submit(sender, n, 0) else { return };
                    assert_eq!(block_on(answer), Ok(Answer::Accepted));
                }
            })
        };
        let senders = [0, 1].map(sender);
        office.close();
        all(senders);
    });
}

#[test]
fn who_hangs_up_is_in_nobodys_way() {
    whatever_the_schedule(|| {
        let office = Office::with_two_writers();
        let hasty = office.sender(|office| (0..3).for_each(|n| drop(office.submit(0, n, 0))));
        all([hasty, office.patient(1, 2), office.patient(2, 1)]);
        office.close();
    });
}

#[test]
fn batches_that_are_full_follow_each_other() {
    whatever_the_schedule(|| {
        let office = Office::with_two_writers();
        let sender = |sender| {
            office.sender(move |office| {
                let answers = [0, 1, 2].map(|n| office.submit(sender, n, MAX_BYTES).unwrap());
                for answer in answers {
                    assert_eq!(block_on(answer), Ok(Answer::Accepted));
                }
            })
        };
        all([0, 1].map(sender));
        office.close();
        assert!(office.worked().iter().all(|(_, events)| *events == 1));
    });
}
