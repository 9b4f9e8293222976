//! A letter as a message: its headers, its two parts, its addresses.

use lettre::address::AddressError;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart};
use lettre::{Address, error::Error as LettreError};
use thiserror::Error;
use url::Host;
use uuid::Uuid;

use super::super::letter::Letter;

/// Why a letter is no message.
#[derive(Debug, Error)]
pub(super) enum ComposeError {
    /// The customer's address.
    #[error("the customer's address is not usable: {0}")]
    Address(#[from] AddressError),
    /// Anything else.
    #[error("{0}")]
    Message(#[from] LettreError),
}

/// `MAIL_FROM`: an address, or `Name <address>`; without a name it bears the shop's.
pub(super) fn sender(from: &str, shop_name: &str) -> Result<Mailbox, AddressError> {
    let from = from.trim();
    let (name, address) = match from.strip_suffix('>').and_then(|from| from.rsplit_once('<')) {
        Some((name, address)) => (name.trim().trim_matches('"').trim(), address),
        None => ("", from),
    };
    let name = if name.is_empty() { shop_name.trim() } else { name };
    if name.chars().any(char::is_control) {
        return Err(AddressError::InvalidInput);
    }
    Ok(Mailbox::new((!name.is_empty()).then(|| name.to_owned()), address_of(address)?))
}

/// The message. lettre encodes each header value, so that no name breaks out of its line. But it panics on a control
/// character in a name: none gets there.
pub(super) fn message(from: &Mailbox, reply_to: &Mailbox, id: Uuid, letter: &Letter) -> Result<Message, ComposeError> {
    let to_name = letter.to_name.as_ref().map(|name| name.replace(char::is_control, " "));
    let to = Mailbox::new(to_name, address_of(&letter.to_address)?);
    // No List-Unsubscribe: nobody can unsubscribe from what happens to an order of theirs.
    let automatic = HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned());
    let message = Message::builder()
        .message_id(Some(format!("<{id}@{}>", from.email.domain())))
        .date_now()
        .from(from.clone())
        .reply_to(reply_to.clone())
        .to(to)
        .subject(letter.subject.replace(char::is_control, " "))
        .raw_header(automatic)
        .multipart(MultiPart::alternative_plain_html(letter.text.clone(), letter.html.clone()))?;
    Ok(message)
}

/// An address whose domain any server understands: an international one in its ASCII form.
fn address_of(given: &str) -> Result<Address, AddressError> {
    let (user, domain) = given.trim().rsplit_once('@').ok_or(AddressError::MissingParts)?;
    if domain.is_ascii() {
        return Address::new(user, domain);
    }
    match Host::parse(domain) {
        Ok(Host::Domain(ascii)) => Address::new(user, ascii),
        _ => Err(AddressError::InvalidDomain),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn letter(to_name: Option<&str>, to_address: &str) -> Letter {
        Letter {
            to_name: to_name.map(str::to_owned),
            to_address: to_address.to_owned(),
            subject: "Ihre Bestellung 7 ist bezahlt – danke".to_owned(),
            text: "Guten Tag\n.\nQUIT\n".to_owned(),
            html: "<p>Grüße</p>".to_owned(),
        }
    }

    fn made(letter: &Letter) -> String {
        let from = sender("shop@example.com", "Pipers & Sons").unwrap();
        let desk = sender("desk@example.com", "").unwrap();
        String::from_utf8(message(&from, &desk, Uuid::nil(), letter).unwrap().formatted()).unwrap()
    }

    #[test]
    fn it_has_the_headers_that_a_machine_s_mail_should_have() {
        let text = made(&letter(Some("Ada Lovelace"), "ada@example.org"));
        for header in [
            "Message-ID: <00000000-0000-0000-0000-000000000000@example.com>\r\n",
            "To: \"Ada Lovelace\" <ada@example.org>\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "Reply-To: desk@example.com\r\n",
            "MIME-Version: 1.0\r\n",
            "Content-Type: multipart/alternative;",
        ] {
            assert!(text.contains(header), "{header} is not in {text}");
        }
        assert!(text.is_ascii() && text.contains("\r\nDate: "));
        let read = mail_parser::MessageParser::default().parse(text.as_bytes()).unwrap();
        assert_eq!(read.from().unwrap().first().unwrap().name(), Some("Pipers & Sons"));
        assert_eq!(read.subject(), Some("Ihre Bestellung 7 ist bezahlt – danke"));
        assert_eq!(read.body_html(0).unwrap(), "<p>Grüße</p>");
        assert_eq!(read.body_text(0).unwrap().replace("\r\n", "\n"), "Guten Tag\n.\nQUIT\n");
    }

    #[test]
    fn no_name_breaks_out_of_its_header() {
        for name in
            ["Eve\r\nBcc: all@example.com", "Eve\" <x@example.com>, \"", "\u{202e}evE", "=?utf-8?q?=0d=0aBcc:?="]
        {
            let text = made(&letter(Some(name), "eve@example.org"));
            let read = mail_parser::MessageParser::default().parse(text.as_bytes()).unwrap();
            let to = read.to().unwrap();
            assert_eq!(to.iter().count(), 1, "{text}");
            assert_eq!(to.first().unwrap().address(), Some("eve@example.org"));
            assert!(read.bcc().is_none() && !text.contains("\r\nBcc"), "{text}");
        }
    }

    #[test]
    fn an_international_domain_needs_no_special_server() {
        let text = made(&letter(None, "ada@bücher.example"));
        assert!(text.contains("To: ada@xn--bcher-kva.example\r\n"), "{text}");
        for (address, good) in [
            ("ada@例え.jp", true),
            ("ada@example.org", true),
            ("\"a b\"@example.org", true),
            ("ada", false),
            ("@example.org", false),
            ("ada@", false),
            ("ada@example.org\r\nRCPT TO:<b@example.org>", false),
            ("a@b.example, c@d.example", false),
            ("a@b@c.example", false),
        ] {
            assert_eq!(address_of(address).is_ok(), good, "{address}");
        }
    }

    #[test]
    fn the_sender_may_have_a_name() {
        for (from, name) in [
            ("shop@example.com", "Shop"),
            ("<shop@example.com>", "Shop"),
            ("Pipers, Inc. <shop@example.com>", "Pipers, Inc."),
            ("\"Pipers\" <shop@example.com>", "Pipers"),
        ] {
            let read = sender(from, "Shop").unwrap();
            assert_eq!((read.name.as_deref(), read.email.to_string()), (Some(name), "shop@example.com".to_owned()));
        }
        for from in ["", "shop", "shop@", "A\nB <shop@example.com>"] {
            assert!(sender(from, "Shop").is_err(), "{from:?}");
        }
    }
}
