//! What is left over: events that were acknowledged as pending, messages that are due.
//!
//! Each kind of work is a step that runs once ([`apply_pending`], [`outbox::run_once`]); the loops around them only
//! repeat, poll each second, and listen to the in-process wake-up, which may be lost without harm. A [`replay`] is the
//! same work on one event, at a person's word.

mod pending;
mod replay;

pub use pending::apply_pending;
pub use replay::{Replay, Report, replay};

use crate::db::DbPool;
use crate::intake::Rules;
use crate::outbox::{self, Outbox};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, oneshot, watch};

/// A lost wake-up costs at most this.
const POLL: Duration = Duration::from_secs(1);

/// Deliveries get a tenth of a processor that others want, too.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Whether the loops go round.
#[derive(Clone, Debug)]
pub struct Heartbeat(Arc<[Mutex<Instant>; 2]>);

impl Default for Heartbeat {
    fn default() -> Self {
        let now = Instant::now();
        Self(Arc::new([Mutex::new(now), Mutex::new(now)]))
    }
}

impl Heartbeat {
    fn beat(&self, of: usize) {
        *self.0[of].lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// No loop has stood still for longer than `limit`.
    pub fn is_alive(&self, limit: Duration) -> bool {
        self.0.iter().all(|last| last.lock().unwrap_or_else(PoisonError::into_inner).elapsed() <= limit)
    }
}

/// The loops; they end when `stop` turns true, after the step in hand.
pub async fn run(
    heartbeat: Heartbeat,
    pool: DbPool,
    rules: Arc<Rules>,
    outbox: Arc<Outbox>,
    wake: Arc<Notify>,
    stop: watch::Receiver<bool>,
) {
    let (pending_stop, outbox_wake, other) = (stop.clone(), Arc::clone(&wake), heartbeat.clone());
    let pending = repeat(pending_stop, wake, "pending events", move || {
        heartbeat.beat(0);
        let (pool, rules) = (pool.clone(), Arc::clone(&rules));
        async move { tokio::task::spawn_blocking(move || apply_pending(&pool, &rules)).await? }
    });
    let messages = on_a_thread_that_gives_way(move || async move {
        outbox::run(&outbox, || other.beat(1), &outbox_wake, stop).await;
    });
    tokio::join!(pending, messages);
}

/// Runs `work` on a thread of its own, to which the system gives what others leave: a mail can wait for a moment, an event
/// that comes in can't. Where nobody else has anything to do it is as fast as any.
async fn on_a_thread_that_gives_way<F: Future<Output = ()>>(work: impl FnOnce() -> F + Send + 'static) {
    let (done, ended) = oneshot::channel();
    let run = move || {
        give_way();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        match runtime {
            Ok(runtime) => runtime.block_on(work()),
            Err(error) => log::error!(error:% = error; "cannot start the runtime of the deliveries"),
        }
        // Nobody waits any more where the process itself is ending.
        let _ = done.send(());
    };
    match std::thread::Builder::new().name("outbox".to_owned()).spawn(run) {
        Ok(_) => {
            if ended.await.is_err() {
                log::error!("the deliveries ended with a panic: this is a bug");
            }
        }
        Err(error) => log::error!(error:% = error; "cannot start the thread of the deliveries"),
    }
}

/// Only Linux has a niceness for each thread, which those that it starts inherit.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        log::debug!(error:% = error; "deliveries run at the same priority as all else");
    }
}

async fn repeat<F>(mut stop: watch::Receiver<bool>, wake: Arc<Notify>, what: &str, work: impl Fn() -> F)
where
    F: Future<Output = anyhow::Result<usize>>,
{
    let mut failing = false;
    while !*stop.borrow() {
        match work().await {
            Ok(0) => failing = false,
            Ok(_) => {
                failing = false;
                continue;
            }
            Err(error) if failing => log::debug!(error = format!("{error:#}"); "the worker for {what} still fails"),
            Err(error) => {
                failing = true;
                log::error!(error = format!("{error:#}"); "the worker for {what} fails; it goes on trying each second");
            }
        }
        tokio::select! {
            () = wake.notified() => {}
            () = tokio::time::sleep(POLL) => {}
            _ = stop.changed() => {}
        }
    }
}
