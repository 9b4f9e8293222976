//! The real Stripe CLI forwards to a running receiver.

use crate::support::postgres::TestDb;
use crate::support::server::{OLD_SECRET, Receiver, count, now};
use crate::support::stripe::{FakeStripe, KEY};
use crate::support::stripe_cli::StripeCli;
use crate::support::sync::asker;
use rand::SeedableRng;
use rand::rngs::StdRng;
use ringup::dev::scenarios::{self, Stream};
use ringup::source::signature;
use serde_json::{Value, json};

fn checkout(seed: u64) -> Stream {
    scenarios::play("checkout", &mut StdRng::seed_from_u64(seed), now()).unwrap()
}

#[actix_rt::test]
async fn the_stripe_cli_forwards_a_checkout_badly_and_it_is_one_paid_order() {
    let db = TestDb::new();
    let receiver = Receiver::start(&db);
    let Some(mut cli) = StripeCli::listen("--all-snapshot", &receiver.url("/webhooks/stripe")).await else { return };
    let stream = checkout(1);
    for event in stream.events.iter().rev().chain(&stream.events) {
        cli.push(&event.body).await;
    }
    let mut told: Vec<(u64, String)> = cli
        .answers(8)
        .await
        .into_iter()
        .map(|(status, body)| (status, body["status"].as_str().unwrap().to_owned()))
        .collect();
    told.sort();
    let (new, again) = ((200, "accepted".to_owned()), (200, "duplicate".to_owned()));
    assert_eq!(told, [vec![new; 4], vec![again; 4]].concat());
    assert_eq!(receiver.order(&stream.reference).await["status"], "paid");
    receiver.settle().await;
    assert_eq!(receiver.mails().len(), 1);

    let forged = &checkout(2).events[0].body;
    cli.push_signed(forged, &signature::sign("whsec_of_somebody_else", now(), forged.as_bytes())).await;
    let [(status, body)] = &cli.answers(1).await[..] else { panic!() };
    assert_eq!((*status, &body["error"]["code"]), (400, &json!("invalid_signature")));
    cli.push_signed(forged, &signature::sign(OLD_SECRET, now(), forged.as_bytes())).await;
    assert_eq!(cli.answers(1).await[0].0, 200, "the secret before this one still counts");
}

#[actix_rt::test]
async fn the_stripe_cli_forwards_thin_events_and_what_they_name_is_fetched() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let vars = [("STRIPE_SECRET_KEY", KEY), ("STRIPE_API_BASE", &stripe.base()[..])];
    let (receiver, asker) = (Receiver::start_with(&db.url(), &vars), asker(&db, &stripe, &[]));
    let Some(mut cli) = StripeCli::listen("--all-thin", &receiver.url("/webhooks/stripe")).await else { return };
    let stream = checkout(3);
    let paid: Value = serde_json::from_str(&stream.events[2].body).unwrap();
    let intent = &paid["data"]["object"];
    let url = format!("/v1/payment_intents/{}", intent["id"].as_str().unwrap());
    stripe.keeps("", &url, intent);
    let thin = json!({
        "id": "evt_test_65thin", "object": "v2.core.event", "type": "v1.payment_intent.succeeded", "livemode": false,
        "created": "2026-11-24T08:00:00.000Z", "related_object": { "id": intent["id"], "type": "payment_intent", "url": url },
    });
    cli.push_thin(&thin.to_string()).await;
    assert_eq!(cli.answers(1).await, [(200, json!({ "status": "accepted" }))]);
    assert_eq!(asker.fetch_named().await, 1);
    assert_eq!(receiver.order(intent["id"].as_str().unwrap()).await["status"], "paid");
    assert_eq!(count(&mut db.conn(), "SELECT count(*) FROM events WHERE state = 'processed'"), 2);
}
