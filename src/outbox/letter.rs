//! A mail's content: a notice and its order, through the templates of the reader's language.

use anyhow::Context;
use chrono::{DateTime, Utc};
use minijinja::context;

use super::dates::long_date;
use super::names::name;
use super::templates::{Audience, Part, Templates, audience};
use crate::money::Money;
use crate::notices::{About, Kind, LineView, OrderView};

/// Who writes.
#[derive(Clone)]
pub(super) struct Shop {
    pub name: String,
    pub url: Option<String>,
    /// Shown at the top of mails.
    pub logo: Option<String>,
    /// Where the shop's own mails go, and answers to those of customers.
    pub email: String,
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
    let is_customer = audience(notice) == Some(Audience::Customer);
    let address = if is_customer { order.customer_email.as_deref() } else { Some(&shop.email[..]) };
    let wanted = order.locale.as_deref().filter(|_| is_customer);
    let locale = templates.locale(notice, order.renewal, wanted);
    let name = order.customer_name.as_deref().filter(|_| is_customer).and_then(name);
    let lines = if *notice == Kind::OrderPaid { order.line_items.as_deref().unwrap_or_default() } else { &[] };
    let region = wanted.filter(|wanted| language(wanted) == language(locale)).unwrap_or(locale);
    let told = Told { about: &about, order, name: name.as_deref(), lines, at: told_at, region };
    let values = values(shop, &told, locale);
    let render = |part| templates.render(notice, order.renewal, locale, part, &values);
    Ok(Letter {
        to_name: name.clone(),
        to_address: address.context("the order has no usable address yet")?.to_owned(),
        // A subject is one line, whatever a template of one's own breaks it into.
        subject: one_line(&render(Part::Subject)?),
        text: render(Part::Text)?,
        html: render(Part::Html)?,
    })
}

/// What a mail tells, and to whom.
pub(super) struct Told<'a> {
    pub about: &'a About,
    pub order: &'a OrderView,
    /// The customer's, where it is the customer that reads it.
    pub name: Option<&'a str>,
    pub lines: &'a [LineView],
    /// When the notice was due.
    pub at: DateTime<Utc>,
    /// The reader's own locale where it is of the mail's language, such as `en-GB`: days are written as there.
    pub region: &'a str,
}

fn language(locale: &str) -> String {
    locale.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase()
}

/// What templates can name. `amount` is none where no amount is known. Days are those of UTC.
pub(super) fn values(shop: &Shop, told: &Told<'_>, locale: &str) -> minijinja::Value {
    let Told { about, order, .. } = told;
    let amount = match (about.amount, &about.currency, &order.currency) {
        (Some(amount), Some(currency), _) => Some(Money::new(amount, currency)),
        (_, _, Some(currency)) => Some(Money::new(order.amount_paid, currency)),
        _ => None,
    };
    let total = order.amount_expected.zip(order.currency.as_deref()).filter(|_| !told.lines.is_empty());
    let day = |seconds: i64| DateTime::from_timestamp(seconds, 0);
    context! {
        locale,
        colon => colon(locale),
        name => told.name,
        reference => one_line(&order.reference),
        amount => amount.map(|amount| amount.format(locale)),
        // Of a payment the day on which it arrived, however late it was heard of.
        date => long_date(about.at.and_then(day).unwrap_or(told.at), told.region),
        due_by => about.due_by.and_then(day).map(|due| long_date(due, told.region)),
        total => total.map(|(total, currency)| Money::new(total, currency).format(locale)),
        subscription => order.subscription.is_some(),
        lines => told.lines.iter().map(|line| line_value(line, order.currency.as_deref(), locale)).collect::<Vec<_>>(),
        url => &about.url,
        shop => one_line(&shop.name),
        shop_url => &shop.url,
        logo => &shop.logo,
        livemode => order.livemode,
        reason => about.reason.as_deref().map(one_line),
        object => one_line(&about.object),
    }
}

fn line_value(line: &LineView, currency: Option<&str>, locale: &str) -> minijinja::Value {
    let amount = line.amount.zip(currency).map(|(amount, currency)| Money::new(amount, currency).format(locale));
    context! { description => one_line(&line.description), quantity => line.quantity, amount }
}

/// What stands between a label and its value.
fn colon(locale: &str) -> &'static str {
    match locale.split('-').next() {
        Some("fr") => "\u{a0}: ",
        Some("ja" | "zh") => "：",
        _ => ": ",
    }
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
        Shop { name: "Pipers".to_owned(), url: None, logo: None, email: "desk@pipers.example".to_owned() }
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
