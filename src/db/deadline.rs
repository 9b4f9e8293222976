//! Deadlines that libpq does not have: a call that takes longer has its connection's socket closed.
//!
//! A network that forgets a connection, or a pooler that stalls, lets a call wait for ever. Each connection has a
//! [`Watch`], which knows until when the call in hand may take: diesel tells it when a statement begins and ends. One
//! thread of the process looks after all of them. Once its socket is closed, libpq returns with an error, and whoever has
//! the connection throws it away.

use super::socket::{self, Traits};
use diesel::Connection;
use diesel::connection::InstrumentationEvent;
use diesel::pg::PgConnection;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// How often the deadlines are looked at.
const TICK: Duration = Duration::from_millis(100);
/// `TCP_USER_TIMEOUT` of the first connection, in milliseconds; others have the next free ones.
const USER_TIMEOUT: u32 = 5000;
/// So many connections can be told apart.
const MOST_MARKED: u32 = 1000;
/// Sessions that are remembered until they can be ended.
const MOST_LOST: usize = 64;

static ALL: Mutex<Vec<Weak<Watch>>> = Mutex::new(Vec::new());
static IS_WATCHED: AtomicBool = AtomicBool::new(false);
/// Sessions whose connection was closed by us: the server may not know of it. Each with the URL that led there.
static LOST: Mutex<Vec<(Arc<str>, i32)>> = Mutex::new(Vec::new());
/// How many open connections were closed so far.
static CLOSED: AtomicU64 = AtomicU64::new(0);

/// How many open connections were closed so far: after one was, those that are older are not to be trusted.
pub(super) fn closed_so_far() -> u64 {
    CLOSED.load(Ordering::SeqCst)
}

/// Until when one connection's call may take.
#[derive(Debug)]
pub(super) struct Watch {
    url: Arc<str>,
    user_timeout: u32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// How long a call may take.
    limit: Option<Duration>,
    /// When the call in hand is to have ended.
    ends: Option<Instant>,
    /// libpq is still trying the hosts of the URL.
    is_connecting: bool,
    is_closed: bool,
    backend: Option<i32>,
    socket: Socket,
}

/// By what the socket is found.
#[derive(Clone, Copy, Debug)]
enum Socket {
    /// It is TCP, hence marked.
    Marked,
    /// It is a Unix socket of this inode.
    Local(u64),
    /// It may be a Unix socket, of which no more is known: it is none of the others.
    Unknown,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    /// Of a connection that is about to be made. Each host of the URL may take so long.
    pub fn connecting(url: &str, limit: Duration) -> Arc<Self> {
        let mut all = lock(&ALL);
        all.retain(|watch| watch.strong_count() > 0);
        let taken: Vec<u32> = all.iter().filter_map(Weak::upgrade).map(|watch| watch.user_timeout).collect();
        let first = user_timeout_of(url).unwrap_or(USER_TIMEOUT);
        let candidates = (0..=MOST_MARKED).map(|n| first.saturating_add(n));
        let user_timeout = candidates.into_iter().find(|timeout| !taken.contains(timeout)).unwrap_or(first);
        let state = State {
            limit: Some(limit),
            ends: Some(Instant::now() + limit),
            is_connecting: true,
            is_closed: false,
            backend: None,
            socket: Socket::Unknown,
        };
        let watch = Arc::new(Self { url: url.into(), user_timeout, state: Mutex::new(state) });
        all.push(Arc::downgrade(&watch));
        drop(all);
        look_after_all();
        watch
    }

    /// The URL by which the connection is to be made, so that its socket can be told from others. It stands last, hence wins.
    pub fn marked(&self, url: &str) -> String {
        super::with_parameter(url, "tcp_user_timeout", &self.user_timeout.to_string())
    }

    /// The connection is there. From now on each statement has a deadline of its own.
    pub fn attach(self: &Arc<Self>, conn: &mut PgConnection) {
        let mut state = self.lock();
        (state.is_connecting, state.ends) = (false, None);
        drop(state);
        let watch = Arc::clone(self);
        conn.set_instrumentation(move |event: InstrumentationEvent<'_>| match event {
            InstrumentationEvent::StartQuery { .. } => watch.begin(),
            InstrumentationEvent::FinishQuery { .. } => watch.end(),
            _ => {}
        });
    }

    /// The session's process at the server; and whether the way there is a Unix socket.
    pub fn set_backend(&self, backend: i32, is_local: bool) {
        let socket = if is_local { local_socket() } else { Socket::Marked };
        let mut state = self.lock();
        (state.backend, state.socket) = (Some(backend), socket);
    }

    /// From now on a statement may take so long.
    pub fn set_limit(&self, limit: Option<Duration>) {
        self.lock().limit = limit;
    }

    fn begin(&self) {
        let mut state = self.lock();
        state.ends = state.limit.map(|limit| Instant::now() + limit);
    }

    /// Nothing is under way.
    pub fn end(&self) {
        self.lock().ends = None;
    }

    /// It took too long once: the connection is not to be used again.
    pub fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Closes the socket where the call in hand takes too long. It is tried again where the call goes on nevertheless: while
    /// it connects, libpq tries the next host.
    fn close_if_overdue(&self, others: &[u64]) {
        let mut state = self.lock();
        let now = Instant::now();
        if state.ends.is_none_or(|ends| ends > now) {
            return;
        }
        state.ends = state.limit.map(|limit| now + limit);
        let user_timeout = self.user_timeout;
        let traits = match state.socket {
            Socket::Marked => Traits::Known { user_timeout, inode: None },
            Socket::Local(inode) => Traits::Known { user_timeout, inode: Some(inode) },
            Socket::Unknown => Traits::Unknown { user_timeout, others: others.to_vec() },
        };
        let closed = socket::close(&traits);
        if state.is_connecting || state.is_closed {
            return;
        }
        state.is_closed = true;
        CLOSED.fetch_add(1, Ordering::SeqCst);
        lose(&self.url, state.backend);
        report(closed, state.limit.unwrap_or_default());
    }
}

fn report(closed: std::io::Result<usize>, limit: Duration) {
    match closed {
        Ok(1..) => log::warn!(
            limit_ms = limit.as_millis();
            "the database did not answer in time; its connection was closed and will be made anew. If this goes on, look at the database and at the network or pooler before it"
        ),
        Ok(0) => log::error!(
            "the database does not answer, and the socket of its connection was not found; the call ends when the system's time-outs end it"
        ),
        Err(error) => {
            log::error!(error:% = error; "the database does not answer, and its connection cannot be closed; restart ringup if this goes on");
        }
    }
}

/// The one Unix socket that is no other connection's. Where two connect at the same time, it is not known whose it is.
fn local_socket() -> Socket {
    let others = inodes_of_all();
    let unknown: Vec<u64> = socket::local().into_iter().filter(|inode| !others.contains(inode)).collect();
    if let [inode] = unknown[..] { Socket::Local(inode) } else { Socket::Unknown }
}

fn inodes_of_all() -> Vec<u64> {
    let all: Vec<_> = lock(&ALL).iter().filter_map(Weak::upgrade).collect();
    let inode = |watch: &Arc<Watch>| match watch.lock().socket {
        Socket::Local(inode) => Some(inode),
        Socket::Marked | Socket::Unknown => None,
    };
    all.iter().filter_map(inode).collect()
}

/// What the URL itself says, where that is more than nothing.
fn user_timeout_of(url: &str) -> Option<u32> {
    let said = url.rsplit_once("tcp_user_timeout=")?.1;
    let digits: String = said.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|timeout| *timeout > 0)
}

/// The server may still have this session, behind a connection that is no more.
pub(super) fn lose(url: &str, backend: Option<i32>) {
    let mut lost = lock(&LOST);
    if let Some(backend) = backend.filter(|_| lost.len() < MOST_LOST) {
        lost.push((url.into(), backend));
    }
}

/// The sessions that were lost behind `url`, to be ended by who reaches the server again. They may hold locks, wait for a
/// standby, or just be there until the server notices. Those of which another connection of ours has the same number are
/// left alone: that is a pooler's.
pub(super) fn take_lost(url: &str) -> Vec<i32> {
    let all: Vec<_> = lock(&ALL).iter().filter_map(Weak::upgrade).collect();
    let in_use: Vec<i32> = all
        .iter()
        .map(|watch| watch.lock())
        .filter(|state| !state.is_closed)
        .filter_map(|state| state.backend)
        .collect();
    let mut ours = Vec::new();
    lock(&LOST).retain(|(lost_behind, backend)| {
        let is_here = **lost_behind == *url;
        if is_here && !in_use.contains(backend) {
            ours.push(*backend);
        }
        !is_here
    });
    ours
}

/// Starts the thread that looks after the deadlines, unless it runs.
fn look_after_all() {
    if IS_WATCHED.swap(true, Ordering::SeqCst) {
        return;
    }
    let started = thread::Builder::new().name("db-deadlines".to_owned()).spawn(|| {
        loop {
            thread::sleep(TICK);
            let all: Vec<_> = lock(&ALL).iter().filter_map(Weak::upgrade).collect();
            let is_overdue = |watch: &Arc<Watch>| watch.lock().ends.is_some_and(|ends| ends <= Instant::now());
            if all.iter().any(is_overdue) {
                let inodes = inodes_of_all();
                for watch in &all {
                    watch.close_if_overdue(&inodes);
                }
            }
        }
    });
    if let Err(error) = started {
        IS_WATCHED.store(false, Ordering::SeqCst);
        log::error!(error:% = error; "cannot start the thread that closes database connections which hang");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn each_connection_has_a_mark_of_its_own_near_the_time_out_that_was_asked_for() {
        let limit = Duration::from_secs(3600);
        let watches = [Watch::connecting("a", limit), Watch::connecting("a", limit)];
        assert_ne!(watches[0].user_timeout, watches[1].user_timeout);
        assert_eq!(Watch::connecting("postgres://a/b?tcp_user_timeout=70000&x=y", limit).user_timeout, 70_000);
        assert_eq!(user_timeout_of("postgres://a/b?tcp_user_timeout=0"), None, "the system's own would be no mark");
        assert!(
            watches[0]
                .marked("postgres://a/b?tcp_user_timeout=1")
                .ends_with(&format!("&tcp_user_timeout={}", watches[0].user_timeout))
        );
    }

    #[test]
    fn a_lost_session_is_ended_once_behind_the_url_that_led_there_unless_another_has_its_number() {
        let url: Arc<str> = "postgres://lost".into();
        let other = Watch::connecting("postgres://pooler", Duration::from_secs(3600));
        other.set_backend(7, false);
        lose(&url, Some(6));
        lose(&url, Some(7));
        lose(&url, None);
        assert!(take_lost("postgres://elsewhere").is_empty());
        assert_eq!(take_lost(&url), [6]);
        assert!(take_lost(&url).is_empty());
    }
}
