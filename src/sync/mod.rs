//! What Stripe is asked for: events that were missed, and objects that thin events only name.
//!
//! [`Fetcher::backfill`] compares a stretch of Stripe's list of events with the inbox and takes in what is missing;
//! [`Fetcher::look`] is the gap watch, which does so every few minutes from a stored cursor; [`Fetcher::fetch_named`] fetches
//! what thin events name. Each runs once; [`run`] is the loop around the last two.
//!
//! Invariants: everything enters through [`Intake::submit`]; no transaction is open and no connection held while Stripe
//! is asked; what was cut off goes on where it was, and doing it twice changes nothing.

mod backfill;
mod lines;
mod silence;
mod store;
mod take_in;
mod thin;
mod troubles;
mod walk;
mod watch;

pub use backfill::{Progress, Range};
pub use lines::Lines;
pub use silence::Silence;
pub use store::{Standing, standing};
pub use take_in::Tally;
pub use watch::Looked;

use crate::config::{Config, mode_name};
use crate::db::{self, DbPool};
use crate::intake::{Budget, Intake, Rules};
use crate::stripe_api::StripeApi;
use chrono::Utc;
use diesel::pg::PgConnection;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};
use troubles::Troubles;

/// Between two requests of ours; Stripe allows 25 a second for a test key, and the shop has requests of its own.
const PACE: Duration = Duration::from_millis(100);
/// Between two looks for thin events.
const POLL: Duration = Duration::from_secs(1);
/// Between two looks whether a comparison is due, or nothing came for too long.
const WATCH: Duration = Duration::from_secs(10);
/// How long an event waits for the writer: what the receiver has to do comes first.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks Stripe, and takes what it says into the inbox. Cheap to clone.
#[derive(Clone)]
pub struct Fetcher {
    api: StripeApi,
    livemode: bool,
    /// Our own is empty.
    accounts: Vec<String>,
    pool: DbPool,
    rules: Arc<Rules>,
    intake: Intake,
    budget: Budget,
    troubles: Troubles,
    pace: Arc<Mutex<Interval>>,
}

impl Fetcher {
    /// With the key of the configuration; none where there is none. What it finds goes into `intake`, within `budget`.
    ///
    /// # Errors
    /// Where `STRIPE_API_BASE` is no URL.
    pub fn new(
        config: &Config,
        pool: DbPool,
        rules: Arc<Rules>,
        (intake, budget): (Intake, Budget),
    ) -> anyhow::Result<Option<Self>> {
        let Some(api) = &config.stripe.api else { return Ok(None) };
        let own = std::iter::once(String::new());
        let accounts = own.chain(config.stripe.accounts.iter().flatten().cloned()).collect();
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let pace = Arc::new(Mutex::new(pace));
        let (api, livemode) = (StripeApi::new(api)?, api.livemode);
        Ok(Some(Self { api, livemode, accounts, pool, rules, intake, budget, troubles: Troubles::default(), pace }))
    }

    /// The accounts whose events are compared: our own, which is empty, and those of `STRIPE_ACCOUNTS`.
    pub fn accounts(&self) -> &[String] {
        &self.accounts
    }

    /// Whether the key reaches real money.
    pub fn livemode(&self) -> bool {
        self.livemode
    }

    /// Whoever says what was bought, for confirmations.
    pub fn lines(&self) -> Lines {
        Lines::new(self.api.clone(), self.livemode)
    }

    /// Waits for its turn to ask.
    async fn turn(&self) {
        self.pace.lock().await.tick().await;
    }

    /// Runs `work` with a connection, on a thread that may wait.
    async fn with_db<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut PgConnection) -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        db::with_connection(&self.pool, work).await
    }
}

/// An account as people read it.
pub fn named(account: &str, livemode: bool) -> String {
    let whose = if account.is_empty() { "our own account" } else { account };
    format!("{whose} ({})", mode_name(livemode))
}

/// As Stripe is asked for it.
fn asked(account: &str) -> Option<&str> {
    Some(account).filter(|account| !account.is_empty())
}

/// The gap watch and the fetching of what thin events name, for ever: it may be dropped at any moment.
pub async fn run(fetcher: Fetcher) {
    if let Err(error) = fetcher.explain_other_mode().await {
        log::warn!(error = format!("{error:#}"); "cannot say why events wait");
    }
    let watch = || {
        let fetcher = fetcher.clone();
        async move {
            // What fails is told there, an account each.
            fetcher.look(Utc::now()).await;
            Ok(0)
        }
    };
    let fetch = || {
        let fetcher = fetcher.clone();
        async move { fetcher.fetch_named().await }
    };
    tokio::join!(repeat("the gap watch", WATCH, watch), repeat("fetching what thin events name", POLL, fetch));
}

/// Repeats `step` after each `pause`, at once while it finds something to do. Each is a task of its own, so that a panic
/// ends the step and not the loop; dropping this ends it.
async fn repeat<F>(what: &str, pause: Duration, step: impl Fn() -> F)
where
    F: Future<Output = anyhow::Result<usize>> + Send + 'static,
{
    let mut failing = false;
    loop {
        let mut task = JoinSet::new();
        task.spawn(step());
        match task.join_next().await.unwrap_or(Ok(Ok(0))).map_err(Into::into).flatten() {
            Ok(0) => failing = false,
            Ok(_) => {
                failing = false;
                continue;
            }
            Err(error) if failing => log::debug!(error = format!("{error:#}"); "{what} still fails"),
            Err(error) => {
                failing = true;
                log::error!(error = format!("{error:#}"); "{what} fails; it goes on trying");
            }
        }
        sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::repeat;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;
    use tokio::sync::mpsc::unbounded_channel;

    #[tokio::test]
    async fn a_step_that_panics_is_not_the_last() {
        let (rounds, (sender, mut begun)) = (AtomicUsize::new(0), unbounded_channel());
        let step = || {
            let (round, sender) = (rounds.fetch_add(1, Ordering::SeqCst), sender.clone());
            async move {
                sender.send(round).unwrap();
                assert!(round != 0, "the first");
                Ok(0)
            }
        };
        tokio::select! {
            () = repeat("a test", Duration::ZERO, step) => {}
            () = async { while begun.recv().await != Some(1) {} } => {}
        }
        assert!(rounds.load(Ordering::SeqCst) >= 2);
    }
}
