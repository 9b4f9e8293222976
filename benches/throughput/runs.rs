//! One measurement of a receiver under a closed loop: what it did, what it cost, and that it did it rightly.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::figures::{Figures, number};
use crate::load::{Lane, Load, closed};
use crate::process::{Receiver, own_cpu};
use crate::product::{self, Mail};
use crate::traffic::Tape;
use crate::{Bench, Role, postgres, receivers};

/// Connections, caches and branch predictors warm up for so long before anything is counted.
const WARM_UP: Duration = Duration::from_millis(700);

/// What one measurement came to. A figure that was not taken is zero.
#[derive(Clone, Copy, Debug, Default)]
pub struct Run {
    /// Events answered 200, a second.
    pub rate: f64,
    /// Microseconds of processor time an event.
    pub server_cpu: f64,
    /// The same of all Postgres processes.
    pub postgres_cpu: f64,
    /// The same of the load generator.
    pub generator_cpu: f64,
    /// Milliseconds until the answer.
    pub mean: f64,
    /// The same for half of the requests.
    pub p50: f64,
    /// The same for 99 of 100.
    pub p99: f64,
    /// The receiver's greatest resident memory, in MiB.
    pub memory: f64,
    /// Bytes of write-ahead log an event.
    pub wal: f64,
    /// Row versions made useless, an event.
    pub dead: f64,
}

/// The rounds of one kind of measurement.
#[derive(Clone, Debug)]
pub struct Runs {
    /// What was measured.
    pub name: String,
    rounds: Vec<Run>,
}

impl Runs {
    /// None yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), rounds: Vec::new() }
    }

    /// Adds a round, and says so.
    pub fn push(&mut self, run: Run) {
        eprintln!("  {}: {} events/s", self.name, number(run.rate));
        self.rounds.push(run);
    }

    /// One figure of each round.
    pub fn of(&self, figure: impl Fn(&Run) -> f64) -> Figures {
        self.rounds.iter().map(figure).collect()
    }
}

/// Loads the product on a fresh database with `connections`, from `tape`, and checks what it has stored.
pub fn product(bench: &Bench, tape: &Rc<Tape>, connections: usize) -> Result<Run> {
    bench.postgres.fresh()?;
    let database = bench.postgres.measured();
    let server = product::start(bench, &database, &Mail::Queued)?;
    let wal = bench.postgres.wal()?;
    let (run, stored) = measure(bench, &server, lane(tape, connections))?;
    drop(server);
    let wear = bench.postgres.wear(&database, wal)?;
    all_applied(&database, stored)?;
    Ok(Run { wal: share(wear.wal, stored), dead: share(wear.dead, stored), ..run })
}

/// Loads a baseline.
pub fn baseline(bench: &Bench, role: Role, tape: &Rc<Tape>, connections: usize) -> Result<Run> {
    let server = receivers::start(bench, role)?;
    let wal = bench.postgres.wal()?;
    let lane = Lane { endless: role == Role::Nothing, ..lane(tape, connections) };
    let (run, stored) = measure(bench, &server, lane)?;
    drop(server);
    if role == Role::Nothing {
        return Ok(run);
    }
    let wear = bench.postgres.wear(&bench.postgres.measured(), wal)?;
    Ok(Run { wal: share(wear.wal, stored), ..run })
}

/// A lane that begins at the tape's beginning.
pub fn lane(tape: &Rc<Tape>, connections: usize) -> Lane {
    Lane { tape: Rc::clone(tape), next: Rc::new(Cell::new(0)), connections, endless: false }
}

/// Warms up, then measures; also gives how many events were stored in all.
pub fn measure(bench: &Bench, server: &Receiver, lane: Lane) -> Result<(Run, usize)> {
    let lanes = [lane];
    let warm = closed(server.address, &lanes, WARM_UP)?.remove(0);
    let before = (server.cpu()?, bench.postgres.cpu()?, own_cpu()?);
    let load = closed(server.address, &lanes, bench.time)?.remove(0);
    let after = (server.cpu()?, bench.postgres.cpu()?, own_cpu()?);
    ensure!(load.counts.refused + warm.counts.refused == 0, "requests were refused: {:?}", load.counts);
    let each = |time: Duration| per_event(time, &load);
    let run = Run {
        rate: load.rate(),
        server_cpu: each(after.0.saturating_sub(before.0)),
        postgres_cpu: each(after.1.saturating_sub(before.1)),
        generator_cpu: each(after.2.saturating_sub(before.2)),
        mean: load.latencies.mean(),
        p50: load.latencies.percentile(0.5),
        p99: load.latencies.percentile(0.99),
        memory: server.peak_memory()?,
        ..Run::default()
    };
    Ok((run, warm.counts.stored() + load.counts.stored()))
}

#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn per_event(time: Duration, load: &Load) -> f64 {
    time.as_secs_f64() * 1e6 / load.counts.acknowledged() as f64
}

#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn share(of: i64, events: usize) -> f64 {
    of as f64 / events as f64
}

/// A rate counts only where each event that was acknowledged is stored and applied, and each paid order's mail queued.
pub fn all_applied(database: &str, stored: usize) -> Result<()> {
    let count = |sql: &str| postgres::count(database, &format!("SELECT count(*) AS number FROM {sql}"));
    let events = count("events WHERE state IN ('processed', 'ignored')")?;
    ensure!(events == i64::try_from(stored)?, "{stored} events were accepted, {events} are stored and applied");
    let untold = "orders o WHERE status = 'paid' AND merged_into IS NULL \
                  AND NOT EXISTS (SELECT FROM outbox m WHERE m.order_id = o.id AND m.notice IN ('order.paid', 'order.renewed'))";
    ensure!(count(untold)? == 0, "paid orders have no mail queued");
    let (orders, paid) = (count("orders WHERE merged_into IS NULL")?, count("outbox WHERE notice = 'order.paid'")?);
    ensure!(orders > 0 && paid > 0, "{orders} orders, {paid} confirmations: nothing was applied");
    Ok(())
}
