//! How the mail server does: the destination `mail`.
//!
//! It is never switched off. While it takes no mail of the shop's (a login, a sender, a limit, a host that is not there),
//! mails are tried again however often, and the team is told once: at once where the server said so for good, after
//! [`PATIENCE`] where it may have been a moment. The first mail that is accepted ends it, and what waited is due.

mod store;

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub use store::settle_mail;

/// So long may connecting, or an answer that asks for patience, fail before it is told, in seconds.
const PATIENCE: f64 = 300.0;
/// For one kind of answer the team is told once in so many seconds, should trouble come and go.
const QUIET: i64 = 6 * 3600;

/// What attempts at mails showed.
#[derive(Debug, Default)]
pub struct MailNews {
    /// One was accepted.
    pub works: bool,
    /// What one of them failed for.
    pub trouble: Option<MailTrouble>,
    /// The messages that failed for it, each with the number of its attempt.
    pub failed: Vec<(Uuid, i32)>,
}

/// What the server answers, or that it doesn't.
#[derive(Debug)]
pub struct MailTrouble {
    /// In the server's words.
    pub answer: String,
    /// Nobody needs to wait whether it passes.
    pub at_once: bool,
}

/// What changed.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// It takes no mail.
    Began {
        /// What it answers.
        answer: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// It takes mail again.
    Over {
        /// The first failure.
        since: DateTime<Utc>,
    },
}

/// What to do about an answer.
fn advice(answer: &str) -> &'static str {
    let lower = answer.to_lowercase();
    let says = |signs: &[&str]| signs.iter().any(|sign| lower.contains(sign));
    if says(&["quota", "limit", "credits", "throttl"]) {
        "The provider's sending limit is used up: wait until it is renewed, or raise it there."
    } else if lower.starts_with("connecting") {
        "See whether SMTP_URL names the right host and port, and whether that server runs and can be reached from here."
    } else if lower.starts_with("starttls") {
        "See whether the server offers STARTTLS with a valid certificate, and what SMTP_URL says of it (tls=)."
    } else if lower.starts_with("logging in") {
        "See whether the user and the password in SMTP_URL are right, and whether the provider allows SMTP logins."
    } else if says(&["sender", "not verified", "from address", "send as", "sendas", "mail from"]) {
        "See whether the provider lets this login send as MAIL_FROM: its address or domain may have to be verified there."
    } else if says(&["relay", "authenticat"]) {
        "See whether SMTP_URL has a user and a password: the server sends for those who log in."
    } else {
        "The server's words say why: see MAIL_FROM, SMTP_URL, and the provider's own pages for this account."
    }
}

/// What kind of answer it is, for the key of its notice: an enhanced code, a code, or how far it came.
fn kind_of(answer: &str) -> &str {
    let is_enhanced = |word: &&str| {
        let numbers: Vec<&str> = word.split('.').collect();
        numbers.len() == 3 && numbers.iter().all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    };
    let is_code = |word: &&str| word.len() == 3 && word.bytes().all(|b| b.is_ascii_digit());
    let words = || answer.split(|c: char| c.is_whitespace() || "():,;#".contains(c));
    words().find(is_enhanced).or_else(|| words().find(is_code)).or_else(|| words().next()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_has_its_kind_and_its_advice() {
        for (answer, kind, word) in [
            ("RCPT TO: permanent error (554): 5.7.1 … Relay access denied", "5.7.1", "log in"),
            ("RCPT TO: permanent error (550): 5.4.5 Daily sending quota exceeded", "5.4.5", "limit"),
            ("RCPT TO: permanent error (550): relay not permitted", "550", "log in"),
            ("logging in: permanent error (535): 5.7.8 no", "5.7.8", "password"),
            ("connecting: Connection error: Connection refused (os error 111)", "111", "host and port"),
            ("connecting: no end within 30 s", "connecting", "host and port"),
            (
                "handing the message over: permanent error (554): Message rejected: Email address is not verified.",
                "554",
                "MAIL_FROM",
            ),
            ("DATA: permanent error (554): 5.3.0 no", "5.3.0", "words say why"),
        ] {
            assert_eq!(kind_of(answer), kind, "{answer}");
            assert!(advice(answer).contains(word), "{answer}: {}", advice(answer));
        }
    }
}
