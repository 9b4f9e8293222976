//! The outbox against a real database and a real SMTP conversation.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text, Uuid as SqlUuid};
use ringup::config::Targets;
use ringup::config::mail::Mail;
use ringup::config::smtp::SmtpTarget;
use ringup::db::DbPool;
use ringup::notices::{About, Kind};
use ringup::orders::Settings;
use ringup::outbox::{self, NewNotice, Outbox, run_once};
use uuid::Uuid;

use crate::support::postgres::TestDb;
use crate::support::server::texts;
use crate::support::smtp::{At, Fault, SmtpServer};

struct House {
    conn: PgConnection,
    pool: DbPool,
    order: Uuid,
    _db: TestDb,
}

#[derive(QueryableByName, Debug)]
struct Row {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = Nullable<Text>)]
    last_error: Option<String>,
    #[diesel(sql_type = diesel::sql_types::Integer)]
    attempts: i32,
    #[diesel(sql_type = diesel::sql_types::Double)]
    due_in: f64,
}

#[derive(QueryableByName, Debug)]
struct Tried {
    #[diesel(sql_type = Text)]
    outcome: String,
    #[diesel(sql_type = Text)]
    answer: String,
}

impl House {
    fn new() -> Self {
        let db = TestDb::new();
        let conn = PgConnection::establish(&db.url()).unwrap();
        let pool = ringup::db::pool(&db.url(), 4);
        let mut house = Self { conn, pool, order: Uuid::nil(), _db: db };
        house.order = house.new_order("R-1", "ada@example.org");
        house
    }

    fn new_order(&mut self, reference: &str, email: &str) -> Uuid {
        let id = Uuid::now_v7();
        self.sql(&format!(
            "INSERT INTO orders (id, source, account, livemode, reference, status, money_status, currency, amount_paid, \
             customer_email, customer_name, locale, facts) \
             VALUES ('{id}', 'stripe', '', true, '{reference}', 'paid', 'paid', 'eur', 1099, '{email}', 'Ada', 'de', '{{}}')"
        ));
        id
    }

    fn sql(&mut self, sql: &str) {
        diesel::sql_query(sql).execute(&mut self.conn).unwrap();
    }

    fn enqueue(&mut self, keys: &[&str]) -> usize {
        let messages: Vec<_> = keys.iter().map(|key| message(key, self.order)).collect();
        outbox::enqueue(&mut self.conn, &messages).unwrap()
    }

    fn rows(&mut self) -> Vec<Row> {
        diesel::sql_query(
            "SELECT id, state, last_error, attempts, extract(epoch FROM next_at - now())::float8 AS due_in \
             FROM outbox ORDER BY dedupe_key",
        )
        .load(&mut self.conn)
        .unwrap()
    }

    fn row(&mut self) -> Row {
        let mut rows = self.rows();
        assert_eq!(rows.len(), 1, "{rows:?}");
        rows.remove(0)
    }

    fn tried(&mut self) -> Vec<Tried> {
        diesel::sql_query("SELECT outcome, answer FROM attempts ORDER BY message_id, number")
            .load(&mut self.conn)
            .unwrap()
    }

    /// All that waits is due, all leases have ended.
    fn pass_time(&mut self) {
        self.sql("UPDATE outbox SET next_at = now() - interval '1 second' WHERE state = 'queued'");
    }

    fn outbox(&self, smtp_url: &str) -> Outbox {
        Outbox::new(
            self.pool.clone(),
            &mail(smtp_url, Duration::from_secs(10)),
            &Targets::default(),
            Settings::default().read_details(),
        )
        .unwrap()
    }
}

fn message(key: &str, order: Uuid) -> NewNotice {
    let notice = NewNotice::new(Kind::OrderPaid, key.to_owned(), &About::default());
    NewNotice { order_id: Some(order), by_mail: true, ..notice }
}

fn mail(smtp_url: &str, deadline: Duration) -> Mail {
    Mail {
        target: SmtpTarget::parse(smtp_url).unwrap(),
        from: "shop@example.com".to_owned(),
        shop_name: "Pipers".to_owned(),
        shop_email: None,
        shop_locale: "en".to_owned(),
        shop_logo: None,
        shop_url: Some("https://shop.example.com".to_owned()),
        templates_dir: None,
        deadline,
    }
}

fn url(server: &SmtpServer) -> String {
    format!("smtp://user:s3cret@127.0.0.1:{}", server.port())
}

#[test]
fn a_key_is_queued_once_under_any_of_its_names() {
    let mut house = House::new();
    assert_eq!(house.enqueue(&["order.paid:pi_1", "order.paid:pi_1", "order.paid:pi_2"]), 2);
    assert_eq!(house.enqueue(&["order.paid:pi_1"]), 0);
    let order = house.order;
    let alias = |key: &str, also: &str| NewNotice { also: vec![also.to_owned()], ..message(key, order) };
    let known = alias("order.paid:cs_1", "order.paid:pi_1");
    let new = alias("order.paid:cs_9", "order.paid:pi_9");
    let its_twin = message("order.paid:pi_9x", order);
    assert_eq!(outbox::enqueue(&mut house.conn, &[known, new, its_twin]).unwrap(), 2);
    let twins = [message("order.paid:a", order), alias("order.paid:b", "order.paid:a")];
    assert_eq!(outbox::enqueue(&mut house.conn, &twins).unwrap(), 1);
    assert_eq!(outbox::enqueue(&mut house.conn, &[]).unwrap(), 0);
}

#[tokio::test]
async fn a_due_message_is_sent_and_rendered_from_the_order_as_it_is_then() {
    let mut house = House::new();
    let server = SmtpServer::start([]).await;
    let outbox = house.outbox(&url(&server));
    house.enqueue(&["order.paid:pi_1"]);
    house.sql("UPDATE orders SET reference = 'R-RENAMED'");
    assert_eq!(run_once(&outbox).await.unwrap(), 1);
    assert_eq!(run_once(&outbox).await.unwrap(), 0);
    let row = house.row();
    assert_eq!((row.state.as_str(), row.attempts, &row.last_error), ("sent", 1, &None));
    let received = &server.received()[0];
    assert_eq!(
        (received.from.as_str(), received.to.as_slice()),
        ("shop@example.com", &["ada@example.org".to_owned()][..])
    );
    assert_eq!(received.message_id(), format!("<{}@example.com>", row.id));
    let read = mail_parser::MessageParser::default().parse(received.data.as_bytes()).unwrap();
    assert_eq!(read.subject(), Some("Ihre Bestellung R-RENAMED bei Pipers ist bezahlt"));
    assert!(read.body_text(0).unwrap().contains("10,99\u{a0}€"));
    assert!(read.body_html(0).unwrap().contains("10,99\u{a0}€"));
    assert_eq!(house.tried()[0].answer, "250 2.0.0 queued as 42");
}

#[tokio::test]
async fn each_ending_of_the_conversation_has_its_meaning() {
    for (at, fault, state, outcome, text) in [
        (At::Greeting, Fault::Reply("554 go away"), "queued", "retry", "connecting"),
        (At::Greeting, Fault::Cut, "queued", "retry", "connecting"),
        (At::Auth, Fault::Reply("535 5.7.8 bad s3cret dXNlcgB1c2VyAHMzY3JldA=="), "queued", "retry", "logging in"),
        (At::Mail, Fault::Reply("550 5.7.1 not your sender"), "queued", "retry", "MAIL FROM"),
        (At::Mail, Fault::Reply("421 4.3.2 shutting down"), "queued", "retry", "421"),
        (At::Rcpt, Fault::Reply("450 4.2.1 greylisted"), "queued", "retry", "greylisted"),
        (At::Rcpt, Fault::Reply("530 5.7.0 log in first"), "queued", "retry", "530"),
        (At::Rcpt, Fault::Reply("550 5.1.1 no such user"), "dead", "refused", "RCPT TO"),
        (At::Rcpt, Fault::Reply("550 no such user"), "dead", "refused", "RCPT TO"),
        (At::Rcpt, Fault::Reply("550 relay not permitted"), "queued", "retry", "relay"),
        (At::Dot, Fault::Reply("552 5.2.2 mailbox full"), "dead", "refused", "handing the message over"),
        (At::Data, Fault::Reply("554 5.5.1 no"), "queued", "retry", "DATA"),
        (At::Dot, Fault::Reply("554 5.7.1 spam"), "queued", "retry", "spam"),
        (At::Dot, Fault::Reply("451 4.3.0 later"), "queued", "retry", "later"),
        (At::Body, Fault::Cut, "queued", "retry", "handing the message over"),
        (At::Dot, Fault::Cut, "queued", "retry", "it may have arrived"),
    ] {
        let mut house = House::new();
        let server = SmtpServer::start([(at, fault)]).await;
        let outbox = house.outbox(&url(&server));
        house.enqueue(&["order.paid:pi_1"]);
        assert_eq!(run_once(&outbox).await.unwrap(), 1);
        let (row, tried) = (house.row(), house.tried());
        assert_eq!((row.state.as_str(), tried[0].outcome.as_str()), (state, outcome), "{at:?} {fault:?}: {tried:?}");
        assert!(tried[0].answer.contains(text), "{at:?} {fault:?}: {tried:?}");
        assert_eq!(row.last_error.as_ref(), Some(&tried[0].answer));
        assert!(!tried[0].answer.contains("s3cret") && !tried[0].answer.contains("dXNl"), "{tried:?}");
        if state == "queued" {
            assert!((3.0..=6.0).contains(&row.due_in), "{row:?}");
            house.pass_time();
            assert_eq!(run_once(&outbox).await.unwrap(), 1);
            assert_eq!(house.row().state, "sent");
            assert_eq!(house.tried().len(), 2);
        }
        let ids: Vec<_> = server.received().iter().map(|r| r.message_id().to_owned()).collect();
        assert!(ids.iter().all(|id| *id == format!("<{}@example.com>", row.id)));
    }
}

#[tokio::test]
async fn a_server_that_hangs_is_left_at_the_deadline_and_holds_up_no_other_message() {
    let mut house = House::new();
    let server = SmtpServer::start([(At::Dot, Fault::Hang)]).await;
    let outbox = Outbox::new(
        house.pool.clone(),
        &mail(&url(&server), Duration::from_millis(300)),
        &Targets::default(),
        Settings::default().read_details(),
    )
    .unwrap();
    house.enqueue(&["order.paid:pi_1", "order.paid:pi_2", "order.paid:pi_3"]);
    assert_eq!(run_once(&outbox).await.unwrap(), 3);
    let states: Vec<_> = house.rows().into_iter().map(|row| row.state).collect();
    assert_eq!(states.iter().filter(|state| *state == "sent").count(), 2, "{states:?}");
    let tried = house.tried();
    let late = tried.iter().find(|tried| tried.outcome == "retry").unwrap();
    assert!(late.answer.contains("no end within 0.3 s") && late.answer.contains("may have arrived"), "{late:?}");
    // The connection that was cut off is not used again.
    house.pass_time();
    assert_eq!(run_once(&outbox).await.unwrap(), 1);
    assert!(house.rows().iter().all(|row| row.state == "sent"));
}

#[tokio::test]
async fn connections_are_kept_and_a_dead_one_is_replaced() {
    let mut house = House::new();
    let server = SmtpServer::start([]).await;
    let outbox = house.outbox(&url(&server)).with_batch(1);
    house.enqueue(&["order.paid:pi_1", "order.paid:pi_2", "order.paid:pi_3"]);
    while run_once(&outbox).await.unwrap() > 0 {}
    assert_eq!((server.received().len(), server.connections()), (3, 1));
    for fault in [Fault::Cut, Fault::Reply("421 4.4.2 idle too long")] {
        let mut house = House::new();
        let server = SmtpServer::start([(At::SecondMail, fault)]).await;
        let outbox = house.outbox(&url(&server)).with_batch(1);
        house.enqueue(&["order.paid:pi_1", "order.paid:pi_2"]);
        while run_once(&outbox).await.unwrap() > 0 {}
        assert_eq!((server.received().len(), server.connections()), (2, 2));
        assert!(house.rows().iter().all(|row| row.state == "sent" && row.attempts == 1));
    }
}

#[tokio::test]
async fn encryption_is_demanded_where_it_was_asked_for() {
    let mut house = House::new();
    let server = SmtpServer::start([]).await;
    let outbox = house.outbox(&format!("{}?tls=required", url(&server)));
    house.enqueue(&["order.paid:pi_1"]);
    run_once(&outbox).await.unwrap();
    assert!(house.row().last_error.unwrap().contains("STARTTLS"));
    assert!(!server.commands().iter().any(|command| command.starts_with("AUTH") || command.starts_with("MAIL")));
}

#[tokio::test]
async fn after_its_last_attempt_a_message_is_dead() {
    let mut house = House::new();
    let server = SmtpServer::start(vec![(At::Rcpt, Fault::Reply("450 4.2.1 not now")); 9]).await;
    let outbox = house.outbox(&url(&server));
    house.enqueue(&["order.paid:pi_1"]);
    for left in (0..8).rev() {
        assert_eq!(house.row().state, "queued");
        assert_eq!(run_once(&outbox).await.unwrap(), 1, "{left} left");
        house.pass_time();
    }
    let row = house.row();
    assert_eq!((row.state.as_str(), row.attempts), ("dead", 8));
    assert!(row.last_error.unwrap().contains("not now"));
    assert_eq!(house.tried().len(), 8);
    assert_eq!(run_once(&outbox).await.unwrap(), 0);
}

#[tokio::test]
async fn concurrent_workers_never_send_one_message_twice() {
    let mut house = House::new();
    let server = SmtpServer::start([]).await;
    let keys: Vec<_> = (0..60).map(|n| format!("order.paid:pi_{n:03}")).collect();
    house.enqueue(&keys.iter().map(String::as_str).collect::<Vec<_>>());
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let outbox = house.outbox(&url(&server)).with_batch(5);
        workers.spawn(async move { while run_once(&outbox).await.unwrap() > 0 {} });
    }
    while let Some(done) = workers.join_next().await {
        done.unwrap();
    }
    let mut ids: Vec<_> = server.received().iter().map(|r| r.message_id().to_owned()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), server.received().len()), (60, 60));
    assert!(house.rows().iter().all(|row| row.state == "sent" && row.attempts == 1));
}

#[tokio::test]
async fn a_lost_worker_s_message_is_retaken_under_the_same_id_and_its_late_mark_changes_nothing() {
    let mut house = House::new();
    // The first worker's answer never comes; meanwhile its lease ends and another one sends.
    let slow = SmtpServer::start([(At::Dot, Fault::Hang)]).await;
    let lost = Outbox::new(
        house.pool.clone(),
        &mail(&url(&slow), Duration::from_secs(2)),
        &Targets::default(),
        Settings::default().read_details(),
    )
    .unwrap();
    house.enqueue(&["order.paid:pi_1"]);
    let first = tokio::spawn(async move { run_once(&lost).await });
    while slow.received().is_empty() {
        tokio::task::yield_now().await;
    }
    let server = SmtpServer::start([]).await;
    let outbox = house.outbox(&url(&server));
    assert_eq!(run_once(&outbox).await.unwrap(), 0, "leased");
    house.pass_time();
    assert_eq!(run_once(&outbox).await.unwrap(), 1);
    assert_eq!(house.row().state, "sent");
    assert_eq!(first.await.unwrap().unwrap(), 1);
    let row = house.row();
    assert_eq!((row.state.as_str(), row.attempts, row.last_error), ("sent", 2, None));
    assert_eq!(slow.received()[0].message_id(), server.received()[0].message_id());
    assert_eq!(house.tried().iter().map(|t| t.outcome.as_str()).collect::<Vec<_>>(), ["retry", "sent"]);
}

#[tokio::test]
async fn mails_claimed_ahead_go_back_untried_at_a_stop() {
    let mut house = House::new();
    let server = SmtpServer::start([(At::SecondMail, Fault::Hang)]).await;
    let outbox = house.outbox(&url(&server)).with_batch(1).with_drain(Duration::from_millis(100));
    let keys: Vec<_> = (0..10).map(|n| format!("order.paid:pi_{n}")).collect();
    house.enqueue(&keys.iter().map(String::as_str).collect::<Vec<_>>());
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let wake = tokio::sync::Notify::new();
    let running = tokio::spawn(async move { outbox::run(&outbox, || (), &wake, stopped).await });
    // One was sent and one hangs: what is counted beside is claimed ahead.
    let begun = || server.commands().iter().filter(|command| command.starts_with("MAIL")).count();
    while begun() < 2 || house.rows().iter().filter(|row| row.attempts > 0).count() < 3 {
        tokio::task::yield_now().await;
    }
    stop.send_replace(true);
    running.await.unwrap();
    let (tried, untried): (Vec<_>, Vec<_>) = house.rows().into_iter().partition(|row| row.attempts > 0);
    assert_eq!(tried.iter().filter(|row| row.state == "sent").count(), 1, "{tried:?}");
    assert_eq!((tried.len(), untried.len()), (2, 8));
    assert!(untried.iter().all(|row| row.state == "queued" && row.due_in <= 0.0 && row.last_error.is_none()));
    assert_eq!(house.tried().len(), 1, "what was not tried leaves no attempt");
}

#[tokio::test]
async fn a_worker_killed_between_send_and_mark_sends_again_under_the_same_id() {
    let mut house = House::new();
    let server = SmtpServer::start([(At::Dot, Fault::Hang)]).await;
    let outbox = house.outbox(&url(&server));
    house.enqueue(&["order.paid:pi_1"]);
    let killed = tokio::spawn({
        let outbox = outbox.clone();
        async move { run_once(&outbox).await }
    });
    while server.received().is_empty() {
        tokio::task::yield_now().await;
    }
    killed.abort();
    house.pass_time();
    assert_eq!(run_once(&outbox).await.unwrap(), 1);
    let received = server.received();
    assert_eq!(received.len(), 2);
    assert_eq!(received[0].message_id(), received[1].message_id());
    assert_eq!(house.row().state, "sent");
}

#[tokio::test]
async fn a_held_message_stays_until_it_is_released() {
    let mut house = House::new();
    let server = SmtpServer::start([]).await;
    let outbox = house.outbox(&url(&server));
    let order = house.order;
    house.enqueue(&["order.paid:pi_1"]);
    assert_eq!(outbox::hold(&mut house.conn, &[order]).unwrap(), 1);
    assert_eq!(run_once(&outbox).await.unwrap(), 0);
    house.sql("UPDATE orders SET status = 'review', review_reasons = '{double_payment}'");
    assert_eq!(outbox::release(&mut house.conn, &[order]).unwrap(), 1);
    assert_eq!(run_once(&outbox).await.unwrap(), 0, "the order is in review, whatever the flag says");
    house.sql("UPDATE orders SET status = 'paid', review_reasons = '{}'");
    assert_eq!(run_once(&outbox).await.unwrap(), 1);
}

#[tokio::test]
async fn a_wait_ends_by_time_or_by_word_and_release_does_not_shorten_it() {
    let mut house = House::new();
    let server = SmtpServer::start([]).await;
    let outbox = house.outbox(&url(&server));
    let order = house.order;
    let waits = NewNotice { delay_seconds: 60, waiting: true, in_review: true, ..message("order.paid:pi_1", order) };
    outbox::enqueue(&mut house.conn, &[waits]).unwrap();
    outbox::release(&mut house.conn, &[order]).unwrap();
    assert_eq!(run_once(&outbox).await.unwrap(), 0);
    assert!(house.row().due_in > 50.0);
    let known = [("order.paid:pi_1".to_owned(), r#"{"object":"pi_1","amount":5}"#.to_owned())];
    assert_eq!(outbox::end_wait(&mut house.conn, &known).unwrap(), 1);
    assert_eq!(outbox::end_wait(&mut house.conn, &known).unwrap(), 0);
    let about = "SELECT about AS text FROM outbox WHERE dedupe_key = 'order.paid:pi_1'";
    assert_eq!(texts(&mut house.conn, about), [Some(known[0].1.clone())]);
    assert_eq!(run_once(&outbox).await.unwrap(), 1);
}

#[tokio::test]
async fn adopted_messages_tell_the_other_order() {
    let mut house = House::new();
    let server = SmtpServer::start([]).await;
    let outbox = house.outbox(&url(&server));
    house.enqueue(&["order.paid:b", "order.paid:c"]);
    let (from, to) = (house.order, house.new_order("R-2", "eve@example.org"));
    house.sql("UPDATE outbox SET order_id = NULL WHERE dedupe_key = 'order.paid:c'");
    assert_eq!(outbox::adopt(&mut house.conn, &[from], &[to]).unwrap(), 1);
    assert_eq!(run_once(&outbox).await.unwrap(), 2);
    assert_eq!(server.received().len(), 1);
    assert_eq!(server.received()[0].to, ["eve@example.org"]);
    let rows = house.rows();
    assert_eq!(rows.iter().map(|row| row.state.as_str()).collect::<Vec<_>>(), ["sent", "queued"]);
    assert!(rows[1].last_error.as_deref().unwrap().contains("order is not there"));
}

#[tokio::test]
async fn a_merged_order_s_message_is_rendered_from_the_one_that_took_it_over() {
    let mut house = House::new();
    let server = SmtpServer::start([]).await;
    let outbox = house.outbox(&url(&server));
    let (first, middle, last) =
        (house.order, house.new_order("M", "m@example.org"), house.new_order("L", "l@example.org"));
    house.sql(&format!("UPDATE orders SET merged_into = '{middle}' WHERE id = '{first}'"));
    house.sql(&format!("UPDATE orders SET merged_into = '{last}' WHERE id = '{middle}'"));
    house.enqueue(&["order.paid:pi_1"]);
    assert_eq!(run_once(&outbox).await.unwrap(), 1);
    assert_eq!(server.received()[0].to, ["l@example.org"]);
}

#[tokio::test]
async fn without_an_address_it_is_tried_again_and_a_bad_one_is_refused() {
    let mut house = House::new();
    let server = SmtpServer::start([]).await;
    let outbox = house.outbox(&url(&server));
    house.sql("UPDATE orders SET customer_email = NULL");
    house.enqueue(&["order.paid:pi_1"]);
    run_once(&outbox).await.unwrap();
    assert!(house.row().last_error.unwrap().contains("no usable address"));
    house.sql("UPDATE orders SET customer_email = 'no address'");
    house.pass_time();
    run_once(&outbox).await.unwrap();
    assert_eq!(house.row().state, "dead");
    assert!(server.commands().is_empty());
}

#[tokio::test]
async fn file_mail_is_one_whole_file_a_message() {
    let mut house = House::new();
    let dir = tempfile::tempdir().unwrap();
    let outbox = house.outbox(&format!("file://{}", dir.path().join("new/mail").display()));
    house.enqueue(&["order.paid:pi_1"]);
    assert_eq!(run_once(&outbox).await.unwrap(), 1);
    house.sql("UPDATE outbox SET state = 'queued', settled_at = NULL, next_at = now()");
    assert_eq!(run_once(&outbox).await.unwrap(), 1);
    let id = house.row().id;
    let names: Vec<_> = std::fs::read_dir(dir.path().join("new/mail"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names, [format!("{id}@example.com.eml")]);
}

#[test]
fn addresses_that_nobody_can_write_to_are_found_at_the_start() {
    let house = House::new();
    let start = |from: &str, shop: Option<&str>| {
        let mail = mail("file:///tmp", Duration::from_secs(1));
        let mail = Mail { from: from.to_owned(), shop_email: shop.map(str::to_owned), ..mail };
        Outbox::new(house.pool.clone(), &mail, &Targets::default(), Settings::default().read_details())
            .err()
            .map(|error| error.to_string())
    };
    assert_eq!(start("shop@example.com", Some("desk@example.com")), None);
    assert_eq!(start("shop@example.com", Some("a@b@c")).as_deref(), Some("SHOP_EMAIL is no usable address"));
    assert_eq!(start("shop", None).as_deref(), Some("MAIL_FROM is no usable address"));
}
