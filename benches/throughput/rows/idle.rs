//! One event at a time on a server that has nothing else to do, beside one insert of one pgbench client, and beside a receiver
//! that does nothing but such an insert.

use super::Outcome;
use crate::figures::Figures;
use crate::paced::one_by_one;
use crate::process::Receiver;
use crate::product::{self, Mail};
use crate::receivers;
use crate::traffic::{Tape, Traffic};
use crate::{Bench, Role, pgbench};
use anyhow::Result;
use std::time::Duration;

/// One figure a round: means, since pgbench tells no median.
pub fn measure(bench: &Bench) -> Result<Outcome> {
    let tape = Tape::make(Traffic::Checkouts, bench.numbers(40_000), 40_000)?;
    let (mut inserts, mut alone) = (Figures::default(), Figures::default());
    let (mut events, mut half) = (Figures::default(), Figures::default());
    for _ in 0..bench.rounds {
        inserts.push(pgbench::run(bench, 1)?.mean);
        bench.postgres.fresh()?;
        let (mean, median) =
            latencies(bench, &product::start(bench, &bench.postgres.measured(), &Mail::Files)?, &tape)?;
        events.push(mean);
        half.push(median);
        alone.push(latencies(bench, &receivers::start(bench, Role::OneInsert)?, &tape)?.0);
    }
    let mut outcome = Outcome::default();
    outcome.remarks.push(format!(
        "One at a time: an event takes {events} ms (median {half} ms), one of pgbench's inserts {inserts} ms. A receiver that \
         does nothing but one insert takes {alone} ms, {} times as long as pgbench.",
        alone.over(&inserts)
    ));
    outcome.at_most("one event on an idle server ÷ one pgbench insert", events.over(&inserts), 1.5, 1.2);
    Ok(outcome)
}

/// Mean and median of one event after the other, once the server is warm.
fn latencies(bench: &Bench, server: &Receiver, tape: &Tape) -> Result<(f64, f64)> {
    one_by_one(server.address, tape, 0, Duration::from_millis(500))?;
    let latencies = one_by_one(server.address, tape, tape.len() / 2, bench.time)?;
    Ok((latencies.mean(), latencies.percentile(0.5)))
}
