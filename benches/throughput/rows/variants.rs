//! Other traffic at 64 connections: with duplicates, with every lifecycle, with the events of a checkout apart.

use super::Outcome;
use crate::Bench;
use crate::runs::{self, Runs};
use crate::traffic::Traffic;
use anyhow::Result;

/// Each kind in turn.
pub fn measure(bench: &Bench) -> Result<Outcome> {
    let kinds = [
        (Traffic::Checkouts, "checkouts, 64"),
        (Traffic::Spread, "checkouts, their events 1,000 requests apart, 64"),
        (Traffic::Duplicates, "checkouts with 30 % duplicates, 64"),
        (Traffic::Mixed, "every lifecycle mixed, 64"),
    ];
    let mut all = kinds.map(|(_, name)| Runs::new(name));
    for _ in 0..bench.rounds {
        for (runs, (traffic, _)) in all.iter_mut().zip(kinds) {
            runs.push(runs::product(bench, &bench.tape(traffic)?, 64)?);
        }
    }
    Ok(Outcome { runs: all.into(), ..Outcome::default() })
}
