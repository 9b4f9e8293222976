#![allow(clippy::unwrap_used)]
use super::*;

fn error(files: &[(&str, &str)]) -> String {
    let dir = tempfile::tempdir().unwrap();
    for (name, source) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, source).unwrap();
    }
    Templates::load(Some(dir.path())).err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn the_built_in_ones_are_well_in_every_language() {
    let templates = Templates::load(None).unwrap();
    assert_eq!(templates.locales(&Kind::OrderPaid).collect::<Vec<_>>(), ["de", "en", "es", "fr", "ja"]);
    assert_eq!(templates.locales(&Kind::OrderReview).collect::<Vec<_>>(), ["de", "en", "es", "fr", "ja"]);
    assert_eq!(templates.locales(&Kind::EventsMissed).collect::<Vec<_>>(), ["en"]);
    assert_eq!(templates.locale(&Kind::EventsMissed, false, Some("de")), "en");
    assert!(["ja", "de-AT", "FR_ca"].iter().all(|locale| templates.has_language(locale)));
    assert!(["it", "", "e", "english"].iter().all(|locale| !templates.has_language(locale)));
}

#[test]
fn every_file_of_the_folder_is_built_in() {
    let found = overlay(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/templates"))).unwrap();
    assert_eq!(found, built_in());
}

#[test]
fn the_html_fetches_nothing_and_leaves_no_placeholder() {
    let templates = Templates::load(None).unwrap();
    let all = Kind::OF_ORDERS;
    for (notice, locale) in all.iter().flat_map(|notice| templates.locales(notice).map(move |locale| (notice, locale)))
    {
        let [_, text, html] = templates.preview(notice, Some(locale)).unwrap();
        let logo = "src=\"https:&#x2f;&#x2f;shop.example.com&#x2f;logo.png\"";
        assert!(html.contains(logo), "{locale}");
        let html = html.replacen(logo, "", 1).replacen("<img", "", 1);
        for remote in ["<img", "<link", "@import", "url(", "src=", "<script"] {
            assert!(!html.contains(remote), "{locale}: {remote}");
        }
        for left in ["{{", "{%", "mj-"] {
            assert!(
                !html.replace("mj-column", "").replace("mj-outlook", "").replace("mj-full-width", "").contains(left),
                "{locale}: {left}"
            );
            assert!(!text.contains(left), "{locale}: {left}");
        }
    }
}

#[test]
fn one_file_can_be_replaced_and_a_language_added() {
    assert_eq!(error(&[("de/order_paid.subject.txt", "Bezahlt: {{ reference }}\n"), (".DS_Store", "")]), "");
    let italian = [
        ("it/order_paid.subject.txt", "Pagato"),
        ("it/order_paid.txt", "Grazie {{ name }}"),
        ("it/order_paid.html", "{% extends \"layout.html\" %}{% block body %}Grazie{% endblock %}"),
    ];
    assert_eq!(error(&italian), "");
    assert!(error(&italian[..2]).starts_with("it/order_paid.html is missing"));
}

#[test]
fn a_broken_one_is_named_with_its_line() {
    for (file, source, said) in [
        ("en/order_paid.txt", "one\n{{ refrence }}\n", "en/order_paid.txt:2: undefined value"),
        ("en/order_paid.txt", "one\n\n{% if %}\n", "en/order_paid.txt:3: syntax error"),
        (
            "fr/order_paid.html",
            "{% extends \"layout.html\" %}\n{% block body %}\n{{ nmae }}{% endblock %}",
            "fr/order_paid.html:3: undefined value",
        ),
        ("fr/order_paid.html", "{% extends \"other.html\" %}", "other.html"),
        (
            "ja/order_paid.subject.txt",
            "{% if name %}only sometimes{% endif %}",
            "ja/order_paid.subject.txt: a subject is one line",
        ),
        ("en/order_paid.subject.txt", "two\nlines", "en/order_paid.subject.txt: a subject is one line"),
        ("layout.mjml", "<mjml><mj-body>\n{{ shpo }}</mj-body></mjml>", "layout.mjml:"),
        ("layout.mjml", "<mjml><mj-body><mj-section></mj-body></mjml>", "layout.mjml: "),
        ("en/order-paid.txt", "x", "en/order-paid.txt: no template has this name"),
        ("readme.txt", "x", "readme.txt: no template has this name"),
    ] {
        let found = error(&[(file, source)]);
        assert!(found.contains(said), "{file}: {found}");
    }
    let missing = Templates::load(Some(Path::new("/nowhere/at/all"))).err().unwrap();
    assert!(missing.to_string().starts_with("/nowhere/at/all: "), "{missing}");
}

#[test]
fn every_mail_to_a_customer_is_there_in_every_language_and_says_its_amount() {
    let templates = Templates::load(None).unwrap();
    for notice in Kind::OF_ORDERS.iter().filter(|notice| audience(notice) == Some(Audience::Customer)) {
        assert_eq!(templates.locales(notice).collect::<Vec<_>>(), ["de", "en", "es", "fr", "ja"], "{notice:?}");
        let mut seen = BTreeSet::new();
        for locale in ["de", "en", "es", "fr", "ja"] {
            let [subject, text, html] = templates.preview(notice, Some(locale)).unwrap();
            let amount = crate::money::Money::new(123_450, "eur").format(locale);
            assert!(text.contains(&amount) && html.contains(&amount), "{notice:?} {locale}: {text}");
            assert!(subject.contains("R-1042") && text.contains("R-1042"), "{notice:?} {locale}: {subject}");
            assert!(seen.insert(subject), "{notice:?} {locale}: another language's words");
        }
    }
}

#[test]
fn each_case_has_words_of_its_own() {
    let templates = Templates::load(None).unwrap();
    let all = Kind::OF_ORDERS.iter().flat_map(|notice| templates.locales(notice).map(move |locale| (notice, locale)));
    for (notice, locale) in all {
        let previews = templates.previews(notice, Some(locale)).unwrap();
        let mut names: Vec<&str> = previews.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), previews.len(), "{notice:?}");
        let mut texts: Vec<(&String, &String)> =
            previews.iter().map(|(_, [subject, text, _])| (subject, text)).collect();
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), previews.len(), "{notice:?} {locale}: two cases read the same");
    }
}

#[test]
fn every_language_has_words_for_every_reason_of_a_review() {
    let built_in = built_in();
    let keys = |locale: &str| {
        let words = &built_in[&format!("{locale}/reasons.txt")];
        let keys = words.lines().filter_map(|line| line.trim().strip_prefix('"')?.split_once('"'));
        keys.map(|(key, _)| key.to_owned()).collect::<Vec<_>>()
    };
    assert!(keys("en").contains(&"double_payment".to_owned()));
    for locale in ["de", "es", "fr", "ja"] {
        assert_eq!(keys(locale), keys("en"), "{locale}");
    }
}
