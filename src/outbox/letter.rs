//! A mail's content: a notice and its order, through the templates of the reader's language.

mod values;

use anyhow::Context;
use chrono::{DateTime, Utc};

use super::names::name;
use super::templates::{Audience, Part, Templates, audience};
use crate::config::mail::Mail;
use crate::notices::{About, Kind, OrderView, PaymentView};

pub(super) use values::{Told, values};

/// Who writes.
#[derive(Clone)]
pub(super) struct Shop {
    pub name: String,
    pub url: Option<String>,
    /// Shown at the top of mails.
    pub logo: Option<String>,
    /// Where the shop's own mails go, and answers to those of customers.
    pub email: String,
    /// The language of the shop's own mails.
    pub locale: String,
}

impl Shop {
    /// Fails if there are no mails in its language.
    pub fn of(mail: &Mail, email: String, templates: &Templates) -> anyhow::Result<Self> {
        anyhow::ensure!(
            templates.has_language(&mail.shop_locale),
            "SHOP_LOCALE: there are no mails in that language; set one of the built-in ones (en, de, es, fr, ja), or add it \
             to TEMPLATES_DIR"
        );
        let (name, url, logo) = (mail.shop_name.clone(), mail.shop_url.clone(), mail.shop_logo.clone());
        Ok(Self { name, url, logo, email, locale: mail.shop_locale.clone() })
    }
}

/// A mail before it becomes bytes.
#[derive(Debug)]
pub(super) struct Letter {
    pub to_name: Option<String>,
    pub to_address: String,
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// The mail about a notice that was due then, from its own data and its order.
///
/// Fails if it can't be rendered, or if nobody is known to whom it may go.
pub(super) fn compose(
    templates: &Templates,
    shop: &Shop,
    notice: &Kind,
    about: &str,
    order: Option<&OrderView>,
    told_at: DateTime<Utc>,
) -> anyhow::Result<Letter> {
    let about: About = serde_json::from_str(about).context("the notice's own data can't be read")?;
    let none = OrderView { livemode: true, ..OrderView::default() };
    let order = match (notice, order) {
        (Kind::SubscriptionDisabled | Kind::EventsMissed, _) => &none,
        (_, order) => order.context("the message's order is not there")?,
    };
    let reader = match audience(notice) {
        Some(Audience::Customer) => Reader::payer(&about, order)?,
        _ => Reader::shop(shop),
    };
    let renewal = order.renewal || order.follows_trial;
    let locale = templates.locale(notice, renewal, reader.locale);
    let name = reader.name.and_then(name);
    let lines = if *notice == Kind::OrderPaid { order.line_items.as_deref().unwrap_or_default() } else { &[] };
    let region = reader.locale.filter(|wanted| language(wanted) == language(locale)).unwrap_or(locale);
    let (payment, to_customer) = (reader.payment, reader.is_customer);
    let told = Told { about: &about, order, payment, to_customer, name: name.as_deref(), lines, at: told_at, region };
    let values = values(shop, &told, locale);
    let part_of = |part| templates.render(notice, renewal, locale, part, &values);
    Ok(Letter {
        to_name: name.clone(),
        to_address: reader.address.context("there is no usable address yet")?.to_owned(),
        // A subject is one line, whatever a template of one's own breaks it into.
        subject: one_line(&part_of(Part::Subject)?),
        text: part_of(Part::Text)?,
        html: part_of(Part::Html)?,
    })
}

/// Who gets a mail.
struct Reader<'a> {
    address: Option<&'a str>,
    name: Option<&'a str>,
    locale: Option<&'a str>,
    /// The payment that the mail is about, which is the reader's own.
    payment: Option<&'a PaymentView>,
    is_customer: bool,
}

impl<'a> Reader<'a> {
    fn shop(shop: &'a Shop) -> Self {
        Self { address: Some(&shop.email), name: None, locale: Some(&shop.locale), payment: None, is_customer: false }
    }

    /// Whoever paid what the notice is about. An order may have several payers, and none reads another's news.
    fn payer(about: &About, order: &'a OrderView) -> anyhow::Result<Self> {
        let locale = order.locale.as_deref();
        let Some(named) = about.payment.as_deref().filter(|_| !order.payments.is_empty()) else {
            let (address, name) = (order.customer_email.as_deref(), order.customer_name.as_deref());
            return Ok(Self { address, name, locale, payment: None, is_customer: true });
        };
        let payment = order.payment(named).context("the order has no payment of that name")?;
        Ok(Self {
            address: payment.mail_to.as_deref(),
            name: payment.customer_name.as_deref(),
            locale: payment.locale.as_deref().or(locale),
            payment: Some(payment),
            is_customer: true,
        })
    }
}

fn language(locale: &str) -> String {
    locale.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase()
}

/// One line without control characters, and without the marks that reverse the direction of what follows them.
pub(super) fn one_line(text: &str) -> String {
    let spaced: String = text
        .chars()
        .map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c })
        .filter(|c| !is_invisible(*c))
        .collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::money::Money;
    use crate::notices::LineView;

    const ABOUT: &str = r#"{"object":"pi_1"}"#;

    fn order() -> OrderView {
        OrderView {
            reference: "R-7".to_owned(),
            status: "paid".to_owned(),
            currency: Some("jpy".to_owned()),
            amount_paid: 1099,
            customer_email: Some("ada@example.org".to_owned()),
            livemode: true,
            ..OrderView::default()
        }
    }

    fn shop() -> Shop {
        Shop {
            name: "Pipers".to_owned(),
            url: None,
            logo: None,
            email: "desk@pipers.example".to_owned(),
            locale: "en".to_owned(),
        }
    }

    fn composed(order: &OrderView) -> Letter {
        let shop = shop();
        compose(&Templates::load(None).unwrap(), &shop, &Kind::OrderPaid, ABOUT, Some(order), DateTime::UNIX_EPOCH)
            .unwrap()
    }

    #[test]
    fn it_is_written_in_the_customer_s_language() {
        for (locale, subject) in [
            (Some("ja"), "【Pipers】ご注文 R-7 のお支払いを確認しました"),
            (Some("fr-CA"), "Votre commande R-7 chez Pipers est payée"),
            (Some("es_419"), "Tu pedido R-7 en Pipers está pagado"),
            (Some("auto"), "Your order R-7 at Pipers is paid"),
            (Some("../../etc"), "Your order R-7 at Pipers is paid"),
            (None, "Your order R-7 at Pipers is paid"),
        ] {
            let letter = composed(&OrderView { locale: locale.map(str::to_owned), ..order() });
            assert_eq!(letter.subject, subject);
            let amount =
                Money::new(1099, "jpy").format(Templates::load(None).unwrap().locale(&Kind::OrderPaid, false, locale));
            assert!(letter.text.contains(&amount) && letter.html.contains(&amount), "{amount} {letter:?}");
        }
    }

    #[test]
    fn a_test_payment_says_so() {
        let letter = composed(&OrderView { livemode: false, ..order() });
        assert!(letter.subject.starts_with("[Test] "));
        assert!(letter.text.contains("no money moved") && letter.html.contains("no money moved"));
        assert!(!composed(&order()).html.contains("no money moved"));
    }

    #[test]
    fn what_others_wrote_is_text_and_nothing_else() {
        let customer_name = Some("<script>x</script>\r\nBcc: \u{202e}all {{ shop }}".to_owned());
        let reference = "R\r\n\u{2066}<b>7</b>".to_owned();
        let letter = composed(&OrderView { reference, customer_name, ..order() });
        assert_eq!(letter.to_name.as_deref(), Some("<script>x</script> Bcc: all {{ shop }}"));
        assert!(!letter.html.contains("<script>") && !letter.html.contains("<b>7"), "{}", letter.html);
        assert!(letter.html.contains("&lt;script&gt;") && letter.html.contains("{{ shop }}"));
        assert_eq!(letter.subject, "Your order R <b>7</b> at Pipers is paid");
        assert!(letter.text.contains("Hello <script>x</script> Bcc: all {{ shop }},\n"));
    }

    #[test]
    fn a_review_is_told_to_the_shop_and_not_to_the_customer() {
        let about = r#"{"object":"pi_1","reason":"double_payment"}"#;
        let templates = Templates::load(None).unwrap();
        let letter =
            compose(&templates, &shop(), &Kind::OrderReview, about, Some(&order()), DateTime::UNIX_EPOCH).unwrap();
        assert_eq!((&letter.to_address[..], letter.to_name.as_deref()), ("desk@pipers.example", None));
        assert_eq!(letter.subject, "Please look at order R-7");
        assert!(
            letter.text.contains("it was paid more than once") && letter.html.contains("it was paid more than once")
        );
        assert!(letter.text.contains("ringup orders release R-7"));
    }

    #[test]
    fn a_renewal_is_told_in_its_own_words_and_what_was_bought_is_shown() {
        let line = LineView { description: "Tea\n<b>".to_owned(), quantity: 2, amount: Some(1099) };
        let renewed = composed(&OrderView { renewal: true, line_items: Some(vec![line]), ..order() });
        assert_eq!(renewed.subject, "Your subscription at Pipers was renewed");
        assert!(renewed.text.contains("2 × Tea <b>: ¥1,099\n"), "{}", renewed.text);
        assert!(renewed.html.contains("2 × Tea &lt;b&gt;"), "{}", renewed.html);
        let plain = composed(&order());
        assert!(plain.subject.ends_with("is paid") && !plain.text.contains('×'));
        assert!(plain.text.contains("Date: January 1, 1970\n"));
    }

    fn payment(name: &str, email: &str, locale: &str) -> PaymentView {
        PaymentView {
            names: vec![name.to_owned(), format!("cs_{name}")],
            mail_to: Some(email.to_owned()),
            customer_name: Some(email.split('@').next().unwrap().to_owned()),
            locale: Some(locale.to_owned()),
            ..PaymentView::default()
        }
    }

    #[test]
    fn each_payer_reads_their_own_payment_and_nobody_elses() {
        let payments = vec![payment("pi_1", "ada@example.org", "en"), payment("pi_2", "bert@example.org", "de")];
        let order = OrderView { payments, customer_name: Some("Ada".to_owned()), ..order() };
        let told = |named: &str| {
            let about = serde_json::json!({ "object": named, "payment": named, "amount": 500, "currency": "jpy" });
            let (templates, shop) = (Templates::load(None).unwrap(), shop());
            compose(&templates, &shop, &Kind::OrderPaid, &about.to_string(), Some(&order), DateTime::UNIX_EPOCH)
        };
        let letter = told("cs_pi_2").unwrap();
        assert_eq!((&letter.to_address[..], letter.to_name.as_deref()), ("bert@example.org", Some("bert")));
        assert!(letter.subject.starts_with("Ihre Bestellung") && letter.text.contains("500\u{a0}¥"), "{letter:?}");
        assert!(!letter.text.contains("Ada") && !letter.text.contains("1.099"), "{}", letter.text);
        assert_eq!(told("pi_1").unwrap().to_address, "ada@example.org");
        assert_eq!(told("pi_3").unwrap_err().to_string(), "the order has no payment of that name");
    }

    #[test]
    fn a_payer_without_an_address_gets_nothing_though_the_order_has_one() {
        let silent = PaymentView { mail_to: None, ..payment("pi_1", "ada@example.org", "en") };
        let order = OrderView { payments: vec![silent], ..order() };
        let (templates, shop) = (Templates::load(None).unwrap(), shop());
        let told =
            |about: &str| compose(&templates, &shop, &Kind::OrderRefunded, about, Some(&order), DateTime::UNIX_EPOCH);
        let error = told(r#"{"object":"re_1","payment":"pi_1"}"#).unwrap_err();
        assert!(error.to_string().contains("no usable address"), "{error}");
        // What concerns no payment goes where the order's mails go.
        assert_eq!(told(r#"{"object":"re_1"}"#).unwrap().to_address, "ada@example.org");
    }

    #[test]
    fn customers_read_what_they_saw_and_the_shop_its_own_currency() {
        let about = r#"{"object":"du_1","amount":1099,"currency":"eur","presentment_amount":1650,"presentment_currency":"cad","reason":"won"}"#;
        let order = OrderView { currency: Some("eur".to_owned()), ..order() };
        let (templates, shop) = (Templates::load(None).unwrap(), shop());
        let told = |kind: &Kind| compose(&templates, &shop, kind, about, Some(&order), DateTime::UNIX_EPOCH).unwrap();
        let paid = told(&Kind::OrderPaid);
        assert!(paid.text.contains("CA$16.50") && !paid.text.contains('€'), "{}", paid.text);
        let closed = told(&Kind::OrderDisputeClosed);
        assert!(closed.text.contains("€10.99") && !closed.text.contains("CA$"), "{}", closed.text);
    }

    #[test]
    fn the_shop_reads_its_own_language_whatever_the_customer_speaks() {
        let shop = Shop { locale: "de".to_owned(), ..shop() };
        let order = OrderView { locale: Some("ja".to_owned()), ..order() };
        let about = r#"{"object":"pi_1","reason":"double_payment"}"#;
        let templates = Templates::load(None).unwrap();
        let told =
            |kind: &Kind| compose(&templates, &shop, kind, about, Some(&order), DateTime::UNIX_EPOCH).unwrap().subject;
        assert_eq!(told(&Kind::OrderReview), "Bitte sehen Sie sich Bestellung R-7 an");
        assert_eq!(told(&Kind::SubscriptionDisabled), "Nothing more is sent to a destination of Pipers");
    }

    #[test]
    fn what_lacks_says_so() {
        let shop = shop();
        let templates = Templates::load(None).unwrap();
        let error = |kind: &Kind, order: Option<OrderView>| {
            compose(&templates, &shop, kind, ABOUT, order.as_ref(), DateTime::UNIX_EPOCH).unwrap_err().to_string()
        };
        assert!(error(&Kind::OrderPaid, None).contains("order is not there"));
        let unreachable = OrderView { customer_email: None, ..order() };
        assert!(error(&Kind::OrderPaid, Some(unreachable)).contains("no usable address"));
        assert!(error(&Kind::OrderIdentified, Some(order())).contains("no mail about order.identified"));
    }
}
