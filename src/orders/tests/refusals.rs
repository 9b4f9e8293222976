//! What can't be used, and what odd things hurt nobody.

use serde_json::{Value, json};

use super::super::{Order, Taken, take_shop};
use super::{all, facts, order, taken};
use crate::orders::facts::address::Address;

fn intent(field: &str, value: &Value) -> Value {
    let mut object = json!({ "id": "pi_1", "object": "payment_intent", "status": "succeeded", "amount": 1000,
        "amount_received": 1000, "currency": "eur" });
    object[field] = value.clone();
    object
}

fn reason(object: &Value) -> String {
    match taken("payment_intent.succeeded", 1, object) {
        Taken::Quarantined(reason) => reason,
        other => panic!("{object}: {other:?}"),
    }
}

#[test]
fn a_needed_field_of_a_wrong_kind_is_named() {
    let whole = "amount: not a whole number of minor units";
    for amount in
        [json!(1.5), json!("1000"), json!(9_223_372_036_854_775_808_u64), json!([]), json!(true), json!(1e300)]
    {
        assert_eq!(reason(&intent("amount", &amount)), whole, "{amount}");
    }
    assert_eq!(reason(&intent("amount", &json!(-1))), "amount: negative");
    assert_eq!(reason(&intent("amount_received", &Value::Null)), "amount_received: missing");
    for currency in [json!("EUR"), json!("eu"), json!("euro"), json!("e\u{0}r")] {
        assert_eq!(reason(&intent("currency", &currency)), "currency: not a currency in three lower-case letters");
    }
    assert_eq!(reason(&intent("currency", &json!(5))), "currency: not a string");
    assert_eq!(reason(&intent("status", &json!("new"))), "status: unknown");
    assert_eq!(reason(&intent("id", &Value::Null)), "id: missing");
    assert_eq!(reason(&intent("id", &json!("pi\n1"))), "id: not an id");
    assert_eq!(reason(&intent("invoice", &json!(5))), "invoice: not an id");
    assert_eq!(reason(&intent("object", &json!("charge"))), "object: not what its type says");
}

#[test]
fn exponents_and_twins_are_refused() {
    let object = r#"{"id":"pi_1","status":"succeeded","amount":1e400,"amount_received":1,"currency":"eur"}"#;
    let raw: Box<serde_json::value::RawValue> = serde_json::from_str(object).unwrap();
    let body = format!(r#"{{"id":"evt_1","type":"payment_intent.succeeded","data":{{"object":{}}}}}"#, raw.get());
    let take =
        |body: &str| super::take(&crate::source::stripe::parse(body.as_bytes()).unwrap(), &super::Labelling::default());
    assert_eq!(take(&body), Taken::Quarantined("amount: not a whole number of minor units".to_owned()));
    let twice = body.replace("1e400", "1,\"amount\":2");
    assert_eq!(take(&twice), Taken::Quarantined("amount: stands twice".to_owned()));
    let array = body.replace(raw.get(), "[1]");
    assert_eq!(take(&array), Taken::Quarantined("data.object: not an object".to_owned()));
    let missing = r#"{"id":"evt_1","type":"payment_intent.succeeded","data":{}}"#;
    assert_eq!(take(missing), Taken::Quarantined("data.object: missing".to_owned()));
    let untyped = body.replace("\"payment_intent.succeeded\"", "7");
    assert_eq!(take(&untyped), Taken::Quarantined("type: missing or not a plain word".to_owned()));
    let odd = body.replace("evt_1", "../evt");
    assert_eq!(take(&odd), Taken::Quarantined("event id: not usable as a key".to_owned()));
}

#[test]
fn what_nobody_needs_can_be_anything() {
    let mut object = intent("description", &json!({ "a": [1e300, "\u{0}"] }));
    object["receipt_email"] = json!(5);
    object["metadata"] = json!([]);
    object["latest_charge"] = json!("");
    assert_eq!(order(&facts("payment_intent.succeeded", 1, &object)).status.as_str(), "paid");
}

#[test]
fn a_bad_address_is_no_address_and_says_why() {
    let long = format!("{}@example.com", "a".repeat(250));
    let bad = [
        ("a@b.c\r\nBcc: x@y.z", "control_character"),
        ("a@b.c\0", "control_character"),
        ("a@b.c,d@e.f", "several_or_decorated"),
        ("A <a@b.c>", "several_or_decorated"),
        ("a@b.c\u{202e}", "several_or_decorated"),
        ("a@b@c", "no_address"),
        ("@b.c", "no_address"),
        (&long, "too_long"),
    ];
    for (given, problem) in bad {
        let paid = facts("payment_intent.succeeded", 1, &intent("receipt_email", &json!(given)));
        let order: Order = order(&paid);
        assert_eq!((order.customer_email, order.email_problem), (None, Some(problem)), "{given:?}");
        assert_eq!(order.status.as_str(), "paid");
    }
    for good in ["jörg@müller.example", "a+b@example.com", "o'neil@例え.jp", "taro..yamada@docomo.ne.jp"] {
        assert_eq!(Address::parse(good).usable(), Some(good));
    }
}

#[test]
fn the_shop_s_own_words_are_checked() {
    let refused = |said: Value| matches!(take_shop(said.to_string().as_bytes()), Taken::Quarantined(_));
    let said = json!({ "type": "expectation", "reference": "A", "sequence": 1, "amount": 5, "currency": "eur" });
    assert!(!refused(said.clone()));
    for (field, value) in [
        ("amount", json!(-1)),
        ("amount", json!("5")),
        ("currency", json!("EUR")),
        ("currency", Value::Null),
        ("reference", json!("")),
        ("object", json!("pi_1")),
        ("sequence", Value::Null),
        ("type", json!("other")),
    ] {
        let mut bad = said.clone();
        bad[field] = value.clone();
        assert!(refused(bad), "{field}: {value}");
    }
}

#[test]
fn an_address_has_at_most_254_bytes() {
    let problem = |length: usize| {
        let [b, c, d] = ["b", "c", "d"].map(|label| label.repeat(63));
        let address = format!("{}@{b}.{c}.{d}", "a".repeat(length - "@..".len() - 3 * 63));
        let changes = json!({ "customer_details": { "email": address } });
        order(&all(&[super::objects::session("paid", changes)])).email_problem
    };
    assert_eq!((problem(254), problem(255)), (None, Some("too_long")));
}
