//! Ten thousand connections that say nothing, and 64 that work.

use super::Outcome;
use crate::Bench;
use crate::figures::Figures;
use crate::product::{self, Mail};
use crate::runs::{self, Runs, lane};
use crate::traffic::Traffic;
use anyhow::{Context, Result};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::net::TcpStream;

const IDLE: usize = 10_000;
/// Files that the generator and the server have open beside those.
const OTHERS: u64 = 1_000;

/// Memory with them, and the rate of those that work.
pub fn measure(bench: &Bench) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    if let Err(why) = raise_limit() {
        outcome.remarks.push(format!("10,000 idle connections: not measured, {why}."));
        return Ok(outcome);
    }
    let tape = bench.tape(Traffic::Checkouts)?;
    let (mut memory, mut all) = (Figures::default(), Runs::new("64 connections beside 10,000 idle ones"));
    for _ in 0..bench.rounds {
        bench.postgres.fresh()?;
        let server = product::start(bench, &bench.postgres.measured(), &Mail::Queued)?;
        let idle: Result<Vec<_>, _> = (0..IDLE).map(|_| TcpStream::connect(server.address)).collect();
        let idle = idle.context("opening idle connections")?;
        let (run, _) = runs::measure(bench, &server, lane(&tape, 64))?;
        memory.push(server.memory()?);
        all.push(run);
        drop(idle);
    }
    outcome.at_most("resident memory with 10,000 idle connections, MiB", memory, 150.0, 100.0);
    outcome.runs.push(all);
    Ok(outcome)
}

/// The limit is inherited by the server.
fn raise_limit() -> Result<(), String> {
    let (mut limit, wanted) = (getrlimit(Resource::Nofile), IDLE as u64 + OTHERS);
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = limit.maximum.map_or(Some(wanted), |maximum| Some(maximum.min(wanted)));
        setrlimit(Resource::Nofile, limit)
            .map_err(|error| format!("the limit of open files can't be raised: {error}"))?;
    }
    match getrlimit(Resource::Nofile).current {
        Some(files) if files < wanted => Err(format!("a process may have {files} files open, and {wanted} are needed")),
        _ => Ok(()),
    }
}
