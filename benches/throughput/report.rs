//! The tables, as text for a person and for `benches/RESULTS.md`.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use anyhow::Result;

use crate::Bench;
use crate::figures::{Figures, Goal};
use crate::rows::Outcome;
use crate::runs::{Run, Runs};

const HEAD: &str = "# Results of `make bench`\n\n\
    Medians of the rounds, with the least and the greatest in parentheses. A ratio is taken within each round. All processes share the machine: \
    Postgres, the receiver and the load generator.\n\n";

/// The whole report.
pub fn render(bench: &Bench, outcomes: &[Outcome], steal: f64) -> Result<String> {
    let mut text = format!("{HEAD}{}\n", machine(bench, steal)?);
    let lines: Vec<_> = outcomes.iter().flat_map(|outcome| &outcome.lines).collect();
    if !lines.is_empty() {
        text.push_str(
            "## Against what is owed\n\n| figure | measured | at least | then | |\n| --- | --- | --- | --- | --- |\n",
        );
        for line in lines {
            let verdict = verdict(&line.values, line.owed, line.aim);
            writeln!(text, "| {} | {} | {} | {} | {verdict} |", line.figure, line.values, line.owed, line.aim)?;
        }
    }
    let runs: Vec<_> = outcomes.iter().flat_map(|outcome| &outcome.runs).collect();
    if !runs.is_empty() {
        text.push_str(
            "\n## What they are made of\n\nCPU is processor time an event in µs; latencies are those of the closed loop; WAL is bytes an event, dead is row versions \
             made useless an event, memory is the greatest that was resident.\n\n\
             | | events/s | CPU server | CPU Postgres | p50 ms | p99 ms | memory MiB | WAL | dead | CPU generator |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
        );
        runs.iter().try_for_each(|runs| row(&mut text, runs))?;
    }
    let remarks: Vec<_> = outcomes.iter().flat_map(|outcome| &outcome.remarks).collect();
    if !remarks.is_empty() {
        text.push_str("\n## Remarks\n\n");
        remarks.iter().try_for_each(|remark| writeln!(text, "- {remark}"))?;
    }
    Ok(text)
}

fn verdict(values: &Figures, owed: Goal, aim: Goal) -> &'static str {
    match (owed.is_met(values), aim.is_met(values)) {
        (_, true) => "reached",
        (true, false) => "as owed",
        (false, false) => "**FALLS SHORT**",
    }
}

fn row(text: &mut String, runs: &Runs) -> std::fmt::Result {
    let cell = |figure: fn(&Run) -> f64| {
        let values = runs.of(figure);
        if values.median() > 0.0 { values.to_string() } else { "–".to_owned() }
    };
    let cells = [|r: &Run| r.rate, |r: &Run| r.server_cpu, |r: &Run| r.postgres_cpu, |r: &Run| r.p50, |r: &Run| r.p99]
        .map(cell);
    let more = [|r: &Run| r.memory, |r: &Run| r.wal, |r: &Run| r.dead, |r: &Run| r.generator_cpu].map(|f| {
        let median = runs.of(f).median();
        if median > 0.0 { crate::figures::number(median) } else { "–".to_owned() }
    });
    writeln!(text, "| {} | {} | {} |", runs.name, cells.join(" | "), more.join(" | "))
}

/// The machine's facts, but for its name.
fn machine(bench: &Bench, steal: f64) -> Result<String> {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("unknown", |(_, m)| m);
    let cores = std::thread::available_parallelism()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let rustc =
        Command::new("rustc").arg("--version").output().map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned());
    let body = bench.tape(crate::traffic::Traffic::Checkouts)?.body_length();
    Ok(format!(
        "- {} · {cores} × {model}, Linux {}\n- Postgres {} with its default settings, so durable (`fsync`, `synchronous_commit` and `full_page_writes` on), over TCP\n\
         - {} · ringup {}\n- {} rounds of {} s each · bodies of {body} bytes on average · {steal:.1} % of the machine's time taken by its host meanwhile\n",
        chrono::Utc::now().format("%Y-%m-%d"),
        kernel.trim(),
        bench.postgres.version()?,
        rustc.unwrap_or_default(),
        env!("CARGO_PKG_VERSION"),
        bench.rounds,
        bench.time.as_secs(),
    ))
}

/// The machine's processor time so far, and that which its host took, in ticks.
pub fn stolen() -> (f64, f64) {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks: Vec<f64> =
        text.lines().next().unwrap_or_default().split_whitespace().skip(1).filter_map(|n| n.parse().ok()).collect();
    (ticks.iter().sum(), ticks.get(7).copied().unwrap_or(0.0))
}
