//! Refunds that fail and are made again, and refunds known by sums.

use super::{Fixed, bought, checkout, fixed, order, refund};
use crate::{Action, ApiVersion, NewCheckout, Script};

pub(super) fn all() -> Vec<Fixed> {
    [canceled_and_made_again(), sums(), sum_before_object(), shared_link(), made_again()].concat()
}

/// 2,500 of 4,200 canceled and made again; later the rest.
fn canceled_and_made_again() -> Vec<Fixed> {
    let again = [
        bought(checkout(1, "again")),
        vec![Action::Wait(60), refund(1, 1, 2500), Action::Wait(10), Action::CancelRefund { refund: 1, step: false }],
        vec![Action::Wait(5000), refund(1, 2, 2500)],
    ]
    .concat();
    let wholly = [again.clone(), vec![Action::Wait(86_400), refund(1, 3, 1700)]].concat();
    let version = ApiVersion::V2024_06_20;
    vec![
        fixed("refund_canceled_and_made_again", version, again, vec![order("again", "partially_refunded", 4200, 2500)]),
        fixed("refund_canceled_and_later_the_whole", version, wholly, vec![order("again", "refunded", 4200, 4200)]),
    ]
}

fn sums() -> Vec<Fixed> {
    let refunds = [(1, 1000), (2, 1500), (3, 1700)];
    let given_back = refunds.iter().flat_map(|(slot, amount)| [Action::Wait(1500), refund(1, *slot, *amount)]);
    let actions = bought(checkout(1, "sums")).into_iter().chain(given_back).collect();
    vec![fixed("sums_one_by_one", ApiVersion::V2024_06_20, actions, vec![order("sums", "refunded", 4200, 4200)])]
}

/// Each sum comes before its object in the list of deliveries, or after it: a seed of each kind.
fn sum_before_object() -> Vec<Fixed> {
    let page = NewCheckout { amount: 10_000, ..checkout(1, "two") };
    let back = vec![Action::Wait(10), refund(1, 1, 1000), Action::Wait(50), refund(1, 2, 2000)];
    let actions = [bought(page), back].concat();
    let mut found =
        fixed("sum_before_object", ApiVersion::Newest, actions, vec![order("two", "partially_refunded", 10_000, 3000)]);
    let sums_first = (0..1000).map(crate::EventIds::Shuffled).find(|ids| {
        let world = crate::play(&Script { ids: *ids, ..found.script.clone() });
        let kinds: Vec<String> =
            world.events().map(|event| event.kind.clone()).filter(|kind| kind.contains("refund")).collect();
        kinds == ["charge.refunded", "refund.created", "charge.refunded", "refund.created"]
    });
    found.script.ids = sums_first.unwrap_or(found.script.ids);
    vec![found]
}

/// One `client_reference_id` for all buyers of a link; a person releases the order, then one buyer has the money back.
fn shared_link() -> Vec<Fixed> {
    let buyer = |payment, email: &str| {
        bought(NewCheckout { amount: 2500, email: Some(email.into()), link: Some(1), ..checkout(payment, "button") })
    };
    let released = vec![Action::Wait(60), Action::Release { reference: "button".into() }, Action::Wait(60)];
    let actions =
        [buyer(1, "buyer1@example.com"), buyer(2, "buyer2@example.com"), released, vec![refund(1, 1, 2500)]].concat();
    vec![fixed("shared_link_released", ApiVersion::Newest, actions, vec![order("button", "paid", 5000, 2500)])]
}

/// The whole, and a part, each refunded, failed, and refunded again.
fn made_again() -> Vec<Fixed> {
    let again = |amount| {
        let tried = vec![Action::Wait(60), refund(1, 1, amount), Action::Wait(86_400)];
        let failed = vec![Action::FailRefund { refund: 1, step: false }, Action::Wait(3600), refund(1, 2, amount)];
        [bought(checkout(1, "whole")), tried, failed].concat()
    };
    let whole = |name, version| fixed(name, version, again(4200), vec![order("whole", "refunded", 4200, 4200)]);
    let part =
        |name, version| fixed(name, version, again(2500), vec![order("whole", "partially_refunded", 4200, 2500)]);
    vec![
        whole("whole_refund_made_again_old", ApiVersion::V2024_06_20),
        whole("whole_refund_made_again_new", ApiVersion::Newest),
        part("part_refund_made_again_old", ApiVersion::V2024_06_20),
        part("part_refund_made_again_new", ApiVersion::Newest),
    ]
}
