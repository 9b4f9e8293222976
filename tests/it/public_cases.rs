//! Public cases of money and mails going wrong, through the real receiver: `tests/data/cases` says what each must come to.

use crate::support::postgres::TestDb;
use crate::support::server::Receiver;
use mail_parser::MessageParser;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use ringup::notices::About;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const CASES: &str = include_str!("../data/cases/cases.json");
const REPORTS: &str = include_str!("../data/cases/reports.json");

/// How the deliveries of a case arrive.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Arrival {
    /// As it was reported; messages go out at once.
    InSequence,
    /// After each one everything that waits has waited long enough.
    WithPauses,
    /// In any sequence, some twice.
    Shuffled(u64),
}

/// A mail that was sent.
#[derive(Debug)]
struct Mail {
    to: String,
    notice: String,
    amount: Option<i64>,
    text: String,
}

struct Shop {
    db: TestDb,
    receiver: Receiver,
}

impl Shop {
    fn open() -> Self {
        let db = TestDb::new();
        let receiver = Receiver::start_with(&db.url(), &[("STRIPE_MODE", "any"), ("SHOP_EMAIL", "desk@shop.example")]);
        Self { db, receiver }
    }

    async fn play(&self, case: &Value, arrival: Arrival) {
        for (reference, expected) in case["put"].as_object().into_iter().flatten() {
            let answer = self.receiver.call("PUT", &path(reference, ""), expected).await;
            assert!(answer.status < 300, "{reference}: {}", answer.json);
        }
        for delivery in deliveries(case, arrival) {
            if let Some(reference) = delivery["release"].as_str() {
                let released = self.receiver.call("POST", &path(reference, "/release"), &json!({})).await;
                assert_eq!(released.status, 200, "{reference}: {}", released.json);
            } else {
                let answer = self.receiver.deliver(delivery.to_string().as_bytes()).await;
                assert_eq!(answer.status, 200, "{}: {}", delivery["id"], answer.json);
            }
            match arrival {
                Arrival::WithPauses => self.receiver.settle_past_grace(&self.db).await,
                Arrival::InSequence => self.receiver.settle_all(&self.db).await,
                Arrival::Shuffled(_) => {}
            }
        }
        self.receiver.settle_past_grace(&self.db).await;
    }

    fn mails(&self) -> Vec<Mail> {
        let abouts: BTreeMap<String, (String, About)> = self.abouts();
        let read = |path: std::path::PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let (notice, about) = &abouts[name.split('@').next().unwrap()];
            let bytes = std::fs::read(path).unwrap();
            let mail = MessageParser::default().parse(&bytes).unwrap();
            let to = mail.to().unwrap().first().unwrap().address().unwrap().to_owned();
            let text = format!("{}\n{}", mail.subject().unwrap(), mail.body_text(0).unwrap());
            Mail { to, notice: notice.clone(), amount: about.seen().map(|(amount, _)| amount), text }
        };
        self.receiver.mails().into_iter().map(read).collect()
    }

    fn abouts(&self) -> BTreeMap<String, (String, About)> {
        let query = "SELECT json_build_array(id, notice, about::json)::text AS text FROM outbox WHERE kind = 'email'";
        let rows = crate::support::server::texts(&mut self.db.conn(), query).into_iter().flatten();
        let row = |text: String| {
            let (id, notice, about): (String, String, About) = serde_json::from_str(&text).unwrap();
            (id, (notice, about))
        };
        rows.map(row).collect()
    }
}

fn path(key: &str, end: &str) -> String {
    let (reference, query) = key.split_once('?').map_or((key, String::new()), |(it, query)| (it, format!("?{query}")));
    format!("/api/orders/{reference}{end}{query}")
}

fn deliveries(case: &Value, arrival: Arrival) -> Vec<Value> {
    let mut all = case["deliveries"].as_array().unwrap().clone();
    // A release is of what had arrived before it.
    if let Arrival::Shuffled(seed) = arrival
        && all.iter().all(|delivery| delivery["release"].is_null())
    {
        let mut rng = StdRng::seed_from_u64(seed);
        let twice: Vec<Value> = all.iter().filter(|_| rng.random_bool(0.5)).cloned().collect();
        all.extend(twice);
        all.shuffle(&mut rng);
    }
    all
}

/// What a case says that is not so.
async fn wrongs(shop: &Shop, case: &Value, mails: &[Mail], arrival: Arrival) -> Vec<String> {
    let mut wrong = Vec::new();
    for (key, expected) in case["orders"].as_object().unwrap() {
        let answer = shop.receiver.api(&path(key, "")).await;
        for (field, value) in expected.as_object().unwrap() {
            if answer.json[field] != *value {
                wrong.push(format!("order {key}: {field} is {}, not {value}", answer.json[field]));
            }
        }
    }
    for expected in case["mails"].as_array().unwrap() {
        let to = expected["to"].as_str().unwrap();
        let to = if to == "the shop" { "desk@shop.example" } else { to };
        let theirs: Vec<&Mail> = mails.iter().filter(|mail| mail.to == to).collect();
        let kinds: [(&str, &[&str]); 3] = [
            ("paid", &["order.paid"]),
            ("refunded", &["order.refunded", "order.partially_refunded"]),
            ("refund_failed", &["order.refund_failed"]),
        ];
        for (field, notices) in kinds {
            let Some(amounts) = expected[field].as_array() else { continue };
            let mut owed: Vec<i64> = amounts.iter().map(|amount| amount.as_i64().unwrap()).collect();
            let told = theirs.iter().filter(|mail| notices.contains(&&mail.notice[..]));
            let mut told: Vec<i64> = told.map(|mail| mail.amount.unwrap()).collect();
            owed.sort_unstable();
            told.sort_unstable();
            if owed != told {
                wrong.push(format!("{to} was told {field} {told:?}, not {owed:?}"));
            }
        }
        // With pauses the mail goes out before it is known what the payment is for.
        if arrival == Arrival::WithPauses {
            continue;
        }
        let says = |text: &str| theirs.iter().any(|mail| mail.text.contains(text));
        if let Some(text) = expected["says"].as_str().filter(|text| !says(text)) {
            let texts: Vec<&str> = theirs.iter().map(|mail| &mail.text[..]).collect();
            wrong.push(format!("no mail to {to} says {text:?}: {texts:#?}"));
        }
        if let Some(text) = expected["says_not"].as_str().filter(|text| says(text)) {
            wrong.push(format!("a mail to {to} says {text:?}"));
        }
    }
    wrong
}

async fn all_come_right(cases: &str, arrival: Arrival) {
    let (shop, cases) = (Shop::open(), serde_json::from_str::<Value>(cases).unwrap());
    let cases = cases["cases"].as_array().unwrap();
    for case in cases {
        shop.play(case, arrival).await;
    }
    let (mails, mut wrong) = (shop.mails(), Vec::new());
    for case in cases {
        let wrongs = wrongs(&shop, case, &mails, arrival).await;
        wrong.extend(wrongs.into_iter().map(|why| format!("{}: {why}", case["name"].as_str().unwrap())));
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[actix_rt::test]
async fn the_cases_come_right_as_they_arrive() {
    all_come_right(CASES, Arrival::InSequence).await;
}

#[actix_rt::test]
async fn the_cases_come_right_with_pauses() {
    all_come_right(CASES, Arrival::WithPauses).await;
}

#[actix_rt::test]
async fn the_cases_come_right_in_any_sequence() {
    all_come_right(CASES, Arrival::Shuffled(7)).await;
}

#[actix_rt::test]
async fn the_reports_come_right_as_they_arrive() {
    all_come_right(REPORTS, Arrival::InSequence).await;
}

#[actix_rt::test]
async fn the_reports_come_right_in_any_sequence() {
    all_come_right(REPORTS, Arrival::Shuffled(11)).await;
}
