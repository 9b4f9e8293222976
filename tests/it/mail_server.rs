//! A mail server that refuses the shop, not the recipient: nothing dies of it, it is told once, and all goes out after it.

use std::time::Duration;

use diesel::{Connection, PgConnection, RunQueryDsl};
use ringup::config::mail::Mail;
use ringup::config::smtp::SmtpTarget;
use ringup::config::{Secret, Targets};
use ringup::db;
use ringup::notices::{About, Kind};
use ringup::orders::Settings;
use ringup::outbox::destinations::{self, Subscription};
use ringup::outbox::{self, NewNotice, Outbox, run_once};
use uuid::Uuid;

use crate::support::hooks::HookServer;
use crate::support::postgres::TestDb;
use crate::support::server::count;
use crate::support::smtp::{At, Fault, SmtpServer};

struct House {
    conn: PgConnection,
    server: SmtpServer,
    slack: HookServer,
    outbox: Outbox,
    _db: TestDb,
}

impl House {
    async fn new() -> Self {
        let (db, server, slack) = (TestDb::new(), SmtpServer::start([]).await, HookServer::start([]).await);
        let pool = db::pool(&db.url(), 4);
        let mail = Mail {
            target: SmtpTarget::parse(&format!("smtp://user:s3cret@127.0.0.1:{}", server.port())).unwrap(),
            from: "shop@example.com".to_owned(),
            shop_name: "Pipers".to_owned(),
            shop_email: None,
            shop_logo: None,
            shop_locale: "en".to_owned(),
            shop_url: None,
            templates_dir: None,
            deadline: Duration::from_secs(10),
        };
        let targets = Targets { slack: Secret::new(slack.url("/x")), ..Targets::default() };
        let outbox = Outbox::new(pool, &mail, &targets, Settings::default().read_details()).unwrap();
        outbox.announce().unwrap();
        let conn = PgConnection::establish(&db.url()).unwrap();
        Self { conn, server, slack, outbox, _db: db }
    }

    fn sql(&mut self, sql: &str) {
        diesel::sql_query(sql).execute(&mut self.conn).unwrap();
    }

    /// Queues a confirmation.
    fn pay(&mut self, number: usize, email: &str) {
        let id = Uuid::now_v7();
        self.sql(&format!(
            "INSERT INTO orders (id, source, account, livemode, reference, status, money_status, currency, amount_paid, \
             customer_email, facts) \
             VALUES ('{id}', 'stripe', '', true, 'R-{number}', 'paid', 'paid', 'eur', 1099, '{email}', '{{}}')"
        ));
        let notice = NewNotice::new(Kind::OrderPaid, format!("order.paid:pi_{number}"), &About::default());
        let notice = NewNotice { order_id: Some(id), by_mail: true, to_listeners: false, ..notice };
        outbox::enqueue(&mut self.conn, &[notice]).unwrap();
    }

    /// All that waits is due now, and tried.
    async fn round(&mut self) {
        self.sql("UPDATE outbox SET next_at = now() - interval '1 second' WHERE state = 'queued'");
        self.deliver().await;
    }

    async fn deliver(&mut self) {
        self.sql("UPDATE destinations SET next_at = now()");
        while run_once(&self.outbox).await.unwrap() > 0 {
            self.sql("UPDATE destinations SET next_at = now()");
        }
    }

    fn mails(&mut self, state: &str) -> i64 {
        count(&mut self.conn, &format!("SELECT count(*) FROM outbox WHERE destination = 'mail' AND state = '{state}'"))
    }

    fn shown(&mut self) -> Subscription {
        destinations::find(&mut self.conn, "mail").unwrap().unwrap()
    }

    /// What Slack was told.
    fn told(&self) -> Vec<String> {
        let text =
            |hook: crate::support::hooks::Hook| hook.json()["blocks"][0]["text"]["text"].as_str().unwrap().to_owned();
        self.slack.received().into_iter().map(text).collect()
    }
}

#[tokio::test]
async fn what_the_server_refuses_for_the_shops_sake_is_told_once_and_goes_out_when_it_is_mended() {
    for (answer, advice) in [
        ("554 5.7.1 <ada@example.org>: Relay access denied", "user and a password"),
        ("550 5.4.5 Daily sending quota exceeded", "sending limit"),
    ] {
        let mut house = House::new().await;
        house.server.stand(Some((At::Rcpt, Fault::Reply(answer))));
        (0..30).for_each(|number| house.pay(number, "ada@example.org"));
        // More often than the schedule has attempts.
        for _ in 0..10 {
            house.round().await;
        }
        assert_eq!((house.mails("queued"), house.mails("dead")), (30, 0), "{answer}");
        let tries = "SELECT min(attempts)::bigint AS count FROM outbox WHERE destination = 'mail'";
        assert_eq!(count(&mut house.conn, tries), 10);
        let told = house.told();
        assert_eq!(told.len(), 1, "{told:?}");
        let code = answer.split(' ').nth(1).unwrap();
        assert!(told[0].contains(code) && told[0].contains(advice) && !told[0].contains("ada@"), "{told:?}");
        let shown = house.shown();
        assert!(shown.trouble.unwrap().contains(code) && shown.failing_since.is_some());
        assert_eq!((&shown.state[..], shown.queued), ("active", 30));
        // In ten hours it is tried again.
        let soonest =
            "SELECT extract(epoch FROM min(next_at) - now())::bigint AS count FROM outbox WHERE destination = 'mail'";
        assert!((28_000..=44_000).contains(&count(&mut house.conn, soonest)));

        house.server.stand(None);
        house.sql(
            "UPDATE outbox SET next_at = now() WHERE id = (SELECT id FROM outbox WHERE destination = 'mail' LIMIT 1)",
        );
        house.deliver().await;
        assert_eq!((house.mails("sent"), house.server.received().len()), (30, 30), "the first opens the way for all");
        let shown = house.shown();
        assert_eq!((shown.trouble, shown.failing_since), (None, None));
        assert_eq!(house.told().len(), 1);
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_once_it_lasts() {
    let mut house = House::new().await;
    house.server.stand(Some((At::Greeting, Fault::Cut)));
    house.pay(1, "ada@example.org");
    house.round().await;
    house.round().await;
    let shown = house.shown();
    assert_eq!((shown.trouble, shown.failing_since.is_some(), house.told().len()), (None, true, 0), "it may pass");
    house.sql("UPDATE destinations SET failing_since = now() - interval '6 minutes' WHERE id = 'mail'");
    house.round().await;
    house.round().await;
    assert!(house.shown().trouble.unwrap().starts_with("connecting: "));
    let told = house.told();
    assert!(told.len() == 1 && told[0].contains("SMTP_URL"), "{told:?}");
    house.server.stand(None);
    house.round().await;
    assert_eq!((house.mails("sent"), house.shown().failing_since), (1, None));
}

#[tokio::test]
async fn trouble_that_comes_and_goes_is_not_told_each_time() {
    let mut house = House::new().await;
    for number in 0..5 {
        house.server.stand(Some((At::Rcpt, Fault::Reply("554 5.7.1 relay denied"))));
        house.pay(number, "ada@example.org");
        house.round().await;
        assert!(house.shown().trouble.is_some());
        house.server.stand(None);
        house.round().await;
        assert!(house.shown().trouble.is_none());
    }
    let told = house.told().len();
    assert!((1..=2).contains(&told), "{told}: once in six hours, whose end may fall into the test");
}

#[tokio::test]
async fn a_recipient_that_is_refused_is_nobody_elses_trouble() {
    let mut house = House::new().await;
    house.server.stand(Some((At::Rcpt, Fault::Reply("550 5.1.1 <eve@example.org>: no such user"))));
    house.pay(1, "eve@example.org");
    house.round().await;
    assert_eq!((house.mails("dead"), house.shown().failing_since), (1, None));
    assert!(house.told().iter().all(|told| !told.contains("mail server")), "{:?}", house.told());
}

/// Once the shop's own trouble is over, what else may go wrong has all its attempts.
#[tokio::test]
async fn attempts_that_failed_for_the_shops_sake_do_not_count() {
    let mut house = House::new().await;
    house.pay(1, "ada@example.org");
    house.server.stand(Some((At::Auth, Fault::Reply("535 5.7.8 no"))));
    for _ in 0..9 {
        house.round().await;
    }
    house.server.stand(Some((At::Rcpt, Fault::Reply("450 4.2.0 greylisted"))));
    for _ in 0..7 {
        house.round().await;
        assert_eq!(house.mails("queued"), 1);
    }
    house.round().await;
    assert_eq!(house.mails("dead"), 1);
}

#[tokio::test]
async fn an_odd_address_is_quoted_on_its_way() {
    let mut house = House::new().await;
    for (number, email) in ["taro..yamada@docomo.ne.jp", "hanako.@ezweb.ne.jp"].into_iter().enumerate() {
        house.pay(number, email);
    }
    house.round().await;
    assert_eq!(house.mails("sent"), 2);
    let mut named: Vec<String> = house.server.commands();
    named.retain(|command| command.starts_with("RCPT"));
    named.sort();
    assert_eq!(named, ["RCPT TO:<\"hanako.\"@ezweb.ne.jp>", "RCPT TO:<\"taro..yamada\"@docomo.ne.jp>"]);
}
