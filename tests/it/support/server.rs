//! A real receiver over HTTP on a port of its own, in this process, with a real database; workers are driven by hand.

use super::postgres::TestDb;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::{PgConnection, QueryableByName, RunQueryDsl, sql_query};
use ringup::config::Config;
use ringup::db::{self, DbPool};
use ringup::http::{Running, Server};
use ringup::intake::Rules;
use ringup::orders::Settings;
use ringup::outbox::{self, Outbox};
use ringup::source::signature;
use ringup::worker;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread::JoinHandle;

pub const SECRET: &str = "whsec_test_of_the_receiver";
pub const OLD_SECRET: &str = "whsec_test_of_the_receiver_before";
pub const API_TOKEN: &str = "token-of-the-tests";

/// A running receiver.
pub struct Receiver {
    running: Running,
    thread: Option<JoinHandle<()>>,
    client: reqwest::Client,
    pool: DbPool,
    rules: Rules,
    outbox: Outbox,
    mail: tempfile::TempDir,
}

/// An answer over HTTP.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub json: Value,
}

impl Answer {
    /// The error's code, or the status that a success tells.
    pub fn code(&self) -> &str {
        self.json["error"]["code"].as_str().or(self.json["status"].as_str()).unwrap_or("")
    }
}

/// The variables of a receiver on the database at `url`, mailing to `mail`.
pub fn variables(url: &str, mail: &str) -> BTreeMap<String, String> {
    [
        ("DATABASE_URL", url),
        ("STRIPE_WEBHOOK_SECRET", &format!("{SECRET},{OLD_SECRET}")),
        ("SMTP_URL", &format!("file://{mail}")),
        ("MAIL_FROM", "Test Shop <orders@shop.example>"),
        ("SHOP_NAME", "Test Shop"),
        ("API_TOKEN", API_TOKEN),
        ("PORT", "0"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

impl Receiver {
    pub fn start(db: &TestDb) -> Self {
        Self::start_with(&db.url(), &[])
    }

    pub fn start_with(url: &str, more: &[(&str, &str)]) -> Self {
        Self::build(url, more, false)
    }

    /// With workers of its own.
    pub fn start_working(url: &str, more: &[(&str, &str)]) -> Self {
        Self::build(url, more, true)
    }

    fn build(url: &str, more: &[(&str, &str)], workers: bool) -> Self {
        let mail = tempfile::tempdir().unwrap();
        let mut vars = variables(url, mail.path().to_str().unwrap());
        vars.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let config = Config::from_vars(vars).unwrap();
        let (pool, rules) = (db::pool(url, 4), Rules::new(&config));
        let outbox =
            Outbox::new(pool.clone(), &config.mail, &config.targets, Settings::default().read_details()).unwrap();
        let (started, running) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let server = Server::build(config, workers).unwrap();
                server.run(move |running| started.send(running).unwrap()).await.unwrap();
            });
        });
        let running = running.recv().unwrap();
        ring();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { running, thread: Some(thread), client, pool, rules, outbox, mail }
    }

    /// Each request has a connection of its own: an idle one ends while the test itself is busy, and nobody notices.
    pub fn without_keep_alive(mut self) -> Self {
        self.client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
        self
    }

    /// Has its mails say what was bought, as Stripe tells it.
    pub fn asks(&self, asker: &super::sync::Asker) {
        self.outbox.ask_for_line_items(std::sync::Arc::new(asker.fetcher.lines()));
    }

    pub fn address(&self) -> SocketAddr {
        self.running.address
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.address)
    }

    pub fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// Posts `body`, rightly signed now.
    pub async fn deliver(&self, body: &[u8]) -> Answer {
        self.post(body, &[("stripe-signature", &signed(body))]).await
    }

    /// Posts `body` with these headers to the Stripe endpoint.
    pub async fn post(&self, body: &[u8], headers: &[(&str, &str)]) -> Answer {
        let request = self.client.post(self.url("/webhooks/stripe")).body(body.to_vec());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        answer(request.send().await.unwrap()).await
    }

    pub async fn api(&self, path: &str) -> Answer {
        answer(self.client.get(self.url(path)).bearer_auth(API_TOKEN).send().await.unwrap()).await
    }

    /// What a scraper reads.
    pub async fn metrics(&self) -> String {
        self.client.get(self.url("/metrics")).send().await.unwrap().text().await.unwrap()
    }

    /// Calls the API with a body.
    pub async fn call(&self, method: &str, path: &str, body: &Value) -> Answer {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.client.request(method, self.url(path)).bearer_auth(API_TOKEN);
        let request = request.header("content-type", "application/json").body(body.to_string());
        answer(request.send().await.unwrap()).await
    }

    /// The order of that name, as the API shows it.
    pub async fn order(&self, reference: &str) -> Value {
        let answer = self.api(&format!("/api/orders/{reference}")).await;
        assert_eq!(answer.status, 200, "{reference}: {}", answer.json);
        answer.json
    }

    /// One step of delivery; returns how many messages it took.
    pub async fn deliver_messages(&self) -> usize {
        outbox::run_once(&self.outbox).await.unwrap()
    }

    /// Drives the workers until there is nothing left that is due.
    pub async fn settle(&self) {
        loop {
            if self.apply_pending().await + outbox::run_once(&self.outbox).await.unwrap() == 0 {
                return;
            }
        }
    }

    /// Applies the events that were acknowledged as pending, and sends nothing. Returns how many there were.
    pub async fn apply_pending(&self) -> usize {
        let (pool, rules) = (self.pool.clone(), self.rules.clone());
        tokio::task::spawn_blocking(move || worker::apply_pending(&pool, &rules)).await.unwrap().unwrap()
    }

    /// As `settle`, with what waits for a moment yet to come made due first.
    pub async fn settle_all(&self, db: &TestDb) {
        while count(&mut db.conn(), "SELECT count(*) FROM pending") > 0 {
            sql_query("UPDATE pending SET next_at = now()").execute(&mut db.conn()).unwrap();
            self.settle().await;
        }
        self.settle().await;
    }

    /// The same once all that waits has waited long enough.
    pub async fn settle_past_grace(&self, db: &TestDb) {
        self.settle_all(db).await;
        sql_query("UPDATE outbox SET next_at = now() WHERE state = 'queued' AND lease IS NULL")
            .execute(&mut db.conn())
            .unwrap();
        self.settle_all(db).await;
    }

    /// The files of the mails that were sent.
    pub fn mails(&self) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.mail.path()).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|extension| extension == "eml")).collect()
    }

    fn end(&mut self) {
        if let Some(thread) = self.thread.take() {
            let running = self.running.clone();
            actix_rt::System::new().block_on(async move { running.stop().await });
            thread.join().unwrap();
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // Stopping blocks, which a runtime's own thread must not.
        std::thread::scope(|scope| drop(scope.spawn(|| self.end()).join()));
    }
}

async fn answer(response: reqwest::Response) -> Answer {
    let status = response.status().as_u16();
    let bytes = response.bytes().await.unwrap();
    Answer { status, json: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
}

fn ring() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

pub fn now() -> i64 {
    chrono::Utc::now().timestamp()
}

/// The signature header of `body`, made now.
pub fn signed(body: &[u8]) -> String {
    signature::sign(SECRET, now(), body)
}

/// The number that `query` selects.
pub fn count(conn: &mut PgConnection, query: &str) -> i64 {
    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = BigInt)]
        count: i64,
    }
    sql_query(query).get_result::<Count>(conn).unwrap().count
}

/// The texts that `query` selects as `text`.
pub fn texts(conn: &mut PgConnection, query: &str) -> Vec<Option<String>> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Nullable<Text>)]
        text: Option<String>,
    }
    sql_query(query).load::<Row>(conn).unwrap().into_iter().map(|row| row.text).collect()
}
