//! The shapes are held against real events and Stripe's published objects in `tests/data/stripe`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::generate::samples;
use crate::{ApiVersion, Event, play, scripts};

/// Keys that Stripe documents and that no recording here has, by object and path.
const DOCUMENTED: [(&str, &str); 33] = [
    // https://docs.stripe.com/api/payment_intents/object
    ("payment_intent", "amount_details.tip.amount"),
    ("payment_intent", "presentment_details"),
    ("payment_intent", "presentment_details.presentment_amount"),
    ("payment_intent", "presentment_details.presentment_currency"),
    ("payment_intent", "next_action.boleto_display_details"),
    ("payment_intent", "next_action.boleto_display_details.expires_at"),
    ("payment_intent", "next_action.boleto_display_details.hosted_voucher_url"),
    ("payment_intent", "next_action.boleto_display_details.number"),
    ("payment_intent", "next_action.boleto_display_details.pdf"),
    ("payment_intent", "next_action.verify_with_microdeposits"),
    ("payment_intent", "next_action.verify_with_microdeposits.arrival_date"),
    ("payment_intent", "next_action.verify_with_microdeposits.hosted_verification_url"),
    ("payment_intent", "next_action.verify_with_microdeposits.microdeposit_type"),
    ("payment_intent", "next_action.display_bank_transfer_instructions"),
    ("payment_intent", "next_action.display_bank_transfer_instructions.amount_remaining"),
    ("payment_intent", "next_action.display_bank_transfer_instructions.currency"),
    ("payment_intent", "next_action.display_bank_transfer_instructions.hosted_instructions_url"),
    ("payment_intent", "next_action.display_bank_transfer_instructions.type"),
    // https://docs.stripe.com/api/credit_notes/object?api-version=2024-06-20
    ("credit_note", "refund"),
    // https://docs.stripe.com/api/charges/object
    ("charge", "presentment_details"),
    ("charge", "presentment_details.presentment_amount"),
    ("charge", "presentment_details.presentment_currency"),
    // https://docs.stripe.com/api/refunds/object
    ("refund", "failure_balance_transaction"),
    ("refund", "failure_reason"),
    ("refund", "presentment_details"),
    ("refund", "presentment_details.presentment_amount"),
    ("refund", "presentment_details.presentment_currency"),
    // https://docs.stripe.com/api/invoices/object?api-version=2024-06-20
    ("invoice", "subscription_details"),
    ("invoice", "subscription_details.metadata"),
    // https://docs.stripe.com/api/radar/early_fraud_warnings/object
    ("radar.early_fraud_warning", "payment_intent"),
    // https://docs.stripe.com/api/checkout/sessions/object
    ("checkout.session", "presentment_details"),
    ("checkout.session", "presentment_details.presentment_amount"),
    ("checkout.session", "presentment_details.presentment_currency"),
];

/// Paths below which keys are the user's or the method's.
const FREE: [&str; 3] = ["metadata", "payment_method_details", "previous_attributes"];

#[test]
fn every_key_is_in_a_recording_or_documented() {
    let mut known = recorded();
    for (object, path) in DOCUMENTED {
        known.entry(object.into()).or_default().insert(path.into());
    }
    let mut unknown = BTreeSet::new();
    for event in events() {
        let object = &event.body["data"]["object"];
        let name = object["object"].as_str().expect("an object says what it is");
        let known = known.get(name).unwrap_or_else(|| panic!("no recording of a {name}"));
        unknown.extend(
            paths(object).into_iter().filter(|path| !known.contains(path)).map(|path| format!("{name}: {path}")),
        );
    }
    assert_eq!(unknown, BTreeSet::new());
}

#[test]
fn every_event_type_is_one_that_stripe_publishes() {
    let published: BTreeSet<String> = files(&data().join("official-objects"))
        .iter()
        .filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned()))
        .collect();
    let unknown: BTreeSet<String> = events().map(|event| event.kind).filter(|kind| !published.contains(kind)).collect();
    assert_eq!(unknown, BTreeSet::new());
}

#[test]
fn basil_links_invoices_and_payments_by_events_of_their_own() {
    let gone = [
        ("invoice", ["payment_intent", "charge", "paid", "paid_out_of_band", "subscription"].as_slice()),
        ("payment_intent", ["invoice"].as_slice()),
        ("charge", ["invoice"].as_slice()),
    ];
    for event in events() {
        let object = &event.body["data"]["object"];
        let since_basil = event.body["api_version"].as_str().is_some_and(|version| version >= ApiVersion::Basil.name());
        for (name, keys) in gone {
            if object["object"] == name {
                let has = keys.iter().any(|key| object.get(key).is_some());
                assert_eq!(has, !since_basil, "{} in {}", event.kind, event.body["api_version"]);
            }
        }
        assert!(since_basil || event.kind != "invoice_payment.paid");
    }
}

#[test]
fn refund_events_come_since_acacia_and_a_charge_embeds_no_refunds() {
    let mut seen = BTreeSet::new();
    for event in events() {
        let object = &event.body["data"]["object"];
        assert!(object["object"] != "charge" || object.get("refunds").is_none());
        // Refunds of no charge had these events before.
        if event.kind.starts_with("refund.") && !event.body["data"]["object"]["charge"].is_null() {
            let version = event.body["api_version"].as_str().expect("an event has a version");
            assert!(version >= ApiVersion::Acacia.name(), "{version}");
            seen.insert(event.kind);
        }
    }
    assert_eq!(seen.iter().collect::<Vec<_>>(), ["refund.created", "refund.failed", "refund.updated"]);
}

/// The fixed scripts in each version, and some hundred random ones.
fn events() -> impl Iterator<Item = Event> {
    let fixed = scripts::all().into_iter().flat_map(|fixed| {
        ApiVersion::ALL.map(|version| {
            let mut script = fixed.script.clone();
            script.version = version;
            script
        })
    });
    fixed.chain(samples(120)).flat_map(|script| play(&script).events().cloned().collect::<Vec<_>>())
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/stripe")
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("the recordings are there");
    entries
        .map(|entry| entry.expect("a readable entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect()
}

/// All paths of keys of each type of object, over all recordings.
fn recorded() -> BTreeMap<String, BTreeSet<String>> {
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let directories = fs::read_dir(data()).expect("the recordings are there");
    for directory in directories.map(|entry| entry.expect("a readable entry").path()).filter(|path| path.is_dir()) {
        for file in files(&directory) {
            let text = fs::read_to_string(&file).expect("a readable file");
            let event: Value = serde_json::from_str(&text).expect("a recording is JSON");
            let object = &event["data"]["object"];
            if let Some(name) = object["object"].as_str() {
                known.entry(name.into()).or_default().extend(paths(object));
            }
        }
    }
    known
}

fn paths(object: &Value) -> BTreeSet<String> {
    fn walk(value: &Value, path: &str, found: &mut BTreeSet<String>) {
        let Value::Object(fields) = value else { return };
        for (key, value) in fields {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            found.insert(path.clone());
            if !FREE.contains(&key.as_str()) {
                walk(value, &path, found);
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(object, "", &mut found);
    found
}
