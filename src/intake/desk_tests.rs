//! Whose turn it is, step by step, and once with the system's own threads; `desk_schedules.rs` chooses who goes on.

#![allow(clippy::unwrap_used)]
use super::desk::{Desk, MAX_EVENTS, Turn};
use super::tests::submission;
use super::{Answer, Awaited, Job};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

fn submit(desk: &Desk) -> Awaited {
    let (job, answer) = Job::new(submission());
    desk.submit(job).ok().unwrap();
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
        assert_eq!(works.recv().unwrap(), 3, "the rest, before anybody else collects");
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
        assert_eq!((draft.jobs.len(), works.iter().count()), (MAX_EVENTS, 1), "once more with the connection");
    });
}

#[test]
fn a_turn_that_was_given_up_is_over() {
    let desk = Desk::new(10);
    let _first = submit(&desk);
    let (_, stuck) = next(&desk);
    assert!(!desk.give_up(Duration::from_secs(60), 1) && !desk.give_up(Duration::ZERO, 0));
    assert!(desk.give_up(Duration::ZERO, 1) && !desk.give_up(Duration::ZERO, 2), "the connection is free now");
    let _second = submit(&desk);
    let (_, turn) = next(&desk);
    assert!(!desk.give_up(Duration::ZERO, 1), "too many are stuck already");
    assert_eq!(desk.abandoned(), 1);
    assert!(!desk.release(stuck) && desk.release(turn));
    assert_eq!(desk.abandoned(), 0);
}

#[test]
fn nothing_is_taken_that_nobody_comes_for() {
    let desk = Desk::new(1);
    let _answer = submit(&desk);
    let job = || Job::new(submission()).0;
    assert!(desk.submit(job()).is_err(), "full");
    let _turn = next(&desk);
    desk.close();
    assert!(desk.submit(job()).is_err(), "closed");
}

#[test]
fn a_new_connection_has_a_new_heart_and_what_the_old_one_knew_counts_no_more() {
    let desk = Desk::new(10);
    let _first = submit(&desk);
    let (first, turn) = desk.next(|_| ()).unwrap();
    let (begun, begins) = channel();
    thread::scope(|threads| {
        let second = threads.spawn(|| desk.next(|draft| begun.send(Arc::clone(&draft.heart)).unwrap()).unwrap());
        let _second = submit(&desk);
        assert!(Arc::ptr_eq(&begins.recv().unwrap(), &first.heart));
        assert!(desk.give_up(Duration::ZERO, 1));
        let (draft, _turn) = second.join().unwrap();
        assert!(!Arc::ptr_eq(&draft.heart, &first.heart) && Arc::ptr_eq(&begins.recv().unwrap(), &draft.heart));
    });
    assert!(!desk.release(turn));
}

#[test]
fn the_last_writer_ends_it() {
    let desk = Desk::new(1);
    desk.enter();
    desk.enter();
    desk.leave();
    assert!(!desk.has_ended(Duration::ZERO) && !desk.is_closed());
    let answer = submit(&desk);
    desk.leave();
    assert_eq!(answer.blocking_recv(), Ok(Answer::Unavailable), "nobody comes for it");
    assert!(desk.has_ended(Duration::from_secs(60)) && desk.is_closed());
}

#[test]
fn who_sleeps_while_it_ends_is_called() {
    let desk = Desk::new(10);
    let _first = submit(&desk);
    let (_, turn) = next(&desk);
    let _rest = submit(&desk);
    desk.close();
    thread::scope(|threads| {
        // One takes the rest, and the other finds nothing more.
        let ended =
            [0; 2].map(|_| threads.spawn(|| while desk.next(|_| ()).is_some_and(|(_, turn)| desk.release(turn)) {}));
        assert!(desk.release(turn));
        for thread in ended {
            thread.join().unwrap();
        }
    });
    assert_eq!(desk.depth(), 0);
}
/// A writer, until it is given up or nothing more comes.
fn write_on(desk: &Desk) {
    while let Some((draft, turn)) = desk.next(|_| ()) {
        let is_current = desk.release(turn);
        for job in draft.jobs {
            job.answer(Answer::Accepted);
        }
        if !is_current {
            return;
        }
    }
    desk.leave();
}

/// However threads take turns: each submission is answered, and all come to an end.
#[test]
fn nothing_is_forgotten_whoever_is_given_up() {
    const EACH: usize = 5_000;
    let desk = Desk::new(10);
    thread::scope(|threads| {
        let write = || {
            desk.enter();
            threads.spawn(|| write_on(&desk));
        };
        (0..2).for_each(|_| write());
        let senders = [0; 4].map(|_| {
            threads.spawn(|| {
                (0..EACH).for_each(|_| assert_eq!(submit(&desk).blocking_recv(), Ok(Answer::Accepted)));
            })
        });
        while !senders.iter().all(thread::ScopedJoinHandle::is_finished) {
            if desk.give_up(Duration::from_micros(1), 3) {
                write();
                desk.leave();
            }
            thread::yield_now();
        }
        desk.close();
    });
    assert!(desk.has_ended(Duration::ZERO));
    assert_eq!((desk.depth(), desk.abandoned()), (0, 0));
}
