//! The Postgres of a run: a private one with Postgres's own defaults, which are durable, and a fresh database for each
//! measurement.

use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use diesel::sql_types::{BigInt, Text};
use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl, sql_query};
use ringup::dev::postgres::{Cluster, Options};

use crate::process;

/// Undoes what `ringup dev` sets for a small cluster: these are Postgres's own defaults, but for the connections.
const DEFAULTS: &str =
    "-c shared_buffers=128MB -c wal_level=replica -c max_wal_senders=10 -c max_wal_size=1GB -c jit=on";
/// The same, with statements counted.
const COUNTING: &str = "-c shared_buffers=128MB -c wal_level=replica -c max_wal_senders=10 -c max_wal_size=1GB -c jit=on \
                        -c shared_preload_libraries=pg_stat_statements -c pg_stat_statements.track_planning=on";
/// What each measured database is a copy of.
const TEMPLATE: &str = "ringup_template";
/// The database of the measurement in hand.
const MEASURED: &str = "measured";

/// Row versions of a database that were made useless so far.
pub const DEAD: &str = "SELECT COALESCE(sum(n_tup_upd + n_tup_del), 0)::bigint AS number FROM pg_stat_user_tables";

/// A running server.
pub struct Postgres {
    cluster: Cluster,
    admin: RefCell<PgConnection>,
}

/// What a database's life cost Postgres, beside processor time.
pub struct Wear {
    /// Bytes of write-ahead log.
    pub wal: i64,
    /// Row versions that were made useless.
    pub dead: i64,
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

#[derive(QueryableByName)]
struct Word {
    #[diesel(sql_type = Text)]
    word: String,
}

impl Postgres {
    /// Starts it in `home`, with a migrated template. Statements are counted where `counting`.
    pub fn start(home: &Path, counting: bool) -> Result<Self> {
        let more = if counting { COUNTING } else { DEFAULTS };
        let options = Options { max_connections: 400, more, ..Options::default() };
        // One that a killed run has left behind may have other settings.
        Cluster::open(home, &options)?.stop()?;
        let cluster = Cluster::open(home, &options)?;
        let admin = PgConnection::establish(&cluster.url("postgres"))?;
        let postgres = Self { cluster, admin: RefCell::new(admin) };
        for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
            ensure!(
                postgres.word(&format!("SELECT current_setting('{setting}') AS word"))? == "on",
                "{setting} is off"
            );
        }
        for leftover in [TEMPLATE, MEASURED, crate::fill::DATABASE] {
            postgres.drop(leftover)?;
        }
        postgres.cluster.create_database(TEMPLATE)?;
        ringup::db::migrate(&postgres.url(TEMPLATE))?;
        Ok(postgres)
    }

    /// The URL of a database.
    pub fn url(&self, database: &str) -> String {
        self.cluster.url(database)
    }

    /// The URL of the measured database.
    pub fn measured(&self) -> String {
        self.url(MEASURED)
    }

    /// Makes the measured database anew, and has no checkpoint due.
    pub fn fresh(&self) -> Result<()> {
        self.drop(MEASURED)?;
        self.execute(&format!("CREATE DATABASE {MEASURED} TEMPLATE {TEMPLATE}"))?;
        self.execute("CHECKPOINT")
    }

    /// Makes a database from the migrated template, unless it is there.
    pub fn copy_of_template(&self, name: &str) -> Result<()> {
        let there = self.number(&format!("SELECT count(*) AS number FROM pg_database WHERE datname = '{name}'"))? > 0;
        if there { Ok(()) } else { self.execute(&format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}")) }
    }

    /// Runs statements in the measured database.
    pub fn prepare(&self, sql: &str) -> Result<()> {
        let mut conn = PgConnection::establish(&self.measured())?;
        diesel::connection::SimpleConnection::batch_execute(&mut conn, sql).context("preparing the measured database")
    }

    /// Bytes of write-ahead log written so far.
    pub fn wal(&self) -> Result<i64> {
        self.number("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint AS number")
    }

    /// What `database` has been through, once all others have left it, since its log stood at `wal`.
    pub fn wear(&self, database: &str, wal: i64) -> Result<Wear> {
        let name = database.rsplit('/').next().unwrap_or_default();
        let others = format!(
            "SELECT count(*) AS number FROM pg_stat_activity WHERE datname = '{name}' AND backend_type = 'client backend'"
        );
        // Backends write their statistics as they leave.
        while self.number(&others)? > 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        let wal = self.wal()? - wal;
        Ok(Wear { wal, dead: count(database, DEAD)? })
    }

    /// The processor time of all its processes.
    pub fn cpu(&self) -> Result<Duration> {
        let first = self.cluster.pid().context("Postgres is gone")?;
        process::family_cpu(u32::try_from(first)?)
    }

    /// Its version.
    pub fn version(&self) -> Result<String> {
        self.word("SELECT current_setting('server_version') AS word")
    }

    /// The path of one of its programs.
    pub fn program(&self, name: &str) -> std::path::PathBuf {
        self.cluster.program(name)
    }

    /// Drops a database.
    pub fn drop(&self, name: &str) -> Result<()> {
        self.execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
    }

    /// Runs one statement outside of any transaction.
    pub fn execute(&self, sql: &str) -> Result<()> {
        sql_query(sql).execute(&mut *self.admin.borrow_mut()).map(drop).with_context(|| sql.to_owned())
    }

    fn number(&self, sql: &str) -> Result<i64> {
        Ok(sql_query(sql).get_result::<Number>(&mut *self.admin.borrow_mut()).with_context(|| sql.to_owned())?.number)
    }

    fn word(&self, sql: &str) -> Result<String> {
        Ok(sql_query(sql).get_result::<Word>(&mut *self.admin.borrow_mut()).with_context(|| sql.to_owned())?.word)
    }
}

/// The number that a query on a database selects as `number`.
pub fn count(database: &str, sql: &str) -> Result<i64> {
    let mut conn = PgConnection::establish(database)?;
    Ok(sql_query(sql).get_result::<Number>(&mut conn).with_context(|| sql.to_owned())?.number)
}
