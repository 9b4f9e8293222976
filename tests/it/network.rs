//! A network that swallows connections, a pooler that stalls: 503 meanwhile, and healthy soon after, without a restart, any
//! number of times.

use crate::support::postgres::TestDb;
use crate::support::proxy::{Backend, Proxy};
use crate::support::server::{API_TOKEN, Receiver, count, now};
use crate::support::standby::until;
use crate::support::thin::thin;
use futures_util::future::join_all;
use rand::SeedableRng;
use rand::rngs::StdRng;
use ringup::dev::scenarios::{self, Stream};
use std::time::{Duration, Instant};

/// Within 2 s, and what a busy machine takes beside.
const ANSWERED_WITHIN: Duration = Duration::from_secs(3);
const HEALTHY_WITHIN: Duration = Duration::from_secs(3);
/// Workers look for messages each second.
const DELIVERED_WITHIN: Duration = Duration::from_secs(4);

fn checkout(seed: u64) -> Stream {
    scenarios::play("checkout", &mut StdRng::seed_from_u64(seed), now()).unwrap()
}

/// The port in a URL of the tests.
fn port(url: &str) -> u16 {
    url.rsplit_once(':').unwrap().1.split_once('/').unwrap().0.parse().unwrap()
}

/// A receiver with workers, which reaches its database through a network of its own.
struct Shop {
    db: TestDb,
    proxy: Proxy,
    receiver: Receiver,
    /// How many orders were paid.
    paid: usize,
}

impl Shop {
    fn open() -> Self {
        let db = TestDb::new();
        let server = port(&db.url());
        let (proxy, begins_at) = Proxy::start(server);
        let url = db.url().replace(&format!(":{server}/"), &format!(":{begins_at}/"));
        Self { receiver: Receiver::start_working(&url, &[]), db, proxy, paid: 0 }
    }

    /// Reached by a Unix socket.
    fn open_at(folder: &std::path::Path) -> Self {
        let db = TestDb::new();
        let server = port(&db.url());
        let proxy = Proxy::start_at(folder, server);
        let host = folder.to_str().unwrap().replace('/', "%2F");
        let url = db.url().replace(&format!("127.0.0.1:{server}"), &format!("{host}:5432"));
        Self { receiver: Receiver::start_working(&url, &[]), db, proxy, paid: 0 }
    }

    async fn get(&self, path: &str) -> u16 {
        let request = self.receiver.client().get(self.receiver.url(path)).bearer_auth(API_TOKEN);
        request.send().await.unwrap().status().as_u16()
    }

    /// All answers are 503, in time: more of them than the writers that may be left behind, and than the pool has
    /// connections.
    async fn is_out_of_order(&self, stream: &Stream) {
        let begun = Instant::now();
        for event in &stream.events[..2] {
            let begun = Instant::now();
            let requests = join_all((0..10).map(|_| self.get("/api/orders")));
            let event = event.body.as_bytes();
            let (answer, ready, api) = tokio::join!(self.receiver.deliver(event), self.get("/readyz"), requests);
            assert_eq!((answer.status, ready, api), (503, 503, vec![503; 10]));
            assert!(begun.elapsed() < ANSWERED_WITHIN, "{:?}", begun.elapsed());
        }
        assert!(begun.elapsed() < 2 * ANSWERED_WITHIN);
    }

    async fn until_taken(&self, stream: &Stream) -> Duration {
        let begun = Instant::now();
        for event in &stream.events {
            while self.receiver.deliver(event.body.as_bytes()).await.status != 200 {
                assert!(begun.elapsed() < 4 * HEALTHY_WITHIN, "no event is taken");
            }
        }
        begun.elapsed()
    }

    async fn until_answered(&self, path: &str) -> Duration {
        let begun = Instant::now();
        while self.get(path).await != 200 {
            assert!(begun.elapsed() < 4 * HEALTHY_WITHIN, "{path}: nothing but 503");
        }
        begun.elapsed()
    }

    /// Everything works: events, the API, the probe, the workers. Nothing is left behind.
    async fn is_healthy_soon(&mut self, stream: &Stream) {
        let begun = Instant::now();
        let (events, ready, api) =
            tokio::join!(self.until_taken(stream), self.until_answered("/readyz"), self.until_answered("/api/orders"));
        assert!([events, ready, api].iter().all(|took| *took < HEALTHY_WITHIN), "{events:?} {ready:?} {api:?}");
        self.paid += 1;
        while self.receiver.mails().len() < self.paid {
            assert!(begun.elapsed() < DELIVERED_WITHIN, "no mail is sent");
            self.get("/healthz").await;
        }
        let metrics = self.receiver.metrics().await;
        assert!(metrics.contains("writers_abandoned 0"), "{metrics}");
    }

    /// So many connections as one writer, a pool of eight and what is about to be closed, on either side.
    fn holds_few_connections(&self) {
        let (mut conn, proxy) = (self.db.conn(), &self.proxy);
        until("the connections are few", || {
            let sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'ringup'";
            proxy.open() <= 10 && count(&mut conn, sessions) <= 10
        });
    }

    fn has_one_paid_order_for_each(&self) {
        let mut conn = self.db.conn();
        let orders = count(&mut conn, "SELECT count(*) FROM orders WHERE status = 'paid'");
        assert_eq!((orders, self.receiver.mails().len()), (i64::try_from(self.paid).unwrap(), self.paid));
    }
}

async fn swallowed_five_times(backend: Backend) {
    let mut shop = Shop::open();
    shop.is_healthy_soon(&checkout(0)).await;
    for round in 1..=5 {
        let stream = checkout(round);
        shop.proxy.swallow(backend);
        shop.is_out_of_order(&stream).await;
        shop.proxy.restore();
        shop.is_healthy_soon(&stream).await;
        shop.holds_few_connections();
    }
    shop.has_one_paid_order_for_each();
}

/// Postgres waits for clients that are gone, and holds what they hold.
#[actix_rt::test]
async fn connections_that_are_swallowed_are_replaced() {
    swallowed_five_times(Backend::Kept).await;
}

#[actix_rt::test]
async fn connections_of_which_postgres_has_heard_the_end_are_replaced() {
    swallowed_five_times(Backend::Closed).await;
}

#[actix_rt::test]
async fn a_pooler_that_stalls_is_healed_from() {
    let mut shop = Shop::open();
    shop.is_healthy_soon(&checkout(0)).await;
    for round in 1..=3 {
        let stream = checkout(round);
        shop.proxy.stall();
        shop.is_out_of_order(&stream).await;
        shop.proxy.restore();
        shop.is_healthy_soon(&stream).await;
        shop.holds_few_connections();
    }
    shop.has_one_paid_order_for_each();
}

/// Its sockets have no time-outs by which they could be told from each other.
#[actix_rt::test]
async fn unix_sockets_that_are_swallowed_are_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let mut shop = Shop::open_at(folder.path());
    shop.is_healthy_soon(&checkout(0)).await;
    for round in 1..=3 {
        let stream = checkout(round);
        shop.proxy.swallow(Backend::Kept);
        shop.is_out_of_order(&stream).await;
        shop.proxy.restore();
        shop.is_healthy_soon(&stream).await;
        shop.holds_few_connections();
    }
    shop.has_one_paid_order_for_each();
}

/// The careful way's transaction is open at the server, with its locks, when the COMMIT is swallowed.
#[actix_rt::test]
async fn what_a_swallowed_transaction_holds_is_free_soon() {
    let shop = Shop::open();
    let stream = checkout(1);
    let body = thin(&stream.events[0].body).to_string();
    let proxy = shop.proxy.clone();
    fail::cfg_callback("intake.before_commit", move || proxy.swallow(Backend::Kept)).unwrap();
    assert_eq!(shop.receiver.deliver(body.as_bytes()).await.status, 503);
    fail::remove("intake.before_commit");
    let held =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'";
    assert_eq!(count(&mut shop.db.conn(), held), 1, "the event's key is taken");
    shop.proxy.restore();
    let begun = Instant::now();
    while shop.receiver.deliver(body.as_bytes()).await.status != 200 {
        assert!(begun.elapsed() < 4 * HEALTHY_WITHIN, "the event is not taken");
    }
    assert!(begun.elapsed() < HEALTHY_WITHIN, "{:?}", begun.elapsed());
    assert_eq!(count(&mut shop.db.conn(), "SELECT count(*) FROM events"), 1);
}

/// A connection that is cut is no longer used, and that is all.
#[actix_rt::test]
async fn connections_that_are_cut_are_replaced_at_once() {
    let mut shop = Shop::open();
    for round in 0..3 {
        shop.is_healthy_soon(&checkout(round)).await;
        shop.proxy.cut();
    }
    shop.is_healthy_soon(&checkout(3)).await;
    shop.has_one_paid_order_for_each();
}
