//! A secret that anybody could guess keeps the receiver from starting, wherever it is set, and is never shown.

use crate::support::postgres::TestDb;
use crate::support::server::{API_TOKEN, Receiver, SECRET, count, now, variables};
use ringup::config::Config;
use ringup::source::{github, signature};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

const CANARY: &str = "canary";
/// Every setting that is one secret.
const SINGLE: [&str; 4] = ["API_TOKEN", "ADMIN_TOKEN", "STRIPE_SECRET_KEY", "SLACK_WEBHOOK_URL"];
/// Every setting that is a list of secrets.
const LISTS: [&str; 2] = ["STRIPE_WEBHOOK_SECRET", "GITHUB_WEBHOOK_SECRET"];

/// A secret that the setting takes.
fn good(key: &str) -> &'static str {
    match key {
        "STRIPE_WEBHOOK_SECRET" => "whsec_canary_of_ours",
        "STRIPE_SECRET_KEY" => "sk_test_canary_of_ours",
        "SLACK_WEBHOOK_URL" => "https://hooks.slack.com/services/canary",
        _ => "canary_of_ours",
    }
}

/// What no setting takes in the place of a secret, `good` being one.
fn bad(key: &str) -> Vec<String> {
    let good = good(key);
    let mut bad = vec![String::new(), "  ".to_owned(), "\n".to_owned(), "canary".to_owned(), "c".to_owned()];
    bad.extend([format!(" {good}"), format!("{good} "), format!("\n{good}"), format!("{good}\n"), format!("{good}\t")]);
    bad.extend([format!("{good}\n{good}"), format!("{good}\r\n"), format!("{good}\0"), format!("\u{a0}{good}")]);
    match key {
        "STRIPE_WEBHOOK_SECRET" => {
            bad.extend(["whsec_", "whsec_canary", "canary_of_ours", "WHSEC_canary_of_ours"].map(str::to_owned));
        }
        "STRIPE_SECRET_KEY" => {
            bad.extend(["sk_test_", "pk_test_canary_of_ours", "sk_canary_of_ours"].map(str::to_owned));
        }
        "SLACK_WEBHOOK_URL" => bad.extend(["https://", "hooks.slack.com/services/canary"].map(str::to_owned)),
        _ => {}
    }
    if key != "GITHUB_WEBHOOK_SECRET" {
        bad.extend([format!("{good} {good}"), format!("{good}é")]);
    }
    bad
}

/// The same as entries of a list: a stray comma, or a bad one before, between and behind good ones.
fn bad_lists(key: &str) -> Vec<String> {
    let good = good(key);
    let entries = bad(key).into_iter();
    let mut bad: Vec<String> = entries
        .flat_map(|bad| [format!("{bad},{good}"), format!("{good},{bad}"), format!("{good},{bad},{good}2"), bad])
        .collect();
    bad.extend([",", ",,", " , "].map(str::to_owned));
    bad.push(format!("{good}, {good}2"));
    bad
}

/// Why the configuration with this setting is refused; nothing where it is taken.
fn complaint(key: &str, name: &str, value: &str) -> Option<String> {
    let mut vars = variables("postgres://ringup@localhost/ringup", "/tmp/mail");
    vars.remove(key);
    vars.insert(name.to_owned(), value.to_owned());
    Config::from_vars(vars).err().map(|mistakes| mistakes.to_string())
}

fn assert_refused(key: &str, complaint: Option<String>, value: &str) {
    let complaint = complaint.unwrap_or_else(|| panic!("{key} takes {value:?}"));
    assert!(complaint.contains(key), "{key}={value:?}: {complaint}");
    assert!(!complaint.contains(CANARY), "{key}={value:?}: {complaint}");
}

#[test]
fn every_secret_that_could_be_guessed_is_refused_by_name() {
    for key in SINGLE {
        assert_eq!(complaint(key, key, good(key)), None);
        for value in bad(key) {
            assert_refused(key, complaint(key, key, &value), &value);
        }
    }
    for key in LISTS {
        assert_eq!(complaint(key, key, &format!("{0},{0}2", good(key))), None);
        for value in bad_lists(key) {
            assert_refused(key, complaint(key, key, &value), &value);
        }
    }
}

#[test]
fn secrets_from_files_are_looked_at_as_well() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    for (key, values) in SINGLE.map(|key| (key, bad(key))).into_iter().chain(LISTS.map(|key| (key, bad_lists(key)))) {
        for value in values {
            std::fs::write(file.path(), &value).unwrap();
            let said = complaint(key, &format!("{key}_FILE"), path);
            // A file ends with a line break; those at its end are dropped.
            if complaint(key, key, value.trim_end_matches(['\r', '\n'])).is_none() {
                assert_eq!(said, None, "{key}: {value:?}");
            } else {
                assert_refused(key, said, &value);
            }
        }
    }
}

#[test]
fn half_a_login_of_the_mail_server_is_refused() {
    for login in ["shop:", ":canary", "shop", "shop:%20", "%20:canary", "shop:can%0aary", "%09:canary", ":"] {
        let url = format!("smtps://{login}@mail.example.com");
        let complaint = complaint("SMTP_URL", "SMTP_URL", &url);
        // An empty login is none.
        if login == ":" {
            assert_eq!(complaint, None);
        } else {
            assert_refused("SMTP_URL", complaint, &url);
        }
    }
}

/// The real program, with one setting changed.
fn ringup(args: &[&str], dir: &Path, changes: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut vars: BTreeMap<_, _> = variables("postgres://ringup@localhost/ringup", "/tmp/mail");
    vars.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringup"));
    let output = command.args(args).env_clear().envs(vars).current_dir(dir).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn the_program_does_not_start_with_an_empty_entry() {
    let dir = tempfile::tempdir().unwrap();
    for command in ["serve", "worker"] {
        for value in ["canary_of_ours,", "canary_of_ours,,canary_of_theirs"] {
            let (code, said) = ringup(&[command], dir.path(), &[("GITHUB_WEBHOOK_SECRET", value)]);
            assert_eq!(code, Some(1), "{said}");
            assert!(said.contains("GITHUB_WEBHOOK_SECRET: entry 2 is empty") && !said.contains(CANARY), "{said}");
        }
    }
}

#[test]
fn trigger_signs_with_no_blank_secret() {
    let dir = tempfile::tempdir().unwrap();
    let to = ["trigger", "checkout", "--to", "http://127.0.0.1:1/webhooks/stripe"];
    for blank in ["", "  "] {
        let (code, said) = ringup(&[&to[..], &["--secret", blank]].concat(), dir.path(), &[]);
        assert!(code == Some(1) && said.contains("--secret is blank"), "{code:?}: {said}");
    }
    for listed in [",whsec_canary_of_ours", "whsec_canary_of_ours,"] {
        let (code, said) = ringup(&to, dir.path(), &[("STRIPE_WEBHOOK_SECRET", listed)]);
        assert!(code == Some(1) && said.contains("STRIPE_WEBHOOK_SECRET: entry"), "{code:?}: {said}");
        assert!(!said.contains(CANARY), "{said}");
    }
}

/// Whatever the configuration, nothing that is signed with the empty key, or borne by an empty token, is believed.
#[actix_rt::test]
async fn the_empty_key_opens_nothing() {
    let db = TestDb::new();
    let receiver =
        Receiver::start_with(&db.url(), &[("GITHUB_WEBHOOK_SECRET", "a secret of the tests,and the one before")]);
    let push = json!({ "ref": "refs/heads/main", "repository": { "full_name": "o/r" } }).to_string();
    let event = json!({ "id": "evt_1", "object": "event", "type": "customer.updated" }).to_string();
    for key in ["", " ", ",", "\n"] {
        let request = receiver.client().post(receiver.url("/webhooks/github")).body(push.clone());
        let request = request.header("x-github-event", "push").header("x-github-delivery", "d-1");
        let answer = request.header("x-hub-signature-256", github::sign(key, push.as_bytes())).send().await.unwrap();
        assert_eq!(answer.status(), 400, "{key:?}");
        assert!(answer.text().await.unwrap().contains("invalid_signature"), "{key:?}");
        let header = signature::sign(key, now(), event.as_bytes());
        let answer = receiver.post(event.as_bytes(), &[("stripe-signature", &header)]).await;
        assert_eq!((answer.status, answer.code()), (400, "invalid_signature"), "{key:?}");
    }
    for bearer in ["Bearer ", "Bearer  ", "Bearer", ""] {
        let request = receiver.client().get(receiver.url("/api/orders")).header("authorization", bearer);
        assert_eq!(request.send().await.unwrap().status(), 401, "{bearer:?}");
    }
    assert_eq!(count(&mut db.conn(), "SELECT count(*) FROM events"), 0);
    let right = signature::sign(SECRET, now(), event.as_bytes());
    assert_eq!(receiver.post(event.as_bytes(), &[("stripe-signature", &right)]).await.status, 200);
    assert_eq!(receiver.api("/api/orders").await.status, 200, "{API_TOKEN}");
}
