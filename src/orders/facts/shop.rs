//! What the shop says of an order: what it expects, and what a person released.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::join::Join;

/// The shop's words on one order, under one of its names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shop {
    /// The expectation with the highest sequence number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expectation: Option<Expectation>,
    /// The release with the highest sequence number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<Release>,
}

/// What the shop expects of an order.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct Expectation {
    /// Given under the order's lock: the highest counts.
    pub sequence: i64,
    /// In the minor unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
    /// Lower-case ISO code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Where the customer's mails go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<Address>,
    /// The customer's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The customer's language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// Whether several payments are as they should be.
    pub payments: Payments,
    /// With what the amount is compared.
    pub compare: Compare,
    /// What was bought, as it is to be shown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub line_items: Vec<LineItem>,
}

/// How many payments an order should have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payments {
    /// A second one is a mistake.
    #[default]
    One,
    /// As many as there are, such as a deposit and the rest.
    Many,
}

/// With what the expected amount is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compare {
    /// `amount_total`.
    #[default]
    Total,
    /// `amount_subtotal`: without shipping, tax and discounts.
    Subtotal,
}

/// One line of what was bought.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct LineItem {
    /// In the customer's words.
    pub description: String,
    /// How many.
    pub quantity: i64,
    /// In the minor unit, for all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
}

/// What a person looked at and let go on.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct Release {
    /// Given under the order's lock: the highest counts.
    pub sequence: i64,
    /// The facts, each a reason and what it rests on, such as `double_payment:pi_1,pi_2`.
    pub released: BTreeSet<String>,
}

impl Join for Expectation {
    fn join(&mut self, other: &Self) {
        // `sequence` stands first; the rest decides only where one number was given twice.
        if other > self {
            *self = other.clone();
        }
    }
}

impl Join for Release {
    fn join(&mut self, other: &Self) {
        if other > self {
            *self = other.clone();
        }
    }
}

impl Join for Shop {
    fn join(&mut self, other: &Self) {
        self.expectation.join(&other.expectation);
        self.release.join(&other.release);
    }
}
