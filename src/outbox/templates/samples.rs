//! Sample data, with which every template is rendered at the start.

use minijinja::Value;

use crate::notices::{About, LineView, OrderView};
use crate::outbox::letter::{self, Shop, Told};

/// All that the mail of that name can have, and as little as there can be: a template must take both.
pub fn samples(stem: &str, locale: &str) -> [Value; 2] {
    let shop = Shop {
        name: "Pipers & Sons".to_owned(),
        url: Some("https://shop.example.com".to_owned()),
        logo: Some("https://shop.example.com/logo.png".to_owned()),
        email: "desk@shop.example.com".to_owned(),
    };
    let order = OrderView {
        reference: "R-1042".to_owned(),
        status: "paid".to_owned(),
        currency: Some("eur".to_owned()),
        amount_expected: Some(123_450),
        amount_paid: 123_450,
        livemode: true,
        ..OrderView::default()
    };
    let line = |description: &str, quantity: i64, amount: Option<i64>| LineView {
        description: description.to_owned(),
        quantity,
        amount,
    };
    let lines =
        [line("Highland Tea <loose>", 2, Some(23_450)), line("Kettle", 1, Some(100_000)), line("A card", 1, None)];
    let confirms = ["order_paid", "order_renewed"].contains(&stem);
    let goes_on = ["order_awaiting_funds", "order_payment_failed"].contains(&stem);
    let about = About {
        object: "pi_3MtwBwLkdIwHu7ix28a3tqPa".to_owned(),
        reason: Some(reason(stem).to_owned()),
        url: goes_on.then(|| "https://pay.example.com/next?a=1&b=2".to_owned()),
        due_by: (stem == "order_disputed").then_some(1_800_000_000),
        ..About::default()
    };
    let at = chrono::DateTime::UNIX_EPOCH + chrono::TimeDelta::days(20_000);
    let bare = OrderView { currency: None, livemode: false, ..order.clone() };
    let nameless = Shop { url: None, logo: None, ..shop.clone() };
    let full = Told {
        about: &about,
        order: &order,
        name: Some("Ada Lovelace"),
        lines: if confirms { &lines } else { &[] },
        at,
        region: locale,
    };
    let least = Told { about: &About::default(), order: &bare, name: None, lines: &[], at, region: locale };
    [letter::values(&shop, &full, locale), letter::values(&nameless, &least, locale)]
}

fn reason(stem: &str) -> &'static str {
    match stem {
        "order_disputed" => "product_not_received",
        "events_missed" => "3 event(s), the oldest of 2026-11-24 08:00 UTC",
        "subscription_disabled" => "it has failed for 5 days",
        _ => "amount_mismatch",
    }
}
