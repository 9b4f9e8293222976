//! Every event that others recorded, and every sample that Stripe publishes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Labelling, Order, Taken, due, take};
use crate::source::stripe;

fn bodies() -> Vec<(PathBuf, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/stripe");
    let folders = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    let mut bodies: Vec<_> = files.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    bodies.sort();
    bodies
}

fn verdict(body: &[u8]) -> (String, String) {
    let event = stripe::parse(body).unwrap();
    let verdict = match take(&event, &Labelling::default()) {
        Taken::Facts(facts) => {
            for group in facts.groups() {
                Order::derive(&group.name, &group.facts);
                due(&group.facts);
            }
            "facts".to_owned()
        }
        Taken::Ignored(code) => format!("ignored {code}"),
        Taken::Quarantined(reason) => format!("quarantined {reason}"),
    };
    (event.kind.to_string(), verdict)
}

/// `verdicts.txt` beside the bodies holds what was looked at and found right: a type, what becomes of it, and of how
/// many bodies. What is quarantined there is of no use: disputes without an id, and a payment intent that is a charge.
#[test]
fn every_recorded_event_has_its_verdict() {
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    for (_, body) in bodies() {
        *counts.entry(verdict(&body)).or_default() += 1;
    }
    let handled = counts.iter().filter(|((_, verdict), _)| verdict != "ignored unhandled_type");
    let found: Vec<String> = handled.map(|((kind, verdict), count)| format!("{kind}: {verdict} ({count})")).collect();
    let known: Vec<&str> = include_str!("../../../tests/data/stripe/verdicts.txt").lines().collect();
    assert_eq!(found, known);
    let unhandled =
        |kind: &str| counts.keys().any(|(found, verdict)| found == kind && verdict.ends_with("unhandled_type"));
    assert!(unhandled("customer.created") && unhandled("ping") && !unhandled("refund.failed"));
    assert_eq!(counts.values().sum::<usize>(), 489);
}
