//! Each kind of object: what is read of it in each version, and which of two snapshots counts.

use serde_json::{Value, json};

use super::super::facts::{Facts, session};
use super::super::{Taken, take_shop};
use super::objects::{and, charge, dispute, intent, invoice, paid, refund, session, told, with};
use super::{all, due, facts, keys, order, taken};

/// What two snapshots of one second come to, the one with the lesser event id first in line to lose.
fn of_one_second(kind: &str, lesser_id: &Value, greater_id: &Value) -> Facts {
    let (one, other) = (told("evt_1", kind, 5, lesser_id), told("evt_2", kind, 5, greater_id));
    assert_eq!(and(one.clone(), &other), and(other.clone(), &one));
    and(one, &other)
}

/// What an early and a late snapshot come to.
fn early_and_late(kind: &str, early: &Value, late: &Value) -> Facts {
    and(told("evt_2", kind, 1, early), &told("evt_1", kind, 2, late))
}

fn status_of(facts: &Facts) -> &'static str {
    order(facts).status.as_str()
}

#[test]
fn within_a_second_the_further_status_counts() {
    let intents =
        |a: &str, b: &str| status_of(&of_one_second("payment_intent.x", &intent(a, json!({})), &intent(b, json!({}))));
    assert_eq!(intents("processing", "requires_action"), "awaiting_funds");
    assert_eq!(intents("requires_action", "requires_confirmation"), "requires_action");
    let invoices =
        |a: &str, b: &str| status_of(&of_one_second("invoice.updated", &invoice(a, json!({})), &invoice(b, json!({}))));
    assert_eq!(invoices("void", "uncollectible"), "canceled");
    let disputes = of_one_second("charge.dispute.updated", &dispute("won").1, &dispute("lost").1);
    assert_eq!(status_of(&and(disputes, &all(&[paid(json!({}))]))), "paid");
    let refunds = of_one_second("refund.updated", &refund("re_1", "failed", 9).1, &refund("re_1", "canceled", 9).1);
    assert_eq!(serde_json::to_value(&refunds.refunds["re_1"].now.is).unwrap()["status"], "failed");
    let (needed, free) = (session("paid", json!({})).1, session("no_payment_required", json!({})).1);
    let sessions = of_one_second("checkout.session.completed", &needed, &free);
    assert_eq!(status_of(&sessions), "paid");
}

#[test]
fn what_has_come_to_an_end_stays_so_whatever_is_dated_later() {
    let captured_later =
        early_and_late("payment_intent.x", &intent("requires_capture", json!({})), &intent("processing", json!({})));
    assert_eq!(status_of(&captured_later), "authorized");
    let refunds = early_and_late("refund.updated", &refund("re_1", "failed", 9).1, &refund("re_1", "succeeded", 9).1);
    assert_eq!(serde_json::to_value(&refunds.refunds["re_1"].now.is).unwrap()["status"], "failed");
    let refunds = early_and_late("refund.updated", &refund("re_1", "succeeded", 9).1, &refund("re_1", "pending", 9).1);
    assert_eq!(serde_json::to_value(&refunds.refunds["re_1"].now.is).unwrap()["status"], "succeeded");
    let unpaid = |status: &str| session("unpaid", json!({ "status": status, "payment_intent": null })).1;
    let left = early_and_late("checkout.session.x", &unpaid("expired"), &unpaid("open"));
    assert_eq!(status_of(&left), "expired");
    let paid_at_once = session("paid", json!({ "status": "open" })).1;
    assert_eq!(status_of(&early_and_late("checkout.session.x", &paid_at_once, &unpaid("complete"))), "paid");
}

#[test]
fn an_authorization_is_released_by_a_flag_or_by_its_whole_amount() {
    let released = |changes: Value| {
        let held = with(charge(json!({ "captured": false })), changes);
        facts("charge.updated", 1, &held).charges["ch_1"].released
    };
    assert!(released(json!({ "refunded": true })));
    assert!(released(json!({ "amount_refunded": 1000 })));
    assert!(!released(json!({ "amount_refunded": 400 })));
    assert!(!released(json!({})));
    assert!(!released(json!({ "amount": 0 })));
    assert!(!released(json!({ "captured": true, "amount_refunded": 1000, "refunded": true })));
}

#[test]
fn a_charge_without_a_status_says_whether_it_is_paid() {
    let bare = |changes: Value| {
        let mut old = charge(json!({ "payment_intent": null }));
        old.as_object_mut().unwrap().remove("status");
        taken("charge.updated", 1, &with(old, changes))
    };
    let status = |changes: Value| match bare(changes) {
        Taken::Facts(facts) => status_of(&facts),
        other => panic!("{other:?}"),
    };
    assert_eq!((status(json!({ "paid": true })), status(json!({ "paid": false }))), ("paid", "failed"));
    assert!(matches!(bare(json!({})), Taken::Quarantined(why) if why.contains("status")));
}

#[test]
fn a_charge_once_seen_by_itself_is_a_payment_of_its_own() {
    let alone = facts("charge.succeeded", 1, &charge(json!({ "payment_intent": null })));
    let within = facts("charge.succeeded", 2, &charge(json!({})));
    assert!(and(alone.clone(), &within).charges["ch_1"].direct && and(within, &alone).charges["ch_1"].direct);
}

#[test]
fn each_state_of_a_dispute_is_known_and_told_as_what_it_is() {
    let told = |states: &[&str]| {
        let events: Vec<(&str, Value)> = states.iter().map(|state| dispute(state)).collect();
        and(all(&[paid(json!({})), ("charge.succeeded", charge(json!({})))]), &all(&events))
    };
    for (state, status) in [
        ("warning_needs_response", "disputed"),
        ("warning_under_review", "disputed"),
        ("warning_closed", "paid"),
        ("needs_response", "disputed"),
        ("under_review", "disputed"),
        ("prevented", "paid"),
        ("charge_refunded", "paid"),
        ("lost", "lost"),
        ("won", "paid"),
    ] {
        assert_eq!(status_of(&told(&[state])), status, "{state}");
    }
    let news = |states: &[&str]| {
        let mut keys = keys(&told(states));
        keys.retain(|key| key.contains("dispute"));
        keys
    };
    assert_eq!(news(&["won"]), ["order.dispute_closed:dp_1"], "it was never seen open");
    assert_eq!(news(&["needs_response"]), ["order.disputed:dp_1"]);
    assert_eq!(news(&["needs_response", "won"]), ["order.dispute_closed:dp_1", "order.disputed:dp_1"]);
    assert_eq!(news(&["needs_response", "lost"]), ["order.dispute_closed:dp_1", "order.disputed:dp_1"]);
    let about = |states: &[&str], key: &str| {
        let notice = due(&told(states)).into_iter().find(|notice| notice.key == key).unwrap();
        (notice.about.object, notice.about.reason)
    };
    let disputed = about(&["needs_response"], "order.disputed:dp_1");
    assert_eq!(disputed, ("dp_1".to_owned(), Some("fraudulent".to_owned())));
    for verdict in ["lost", "won", "prevented"] {
        assert_eq!(about(&[verdict], "order.dispute_closed:dp_1").1.as_deref(), Some(verdict));
    }
    let closed = about(&["warning_closed"], "order.dispute_closed:dp_1:warning_closed");
    assert_eq!(closed.1.as_deref(), Some("warning_closed"));
    let escalated = news(&["warning_needs_response", "warning_closed", "needs_response", "lost"]);
    let told = ["order.dispute_closed:dp_1", "order.dispute_closed:dp_1:warning_closed", "order.disputed:dp_1"];
    assert_eq!(escalated, told, "an inquiry's end is told, and so is the verdict");
}

#[test]
fn an_invoice_without_a_status_says_it_by_its_flags() {
    let status = |changes: Value| {
        let mut old = invoice("open", json!({}));
        old.as_object_mut().unwrap().remove("status");
        status_of(&facts("invoice.updated", 1, &with(old, changes)))
    };
    assert_eq!(status(json!({ "paid": true })), "paid");
    assert_eq!(status(json!({ "paid": false, "forgiven": true })), "failed");
    assert_eq!(status(json!({ "paid": false, "forgiven": false })), "pending");
}

#[test]
fn what_an_invoice_brought_in() {
    let brought = |status: &str, changes: Value| {
        let mut told = invoice(status, json!({}));
        told.as_object_mut().unwrap().remove("amount_paid");
        facts("invoice.updated", 1, &with(told, changes)).invoices["in_1"].now.is.paid
    };
    assert_eq!(brought("paid", json!({ "amount_paid": 600 })), 600, "credits paid the rest");
    assert_eq!(brought("paid", json!({})), 1000, "old versions don't say");
    assert_eq!(brought("paid", json!({ "amount_paid": 0, "paid_out_of_band": true })), 1000);
    assert_eq!(brought("open", json!({})), 0);
    assert_eq!(brought("open", json!({ "paid_out_of_band": true })), 0);
    assert_eq!(brought("open", json!({ "amount_paid": 300 })), 300);
}

#[test]
fn more_than_an_invoice_asked_for_is_seen_by_its_amount_or_by_its_event() {
    let over = |kind: &str, status: &str, amount: Value| {
        facts(kind, 1, &invoice(status, json!({ "amount_overpaid": amount }))).invoices["in_1"].overpaid
    };
    assert!(over("invoice.paid", "paid", json!(1)));
    assert!(over("invoice.overpaid", "paid", json!(null)) && over("invoice.overpaid", "paid", json!(0)));
    assert!(!over("invoice.paid", "paid", json!(0)) && !over("invoice.paid", "paid", json!(null)));
    assert!(!over("invoice.updated", "draft", json!(1)), "Stripe's samples of drafts have an amount there");
}

#[test]
fn an_invoice_s_own_reference_wins_over_its_subscription_s() {
    let named = |own: Value, reason: &str| {
        let details = json!({ "subscription_details": { "metadata": { "order_id": "S" }, "subscription": "sub_1" } });
        let changes = json!({ "metadata": own, "billing_reason": reason, "parent": details });
        order(&facts("invoice.paid", 1, &invoice("paid", changes)))
    };
    let own = named(json!({ "order_id": "I" }), "subscription_create");
    assert_eq!((own.reference.as_str(), own.review_reasons.len()), ("I", 0));
    assert_eq!(named(json!({}), "subscription_create").reference, "S");
    assert_eq!(named(json!({}), "subscription_cycle").reference, "in_1");
}

#[test]
fn a_payment_intent_that_is_yet_to_be_confirmed_is_pending() {
    assert_eq!(status_of(&all(&[("payment_intent.x", intent("requires_confirmation", json!({})))])), "pending");
}

#[test]
fn a_canceled_payment_is_told() {
    let facts = all(&[("payment_intent.canceled", intent("canceled", json!({})))]);
    let told = due(&facts);
    assert_eq!((told[0].key.as_str(), told[0].about.object.as_str()), ("order.canceled:pi_1", "pi_1"));
    assert_eq!((told.len(), told[0].about.amount), (1, Some(1000)));
}

#[test]
fn a_refund_that_failed_after_it_was_told_is_owed_both_ways() {
    let facts = all(&[paid(json!({})), refund("re_1", "succeeded", 400), refund("re_1", "failed", 400)]);
    let keys = keys(&facts);
    assert!(keys.contains(&"order.partially_refunded:re_1".to_owned()), "{keys:?}");
    assert!(keys.contains(&"order.refund_failed:re_1".to_owned()), "{keys:?}");
}

#[test]
fn a_review_without_its_flag_is_open_where_its_event_opened_it() {
    let review = json!({ "id": "prv_1", "payment_intent": "pi_1", "reason": "rule" });
    let reasons = |kind: &str| order(&all(&[paid(json!({})), (kind, review.clone())])).review_reasons;
    assert_eq!(reasons("review.opened"), ["review_opened"]);
    let facts = facts("review.closed", 1, &review);
    assert_ne!(facts.reviews["prv_1"].now.is, super::super::facts::review::State::Open);
}

#[test]
fn a_session_s_locale_and_status_in_each_version() {
    let read = |kind: &str, changes: Value| {
        let mut old = session("unpaid", json!({ "payment_intent": null })).1;
        old.as_object_mut().unwrap().remove("status");
        facts(kind, 1, &with(old, changes)).sessions["cs_1"].now.is.clone()
    };
    assert_eq!(read("checkout.session.completed", json!({ "locale": "de" })).locale.as_deref(), Some("de"));
    assert_eq!(read("checkout.session.completed", json!({ "locale": "auto" })).locale, None);
    assert_eq!(read("checkout.session.completed", json!({})).status, session::Status::Complete);
    assert_eq!(read("checkout.session.expired", json!({})).status, session::Status::Expired);
    let conversion =
        json!({ "currency_conversion": { "source_currency": "usd", "amount_total": 1, "amount_subtotal": 1 } });
    assert!(read("checkout.session.completed", conversion.clone()).converted.is_some());
    let unasked = with(conversion, json!({ "amount_total": null }));
    assert!(read("checkout.session.completed", unasked).converted.is_none());
}

#[test]
fn amounts_of_nothing_take_no_room() {
    let stored = serde_json::to_value(facts("charge.succeeded", 1, &charge(json!({})))).unwrap();
    let stored = &stored["charges"]["ch_1"];
    assert_eq!((&stored["now"]["is"]["captured"], stored["now"]["is"].get("refunded")), (&json!(1000), None));
    assert_eq!(stored.get("sums"), None);
}

#[test]
fn an_expectation_of_nothing_is_one_and_a_name_must_be_one() {
    let said = |changes: Value| {
        let said = with(json!({ "type": "expectation", "sequence": 1 }), changes);
        take_shop(said.to_string().as_bytes())
    };
    let free = json!({ "reference": "A", "amount": 0, "currency": "eur" });
    assert!(matches!(said(free), Taken::Facts(_)));
    assert!(matches!(said(json!({ "reference": "A", "amount": -1, "currency": "eur" })), Taken::Quarantined(_)));
    assert!(matches!(said(json!({ "object": "pi_1" })), Taken::Facts(_)));
    for odd in ["", "pi 1", "pi_1\u{0}", "pi_1\n"] {
        assert!(matches!(said(json!({ "object": odd })), Taken::Quarantined(_)), "{odd:?}");
    }
}

#[test]
fn where_the_customer_finds_what_to_do_next() {
    let page = "https://payments.stripe.com/voucher/1";
    let url = |action: Value| {
        let unpaid = session("unpaid", json!({}));
        let waits = ("payment_intent.x", intent("processing", json!({ "next_action": action })));
        due(&all(&[unpaid, waits]))
            .into_iter()
            .find(|notice| notice.key.starts_with("order.awaiting_funds"))
            .unwrap()
            .about
            .url
    };
    for (way, name) in [
        ("boleto_display_details", "hosted_voucher_url"),
        ("konbini_display_details", "hosted_voucher_url"),
        ("multibanco_display_details", "hosted_voucher_url"),
        ("oxxo_display_details", "hosted_voucher_url"),
        ("display_bank_transfer_instructions", "hosted_instructions_url"),
    ] {
        assert_eq!(url(json!({ way: { name: page } })).as_deref(), Some(page), "{way}");
    }
    for odd in [
        "http://payments.stripe.com/",
        "javascript:alert(1)",
        "https://a b",
        "https://a\u{202e}",
        &format!("https://{}", "a".repeat(2048)),
    ] {
        assert_eq!(url(json!({ "boleto_display_details": { "hosted_voucher_url": odd } })), None, "{odd}");
    }
    assert_eq!(url(json!({ "redirect_to_url": { "url": page } })), None);
    assert_eq!(url(json!(null)), None);
}

#[test]
fn a_failure_is_mailed_only_where_it_is_news_to_the_customer() {
    let failed = |events: &[(&str, Value)]| {
        let told = due(&all(events)).into_iter().find(|notice| notice.key.starts_with("order.payment_failed"));
        let told = told.unwrap();
        (told.unmailed, told.about.url)
    };
    let declined = |way: &str| {
        let error = json!({ "code": "x", "payment_method": { "type": way } });
        ("payment_intent.payment_failed", intent("requires_payment_method", json!({ "last_payment_error": error })))
    };
    assert_eq!(failed(&[declined("card")]), (true, None), "the checkout says so");
    for way in ["acss_debit", "au_becs_debit", "bacs_debit", "sepa_debit", "us_bank_account"] {
        assert_eq!(failed(&[declined(way)]), (false, None), "{way}");
    }
    let late = ("checkout.session.async_payment_failed", session("unpaid", json!({})).1);
    assert_eq!(failed(&[declined("card"), late]), (false, None));
    let page = "https://invoice.stripe.com/i/1";
    let unpaid = |reason: &str| {
        let own = json!({ "billing_reason": reason, "hosted_invoice_url": page });
        ("invoice.payment_failed", invoice("open", own))
    };
    assert_eq!(failed(&[unpaid("subscription_cycle")]), (false, Some(page.to_owned())));
    assert_eq!(failed(&[unpaid("manual")]), (false, Some(page.to_owned())));
    assert_eq!(failed(&[unpaid("subscription_create")]), (true, Some(page.to_owned())), "the checkout says so");
    let paid = facts("invoice.paid", 1, &invoice("paid", json!({ "hosted_invoice_url": page })));
    assert_eq!(paid.invoices["in_1"].now.is.url, None, "nothing is left to be done there");
}

#[test]
fn a_dispute_says_until_when_it_can_be_answered() {
    let (kind, object) = dispute("needs_response");
    let dated = with(object.clone(), json!({ "evidence_details": { "due_by": 1_800_000_000 } }));
    let due_by = |object: Value| {
        let told = due(&all(&[paid(json!({})), (kind, object)]));
        told.into_iter().find(|notice| notice.key == "order.disputed:dp_1").unwrap().about.due_by
    };
    assert_eq!((due_by(dated), due_by(object)), (Some(1_800_000_000), None));
}

#[test]
fn an_order_is_a_renewal_once_its_renewal_is_paid_and_shows_what_was_bought() {
    let of = |status: &str, reason: &str| {
        order(&facts("invoice.updated", 1, &invoice(status, json!({ "billing_reason": reason })))).renewal
    };
    assert!(of("paid", "subscription_cycle"));
    assert!(!of("open", "subscription_cycle") && !of("paid", "subscription_create"));
    let line = json!({ "description": "T\u{0}ea", "quantity": 2, "amount": 1000 });
    let said = json!({ "type": "expectation", "reference": "A", "sequence": 1, "line_items": [line] });
    let known = order(&and(all(&[session("paid", json!({}))]), &super::objects::shop(&said)));
    assert_eq!((known.line_items[0].description.as_str(), known.line_items[0].quantity), ("Tea", 2));
}
