//! Secrets: what they must look like, and the one way to read them.
//!
//! Invariants: a [`Secret`] is never blank, so no verifier can be given an empty key, with which anybody could sign; no
//! error and no `Debug` output contains its value.

use std::fmt;

use super::vars::Vars;

/// Fewest characters of a secret behind its prefix: whatever is shorter is guessed.
const LEAST: usize = 8;

/// A value that no log, page or error may show. It is not blank.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps `value`. Returns `None` if it is blank.
    pub fn new(value: impl Into<String>) -> Option<Self> {
        let value = value.into();
        (!value.trim().is_empty()).then_some(Self(value))
    }

    /// Stands for a value that is missing; the mistake that says so keeps it from being used.
    pub(super) fn missing() -> Self {
        Self("missing".into())
    }

    /// The value itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl AsRef<[u8]> for Secret {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// What a kind of secret looks like.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// It begins with one of these; none means that it may begin with anything.
    prefixes: &'static [&'static str],
    /// Said of one that begins otherwise.
    otherwise: &'static str,
    /// Blanks and characters outside ASCII may stand within it.
    is_phrase: bool,
}

impl Form {
    /// Stripe's signing secrets.
    pub const SIGNING: Self = Self { prefixes: &["whsec_"], otherwise: "is not whsec_…", is_phrase: false };
    /// GitHub takes any text.
    pub const PHRASE: Self = Self { prefixes: &[], otherwise: "", is_phrase: true };
    /// A bearer token.
    pub const TOKEN: Self = Self { is_phrase: false, ..Self::PHRASE };
    /// Stripe's API keys.
    pub const API_KEY: Self = Self {
        prefixes: &["sk_", "rk_"],
        otherwise: "is not sk_test_…, sk_live_…, rk_test_… or rk_live_…",
        is_phrase: false,
    };
    /// A URL whose path is the secret.
    pub const URL: Self = Self {
        prefixes: &["https://", "http://"],
        otherwise: "is not a URL such as https://hooks.slack.com/services/…",
        is_phrase: false,
    };

    /// Whether `text` has this form.
    pub fn fits(&self, text: &str) -> bool {
        self.fault(text).is_none()
    }

    /// What is wrong with `text`, in words that do not show it.
    fn fault(&self, text: &str) -> Option<&'static str> {
        let rest = match self.prefixes {
            [] => Some(text),
            prefixes => prefixes.iter().find_map(|prefix| text.strip_prefix(prefix)),
        };
        match rest {
            _ if text.trim().is_empty() => Some("is empty"),
            _ if text.contains(char::is_control) => Some("contains a line break or another control character"),
            _ if text.trim() != text => Some("begins or ends with a blank"),
            _ if !self.is_phrase && !text.chars().all(|c| c.is_ascii_graphic() && c != ',') => {
                Some("contains a blank, a comma or a character outside ASCII")
            }
            None => Some(self.otherwise),
            Some(rest) if rest.chars().count() < LEAST => Some("is too short: at least 8 characters, please"),
            Some(_) => None,
        }
    }
}

impl Vars {
    /// The comma-separated secrets of `key`, the newest first. An entry that is empty or has another form is a mistake.
    pub fn secrets(&self, key: &str, form: Form) -> Vec<Secret> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let entries: Vec<&str> = value.split(',').collect();
        let named = |n: usize| if entries.len() == 1 { String::new() } else { format!("entry {} ", n + 1) };
        entries.iter().enumerate().filter_map(|(n, entry)| self.checked(key, &named(n), entry, form)).collect()
    }

    /// The secret of `key`, if it is set. One of another form is a mistake.
    pub fn secret(&self, key: &str, form: Form) -> Option<Secret> {
        self.refuse_blank(key);
        self.checked(key, "", &self.get(key)?, form)
    }

    fn checked(&self, key: &str, entry: &str, text: &str, form: Form) -> Option<Secret> {
        if let Some(fault) = form.fault(text) {
            self.mistake(key, format!("{entry}{fault}"));
            return None;
        }
        Secret::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blank_secret_cannot_be_made() {
        for blank in ["", " ", "\n", "\t \r\n"] {
            assert_eq!(Secret::new(blank), None, "{blank:?}");
        }
        assert!(Secret::new("x").is_some_and(|secret| format!("{secret:?}") == "Secret(…)"));
    }

    #[test]
    fn a_form_says_what_is_wrong() {
        for (form, text, fault) in [
            (Form::SIGNING, "", "is empty"),
            (Form::SIGNING, "whsec_12345678\n", "contains a line break or another control character"),
            (Form::SIGNING, " whsec_12345678", "begins or ends with a blank"),
            (Form::SIGNING, "whsec_1234 5678", "contains a blank, a comma or a character outside ASCII"),
            (Form::SIGNING, "12345678901234", "is not whsec_…"),
            (Form::SIGNING, "whsec_1234567", "is too short: at least 8 characters, please"),
            (Form::PHRASE, "1234567", "is too short: at least 8 characters, please"),
            (Form::TOKEN, "12345678é", "contains a blank, a comma or a character outside ASCII"),
        ] {
            assert_eq!(form.fault(text), Some(fault), "{text:?}");
        }
        for (form, text) in [(Form::SIGNING, "whsec_12345678"), (Form::PHRASE, "ein ganzer Satz, ähm")] {
            assert!(form.fits(text), "{text}");
        }
    }
}
