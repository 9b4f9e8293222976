//! The measure of the machine: pgbench, one insert of a 3 KB document a transaction, prepared, over TCP as all others.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::Bench;
use crate::runs::Run;
use crate::traffic::sample_body;

const TABLE: &str = "CREATE TABLE inserts (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body jsonb NOT NULL)";
const SCRIPT: &str = "INSERT INTO inserts (body) VALUES (:body);\n";
/// Seconds in which its backends warm up, as the receivers do: with 256 clients the first has half the rate of the others.
const WARM_UP: usize = 1;

/// Inserts with `clients` connections for the usual time, once they are warm. Processor time and log are of the warm-up, too.
pub fn run(bench: &Bench, clients: usize) -> Result<Run> {
    let postgres = &bench.postgres;
    postgres.fresh()?;
    postgres.prepare(TABLE)?;
    let script = bench.home.join("insert.sql");
    fs::write(&script, SCRIPT)?;
    let (wal, cpu) = (postgres.wal()?, postgres.cpu()?);
    let mut pgbench = Command::new(postgres.program("pgbench"));
    pgbench.args(["--no-vacuum", "--protocol=prepared", "--jobs", &clients.min(2).to_string()]);
    pgbench.args(["--client", &clients.to_string(), "--progress", "1"]);
    let seconds = usize::try_from(bench.time.as_secs())?.max(1);
    pgbench.arg("--time").arg((WARM_UP + seconds).to_string());
    pgbench.arg("--file").arg(&script).arg("--define").arg(format!("body={}", sample_body()?));
    let output = pgbench.arg(postgres.measured()).output().context("running pgbench")?;
    ensure!(output.status.success(), "pgbench: {}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout);
    let inserts = figure(&said, "number of transactions actually processed: ")?;
    let cpu = postgres.cpu()?.saturating_sub(cpu).as_secs_f64() * 1e6 / inserts;
    let wear = postgres.wear(&postgres.measured(), wal)?;
    let rate = rate(&String::from_utf8_lossy(&output.stderr), seconds)?;
    let mean = f64::from(u32::try_from(clients)?) * 1e3 / rate;
    Ok(Run { rate, mean, postgres_cpu: cpu, wal: per(wear.wal, inserts), ..Run::default() })
}

/// Of the seconds after the warm-up, as pgbench reports its progress; it does not always report the last one.
fn rate(progress: &str, seconds: usize) -> Result<f64> {
    let later = progress.lines().filter_map(|line| line.split_once(" s, ")).skip(WARM_UP).take(seconds);
    let rates: Vec<f64> = later.map(|(_, second)| figure(second, "")).collect::<Result<_>>()?;
    ensure!(!rates.is_empty(), "pgbench did not say how it went on: {progress}");
    Ok(rates.iter().sum::<f64>() / f64::from(u32::try_from(rates.len())?))
}

#[allow(clippy::cast_precision_loss, reason = "bytes of one measurement are far below 2^52")]
fn per(bytes: i64, inserts: f64) -> f64 {
    bytes as f64 / inserts
}

/// The number behind a label of pgbench's report.
fn figure(said: &str, label: &str) -> Result<f64> {
    let (_, rest) = said.split_once(label).with_context(|| format!("pgbench did not say {label:?}: {said}"))?;
    let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    rest[..digits].parse().with_context(|| format!("pgbench said an odd {label:?}: {said}"))
}
