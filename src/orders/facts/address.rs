//! A customer's e-mail address, as one is given.

use serde::{Deserialize, Serialize};

use crate::source::fields::{Fields, string};

/// An address that was given. A bad one never hurts its event: it only is no address, and the reason is kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Address {
    /// One plausible address.
    Usable(String),
    /// What was given can't be one.
    Refused(Problem),
}

/// Why an address can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// Over 254 bytes.
    TooLong,
    /// A line break, NUL or the like.
    ControlCharacter,
    /// A space, a comma or another sign that separates addresses.
    SeveralOrDecorated,
    /// Not something, one `@`, something.
    NoAddress,
}

impl Address {
    /// Judges what was given.
    pub fn parse(given: &str) -> Self {
        match problem(given) {
            None => Self::Usable(given.to_owned()),
            Some(problem) => Self::Refused(problem),
        }
    }

    /// Reads a field; absent, empty or no string is no address at all.
    pub fn read(fields: &Fields<'_>, name: &str) -> Option<Self> {
        let given = string(fields.get(name).ok()??)?;
        (!given.is_empty()).then(|| Self::parse(&given))
    }

    /// The address, if it can be used.
    pub fn usable(&self) -> Option<&str> {
        match self {
            Self::Usable(address) => Some(address),
            Self::Refused(_) => None,
        }
    }
}

impl Problem {
    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::ControlCharacter => "control_character",
            Self::SeveralOrDecorated => "several_or_decorated",
            Self::NoAddress => "no_address",
        }
    }
}

fn problem(given: &str) -> Option<Problem> {
    if given.len() > 254 {
        return Some(Problem::TooLong);
    }
    if given.chars().any(char::is_control) {
        return Some(Problem::ControlCharacter);
    }
    if given.chars().any(|c| c.is_whitespace() || is_format(c) || ",;<>\"()[]\\:".contains(c)) {
        return Some(Problem::SeveralOrDecorated);
    }
    match given.split_once('@') {
        Some((local, domain)) if !local.is_empty() && !domain.is_empty() && !domain.contains('@') => None,
        _ => Some(Problem::NoAddress),
    }
}

/// Marks that turn or hide text: an address that holds one isn't what it seems.
fn is_format(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}
