//! A database a test. STAND-IN until the real one lands: it expects a server on port 55432.

use diesel::prelude::*;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

pub struct TestDb(String);

impl TestDb {
    pub fn new() -> Self {
        let name = format!("t{}", uuid::Uuid::now_v7().simple());
        let mut admin = PgConnection::establish("postgres://postgres@127.0.0.1:55432/postgres").unwrap();
        diesel::sql_query(format!("CREATE DATABASE {name}")).execute(&mut admin).unwrap();
        let url = format!("postgres://postgres@127.0.0.1:55432/{name}");
        PgConnection::establish(&url).unwrap().run_pending_migrations(MIGRATIONS).unwrap();
        Self(url)
    }

    pub fn url(&self) -> &str {
        &self.0
    }
}
