//! Which order a payment is of: metadata, links, accounts.

use super::{Expected, Fixed, bought, checkout, fixed, intent, order};
use crate::{Account, Action, ApiVersion, Expectation, Method, NewCheckout, NewSubscription};

pub(super) fn all() -> Vec<Fixed> {
    vec![used_again(), link_of_payments(), link_of_subscriptions(), beside_a_user(), organization()]
}

fn expectation(reference: &str, amount: i64, email: &str) -> Action {
    Action::Register(Expectation {
        reference: reference.into(),
        amount: Some(amount),
        currency: Some("usd".into()),
        email: Some(email.into()),
        ..Expectation::default()
    })
}

/// An intent is made for 2000 and succeeds for 2077.
fn used_again() -> Fixed {
    let actions = vec![
        expectation("2000", 5000, "first@example.com"),
        expectation("2077", 3000, "second@example.com"),
        Action::CreateIntent(intent(1, 5000, "2000")),
        Action::Wait(30),
        Action::ChangeIntent { payment: 1, order_id: Some("2077".into()), amount: Some(3000) },
        Action::Pay { payment: 1, by: Method::Card, email: Some("buyer@example.com".into()) },
    ];
    let expected = vec![order("2000", "pending", 0, 0), order("2077", "paid", 3000, 0)];
    fixed("intent_used_again", ApiVersion::Newest, actions, expected)
}

/// A link copies `payment_intent_data.metadata` to each buyer: two orders.
fn link_of_payments() -> Fixed {
    let buyer = |payment, email: &str| {
        bought(NewCheckout {
            email: Some(email.into()),
            intent_order_id: Some("campaign".into()),
            link: Some(1),
            client_reference_id: None,
            ..checkout(payment, "")
        })
    };
    let actions = [buyer(1, "link1@example.com"), buyer(2, "link2@example.com")].concat();
    let expected = vec![order("", "paid", 4200, 0), order("", "paid", 4200, 0)];
    fixed("link_with_metadata_on_the_intent", ApiVersion::Newest, actions, expected)
}

/// The same with `subscription_data.metadata`.
fn link_of_subscriptions() -> Fixed {
    let buyer = |slot, email: &str| {
        Action::Subscribe(NewSubscription {
            subscription_order_id: Some("campaign".into()),
            link: Some(1),
            ..NewSubscription::new(slot, 1500, "usd", email)
        })
    };
    let actions = vec![buyer(1, "link1@example.com"), Action::Wait(90), buyer(2, "link2@example.com")];
    let expected = vec![order("", "paid", 1500, 0), order("", "paid", 1500, 0)];
    fixed("link_with_metadata_on_the_subscription", ApiVersion::Newest, actions, expected)
}

fn beside_a_user() -> Fixed {
    let page = NewCheckout { amount: 3000, intent_order_id: Some("ord-1".into()), ..checkout(1, "user_77") };
    fixed("metadata_beside_a_user", ApiVersion::Newest, bought(page), vec![order("ord-1", "paid", 3000, 0)])
}

/// Two accounts of one organization have an order 1042 each.
fn organization() -> Fixed {
    let buy = |account: &str, payment, email: &str| {
        let page = NewCheckout { amount: 1100, email: Some(email.into()), ..checkout(payment, "1042") };
        [vec![Action::In(Account::Organization(account.into()))], bought(page)].concat()
    };
    let actions = [buy("acct_A", 1, "a@example.com"), buy("acct_B", 2, "b@example.com")].concat();
    let of = |account| Expected { account, ..order("1042", "paid", 1100, 0) };
    fixed("organization", ApiVersion::Newest, actions, vec![of("acct_A"), of("acct_B")])
}
