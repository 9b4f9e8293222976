//! Each mail in each language, as a person reviewed it: `tests/snapshots`. And from the events to what is read: what a
//! mail says is known only when it is sent.

use crate::support::postgres::TestDb;
use crate::support::server::{Receiver, count};
use mail_parser::MessageParser;
use ringup::notices::Kind;
use ringup::outbox::Templates;
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;

/// Every notice that has a mail, the one of a renewal included.
const MAILS: [Kind; 12] = [
    Kind::OrderPaid,
    Kind::OrderRenewed,
    Kind::OrderRefunded,
    Kind::OrderPartiallyRefunded,
    Kind::OrderRefundFailed,
    Kind::OrderAwaitingFunds,
    Kind::OrderPaymentFailed,
    Kind::OrderDisputed,
    Kind::OrderDisputeClosed,
    Kind::OrderReview,
    Kind::SubscriptionDisabled,
    Kind::EventsMissed,
];

/// The words of a page, a line a piece.
fn words(html: &str) -> String {
    let body = &html[html.find("<body").unwrap()..];
    let pieces = body.split('<').filter_map(|piece| piece.split_once('>')).map(|(_, text)| text.trim());
    pieces.filter(|text| !text.is_empty() && !text.starts_with("[if")).collect::<Vec<_>>().join("\n")
}

fn compare(file: &str, is: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(file);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, is).unwrap();
    }
    let was = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = was.lines().zip(is.lines()).position(|(was, is)| was != is);
    let line = differs.unwrap_or_else(|| was.lines().count().min(is.lines().count()));
    assert!(
        was == is,
        "{} differs from line {} on: {:?} is {:?}. Look at it; UPDATE_SNAPSHOTS=1 takes it over.",
        path.display(),
        line + 1,
        was.lines().nth(line),
        is.lines().nth(line)
    );
}

#[test]
fn every_mail_in_every_language_is_as_it_was_reviewed() {
    let templates = Templates::load(None).unwrap();
    for locale in ["de", "en", "es", "fr", "ja"] {
        let mut all = String::new();
        for kind in MAILS.iter().filter(|kind| templates.locale(kind, false, Some(locale)) == locale) {
            for (sample, [subject, text, html]) in templates.previews(kind, Some(locale)).unwrap() {
                let (subject, html) = (subject.trim(), words(&html));
                write!(all, "===== {}, {sample}\n{subject}\n----- text\n{text}\n----- page\n{html}\n\n", kind.name())
                    .unwrap();
            }
        }
        compare(&format!("mails.{locale}.txt"), &all);
    }
}

#[test]
fn the_page_is_laid_out_as_it_was_looked_at() {
    let [_, _, html] = Templates::load(None).unwrap().preview(&Kind::OrderPaid, Some("en")).unwrap();
    compare("order_paid.en.html", &html);
}

const VOUCHER: &str = "https://payments.stripe.com/konbini/voucher/test_1";

struct House {
    db: TestDb,
    receiver: Receiver,
    told: u32,
}

/// What a reader sees of a mail.
#[derive(Debug)]
struct Mail {
    to: String,
    reply_to: Option<String>,
    subject: String,
    text: String,
}

impl House {
    fn new() -> Self {
        let db = TestDb::new();
        let receiver = Receiver::start_with(&db.url(), &[("SHOP_EMAIL", "desk@shop.example")]);
        Self { db, receiver, told: 0 }
    }

    async fn tell(&mut self, kind: &str, object: Value) {
        self.told += 1;
        let event = json!({ "id": format!("evt_{}", self.told), "object": "event", "type": kind, "livemode": true,
            "created": 1_795_564_000 + self.told, "data": { "object": object } });
        let answer = self.receiver.deliver(event.to_string().as_bytes()).await;
        assert_eq!(answer.code(), "accepted", "{kind}: {}", answer.json);
    }

    /// The mails that are sent by now, by subject.
    async fn mails(&self) -> Vec<Mail> {
        self.receiver.settle().await;
        let mut mails: Vec<Mail> =
            self.receiver.mails().iter().map(|path| read(&std::fs::read(path).unwrap())).collect();
        mails.sort_by(|one, other| one.subject.cmp(&other.subject));
        mails
    }

    fn waiting(&self) -> i64 {
        count(&mut self.db.conn(), "SELECT count(*) FROM outbox WHERE kind = 'email' AND state = 'queued' AND waiting")
    }
}

fn read(bytes: &[u8]) -> Mail {
    let mail = MessageParser::default().parse(bytes).unwrap();
    let first = |addresses: Option<&mail_parser::Address<'_>>| Some(addresses?.first()?.address()?.to_owned());
    Mail {
        to: first(mail.to()).unwrap(),
        reply_to: first(mail.reply_to()),
        subject: mail.subject().unwrap().to_owned(),
        text: mail.body_text(0).unwrap().replace("\r\n", "\n"),
    }
}

fn intent(status: &str, more: &Value) -> Value {
    let received = if status == "succeeded" { 2380 } else { 0 };
    let mut object = json!({ "id": "pi_1", "object": "payment_intent", "status": status, "amount": 2380,
        "amount_received": received, "currency": "eur", "metadata": {}, "receipt_email": "ada@example.org" });
    object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    object
}

fn session(payment: &str) -> Value {
    json!({ "id": "cs_1", "object": "checkout.session", "mode": "payment", "status": "complete", "locale": "en-GB",
        "payment_status": payment, "amount_total": 2380, "amount_subtotal": 2380, "currency": "eur",
        "payment_intent": "pi_1", "metadata": { "order_id": "R-1" },
        "customer_details": { "email": "ada@example.org", "name": "Ada" } })
}

#[actix_rt::test]
async fn who_pays_by_voucher_gets_it_by_mail_whichever_event_comes_first() {
    let action =
        json!({ "type": "konbini_display_details", "konbini_display_details": { "hosted_voucher_url": VOUCHER } });
    let acting = || ("payment_intent.requires_action", intent("requires_action", &json!({ "next_action": action })));
    for order in [[0, 1], [1, 0]] {
        let mut house = House::new();
        let events = [("checkout.session.completed", session("unpaid")), acting()];
        house.tell(events[order[0]].0, events[order[0]].1.clone()).await;
        assert_eq!(house.mails().await.len(), 0, "it is not known yet what to do");
        assert_eq!(house.waiting(), i64::from(order[0] == 0));
        house.tell(events[order[1]].0, events[order[1]].1.clone()).await;
        let mails = house.mails().await;
        assert_eq!(mails.len(), 1, "{mails:?}");
        assert_eq!(
            (&mails[0].to[..], &mails[0].subject[..]),
            ("ada@example.org", "Your order R-1 at Test Shop: your payment is not here yet")
        );
        assert!(mails[0].text.contains(VOUCHER), "{}", mails[0].text);
        assert_eq!(mails[0].reply_to.as_deref(), Some("desk@shop.example"));
        assert_eq!(house.waiting(), 0);
    }
}

#[actix_rt::test]
async fn a_renewal_is_one_mail_in_its_own_words_though_its_invoice_comes_last() {
    let mut house = House::new();
    house.tell("payment_intent.succeeded", intent("succeeded", &json!({}))).await;
    assert_eq!((house.mails().await.len(), house.waiting()), (0, 1));
    house
        .tell(
            "invoice.paid",
            json!({ "id": "in_1", "object": "invoice", "status": "paid", "amount_due": 2380, "total": 2380,
                "amount_paid": 2380, "currency": "eur", "billing_reason": "subscription_cycle", "metadata": {},
                "payment_intent": "pi_1", "customer_email": "ada@example.org", "customer_name": "Ada" }),
        )
        .await;
    let mails = house.mails().await;
    assert_eq!(mails.len(), 1, "{mails:?}");
    assert_eq!(mails[0].subject, "Your subscription at Test Shop was renewed");
    assert!(mails[0].text.contains("Date: November 24, 2026\nPaid: €23.80\n"), "{}", mails[0].text);
    assert_eq!(house.receiver.order("pi_1").await["renewal"], true);
}

#[actix_rt::test]
async fn what_the_shop_registered_is_listed_and_its_day_is_the_customers_way() {
    let mut house = House::new();
    let items = json!([{ "description": "Tea <Assam>", "quantity": 2, "amount": 1990 }, { "description": "Sample", "quantity": 1 }]);
    let registered = json!({ "amount": 2380, "currency": "eur", "line_items": items });
    assert_eq!(house.receiver.call("PUT", "/api/orders/R-1?livemode=true", &registered).await.status, 201);
    house.tell("payment_intent.succeeded", intent("succeeded", &json!({}))).await;
    house.tell("checkout.session.completed", session("paid")).await;
    let mails = house.mails().await;
    assert_eq!(mails.len(), 1, "{mails:?}");
    let listed =
        "2 × Tea <Assam>: €19.90\n1 × Sample\nTotal: €23.80\n\nOrder: R-1\nDate: 24 November 2026\nPaid: €23.80\n";
    assert!(mails[0].text.contains(listed), "{}", mails[0].text);
    let order = house.receiver.order("R-1").await;
    assert_eq!((&order["line_items"], &order["renewal"]), (&items, &json!(false)));
    // Registering nothing takes the list back.
    let bare = json!({ "amount": 2380, "currency": "eur" });
    let answer = house.receiver.call("PUT", "/api/orders/R-1?livemode=true", &bare).await;
    assert_eq!(answer.json["line_items"], Value::Null);
}
