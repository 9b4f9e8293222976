//! The database: connections, embedded migrations, the schema.
//!
//! libpq has no client-side deadline, so every connection is opened with the time-outs that it does have; what they
//! cannot bound (a network that forgets a connection, a pooler that stalls, a frozen server) is ended by us: the socket of
//! a connection that waits for too long is closed (`deadline.rs`).

mod column;
mod deadline;
mod pool;
pub mod schema;
mod socket;
mod sql;
mod statement;
mod together;

pub use column::{Column, Field};
pub use pool::{DbPool, PooledPg};
pub use sql::Sql;
pub(crate) use statement::prepared;
pub use statement::{Bound, Prepared, Values};
pub use together::{Ask, Change, Part, Parts, ask, change};

use anyhow::{Context, bail};
use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::{Connection, QueryableByName, RunQueryDsl, sql_query};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use std::sync::Arc;
use std::time::Duration;

use deadline::Watch;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

/// Any constant will do, as long as every `ringup` uses the same.
const MIGRATION_LOCK: i64 = 0x7269_6e67_7570;

/// Of all tables that may be large.
const ANALYZE: &str = "ANALYZE events, payloads, orders, order_references, outbox, attempts, pending";

/// Seconds, milliseconds and counts as libpq wants them.
const LIBPQ: [(&str, &str); 6] = [
    ("connect_timeout", "2"),
    ("tcp_user_timeout", "5000"),
    ("keepalives_idle", "5"),
    ("keepalives_interval", "2"),
    ("keepalives_count", "3"),
    ("application_name", "ringup"),
];

/// What every session is told. A statement that waits longer than this for a lock is another writer's victim. Compiling
/// a statement takes a hundred times as long as running any of ours.
const SESSION: &str = "SET statement_timeout = '10s'; SET lock_timeout = '1s'; \
                       SET idle_in_transaction_session_timeout = '10s'; SET synchronous_commit = 'on'; SET jit = off";

/// How long each host may take to let us in, where somebody waits for an answer: handlers answer after 2 s.
const CONNECT_LIMIT: Duration = Duration::from_millis(1500);
/// How long a statement may take there. What takes longer is answered 503 anyway.
const STATEMENT_LIMIT: Duration = Duration::from_millis(1750);
/// The same for commands, where a person waits: a little more than libpq's and the server's own time-outs.
const PATIENT_CONNECT_LIMIT: Duration = Duration::from_secs(5);
const PATIENT_STATEMENT_LIMIT: Duration = Duration::from_secs(12);

/// `url` with the time-outs that it does not set itself.
pub fn with_timeouts(url: &str) -> String {
    let missing = LIBPQ.iter().filter(|(key, _)| !url.contains(key));
    missing.fold(url.to_owned(), |url, (key, value)| with_parameter(&url, key, value))
}

/// `url` with one parameter more, which wins over what stands before it.
fn with_parameter(url: &str, key: &str, value: &str) -> String {
    let separator = match (url.contains("://"), url.contains('?')) {
        (false, _) => ' ',
        (true, true) => '&',
        (true, false) => '?',
    };
    format!("{url}{separator}{key}={value}")
}

/// Opens one connection for a command.
pub fn connect(url: &str) -> anyhow::Result<PgConnection> {
    open(url, PATIENT_CONNECT_LIMIT, Some(PATIENT_STATEMENT_LIMIT)).map(|(conn, _)| conn)
}

/// Opens one connection. Connecting to each host has a deadline, and each statement has one from then on; none where
/// `statement` is `None`.
fn open(url: &str, connect: Duration, statement: Option<Duration>) -> anyhow::Result<(PgConnection, Arc<Watch>)> {
    let watch = Watch::connecting(url, connect);
    let established = PgConnection::establish(&watch.marked(&with_timeouts(url)));
    let mut conn = established.context("cannot connect to DATABASE_URL")?;
    watch.attach(&mut conn);
    conn.batch_execute(SESSION).context("cannot set up the session")?;
    let whose: Backend = sql_query(BACKEND).get_result(&mut conn).context("cannot set up the session")?;
    watch.set_backend(whose.pid, whose.is_local);
    end_lost(&mut conn, url);
    watch.set_limit(statement);
    Ok((conn, watch))
}

const BACKEND: &str = "SELECT pg_backend_pid() AS pid, inet_client_addr() IS NULL AS is_local";

#[derive(QueryableByName)]
struct Backend {
    #[diesel(sql_type = diesel::sql_types::Integer)]
    pid: i32,
    #[diesel(sql_type = diesel::sql_types::Bool)]
    is_local: bool,
}

/// Ends the sessions behind connections that were closed for taking too long. The server may not have noticed: they hold
/// locks, or wait for a standby, and each takes one of its places. One that has done something just now is somebody else's.
fn end_lost(conn: &mut PgConnection, url: &str) {
    const END: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                       WHERE pid = ANY ($1) AND pid <> pg_backend_pid() AND usename = current_user \
                         AND application_name = current_setting('application_name') \
                         AND state_change < now() - interval '500 milliseconds'";
    let lost = deadline::take_lost(url);
    if lost.is_empty() {
        return;
    }
    let ended = sql_query(END).bind::<diesel::sql_types::Array<diesel::sql_types::Integer>, _>(&lost).execute(conn);
    if let Err(error) = ended {
        log::warn!(error:% = error; "sessions that hang at the database could not be ended; they may hold locks until its own time-outs end them");
        for backend in lost {
            deadline::lose(url, Some(backend));
        }
    }
}

/// Opens the writer's connection. All that it does is to look rows up by their keys, with statements that are planned once,
/// whatever their values: a plan that was made while a table was small must not read the whole of it when it is large. So
/// what is looked up is asked for row by row (`LATERAL … LIMIT 1`): of a join Postgres may read the table first.
pub fn connect_writer(url: &str) -> anyhow::Result<PgConnection> {
    const BY_KEYS: &str = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
                           SET plan_cache_mode = force_generic_plan";
    let (mut conn, _) = open(url, CONNECT_LIMIT, Some(STATEMENT_LIMIT))?;
    conn.batch_execute(BY_KEYS).context("cannot set up the session")?;
    Ok(conn)
}

/// A pool of at most `size` connections; none is opened until one is asked for. Waiting for one ends after 2 s.
pub fn pool(url: &str, size: u32) -> DbPool {
    DbPool::new(url, size)
}

/// Runs `work` with a connection of the pool, on a thread that may wait.
pub async fn with_connection<T, E>(
    pool: &DbPool,
    work: impl FnOnce(&mut PgConnection) -> Result<T, E> + Send + 'static,
) -> anyhow::Result<T>
where
    T: Send + 'static,
    E: Into<anyhow::Error>,
{
    let pool = pool.clone();
    tokio::task::spawn_blocking(move || pool.run(work)).await.context("a database step panicked")?
}

/// Applies what is pending; returns the names of what was applied. Safe from several processes at once: one works,
/// the others wait and then find nothing to do.
///
/// A schema that was there before has its tables analysed then: of a column that was made anew Postgres knows nothing, and
/// plans as if it did not matter, until autovacuum comes by.
pub fn migrate(url: &str) -> anyhow::Result<Vec<String>> {
    let (mut conn, _) = open(url, PATIENT_CONNECT_LIMIT, None)?;
    let unbounded =
        format!("SET statement_timeout = 0; SET lock_timeout = 0; SELECT pg_advisory_lock({MIGRATION_LOCK})");
    conn.batch_execute(&unbounded).context("cannot lock for migrating")?;
    let earlier =
        conn.applied_migrations().map_err(anyhow::Error::from_boxed).context("cannot read the schema's version")?;
    let applied =
        conn.run_pending_migrations(MIGRATIONS).map_err(anyhow::Error::from_boxed).context("a migration failed")?;
    let applied: Vec<String> = applied.iter().map(ToString::to_string).collect();
    if !earlier.is_empty() && !applied.is_empty() {
        conn.batch_execute(ANALYZE).context("the migrations are applied; run ANALYZE by hand, since it failed here")?;
    }
    Ok(applied)
}

/// Complains unless exactly the migrations that this build knows are applied: for the start.
pub fn check_schema(conn: &mut PgConnection) -> anyhow::Result<()> {
    check_migrated(conn)?;
    let known: Vec<String> = known_migrations()?;
    let applied = conn.applied_migrations().map_err(anyhow::Error::from_boxed)?;
    match applied.iter().map(ToString::to_string).find(|version| !known.contains(version)) {
        Some(version) => {
            bail!("the database's schema has migration {version}, which this build does not know; start a newer ringup")
        }
        None => Ok(()),
    }
}

/// Complains where a migration that this build knows is missing. A newer one does not harm what already runs: it was
/// made to expand first, and to contract when the old ones are gone.
pub fn check_migrated(conn: &mut PgConnection) -> anyhow::Result<()> {
    let pending = conn
        .pending_migrations(MIGRATIONS)
        .map_err(anyhow::Error::from_boxed)
        .context("cannot read the schema's version")?;
    if !pending.is_empty() {
        bail!("the database's schema is {} migration(s) behind; run `ringup migrate`", pending.len());
    }
    Ok(())
}

fn known_migrations() -> anyhow::Result<Vec<String>> {
    use diesel::migration::MigrationSource;
    let all = MigrationSource::<diesel::pg::Pg>::migrations(&MIGRATIONS).map_err(anyhow::Error::from_boxed)?;
    Ok(all.iter().map(|migration| migration.name().version().to_string()).collect())
}

/// Makes the newest migration undone; for tests of the `down.sql` files.
pub fn revert_all(conn: &mut PgConnection) -> anyhow::Result<()> {
    conn.revert_all_migrations(MIGRATIONS).map(drop).map_err(anyhow::Error::from_boxed)
}

#[derive(QueryableByName)]
struct One {
    #[diesel(sql_type = diesel::sql_types::Bool)]
    writable: bool,
}

/// Whether the database answers and takes writes.
pub fn is_writable(conn: &mut PgConnection) -> diesel::QueryResult<bool> {
    sql_query("SELECT NOT pg_is_in_recovery() AND current_setting('transaction_read_only') = 'off' AS writable")
        .get_result::<One>(conn)
        .map(|row| row.writable)
}
