//! Events a second beside pgbench's inserts, a receiver with one insert a request, and the server without a database.

use super::Outcome;
use crate::runs::{self, Runs};
use crate::traffic::Traffic;
use crate::{Bench, Role, pgbench};
use anyhow::Result;

/// Everything at 64 connections.
pub fn at_64(bench: &Bench) -> Result<Outcome> {
    let [inserts, product, one_insert, nothing] = alternate(bench, 64)?;
    let mut outcome = Outcome::default();
    let ratio = product.of(|run| run.rate).over(&inserts.of(|run| run.rate));
    outcome.at_least("events/s at 64 connections ÷ pgbench's inserts/s at 64 clients", ratio, 1.7, 2.5);
    let cpu = product.of(|run| run.server_cpu + run.postgres_cpu);
    outcome.at_most("CPU an event at 64, server + Postgres, µs", cpu, 100.0, 60.0);
    outcome.runs = vec![inserts, product, one_insert, nothing];
    Ok(outcome)
}

/// Everything at 256 connections.
pub fn at_256(bench: &Bench) -> Result<Outcome> {
    let [inserts, product, one_insert, nothing] = alternate(bench, 256)?;
    let mut outcome = Outcome::default();
    let rate = product.of(|run| run.rate);
    let over = |other: &Runs| rate.over(&other.of(|run| run.rate));
    outcome.at_least("events/s at 256 connections ÷ pgbench's inserts/s at 256 clients", over(&inserts), 2.5, 3.5);
    outcome.at_least("the same ÷ a receiver with one insert a request", over(&one_insert), 4.0, 6.0);
    outcome.at_least("the same ÷ the server without a database", over(&nothing), 0.25, 0.40);
    outcome.at_most("resident memory at 256 under full load, MiB", product.of(|run| run.memory), 48.0, 32.0);
    outcome.runs = vec![inserts, product, one_insert, nothing];
    Ok(outcome)
}

fn alternate(bench: &Bench, connections: usize) -> Result<[Runs; 4]> {
    let tape = bench.tape(Traffic::Checkouts)?;
    let mut all = ["pgbench, one insert", "ringup", "one insert a request", "without a database"]
        .map(|name| Runs::new(format!("{name}, {connections}")));
    for _ in 0..bench.rounds {
        all[0].push(pgbench::run(bench, connections)?);
        all[1].push(runs::product(bench, &tape, connections)?);
        all[2].push(runs::baseline(bench, Role::OneInsert, &tape, connections)?);
        all[3].push(runs::baseline(bench, Role::Nothing, &tape, connections)?);
    }
    Ok(all)
}
