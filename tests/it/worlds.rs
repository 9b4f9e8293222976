//! The law against a model of the other side, through the real thing: signed HTTP, Postgres, a mail server, a webhook.
//!
//! `stripe_simulator` plays what shops, customers, banks and Stripe do, and knows what is true after it. Its deliveries
//! come to two receivers on one database in any sequence, some twice, some in parallel. At rest the orders that the API
//! shows equal the true books. Then a person releases those in review, and what the mail server and the webhook's receiver
//! got adds up to what is.

mod books;
mod case;
mod ids;
mod told;

use std::cell::RefCell;

use diesel::{PgConnection, RunQueryDsl, sql_query};
use futures_util::future::join_all;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use stripe_simulator::{Books, Delivery};

use self::case::{Case, Pause};
use self::ids::Ids;
use self::told::Sinks;
use crate::support::hooks::HookServer;
use crate::support::postgres::TestDb;
use crate::support::server::{Receiver, count, texts};
use crate::support::smtp::SmtpServer;

/// Where the shop's own mails go.
const SHOP: &str = "desk@shop.example";

/// Two receivers on one database, and everything that they send to.
struct House {
    receivers: [Receiver; 2],
    conn: RefCell<PgConnection>,
    smtp: SmtpServer,
    hooks: HookServer,
    _db: TestDb,
}

impl House {
    async fn open() -> Self {
        let (db, smtp, hooks) = (TestDb::new(), SmtpServer::start([]).await, HookServer::start([]).await);
        let smtp_url = format!("smtp://127.0.0.1:{}", smtp.port());
        let variables = [
            ("SMTP_URL", &smtp_url[..]),
            ("SHOP_EMAIL", SHOP),
            ("STRIPE_MODE", "any"),
            ("ALLOW_PRIVATE_TARGETS", "true"),
            // No grace ends by itself while a test runs.
            ("CONFIRM_GRACE", "3600"),
        ];
        let receiver = || Receiver::start_with(&db.url(), &variables).without_keep_alive();
        let receivers = [receiver(), receiver()];
        let subscription = json!({ "url": hooks.url("/"), "events": ["*"] });
        let answer = receivers[0].call("POST", "/api/subscriptions", &subscription).await;
        assert_eq!(answer.status, 201, "{}", answer.json);
        Self { receivers, conn: RefCell::new(db.conn()), smtp, hooks, _db: db }
    }

    /// Delivers the case; what is due is sent after some of its batches, and all of it at the end.
    ///
    /// Returns for each time that was sent how many deliveries had arrived, and how many mails were out after it.
    async fn play(&self, case: &Case, ids: &Ids, rng: &mut StdRng) -> Vec<(usize, usize)> {
        let (mut batch, mut sent) = (Vec::new(), Vec::new());
        for (n, at) in case.sequence.iter().enumerate() {
            let delivery = &case.world.deliveries[*at];
            // A release is of what arrived before it.
            if matches!(delivery, Delivery::Release { .. }) {
                self.arrive(&mut batch, ids, rng).await;
            }
            batch.push(delivery);
            if case.cuts[n] || matches!(delivery, Delivery::Release { .. }) {
                self.arrive(&mut batch, ids, rng).await;
                match case.pause(n) {
                    Pause::None => {}
                    Pause::Short => self.send(rng).await,
                    Pause::Long => self.end_graces_and_send(rng).await,
                }
                sent.push((n + 1, self.smtp.received().len()));
            }
        }
        self.arrive(&mut batch, ids, rng).await;
        self.end_graces_and_send(rng).await;
        sent.push((case.sequence.len(), self.smtp.received().len()));
        sent
    }

    /// Posts a batch, one by one or in parallel, each delivery to one of the receivers; then applies what is pending.
    async fn arrive(&self, batch: &mut Vec<&Delivery>, ids: &Ids, rng: &mut StdRng) {
        let posts = batch.drain(..).map(|delivery| (delivery, &self.receivers[rng.random_range(0..2)]));
        let posts: Vec<_> = posts.map(|(delivery, receiver)| post(delivery, receiver, ids)).collect();
        if rng.random_bool(0.5) {
            join_all(posts).await;
        } else {
            for post in posts {
                post.await;
            }
        }
        self.apply_pending(rng).await;
    }

    /// Applies what was acknowledged before it was applied.
    async fn apply_pending(&self, rng: &mut StdRng) {
        while self.count("SELECT count(*) FROM pending") > 0 {
            self.sql("UPDATE pending SET next_at = now()");
            self.receivers[rng.random_range(0..2)].apply_pending().await;
        }
    }

    /// Sends what is due, now and then by both workers at once.
    async fn send(&self, rng: &mut StdRng) {
        loop {
            let [one, other] = &self.receivers;
            let sent = match rng.random_range(0..3) {
                0 => one.deliver_messages().await,
                1 => other.deliver_messages().await,
                _ => join_all([one.deliver_messages(), other.deliver_messages()]).await.iter().sum(),
            };
            if sent == 0 {
                return;
            }
        }
    }

    async fn end_graces_and_send(&self, rng: &mut StdRng) {
        self.send(rng).await;
        self.sql("UPDATE outbox SET next_at = now() WHERE state = 'queued' AND lease IS NULL AND next_at > now()");
        self.send(rng).await;
    }

    /// A person looks at each order that is in review, so that nothing is held any more.
    async fn release_all(&self, books: &Books, rng: &mut StdRng) {
        for book in books.orders.iter().filter(|book| books::is_in_review(book)) {
            release(&self.receivers[0], &path(&book.account, book.livemode, &book.reference, "/release")).await;
        }
        self.apply_pending(rng).await;
        self.end_graces_and_send(rng).await;
    }

    fn sql(&self, sql: &str) {
        sql_query(sql).execute(&mut *self.conn.borrow_mut()).unwrap();
    }

    fn count(&self, query: &str) -> i64 {
        count(&mut self.conn.borrow_mut(), query)
    }

    fn texts(&self, query: &str) -> Vec<String> {
        texts(&mut self.conn.borrow_mut(), query).into_iter().flatten().collect()
    }

    /// Plays a case; `Err` says what it came to that is not so.
    async fn check(&self, case: &Case, number: u64) -> Result<(), String> {
        let (ids, mut rng) = (Ids::of_world(number), StdRng::seed_from_u64(case.seed));
        let (mails, hooks) = (self.smtp.received().len(), self.hooks.received().len());
        let sent = self.play(case, &ids, &mut rng).await;
        let books = ids.renamed_books(&case.world.books);
        books::orders_equal(&self.receivers[0], &ids, &books, case.version).await?;
        self.release_all(&books, &mut rng).await;
        let arrived = |n| sent.iter().find(|(_, out)| n < *out).map_or(case.sequence.len(), |(arrived, _)| *arrived);
        let arrived = (mails..).map(arrived);
        let mails = arrived.zip(self.smtp.received().split_off(mails)).collect();
        let hooks = self.hooks.received().split_off(hooks);
        told::adds_up(&Sinks { house: self, case, mails, hooks, ids: &ids }, &books)
    }
}

async fn post(delivery: &Delivery, receiver: &Receiver, ids: &Ids) {
    match delivery {
        Delivery::Event(event) => {
            let body = ids.renamed(&event.body);
            let answer = receiver.deliver(body.to_string().as_bytes()).await;
            assert_eq!(answer.status, 200, "{}: {body}", answer.json);
        }
        Delivery::Put { account, livemode, reference, body } => {
            let path = path(account, *livemode, &ids.name(reference), "");
            let answer = receiver.call("PUT", &path, &ids.renamed(body)).await;
            // 202: another writer was at the order, and a worker applies it.
            assert!([200, 201, 202].contains(&answer.status), "{path}: {}", answer.json);
        }
        Delivery::Release { account, livemode, reference } => {
            release(receiver, &path(account, *livemode, &ids.name(reference), "/release")).await;
        }
    }
}

async fn release(receiver: &Receiver, path: &str) {
    let answer = receiver.call("POST", path, &json!({})).await;
    assert!([200, 202].contains(&answer.status), "{path}: {}", answer.json);
}

/// An order's path in the API.
fn path(account: &str, livemode: bool, reference: &str, end: &str) -> String {
    let reference = utf8_percent_encode(reference, NON_ALPHANUMERIC);
    format!("/api/orders/{reference}{end}?account={account}&livemode={livemode}")
}

/// Plays each case in one house. All that fail are told, each with its name.
async fn all_come_to_their_books(cases: Vec<Case>) {
    let house = House::open().await;
    let mut wrong = Vec::new();
    for (number, case) in (0..).zip(&cases) {
        if let Err(why) = house.check(case, number).await {
            wrong.push(format!("{}: {why}\n{:#?}", case.name, case.lines()));
        }
    }
    assert!(wrong.is_empty(), "{} of {} worlds:\n{}", wrong.len(), cases.len(), wrong.join("\n\n"));
}

#[actix_rt::test]
async fn the_fixed_scripts_come_to_their_books_through_the_real_receiver() {
    all_come_to_their_books(case::fixed()).await;
}

/// Fifty random worlds by their seeds; each fifty are a test of their own, so that they run side by side.
macro_rules! worlds {
    ($($name:ident: $first:literal),+) => {$(
        #[actix_rt::test]
        async fn $name() {
            all_come_to_their_books(($first..$first + 50).map(case::drawn).collect()).await;
        }
    )+};
}

worlds!(worlds_0: 0, worlds_50: 50, worlds_100: 100, worlds_150: 150, worlds_200: 200, worlds_250: 250);
