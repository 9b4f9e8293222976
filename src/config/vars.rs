//! Reading variables: the environment, `.env`, `NAME_FILE`; every mistake is collected, none tells a value.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Prefixes that are ours: an unknown key behind one of them is a typing mistake, not a neighbour's setting.
const NAMESPACES: [&str; 8] = [
    "RINGUP_",
    "STRIPE_WEBHOOK_",
    "STRIPE_ACCOUNT",
    "ORDER_METADATA_",
    "ORDER_REFERENCE_",
    "CONFIRM_",
    "GITHUB_WEBHOOK_",
    "SLACK_WEBHOOK_",
];

/// All that is wrong with the configuration, a line each. Names keys, never values.
#[derive(Debug, thiserror::Error)]
#[error("the configuration is not usable:\n  {}", .0.join("\n  "))]
pub struct Mistakes(pub Vec<String>);

/// The variables, with the mistakes found so far.
pub struct Vars {
    values: BTreeMap<String, String>,
    mistakes: RefCell<Vec<String>>,
}

impl Vars {
    /// Takes `values` as they are; `NAME_FILE` is resolved when `NAME` is asked for.
    pub fn new(values: BTreeMap<String, String>) -> Self {
        Self { values, mistakes: RefCell::default() }
    }

    /// Notes that `key` is wrong.
    pub fn mistake(&self, key: &str, what: impl fmt::Display) {
        self.mistakes.borrow_mut().push(format!("{key}: {what}"));
    }

    /// The value of `key`, its own or from the file that `key_FILE` names. A blank value is absent.
    pub fn get(&self, key: &str) -> Option<String> {
        let own = self.values.get(key).filter(|value| !value.trim().is_empty());
        let file = self.values.get(&format!("{key}_FILE")).filter(|path| !path.trim().is_empty());
        match (own, file) {
            (Some(_), Some(_)) => {
                self.mistake(key, format!("is set together with {key}_FILE; keep one of them"));
                None
            }
            (Some(value), None) => Some(value.clone()),
            (None, Some(path)) => self.read(key, path),
            (None, None) => None,
        }
    }

    fn read(&self, key: &str, path: &str) -> Option<String> {
        match std::fs::read_to_string(path) {
            Ok(text) if text.trim().is_empty() => {
                self.mistake(&format!("{key}_FILE"), "names an empty file");
                None
            }
            Ok(text) => Some(text.trim_end_matches(['\r', '\n']).to_owned()),
            Err(error) => {
                self.mistake(&format!("{key}_FILE"), format!("cannot be read: {}", error.kind()));
                None
            }
        }
    }

    /// As [`Self::get`]; absence is a mistake that `hint` helps to mend.
    pub fn require(&self, key: &str, hint: &str) -> String {
        let known = self.mistakes.borrow().len();
        let value = self.get(key);
        if value.is_none() && self.mistakes.borrow().len() == known {
            self.mistake(key, format!("is missing or blank; {hint}"));
        }
        value.unwrap_or_default()
    }

    /// The value of `key` as a `T`, or `default` where it is absent.
    pub fn parse<T: FromStr>(&self, key: &str, default: T, expected: &str) -> T {
        match self.get(key).map(|value| value.trim().parse()) {
            None => default,
            Some(Ok(value)) => value,
            Some(Err(_)) => {
                self.mistake(key, format!("is not {expected}"));
                default
            }
        }
    }

    /// Complains of `key` if it is set and blank: a secret that was forgotten must not switch something off silently.
    pub fn refuse_blank(&self, key: &str) {
        let is_blank = self.values.get(key).is_some_and(|value| value.trim().is_empty());
        if is_blank && !self.values.contains_key(&format!("{key}_FILE")) {
            self.mistake(key, "is blank; give it a value or leave it out");
        }
    }

    /// Comma-separated entries, trimmed.
    pub fn list(&self, key: &str) -> Vec<String> {
        self.get(key).map(|value| value.split(',').map(|entry| entry.trim().to_owned()).collect()).unwrap_or_default()
    }

    /// Complains of keys in our namespaces that `known` does not list.
    pub fn refuse_unknown(&self, known: &[&str]) {
        for key in self.values.keys() {
            let name = key.strip_suffix("_FILE").unwrap_or(key);
            if NAMESPACES.iter().any(|prefix| name.starts_with(prefix)) && !known.contains(&name) {
                self.mistake(key, "is no variable of ringup; see .env.example for those that are");
            }
        }
    }

    /// The mistakes, if there are any.
    pub fn finish(self) -> Result<(), Mistakes> {
        let mistakes = self.mistakes.into_inner();
        if mistakes.is_empty() { Ok(()) } else { Err(Mistakes(mistakes)) }
    }
}
