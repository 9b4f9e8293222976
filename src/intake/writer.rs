//! The threads that write, and the watchdog that replaces one where it is stuck.

use super::desk::{Desk, Draft, Turn};
use super::heart::know;
use super::{Answer, Pen, Submission, batch};
use crate::db;
use crate::orders::Settings;
use diesel::pg::PgConnection;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// One writes while the other collects; more would only wait.
const WRITERS: usize = 2;
/// A batch that runs longer is stuck.
const STUCK: Duration = Duration::from_secs(2);
/// So many stuck writers may wait for their database; more would not help it.
pub(super) const MAX_ABANDONED: usize = 3;
/// How long a stopping process waits for writers that are stuck.
const LAST_WORDS: Duration = Duration::from_secs(8);
/// How often the watchdog looks.
const WATCH: Duration = Duration::from_millis(200);

/// The running writers; [`Writer::stop`] drains them.
pub struct Writer {
    shared: Arc<Shared>,
    watchdog: thread::JoinHandle<()>,
}

struct Shared {
    database_url: String,
    settings: Settings,
    desk: Arc<Desk>,
    /// How many were ever started.
    started: AtomicU64,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl Writer {
    pub(super) fn start(
        database_url: &str,
        settings: Settings,
        desk: Arc<Desk>,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            database_url: database_url.to_owned(),
            settings,
            desk,
            started: AtomicU64::new(0),
            wake,
        });
        let started = (0..WRITERS).try_for_each(|_| spawn_writer(&shared)).and_then(|()| spawn_watchdog(&shared));
        let watchdog = started.map_err(|error| {
            // Whichever has started ends then.
            shared.desk.close();
            let said =
                format!("cannot start a thread that writes, which a limit of processes may be the cause of: {error}");
            io::Error::new(error.kind(), said)
        })?;
        Ok(Self { shared, watchdog })
    }

    /// Waits until all that was submitted is answered. Nothing more is taken from now on.
    pub fn stop(self) {
        self.shared.desk.close();
        drop(self.watchdog.join());
    }
}

fn spawn_writer(shared: &Arc<Shared>) -> io::Result<()> {
    fail::fail_point!("intake.start_writer", |_| Err(io::Error::other("the failpoint says so")));
    let own = Arc::clone(shared);
    let number = shared.started.fetch_add(1, Ordering::SeqCst);
    shared.desk.enter();
    let spawned = thread::Builder::new().name(format!("intake-writer-{number}")).spawn(move || write_on(&own, number));
    spawned.map(drop).inspect_err(|_| shared.desk.leave())
}

fn spawn_watchdog(shared: &Arc<Shared>) -> io::Result<thread::JoinHandle<()>> {
    let own = Arc::clone(shared);
    thread::Builder::new().name("intake-watchdog".into()).spawn(move || watch(&own))
}

/// Replaces stuck writers; ends with the last one.
fn watch(shared: &Arc<Shared>) {
    let mut closing_since = None;
    while !shared.desk.has_ended(WATCH) {
        if shared.desk.is_closed() && closing_since.get_or_insert_with(Instant::now).elapsed() > LAST_WORDS {
            log::error!("the writer is still stuck in the database; what it holds was answered 503");
            return;
        }
        if shared.desk.give_up(STUCK, MAX_ABANDONED) {
            log::error!("the writer is stuck in the database; starting another");
            if let Err(error) = spawn_writer(shared) {
                log::error!(error:% = error; "cannot start a thread that writes");
            }
            shared.desk.leave();
        }
    }
}

fn write_on(shared: &Arc<Shared>, number: u64) {
    while let Some((draft, turn)) = shared.desk.next(|draft| shared.work_out(draft)) {
        if !shared.write(draft, turn) {
            log::warn!(writer = number; "an abandoned writer came back and ended");
            return;
        }
    }
    shared.desk.leave();
}

impl Shared {
    /// Works out what the batch comes to, as far as that can be told by heart.
    fn work_out(&self, draft: &mut Draft) {
        let batch: Vec<&Submission> = draft.jobs.iter().map(|job| &*job.submission).collect();
        let (worked, heart) = (&mut draft.worked, &draft.heart);
        let done = catch_unwind(AssertUnwindSafe(|| know(heart).work_out(worked, &self.settings, &batch)));
        if let Err(panic) = done {
            log::error!(panic = crate::orders::panic_text(&*panic); "the writer panicked over a batch; it looks first");
            know(heart).lose();
        }
    }

    /// Writes a batch and answers it. False where it took so long that another writer has taken over.
    fn write(&self, mut draft: Draft, mut turn: Turn) -> bool {
        let done = catch_unwind(AssertUnwindSafe(|| self.commit(&mut draft, &mut turn.conn)));
        let answers = done.unwrap_or_else(|panic| {
            log::error!(panic = crate::orders::panic_text(&*panic); "the writer panicked; its batch is answered 503");
            // `transaction` does not roll back on unwinding: the connection is not to be used again.
            turn.conn = None;
            vec![Answer::Unavailable; draft.jobs.len()]
        });
        let is_current = self.desk.release(turn);
        fail::fail_point!("intake.before_answer");
        for (job, answer) in draft.jobs.into_iter().zip(answers) {
            job.answer(answer);
        }
        is_current
    }

    fn commit(&self, draft: &mut Draft, conn: &mut Option<PgConnection>) -> Vec<Answer> {
        let ready = conn.take().map_or_else(|| db::connect_writer(&self.database_url), Ok);
        let mut open = match ready {
            Ok(open) => open,
            Err(error) => {
                log::error!(error = format!("{error:#}"); "no connection for the writer; its batch is answered 503");
                return vec![Answer::Unavailable; draft.jobs.len()];
            }
        };
        let batch: Vec<&Submission> = draft.jobs.iter().map(|job| &*job.submission).collect();
        let known = know(&draft.heart).confirm(std::mem::take(&mut draft.worked), &batch);
        let mut pen = Pen { conn: &mut open, heart: &draft.heart, settings: &self.settings };
        let done = batch::commit(&mut pen, &batch, known);
        if !done.broken {
            *conn = Some(open);
        }
        if done.pending {
            (self.wake)();
        }
        done.answers
    }
}
