//! Which statements the product's work is made of: how often each runs and what it takes, by `pg_stat_statements`.

use super::Outcome;
use crate::Bench;
use crate::product::{self, Mail};
use crate::runs::{self, Runs, lane};
use crate::smtp::Sink;
use crate::traffic::Traffic;
use anyhow::Result;
use diesel::sql_types::{BigInt, Double, Text};
use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl, sql_query};

#[derive(QueryableByName)]
struct Statement {
    #[diesel(sql_type = Text)]
    query: String,
    #[diesel(sql_type = BigInt)]
    calls: i64,
    #[diesel(sql_type = BigInt)]
    rows: i64,
    #[diesel(sql_type = Double)]
    planning: f64,
    #[diesel(sql_type = Double)]
    running: f64,
    #[diesel(sql_type = BigInt)]
    blocks: i64,
    #[diesel(sql_type = BigInt)]
    wal: i64,
}

const QUERY: &str = "SELECT left(regexp_replace(query, '\\s+', ' ', 'g'), 90) AS query, calls, rows, total_plan_time AS planning, \
    total_exec_time AS running, shared_blks_hit + shared_blks_read AS blocks, wal_bytes::bigint AS wal FROM pg_stat_statements s \
    JOIN pg_database d ON d.oid = s.dbid AND d.datname = current_database() WHERE calls > 5 ORDER BY total_plan_time + total_exec_time DESC LIMIT 20";

/// Intake alone, then with delivery beside. Not measured unless asked for: counting statements costs time.
pub fn measure(bench: &Bench) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    if !bench.statements {
        return Ok(outcome);
    }
    let (tape, sink) = (bench.tape(Traffic::Checkouts)?, Sink::start()?);
    for (mail, name) in [(Mail::Queued, "delivery off, 64"), (Mail::Smtp(sink.url), "delivery on, 64")] {
        bench.postgres.fresh()?;
        bench
            .postgres
            .prepare("CREATE EXTENSION IF NOT EXISTS pg_stat_statements; SELECT pg_stat_statements_reset()")?;
        let server = product::start(bench, &bench.postgres.measured(), &mail)?;
        let (run, stored) = runs::measure(bench, &server, lane(&tape, 64))?;
        drop(server);
        let mut conn = PgConnection::establish(&bench.postgres.measured())?;
        for statement in sql_query(QUERY).load::<Statement>(&mut conn)? {
            outcome.remarks.push(tell(name, &statement, stored));
        }
        let mut runs = Runs::new(name);
        runs.push(run);
        outcome.runs.push(runs);
    }
    Ok(outcome)
}

#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn tell(name: &str, statement: &Statement, events: usize) -> String {
    let (calls, each) = (statement.calls as f64, 1000.0 / events as f64);
    format!(
        "{name}: {:.1} µs an event planning, {:.1} running; {} calls of {:.3} + {:.3} ms, {:.0} rows, {:.0} blocks, {:.0} bytes of WAL each: `{}`",
        statement.planning * each,
        statement.running * each,
        statement.calls,
        statement.planning / calls,
        statement.running / calls,
        statement.rows as f64 / calls,
        statement.blocks as f64 / calls,
        statement.wal as f64 / calls,
        statement.query,
    )
}
