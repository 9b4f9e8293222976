//! GitHub's webhooks: stored once, told to whoever subscribed, relayed as they came.

use crate::support::hooks::HookServer;
use crate::support::postgres::TestDb;
use crate::support::server::{API_TOKEN, Answer, Receiver, count, texts};
use ringup::config::Secret;
use ringup::source::github::{sign, verify};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const SECRET: &str = "It's a Secret to Everybody";
const SETTINGS: [(&str, &str); 2] =
    [("GITHUB_WEBHOOK_SECRET", "another secret,It's a Secret to Everybody"), ("ALLOW_PRIVATE_TARGETS", "true")];

fn secret(text: &str) -> Secret {
    Secret::new(text).unwrap()
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

/// GitHub's published payloads, a folder an event.
fn payloads() -> Vec<PathBuf> {
    let folders = std::fs::read_dir(data().join("github")).unwrap().map(|entry| entry.unwrap().path());
    let folders = folders.filter(|path| path.is_dir());
    let mut files: Vec<_> =
        folders.flat_map(|folder| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path())).collect();
    files.sort();
    files
}

async fn send(receiver: &Receiver, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let request = receiver.client().post(receiver.url("/webhooks/github")).body(body.to_vec());
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let bytes = response.bytes().await.unwrap();
    Answer { status, json: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
}

async fn deliver(receiver: &Receiver, event: &str, delivery: &str, body: &[u8]) -> Answer {
    let signature = sign(SECRET, body);
    let headers = [
        ("content-type", "application/json"),
        ("x-github-event", event),
        ("x-github-delivery", delivery),
        ("x-hub-signature-256", &signature[..]),
    ];
    send(receiver, &headers, body).await
}

fn push(repository: &str, git_ref: &str) -> Vec<u8> {
    json!({ "ref": git_ref, "after": "0123456789abcdef", "repository": { "full_name": repository },
        "sender": { "login": "ada" }, "head_commit": { "message": "Mend it\n\nAll of it" },
        "compare": "https://github.com/o/r/compare/x" })
    .to_string()
    .into_bytes()
}

#[actix_rt::test]
async fn every_published_payload_is_accepted_and_told() {
    let db = TestDb::new();
    let hooks = HookServer::start([]).await;
    let receiver = Receiver::start_with(&db.url(), &SETTINGS);
    let wanted = json!({ "url": hooks.url("/"), "events": ["github.*"] });
    assert_eq!(receiver.call("POST", "/api/subscriptions", &wanted).await.status, 201);
    let mut told = 0;
    for (n, file) in payloads().into_iter().enumerate() {
        let event = file.parent().unwrap().file_name().unwrap().to_str().unwrap();
        let body = std::fs::read(&file).unwrap();
        let answer = deliver(&receiver, event, &format!("delivery-{n}"), &body).await;
        let expected = if event == "ping" { "ignored" } else { "accepted" };
        assert_eq!((answer.status, answer.code()), (200, expected), "{}", file.display());
        told += usize::from(event != "ping");
        let action: Value = serde_json::from_slice::<Value>(&body).unwrap()["action"].clone();
        let kind = action.as_str().map_or_else(|| event.to_owned(), |action| format!("{event}.{action}"));
        let stored = format!("SELECT type AS text FROM events WHERE event_id = 'delivery-{n}'");
        assert_eq!(texts(&mut db.conn(), &stored)[0].as_deref(), Some(&kind[..]), "{}", file.display());
    }
    assert!(told > 100, "{told}");
    receiver.settle().await;
    let received = hooks.received();
    assert_eq!(received.len(), told);
    for hook in received {
        let body = hook.json();
        assert!(body["type"].as_str().unwrap().starts_with("github."), "{body}");
        assert!(body["data"]["delivery"].as_str().unwrap().starts_with("delivery-"), "{body}");
    }
}

#[test]
fn the_published_signature_vectors() {
    let vectors = std::fs::read(data().join("github_signature_vectors.json")).unwrap();
    let vectors: Value = serde_json::from_slice(&vectors).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    assert!(cases.len() > 5);
    for case in cases {
        let text = |name: &str| case[name].as_str().unwrap_or_default();
        let believed = verify(text("header").as_bytes(), text("payload").as_bytes(), &[secret(text("secret"))]);
        assert_eq!(believed, case["expected"] == "accept", "{}", case["name"]);
    }
}

#[actix_rt::test]
async fn a_redelivery_changes_nothing_and_a_ping_tells_nobody() {
    let db = TestDb::new();
    let hooks = HookServer::start([]).await;
    let receiver = Receiver::start_with(&db.url(), &SETTINGS);
    receiver.call("POST", "/api/subscriptions", &json!({ "url": hooks.url("/"), "events": ["*"] })).await;
    let body = push("o/r", "refs/heads/main");
    assert_eq!(deliver(&receiver, "push", "d-1", &body).await.code(), "accepted");
    assert_eq!(deliver(&receiver, "push", "d-1", &body).await.code(), "duplicate");
    assert_eq!(deliver(&receiver, "ping", "d-2", br#"{"zen":"Design for failure."}"#).await.code(), "ignored");
    receiver.settle().await;
    let told = hooks.received();
    assert_eq!(told.len(), 1);
    let body = told[0].json();
    assert_eq!((&body["type"], &body["data"]["title"]), (&json!("github.push"), &json!("Mend it")));
    assert_eq!((&body["data"]["ref"], &body["data"]["sender"]), (&json!("refs/heads/main"), &json!("ada")));
    let key = texts(&mut db.conn(), "SELECT dedupe_key AS text FROM outbox");
    assert!(key[0].as_deref().unwrap().starts_with("github.push:d-1@sub_"), "{key:?}");
    let replayed = receiver.call("POST", "/api/events/d-1/replay", &Value::Null).await;
    assert_eq!(replayed.status, 200, "{}", replayed.json);
    receiver.settle().await;
    assert_eq!(hooks.received().len(), 1, "a replay sends nothing again");
}

#[actix_rt::test]
async fn forms_and_filters_and_relays() {
    let db = TestDb::new();
    let (ci, all) = (HookServer::start([]).await, HookServer::start([]).await);
    let receiver = Receiver::start_with(&db.url(), &SETTINGS);
    let wanted = json!({ "url": ci.url("/build"), "events": ["github.push"], "repository": "o/r",
        "ref": "refs/heads/main", "relay": true });
    assert_eq!(receiver.call("POST", "/api/subscriptions", &wanted).await.status, 201);
    receiver.call("POST", "/api/subscriptions", &json!({ "url": all.url("/"), "events": ["github.push"] })).await;
    let json = push("o/r", "refs/heads/main");
    let form: Vec<u8> = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("payload", std::str::from_utf8(&json).unwrap())
        .finish()
        .into_bytes();
    let signature = sign(SECRET, &form);
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("x-github-event", "push"),
        ("x-github-delivery", "d-form"),
        ("x-hub-signature-256", &signature[..]),
    ];
    assert_eq!(send(&receiver, &headers, &form).await.code(), "accepted");
    deliver(&receiver, "push", "d-other-branch", &push("o/r", "refs/heads/x")).await;
    deliver(&receiver, "push", "d-other-repository", &push("o/s", "refs/heads/main")).await;
    receiver.settle().await;
    assert_eq!(all.received().len(), 3);
    let built = ci.received();
    assert_eq!(built.len(), 1, "only that repository and that branch");
    assert_eq!((&built[0].path[..], &built[0].body), ("/build", &form), "byte for byte");
    for (name, value) in headers {
        assert_eq!(built[0].header(name), value, "{name}");
    }
    assert!(verify(built[0].header("x-hub-signature-256").as_bytes(), &built[0].body, &[secret(SECRET)]));
    assert_eq!(built[0].header("webhook-signature"), "", "it is GitHub's delivery, not ours");
}

#[actix_rt::test]
async fn what_is_not_github_s_is_refused() {
    let db = TestDb::new();
    let receiver = Receiver::start_with(&db.url(), &SETTINGS);
    let body = push("o/r", "refs/heads/main");
    let (right, wrong) = (sign(SECRET, &body), sign("wrong", &body));
    let named = [("x-github-event", "push"), ("x-github-delivery", "d")];
    let with = |more: &[(&'static str, String)]| {
        let mut headers: Vec<(&str, String)> = named.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        headers.extend(more.iter().cloned());
        headers
    };
    let signed = ("x-hub-signature-256", right.clone());
    for (headers, body, code) in [
        (with(&[]), &body[..], "missing_signature"),
        (with(&[("x-hub-signature", "sha1=00".to_owned())]), &body, "missing_signature"),
        (with(&[("x-hub-signature-256", wrong)]), &body, "invalid_signature"),
        (with(&[("x-hub-signature-256", right.replace("sha256=", ""))]), &body, "invalid_signature"),
        (with(&[signed.clone(), signed.clone()]), &body, "invalid_signature"),
        (with(std::slice::from_ref(&signed)), b"", "missing_payload"),
        (vec![signed.clone(), ("x-github-event", "push".to_owned())], &body, "invalid_payload"),
        (vec![signed.clone(), ("x-github-delivery", "d".to_owned())], &body, "invalid_payload"),
        (with(&[("x-hub-signature-256", sign(SECRET, b"[]"))]), b"[]", "invalid_payload"),
    ] {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, &value[..])).collect();
        let answer = send(&receiver, &headers, body).await;
        assert_eq!((answer.status, answer.code()), (400, code), "{headers:?}");
    }
    let get = receiver.client().get(receiver.url("/webhooks/github")).send().await.unwrap();
    assert_eq!((get.status().as_u16(), get.headers()["allow"].to_str().unwrap()), (405, "POST"));
    assert_eq!(count(&mut db.conn(), "SELECT count(*) FROM events"), 0);
    let off = Receiver::start(&db);
    assert_eq!(deliver(&off, "push", "d", &body).await.status, 404, "off without a secret");
    assert_eq!(
        receiver.client().get(receiver.url("/api/messages")).bearer_auth(API_TOKEN).send().await.unwrap().status(),
        200
    );
}

#[actix_rt::test]
async fn a_body_of_25_mib_is_taken_and_a_larger_one_is_not() {
    let db = TestDb::new();
    let receiver = Receiver::start_with(&db.url(), &SETTINGS);
    let sized = |size: usize| {
        let frame = json!({ "ref": "refs/heads/main", "filler": "" }).to_string();
        let filler = "x".repeat(size - frame.len());
        json!({ "ref": "refs/heads/main", "filler": filler }).to_string().into_bytes()
    };
    let largest = sized(25 << 20);
    assert_eq!(largest.len(), 25 << 20);
    assert_eq!(deliver(&receiver, "push", "d-large", &largest).await.code(), "accepted");
    let mut larger = std::net::TcpStream::connect(receiver.address()).unwrap();
    let head = "POST /webhooks/github HTTP/1.1\r\nhost: x\r\ncontent-length: 26214401\r\n\r\n";
    std::io::Write::write_all(&mut larger, head.as_bytes()).unwrap();
    let mut status = [0; 12];
    std::io::Read::read_exact(&mut larger, &mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 413");
    let stored = "SELECT count(*) FROM payloads WHERE octet_length(body) = 26214400";
    assert_eq!(count(&mut db.conn(), stored), 1);
}
