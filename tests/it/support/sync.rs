//! Whoever asks a fake of Stripe's API, driven by hand.

use super::postgres::TestDb;
use super::server::variables;
use super::stripe::{FakeStripe, KEY};
use chrono::{DateTime, Utc};
use diesel::{RunQueryDsl, sql_query};
use rand::SeedableRng;
use rand::rngs::StdRng;
use ringup::config::Config;
use ringup::db;
use ringup::dev::scenarios::{self, Stream};
use ringup::intake::{Budget, Intake, Rules, Writer};
use ringup::sync::{Fetcher, Looked};
use serde_json::{Value, json};
use std::sync::Arc;

pub const HOUR: i64 = 3600;

pub fn checkout(seed: u64, at: i64) -> Stream {
    scenarios::play("checkout", &mut StdRng::seed_from_u64(seed), at).unwrap()
}

pub fn bodies(stream: &Stream) -> impl Iterator<Item = &str> {
    stream.events.iter().map(|event| &event.body[..])
}

/// The event under another id, as if it had happened then.
pub fn at(body: &str, id: &str, created: i64) -> String {
    let mut event: Value = serde_json::from_str(body).unwrap();
    (event["id"], event["created"]) = (json!(id), json!(created));
    event.to_string()
}

/// One process' part that asks.
pub struct Asker {
    pub fetcher: Fetcher,
    writer: Option<Writer>,
}

/// On that database, with that fake of Stripe and these further variables.
pub fn asker(db: &TestDb, stripe: &FakeStripe, more: &[(&str, &str)]) -> Asker {
    let mut vars = variables(&db.url(), "mail");
    let own = [("STRIPE_SECRET_KEY", KEY), ("STRIPE_API_BASE", &stripe.base()[..])];
    vars.extend(own.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let config = Config::from_vars(vars).unwrap();
    let rules = Arc::new(Rules::new(&config));
    let (intake, writer) = Intake::new(&db.url(), rules.settings.clone(), || ()).unwrap();
    let way_in = (intake, Budget::new(64 << 20));
    let fetcher = Fetcher::new(&config, db::pool(&db.url(), 4), rules, way_in).unwrap().unwrap();
    Asker { fetcher, writer: Some(writer) }
}

/// Has the gap watch compare what happened since, in unix seconds.
pub fn watched_until(db: &TestDb, reached: i64) {
    sql_query(format!("UPDATE gap_watch SET reached = {reached}")).execute(&mut db.conn()).unwrap();
}

/// Makes the gap watch due.
pub fn due(db: &TestDb) {
    sql_query("UPDATE gap_watch SET next_at = now()").execute(&mut db.conn()).unwrap();
}

impl Asker {
    /// A look that nothing hinders.
    pub async fn look(&self) -> Vec<Looked> {
        self.look_at(Utc::now()).await
    }

    /// The same, when our clock says that it is `now`.
    pub async fn look_at(&self, now: DateTime<Utc>) -> Vec<Looked> {
        let looked = self.fetcher.look(now).await;
        assert!(looked.iter().all(|looked| looked.failure.is_none()), "{looked:?}");
        looked
    }

    pub async fn fetch_named(&self) -> usize {
        self.fetcher.fetch_named().await.unwrap()
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.stop();
        }
    }
}
