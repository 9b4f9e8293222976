//! A mail's content: a notice and its order, through the templates of the customer's language.

use anyhow::Context;
use minijinja::context;

use super::store::Claimed;
use super::templates::{Part, Templates};
use crate::money::Money;
use crate::notices::{About, Kind, OrderView};

/// Who writes.
pub(super) struct Shop {
    pub name: String,
    pub url: Option<String>,
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

/// The mail that a claimed message stands for.
pub(super) fn compose(templates: &Templates, shop: &Shop, message: &Claimed) -> anyhow::Result<Letter> {
    let notice: Kind = serde_json::from_value(message.notice.clone().into()).context("unknown notice")?;
    let about: About = serde_json::from_str(&message.about).context("the notice's own data can't be read")?;
    let order = message.order.as_ref().context("the message's order is not there")?;
    let address = order.customer_email.as_ref().context("the order has no usable address yet")?;
    write(templates, shop, notice, &about, order, address)
}

fn write(
    templates: &Templates,
    shop: &Shop,
    notice: Kind,
    about: &About,
    order: &OrderView,
    address: &str,
) -> anyhow::Result<Letter> {
    let locale = templates.locale(order.locale.as_deref());
    let name = order.customer_name.as_deref().and_then(name);
    let values = values(shop, about, order, name.as_deref(), locale);
    let render = |part| templates.render(notice, locale, part, &values);
    Ok(Letter {
        to_name: name.clone(),
        to_address: address.to_owned(),
        // A subject is one line, whatever a template of one's own breaks it into.
        subject: one_line(&render(Part::Subject)?),
        text: render(Part::Text)?,
        html: render(Part::Html)?,
    })
}

/// What templates can name. `amount` is none where no amount is known.
pub(super) fn values(
    shop: &Shop,
    about: &About,
    order: &OrderView,
    name: Option<&str>,
    locale: &str,
) -> minijinja::Value {
    let amount = match (about.amount, &about.currency, &order.currency) {
        (Some(amount), Some(currency), _) => Some(Money::new(amount, currency)),
        (_, _, Some(currency)) => Some(Money::new(order.amount_paid, currency)),
        _ => None,
    };
    context! {
        locale,
        name,
        reference => one_line(&order.reference),
        amount => amount.map(|amount| amount.format(locale)),
        shop => one_line(&shop.name),
        shop_url => &shop.url,
        livemode => order.livemode,
    }
}

/// A customer's name as it may be shown: one line of reasonable length. What looks like a link is no name but an
/// attempt to have us deliver it.
pub(super) fn name(given: &str) -> Option<String> {
    const LONGEST: usize = 80;
    let name = one_line(given);
    let is_link = name.contains("://") || name.contains('@') || name.to_lowercase().contains("www.");
    (!name.is_empty() && !is_link && name.chars().count() <= LONGEST).then_some(name)
}

/// One line without control characters, and without the marks that reverse the direction of what follows them.
fn one_line(text: &str) -> String {
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
