//! Everything that makes `ringup dev` and `ringup trigger` work on a machine with nothing set up: a private
//! Postgres, a home for it with a lock and secrets, a sample shop, and the probe that posts its events.
//!
//! Invariants: what the sample shop sends goes through HTTP, signed, as Stripe's events do; nothing here writes an
//! event or an order. Two `dev`s never share a home. The environment is read by `config` alone: what this room
//! needs of it comes as parameters.
//!
//! It does not serve: `cli::dev` puts the receiver on top. The receiver runs no part of it; the endpoint's doctor looks through its probe.

pub mod demo;
pub mod home;
pub mod postgres;
pub mod probe;
pub mod sample;
pub mod scenarios;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};

/// The variables that the receiver is configured with, as the environment would hold them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DevSettings(pub BTreeMap<String, String>);

impl DevSettings {
    /// What dev sets: `remembered` (the home's secrets) and `mail` (a directory), under what a person has set in
    /// `given`. The database, the port and the mail directory are dev's own affair: a shop's real database and
    /// mail server may well stand in the same environment, and must not be met by a demo.
    pub fn new(
        given: &BTreeMap<String, String>,
        remembered: BTreeMap<String, String>,
        database: &str,
        port: u16,
        mail: &Path,
    ) -> Result<Self> {
        let mail = mail.to_str().context("the mail directory's path is not UTF-8")?;
        let mut vars = remembered;
        vars.insert("MAIL_FROM".into(), "Corner Shop <orders@example.com>".into());
        vars.insert("SHOP_NAME".into(), "Corner Shop".into());
        vars.extend(given.iter().map(|(name, value)| (name.clone(), value.clone())));
        vars.insert("DATABASE_URL".into(), database.into());
        vars.insert("SMTP_URL".into(), format!("file://{mail}"));
        vars.insert("PORT".into(), port.to_string());
        vars.entry("HOST".into()).or_insert_with(|| "127.0.0.1".into());
        Ok(Self(vars))
    }

    /// One variable's value, empty where it is not set.
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}
