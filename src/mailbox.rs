//! An e-mail address as it can be sent: what is judged when one is given is what goes over the line later.
//!
//! The rules are those of the crate that lettre judges by, so nothing is called usable that lettre then refuses. A local
//! part that carriers hand out although no standard allows it (`taro..yamada@docomo.ne.jp`) is quoted. A domain of
//! other than ASCII letters goes in its ASCII form.
//! Sources: RFC 5321, section 4.1.2; RFC 5322, section 3.4.1.

use email_address::EmailAddress;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use url::Host;

/// Most bytes of an address: RFC 5321 has 256 for a path, its angle brackets included.
const LONGEST: usize = 254;
/// Most bytes before the `@`, quotes included.
const LONGEST_LOCAL: usize = 64;

/// An address in the form in which servers take it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// Before the `@`, in quotes where it needs them.
    pub local: String,
    /// A name in ASCII.
    pub domain: String,
}

/// Why an address can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Error)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// Over 254 bytes, or over 64 before the `@`.
    #[error("it is too long")]
    TooLong,
    /// A line break, NUL or the like.
    #[error("it has a control character")]
    ControlCharacter,
    /// A space, a comma or another sign that separates or decorates addresses, or a mark that hides or turns text.
    #[error("it has a sign that separates or decorates addresses")]
    SeveralOrDecorated,
    /// Not one `@` between a local part and a domain in characters that can be sent.
    #[error("it is not a name, one @ and a domain")]
    NoAddress,
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

/// The address without the blanks around it.
pub fn trimmed(given: &str) -> &str {
    given.trim_matches(|c: char| c.is_whitespace() && !c.is_control())
}

/// The form in which `given` can be sent. Fails if it is not exactly one address.
pub fn sendable(given: &str) -> Result<Mailbox, Problem> {
    let given = trimmed(given);
    if given.len() > LONGEST {
        return Err(Problem::TooLong);
    }
    if given.chars().any(char::is_control) {
        return Err(Problem::ControlCharacter);
    }
    let (local, domain) = given.rsplit_once('@').unwrap_or((given, ""));
    // Quotes that were given count as ours: they are set where they are needed.
    let local = local.strip_prefix('"').and_then(|local| local.strip_suffix('"')).unwrap_or(local);
    if [local, domain].iter().any(|part| part.contains(is_odd)) {
        return Err(Problem::SeveralOrDecorated);
    }
    if local.contains('@') {
        return Err(Problem::NoAddress);
    }
    let mailbox = Mailbox { local: sendable_local(local)?, domain: sendable_domain(domain)? };
    let length = mailbox.local.len() + 1 + mailbox.domain.len();
    if length > LONGEST { Err(Problem::TooLong) } else { Ok(mailbox) }
}

fn sendable_local(local: &str) -> Result<String, Problem> {
    if EmailAddress::is_valid_local_part(local) {
        return Ok(local.to_owned());
    }
    let quoted = format!("\"{local}\"");
    if local.is_empty() {
        Err(Problem::NoAddress)
    } else if EmailAddress::is_valid_local_part(&quoted) {
        Ok(quoted)
    } else if local.len() > LONGEST_LOCAL || (quoted.len() > LONGEST_LOCAL && local.split('.').any(str::is_empty)) {
        Err(Problem::TooLong)
    } else {
        Err(Problem::NoAddress)
    }
}

fn sendable_domain(domain: &str) -> Result<String, Problem> {
    let ascii = if domain.is_ascii() {
        domain.to_owned()
    } else {
        match Host::parse(domain) {
            Ok(Host::Domain(ascii)) => ascii,
            _ => return Err(Problem::NoAddress),
        }
    };
    if EmailAddress::is_valid_domain(&ascii) { Ok(ascii) } else { Err(Problem::NoAddress) }
}

/// What separates or decorates addresses, or hides in them.
fn is_odd(c: char) -> bool {
    c.is_whitespace() || is_format(c) || ",;<>\"()[]\\:".contains(c)
}

/// Marks that turn or hide text: an address that holds one isn't what it seems.
fn is_format(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(given: &str) -> Result<String, Problem> {
        sendable(given).map(|Mailbox { local, domain }| format!("{local}@{domain}"))
    }

    #[test]
    fn an_address_goes_as_it_is_quoted_or_in_ascii() {
        for (given, expected) in [
            ("ada@example.org", "ada@example.org"),
            (" ada@example.org\u{3000}", "ada@example.org"),
            ("o'neil+tag@例え.jp", "o'neil+tag@xn--r8jz45g.jp"),
            ("jörg@müller.example", "jörg@xn--mller-kva.example"),
            ("taro..yamada@docomo.ne.jp", "\"taro..yamada\"@docomo.ne.jp"),
            ("hanako.@ezweb.ne.jp", "\"hanako.\"@ezweb.ne.jp"),
            (".taro@docomo.ne.jp", "\".taro\"@docomo.ne.jp"),
            ("\"taro..yamada\"@docomo.ne.jp", "\"taro..yamada\"@docomo.ne.jp"),
            ("\"taro\"@docomo.ne.jp", "taro@docomo.ne.jp"),
            ("root@localhost", "root@localhost"),
        ] {
            assert_eq!(sent(given).as_deref(), Ok(expected), "{given:?}");
        }
    }

    #[test]
    fn what_cannot_be_sent_says_why() {
        let long = |local: usize| format!("{}@example.com", "a".repeat(local));
        let dotted = |local: usize| format!("{}.@example.com", "a".repeat(local - 1));
        for (given, problem) in [
            ("", Problem::NoAddress),
            ("ada", Problem::NoAddress),
            ("@example.org", Problem::NoAddress),
            ("\"\"@example.org", Problem::NoAddress),
            ("ada@", Problem::NoAddress),
            ("a@b@c.example", Problem::NoAddress),
            ("ada@example..org", Problem::NoAddress),
            ("ada@example.org.", Problem::NoAddress),
            ("ada@-example.org", Problem::NoAddress),
            ("ada@１.2.3.4", Problem::NoAddress),
            ("e\u{301}@example.org", Problem::NoAddress),
            ("😀@example.org", Problem::NoAddress),
            ("ada@exa\nmple.org", Problem::ControlCharacter),
            ("ada@example.org\n", Problem::ControlCharacter),
            ("a@b.example, c@d.example", Problem::SeveralOrDecorated),
            ("Ada <ada@example.org>", Problem::SeveralOrDecorated),
            ("\"a b\"@example.org", Problem::SeveralOrDecorated),
            ("ada@[127.0.0.1]", Problem::SeveralOrDecorated),
            ("a\u{202e}da@example.org", Problem::SeveralOrDecorated),
            ("ada@exa\u{ad}mple.org", Problem::SeveralOrDecorated),
            (&long(65), Problem::TooLong),
            (&dotted(63), Problem::TooLong),
            (&format!("a@{}.example", "é".repeat(130)), Problem::TooLong),
        ] {
            assert_eq!(sent(given), Err(problem), "{given:?}");
        }
        assert!(sent(&long(64)).is_ok() && sent(&dotted(62)).is_ok());
    }
}
