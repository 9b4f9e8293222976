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

/// Delivery off and on in turn. What is queued while events come in is more than is delivered meanwhile, so that
/// afterwards delivery alone can be measured.
pub fn measure(bench: &Bench) -> Result<Outcome> {
    let (tape, sink) = (bench.tape(Traffic::Checkouts)?, Sink::start()?);
    let mut all = [Runs::new("delivery off, 64"), Runs::new("delivery on, 64")];
    let (mut beside, mut alone) = (Figures::default(), Figures::default());
    for _ in 0..bench.rounds {
        all[0].push(runs::product(bench, &tape, 64)?);
        bench.postgres.fresh()?;
        let server = product::start(bench, &bench.postgres.measured(), &Mail::Smtp(sink.url.clone()))?;
        let (before, start) = (sink.mails(), Instant::now());
        all[1].push(runs::measure(bench, &server, lane(&tape, 64))?.0);
        beside.push(rate(sink.mails() - before, start.elapsed()));
        let (before, start) = (sink.mails(), Instant::now());
        std::thread::sleep(bench.time);
        let queued = postgres::count(
            &bench.postgres.measured(),
            "SELECT count(*) AS number FROM outbox WHERE state = 'queued' AND next_at <= now()",
        )?;
        alone.push(rate(sink.mails() - before, start.elapsed()));
        ensure!(queued > 0, "all mails were delivered before the time was up: the rate is not known");
    }
    let mut outcome = Outcome::default();
    let intake = all[1].of(|run| run.rate).over(&all[0].of(|run| run.rate));
    outcome.remarks.push(format!("While events come in at full rate, {beside} mails/s are delivered beside."));
    outcome.at_least("mails/s delivered to a local SMTP server", alone, 400.0, 1500.0);
    outcome.at_least("intake while mails are delivered ÷ with delivery off", intake, 0.7, 0.9);
    outcome.runs = all.into();
    Ok(outcome)
}

#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn rate(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}
