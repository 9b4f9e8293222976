//! The endpoint's doctor, through the real command line against a fake of Stripe's API and real receivers.

use crate::endpoint::{URL, endpoint};
use crate::support::hooks::{HookServer, Reply};
use crate::support::postgres::TestDb;
use crate::support::server::{OLD_SECRET, Receiver, SECRET, count, now};
use crate::support::shell::Shell;
use crate::support::stripe::{Event, FakeStripe};
use ringup::source::signature;
use serde_json::{Value, json};

/// The exit code, and the checks that are not well.
async fn ill(shell: &Shell, url: &str) -> (i32, Vec<String>) {
    tell(shell, &["doctor", "--json", "--url", url]).await
}

async fn tell(shell: &Shell, doctor: &[&str]) -> (i32, Vec<String>) {
    let said = shell.run(doctor).await;
    let told: Value = serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{}{}", said.out, said.err));
    assert_eq!(told["ok"] == true, said.code == 0);
    let findings = told["findings"].as_array().unwrap().iter().filter(|finding| finding["ok"] == false);
    (said.code, findings.map(|finding| finding["check"].as_str().unwrap().to_owned()).collect())
}

#[actix_rt::test]
async fn the_doctor_finds_a_healthy_receiver_well() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let receiver = Receiver::start(&db);
    let url = receiver.url("/webhooks/stripe");
    stripe.state().endpoints.push(endpoint("we_1", &json!({ "url": url })));
    let shell = Shell::of("endpoint", &stripe).with("STRIPE_WEBHOOK_SECRET", &format!("{SECRET},{OLD_SECRET}"));
    let said = shell.run(&["doctor"]).await;
    assert_eq!(said.code, 0, "{}", said.out);
    for check in [
        "key",
        "clock",
        "url",
        "status",
        "events",
        "api_version",
        "livemode",
        "deliveries",
        "forgery",
        "server_clock",
        "secret",
    ] {
        assert!(said.out.contains(&format!("ok   {check:12}")), "{check}: {}", said.out);
    }
    assert_eq!(count(&mut db.conn(), "SELECT count(*) FROM events WHERE state = 'ignored'"), 2, "a probe a secret");
    assert_eq!(count(&mut db.conn(), "SELECT count(*) FROM orders"), 0);
    let metrics = receiver.client().get(receiver.url("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(
        !metrics.contains("ringup_signing_secret_last_used_seconds{"),
        "its probes are no use of a secret: {metrics}"
    );
    assert!(!metrics.contains(SECRET), "{metrics}");
    let arrivals = || ringup::inbox::browse::arrivals(&mut db.conn(), "", false, 10).unwrap().len();
    assert_eq!(arrivals(), 0, "nor do they break a silence");
    receiver.deliver(br#"{"id":"evt_1","type":"ping"}"#).await;
    assert_eq!(arrivals(), 1);
}

#[actix_rt::test]
async fn the_doctor_finds_each_illness() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let receiver = Receiver::start(&db);
    let url = receiver.url("/webhooks/stripe");
    let with_secret = |secret: &str| Shell::of("endpoint", &stripe).with("STRIPE_WEBHOOK_SECRET", secret);
    let set = |more: &Value| {
        let mut all = json!({ "url": url });
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        stripe.state().endpoints = vec![endpoint("we_1", &all)];
    };
    let cases = [
        (json!({ "status": "disabled" }), "status"),
        (json!({ "enabled_events": ["charge.succeeded"] }), "events"),
        (json!({ "api_version": null }), "api_version"),
        (json!({ "livemode": true }), "livemode"),
        (json!({ "url": URL }), "url"),
    ];
    for (more, check) in cases {
        set(&more);
        assert_eq!(ill(&with_secret(SECRET), &url).await, (1, vec![check.to_owned()]), "{more}");
    }
    set(&json!({}));
    assert_eq!(ill(&with_secret(SECRET).with("STRIPE_ACCOUNTS", "acct_1"), &url).await.1, ["url"], "none for Connect");
    assert_eq!(ill(&with_secret("whsec_of_another"), &url).await.1, ["secret"]);
    assert_eq!(ill(&Shell::of("endpoint", &stripe), &url).await.1, ["secret"]);
    assert_eq!(ill(&Shell::new("endpoint", &[("STRIPE_WEBHOOK_SECRET", SECRET)]), &url).await.1, ["key"]);
    assert_eq!(ill(&with_secret(SECRET), &receiver.url("/elsewhere")).await.1, ["url", "forgery", "secret"]);
    let credulous = HookServer::start([]).await;
    let found = ill(&with_secret(SECRET), &credulous.url("/webhooks/stripe")).await.1;
    assert_eq!(found, ["url", "forgery", "server_clock"], "whoever answers anything with 200 is no receiver");
    drop(receiver);
    assert_eq!(ill(&with_secret(SECRET), &url).await.1, ["forgery"]);
}

#[actix_rt::test]
async fn the_doctor_sees_that_stripe_signs_with_a_secret_that_nobody_has() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let receiver = Receiver::start(&db);
    let url = receiver.url("/webhooks/stripe");
    stripe.state().endpoints.push(endpoint("we_2", &json!({ "url": url })));
    let shell = Shell::of("endpoint", &stripe).with("STRIPE_WEBHOOK_SECRET", SECRET);
    // The endpoint was deleted and created anew: whatever Stripe sends is answered 400, and the doctor's own is taken.
    let body = br#"{"id":"evt_1","type":"charge.succeeded"}"#;
    let anew = signature::sign("whsec_told_of_we_2", now(), body);
    assert_eq!(receiver.post(body, &[("stripe-signature", &anew)]).await.code(), "invalid_signature");
    let event = |id: &str, kind: &str, ago: i64| json!({ "id": id, "type": kind, "created": now() - ago }).to_string();
    let on_its_way = event("evt_new", "charge.succeeded", 5);
    stripe.lists("", [&event("evt_other", "customer.created", 300)[..], &on_its_way]);
    assert_eq!(ill(&shell, &url).await, (0, vec![]));
    stripe.lists(
        "",
        (0..150)
            .map(|n| event(&format!("evt_{n}"), "charge.succeeded", 7300 + n))
            .collect::<Vec<_>>()
            .iter()
            .map(|body| &body[..]),
    );
    assert_eq!(ill(&shell, &url).await, (1, vec!["deliveries".to_owned()]));
    let said = shell.run(&["doctor"]).await.out;
    assert!(said.contains("150 of the last day's events that matter were not taken"), "{said}");
    assert!(said.contains("charge.succeeded evt_0, 2 h ago") && said.contains("STRIPE_WEBHOOK_SECRET?"), "{said}");
    assert!(stripe.asked_for_events().iter().any(|asked| asked.param("delivery_success") == Some("false")));

    stripe
        .state()
        .events
        .push((String::new(), Event { body: event("evt_taken", "charge.updated", 3000), delivered: true }));
    let said = shell.run(&["doctor"]).await;
    assert_eq!(said.code, 0, "{}", said.out);
    assert!(said.out.contains("later ones were. `ringup sync` fetches"), "{}", said.out);
}

#[actix_rt::test]
async fn the_doctor_asks_for_events_again_and_names_the_permission_that_is_missing() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let receiver = Receiver::start(&db);
    let url = receiver.url("/webhooks/stripe");
    stripe.state().endpoints.push(endpoint("we_1", &json!({ "url": url })));
    stripe.state().script_for = Some("/v1/events".to_owned());
    let shell = Shell::of("endpoint", &stripe).with("STRIPE_WEBHOOK_SECRET", SECRET);
    stripe.refuse_next(429, "Too many requests");
    assert_eq!(ill(&shell, &url).await, (0, vec![]));
    assert_eq!(stripe.asked_for_events().len(), 2);
    stripe.refuse_next(403, "Having the 'rak_event_read' permission would allow this.");
    let said = shell.run(&["doctor"]).await;
    assert_eq!(said.code, 1, "{}", said.out);
    assert!(said.out.contains("ILL  deliveries") && said.out.contains("Events: Read"), "{}", said.out);
}

#[actix_rt::test]
async fn the_doctor_reads_both_clocks() {
    let stripe = FakeStripe::start();
    let late = (chrono::Utc::now() - chrono::TimeDelta::hours(1)).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let body = r#"{"error":{"code":"invalid_signature"}}"#;
    let receiver = HookServer::start([Reply::With(400, body, format!("date: {late}"))]).await;
    let url = receiver.url("/webhooks/stripe");
    stripe.state().endpoints.push(endpoint("we_1", &json!({ "url": url })));
    stripe.state().date = Some(late);
    let shell = Shell::of("endpoint", &stripe).with("STRIPE_WEBHOOK_SECRET", SECRET);
    assert_eq!(ill(&shell, &url).await, (1, vec!["clock".to_owned(), "server_clock".to_owned()]));
}

#[actix_rt::test]
async fn the_doctor_needs_no_url_where_there_is_one_endpoint() {
    let (db, stripe) = (TestDb::new(), FakeStripe::start());
    let receiver = Receiver::start(&db);
    let shell = Shell::of("endpoint", &stripe).with("STRIPE_WEBHOOK_SECRET", SECRET);
    assert_eq!(tell(&shell, &["doctor", "--json"]).await, (1, vec!["url".to_owned(), "receiver".to_owned()]));
    let url = receiver.url("/webhooks/stripe");
    stripe.state().endpoints.push(endpoint("we_1", &json!({ "url": url })));
    assert_eq!(tell(&shell, &["doctor", "--json"]).await, (0, vec![]));
    stripe.state().endpoints.push(endpoint("we_2", &json!({})));
    assert_eq!(tell(&shell, &["doctor", "--json"]).await, (1, vec!["url".to_owned(), "receiver".to_owned()]));
    let said = shell.run(&["doctor"]).await.out;
    assert!(said.contains("2 endpoints") && said.contains("--url"), "{said}");
}
