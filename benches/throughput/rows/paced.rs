//! How long an answer takes while 500 events a second come in, workers running.

use super::Outcome;
use crate::Bench;
use crate::figures::Figures;
use crate::paced::open_loop;
use crate::product::{self, Mail};
use crate::traffic::{Tape, Traffic};
use anyhow::Result;
use std::time::Duration;

const PERIOD: Duration = Duration::from_millis(2);
const WARM_UP: Duration = Duration::from_secs(1);

/// One figure a round.
pub fn measure(bench: &Bench) -> Result<Outcome> {
    let time = bench.time * 2;
    let events = usize::try_from((WARM_UP + time).as_micros() / PERIOD.as_micros())?;
    let tape = Tape::make(Traffic::Checkouts, bench.numbers(events), events)?;
    let (mut half, mut most, mut cpu) = (Figures::default(), Figures::default(), Figures::default());
    for _ in 0..bench.rounds {
        bench.postgres.fresh()?;
        let server = product::start(bench, &bench.postgres.measured(), &Mail::Files)?;
        let warm = usize::try_from(WARM_UP.as_micros() / PERIOD.as_micros())?;
        open_loop(server.address, &tape, 0, PERIOD, WARM_UP)?;
        let before = server.cpu()? + bench.postgres.cpu()?;
        let latencies = open_loop(server.address, &tape, warm, PERIOD, time)?;
        cpu.push(
            (server.cpu()? + bench.postgres.cpu()?).saturating_sub(before).as_secs_f64() / time.as_secs_f64() * 100.0,
        );
        half.push(latencies.percentile(0.5));
        most.push(latencies.percentile(0.99));
    }
    let mut outcome = Outcome::default();
    outcome
        .remarks
        .push(format!("At 500 events/s with mail delivered to files, server and Postgres use {cpu} % of one core."));
    outcome.at_most("answer at 500/s paced, p50, ms", half, 2.0, 1.0);
    outcome.at_most("answer at 500/s paced, p99, ms", most, 15.0, 8.0);
    Ok(outcome)
}
