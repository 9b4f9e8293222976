//! What was bought, asked of a fake of Stripe's API for the confirmation; without it the mail goes all the same.

use crate::support::postgres::TestDb;
use crate::support::server::{Receiver, now};
use crate::support::stripe::FakeStripe;
use crate::support::sync::asker;
use mail_parser::MessageParser;
use rand::SeedableRng;
use rand::rngs::StdRng;
use ringup::dev::scenarios::{self, Stream};
use serde_json::{Value, json};

/// A checkout, and its session.
fn checkout(seed: u64) -> (Stream, Value) {
    let stream = scenarios::play("checkout", &mut StdRng::seed_from_u64(seed), now()).unwrap();
    let objects =
        stream.events.iter().map(|event| serde_json::from_str::<Value>(&event.body).unwrap()["data"]["object"].clone());
    let session = objects.into_iter().find(|object| object["object"] == "checkout.session").unwrap();
    (stream, session)
}

fn sells(stripe: &FakeStripe, account: &str, session: &Value, currency: &Value, has_more: bool) {
    let line = |description: &str, quantity: i64, amount: i64| json!({ "id": "li_1", "object": "item", "description": description, "quantity": quantity, "amount_total": amount, "currency": currency });
    let path = format!("/v1/checkout/sessions/{}/line_items", session["id"].as_str().unwrap());
    let lines = [line("Highland Tea", 2, 1800), line("Kettle\n<b>", 1, 2200)];
    stripe.keeps(account, &path, &json!({ "object": "list", "data": lines, "has_more": has_more }));
}

async fn pay(receiver: &Receiver, stream: &Stream) -> String {
    let before = receiver.mails();
    for event in &stream.events {
        receiver.deliver(event.body.as_bytes()).await;
    }
    receiver.settle().await;
    let mail = receiver.mails().into_iter().find(|path| !before.contains(path)).unwrap();
    MessageParser::default().parse(&std::fs::read(mail).unwrap()).unwrap().body_text(0).unwrap().into_owned()
}

#[actix_rt::test]
async fn a_confirmation_says_what_was_bought() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let (receiver, asker) = (Receiver::start(&db), asker(&db, &stripe, &[]));
    receiver.asks(&asker);
    let (stream, session) = checkout(1);
    sells(&stripe, "", &session, &session["currency"], false);
    let mail = pay(&receiver, &stream).await;
    assert!(mail.contains("2 × Highland Tea: ") && mail.contains("1 × Kettle <b>: "), "{mail}");

    let (stream, session) = checkout(2);
    sells(&stripe, "", &session, &json!("xts"), false);
    assert!(!pay(&receiver, &stream).await.contains('×'), "amounts of another currency mislead");
    let (stream, session) = checkout(3);
    sells(&stripe, "", &session, &session["currency"], true);
    assert!(!pay(&receiver, &stream).await.contains('×'), "a part of what was bought misleads");
    assert_eq!(stripe.state().asked.len(), 3);
}

#[actix_rt::test]
async fn what_the_shop_registered_is_not_asked_for() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let (receiver, asker) = (Receiver::start(&db), asker(&db, &stripe, &[]));
    receiver.asks(&asker);
    let (stream, session) = checkout(1);
    sells(&stripe, "", &session, &session["currency"], false);
    let lines = json!({ "amount": session["amount_total"], "currency": session["currency"], "line_items": [{ "description": "Our own words", "quantity": 1 }] });
    assert_eq!(receiver.call("PUT", &format!("/api/orders/{}", stream.reference), &lines).await.status, 201);
    let mail = pay(&receiver, &stream).await;
    assert!(mail.contains("Our own words") && !mail.contains("Kettle"), "{mail}");
    assert!(stripe.state().asked.is_empty());
}

#[actix_rt::test]
async fn the_mail_goes_without_them_where_stripe_cannot_say() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let (receiver, asking) = (Receiver::start(&db), asker(&db, &stripe, &[]));
    receiver.asks(&asking);
    let (stream, session) = checkout(1);
    sells(&stripe, "", &session, &session["currency"], false);
    // One that Stripe does not know is nobody else's trouble.
    let (unknown, _) = checkout(3);
    assert!(!pay(&receiver, &unknown).await.contains('×'));
    assert_eq!(stripe.state().asked.len(), 1);
    stripe.hang_next();
    let begun = std::time::Instant::now();
    assert!(!pay(&receiver, &stream).await.contains('×'));
    assert!(begun.elapsed().as_secs() < 20, "it waited for Stripe for {:?}", begun.elapsed());

    let (stream, session) = checkout(2);
    sells(&stripe, "", &session, &session["currency"], false);
    assert!(!pay(&receiver, &stream).await.contains('×'));
    assert_eq!(stripe.state().asked.len(), 2, "nobody is asked again at once");
}

#[actix_rt::test]
async fn a_connected_accounts_session_is_asked_for_in_its_name() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let (receiver, asker) = (Receiver::start(&db), asker(&db, &stripe, &[]));
    receiver.asks(&asker);
    let (mut stream, session) = checkout(1);
    sells(&stripe, "acct_a", &session, &session["currency"], false);
    for event in &mut stream.events {
        let mut theirs: Value = serde_json::from_str(&event.body).unwrap();
        theirs["account"] = json!("acct_a");
        event.body = theirs.to_string();
    }
    assert!(pay(&receiver, &stream).await.contains("2 × Highland Tea: "));
    assert_eq!(stripe.state().asked[0].header("stripe-account"), "acct_a");
}
