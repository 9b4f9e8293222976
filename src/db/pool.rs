//! Connections for reading, for workers and for the API: a few, opened when they are asked for.
//!
//! Nothing here waits for ever: not for a place, not for a connection to be made, not for a statement. A connection that
//! took too long, failed half-way or is older than one that took too long is thrown away.

use super::deadline::{Watch, closed_so_far};
use super::{CONNECT_LIMIT, STATEMENT_LIMIT, open};
use anyhow::{Context, bail};
use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::pg::PgConnection;
use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long to wait for a place.
const PLACE_LIMIT: Duration = Duration::from_secs(2);
/// How long a connection may take to say that it is still there.
const CHECK_LIMIT: Duration = Duration::from_secs(1);
/// The longest that a statement may ever take: a little more than `statement_timeout`.
const LONGEST: Duration = Duration::from_secs(12);
/// A connection that was idle for longer is not used any more.
const IDLE: Duration = Duration::from_secs(600);
/// Neither is one that is older than this: the plans and caches of its session grow.
const OLD: Duration = Duration::from_secs(1800);

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct DbPool(Arc<Shared>);

struct Shared {
    url: String,
    size: u32,
    state: Mutex<State>,
    /// Somebody gave a place or a connection back.
    freed: Condvar,
    /// How long a statement of each kind of work may take, where it has taken too long lately.
    patience: Mutex<HashMap<&'static str, Duration>>,
}

#[derive(Default)]
struct State {
    /// The one that was used last is at the end.
    idle: Vec<Opened>,
    /// Idle ones, those in use, and those that are being opened.
    places: u32,
}

struct Opened {
    conn: PgConnection,
    watch: Arc<Watch>,
    /// How many connections had been closed by then for taking too long.
    closed_before: u64,
    since: Instant,
    used: Instant,
}

/// A connection of the pool, until it is dropped.
pub struct PooledPg {
    /// It is there until it is dropped.
    opened: Option<Opened>,
    place: Place,
}

/// One of the pool's places, until it is dropped.
struct Place {
    shared: Arc<Shared>,
    /// An idle connection keeps it.
    is_kept: bool,
}

impl DbPool {
    /// A pool of at most `size` connections.
    pub(super) fn new(url: &str, size: u32) -> Self {
        let (state, patience) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Shared { url: url.to_owned(), size, state, freed: Condvar::new(), patience }))
    }

    /// A connection on which each statement has a deadline.
    ///
    /// # Errors
    /// Fails if all are in use for too long, or none can be opened.
    pub fn get(&self) -> anyhow::Result<PooledPg> {
        let (mut found, place) = self.0.place()?;
        while let Some(mut opened) = found {
            if opened.is_fresh() && opened.answers() {
                return Ok(PooledPg { opened: Some(opened), place });
            }
            drop(opened);
            found = self.0.another_idle();
        }
        let opened = Opened::new(&self.0.url)?;
        Ok(PooledPg { opened: Some(opened), place })
    }

    /// Runs `work` with a connection, on the caller's thread. Where a statement of this work took too long, it may take
    /// longer the next time: a database that is slow must not keep it from ever being done.
    ///
    /// # Errors
    /// Those of [`DbPool::get`], and of the work.
    pub fn run<T, E, W>(&self, work: W) -> anyhow::Result<T>
    where
        W: FnOnce(&mut PgConnection) -> Result<T, E>,
        E: Into<anyhow::Error>,
    {
        let kind = std::any::type_name::<W>();
        let patience = lock(&self.0.patience).get(kind).copied().unwrap_or(STATEMENT_LIMIT);
        let mut conn = self.get().context("no database connection")?;
        conn.set_limit(patience);
        let begun = Instant::now();
        let done = work(&mut conn).map_err(Into::into);
        let needed = if conn.took_too_long() { patience * 2 } else { begun.elapsed() * 2 };
        if needed <= STATEMENT_LIMIT && done.is_ok() {
            lock(&self.0.patience).remove(kind);
        } else if needed > patience || done.is_ok() {
            lock(&self.0.patience).insert(kind, needed.clamp(STATEMENT_LIMIT, LONGEST));
        }
        done
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Takes a place, with the connection that was used last where one is idle.
    fn place(self: &Arc<Self>) -> anyhow::Result<(Option<Opened>, Place)> {
        let is_full = |state: &mut State| state.idle.is_empty() && state.places >= self.size;
        let waited = self.freed.wait_timeout_while(lock(&self.state), PLACE_LIMIT, is_full);
        let (mut state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            bail!("all {} database connections are in use", self.size);
        }
        let found = state.idle.pop();
        if found.is_none() {
            state.places += 1;
        }
        Ok((found, Place { shared: Arc::clone(self), is_kept: false }))
    }

    /// One more idle connection for who has a place already.
    fn another_idle(&self) -> Option<Opened> {
        let mut state = lock(&self.state);
        let found = state.idle.pop()?;
        state.places -= 1;
        self.freed.notify_one();
        Some(found)
    }

    /// Keeps a connection for the next one, and gives back those that were idle for too long.
    fn keep(&self, opened: Opened) -> Vec<Opened> {
        let mut state = lock(&self.state);
        state.idle.push(opened);
        let is_too_old = |opened: &&Opened| opened.used.elapsed() > IDLE;
        let too_old = state.idle.iter().take_while(is_too_old).count();
        state.places -= u32::try_from(too_old).unwrap_or(state.places);
        self.freed.notify_one();
        state.idle.drain(..too_old).collect()
    }
}

impl Opened {
    fn new(url: &str) -> anyhow::Result<Self> {
        let (closed_before, now) = (closed_so_far(), Instant::now());
        let (conn, watch) = open(url, CONNECT_LIMIT, Some(STATEMENT_LIMIT))?;
        Ok(Self { conn, watch, closed_before, since: now, used: now })
    }

    /// It is not to be doubted. A network that has swallowed one connection has mostly swallowed all.
    fn is_fresh(&self) -> bool {
        let is_young = self.since.elapsed() < OLD && self.used.elapsed() < IDLE;
        is_young && self.closed_before == closed_so_far() && !self.watch.is_closed()
    }

    fn answers(&mut self) -> bool {
        self.watch.set_limit(Some(CHECK_LIMIT));
        let answers = self.conn.batch_execute("SELECT 1").is_ok();
        self.watch.set_limit(Some(STATEMENT_LIMIT));
        answers
    }

    /// No transaction is open, nothing failed half-way.
    fn is_sound(&mut self) -> bool {
        !std::thread::panicking() && !AnsiTransactionManager::is_broken_transaction_manager(&mut self.conn)
    }
}

impl PooledPg {
    fn set_limit(&self, limit: Duration) {
        if let Some(opened) = &self.opened {
            opened.watch.set_limit(Some(limit));
        }
    }

    fn took_too_long(&self) -> bool {
        self.opened.as_ref().is_some_and(|opened| opened.watch.is_closed())
    }
}

impl Drop for PooledPg {
    fn drop(&mut self) {
        let Some(mut opened) = self.opened.take() else { return };
        opened.watch.end();
        opened.used = Instant::now();
        if opened.is_sound() && opened.is_fresh() {
            self.place.is_kept = true;
            drop(self.place.shared.keep(opened));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.is_kept {
            lock(&self.shared.state).places -= 1;
            self.shared.freed.notify_one();
        }
    }
}

const TAKEN: &str = "a connection is there until it is dropped";

impl Deref for PooledPg {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.opened.as_ref().expect(TAKEN).conn
    }
}

impl DerefMut for PooledPg {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.opened.as_mut().expect(TAKEN).conn
    }
}
