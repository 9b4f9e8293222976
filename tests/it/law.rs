//! The order law through a real Postgres: whatever the sequence, the duplicates, the batches, the writers and the
//! workers, the rows are those of one fold over the set of events, and each message that is owed is queued once.

use crate::support::postgres::TestDb;
use crate::support::server::texts;
use chrono::Utc;
use diesel::connection::SimpleConnection;
use diesel::{PgConnection, RunQueryDsl, sql_query};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use ringup::db;
use ringup::inbox::{NewEvent, State};
use ringup::intake::{Answer, Budget, Intake, Rules, Submission};
use ringup::notices::{Kind, Notice};
use ringup::orders::{Facts, Name, Order, Settings, browse, due, explain};
use ringup::outbox::{Audience, audience, destinations};
use ringup::worker;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use uuid::Uuid;

/// Who subscribed to everything.
const LISTENER: &str = "sub_law";

/// One shop's events: a few payments whose objects share ids and references, told in any of their states.
fn world(rng: &mut StdRng) -> Vec<Value> {
    let mut events = Vec::new();
    for n in 0..rng.random_range(1..=3) {
        let attempt = Attempt::draw(rng, n);
        attempt.tell(rng, &mut events);
    }
    events
}

struct Attempt {
    n: u32,
    amount: i64,
    /// Metadata of the payment intent and of the session, and the session's client reference.
    labels: [Option<&'static str>; 3],
    invoice: bool,
}

impl Attempt {
    fn draw(rng: &mut StdRng, n: u32) -> Self {
        let mut label = || *[None, None, Some("A"), Some("A"), Some("B")].choose(rng).unwrap();
        let labels = [label(), label(), label()];
        Self { n, amount: rng.random_range(1..5) * 100, labels, invoice: rng.random_bool(0.3) }
    }

    fn metadata(label: Option<&str>) -> Value {
        label.map_or(json!({}), |label| json!({ "order_id": label }))
    }

    fn intent(&self, status: &str) -> Value {
        let received = if status == "succeeded" { self.amount } else { 0 };
        json!({ "id": format!("pi_{}", self.n), "object": "payment_intent", "amount": self.amount, "amount_received": received, "currency": "eur",
                "status": status, "latest_charge": format!("ch_{}", self.n), "metadata": Self::metadata(self.labels[0]) })
    }

    fn charge(&self, refunded: i64) -> Value {
        json!({ "id": format!("ch_{}", self.n), "object": "charge", "amount": self.amount, "amount_captured": self.amount, "amount_refunded": refunded,
                "captured": true, "paid": true, "status": "succeeded", "currency": "eur", "payment_intent": format!("pi_{}", self.n),
                "billing_details": { "email": format!("payer{}@example.com", self.n) }, "metadata": {} })
    }

    fn session(&self, status: &str, payment_status: &str) -> Value {
        json!({ "id": format!("cs_{}", self.n), "object": "checkout.session", "mode": "payment", "amount_total": self.amount, "currency": "eur",
                "status": status, "payment_status": payment_status, "payment_intent": format!("pi_{}", self.n), "payment_link": null,
                "client_reference_id": self.labels[2], "metadata": Self::metadata(self.labels[1]),
                "customer_details": { "email": "buyer@example.com", "name": "Buyer" } })
    }

    fn refund(&self, part: i64, status: &str) -> Value {
        json!({ "id": format!("re_{}_{part}", self.n), "object": "refund", "amount": part * 50, "currency": "eur", "status": status,
                "charge": format!("ch_{}", self.n), "payment_intent": format!("pi_{}", self.n), "metadata": {} })
    }

    fn dispute(&self, status: &str) -> Value {
        json!({ "id": format!("dp_{}", self.n), "object": "dispute", "amount": self.amount, "currency": "eur", "status": status,
                "reason": "fraudulent", "charge": format!("ch_{}", self.n), "payment_intent": format!("pi_{}", self.n), "metadata": {} })
    }

    fn tell(&self, rng: &mut StdRng, events: &mut Vec<Value>) {
        let mut add = |kind: &str, object: Value| events.push(json!({ "type": kind, "data": { "object": object } }));
        add("payment_intent.created", self.intent("requires_payment_method"));
        if rng.random_bool(0.8) {
            add("payment_intent.succeeded", self.intent("succeeded"));
            add("charge.succeeded", self.charge(0));
        }
        if rng.random_bool(0.7) {
            let paid = if rng.random_bool(0.8) { "paid" } else { "unpaid" };
            add("checkout.session.completed", self.session("complete", paid));
        }
        for part in 1..=rng.random_range(0..=2) {
            add("refund.created", self.refund(part, "pending"));
            add("refund.updated", self.refund(part, ["succeeded", "failed"].choose(rng).unwrap()));
        }
        if rng.random_bool(0.3) {
            add("charge.dispute.created", self.dispute("needs_response"));
            add("charge.dispute.closed", self.dispute(["won", "lost"].choose(rng).unwrap()));
        }
        if rng.random_bool(0.2) {
            let warning = json!({ "id": format!("issfr_{}", self.n), "object": "radar.early_fraud_warning", "actionable": true,
                "charge": format!("ch_{}", self.n), "payment_intent": format!("pi_{}", self.n), "fraud_type": "misc" });
            add("radar.early_fraud_warning.created", warning);
        }
        if self.invoice {
            let (invoice, intent) = (format!("in_{}", self.n), format!("pi_{}", self.n));
            add(
                "invoice.paid",
                json!({ "id": invoice, "object": "invoice", "status": "paid", "amount_paid": self.amount, "amount_due": self.amount,
                "total": self.amount, "currency": "eur", "customer_email": "invoiced@example.com", "billing_reason": "manual", "metadata": {} }),
            );
            add(
                "invoice_payment.paid",
                json!({ "id": format!("inpay_{}", self.n), "object": "invoice_payment", "invoice": invoice, "status": "paid",
                "amount_paid": self.amount, "currency": "eur", "payment": { "type": "payment_intent", "payment_intent": intent } }),
            );
        }
    }
}

/// An event as its sender would have it stored.
#[derive(Clone)]
struct Sent {
    source: &'static str,
    event_id: String,
    body: String,
}

/// The events of one case, with ids and times of their own; some times are equal, some inverted.
fn sent(rng: &mut StdRng, case: u64, rules: &Rules) -> Vec<Sent> {
    let mut all = Vec::new();
    for (n, mut event) in world(rng).into_iter().enumerate() {
        let event_id = format!("evt_{case}_{n}");
        event["id"] = json!(event_id);
        event["object"] = json!("event");
        event["created"] = json!(1_700_000_000 + rng.random_range(0..4));
        event["livemode"] = json!(false);
        event["account"] = json!(account(case));
        all.push(Sent { source: "stripe", event_id, body: renamed(&event.to_string(), case) });
    }
    let words = words(rng, case, &all, rules);
    all.extend(words.into_iter().enumerate().map(|(n, word)| Sent {
        source: "shop",
        event_id: format!("word_{case}_{n}"),
        body: word.to_string(),
    }));
    all
}

/// What the shop says of these orders: what it expects, under a reference or an id, and what a person let go on.
fn words(rng: &mut StdRng, case: u64, events: &[Sent], rules: &Rules) -> Vec<Value> {
    let mut words = Vec::new();
    for sequence in 1..=rng.random_range(0..=3) {
        let (field, name) = match rng.random_range(0..4) {
            0 => ("object", format!("pi_c{case}x{}", rng.random_range(0..3))),
            1 => ("reference", "B".to_owned()),
            _ => ("reference", "A".to_owned()),
        };
        let payments = if rng.random_bool(0.5) { "one" } else { "many" };
        words.push(
            json!({ "type": "expectation", "sequence": sequence, field: name, "amount": rng.random_range(1..5) * 100,
            "currency": "eur", "email": "desk@example.com", "payments": payments }),
        );
    }
    for group in pool(events, rules).groups() {
        let Name::Label(reference) = &group.name else { continue };
        let tokens = Order::derive(&group.name, &group.facts).releasable;
        if rng.random_bool(0.5) && !tokens.is_empty() {
            let released: Vec<_> = tokens.into_iter().filter(|_| rng.random_bool(0.8)).collect();
            words.push(json!({ "type": "release", "sequence": 1, "reference": reference, "released": released }));
        }
    }
    words
}

fn account(case: u64) -> String {
    format!("acct_{case}")
}

fn facts(sent: &Sent, rules: &Rules) -> Facts {
    let verdict = rules.judge_stored(sent.source, sent.body.as_bytes());
    verdict.facts.unwrap_or_else(|| panic!("{}: {:?}", sent.body, verdict.reason))
}

fn pool(events: &[Sent], rules: &Rules) -> Facts {
    let mut pool = Facts::default();
    for event in events {
        pool.merge(&facts(event, rules));
    }
    pool
}

fn submission(sent: &Sent, case: u64, rules: &Rules, budget: &Budget) -> Submission {
    let value: Value = serde_json::from_str(&sent.body).unwrap();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let object_id = text(&value["data"]["object"]["id"]).or(text(&value["reference"])).or(text(&value["object"]));
    let new = NewEvent {
        source: sent.source,
        account: account(case),
        event_id: sent.event_id.clone(),
        livemode: false,
        event_type: text(&value["type"]).unwrap(),
        api_version: None,
        created: value["created"].as_i64(),
        object_id,
        snapshot_event: None,
        state: State::Processed,
        reason: None,
        received_at: Utc::now(),
        body: sent.body.as_bytes().to_vec(),
        to_fetch: false,
    };
    let permit = budget.reserve(sent.body.len()).unwrap();
    Submission::new(new, Some(facts(sent, rules)), permit)
}

/// Three clients at two instances, and three workers beside them, until nothing is left.
fn deliver_all(db: &TestDb, case: u64, rules: &Rules, deliveries: &[Sent]) {
    let url = db.url();
    let instances = [0; 2].map(|_| Intake::new(&url, rules.settings.clone(), || ()).unwrap());
    let (pool, budget) = (db::pool(&url, 4), Budget::new(64 << 20));
    std::thread::scope(|scope| {
        for (n, share) in deliveries.chunks(deliveries.len().div_ceil(3)).enumerate() {
            let (intake, budget) = (&instances[n % 2].0, &budget);
            scope.spawn(move || {
                for batch in share.chunks(40) {
                    let answers: Vec<_> = batch
                        .iter()
                        .map(|sent| intake.submit(submission(sent, case, rules, budget)).unwrap())
                        .collect();
                    for answer in answers {
                        assert_ne!(answer.blocking_recv().unwrap(), Answer::Unavailable);
                    }
                }
            });
        }
        for _ in 0..3 {
            scope.spawn(|| (0..8).map(|_| worker::apply_pending(&pool, rules).unwrap()).sum::<usize>());
        }
    });
    let mut conn = db.conn();
    while !texts(&mut conn, "SELECT event::text AS text FROM pending LIMIT 1").is_empty() {
        conn.batch_execute("UPDATE pending SET next_at = now()").unwrap();
        worker::apply_pending(&pool, rules).unwrap();
    }
    for (_, writer) in instances {
        writer.stop();
    }
}

/// A mail that is owed: what it tells, and the keys under any of which it counts.
type OwedMail = (Kind, BTreeSet<String>);

/// What the rows of a case should be: a fold over the set of its events.
fn expected(events: &[Sent], rules: &Rules) -> (BTreeMap<String, Value>, Vec<OwedMail>) {
    let pool = pool(events, rules);
    let (mut rows, mut owed) = (BTreeMap::new(), Vec::new());
    for group in pool.groups() {
        let order = Order::derive(&group.name, &group.facts);
        let mailed = |notice: &Notice| match audience(&notice.kind) {
            Some(Audience::Customer) => order.customer_email.is_some() && !notice.unmailed,
            Some(Audience::Shop) => true,
            None => false,
        };
        let mails = due(&group.facts).into_iter().filter(mailed);
        owed.extend(mails.map(|notice| (notice.kind, std::iter::once(notice.key).chain(notice.also).collect())));
        let row = json!([
            order.status.as_str(),
            order.money_status.as_str(),
            order.review_reasons,
            order.amount_paid,
            order.amount_refunded,
            order.customer_email,
            serde_json::to_value(&group.facts).unwrap()
        ]);
        rows.insert(order.reference.clone(), row);
    }
    (rows, owed)
}

fn stored(conn: &mut PgConnection, case: u64) -> BTreeMap<String, Value> {
    let query = format!(
        "SELECT json_build_array(reference, json_build_array(status, money_status, review_reasons, amount_paid, amount_refunded, customer_email, facts::json))::text AS text \
         FROM orders WHERE account = '{}' AND merged_into IS NULL",
        account(case)
    );
    let rows = texts(conn, &query).into_iter().map(|text| serde_json::from_str::<Value>(&text.unwrap()).unwrap());
    let rows: Vec<_> = rows.map(|row| (row[0].as_str().unwrap().to_owned(), row[1].clone())).collect();
    let unique: BTreeMap<_, _> = rows.iter().cloned().collect();
    assert_eq!(unique.len(), rows.len(), "case {case}: two orders of one name");
    unique
}

fn check(conn: &mut PgConnection, case: u64, events: &[Sent], rules: &Rules) {
    let (rows, owed) = expected(events, rules);
    let stored = stored(conn, case);
    if stored != rows {
        for (whose, rows) in [("stored", &stored), ("expected", &rows)] {
            for (name, row) in rows {
                let ids: Vec<_> =
                    row[6].as_object().unwrap().values().flat_map(|of| of.as_object().unwrap().keys()).collect();
                eprintln!("{whose} {name}: {} {} {ids:?}", row[0], row[5]);
            }
        }
        for query in [
            "SELECT concat_ws(' ', 'ref', kind, value, order_id) AS text FROM order_references WHERE account = '{}' ORDER BY value",
            "SELECT concat_ws(' ', 'order', id, reference, status, version, moved, merged_into) AS text FROM orders WHERE account = '{}'",
            "SELECT concat_ws(' ', 'event', id, event_id, type, object_id, state, reason) AS text FROM events WHERE account = '{}' ORDER BY id",
        ] {
            texts(conn, &query.replace("{}", &account(case)))
                .into_iter()
                .flatten()
                .for_each(|line| eprintln!("{line}"));
        }
    }
    assert_eq!(stored.keys().collect::<Vec<_>>(), rows.keys().collect::<Vec<_>>(), "case {case}");
    assert_eq!(stored, rows, "case {case}");

    let account = account(case);
    let astray = format!(
        "SELECT r.value AS text FROM order_references r LEFT JOIN orders o ON o.id = r.order_id \
         WHERE r.account = '{account}' AND (o.id IS NULL OR o.merged_into IS NOT NULL)"
    );
    assert_eq!(texts(conn, &astray), [], "case {case}: references that name no order");

    let queued = format!(
        "SELECT dedupe_key AS text FROM outbox WHERE order_id IN (SELECT id FROM orders WHERE account = '{account}') \
           AND kind = 'email' AND state = 'queued' ORDER BY 1"
    );
    let queued: Vec<String> = texts(conn, &queued).into_iter().map(Option::unwrap).collect();
    for (_, names) in &owed {
        let under: Vec<_> = queued.iter().filter(|key| names.contains(*key)).collect();
        assert_eq!(under.len(), 1, "case {case}: {names:?} of {queued:?}");
    }
    // What is told of a moment may be queued although the moment has passed.
    let lasting = |kind: &str| !["order.review", "order.awaiting_funds", "order.payment_failed"].contains(&kind);
    let lasting_owed = owed.iter().filter(|(kind, _)| lasting(&kind.name())).count();
    let lasting_queued = queued.iter().filter(|key| lasting(key.split(':').next().unwrap())).count();
    assert_eq!(lasting_queued, lasting_owed, "case {case}: queued {queued:?}, owed {owed:?}");
    let flags = format!(
        "SELECT dedupe_key AS text FROM outbox m JOIN orders o ON o.id = m.order_id \
         WHERE o.account = '{account}' AND m.state = 'queued' AND m.held <> (o.status = 'review' AND m.notice NOT IN ('order.review', 'order.disputed', 'order.dispute_closed') \
                  AND (m.kind = 'email' OR m.notice IN ('order.paid', 'order.identified', 'order.renewed')))"
    );
    assert_eq!(texts(conn, &flags), [], "case {case}: held, or not, as its order is in review, or not");
    let homeless = format!(
        "SELECT dedupe_key AS text FROM outbox m JOIN orders o ON o.id = m.order_id WHERE o.account = '{account}' AND o.merged_into IS NOT NULL AND m.state = 'queued'"
    );
    assert_eq!(texts(conn, &homeless), [], "case {case}: messages of orders that are gone");
    heard(conn, case, &pool(events, rules));
}

/// Who subscribed to everything hears of each notice that is due, once, and of no money that is not. Nothing was sent
/// yet, so no order has a name that is news.
fn heard(conn: &mut PgConnection, case: u64, pool: &Facts) {
    let lasting = [
        Kind::OrderPaid,
        Kind::OrderRenewed,
        Kind::OrderRefunded,
        Kind::OrderPartiallyRefunded,
        Kind::OrderRefundFailed,
        Kind::OrderDisputed,
        Kind::OrderDisputeClosed,
    ];
    let queued = format!(
        "SELECT notice_key AS text FROM outbox m JOIN orders o ON o.id = m.order_id \
         WHERE o.account = '{}' AND m.destination = '{LISTENER}' AND m.state = 'queued' ORDER BY 1",
        account(case)
    );
    let queued: Vec<String> = texts(conn, &queued).into_iter().flatten().collect();
    let is_lasting = |key: &String| lasting.iter().any(|kind| key.starts_with(&format!("{}:", kind.name())));
    let mut owed = 0;
    for notice in pool.clone().groups().iter().flat_map(|group| due(&group.facts)) {
        let names: BTreeSet<String> = std::iter::once(notice.key.clone()).chain(notice.also).collect();
        let under = queued.iter().filter(|key| names.contains(*key)).count();
        if notice.kind == Kind::OrderIdentified {
            assert_eq!(under, 0, "case {case}: {names:?} of {queued:?}");
        } else {
            assert_eq!(under, 1, "case {case}: {names:?} of {queued:?}");
        }
        owed += usize::from(lasting.contains(&notice.kind));
    }
    assert_eq!(queued.iter().filter(|key| is_lasting(key)).count(), owed, "case {case}: {queued:?}");
}

/// The shops of some seeds, whose events come to two instances and three workers. What a writer has cached is wrong again
/// and again, and it is to be believed each time.
fn rows_and_messages_are_those_of_one_fold(seeds: Range<u64>) {
    fail::cfg("intake.no_doubt", "return").unwrap();
    let db = TestDb::new();
    let rules = Rules::from(Settings { grace_seconds: 60, ..Settings::default() });
    let everything = json!({ "url": "https://shop.example.com/", "events": ["*"] });
    destinations::create(&mut db.conn(), &serde_json::from_value(everything).unwrap(), false).unwrap();
    sql_query(format!("UPDATE destinations SET id = '{LISTENER}' WHERE kind = 'webhook'"))
        .execute(&mut db.conn())
        .unwrap();
    for case in seeds {
        let mut rng = StdRng::seed_from_u64(20_261_123 + case);
        let events = sent(&mut rng, case, &rules);
        let mut deliveries = [&events[..], &events[..]].concat();
        deliveries.shuffle(&mut rng);
        deliver_all(&db, case, &rules, &deliveries);
        check(&mut db.conn(), case, &events, &rules);
    }
    rebuilt_without_a_difference(&mut db.conn(), &rules);
}

/// Each part is a test of its own, so that they run side by side and a failure names its seeds.
macro_rules! seeds {
    ($($name:ident: $seeds:expr),+ $(,)?) => {$(
        #[test]
        fn $name() {
            rows_and_messages_are_those_of_one_fold($seeds);
        }
    )+};
}

seeds! {
    one_fold_of_shops_0_to_27: 0..28,
    one_fold_of_shops_28_to_55: 28..56,
    one_fold_of_shops_56_to_83: 56..84,
    one_fold_of_shops_84_to_111: 84..112,
    one_fold_of_shops_112_to_139: 112..140,
    one_fold_of_shops_140_to_167: 140..168,
    one_fold_of_shops_168_to_195: 168..196,
    one_fold_of_shops_196_to_219: 196..220,
}

/// The stored events explain every row.
fn rebuilt_without_a_difference(conn: &mut PgConnection, rules: &Rules) {
    for id in browse::next(conn, Uuid::nil(), i64::MAX).unwrap() {
        let rebuilt = explain::rebuild(conn, &rules.settings, id, false).unwrap().unwrap();
        assert_eq!(rebuilt.differences, [], "{}", rebuilt.reference);
    }
}

/// Gives the objects of a case ids that no other case has, as Stripe's are.
fn renamed(body: &str, case: u64) -> String {
    ["pi_", "ch_", "cs_", "re_", "in_", "inpay_", "dp_", "issfr_"]
        .iter()
        .fold(body.to_owned(), |body, prefix| body.replace(&format!("\"{prefix}"), &format!("\"{prefix}c{case}x")))
}
