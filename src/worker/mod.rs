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
use tokio::sync::{Notify, watch};

/// A lost wake-up costs at most this.
const POLL: Duration = Duration::from_secs(1);

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
    let messages = outbox::run(&outbox, || other.beat(1), &outbox_wake, stop);
    tokio::join!(pending, messages);
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
