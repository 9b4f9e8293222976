//! The thread that writes, and the watchdog that replaces it where it is stuck.

use super::batch::Link;
use super::{Answer, Job, Submission, batch};
use crate::db;
use crate::orders::Settings;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A batch takes at most this many events…
const MAX_EVENTS: usize = 512;
/// …and stops growing at this many bytes.
const MAX_BYTES: usize = 512 << 10;
/// A batch that runs longer is stuck.
const STUCK: Duration = Duration::from_secs(2);
/// So many stuck writers may wait for their database; more would not help it.
pub(super) const MAX_ABANDONED: usize = 3;
/// How long a stopping process waits for writers that are stuck.
const LAST_WORDS: Duration = Duration::from_secs(8);
/// How often the watchdog looks.
const WATCH: Duration = Duration::from_millis(200);

/// The running writer; [`Writer::stop`] drains it.
pub struct Writer {
    shared: Arc<Shared>,
    watchdog: Option<thread::JoinHandle<()>>,
}

/// What others may read of it.
pub(super) struct Gauges {
    /// Submissions that wait.
    pub depth: Arc<AtomicUsize>,
    /// Stuck writers that have not come back.
    pub abandoned: Arc<AtomicUsize>,
}

struct Shared {
    database_url: String,
    settings: Settings,
    jobs: Mutex<Receiver<Job>>,
    gauges: Gauges,
    wake: Arc<dyn Fn() + Send + Sync>,
    started: Instant,
    /// Which writer is the current one; a lesser one ends after its batch.
    generation: AtomicU64,
    /// When the current writer's batch began, in milliseconds since `started`; -1 between batches.
    busy_since: AtomicI64,
    closing: AtomicBool,
    ended: Mutex<bool>,
    end: Condvar,
}

impl Writer {
    pub(super) fn start(
        database_url: &str,
        settings: Settings,
        jobs: Receiver<Job>,
        gauges: Gauges,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Self {
        let shared = Arc::new(Shared {
            database_url: database_url.to_owned(),
            settings,
            jobs: Mutex::new(jobs),
            gauges,
            wake,
            started: Instant::now(),
            generation: AtomicU64::new(0),
            busy_since: AtomicI64::new(-1),
            closing: AtomicBool::new(false),
            ended: Mutex::new(false),
            end: Condvar::new(),
        });
        spawn_writer(&shared, 0);
        let watched = Arc::clone(&shared);
        let watchdog = thread::Builder::new().name("intake-watchdog".into()).spawn(move || watch(&watched));
        Self { shared, watchdog: watchdog.inspect_err(|error| log::error!(error:% = error; "no watchdog")).ok() }
    }

    /// Waits until all that was submitted is answered. What is submitted from now on may not be taken.
    pub fn stop(mut self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        if let Some(watchdog) = self.watchdog.take() {
            drop(watchdog.join());
        }
    }
}

fn spawn_writer(shared: &Arc<Shared>, generation: u64) {
    let own = Arc::clone(shared);
    let spawned =
        thread::Builder::new().name(format!("intake-writer-{generation}")).spawn(move || write_on(&own, generation));
    if let Err(error) = spawned {
        log::error!(error:% = error; "cannot start a writer thread");
    }
}

/// Replaces a stuck writer; ends with the current one.
fn watch(shared: &Arc<Shared>) {
    let mut ended = shared.ended.lock().unwrap_or_else(PoisonError::into_inner);
    let mut closing_since = None;
    while !*ended {
        if shared.closing.load(Ordering::SeqCst)
            && closing_since.get_or_insert_with(Instant::now).elapsed() > LAST_WORDS
        {
            log::error!("the writer is still stuck in the database; what it holds was answered 503");
            return;
        }
        (ended, _) = shared.end.wait_timeout(ended, WATCH).unwrap_or_else(PoisonError::into_inner);
        let busy_since = shared.busy_since.load(Ordering::SeqCst);
        let stuck =
            busy_since >= 0 && shared.millis() - busy_since > i64::try_from(STUCK.as_millis()).unwrap_or(i64::MAX);
        if stuck && shared.gauges.abandoned.load(Ordering::SeqCst) < MAX_ABANDONED {
            shared.gauges.abandoned.fetch_add(1, Ordering::SeqCst);
            shared.busy_since.store(-1, Ordering::SeqCst);
            let generation = shared.generation.fetch_add(1, Ordering::SeqCst) + 1;
            log::error!(generation = generation; "the writer is stuck in the database; starting another");
            spawn_writer(shared, generation);
        }
    }
}

impl Shared {
    fn millis(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    fn is_current(&self, generation: u64) -> bool {
        self.generation.load(Ordering::SeqCst) == generation
    }

    /// All that waits, within the limits; `None` once nothing more can come. Only one writer looks at a time.
    fn take(&self) -> Option<Vec<Job>> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let first = match jobs.recv_timeout(WATCH) {
            Ok(job) => job,
            Err(RecvTimeoutError::Timeout) if self.closing.load(Ordering::SeqCst) => return None,
            Err(RecvTimeoutError::Timeout) => return Some(Vec::new()),
            Err(RecvTimeoutError::Disconnected) => return None,
        };
        let (mut bytes, mut batch) = (first.submission.event.body.len(), vec![first]);
        while batch.len() < MAX_EVENTS && bytes < MAX_BYTES {
            let Ok(job) = jobs.try_recv() else { break };
            bytes += job.submission.event.body.len();
            batch.push(job);
        }
        self.gauges.depth.fetch_sub(batch.len(), Ordering::Relaxed);
        // Who has stopped waiting has been answered 503 already, or has hung up: its sender tries again.
        batch.retain(|job| !job.reply.is_closed());
        Some(batch)
    }
}

fn write_on(shared: &Arc<Shared>, generation: u64) {
    let mut conn = None;
    while shared.is_current(generation) {
        let Some(jobs) = shared.take() else {
            *shared.ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
            shared.end.notify_all();
            return;
        };
        if !jobs.is_empty() {
            write_batch(shared, generation, &mut conn, jobs);
        }
    }
    shared.gauges.abandoned.fetch_sub(1, Ordering::SeqCst);
    log::warn!(generation = generation; "an abandoned writer came back and ended");
}

fn write_batch(shared: &Arc<Shared>, generation: u64, conn: &mut Option<Link>, jobs: Vec<Job>) {
    if shared.is_current(generation) {
        shared.busy_since.store(shared.millis(), Ordering::SeqCst);
    }
    let submissions: Vec<&Submission> = jobs.iter().map(|job| &job.submission).collect();
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| commit(shared, conn, &submissions)));
    if shared.is_current(generation) {
        shared.busy_since.store(-1, Ordering::SeqCst);
    }
    let answers = done.unwrap_or_else(|panic| {
        log::error!(panic = crate::orders::panic_text(&*panic); "the writer panicked; its batch is answered 503");
        // `transaction` does not roll back on unwinding: the connection is not to be used again.
        *conn = None;
        vec![Answer::Unavailable; jobs.len()]
    });
    fail::fail_point!("intake.before_answer");
    for (job, answer) in jobs.into_iter().zip(answers) {
        // Whoever hung up meanwhile does not hear the answer; the event is stored all the same.
        let _ = job.reply.send(answer);
    }
}

fn commit(shared: &Arc<Shared>, conn: &mut Option<Link>, submissions: &[&Submission]) -> Vec<Answer> {
    let ready = match conn.take() {
        Some(open) => Ok(open),
        None => db::connect_writer(&shared.database_url).map(Link::from),
    };
    let mut open = match ready {
        Ok(open) => open,
        Err(error) => {
            log::error!(error = format!("{error:#}"); "no connection for the writer; its batch is answered 503");
            return vec![Answer::Unavailable; submissions.len()];
        }
    };
    let done = batch::commit(&mut open, &shared.settings, submissions);
    if !done.broken {
        *conn = Some(open);
    }
    if done.pending {
        (shared.wake)();
    }
    done.answers
}
