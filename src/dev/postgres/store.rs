//! The few statements that dev and the tests send to a cluster as a whole.

use anyhow::{Context, Result};
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};

/// Whether the server behind the URL answers a query; a frozen one accepts connections and says nothing.
pub fn answers(url: &str) -> bool {
    PgConnection::establish(&format!("{url}?connect_timeout=3"))
        .is_ok_and(|mut conn| diesel::sql_query("SELECT 1").execute(&mut conn).is_ok())
}

/// Creates the database where it is missing; `name` is our own word, never a person's input.
pub fn create_database(url: &str, name: &str) -> Result<()> {
    let mut conn = PgConnection::establish(url).context("connecting to the private Postgres")?;
    let exists: bool = diesel::select(
        diesel::dsl::sql::<Bool>("EXISTS (SELECT 1 FROM pg_database WHERE datname = ").bind::<Text, _>(name).sql(")"),
    )
    .get_result(&mut conn)?;
    if !exists {
        diesel::sql_query(format!("CREATE DATABASE \"{name}\"")).execute(&mut conn)?;
    }
    Ok(())
}
