//! Whom a refusal of the mail server's concerns: one recipient, the shop, or only this moment.
//!
//! | it was refused | it concerns |
//! | --- | --- |
//! | before the recipient was named: connecting, encrypting, logging in, `MAIL FROM` | the shop |
//! | with 5.1.x or 5.2.x, unless it is about the sender; with a bare 550 to `RCPT TO` | the recipient |
//! | with any other 5xx: a limit, relaying denied, a sender that is not verified, a policy | the shop |
//! | with 4xx, a cut or silence, once the recipient was named | this moment |
//!
//! The enhanced code (RFC 3463) decides where there is one. Some servers use it for another purpose, or have none, so that
//! a text that plainly speaks of the sender is heard, too.
//! Sources: RFC 3463 and 5248; the error lists of Exchange Online, Gmail and Amazon SES; the messages in Exim and Postfix.

use super::smtp::Stage;

/// Whom it concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Concerns {
    /// No mail reaches this recipient; others are not affected.
    Recipient,
    /// The login, the sender, a limit, the server itself: no recipient can help it.
    Shop,
    /// It may well succeed when it is tried again.
    Moment,
}

/// What speaks of the sender although the code is one of the recipient's. Exchange says `SendAsDenied` with 5.2.252, and
/// that a submission's limit is used up with 5.1.90 and 5.2.2.
const OF_SENDERS: [&str; 4] = ["sender", "sendas", "submission", "daily limit"];
/// What speaks of the shop in a bare 550 to the recipient, which otherwise means that nobody is there.
const OF_SHOPS: [&str; 13] = [
    "relay",
    "authenticat",
    "log in",
    "login",
    "blocked",
    "black list",
    "blacklist",
    "blocklist",
    "block list",
    "spam",
    "spf ",
    "dkim",
    "dmarc",
];
/// What speaks of the recipient whatever else is said, such as `User unknown in relay recipient table`.
const OF_RECIPIENTS: [&str; 4] = ["user unknown", "unknown user", "no such", "recipient table"];

/// Whom an answer of `code`, or none, with this text concerns.
pub(super) fn concerns(stage: Stage, code: Option<u16>, text: &str) -> Concerns {
    match code {
        _ if !stage.names_recipient() => Concerns::Shop,
        Some(500..) if is_about_the_recipient(stage, code, text) => Concerns::Recipient,
        Some(500..) => Concerns::Shop,
        _ => Concerns::Moment,
    }
}

fn is_about_the_recipient(stage: Stage, code: Option<u16>, text: &str) -> bool {
    let words = without_addresses(text).to_lowercase();
    let says = |signs: &[&str]| signs.iter().any(|sign| words.contains(sign));
    match enhanced_code(text) {
        // A sender's address: its syntax, its domain, several of them. 5.1.90 is Exchange's daily limit.
        Some((1, 7 | 8 | 20 | 90)) => false,
        Some((1 | 2, _)) => !says(&OF_SENDERS),
        Some(_) => false,
        None => {
            let is_bare = stage == Stage::Recipient && code == Some(550);
            is_bare && (says(&OF_RECIPIENTS) || !(says(&OF_SENDERS) || says(&OF_SHOPS)))
        }
    }
}

/// Subject and detail of an enhanced code that permanently refuses, at the start of the text: `5.1.1`, `#5.1.0`.
fn enhanced_code(text: &str) -> Option<(u16, u16)> {
    let word = text.split_whitespace().next()?;
    let word = word.trim_start_matches(['#', '(', '[']).trim_end_matches([':', ',', ';', ')', ']', '-']);
    let (class, rest) = word.split_once('.')?;
    let (subject, detail) = rest.split_once('.')?;
    (class == "5").then_some(())?;
    Some((subject.parse().ok()?, detail.parse().ok()?))
}

/// The text with `…` for each word that holds an address: it is told to the team, and logged.
pub(super) fn without_addresses(text: &str) -> String {
    let word = |word: &str| if word.contains('@') { "…".to_owned() } else { word.to_owned() };
    text.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::Concerns::{Moment, Recipient, Shop};
    use super::*;

    /// Answers as servers give them, most of them cut short.
    const ANSWERS: [(Stage, u16, &str, Concerns); 56] = [
        // Gmail and its relay.
        (
            Stage::Recipient,
            550,
            "5.1.1 The email account that you tried to reach does not exist. Please try double-checking the recipient's email address for typos or unnecessary spaces. gsmtp",
            Recipient,
        ),
        (
            Stage::Recipient,
            553,
            "5.1.2 We weren't able to find the recipient domain. Please check for any spelling errors. gsmtp",
            Recipient,
        ),
        (
            Stage::Recipient,
            553,
            "5.1.3 The recipient address <a b@gmail.com> is not a valid RFC 5321 address. gsmtp",
            Recipient,
        ),
        (Stage::Recipient, 550, "5.2.1 The email account that you tried to reach is disabled. gsmtp", Recipient),
        (Stage::Recipient, 552, "5.2.2 The email account that you tried to reach is over quota. gsmtp", Recipient),
        (Stage::Sender, 550, "5.4.5 Daily user sending limit exceeded. gsmtp", Shop),
        (Stage::Recipient, 550, "5.4.5 Daily sending quota exceeded. gsmtp", Shop),
        (Stage::Content, 550, "5.7.1 Daily SMTP relay sending limit exceeded for customer. gsmtp", Shop),
        (Stage::Content, 552, "5.3.4 Your message exceeded Google's message size limits. gsmtp", Shop),
        (Stage::Content, 550, "5.7.26 This mail has been blocked because the sender is unauthenticated. gsmtp", Shop),
        (Stage::Recipient, 550, "5.7.1 Invalid credentials for relay [203.0.113.7]. gsmtp", Shop),
        (Stage::LoggingIn, 535, "5.7.8 Username and Password not accepted. gsmtp", Shop),
        (Stage::Sender, 530, "5.7.0 Authentication Required. gsmtp", Shop),
        (
            Stage::Recipient,
            450,
            "4.2.1 The user you are trying to contact is receiving mail too quickly. gsmtp",
            Moment,
        ),
        (Stage::Recipient, 452, "4.2.2 The email account that you tried to reach is over quota. gsmtp", Moment),
        (Stage::Content, 421, "4.7.0 Our system has detected an unusual rate of unsolicited mail. gsmtp", Moment),
        // Exchange Online and Outlook.com.
        (
            Stage::Recipient,
            550,
            "5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
            Recipient,
        ),
        (Stage::Recipient, 550, "5.1.1 RESOLVER.ADR.ExRecipNotFound; not found", Recipient),
        (Stage::Content, 554, "5.2.2 mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException", Recipient),
        (Stage::Content, 554, "5.2.252 SendAsDenied; shop@example.com not allowed to send as orders@example.com", Shop),
        (
            Stage::Content,
            554,
            "5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied",
            Shop,
        ),
        (Stage::Content, 550, "5.2.2 Submission quota exceeded", Shop),
        (Stage::Content, 550, "5.1.8 Access denied, bad outbound sender AS(42004)", Shop),
        (
            Stage::Content,
            550,
            "5.1.90 Your message can't be sent because you've reached your daily limit for message recipients",
            Shop,
        ),
        (Stage::Recipient, 550, "5.7.54 SMTP; Unable to relay recipient in non-accepted domain", Shop),
        (Stage::Sender, 530, "5.7.57 Client not authenticated to send mail", Shop),
        (
            Stage::LoggingIn,
            535,
            "5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant",
            Shop,
        ),
        (Stage::Content, 550, "5.7.708 Service unavailable. Access denied, traffic not accepted from this IP", Shop),
        (Stage::Recipient, 550, "5.4.1 Recipient address rejected: Access denied", Shop),
        // Postfix.
        (
            Stage::Recipient,
            550,
            "5.1.1 <ada@example.org>: Recipient address rejected: User unknown in local recipient table",
            Recipient,
        ),
        (
            Stage::Recipient,
            550,
            "5.1.1 <ada@example.org>: Recipient address rejected: User unknown in relay recipient table",
            Recipient,
        ),
        (
            Stage::Recipient,
            550,
            "<ada@example.org>: Recipient address rejected: User unknown in relay recipient table",
            Recipient,
        ),
        (
            Stage::Recipient,
            550,
            "5.1.0 <shop@example.com>: Sender address rejected: User unknown in virtual mailbox table",
            Shop,
        ),
        (Stage::Recipient, 550, "5.1.8 <shop@example.com>: Sender address rejected: Domain not found", Shop),
        (Stage::Recipient, 501, "5.1.7 Bad sender address syntax", Shop),
        (Stage::Recipient, 554, "5.7.1 <ada@example.org>: Relay access denied", Shop),
        (Stage::Recipient, 553, "5.7.1 <shop@example.com>: Sender address rejected: not owned by user orders", Shop),
        (Stage::Recipient, 504, "5.5.2 <shop>: Sender address rejected: need fully-qualified address", Shop),
        (Stage::Content, 552, "5.3.4 Error: message file too big", Shop),
        (Stage::Recipient, 450, "4.2.0 <ada@example.org>: Recipient address rejected: Greylisted", Moment),
        // Exim and others without enhanced codes.
        (Stage::Recipient, 550, "relay not permitted", Shop),
        (Stage::Recipient, 550, "Sender verify failed", Shop),
        (Stage::Recipient, 550, "Unrouteable address", Recipient),
        (Stage::Recipient, 550, "No such user here: <relay@example.org>", Recipient),
        (Stage::Recipient, 550, "#5.1.0 Address rejected.", Recipient),
        (Stage::Recipient, 550, "Requested action not taken: mailbox unavailable", Recipient),
        (Stage::Content, 550, "High probability of spam", Shop),
        (Stage::Recipient, 503, "AUTH first (#5.5.1)", Shop),
        // Amazon SES, SendGrid, Mailgun.
        (
            Stage::Content,
            554,
            "Message rejected: Email address is not verified. The following identities failed the check in region EU-WEST-1: ada@example.org",
            Shop,
        ),
        (Stage::Content, 454, "Throttling failure: Daily message quota exceeded.", Moment),
        (Stage::LoggingIn, 535, "Authentication Credentials Invalid", Shop),
        (
            Stage::Content,
            550,
            "The from address does not match a verified Sender Identity. Mail cannot be sent until this error is resolved.",
            Shop,
        ),
        (Stage::Recipient, 550, "Unauthenticated senders not allowed", Shop),
        (Stage::LoggingIn, 451, "Authentication failed: Maximum credits exceeded", Shop),
        (
            Stage::Recipient,
            554,
            "Sandbox subdomains are for test purposes only. Please add your own domain or add the address to authorized recipients in Account Settings.",
            Shop,
        ),
        (
            Stage::Content,
            421,
            "Domain mg.example.com is not allowed to send: Sandbox subdomains are for test purposes only.",
            Moment,
        ),
    ];

    #[test]
    fn each_answer_concerns_somebody() {
        for (stage, code, text, expected) in ANSWERS {
            assert_eq!(concerns(stage, Some(code), text), expected, "{stage}: {code} {text}");
        }
        assert_eq!(concerns(Stage::Connecting, None, "connection refused"), Shop);
        assert_eq!(concerns(Stage::Content, None, "cut"), Moment);
    }

    #[test]
    fn no_address_is_told() {
        let answer = "5.7.1 <ada@example.org>: Relay access denied for shop@example.com";
        assert_eq!(without_addresses(answer), "5.7.1 … Relay access denied for …");
    }
}
