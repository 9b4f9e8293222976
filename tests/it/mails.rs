//! Each mail in each language, as a person reviewed it: `tests/snapshots`.

use ringup::notices::Kind;
use ringup::outbox::Templates;
use std::fmt::Write;
use std::path::Path;

/// Every notice that has a mail, the one of a renewal included.
const MAILS: [Kind; 10] = [
    Kind::OrderPaid,
    Kind::OrderRenewed,
    Kind::OrderRefunded,
    Kind::OrderPartiallyRefunded,
    Kind::OrderRefundFailed,
    Kind::OrderAwaitingFunds,
    Kind::OrderPaymentFailed,
    Kind::OrderDisputed,
    Kind::OrderReview,
    Kind::SubscriptionDisabled,
];

/// The words of a page, a line a piece.
fn words(html: &str) -> String {
    let body = &html[html.find("<body").unwrap()..];
    let pieces = body.split('<').filter_map(|piece| piece.split_once('>')).map(|(_, text)| text.trim());
    pieces.filter(|text| !text.is_empty() && !text.starts_with("[if")).collect::<Vec<_>>().join("\n")
}

fn compare(file: &str, is: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(file);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, is).unwrap();
    }
    let was = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = was.lines().zip(is.lines()).position(|(was, is)| was != is);
    let line = differs.unwrap_or_else(|| was.lines().count().min(is.lines().count()));
    assert!(
        was == is,
        "{} differs from line {} on: {:?} is {:?}. Look at it; UPDATE_SNAPSHOTS=1 takes it over.",
        path.display(),
        line + 1,
        was.lines().nth(line),
        is.lines().nth(line)
    );
}

#[test]
fn every_mail_in_every_language_is_as_it_was_reviewed() {
    let templates = Templates::load(None).unwrap();
    for locale in ["de", "en", "es", "fr", "ja"] {
        let mut all = String::new();
        for kind in MAILS.iter().filter(|kind| templates.locale(kind, false, Some(locale)) == locale) {
            let previews = templates.previews(kind, Some(locale)).unwrap();
            for (sample, [subject, text, html]) in
                ["all that there can be", "as little as there can be"].iter().zip(previews)
            {
                let (subject, html) = (subject.trim(), words(&html));
                write!(all, "===== {}, {sample}\n{subject}\n----- text\n{text}\n----- page\n{html}\n\n", kind.name())
                    .unwrap();
            }
        }
        compare(&format!("mails.{locale}.txt"), &all);
    }
}

#[test]
fn the_page_is_laid_out_as_it_was_looked_at() {
    let [_, _, html] = Templates::load(None).unwrap().preview(&Kind::OrderPaid, Some("en")).unwrap();
    compare("order_paid.en.html", &html);
}
