use super::*;
use crate::play;

/// The books, as far as the hand has worked them out.
fn books(fixed: &Fixed) -> Vec<(String, String, String, i64, i64, i64)> {
    let labels: Vec<&str> = fixed.expected.iter().map(|expected| expected.reference).collect();
    let mut orders: Vec<_> = play(&fixed.script)
        .books
        .orders
        .into_iter()
        .map(|order| {
            let label = if labels.contains(&order.reference.as_str()) { order.reference } else { String::new() };
            (order.account, label, order.status, order.amount_paid, order.amount_refunded, order.amount_lost)
        })
        .collect();
    orders.sort();
    orders
}

#[test]
fn the_books_come_to_what_the_hand_has_worked_out() {
    for fixed in all() {
        let mut expected: Vec<_> = fixed
            .expected
            .iter()
            .map(|e| (e.account.to_owned(), e.reference.to_owned(), e.status.to_owned(), e.paid, e.refunded, e.lost))
            .collect();
        expected.sort();
        assert_eq!(books(&fixed), expected, "{}", fixed.name);
    }
}

#[test]
fn names_are_unique() {
    let mut names: Vec<&str> = all().iter().map(|fixed| fixed.name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(named("deposit").is_some());
}

#[test]
fn sums_come_before_objects_where_the_script_says_so() {
    let world = play(&named("sum_before_object").expect("it is there").script);
    let kinds: Vec<&str> =
        world.events().map(|event| event.kind.as_str()).filter(|kind| kind.contains("refund")).collect();
    assert_eq!(kinds, ["charge.refunded", "refund.created", "charge.refunded", "refund.created"]);
}

#[test]
fn captures_are_of_one_second_and_their_ids_fall() {
    let world = play(&named("captures_in_one_second").expect("it is there").script);
    let captures: Vec<_> =
        world.events().filter(|event| event.kind == "payment_intent.amount_capturable_updated").collect();
    let received: Vec<_> =
        captures.iter().map(|event| event.body["data"]["object"]["amount_received"].as_i64()).collect();
    assert_eq!(received, [Some(0), Some(3000), Some(5000)]);
    assert!(captures.windows(2).all(|pair| pair[0].created == pair[1].created && pair[0].id > pair[1].id));
}
