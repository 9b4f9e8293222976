//! Facts as the first edition of the order law stored them, read as the second edition has them.
//!
//! The first edition kept references beside an object's ties and a charge's amounts beside its snapshot, and marked a
//! failed refund without a time. All of it is moved to its new place, and nothing is made up: what an old row does not
//! hold, such as the rest of the metadata, is known again once the order is rebuilt from its events.

use serde::{Deserialize, Serialize};
use serde_json::map::Values;
use serde_json::{Map, Value, json};

use super::Facts;
use super::refund::Status as RefundStatus;
use super::steps::Step;
use crate::orders::LabelSource;

/// The edition of the order law by which facts were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Edition(u8);

impl Edition {
    const SECOND: Self = Self(2);

    /// Rows of the first edition do not name theirs.
    pub(super) fn first() -> Self {
        Self(1)
    }
}

impl Default for Edition {
    fn default() -> Self {
        Self::SECOND
    }
}

/// Facts as they are read from a row.
#[derive(Clone, Debug, Default)]
pub struct Read {
    /// As this edition has them.
    pub facts: Facts,
    /// The row is of the first edition.
    pub first_edition: bool,
}

/// Reads a row's facts, of either edition. Fails if the text is neither's.
pub fn read(json: &str) -> Result<Read, serde_json::Error> {
    let error = match serde_json::from_str::<Facts>(json) {
        Ok(facts) if facts.edition == Edition::SECOND => return Ok(Read { facts, first_edition: false }),
        Ok(_) => None,
        Err(error) => Some(error),
    };
    let mut value: Value = serde_json::from_str(json)?;
    // Of this edition, and damaged.
    if let Some(error) = error.filter(|_| value.get("edition").is_some()) {
        return Err(error);
    }
    convert(&mut value);
    Ok(Read { facts: serde_json::from_value(value)?, first_edition: true })
}

fn convert(facts: &mut Value) {
    for kind in ["payment_intents", "charges", "sessions", "invoices"] {
        objects_mut(facts, kind).for_each(move_labels);
    }
    for refund in objects_mut(facts, "refunds") {
        date_failure(refund);
    }
    for dispute in objects_mut(facts, "disputes") {
        if dispute["now"]["is"]["status"] == "warning_closed" {
            dispute["inquiry_closed"] = json!(true);
        }
    }
    let refunds = facts.get("refunds").cloned().unwrap_or_default();
    if let Some(charges) = facts.get_mut("charges").and_then(Value::as_object_mut) {
        charges.iter_mut().for_each(|(id, charge)| move_amounts(id, charge, &refunds));
    }
    if let Some(facts) = facts.as_object_mut() {
        facts.insert("edition".to_owned(), json!(Edition::SECOND));
    }
}

fn objects_mut<'a>(facts: &'a mut Value, kind: &str) -> impl Iterator<Item = &'a mut Value> {
    facts.get_mut(kind).and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut)
}

fn objects(facts: &Value) -> impl Iterator<Item = &Value> {
    facts.as_object().map(Map::values).into_iter().flat_map(Values::into_iter)
}

/// Of several references of one object the least named it, and goes on naming it.
fn move_labels(object: &mut Value) {
    let labels = object.get_mut("ties").and_then(Value::as_object_mut).and_then(|ties| ties.remove("labels"));
    let labels: Vec<(LabelSource, String)> =
        labels.and_then(|labels| serde_json::from_value(labels).ok()).unwrap_or_default();
    let snapshot = &mut object["now"]["is"];
    for (source, value) in labels.into_iter().rev() {
        match source {
            LabelSource::Metadata => snapshot["metadata"] = json!({ "label": value }),
            LabelSource::ClientReferenceId => snapshot["client_reference"] = json!({ "value": value }),
        }
    }
}

/// A failed refund's snapshot is the one that says so.
fn date_failure(refund: &mut Value) {
    if let Some(refund) = refund.as_object_mut() {
        refund.remove("failed");
    }
    let status = RefundStatus::deserialize(&refund["now"]["is"]["status"]);
    if matches!(status, Ok(RefundStatus::Failed | RefundStatus::Canceled)) {
        refund["failed_at"] = refund["now"]["at"].clone();
    }
}

/// What a charge took and gave back goes into its snapshot. The first edition kept the greatest sum that it saw, and set
/// all refunds against it, those that failed, too: what they leave is a step that no refund explains.
fn move_amounts(id: &str, charge: &mut Value, refunds: &Value) {
    let Some(fields) = charge.as_object_mut() else { return };
    let was_captured = fields.remove("captured") == Some(json!(true));
    let mut amount = |name: &str| fields.remove(name).and_then(|amount| amount.as_i64()).unwrap_or(0);
    let (captured, greatest) = (amount("amount_captured"), amount("amount_refunded"));
    if !was_captured {
        return;
    }
    let at = charge["now"]["at"].as_i64().unwrap_or(0);
    let authorized = charge["now"]["is"]["amount"].as_i64().unwrap_or(captured);
    let rest = (authorized - captured).max(0);
    let floor = if greatest >= rest { rest } else { 0 };
    let sum = |counted: &dyn Fn(&Value) -> bool| {
        let own = objects(refunds).filter(|refund| concerns(refund, id, charge) && counted(refund));
        own.filter_map(|refund| refund["now"]["is"]["amount"].as_i64()).fold(0, i64::saturating_add)
    };
    let unexplained = (greatest - floor).saturating_sub(sum(&|_| true)).max(0);
    // The snapshot leaves out what had failed before it.
    let counted = sum(&|refund| refund["failed_at"].as_i64().is_none_or(|failed_at| failed_at >= at));
    let refunded = floor.saturating_add(counted).saturating_add(unexplained).min(greatest);

    if let Some(event) = charge["now"]["event"].as_str().map(str::to_owned)
        && unexplained > 0
    {
        charge["sums"] = json!({ "steps": { event: Step { from: refunded - unexplained, to: refunded, at } } });
    }
    let snapshot = &mut charge["now"]["is"];
    snapshot["captured"] = json!(captured);
    snapshot["refunded"] = json!(refunded);
    snapshot["all_refunded"] = json!(refunded > 0 && refunded >= authorized);
}

/// Whether the refund is of the charge, or of its payment.
fn concerns(refund: &Value, charge: &str, known: &Value) -> bool {
    let names = |object: &Value, kind: &str, id: &str| {
        object["ties"][kind].as_array().is_some_and(|ids| ids.iter().any(|known| known == id))
    };
    let same_payment = || {
        let intents = refund["ties"]["payment_intents"].as_array().into_iter().flatten();
        refund["ties"]["charges"].is_null()
            && intents.filter_map(Value::as_str).any(|intent| names(known, "payment_intents", intent))
    };
    names(refund, "charges", charge) || same_payment()
}
