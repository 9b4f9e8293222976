//! What the shop expects, and what a person releases: through the API, before and after the payment.

use crate::support::postgres::TestDb;
use crate::support::server::{Receiver, count, texts};
use rand::SeedableRng;
use rand::rngs::StdRng;
use ringup::dev::scenarios::{self, Stream};
use serde_json::{Value, json};

fn checkout(seed: u64) -> Stream {
    scenarios::play("checkout", &mut StdRng::seed_from_u64(seed), crate::support::server::now()).unwrap()
}

async fn pay(receiver: &Receiver, stream: &Stream) {
    for event in &stream.events {
        assert_eq!(receiver.deliver(event.body.as_bytes()).await.code(), "accepted");
    }
}

/// The order, paid as it is, on a receiver without expectations.
async fn paid(stream: &Stream) -> Value {
    let db = TestDb::new();
    let receiver = Receiver::start(&db);
    pay(&receiver, stream).await;
    receiver.order(&stream.reference).await
}

/// Whom the mails went to, sorted.
fn addressees(receiver: &Receiver) -> Vec<String> {
    let mails = receiver.mails().into_iter().map(|path| std::fs::read(path).unwrap());
    let to = mails.map(|mail| {
        let parsed = mail_parser::MessageParser::default().parse(&mail).unwrap();
        parsed.to().unwrap().first().unwrap().address().unwrap().to_owned()
    });
    let mut to: Vec<String> = to.collect();
    to.sort();
    to
}

fn path(stream: &Stream) -> String {
    format!("/api/orders/{}", stream.reference)
}

#[actix_rt::test]
async fn a_mismatch_holds_the_mail_until_a_person_releases_it() {
    let stream = checkout(41);
    let (db, seen) = (TestDb::new(), paid(&stream).await);
    let receiver = Receiver::start(&db);
    let amount = seen["amount_paid"].as_i64().unwrap();
    let expected = json!({ "amount": amount + 1, "currency": seen["currency"] });
    let answer = receiver.call("PUT", &path(&stream), &expected).await;
    assert_eq!((answer.status, &answer.json["status"]), (201, &json!("pending")), "{}", answer.json);
    pay(&receiver, &stream).await;
    receiver.settle_past_grace(&db).await;
    let order = receiver.order(&stream.reference).await;
    assert_eq!((&order["status"], &order["money_status"]), (&json!("review"), &json!("partially_paid")), "{order}");
    assert_eq!(order["review_reasons"], json!(["amount_mismatch"]));
    assert_eq!(addressees(&receiver), ["orders@shop.example"]);

    let stale = json!({ "version": order["version"].as_i64().unwrap() - 1 });
    let answer = receiver.call("POST", &format!("{}/release", path(&stream)), &stale).await;
    assert_eq!((answer.status, answer.code()), (409, "order_changed"));
    let seen = json!({ "version": order["version"], "note": "the customer paid for the gift wrap" });
    let answer = receiver.call("POST", &format!("{}/release", path(&stream)), &seen).await;
    assert_eq!((answer.status, &answer.json["status"]), (200, &json!("paid")), "{}", answer.json);
    let again = receiver.call("POST", &format!("{}/release", path(&stream)), &seen).await;
    assert_eq!((again.status, again.code()), (409, "order_changed"));
    let nothing_left = receiver.call("POST", &format!("{}/release", path(&stream)), &json!({})).await;
    assert_eq!((nothing_left.status, &nothing_left.json["version"]), (200, &answer.json["version"]));
    receiver.settle().await;
    let customer = order["customer_email"].as_str().unwrap();
    let mut expected = [customer, "orders@shop.example"];
    expected.sort_unstable();
    assert_eq!(addressees(&receiver), expected);
    let mut conn = db.conn();
    assert_eq!(count(&mut conn, "SELECT count(*) FROM events WHERE source = 'shop' AND state = 'processed'"), 2);
    let keys = texts(&mut conn, "SELECT dedupe_key AS text FROM outbox WHERE kind = 'email' AND notice = 'order.paid'");
    assert_eq!(keys.len(), 1);
}

#[actix_rt::test]
async fn a_corrected_expectation_resolves_it_and_the_address_is_the_shop_s() {
    let stream = checkout(42);
    let (db, seen) = (TestDb::new(), paid(&stream).await);
    let receiver = Receiver::start(&db);
    pay(&receiver, &stream).await;
    let put = |amount: i64| json!({ "amount": amount, "currency": seen["currency"], "email": "desk@shop.example" });
    let amount = seen["amount_paid"].as_i64().unwrap();
    let answer = receiver.call("PUT", &path(&stream), &put(amount + 100)).await;
    assert_eq!((answer.status, &answer.json["status"]), (200, &json!("review")), "{}", answer.json);
    let answer = receiver.call("PUT", &path(&stream), &put(amount)).await;
    assert_eq!((answer.status, &answer.json["status"]), (200, &json!("paid")), "{}", answer.json);
    assert_eq!(answer.json["customer_email"], "desk@shop.example");
    let version = answer.json["version"].clone();
    let again = receiver.call("PUT", &path(&stream), &put(amount)).await;
    assert_eq!((again.status, &again.json["version"]), (200, &version));
    receiver.settle().await;
    assert_eq!(addressees(&receiver), ["desk@shop.example"]);
    let review = "SELECT count(*) FROM outbox WHERE notice = 'order.review'";
    assert_eq!(count(&mut db.conn(), review), 0, "it settled itself: nobody is told");
    assert_eq!(count(&mut db.conn(), "SELECT count(*) FROM events WHERE source = 'shop'"), 2);
}

#[actix_rt::test]
async fn many_writers_at_once_leave_one_last_word_and_no_gap() {
    let db = TestDb::new();
    let receivers = [Receiver::start(&db), Receiver::start(&db)];
    let bodies: Vec<Value> = (1..=12).map(|n| json!({ "amount": n, "currency": "eur" })).collect();
    let calls = bodies.iter().enumerate().map(|(n, body)| receivers[n % 2].call("PUT", "/api/orders/R-1", body));
    for answer in futures_util::future::join_all(calls).await {
        assert!([200, 201, 202].contains(&answer.status), "{} {}", answer.status, answer.json);
    }
    receivers[0].settle_all(&db).await;
    let mut conn = db.conn();
    let last = texts(
        &mut conn,
        "SELECT convert_from(p.body, 'UTF8')::json->>'amount' AS text FROM events e JOIN payloads p ON p.event = e.id \
         ORDER BY substring(e.event_id FROM '[0-9]+$')::int DESC LIMIT 1",
    );
    let order = receivers[1].order("R-1").await;
    assert_eq!(Some(order["amount_expected"].to_string()), last[0]);
    let numbers = "SELECT string_agg(substring(event_id FROM '[0-9]+$'), ',' ORDER BY substring(event_id FROM '[0-9]+$')::int) AS text FROM events";
    assert_eq!(texts(&mut conn, numbers), [Some("1,2,3,4,5,6,7,8,9,10,11,12".to_owned())]);
}

#[actix_rt::test]
async fn an_order_known_by_stripe_s_id_takes_words_too() {
    let db = TestDb::new();
    let receiver = Receiver::start(&db);
    let stream = checkout(44);
    let answer = receiver.call("PUT", "/api/orders/pi_unheard", &json!({ "amount": 5, "currency": "eur" })).await;
    assert_eq!(answer.status, 201, "{}", answer.json);
    assert_eq!(answer.json["reference"], "pi_unheard");
    pay(&receiver, &stream).await;
    let intent: Value = serde_json::from_str(&stream.events[0].body).unwrap();
    let id = intent["data"]["object"]["payment_intent"].as_str().or(intent["data"]["object"]["id"].as_str()).unwrap();
    let answer = receiver.call("PUT", &format!("/api/orders/{id}"), &json!({ "name": "Ada" })).await;
    assert_eq!((answer.status, &answer.json["reference"]), (200, &json!(stream.reference)), "{}", answer.json);
    assert_eq!(answer.json["customer_name"], "Ada");
}

#[actix_rt::test]
async fn nonsense_is_refused_and_stores_nothing() {
    let db = TestDb::new();
    let receiver = Receiver::start(&db);
    for (body, code) in [
        (json!({ "amount": -1, "currency": "eur" }), "invalid_expectation"),
        (json!({ "amount": 1 }), "invalid_expectation"),
        (json!({ "amount": 1, "currency": "EUR" }), "invalid_expectation"),
        (json!({ "amount": 1.5, "currency": "eur" }), "invalid_body"),
        (json!({ "amount": "1", "currency": "eur" }), "invalid_body"),
        (json!({ "amount": 9_223_372_036_854_775_808_u64, "currency": "eur" }), "invalid_body"),
        (json!({ "amuont": 1 }), "invalid_body"),
        (json!([]), "invalid_body"),
        (json!({ "email": "a@b.example\r\nBcc: c@d.example" }), "invalid_expectation"),
    ] {
        let answer = receiver.call("PUT", "/api/orders/R-1", &body).await;
        assert_eq!((answer.status, answer.code()), (400, code), "{body}");
    }
    let answer = receiver.call("PUT", "/api/orders/a%00b", &json!({})).await;
    assert_eq!((answer.status, answer.code()), (400, "invalid_reference"));
    let answer = receiver.call("POST", "/api/orders/R-1/release", &json!({})).await;
    assert_eq!((answer.status, answer.code()), (404, "not_found"));
    let answer = receiver.call("PATCH", "/api/orders/R-1", &json!({})).await;
    assert_eq!(answer.status, 405);
    let open = receiver.client().put(receiver.url("/api/orders/R-1")).body("{}").send().await.unwrap();
    assert_eq!(open.status(), 401);
    assert_eq!(count(&mut db.conn(), "SELECT count(*) FROM events"), 0);
}
