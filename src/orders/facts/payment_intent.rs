//! A payment intent: one payment, over all its attempts.

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::join::{Join, Latest, Ranked, is_false, is_zero};
use super::label::Metadata;
use super::presentment::Presentment;
use super::ties::Ties;
use super::{Facts, Seen, charge};
use crate::source::fields::{Fields, Unusable};

/// What is known of a payment intent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentIntent {
    /// Its greatest snapshot.
    pub now: Latest<State>,
    /// Its money was seen on its way, whatever became of it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub was_processing: bool,
    /// What it is tied to.
    #[serde(default, skip_serializing_if = "Ties::is_empty")]
    pub ties: Ties,
}

/// One snapshot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct State {
    /// Stripe's status.
    pub status: Status,
    /// What is asked for.
    pub amount: i64,
    /// What came in.
    pub received: i64,
    /// Of both amounts.
    pub currency: String,
    /// Code of the last error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// `receipt_email`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Address>,
    /// Where the customer finds what to do next: a voucher, or how to transfer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The last try was by a way on which money takes days, so that its failure comes as news.
    #[serde(default, skip_serializing_if = "is_false")]
    pub delayed: bool,
    /// The customer must confirm micro-deposits: no money is on its way before.
    #[serde(default, skip_serializing_if = "is_false")]
    pub to_verify: bool,
    /// `amount_details.tip.amount`, part of `amount`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tip: i64,
    /// `amount` as the customer saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presentment: Option<Presentment>,
    /// The shop's words.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
}

/// Stripe's statuses, `requires_payment_method` parted in two. The order is the rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nothing tried yet.
    RequiresPaymentMethod,
    /// The shop must confirm.
    RequiresConfirmation,
    /// The customer must act.
    RequiresAction,
    /// The money is on its way.
    Processing,
    /// `requires_payment_method` after an error.
    Failed,
    /// Authorized, to be captured.
    RequiresCapture,
    /// Ended unpaid.
    Canceled,
    /// Paid.
    Succeeded,
}

impl Ranked for State {
    fn standing(&self) -> u8 {
        match self.status {
            Status::Succeeded => 4,
            Status::Canceled => 3,
            Status::RequiresCapture => 2,
            // Only a new intent is bare, and its event may bear the second after that of the first try.
            Status::RequiresPaymentMethod => 0,
            _ => 1,
        }
    }

    fn rank(&self) -> u8 {
        self.status as u8
    }

    fn grown(&self) -> (i64, i64) {
        (self.received, self.amount)
    }
}

impl Join for PaymentIntent {
    fn join(&mut self, other: &Self) {
        self.now.join(&other.now);
        self.was_processing |= other.was_processing;
        self.ties.join(&other.ties);
    }
}

impl PaymentIntent {
    /// Whether it is paid.
    pub fn succeeded(&self) -> bool {
        self.now.is.status == Status::Succeeded
    }
}

/// Takes a payment intent, with the charges that older API versions embed.
pub fn take(fields: &Fields<'_>, seen: &Seen<'_>, facts: &mut Facts) -> Result<(), Unusable> {
    let id = fields.needed_id()?;
    let mut ties = Ties::read(fields)?;
    ties.charges.extend(fields.link("latest_charge")?);
    for embedded in fields.list("charges") {
        ties.charges.extend(charge::take_embedded(&embedded, &id, seen, facts));
    }
    let now = seen.stamp(state(fields, seen)?);
    let was_processing = now.is.status == Status::Processing;
    facts.payment_intents.insert(id, Box::new(PaymentIntent { now, was_processing, ties }));
    Ok(())
}

fn state(fields: &Fields<'_>, seen: &Seen<'_>) -> Result<State, Unusable> {
    let last_error = fields.object("last_payment_error");
    let word = fields.word("status")?.ok_or_else(|| Unusable::field("status", "missing"))?;
    let status = match &*word {
        // The names with `source` are those before 2019-02-11.
        "requires_payment_method" | "requires_source" if last_error.is_some() => Status::Failed,
        "requires_payment_method" | "requires_source" => Status::RequiresPaymentMethod,
        "requires_confirmation" => Status::RequiresConfirmation,
        "requires_action" | "requires_source_action" => Status::RequiresAction,
        "processing" => Status::Processing,
        "requires_capture" => Status::RequiresCapture,
        "canceled" => Status::Canceled,
        "succeeded" => Status::Succeeded,
        _ => return Err(Unusable::field("status", "unknown")),
    };
    Ok(State {
        status,
        amount: fields.needed_amount("amount")?,
        received: match status {
            Status::Succeeded => fields.needed_amount("amount_received")?,
            _ => fields.amount("amount_received")?.unwrap_or(0).max(transferred(fields).unwrap_or(0)),
        },
        currency: fields.needed_currency("currency")?,
        error: last_error.as_ref().and_then(error_code),
        email: Address::read(fields, "receipt_email"),
        url: fields.object("next_action").as_ref().and_then(instructions),
        delayed: last_error.as_ref().is_some_and(is_delayed),
        to_verify: fields
            .object("next_action")
            .is_some_and(|action| action.object("verify_with_microdeposits").is_some()),
        tip: fields.object("amount_details").as_ref().and_then(tip).unwrap_or(0),
        presentment: Presentment::read(fields),
        metadata: Metadata::read(fields, seen.labelling),
    })
}

fn tip(details: &Fields<'_>) -> Option<i64> {
    details.object("tip")?.amount("amount").ok()?
}

/// What a bank transfer has brought so far: Stripe only says what it still lacks.
fn transferred(fields: &Fields<'_>) -> Option<i64> {
    let transfer = fields.object("next_action")?.object("display_bank_transfer_instructions")?;
    let remaining = transfer.amount("amount_remaining").ok()??;
    Some(fields.amount("amount").ok()??.saturating_sub(remaining))
}

/// The page with the instructions, under any of the names that ways to pay have for it.
fn instructions(action: &Fields<'_>) -> Option<String> {
    let pages = [
        ("boleto_display_details", "hosted_voucher_url"),
        ("konbini_display_details", "hosted_voucher_url"),
        ("multibanco_display_details", "hosted_voucher_url"),
        ("oxxo_display_details", "hosted_voucher_url"),
        ("paynow_display_qr_code", "hosted_instructions_url"),
        ("promptpay_display_qr_code", "hosted_instructions_url"),
        ("display_bank_transfer_instructions", "hosted_instructions_url"),
        ("verify_with_microdeposits", "hosted_verification_url"),
    ];
    pages.into_iter().find_map(|(way, page)| action.object(way)?.page(page))
}

/// Bank debits and the like: the customer left the checkout believing that all is well.
fn is_delayed(error: &Fields<'_>) -> bool {
    let ways = ["acss_debit", "au_becs_debit", "bacs_debit", "nz_bank_account", "sepa_debit", "us_bank_account"];
    let way = error.object("payment_method").and_then(|method| method.text("type"));
    way.is_some_and(|way| ways.contains(&&*way))
}

fn error_code(error: &Fields<'_>) -> Option<String> {
    let code = ["decline_code", "code", "type"].iter().find_map(|name| error.text(name))?;
    Some(code.into_owned())
}
