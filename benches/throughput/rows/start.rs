//! From starting the binary to the first acknowledged event, on a migrated database.

use super::Outcome;
use crate::Bench;
use crate::figures::Figures;
use crate::paced::Connection;
use crate::product::{self, Mail};
use crate::traffic::{Tape, Traffic};
use crate::wire::Answer;
use anyhow::{Result, ensure};
use std::time::Instant;

/// Several starts a round; the round's value is their median.
pub fn measure(bench: &Bench) -> Result<Outcome> {
    const STARTS: usize = 5;
    let mut times = Figures::default();
    for _ in 0..bench.rounds {
        bench.postgres.fresh()?;
        let tape = Tape::make(Traffic::Checkouts, bench.numbers(STARTS * 4), STARTS * 4)?;
        let mut round = Figures::default();
        for n in 0..STARTS {
            let start = Instant::now();
            let server = product::start(bench, &bench.postgres.measured(), &Mail::Files)?;
            let answer = Connection::open(server.address)?.ask(tape.request(n * 4))?;
            round.push(start.elapsed().as_secs_f64() * 1000.0);
            ensure!(answer == Answer::Accepted, "the first event was answered {answer:?}");
        }
        times.push(round.median());
    }
    let mut outcome = Outcome::default();
    outcome.at_most("start of the binary to the first acknowledged event, ms", times, 150.0, 60.0);
    Ok(outcome)
}
