//! A letter as a message: its headers, its two parts, its addresses.

use lettre::address::Envelope;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart};
use lettre::{Address, error::Error as LettreError};
use thiserror::Error;
use uuid::Uuid;

use super::super::letter::Letter;
use crate::mailbox::{self, Problem};

/// Why a letter is no message.
#[derive(Debug, Error)]
pub(super) enum ComposeError {
    /// The customer's address.
    #[error("the customer's address is not usable: {0}")]
    Address(#[from] Problem),
    /// Anything else.
    #[error("{0}")]
    Message(#[from] LettreError),
}

/// `MAIL_FROM`: an address, or `Name <address>`; without a name it bears the shop's.
pub(super) fn sender(from: &str, shop_name: &str) -> Result<Mailbox, Problem> {
    let from = from.trim();
    let (name, address) = match from.strip_suffix('>').and_then(|from| from.rsplit_once('<')) {
        Some((name, address)) => (name.trim().trim_matches('"').trim(), address),
        None => ("", from),
    };
    let name = if name.is_empty() { shop_name.trim() } else { name };
    if name.chars().any(char::is_control) {
        return Err(Problem::ControlCharacter);
    }
    Ok(Mailbox::new((!name.is_empty()).then(|| name.to_owned()), address_of(address)?))
}

/// The message. lettre encodes each header value, so that no name breaks out of its line. But it panics on a control
/// character in a name: none gets there.
pub(super) fn message(from: &Mailbox, reply_to: &Mailbox, id: Uuid, letter: &Letter) -> Result<Message, ComposeError> {
    let to_name = letter.to_name.as_ref().map(|name| name.replace(char::is_control, " "));
    let to = Mailbox::new(to_name, address_of(&letter.to_address)?);
    // Said apart: read from the header again, an address in quotes could be lost.
    let envelope = Envelope::new(Some(from.email.clone()), vec![to.email.clone()])?;
    // No List-Unsubscribe: nobody can unsubscribe from what happens to an order of theirs.
    let automatic = HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned());
    let message = Message::builder()
        .envelope(envelope)
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

/// An address as any server understands it.
fn address_of(given: &str) -> Result<Address, Problem> {
    let mailbox::Mailbox { local, domain } = mailbox::sendable(given)?;
    Address::new(local, domain).map_err(|_| Problem::NoAddress)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

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
            ("taro..yamada@docomo.ne.jp", true),
            ("\"a b\"@example.org", false),
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
    fn a_local_part_that_no_standard_allows_goes_in_quotes() {
        let letter = letter(Some("山田 太郎"), "taro..yamada@docomo.ne.jp");
        let from = sender("shop@example.com", "Pipers").unwrap();
        let made = message(&from, &from, Uuid::nil(), &letter).unwrap();
        assert_eq!(made.envelope().to()[0].to_string(), "\"taro..yamada\"@docomo.ne.jp");
        let text = String::from_utf8(made.formatted()).unwrap();
        assert!(text.contains("<\"taro..yamada\"@docomo.ne.jp>\r\n"), "{text}");
    }

    /// Pieces of addresses, good and bad.
    fn given() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "a",
            "Ada",
            "7",
            "é",
            "ü",
            "ß",
            "例",
            "김",
            "ﬁ",
            "\u{301}",
            "😀",
            ".",
            "..",
            "@",
            "@",
            "-",
            "_",
            "+",
            "%",
            "'",
            "/",
            "!",
            "\"",
            "\\",
            " ",
            ",",
            ";",
            ":",
            "<",
            ">",
            "(",
            "[",
            "]",
            "\n",
            "\0",
            "\u{ad}",
            "\u{200b}",
            "\u{202e}",
            "\u{3000}",
            "。",
            "．",
            "１",
            "xn--",
            "example",
            ".org",
            "docomo.ne.jp",
            "127.0.0.1",
        ]);
        let pieces = |most| prop::collection::vec(piece.clone(), 0..most).prop_map(|pieces| pieces.concat());
        let plain = (pieces(5), pieces(5)).prop_map(|(local, domain)| format!("{local}@{domain}.org"));
        let long =
            (50..80_usize, 40..260_usize).prop_map(|(l, d)| format!("{}@{}", "a".repeat(l), "b.".repeat(d) + "c"));
        prop_oneof![6 => plain, 3 => pieces(8), 1 => long]
    }

    /// Whether lettre would take what is around its only `@`, as it is or with quotes, its domain in ASCII.
    fn lettre_takes(given: &str) -> bool {
        let Some((user, domain)) = mailbox::trimmed(given).split_once('@') else { return false };
        let domain = if domain.is_ascii() {
            domain.to_owned()
        } else {
            match url::Host::parse(domain) {
                Ok(url::Host::Domain(ascii)) => ascii,
                _ => return false,
            }
        };
        [user.to_owned(), format!("\"{user}\"")].iter().any(|user| Address::new(user, &domain).is_ok())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 8192, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_called_usable_becomes_a_message_and_what_lettre_takes_is_refused_for_a_reason(given in given()) {
            let from = sender("shop@example.com", "Pipers").unwrap();
            match mailbox::sendable(&given) {
                Ok(_) => {
                    let made = message(&from, &from, Uuid::nil(), &letter(Some("Ada"), &given));
                    prop_assert_eq!(made.unwrap().envelope().to().len(), 1);
                }
                Err(Problem::NoAddress) => prop_assert!(!lettre_takes(&given), "{:?}", given),
                Err(Problem::TooLong) => prop_assert!(given.len() > 254 || !lettre_takes(&given), "{:?}", given),
                Err(Problem::ControlCharacter) => prop_assert!(given.contains(char::is_control), "{:?}", given),
                Err(Problem::SeveralOrDecorated) => {
                    let odd = |c: char| !c.is_alphanumeric() && !"@.-_+%'/!\u{301}😀".contains(c);
                    prop_assert!(given.contains(odd), "{:?}", given);
                }
            }
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
