//! How much: second payments, other currencies, disputes, deposits, captures.

use super::{Expected, Fixed, bought, checkout, fixed, intent, order, refund};
use crate::{
    Action, ApiVersion, DisputeKind, EventIds, Expectation, Method, Money, NewCheckout, NewIntent, NewInvoice, Verdict,
};

pub(super) fn all() -> Vec<Fixed> {
    vec![
        second_given_back(),
        in_another_currency(false),
        in_another_currency(true),
        born_lost(),
        lost_later(),
        deposit(),
        invoice_in_part(),
        captures(),
        carrier_address(),
        captured_in_part(),
        refund_as_large_as_the_rest_fails(),
        authorisation_released(),
        credit_note(),
    ]
}

fn second_given_back() -> Fixed {
    let actions =
        [bought(checkout(1, "dup")), bought(checkout(2, "dup")), vec![Action::Wait(99), refund(2, 1, 4200)]].concat();
    fixed("second_payment_given_back", ApiVersion::Newest, actions, vec![order("dup", "paid", 8400, 4200)])
}

/// 18.75 EUR of 19.99 USD; and all of it given back.
fn in_another_currency(given_back: bool) -> Fixed {
    let presentment = Some(Money { currency: "eur".into(), amount: 1875 });
    let mut actions = bought(NewCheckout { amount: 1999, presentment, ..checkout(1, "seen") });
    if given_back {
        actions.extend([Action::Wait(600), refund(1, 1, 1999)]);
        fixed("presentment_given_back", ApiVersion::Newest, actions, vec![order("seen", "refunded", 1999, 1999)])
    } else {
        fixed("presentment", ApiVersion::Newest, actions, vec![order("seen", "paid", 1999, 0)])
    }
}

fn lost(reference: &'static str) -> Vec<Expected> {
    vec![Expected { lost: 5000, ..order(reference, "lost", 5000, 0) }]
}

fn born_lost() -> Fixed {
    let page = NewCheckout { amount: 5000, currency: "eur".into(), ..checkout(1, "born-lost") };
    let actions = vec![
        Action::OpenCheckout(page),
        Action::Pay { payment: 1, by: Method::Sepa, email: None },
        Action::Wait(5 * 86_400),
        Action::Clear { payment: 1 },
        Action::Wait(30 * 86_400),
        Action::Dispute { payment: 1, dispute: 1, amount: 5000, kind: DisputeKind::BornLost },
    ];
    fixed("dispute_born_lost", ApiVersion::Newest, actions, lost("born-lost"))
}

fn lost_later() -> Fixed {
    let contested = vec![
        Action::Wait(86_400),
        Action::Dispute { payment: 1, dispute: 1, amount: 5000, kind: DisputeKind::Chargeback },
        Action::Wait(86_400),
        Action::AnswerDispute { dispute: 1 },
        Action::Wait(60 * 86_400),
        Action::CloseDispute { dispute: 1, verdict: Verdict::Lost },
    ];
    let actions = [bought(NewCheckout { amount: 5000, ..checkout(1, "lost-later") }), contested].concat();
    fixed("dispute_lost_later", ApiVersion::Newest, actions, lost("lost-later"))
}

fn deposit() -> Fixed {
    let expected = Expectation {
        reference: "deposit".into(),
        amount: Some(10_000),
        currency: Some("usd".into()),
        many: true,
        ..Expectation::default()
    };
    let actions =
        [vec![Action::Register(expected)], bought(NewCheckout { amount: 3000, ..checkout(1, "deposit") })].concat();
    fixed("deposit", ApiVersion::Newest, actions, vec![order("deposit", "partially_paid", 3000, 0)])
}

fn invoice_in_part() -> Fixed {
    let new = NewInvoice::new(1, 10_000, "usd", "ada@example.com");
    let actions = vec![
        Action::SendInvoice(NewInvoice { order_id: Some("by-invoice".into()), ..new }),
        Action::Wait(600),
        Action::PayInvoice { invoice: 1, payment: 1, amount: Some(3000) },
    ];
    fixed("invoice_partly_paid", ApiVersion::Newest, actions, vec![order("by-invoice", "partially_paid", 3000, 0)])
}

/// Nothing, 3,000 and 5,000 of 10,000 are captured in one second, under falling event ids.
fn captures() -> Fixed {
    let actions = vec![
        Action::CreateIntent(NewIntent { manual_capture: true, ..intent(1, 10_000, "multi") }),
        Action::Wait(60),
        Action::Pay { payment: 1, by: Method::Card, email: Some("ada@example.com".into()) },
        Action::Capture { payment: 1, amount: 3000, last: false },
        Action::Capture { payment: 1, amount: 2000, last: false },
    ];
    let mut fixed =
        fixed("captures_in_one_second", ApiVersion::Newest, actions, vec![order("multi", "partially_paid", 5000, 0)]);
    fixed.script.ids = EventIds::Descending;
    fixed
}

/// 7,000 of 10,000 are captured as the last; 1,000 of them go back. The released rest was never paid.
fn captured_in_part() -> Fixed {
    let actions = vec![
        Action::CreateIntent(NewIntent { manual_capture: true, ..intent(1, 10_000, "part") }),
        Action::Pay { payment: 1, by: Method::Card, email: Some("ada@example.com".into()) },
        Action::Wait(86_400),
        Action::Capture { payment: 1, amount: 7000, last: true },
        Action::Wait(86_400),
        refund(1, 1, 1000),
    ];
    fixed("captured_in_part", ApiVersion::V2024_06_20, actions, vec![order("part", "partially_refunded", 7000, 1000)])
}

/// 2,000 of 4,000 are captured as the last, and all of it goes back, which fails: a refund of the same amount as the
/// released rest.
fn refund_as_large_as_the_rest_fails() -> Fixed {
    let actions = vec![
        Action::CreateIntent(NewIntent { manual_capture: true, ..intent(1, 4000, "rest") }),
        Action::Pay { payment: 1, by: Method::Card, email: Some("ada@example.com".into()) },
        Action::Wait(86_400),
        Action::Capture { payment: 1, amount: 2000, last: true },
        Action::Wait(86_400),
        refund(1, 1, 2000),
        Action::Wait(86_400),
        Action::FailRefund { refund: 1, step: false },
    ];
    let expected = vec![order("rest", "paid", 2000, 0)];
    fixed("refund_as_large_as_the_rest_fails", ApiVersion::Newest, actions, expected)
}

fn authorisation_released() -> Fixed {
    let actions = vec![
        Action::CreateIntent(NewIntent { manual_capture: true, ..intent(1, 10_000, "held") }),
        Action::Pay { payment: 1, by: Method::Card, email: Some("ada@example.com".into()) },
        Action::Wait(86_400),
        Action::CancelIntent { payment: 1 },
    ];
    fixed("authorisation_released", ApiVersion::Newest, actions, vec![order("held", "canceled", 0, 0)])
}

/// Two credit notes of 1,000 of 4,000 each: one gives money back, one credits the customer's balance.
fn credit_note() -> Fixed {
    let new = NewInvoice::new(1, 4000, "usd", "ada@example.com");
    let actions = vec![
        Action::SendInvoice(NewInvoice { order_id: Some("noted".into()), ..new }),
        Action::Wait(60),
        Action::PayInvoice { invoice: 1, payment: 1, amount: None },
        Action::Wait(86_400),
        Action::CreditNote { invoice: 1, refund: Some(1), amount: 1000 },
        Action::Wait(60),
        Action::CreditNote { invoice: 1, refund: None, amount: 1000 },
    ];
    fixed("credit_notes", ApiVersion::Newest, actions, vec![order("noted", "partially_refunded", 4000, 1000)])
}

/// An address that some carriers hand out, and that has to be quoted to be sent to.
fn carrier_address() -> Fixed {
    let email = Some("taro..yamada@docomo.ne.jp".into());
    let page = NewCheckout { currency: "jpy".into(), email, ..checkout(1, "carrier") };
    fixed("carrier_address", ApiVersion::Newest, bought(page), vec![order("carrier", "paid", 4200, 0)])
}
