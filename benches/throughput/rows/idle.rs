//! One event at a time on a server that has nothing else to do, beside one insert of one pgbench client.

use super::Outcome;
use crate::figures::Figures;
use crate::paced::one_by_one;
use crate::product::{self, Mail};
use crate::traffic::{Tape, Traffic};
use crate::{Bench, pgbench};
use anyhow::Result;
use std::time::Duration;

/// One figure a round: means, since pgbench tells no median.
pub fn measure(bench: &Bench) -> Result<Outcome> {
    let tape = Tape::make(Traffic::Checkouts, bench.numbers(40_000), 40_000)?;
    let (mut inserts, mut events, mut half) = (Figures::default(), Figures::default(), Figures::default());
    for _ in 0..bench.rounds {
        inserts.push(pgbench::run(bench, 1)?.mean);
        bench.postgres.fresh()?;
        let server = product::start(bench, &bench.postgres.measured(), &Mail::Files)?;
        one_by_one(server.address, &tape, 0, Duration::from_millis(500))?;
        let latencies = one_by_one(server.address, &tape, tape.len() / 2, bench.time)?;
        events.push(latencies.mean());
        half.push(latencies.percentile(0.5));
    }
    let mut outcome = Outcome::default();
    outcome.remarks.push(format!(
        "One at a time: an event takes {events} ms (median {half} ms), one of pgbench's inserts {inserts} ms."
    ));
    outcome.at_most("one event on an idle server ÷ one pgbench insert", events.over(&inserts), 1.5, 1.2);
    Ok(outcome)
}
