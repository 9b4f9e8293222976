//! 247 events as endpoints received them, and Stripe's official sample objects: each posted under an id of its own.

use crate::support::postgres::TestDb;
use crate::support::server::{Receiver, count, texts};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

fn recordings() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/stripe");
    let folders = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    let mut files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect();
    files.sort();
    files
}

#[actix_rt::test]
async fn every_recorded_event_and_every_sample_is_stored_and_judged() {
    let db = TestDb::new();
    let receiver = Receiver::start(&db);
    let files = recordings();
    assert_eq!(files.len(), 247 + 242);
    for (n, file) in files.iter().enumerate() {
        let mut event: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        event["id"] = json!(format!("evt_recorded_{n}"));
        let answer = receiver.deliver(event.to_string().as_bytes()).await;
        assert_eq!(answer.status, 200, "{}: {}", file.display(), answer.json);
    }
    receiver.settle().await;
    let mut conn = db.conn();
    assert_eq!(count(&mut conn, "SELECT count(*) FROM events"), files.len() as i64);
    assert_eq!(count(&mut conn, "SELECT count(*) FROM payloads"), files.len() as i64);
    assert_eq!(count(&mut conn, "SELECT count(*) FROM pending"), 0);
    let unexplained = "SELECT event_id AS text FROM events WHERE state = 'pending' OR (state IN ('ignored', 'quarantined') AND reason = '')";
    assert_eq!(texts(&mut conn, unexplained), []);
    assert!(count(&mut conn, "SELECT count(*) FROM events WHERE state = 'processed'") > 60);
}
