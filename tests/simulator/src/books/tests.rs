//! Orders worked out by hand.

use std::collections::BTreeSet;

use crate::{
    Account, Action, ApiVersion, Books, DisputeKind, Expectation, Method, NewCheckout, NewIntent, NewInvoice,
    NewSubscription, OrderBook, Owed, RefundStart, Script, Slot, Unrelated, Verdict, play,
};

fn books(actions: Vec<Action>) -> Books {
    play(&Script::new(ApiVersion::Newest, actions)).books
}

/// The order 1, with its status, money status and reasons.
fn order(actions: Vec<Action>) -> OrderBook {
    books(actions).order("1").expect("there is an order 1").clone()
}

fn paid(payment: Slot, amount: i64, email: &str) -> Vec<Action> {
    let intent = NewIntent { order_id: Some("1".into()), ..NewIntent::new(payment, amount, "usd") };
    vec![
        Action::CreateIntent(intent),
        Action::Pay { payment, by: Method::Card, email: Some(email.into()) },
        Action::Wait(60),
    ]
}

fn refund(payment: Slot, refund: Slot, amount: i64) -> Action {
    Action::Refund { payment, refund, amount, start: RefundStart::Succeeded }
}

fn expects(amount: i64, many: bool) -> Action {
    let (reference, currency) = ("1".into(), Some("usd".into()));
    Action::Register(Expectation { reference, amount: Some(amount), currency, many, ..Expectation::default() })
}

fn disputed(amount: i64, verdict: Option<Verdict>) -> Vec<Action> {
    let opened = Action::Dispute { payment: 1, dispute: 1, amount, kind: DisputeKind::Chargeback };
    let closed = verdict.map(|verdict| Action::CloseDispute { dispute: 1, verdict });
    [opened].into_iter().chain(closed).collect()
}

fn reasons(order: &OrderBook) -> Vec<&str> {
    order.review_reasons.iter().map(String::as_str).collect()
}

#[test]
fn two_payments_are_a_double_payment_until_one_goes_back() {
    let twice = [paid(1, 4200, "a@example.com"), paid(2, 4200, "a@example.com")].concat();
    let double = order(twice.clone());
    assert_eq!((double.status.as_str(), double.money_status.as_str()), ("review", "paid"));
    assert_eq!(reasons(&double), ["double_payment"]);
    let settled = order([twice, vec![refund(2, 1, 4200)]].concat());
    assert_eq!((settled.status.as_str(), settled.amount_paid, settled.amount_refunded), ("paid", 8400, 4200));
}

#[test]
fn a_part_that_goes_back_of_one_of_two_leaves_both_holding_money() {
    let twice = [paid(1, 4200, "a@example.com"), paid(2, 4200, "a@example.com"), vec![refund(2, 1, 1000)]].concat();
    let order = order(twice);
    assert_eq!((order.status.as_str(), order.money_status.as_str()), ("review", "partially_refunded"));
}

#[test]
fn a_deposit_is_partly_paid_and_the_rest_pays_it() {
    let deposit = [vec![expects(10_000, true)], paid(1, 3000, "a@example.com")].concat();
    assert_eq!(order(deposit.clone()).status, "partially_paid");
    let whole = [deposit, paid(2, 7000, "a@example.com")].concat();
    assert_eq!(order(whole.clone()).status, "paid");
    let needed = order([whole, vec![refund(1, 1, 3000)]].concat());
    assert_eq!((needed.status.as_str(), needed.amount_refunded), ("partially_refunded", 3000));
}

#[test]
fn a_payment_given_back_that_was_too_much_is_history() {
    let expected = vec![expects(10_000, true)];
    let payments = [paid(1, 3000, "a@example.com"), paid(2, 8000, "a@example.com")].concat();
    let back = vec![refund(2, 1, 8000)];
    let order = order([expected, payments, back].concat());
    assert_eq!(order.status, "partially_paid", "3,000 and 8,000 are more than 10,000: the 8,000 were not needed");
}

#[test]
fn another_price_than_expected_is_a_mismatch() {
    let order = order([vec![expects(5000, false)], paid(1, 4200, "a@example.com")].concat());
    assert_eq!((order.money_status.as_str(), reasons(&order)), ("partially_paid", vec!["amount_mismatch"]));
}

#[test]
fn a_dispute_is_open_lost_or_won() {
    let after = |dispute: Vec<Action>| order([paid(1, 4200, "a@example.com"), dispute].concat());
    assert_eq!(after(disputed(4200, None)).status, "disputed");
    let lost = after(disputed(4200, Some(Verdict::Lost)));
    assert_eq!((lost.status.as_str(), lost.amount_lost), ("lost", 4200));
    assert_eq!(after(disputed(4200, Some(Verdict::Won))).status, "paid");
    let part = after(disputed(1000, Some(Verdict::Lost)));
    assert_eq!((part.status.as_str(), part.amount_lost, part.amount_refunded), ("paid", 1000, 0));
    let overturned = [disputed(4200, Some(Verdict::Lost)), vec![Action::OverturnDispute { dispute: 1 }]].concat();
    assert_eq!(after(overturned).status, "paid");
}

#[test]
fn what_goes_back_beside_a_lost_dispute_is_more_than_was_paid() {
    let both = [paid(1, 4200, "a@example.com"), vec![refund(1, 1, 1000)], disputed(4200, Some(Verdict::Lost))].concat();
    let order = order(both);
    assert_eq!((order.money_status.as_str(), reasons(&order)), ("lost", vec!["refund_above_payment"]));
}

#[test]
fn an_inquiry_that_is_closed_leaves_the_order_paid() {
    let inquiry = vec![
        Action::Dispute { payment: 1, dispute: 1, amount: 4200, kind: DisputeKind::Inquiry },
        Action::AnswerDispute { dispute: 1 },
        Action::CloseDispute { dispute: 1, verdict: Verdict::Lost },
    ];
    assert_eq!(order([paid(1, 4200, "a@example.com"), inquiry].concat()).status, "paid");
}

#[test]
fn a_tip_is_paid_and_not_asked() {
    let intent = NewIntent { order_id: Some("1".into()), ..NewIntent::new(1, 1000, "usd") };
    let pay = Action::Pay { payment: 1, by: Method::Terminal { tip: 200 }, email: None };
    let order = order(vec![expects(1000, false), Action::CreateIntent(intent), pay]);
    assert_eq!((order.status.as_str(), order.amount_paid, order.tip), ("paid", 1200, 200));
}

#[test]
fn who_pays_is_told_and_nobody_else() {
    let books =
        books([paid(1, 4200, "a@example.com"), paid(2, 1000, "b@example.com"), vec![refund(2, 1, 400)]].concat());
    let ledger = books.ledger();
    let of = |email: &str| ledger[&(email.to_owned(), "usd".to_owned())];
    assert_eq!((of("a@example.com").paid, of("a@example.com").refunded), (4200, 0));
    assert_eq!((of("b@example.com").paid, of("b@example.com").refunded), (1000, 400));
    let order = &books.orders[0];
    assert_eq!(order.customer_email, None);
    assert_eq!(order.customer_emails.len(), 2);
}

#[test]
fn a_refund_is_told_as_failed_only_where_it_was_told_as_made() {
    let told = |version, start| {
        let back = vec![
            Action::Refund { payment: 1, refund: 1, amount: 1000, start },
            Action::Wait(60),
            Action::FailRefund { refund: 1, step: false },
        ];
        let actions = [paid(1, 4200, "a@example.com"), back].concat();
        let refunds = play(&Script::new(version, actions)).books.refunds();
        (refunds[0].made, refunds[0].failed)
    };
    let (never, together) = ((Owed::Never, Owed::Never), (Owed::Together, Owed::Together));
    assert_eq!(told(ApiVersion::Newest, RefundStart::Pending), never);
    assert_eq!(told(ApiVersion::Newest, RefundStart::Succeeded), together);
    assert_eq!(told(ApiVersion::V2024_06_20, RefundStart::Pending), together);
}

#[test]
fn an_invoice_is_paid_from_the_balance_by_money_or_by_both() {
    let sent = |balance| {
        let new =
            NewInvoice { order_id: Some("1".into()), balance, ..NewInvoice::new(1, 3800, "usd", "a@example.com") };
        let pay = Action::PayInvoice { invoice: 1, payment: 1, amount: None };
        order(vec![Action::SendInvoice(new), pay])
    };
    let sums = |order: &OrderBook| (order.status.clone(), order.amount_paid, order.amount_credited);
    assert_eq!(sums(&sent(5000)), ("paid".into(), 0, 3800));
    assert_eq!(sums(&sent(800)), ("paid".into(), 3000, 800));
    assert_eq!(sums(&sent(0)), ("paid".into(), 3800, 0));
}

#[test]
fn an_invoice_may_be_paid_in_parts_and_too_much() {
    let new = NewInvoice { order_id: Some("1".into()), ..NewInvoice::new(1, 10_000, "usd", "a@example.com") };
    let pay = |payment, amount| Action::PayInvoice { invoice: 1, payment, amount };
    let part = vec![Action::SendInvoice(new), pay(1, Some(3000))];
    assert_eq!(order(part.clone()).status, "partially_paid");
    let whole = [part, vec![pay(2, None)]].concat();
    assert_eq!((order(whole.clone()).status.as_str(), order(whole.clone()).payments.len()), ("paid", 2));
    let over = order([whole, vec![pay(3, Some(500))]].concat());
    assert_eq!((over.money_status.as_str(), reasons(&over)), ("paid", vec!["invoice_overpaid"]));
}

#[test]
fn a_credit_note_gives_back_only_what_its_refund_does() {
    let new = NewInvoice { order_id: Some("1".into()), ..NewInvoice::new(1, 4000, "usd", "a@example.com") };
    let pay = Action::PayInvoice { invoice: 1, payment: 1, amount: None };
    let note = |refund| Action::CreditNote { invoice: 1, refund, amount: 1000 };
    let credited = order(vec![Action::SendInvoice(new.clone()), pay.clone(), note(None)]);
    assert_eq!((credited.status.as_str(), credited.amount_refunded), ("paid", 0));
    let refunded = order(vec![Action::SendInvoice(new), pay, note(Some(1))]);
    assert_eq!((refunded.status.as_str(), refunded.amount_refunded), ("partially_refunded", 1000));
}

#[test]
fn a_bank_transfer_pays_when_all_of_it_has_come() {
    let page = NewCheckout { order_id: Some("1".into()), ..NewCheckout::new(1, 4200, "usd", "a@example.com") };
    let pay = Action::Pay { payment: 1, by: Method::BankTransfer, email: None };
    let fund = |amount| Action::Fund { payment: 1, amount };
    let order = order(vec![Action::OpenCheckout(page), pay, fund(1000), fund(3200)]);
    assert_eq!((order.status.as_str(), order.amount_paid), ("paid", 4200));
}

#[test]
fn what_concerns_no_order_is_in_no_book() {
    let what = [Unrelated::RefundOfBalance, Unrelated::SetupPage, Unrelated::Customer, Unrelated::Payout];
    let world = play(&Script::new(
        ApiVersion::Newest,
        what.into_iter().map(|what| Action::Unrelated { what, number: 1 }).collect(),
    ));
    assert_eq!((world.events().count(), world.books.orders.len()), (4, 0));
}

#[test]
fn a_context_may_be_a_path_that_ends_in_the_account() {
    let within = Action::In(Account::Organization("org_6Sim/acct_A".into()));
    let books = books([vec![within], paid(1, 4200, "a@example.com")].concat());
    assert_eq!(books.find("acct_A", false, "1").map(|order| order.status.as_str()), Some("paid"));
}

#[test]
fn one_payment_of_two_invoices_is_one_order_with_both_names() {
    let send = |slot, total| Action::SendInvoice(NewInvoice::new(slot, total, "usd", "a@example.com"));
    let books = books(vec![send(1, 1000), send(2, 500), Action::PayInvoices { invoices: vec![1, 2], payment: 1 }]);
    assert_eq!(books.orders.len(), 1);
    let order = &books.orders[0];
    assert_eq!((order.status.as_str(), order.amount_paid), ("paid", 1500));
    assert_eq!(order.also_known_as.iter().filter(|id| id.starts_with("in_")).count(), 2);
}

#[test]
fn a_subscriptions_label_is_of_its_first_invoice_only() {
    let new = NewSubscription {
        subscription_order_id: Some("1".into()),
        ..NewSubscription::new(1, 1500, "usd", "a@example.com")
    };
    let renewal = NewInvoice { subscription: Some(1), ..NewInvoice::new(2, 1500, "usd", "a@example.com") };
    let pay = Action::PayInvoice { invoice: 2, payment: 2, amount: None };
    let books = books(vec![Action::Subscribe(new), Action::Wait(86_400), Action::SendInvoice(renewal), pay]);
    let references: Vec<&str> = books.orders.iter().map(|order| order.reference.as_str()).collect();
    assert_eq!((references.len(), references[0], &references[1][..3]), (2, "1", "pi_"));
    assert!(books.orders.iter().all(|order| order.status == "paid" && order.amount_paid == 1500));
}

#[test]
fn a_link_names_no_order_by_metadata() {
    let page = |payment| {
        let (order_id, link) = (Some("1".to_owned()), Some(1));
        let page = NewCheckout::new(payment, 2500, "usd", "a@example.com");
        Action::OpenCheckout(NewCheckout { order_id: order_id.clone(), intent_order_id: order_id, link, ..page })
    };
    let pay = |payment| Action::Pay { payment, by: Method::Card, email: None };
    let books = books(vec![page(1), pay(1), page(2), pay(2)]);
    let names: BTreeSet<&str> = books.orders.iter().map(|order| &order.reference[..3]).collect();
    assert_eq!((books.orders.len(), names), (2, BTreeSet::from(["pi_"])));
}

#[test]
fn a_release_is_of_what_was_there() {
    let twice = [paid(1, 4200, "a@example.com"), paid(2, 4200, "a@example.com")].concat();
    let released = [twice, vec![Action::Release { reference: "1".into() }]].concat();
    assert_eq!(order(released.clone()).status, "paid");
    let again = order([released, paid(3, 4200, "a@example.com")].concat());
    assert_eq!((again.status.as_str(), reasons(&again)), ("review", vec!["double_payment"]));
}

#[test]
fn what_never_came_has_the_status_of_its_last_try() {
    let intent = NewIntent { order_id: Some("1".into()), ..NewIntent::new(1, 1000, "usd") };
    let after = |actions: Vec<Action>| order([vec![Action::CreateIntent(intent.clone())], actions].concat()).status;
    let pay = |by| Action::Pay { payment: 1, by, email: None };
    assert_eq!(after(vec![]), "pending");
    assert_eq!(after(vec![Action::Decline { payment: 1, email: None }]), "failed");
    assert_eq!(after(vec![pay(Method::Sepa)]), "awaiting_funds");
    assert_eq!(after(vec![pay(Method::Sepa), Action::Bounce { payment: 1 }]), "failed");
    assert_eq!(after(vec![pay(Method::Sepa), Action::Clear { payment: 1 }]), "paid");
    assert_eq!(after(vec![pay(Method::Microdeposits)]), "requires_action");
    assert_eq!(after(vec![Action::CancelIntent { payment: 1 }]), "canceled");
}
