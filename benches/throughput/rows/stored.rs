//! The rate with millions of events stored, beside that on empty tables.

use super::Outcome;
use crate::Bench;
use crate::fill;
use crate::product::{self, Mail};
use crate::runs::{self, Runs, lane};
use crate::traffic::{Tape, Traffic};
use anyhow::Result;
use std::rc::Rc;

/// Empty and filled in turn. The filled database stays between rounds; each round sends events of its own.
pub fn measure(bench: &Bench) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let Some(events) = bench.stored else {
        outcome.remarks.push(
            "With 5 million events stored: see `RESULTS-5M.md`; `make bench ARGS='--only stored --with-5m'` takes minutes.".into(),
        );
        return Ok(outcome);
    };
    outcome.remarks.push(fill::fill(bench, events)?);
    let database = bench.postgres.url(fill::DATABASE);
    let mut all = [Runs::new("empty tables, 64"), Runs::new(format!("{events} events stored, 64"))];
    for _ in 0..bench.rounds {
        let tape = Rc::new(Tape::make(Traffic::Checkouts, bench.numbers(bench.enough()), bench.enough())?);
        all[0].push(runs::product(bench, &tape, 64)?);
        bench.postgres.execute("CHECKPOINT")?;
        let server = product::start(bench, &database, &Mail::Queued)?;
        all[1].push(runs::measure(bench, &server, lane(&tape, 64))?.0);
    }
    let ratio = all[1].of(|run| run.rate).over(&all[0].of(|run| run.rate));
    outcome.at_least("events/s with 5 million events stored ÷ on empty tables", ratio, 0.85, 0.95);
    outcome.runs = all.into();
    bench.postgres.drop(fill::DATABASE)?;
    Ok(outcome)
}
