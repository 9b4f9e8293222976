//! What the webhook endpoint answers to whom: every line of the table of bad inputs that concerns the signature, the
//! body and the envelope.

use crate::support::postgres::TestDb;
use crate::support::server::{OLD_SECRET, Receiver, SECRET, count, now, signed, texts};
use ringup::config::Secret;
use ringup::source::signature::{self, sign};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;

/// A minimal event of a type that no order needs.
fn event(id: &str) -> Value {
    json!({ "id": id, "object": "event", "type": "customer.updated", "created": 1, "livemode": false, "api_version": "2025-08-27.basil",
            "data": { "object": { "id": "cus_1", "object": "customer" } } })
}

fn body(id: &str) -> Vec<u8> {
    event(id).to_string().into_bytes()
}

/// An event of a payment intent whose object is changed by `change`.
fn payment(id: &str, change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut object = json!({ "id": "pi_1", "object": "payment_intent", "amount": 1000, "amount_received": 1000, "currency": "eur",
                             "status": "succeeded", "metadata": {} });
    change(&mut object);
    json!({ "id": id, "object": "event", "type": "payment_intent.succeeded", "created": 1, "livemode": false, "data": { "object": object } })
        .to_string()
        .into_bytes()
}

#[test]
fn the_official_vectors() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/stripe_signature_vectors.json");
    let vectors: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 47);
    for case in cases {
        let body =
            base64::Engine::decode(&base64::prelude::BASE64_STANDARD, case["payload_b64"].as_str().unwrap()).unwrap();
        let tolerance = case["tolerance_s"].as_i64().filter(|tolerance| *tolerance > 0);
        let header = case["header"].as_str().map(str::as_bytes);
        let verified = signature::verify(
            header,
            &body,
            // A blank secret cannot even be made.
            &Secret::new(case["secret"].as_str().unwrap()).into_iter().collect::<Vec<_>>(),
            case["now"].as_i64().unwrap(),
            tolerance,
        );
        // An empty body is refused by the service, not by the signature; SDKs disagree about the future, we refuse it.
        let accept = case["expected"].as_str().unwrap().starts_with("accept") || case["name"] == "empty_payload";
        assert_eq!(verified.is_ok(), accept, "{}: {verified:?}", case["name"]);
    }
}

#[actix_rt::test]
async fn requests_that_are_not_believed_touch_no_database() {
    let db = TestDb::new();
    let receiver = Receiver::start(&db);
    let good = body("evt_good");
    let t = now();
    let v1 = sign(SECRET, t, &good).split_once("v1=").unwrap().1.to_owned();
    let refused = |answer: crate::support::server::Answer, code: &str, what: &str| {
        assert_eq!((answer.status, answer.code()), (400, code), "{what}: {}", answer.json);
        assert!(answer.json["error"]["request_id"].is_string());
    };
    refused(receiver.post(&good, &[]).await, "missing_signature", "no header");
    let header = signed(&good);
    refused(
        receiver.post(&good, &[("stripe-signature", &header), ("stripe-signature", &header)]).await,
        "invalid_signature",
        "two headers",
    );
    refused(receiver.post(b"", &[("stripe-signature", &signed(b""))]).await, "missing_payload", "empty body");
    for t in ["-1", "+1", "1e9", "99999999999999999999", "12abc", ""] {
        refused(receiver.post(&good, &[("stripe-signature", &format!("t={t},v1={v1}"))]).await, "invalid_signature", t);
    }
    let long = format!("t={t},v1={v1},x={}", "y".repeat(4096));
    let many = format!("t={t}{}", format!(",v1={v1}").repeat(17));
    let two_times = format!("t={t},t={},v1={v1}", t + 1);
    for header in [
        format!("v1={v1}"),
        format!("t={t},v0={v1}"),
        format!("t={t},v1="),
        format!("t={t},v1={}", &v1[1..]),
        format!("t={t},v1={v1}0"),
        long,
        many,
        two_times,
    ] {
        refused(receiver.post(&good, &[("stripe-signature", &header)]).await, "invalid_signature", &header);
    }
    for offset in [-301, 310] {
        let header = sign(SECRET, now() + offset, &good);
        refused(
            receiver.post(&good, &[("stripe-signature", &header)]).await,
            "timestamp_out_of_tolerance",
            "old or future",
        );
    }
    let pretty = serde_json::to_vec_pretty(&event("evt_good")).unwrap();
    refused(
        receiver.post(&pretty, &[("stripe-signature", &signed(&good))]).await,
        "invalid_signature",
        "re-serialised",
    );
    let mut conn = db.conn();
    assert_eq!(count(&mut conn, "SELECT count(*) FROM events"), 0);
}

#[actix_rt::test]
async fn signatures_of_a_rolled_secret_are_believed() {
    let db = TestDb::new();
    let receiver = Receiver::start(&db);
    for (n, header) in [
        |body: &[u8]| sign(OLD_SECRET, now(), body),
        |body: &[u8]| format!("{},v2=unknown", sign(SECRET, now(), body)),
        |body: &[u8]| sign(SECRET, now(), body).replace(",v1=", &format!(",v1={},v1=", "0".repeat(64))),
    ]
    .iter()
    .enumerate()
    {
        let body = body(&format!("evt_{n}"));
        let answer = receiver.post(&body, &[("stripe-signature", &header(&body))]).await;
        assert_eq!((answer.status, answer.code()), (200, "ignored"));
    }
}

#[actix_rt::test]
async fn signed_bodies_that_are_no_event_are_refused() {
    let db = TestDb::new();
    let receiver = Receiver::start(&db);
    let good = String::from_utf8(body("evt_1")).unwrap();
    let deep = format!(r#"{{"id":"evt_1","type":"x","data":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let bad: Vec<Vec<u8>> = vec![
        format!("\u{feff}{good}").into_bytes(),
        b"} not JSON".to_vec(),
        format!("[{good}]").into_bytes(),
        b"[\"evt_1\",\"x\"]".to_vec(),
        b"null".to_vec(),
        [good.as_bytes(), b"\xff"].concat(),
        good.replace("cus_1", "\u{0}")
            .replace('\u{0}', "X")
            .into_bytes()
            .into_iter()
            .map(|b| if b == b'X' { 0xff } else { b })
            .collect(),
        format!("{good} {{}}").into_bytes(),
        good.replacen('{', r#"{"id":"evt_2","#, 1).into_bytes(),
        good.replacen('{', r#"{"type":"x","#, 1).into_bytes(),
        good.replace(r#""id":"evt_1","#, "").into_bytes(),
        good.replace(r#""evt_1""#, "7").into_bytes(),
        deep.into_bytes(),
    ];
    for body in bad {
        let answer = receiver.deliver(&body).await;
        assert_eq!(
            (answer.status, answer.code()),
            (400, "invalid_payload"),
            "{}",
            String::from_utf8_lossy(&body[..body.len().min(200)])
        );
    }
    assert_eq!(count(&mut db.conn(), "SELECT count(*) FROM events"), 0);
}

#[actix_rt::test]
async fn odd_but_signed_events_are_stored_with_their_bytes() {
    let db = TestDb::new();
    let receiver = Receiver::start(&db);
    let nested = format!(r#"{{"id":"evt_nested","type":"x","data":{}{}}}"#, "[".repeat(100), "]".repeat(100));
    let nul = r#"{"id":"evt_nul","type":"x","note":"\u0000"}"#.to_owned();
    let surrogate = r#"{"id":"evt_surrogate","type":"x","note":"\ud800"}"#.to_owned();
    let thin = r#"{"id":"evt_thin","object":"v2.core.event","type":"v1.payment_intent.succeeded","created":"2026-11-01T00:00:00.000Z","related_object":{"id":"pi_1","type":"payment_intent","url":"/v1/payment_intents/pi_1"}}"#.to_owned();
    for body in [nested, nul, surrogate, thin] {
        let answer = receiver.deliver(body.as_bytes()).await;
        assert_eq!((answer.status, answer.code()), (200, "ignored"), "{body}");
        assert_eq!(receiver.deliver(body.as_bytes()).await.code(), "duplicate");
        let stored = format!("SELECT count(*) FROM payloads WHERE body = decode('{}', 'hex')", hex::encode(&body));
        assert_eq!(count(&mut db.conn(), &stored), 1, "{body}");
    }
    for (n, id) in
        ["x".repeat(256), "evt_\u{7}".into(), "evt_'; DROP TABLE events".into(), "../evt".into(), "evt_\u{202e}".into()]
            .iter()
            .enumerate()
    {
        let answer = receiver.deliver(&body(id)).await;
        assert_eq!(answer.status, 200, "{id}: {}", answer.json);
        assert_eq!(
            count(
                &mut db.conn(),
                "SELECT count(*) FROM events WHERE state = 'quarantined' AND event_id LIKE 'sha256:%'"
            ),
            n as i64 + 1
        );
    }
}

#[actix_rt::test]
async fn unusable_amounts_are_quarantined_and_change_no_order() {
    let db = TestDb::new();
    let receiver = Receiver::start(&db);
    let amounts = ["-1", "1.5", "\"1000\"", "9223372036854775808", "1e400", "null", "[]"];
    for (n, amount) in amounts.iter().enumerate() {
        let body = String::from_utf8(payment(&format!("evt_{n}"), |_| {})).unwrap();
        let body = body.replace("\"amount_received\":1000", &format!("\"amount_received\":{amount}"));
        let answer = receiver.deliver(body.as_bytes()).await;
        assert_eq!(answer.status, 200, "{amount}: {}", answer.json);
    }
    let bodies = [
        payment("evt_currency_upper", |o| o["currency"] = json!("EUR")),
        payment("evt_currency_number", |o| o["currency"] = json!(7)),
        payment("evt_no_status", |o| o["status"] = Value::Null),
        payment("evt_no_object_id", |o| o["id"] = Value::Null),
    ];
    for body in &bodies {
        assert_eq!(receiver.deliver(body).await.status, 200);
    }
    let mut conn = db.conn();
    let states = texts(
        &mut conn,
        "SELECT event_id || ': ' || state || coalesce(' ' || reason, '') AS text FROM events WHERE state <> 'quarantined'",
    );
    assert_eq!(states, [], "only quarantined events are expected");
    assert_eq!(
        count(&mut conn, "SELECT count(*) FROM events WHERE reason LIKE '%: %'"),
        (amounts.len() + bodies.len()) as i64
    );
    assert_eq!(count(&mut conn, "SELECT count(*) FROM orders"), 0);
}

#[actix_rt::test]
async fn a_second_body_under_the_same_id_changes_nothing() {
    let db = TestDb::new();
    let receiver = Receiver::start(&db);
    assert_eq!(receiver.deliver(&payment("evt_1", |_| {})).await.code(), "accepted");
    let other = payment("evt_1", |o| o["amount_received"] = json!(5));
    assert_eq!(receiver.deliver(&other).await.code(), "duplicate");
    assert_eq!(receiver.order("pi_1").await["amount_paid"], 1000);
}

#[actix_rt::test]
async fn events_of_another_mode_or_account_are_stored_as_ignored() {
    let db = TestDb::new();
    let receiver = Receiver::start_with(&db.url(), &[("STRIPE_MODE", "live"), ("STRIPE_ACCOUNTS", "acct_ours")]);
    let answer = receiver.deliver(&payment("evt_test", |_| {})).await;
    assert_eq!((answer.status, answer.json["reason"].as_str()), (200, Some("livemode_mismatch")));
    let live = |id: &str, account: &str| {
        let mut event: Value = serde_json::from_slice(&payment(id, |_| {})).unwrap();
        event["livemode"] = json!(true);
        event["account"] = json!(account);
        event.to_string().into_bytes()
    };
    let answer = receiver.deliver(&live("evt_foreign", "acct_foreign")).await;
    assert_eq!(answer.json["reason"], "account_mismatch");
    assert_eq!(receiver.deliver(&live("evt_ours", "acct_ours")).await.code(), "accepted");
    assert_eq!(receiver.api("/api/orders/pi_1?account=acct_ours").await.status, 200);
    assert_eq!(receiver.api("/api/orders/pi_1").await.status, 404);
}

#[actix_rt::test]
async fn paths_methods_encodings_and_sizes() {
    let db = TestDb::new();
    let receiver = Receiver::start(&db);
    let get = receiver.client().get(receiver.url("/webhooks/stripe")).send().await.unwrap();
    assert_eq!((get.status().as_u16(), get.headers()["allow"].to_str().unwrap()), (405, "POST"));
    assert_eq!(receiver.client().put(receiver.url("/webhooks/stripe")).send().await.unwrap().status(), 405);
    assert_eq!(receiver.client().get(receiver.url("/nothing")).send().await.unwrap().status(), 404);
    let good = body("evt_1");
    let answer = receiver.post(&good, &[("stripe-signature", &signed(&good)), ("content-encoding", "gzip")]).await;
    assert_eq!(answer.status, 415);
    for encodings in [["identity", "gzip"], ["gzip", "identity"], ["br", "gzip"]] {
        let mut headers = vec![("stripe-signature", signed(&good))];
        headers.extend(encodings.map(|encoding| ("content-encoding", encoding.to_owned())));
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, &value[..])).collect();
        assert_eq!(receiver.post(&good, &headers).await.status, 415, "{encodings:?}");
    }
    let large = vec![b' '; (1 << 20) + 1];
    assert_eq!(receiver.post(&large, &[("stripe-signature", &signed(&large))]).await.status, 413);
    let exact = [good.clone(), vec![b' '; (1 << 20) - good.len()]].concat();
    assert_eq!(receiver.deliver(&exact).await.status, 200);
    let chunked = format!(
        "POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\nStripe-Signature: {}\r\nTransfer-Encoding: chunked\r\n\r\n",
        signed(&large)
    );
    let chunks: Vec<u8> = large
        .chunks(1 << 16)
        .flat_map(|chunk| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat())
        .collect();
    assert!(raw(&receiver, &[chunked.as_bytes(), &chunks, b"0\r\n\r\n"].concat()).starts_with("HTTP/1.1 413"));
    assert_eq!(receiver.client().get(receiver.url("/healthz")).send().await.unwrap().status(), 200);
    assert_eq!(receiver.client().get(receiver.url("/readyz")).send().await.unwrap().status(), 200);
    let metrics = receiver.client().get(receiver.url("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains(r#"ringup_webhooks_total{source="stripe",answer="payload_too_large"} 2"#), "{metrics}");
}

#[actix_rt::test]
async fn a_body_shorter_than_declared_leaves_no_row() {
    let db = TestDb::new();
    let receiver = Receiver::start(&db);
    let good = body("evt_short");
    let head = format!(
        "POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\nStripe-Signature: {}\r\nContent-Length: {}\r\n\r\n",
        signed(&good),
        good.len() + 10
    );
    let answer = raw(&receiver, &[head.as_bytes(), &good].concat());
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(receiver.deliver(&body("evt_next")).await.status, 200);
    assert_eq!(count(&mut db.conn(), "SELECT count(*) FROM events WHERE event_id = 'evt_short'"), 0);
}

#[actix_rt::test]
async fn slow_heads_slow_bodies_and_slow_second_heads_are_cut_off() {
    let db = TestDb::new();
    let receiver = Receiver::start_with(&db.url(), &[("READ_DEADLINE", "1")]);
    let good = body("evt_1");
    let request = format!(
        "POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\nStripe-Signature: {}\r\nContent-Length: {}\r\n\r\n",
        signed(&good),
        good.len()
    );
    let whole = [request.as_bytes(), &good].concat();
    let beginnings =
        [whole[..40].to_vec(), whole[..whole.len() - 1].to_vec(), [&whole[..], &whole[..40]].concat(), Vec::new()];
    for beginning in beginnings {
        let begun = std::time::Instant::now();
        let mut stream = TcpStream::connect(receiver.address()).unwrap();
        stream.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        stream.write_all(&beginning).unwrap();
        // The connection ends by itself: were it left open, this would time out.
        let mut answer = Vec::new();
        let ended = stream.read_to_end(&mut answer);
        assert!(
            ended.is_ok() || ended.is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset),
            "{} bytes",
            beginning.len()
        );
        assert!(begun.elapsed() < std::time::Duration::from_secs(8));
    }
}

#[actix_rt::test]
async fn the_api_lets_in_only_its_token() {
    let db = TestDb::new();
    let receiver = Receiver::start(&db);
    let url = receiver.url("/api/orders/nothing");
    for header in ["", "Bearer", "Bearer ", "Bearer wrong", "Basic token-of-the-tests", "bearer token-of-the-tests"] {
        let answer = receiver.client().get(&url).header("authorization", header).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{header}");
    }
    assert_eq!(receiver.client().get(&url).send().await.unwrap().status(), 401);
    assert_eq!(receiver.api("/api/orders/nothing").await.status, 404);
    for path in ["%00", &"x".repeat(10_000), "a?livemode=maybe", "a?unknown=1"] {
        assert_eq!(receiver.api(&format!("/api/orders/{path}")).await.status, 400, "{}", &path[..path.len().min(30)]);
    }
    assert_eq!(receiver.api("/api/orders/'%20OR%201=1--").await.status, 404);
}

/// Sends `bytes`, ends the sending side, and reads the answer.
fn raw(receiver: &Receiver, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(receiver.address()).unwrap();
    // The server may close before it has read all.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}
