//! Why an order is what it is, and the same once more: timeline, replay, rebuild, lists.

use crate::support::postgres::TestDb;
use crate::support::server::{Receiver, count, signed, texts, variables};
use diesel::connection::SimpleConnection;
use rand::SeedableRng;
use rand::rngs::StdRng;
use ringup::dev::scenarios::{self, Stream};
use serde_json::{Value, json};
use std::process::{Command, Output};

fn stream(name: &str, seed: u64) -> Stream {
    scenarios::play(name, &mut StdRng::seed_from_u64(seed), crate::support::server::now()).unwrap()
}

async fn deliver(receiver: &Receiver, stream: &Stream) {
    for event in &stream.events {
        assert_eq!(receiver.deliver(event.body.as_bytes()).await.status, 200);
    }
}

/// Runs the program on `db`, as a person would.
fn ringup(db: &TestDb, args: &[&str]) -> Output {
    let mail = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringup"));
    command
        .args(args)
        .envs(variables(&db.url(), mail.path().to_str().unwrap()))
        .current_dir(mail.path())
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[actix_rt::test]
async fn the_timeline_tells_what_each_event_did_and_what_was_told() {
    let db = TestDb::new();
    let receiver = Receiver::start(&db);
    let stream = stream("refund-full", 51);
    deliver(&receiver, &stream).await;
    receiver.settle().await;
    let told = receiver.api(&format!("/api/orders/{}/timeline", stream.reference)).await;
    assert_eq!(told.status, 200, "{}", told.json);
    let events = told.json["events"].as_array().unwrap();
    assert_eq!(events.len(), stream.events.len());
    let ids: Vec<&str> = events.iter().map(|step| step["event"]["event_id"].as_str().unwrap()).collect();
    assert_eq!(ids, stream.events.iter().map(|event| &event.id[..]).collect::<Vec<_>>());
    assert_eq!(events[0]["because"], "the first that is known of this order");

    // From one status to the next without a gap, from nothing to what the order is.
    let mut status = Value::Null;
    for change in events.iter().flat_map(|step| step["changes"].as_array().unwrap()).filter(|c| c["field"] == "status")
    {
        assert_eq!(change["from"], status);
        status = change["to"].clone();
    }
    assert_eq!((&status, &told.json["order"]["status"]), (&json!("refunded"), &json!("refunded")));
    let owes: Vec<&str> =
        events.iter().flat_map(|step| step["owes"].as_array().unwrap()).map(|key| key.as_str().unwrap()).collect();
    for notice in ["order.paid:", "order.refunded:"] {
        assert_eq!(owes.iter().filter(|key| key.starts_with(notice)).count(), 1, "{owes:?}");
    }
    let messages = told.json["messages"].as_array().unwrap();
    let paid = messages.iter().find(|message| message["notice"] == "order.paid").unwrap();
    assert_eq!((&paid["state"], &paid["attempts"][0]["outcome"]), (&json!("sent"), &json!("sent")), "{paid}");
}

#[actix_rt::test]
async fn pages_of_the_timeline_make_up_the_whole() {
    let db = TestDb::new();
    let receiver = Receiver::start(&db);
    let stream = stream("refund-failed", 52);
    deliver(&receiver, &stream).await;
    let path = format!("/api/orders/{}/timeline", stream.reference);
    let whole = receiver.api(&path).await.json["events"].clone();
    let (mut pages, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = receiver.api(&format!("{path}?limit=2{cursor}")).await.json;
        pages.extend(page["events"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(Value::Array(pages), whole);
}

#[actix_rt::test]
async fn what_changed_nothing_says_why() {
    let db = TestDb::new();
    let receiver = Receiver::start(&db);
    let stream = stream("checkout", 53);
    deliver(&receiver, &stream).await;
    let mut twin: Value = serde_json::from_str(&stream.events[2].body).unwrap();
    twin["id"] = json!("evt_twin");
    assert_eq!(receiver.deliver(twin.to_string().as_bytes()).await.code(), "accepted");
    let mut broken = twin.clone();
    (broken["id"], broken["data"]["object"]["currency"]) = (json!("evt_broken"), json!(7));
    assert_eq!(receiver.deliver(broken.to_string().as_bytes()).await.status, 200);
    let told = receiver.api(&format!("/api/orders/{}/timeline", stream.reference)).await.json;
    let of = |id: &str| told["events"].as_array().unwrap().iter().find(|step| step["event"]["event_id"] == id).unwrap();
    assert_eq!((&of("evt_twin")["changes"], &of("evt_broken")["changes"]), (&json!([]), &json!([])));
    assert!(["known", "kept"].contains(&of("evt_twin")["outcome"].as_str().unwrap()));
    assert_eq!(of("evt_broken")["outcome"], "quarantined");
    assert!(of("evt_broken")["because"].as_str().unwrap().contains("currency"));
}

#[actix_rt::test]
async fn a_replay_judges_anew_and_tells_nothing_twice() {
    let db = TestDb::new();
    let stream = stream("checkout", 54);
    let receiver = Receiver::start_with(&db.url(), &[("STRIPE_MODE", "live")]);
    deliver(&receiver, &stream).await;
    let id = &stream.events[2].id;
    assert_eq!(count(&mut db.conn(), "SELECT count(*) FROM events WHERE reason = 'livemode_mismatch'"), 4);
    let still = receiver.call("POST", &format!("/api/events/{id}/replay"), &Value::Null).await;
    assert_eq!((still.status, &still.json["event"]["state"]), (200, &json!("ignored")), "{}", still.json);
    drop(receiver);

    let receiver = Receiver::start(&db);
    let dry = receiver.call("POST", &format!("/api/events/{id}/replay?dry_run=true"), &Value::Null).await;
    assert_eq!((&dry.json["before"], &dry.json["event"]["state"]), (&json!([]), &json!("processed")), "{}", dry.json);
    assert_eq!(dry.json["after"].as_array().unwrap().len(), 1);
    assert_eq!(count(&mut db.conn(), "SELECT count(*) FROM orders"), 0);
    assert_eq!(count(&mut db.conn(), "SELECT count(*) FROM events WHERE state = 'ignored'"), 4);

    for _ in 0..2 {
        for event in &stream.events {
            let path = format!("/api/events/{}/replay", event.id);
            let done = receiver.call("POST", &path, &Value::Null).await;
            assert_eq!((done.status, &done.json["event"]["state"]), (200, &json!("processed")), "{}", done.json);
        }
        receiver.settle().await;
    }
    assert_eq!(receiver.order(&stream.reference).await["status"], "paid");
    assert_eq!(receiver.mails().len(), 1);
    assert_eq!(count(&mut db.conn(), "SELECT count(*) FROM pending"), 0);
}

#[actix_rt::test]
async fn what_is_in_flight_is_not_replayed() {
    let db = TestDb::new();
    let receiver = Receiver::start(&db);
    let stream = stream("checkout", 55);
    deliver(&receiver, &stream).await;
    let id = &stream.events[0].id;
    db.conn()
        .batch_execute(&format!(
            "UPDATE events SET state = 'pending' WHERE event_id = '{id}'; \
             INSERT INTO pending (event) SELECT id FROM events WHERE event_id = '{id}'"
        ))
        .unwrap();
    let answer = receiver.call("POST", &format!("/api/events/{id}/replay"), &Value::Null).await;
    assert_eq!((answer.status, answer.code()), (409, "in_flight"));
    receiver.settle().await;
    let answer = receiver.call("POST", &format!("/api/events/{id}/replay"), &Value::Null).await;
    assert_eq!(answer.status, 200);
    let answer = receiver.call("POST", "/api/events/evt_nobody/replay", &Value::Null).await;
    assert_eq!(answer.status, 404);
}

#[actix_rt::test]
async fn a_rebuild_finds_no_difference_and_mends_what_was_changed_by_hand() {
    let db = TestDb::new();
    let receiver = Receiver::start(&db);
    let streams: Vec<Stream> =
        scenarios::list().iter().zip(60..).map(|(scenario, seed)| stream(scenario.name, seed)).collect();
    for stream in &streams {
        deliver(&receiver, stream).await;
    }
    let word = json!({ "amount": 1, "currency": "eur", "email": "desk@shop.example" });
    assert_eq!(receiver.call("PUT", &format!("/api/orders/{}", streams[0].reference), &word).await.status, 200);
    receiver.settle().await;
    let mails = receiver.mails().len();
    assert!(mails > streams.len() / 2);

    let well = ringup(&db, &["orders", "rebuild", "--all"]);
    assert!(well.status.success(), "{}", text(&well));
    // Of a renewal that is never paid, nothing of Stripe's ties the payment intent to its invoice: it stands alone.
    assert_eq!(text(&well), format!("{} orders derived anew, 0 differ\n", streams.len() + 1));

    let reference = &streams[0].reference;
    let before = receiver.order(reference).await;
    let spoil = format!("UPDATE orders SET amount_paid = 7, facts = '{{}}' WHERE reference = '{reference}'");
    db.conn().batch_execute(&spoil).unwrap();
    let dry = ringup(&db, &["orders", "rebuild", reference, "--dry-run"]);
    assert_eq!(dry.status.code(), Some(1));
    assert!(text(&dry).contains("amount_paid: 7 → "), "{}", text(&dry));
    assert_eq!(receiver.order(reference).await["amount_paid"], 7);
    let mended = ringup(&db, &["orders", "rebuild", reference]);
    assert!(text(&mended).contains("written anew"), "{}", text(&mended));
    let mut after = receiver.order(reference).await;
    for field in ["version", "updated_at"] {
        after[field] = before[field].clone();
    }
    assert_eq!(after, before);
    assert!(ringup(&db, &["orders", "rebuild", "--all", "--dry-run"]).status.success());
    receiver.settle().await;
    assert_eq!(receiver.mails().len(), mails);
}

#[actix_rt::test]
async fn lists_come_in_pages_and_refuse_nonsense() {
    let db = TestDb::new();
    let receiver = Receiver::start(&db);
    let streams: Vec<Stream> = (70..75).map(|seed| stream("checkout", seed)).collect();
    for stream in &streams {
        deliver(&receiver, stream).await;
    }
    for (path, key, all) in [("/api/orders", "reference", 5), ("/api/events", "event_id", 20)] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = receiver.api(&format!("{path}?limit=2{cursor}")).await.json;
            seen.extend(page["data"].as_array().unwrap().iter().map(|row| row[key].as_str().unwrap().to_owned()));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        let unique: std::collections::BTreeSet<_> = seen.iter().collect();
        assert_eq!((seen.len(), unique.len()), (all, all), "{path}");
        for limit in ["0", "-1", "1000000000", "x", ""] {
            assert_eq!(receiver.api(&format!("{path}?limit={limit}")).await.status, 400, "{path} {limit}");
        }
        assert_eq!(receiver.api(&format!("{path}?cursor=%00")).await.status, 400);
        assert_eq!(receiver.api(&format!("{path}?unheard=1")).await.status, 400);
        let open = receiver.client().get(receiver.url(path)).send().await.unwrap();
        assert_eq!(open.status(), 401);
    }
    let lists = ["/api/orders", "/api/events", "/api/messages", "/api/subscriptions"];
    for (path, query) in lists.into_iter().flat_map(|path| [(path, "cursor=x"), (path, "cursor="), (path, "unheard=1")])
    {
        assert_eq!(receiver.api(&format!("{path}?{query}")).await.status, 400, "{path}?{query}");
    }
    for (query, named) in [
        ("/api/events?source=zzz", "stripe, stripe_api, github or shop"),
        ("/api/events?state=zzz", "pending, processed, ignored or quarantined"),
        ("/api/orders?status=zzz", "review, disputed"),
        ("/api/messages?state=zzz", "queued, sent or dead"),
        ("/api/messages?kind=zzz", "email, slack or webhook"),
    ] {
        let answer = receiver.api(query).await;
        let message = answer.json["error"]["message"].as_str().unwrap();
        assert!(answer.status == 400 && message.contains(named), "{query}: {}", answer.json);
    }
    for source in ringup::inbox::SOURCES {
        assert_eq!(receiver.api(&format!("/api/events?source={source}")).await.status, 200, "{source}");
    }
    assert_eq!(receiver.api("/api/orders?status=review").await.json["data"], json!([]));
    assert_eq!(receiver.api("/api/events?state=quarantined").await.json["data"], json!([]));
    assert_eq!(receiver.api("/api/events?state=unheard").await.status, 400);
    let long = "x".repeat(10_000);
    for id in ["%00", &long] {
        assert_eq!(receiver.api(&format!("/api/events/{id}")).await.status, 400);
    }
    assert_eq!(receiver.api("/api/events/';DROP%20TABLE%20events;--").await.status, 404);
}

#[actix_rt::test]
async fn the_command_line_shows_replays_and_releases() {
    let db = TestDb::new();
    let receiver = Receiver::start(&db);
    let stream = stream("checkout", 81);
    let word = json!({ "amount": 1, "currency": "eur" });
    let path = format!("/api/orders/{}", stream.reference);
    assert_eq!(receiver.call("PUT", &path, &word).await.status, 201);
    deliver(&receiver, &stream).await;
    receiver.settle_past_grace(&db).await;
    let shown = text(&ringup(&db, &["orders", "show", &stream.reference]));
    assert!(shown.contains("in review") && shown.contains("order.expectation"), "{shown}");
    assert!(stream.events.iter().all(|event| shown.contains(&event.id)), "{shown}");
    let listed = text(&ringup(&db, &["orders", "list", "--status", "review"]));
    assert!(listed.contains(&stream.reference), "{listed}");

    let released = ringup(&db, &["orders", "release", &stream.reference, "--note", "looked"]);
    assert!(text(&released).contains("is paid"), "{}{}", text(&released), String::from_utf8_lossy(&released.stderr));
    receiver.settle().await;
    // The customer's, and the shop's of the review.
    assert_eq!(receiver.mails().len(), 2);

    let replayed = ringup(&db, &["events", "replay", "--since", "1h", "--source", "stripe"]);
    assert!(text(&replayed).contains("4 replayed, 0 not"), "{}", text(&replayed));
    let dry = ringup(&db, &["events", "replay", &stream.events[0].id, "--dry-run"]);
    assert!(text(&dry).contains("1 would be replayed, 0 not"), "{}", text(&dry));
    receiver.settle().await;
    assert_eq!(receiver.mails().len(), 2);
    let listed = text(&ringup(&db, &["events", "list", "--type", "order.release"]));
    assert_eq!(listed.lines().count(), 2, "{listed}");
    let body = text(&ringup(&db, &["events", "show", &stream.events[0].id]));
    assert!(body.contains(stream.events[0].body.lines().next().unwrap()), "{body}");

    assert_eq!(ringup(&db, &["events", "replay"]).status.code(), Some(2));
    assert_eq!(ringup(&db, &["events", "list", "--limit", "0"]).status.code(), Some(2));
    let nobody = ringup(&db, &["orders", "show", "R-nobody"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&nobody.stderr), "ringup: no order answers to \"R-nobody\"\n");
}

#[actix_rt::test]
async fn a_quarantined_event_is_shown_and_applied_once_it_can_be() {
    let db = TestDb::new();
    let receiver = Receiver::start(&db);
    let stream = stream("checkout", 91);
    fail::cfg("orders.take", "1*return").unwrap();
    let body = stream.events[2].body.replace("evt_", "evt_unread");
    assert_eq!(receiver.post(body.as_bytes(), &[("stripe-signature", &signed(body.as_bytes()))]).await.status, 200);
    fail::remove("orders.take");
    let shown = receiver.api("/api/events?state=quarantined").await.json;
    let row = &shown["data"][0];
    assert_eq!(row["reason"], "field: the failpoint says so", "{shown}");
    let path = format!("/api/events/{}/replay", row["id"]);
    let done = receiver.call("POST", &path, &Value::Null).await;
    assert_eq!(
        (&done.json["state_before"], &done.json["event"]["state"]),
        (&json!("quarantined"), &json!("processed"))
    );
    assert_eq!(texts(&mut db.conn(), "SELECT status AS text FROM orders"), [Some("paid".to_owned())]);
}
