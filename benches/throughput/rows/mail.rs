//! Mails to a local mail server, with and without intake beside.

use super::Outcome;
use crate::figures::Figures;
use crate::product::{self, Mail};
use crate::runs::{self, Runs, lane};
use crate::smtp::Sink;
use crate::traffic::Traffic;
use crate::{Bench, postgres};
use anyhow::{Result, ensure};
use std::time::{Duration, Instant};

/// Delivery off, then what was queued is delivered with nothing beside, then delivery and intake at the same time.
pub fn measure(bench: &Bench) -> Result<Outcome> {
    let (tape, sink) = (bench.tape(Traffic::Checkouts)?, Sink::start()?);
    let mut all = [Runs::new("delivery off, 64"), Runs::new("delivery on, 64")];
    let (mut beside, mut alone) = (Figures::default(), Delivered::default());
    for _ in 0..bench.rounds {
        all[0].push(runs::product(bench, &tape, 64)?);
        alone.measure(bench, &sink)?;
        bench.postgres.fresh()?;
        let server = product::start(bench, &bench.postgres.measured(), &Mail::Smtp(sink.url.clone()))?;
        let (before, start) = (sink.mails(), Instant::now());
        all[1].push(runs::measure(bench, &server, lane(&tape, 64))?.0);
        beside.push(rate(sink.mails() - before, start.elapsed()));
    }
    let mut outcome = Outcome::default();
    let intake = all[1].of(|run| run.rate).over(&all[0].of(|run| run.rate));
    outcome.remarks.push(format!("While events come in at full rate, {beside} mails/s are delivered beside."));
    let Delivered { rate, server_cpu, postgres_cpu, wal, dead, memory } = alone;
    outcome.remarks.push(format!(
        "A mail delivered with nothing beside costs {server_cpu} µs of the server's and {postgres_cpu} µs of Postgres's processor \
         time, {wal} bytes of write-ahead log and {dead} row versions; the server keeps within {memory} MiB."
    ));
    outcome.at_least("mails/s delivered to a local SMTP server", rate, 400.0, 1500.0);
    outcome.at_least("intake while mails are delivered ÷ with delivery off", intake, 0.7, 0.9);
    outcome.runs = all.into();
    Ok(outcome)
}

/// What delivery alone does, and what a mail costs.
#[derive(Default)]
struct Delivered {
    rate: Figures,
    server_cpu: Figures,
    postgres_cpu: Figures,
    wal: Figures,
    dead: Figures,
    memory: Figures,
}

impl Delivered {
    /// Delivers what is queued in the measured database, from the first mail on, until all is sent or the time is up.
    fn measure(&mut self, bench: &Bench, sink: &Sink) -> Result<()> {
        const QUEUED: &str = "SELECT count(*) AS number FROM outbox WHERE state = 'queued' AND next_at <= now()";
        let database = bench.postgres.measured();
        let queued = usize::try_from(postgres::count(&database, QUEUED)?)?;
        let (before, wal) = (sink.mails(), bench.postgres.wal()?);
        let dead = postgres::count(&database, postgres::DEAD)?;
        let server = product::start(bench, &database, &Mail::Smtp(sink.url.clone()))?;
        while sink.mails() == before {
            std::thread::sleep(Duration::from_millis(1));
        }
        let (first, start) = (sink.mails(), Instant::now());
        let cpu = (server.cpu()?, bench.postgres.cpu()?);
        while sink.mails() - before < queued && start.elapsed() < bench.time {
            std::thread::sleep(Duration::from_millis(2));
        }
        let (mails, time) = (sink.mails() - first, start.elapsed());
        ensure!(mails > 100, "of {queued} queued mails only {mails} were delivered: the rate is not known");
        let each = |of: f64| of / as_float(mails);
        self.rate.push(rate(mails, time));
        self.server_cpu.push(each(server.cpu()?.saturating_sub(cpu.0).as_secs_f64() * 1e6));
        self.postgres_cpu.push(each(bench.postgres.cpu()?.saturating_sub(cpu.1).as_secs_f64() * 1e6));
        self.memory.push(server.peak_memory()?);
        drop(server);
        let (wear, all) = (bench.postgres.wear(&database, wal)?, as_float(sink.mails() - before));
        self.wal.push(as_float(usize::try_from(wear.wal)?) / all);
        self.dead.push(as_float(usize::try_from(wear.dead - dead)?) / all);
        Ok(())
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn as_float(count: usize) -> f64 {
    count as f64
}

fn rate(count: usize, time: Duration) -> f64 {
    as_float(count) / time.as_secs_f64()
}
