//! One order that receives everything; and that it does not delay the others.

use super::Outcome;
use crate::Bench;
use crate::figures::Figures;
use crate::load::{Lane, closed};
use crate::product::{self, Mail};
use crate::runs::{self, Runs, lane};
use crate::traffic::Traffic;
use anyhow::{Result, ensure};
use std::time::Duration;

/// Normal traffic, the hot order, and half of each, in turn.
pub fn measure(bench: &Bench) -> Result<Outcome> {
    let (normal, hot) = (bench.tape(Traffic::Checkouts)?, bench.tape(Traffic::Hot)?);
    let mut all = [Runs::new("checkouts, 64"), Runs::new("one hot order, 64")];
    let (mut beside, mut others) = (Figures::default(), Figures::default());
    for _ in 0..bench.rounds {
        all[0].push(runs::product(bench, &normal, 64)?);
        all[1].push(runs::product(bench, &hot, 64)?);
        bench.postgres.fresh()?;
        let server = product::start(bench, &bench.postgres.measured(), &Mail::Queued)?;
        let lanes: [Lane; 2] = [lane(&hot, 32), lane(&normal, 32)];
        closed(server.address, &lanes, Duration::from_millis(700))?;
        let loads = closed(server.address, &lanes, bench.time)?;
        ensure!(loads.iter().all(|load| load.counts.refused == 0), "requests were refused");
        beside.push(loads[1].latencies.percentile(0.99));
        others.push(loads[1].rate());
    }
    let mut outcome = Outcome::default();
    let ratio = all[1].of(|run| run.rate).over(&all[0].of(|run| run.rate));
    let slower = beside.over(&all[0].of(|run| run.p99));
    outcome.at_least("one hot order that receives everything ÷ the normal rate", ratio, 0.6, 0.9);
    outcome.remarks.push(format!(
        "Beside a hot order on 32 of 64 connections, the other 32 take {others} events/s, p99 {beside} ms: {slower} times that of 64 normal ones."
    ));
    outcome.runs = all.into();
    Ok(outcome)
}
