//! One connection: what may be read of it, and how long it may take.
//!
//! actix-web reads ahead as fast as a client sends, and keeps each request that it has parsed (some 7 KB, whatever its
//! size) and each answer that the client does not take. Its own timer ends with the first head. So a client that
//! pipelines and never reads would cost memory without bound, and a core as long as it likes. Here, instead,
//!
//! - a turn, as each poll of a connection is called here, takes in at most one request (`blank_lines.rs`, `stream.rs`);
//! - while a request is handled nothing is read but its body, and while an answer waits for the client nothing at all.
//!   Otherwise actix-web would take the next request's body for that of the one which it answers, and close;
//! - a timer ends the connection, whatever state it is in (`serve.rs`). It runs from the first byte of a request to the
//!   first byte of its answer, from there until the client has taken the answer, and again until the next request. So
//!   slow heads, slow bodies, slow readers and idle connections all end in time.
//!
//! Invariant: what a connection keeps in memory beside a body is at most a request, its answer and a buffer.

mod blank_lines;
mod serve;
mod stream;

pub use serve::serve;
pub use stream::ConnectionStream;

use std::cell::Cell;
use std::rc::Rc;

/// Bytes that one turn reads at most, roughly: the others wait for their turns.
const TURN: usize = 32 << 10;
/// A client that takes so many bytes of an answer within the deadline gets another deadline for more.
const STRIDE: usize = 64 << 10;

/// What the stream, the handlers and the timer of one connection tell each other. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Connection(Rc<State>);

#[derive(Debug, Default)]
struct State {
    /// A request is with its handler.
    handling: Cell<bool>,
    /// That handler reads the body.
    reading_body: Cell<bool>,
    /// So much of the body is yet to be read, if its length was declared.
    body_left: Cell<Option<usize>>,
    /// Bytes read behind the last head.
    behind_head: Cell<usize>,
    /// The client does not take the answer as fast as it is written.
    blocked: Cell<bool>,
    /// Bytes of the answer taken since the timer was set.
    taken: Cell<usize>,
    /// Something was written since a request was last read.
    answered: Cell<bool>,
    /// Bytes came since something was last written.
    begun: Cell<bool>,
    /// Bytes came that this turn did not take in.
    held: Cell<bool>,
    /// What this turn may still read.
    turn_left: Cell<usize>,
    /// A read was refused though there may be something to read.
    refused: Cell<bool>,
    /// The time runs anew.
    restarted: Cell<bool>,
}

/// Clears a flag when it is dropped.
#[derive(Debug)]
pub struct Flag(Rc<State>, fn(&State) -> &Cell<bool>);

impl Drop for Flag {
    fn drop(&mut self) {
        self.1(&self.0).set(false);
    }
}

impl Connection {
    /// A request is with its handler, until the answer drops this.
    pub fn handling(&self) -> Flag {
        self.flag(|state| &state.handling)
    }

    /// The handler reads the body, of which `declared` is the length, until it drops this.
    pub fn reading_body(&self, declared: Option<usize>) -> Flag {
        let read = self.0.behind_head.get();
        self.0.body_left.set(declared.map(|declared| declared.saturating_sub(read)));
        self.flag(|state| &state.reading_body)
    }

    /// So many bytes at most belong to the body that is being read. Returns `None` if that is not known.
    fn body_left(&self) -> Option<usize> {
        if self.0.reading_body.get() { self.0.body_left.get() } else { None }
    }

    fn flag(&self, which: fn(&State) -> &Cell<bool>) -> Flag {
        which(&self.0).set(true);
        Flag(Rc::clone(&self.0), which)
    }

    fn begin_turn(&self) {
        self.0.turn_left.set(TURN);
        self.0.refused.set(false);
    }

    /// This turn may still read.
    fn has_turn(&self) -> bool {
        self.0.turn_left.get() > 0
    }

    /// There is a use for what comes next: nothing waits to be sent or handled before it.
    fn may_read(&self) -> bool {
        let State { handling, reading_body, blocked, .. } = &*self.0;
        let wants_body = reading_body.get() && self.body_left() != Some(0);
        !blocked.get() && (!handling.get() || wants_body)
    }

    fn refuse(&self) {
        self.0.refused.set(true);
    }

    /// What was refused in this turn may be read now.
    fn wants_turn(&self) -> bool {
        self.0.refused.get() && self.may_read()
    }

    /// `bytes` were read, so many of them behind the end of a head if there was one.
    fn read(&self, bytes: usize, behind_head: Option<usize>) {
        if bytes == 0 {
            return;
        }
        let State { turn_left, body_left, .. } = &*self.0;
        // Whose the bytes behind a head are is known once its handler was called.
        turn_left.set(if behind_head.is_some() { 0 } else { turn_left.get().saturating_sub(bytes) });
        body_left.set(body_left.get().map(|left| left.saturating_sub(bytes)));
        self.0.behind_head.set(behind_head.unwrap_or(self.0.behind_head.get() + bytes));
        self.0.begun.set(true);
        if self.0.answered.replace(false) {
            self.0.restarted.set(true);
        }
    }

    /// `bytes` were written; `all` says that nothing is left to write.
    fn wrote(&self, bytes: usize, all: bool) {
        let taken = self.0.taken.get() + bytes;
        let in_time = all || !self.0.blocked.get() || taken >= STRIDE;
        self.0.taken.set(if in_time { 0 } else { taken });
        if in_time {
            self.0.restarted.set(true);
        }
        if all {
            self.0.blocked.set(false);
        }
        self.0.answered.set(true);
        self.0.begun.set(false);
    }

    /// The client takes no more for now.
    fn block(&self) {
        self.0.blocked.set(true);
    }

    /// Between two requests: nobody is owed anything.
    fn is_idle(&self) -> bool {
        let State { handling, blocked, begun, held, .. } = &*self.0;
        !handling.get() && !blocked.get() && !begun.get() && !held.get()
    }

    /// Whether the time is to run anew since this was last asked.
    fn take_restart(&self) -> bool {
        self.0.restarted.replace(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read_while_something_waits_before_it() {
        let connection = Connection::default();
        assert!(connection.may_read());
        let handling = connection.handling();
        assert!(!connection.may_read(), "a request is handled");
        let reading = connection.reading_body(None);
        assert!(connection.may_read(), "its body is wanted");
        drop(reading);
        assert!(!connection.may_read());
        drop(handling);
        assert!(connection.may_read());
        connection.block();
        assert!(!connection.may_read(), "an answer waits for the client");
        connection.wrote(10, true);
        assert!(connection.may_read());
    }

    #[test]
    fn of_a_body_no_more_is_read_than_was_declared() {
        let connection = Connection::default();
        connection.read(100, Some(30));
        let _handling = connection.handling();
        let _reading = connection.reading_body(Some(50));
        assert_eq!(connection.body_left(), Some(20), "30 bytes came with the head");
        connection.read(15, None);
        assert!(connection.may_read());
        connection.read(5, None);
        assert!(!connection.may_read(), "the next request waits");
    }

    #[test]
    fn a_turn_is_bounded() {
        let connection = Connection::default();
        connection.begin_turn();
        connection.read(TURN - 1, None);
        assert!(connection.has_turn());
        connection.read(1, None);
        assert!(!connection.has_turn());
        connection.begin_turn();
        connection.read(1, Some(0));
        assert!(!connection.has_turn(), "a head has ended");
    }

    #[test]
    fn a_client_that_reads_a_trickle_gets_no_more_time() {
        let connection = Connection::default();
        connection.wrote(1000, false);
        assert!(connection.take_restart(), "the first bytes of an answer");
        connection.block();
        for _ in 0..1000 {
            connection.wrote(1, false);
        }
        assert!(!connection.take_restart());
        connection.wrote(STRIDE, false);
        assert!(connection.take_restart(), "one that takes much");
        connection.wrote(1, true);
        assert!(connection.take_restart(), "and one that took all");
    }

    #[test]
    fn the_time_of_a_request_runs_from_its_first_byte_to_that_of_its_answer() {
        let connection = Connection::default();
        connection.read(10, None);
        connection.read(10, Some(0));
        assert!(!connection.take_restart() && !connection.is_idle(), "the first request has the connection's own time");
        connection.wrote(10, true);
        assert!(connection.take_restart() && connection.is_idle());
        connection.read(10, None);
        assert!(connection.take_restart() && !connection.is_idle());
        connection.read(10, Some(0));
        assert!(!connection.take_restart());
    }
}
