//! Customers' names, as they may be shown in a mail.
//!
//! A name is given by anybody at a checkout, with an address that need not be theirs. One that a mail program would turn
//! into a link is an attempt to have us deliver it, and is left out: then the mail greets nobody by name.

use super::letter::one_line;

/// Most characters of a name.
const LONGEST: usize = 80;
/// What may stand before a dot within a name, such as `Dr.Müller`. Single letters may, too.
const TITLES: [&str; 26] = [
    "dipl", "don", "dr", "dra", "fr", "frl", "herr", "hr", "ing", "jr", "mag", "mgr", "mlle", "mme", "mr", "mrs", "ms",
    "mx", "prof", "rev", "sir", "sr", "sra", "st", "sta", "ste",
];
/// Endings that anybody can register a domain under, written as a name would be.
const OPEN_ENDINGS: [&str; 52] = [
    "app", "art", "best", "bid", "biz", "blog", "cash", "cheap", "click", "cloud", "club", "com", "deals", "dev",
    "digital", "email", "expert", "fun", "fyi", "gift", "gifts", "group", "help", "icu", "info", "life", "link",
    "live", "loan", "media", "mobi", "money", "name", "net", "news", "one", "online", "org", "page", "pay", "pro",
    "shop", "site", "sale", "space", "store", "tech", "top", "vip", "win", "work", "xyz",
];

/// A customer's name as it may be shown: one line of reasonable length, without anything that becomes a link.
pub(super) fn name(given: &str) -> Option<String> {
    let name = one_line(given);
    let fits = !name.is_empty() && name.chars().count() <= LONGEST;
    (fits && !is_link(&name)).then_some(name)
}

fn is_link(name: &str) -> bool {
    let lower = name.to_lowercase();
    if ["://", "@", "www."].iter().any(|sign| lower.contains(sign)) {
        return true;
    }
    // The dots of other scripts, which browsers take for one.
    let name = name.replace(['。', '．', '｡', '․'], ".");
    name.split(|c: char| !(c.is_alphanumeric() || "-_./:?#%=&~+".contains(c))).any(is_linked_word)
}

/// Whether a mail program may take the word for an address of the web: `evil.example`, `evil.example/prize`, `10.0.0.1`.
fn is_linked_word(word: &str) -> bool {
    let host = word.split(['/', ':', '?', '#']).next().unwrap_or_default();
    let host = host.trim_matches(|c: char| !c.is_alphanumeric());
    let labels: Vec<&str> = host.split('.').collect();
    let [before @ .., last] = &labels[..] else { return false };
    if before.is_empty() || labels.iter().any(|label| !is_label(label)) {
        return false;
    }
    let is_ip = labels.len() == 4 && labels.iter().all(|label| label.bytes().all(|b| b.is_ascii_digit()));
    let is_ending = last.chars().count() >= 2 && last.chars().any(char::is_alphabetic);
    is_ip || (is_ending && !(before.iter().all(|label| is_title(label)) && is_surname(last)))
}

fn is_label(label: &str) -> bool {
    let is_inside = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    label.chars().all(is_inside) && label.starts_with(char::is_alphanumeric) && label.ends_with(char::is_alphanumeric)
}

/// An initial, a title, or an abbreviation such as `Mª`.
fn is_title(label: &str) -> bool {
    let mut letters = label.chars();
    match (letters.next(), letters.next()) {
        (Some(letter), None) => letter.is_alphabetic(),
        _ => label.ends_with(['ª', 'º']) || TITLES.contains(&label.to_lowercase().as_str()),
    }
}

/// Written as names are, and no ending that anybody's domain may have: those of countries have two letters.
fn is_surname(label: &str) -> bool {
    let is_capitalised = label.starts_with(char::is_uppercase) && label.chars().any(char::is_lowercase);
    is_capitalised && label.chars().count() > 2 && !OPEN_ENDINGS.contains(&label.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_name_is_left_out() {
        for given in ["", " \r\n", "\u{202e}", &"x".repeat(81)] {
            assert_eq!(name(given), None, "{given:?}");
        }
        assert_eq!(name("  José\tMª \u{200d} ").as_deref(), Some("José Mª \u{200d}"));
    }

    #[test]
    fn what_a_mail_program_makes_a_link_of_is_no_name() {
        for given in [
            "win at https://evil.example",
            "WWW.evil.example",
            "a@b.example",
            "Hello Win now evil.example/prize",
            "evil.example",
            "Evil.Example",
            "EVIL.COM",
            "(evil.com)",
            "evil.com.",
            "evil.com,",
            "see evil.co.uk?x=1",
            "t.co/abc",
            "T.Co",
            "bit.ly/2x",
            "A.Shop",
            "evil-shop.xn--p1ai",
            "пример.рф",
            "例え.テスト",
            "evil。com",
            "evil．com",
            "evil.com:8080",
            "10.0.0.1/x",
            "a_b.example",
            "Zero\u{200b}.evil.com",
        ] {
            assert_eq!(name(given), None, "{given:?}");
        }
    }

    #[test]
    fn names_with_dots_stay() {
        for given in [
            "J. R. Smith",
            "J.R.R. Tolkien",
            "J.R.R.Tolkien",
            "St. John",
            "St.John",
            "Dr.Müller",
            "Prof.Dr.Weiß",
            "Mª.José",
            "Martin Luther King Jr.",
            "Ph.D. Ada",
            "Ada Lovelace, B.A.",
            "山田 太郎",
            "O'Neil-Smith",
            "Ada 2.0",
            "Dipl.-Ing. Weber",
            "...",
        ] {
            assert_eq!(name(given).as_deref(), Some(given), "{given:?}");
        }
    }
}
