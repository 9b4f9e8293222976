//! The endpoint, registered, changed and its secret rolled through the real command line against a fake of Stripe's API.

use crate::support::postgres::TestDb;
use crate::support::server::{OLD_SECRET, Receiver, SECRET};
use crate::support::shell::Shell;
use crate::support::stripe::{FakeStripe, KEY};
use ringup::orders::UNDERSTOOD;
use serde_json::{Value, json};

pub const URL: &str = "https://shop.example/webhooks/stripe";

/// An endpoint as Stripe has it, with `more` over it.
pub fn endpoint(id: &str, more: &Value) -> Value {
    let mut endpoint = json!({ "id": id, "object": "webhook_endpoint", "url": URL, "status": "enabled", "livemode": false,
        "enabled_events": &UNDERSTOOD[..], "api_version": "2026-09-30.endive", "metadata": {}, "application": null });
    endpoint.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    endpoint
}

#[actix_rt::test]
async fn an_endpoint_is_created_once_and_its_secret_kept() {
    let stripe = FakeStripe::start();
    let shell = Shell::of("endpoint", &stripe);
    let file = shell.dir.path().join("secrets.env");
    std::fs::write(&file, "PORT=1\nSTRIPE_WEBHOOK_SECRET=whsec_of_the_past\n").unwrap();
    let said = shell.run(&["create", "--url", URL, "--write-env", "secrets.env"]).await;
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains("signing secret: whsec_told_of_we_1\n"), "{}", said.out);
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        "PORT=1\nSTRIPE_WEBHOOK_SECRET=whsec_told_of_we_1,whsec_of_the_past\n"
    );
    {
        let state = stripe.state();
        let created = &state.endpoints[0];
        assert_eq!(created["enabled_events"], json!(&UNDERSTOOD[..]));
        assert_eq!((&created["url"], &created["api_version"]), (&json!(URL), &json!("2026-09-30.endive")));
        let asked = state.asked.iter().find(|asked| asked.method == "POST").unwrap();
        assert_eq!(
            asked.header("stripe-version"),
            "2026-09-30.endive",
            "events and what is fetched are rendered alike"
        );
        assert!(!asked.header("idempotency-key").is_empty());
    }
    let again = shell.run(&["create", "--url", "https://SHOP.example:443/webhooks/stripe"]).await;
    assert!(again.code == 0 && again.out.starts_with("updated we_1 "), "{}{}", again.out, again.err);
    assert_eq!(stripe.state().endpoints.len(), 1);
    let connect = shell.run(&["create", "--url", URL, "--connect", "--events", "all"]).await;
    assert!(connect.out.starts_with("created we_2 "), "{}", connect.out);
    let connect = shell.run(&["create", "--url", URL, "--connect", "--events", "charge.refunded,refund.failed"]).await;
    assert!(connect.out.starts_with("updated we_2 "), "{}", connect.out);
    assert_eq!(stripe.state().endpoints[0]["enabled_events"], json!(["charge.refunded", "refund.failed"]));
}

#[actix_rt::test]
async fn the_example_needs_only_the_key_for_an_endpoint_to_be_created() {
    let stripe = FakeStripe::start();
    let shell = Shell::new("endpoint", &[]);
    let example = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/.env.example")).unwrap();
    let filled = example
        .replace("#STRIPE_SECRET_KEY=", &format!("STRIPE_SECRET_KEY={KEY}"))
        .replace("#STRIPE_API_BASE=", &format!("STRIPE_API_BASE={}", stripe.base()))
        .replace("MAIL_FROM='Corner Shop <orders@example.com>'", "MAIL_FROM=");
    let env = shell.dir.path().join(".env");
    std::fs::write(&env, &filled).unwrap();
    let missing = |said: &str| -> Vec<String> {
        said.lines().skip(1).map(|line| line.trim().split(':').next().unwrap().to_owned()).collect()
    };
    let check = shell.run_other("config", &["check"]).await;
    assert_eq!((check.code, missing(&check.err)), (1, vec!["STRIPE_WEBHOOK_SECRET".into(), "MAIL_FROM".into()]));
    let said = shell.run(&["create", "--url", URL, "--write-env", ".env"]).await;
    assert_eq!(said.code, 0, "{}", said.err);
    let secret = "STRIPE_WEBHOOK_SECRET=whsec_told_of_we_1\n";
    assert_eq!(std::fs::read_to_string(&env).unwrap(), filled.replace("STRIPE_WEBHOOK_SECRET=\n", secret));
    let check = shell.run_other("config", &["check"]).await;
    assert_eq!((check.code, missing(&check.err)), (1, vec!["MAIL_FROM".into()]));

    let again = shell.run(&["create", "--url", URL, "--write-env", ".env"]).await;
    assert_eq!((again.code, &again.err[..]), (0, ""), "a script may say it twice");
    assert!(again.out.contains("updated we_1 ") && again.out.contains(".env has a signing secret"), "{}", again.out);
}

#[actix_rt::test]
async fn one_that_is_there_is_brought_up_to_date() {
    let stripe = FakeStripe::start();
    let shell = Shell::of("endpoint", &stripe);
    let old = endpoint("we_old", &json!({ "status": "disabled", "enabled_events": ["charge.succeeded"] }));
    stripe.state().endpoints.push(old);
    let said = shell.run(&["create", "--url", URL, "--write-env", "x.env"]).await;
    assert_eq!(said.code, 1);
    assert!(said.err.contains("nothing was written to x.env"), "{}", said.err);
    assert!(!shell.dir.path().join("x.env").exists());
    assert_eq!(stripe.state().endpoints, [endpoint("we_old", &json!({}))]);

    let said = shell.run(&["create", "--url", URL, "--api-version", "2025-08-27.basil"]).await;
    assert_eq!(said.code, 1);
    assert!(said.err.contains("--api-version 2026-09-30.endive") && said.err.contains("delete we_old"), "{}", said.err);
    assert!(!said.err.contains("Stripe refuses"), "{}", said.err);
    let said = shell.run(&["update", "we_old", "--disable", "--events", "refund.failed"]).await;
    assert_eq!(said.code, 0, "{}", said.err);
    let now = stripe.state().endpoints[0].clone();
    assert_eq!((&now["status"], &now["enabled_events"]), (&json!("disabled"), &json!(["refund.failed"])));
    assert_eq!(shell.run(&["delete", "we_old"]).await.code, 0);
    assert_eq!(stripe.state().endpoints.len(), 0);
    let gone = shell.run(&["delete", "we_old"]).await;
    assert!(gone.code == 1 && gone.err.contains("No such webhook endpoint"), "{}", gone.err);

    stripe.state().asked.clear();
    for odd in ["", "..", "../events", "we_1?x", "we_ 1"] {
        let (delete, update) = (shell.run(&["delete", odd]).await, shell.run(&["update", odd, "--enable"]).await);
        assert!(delete.code == 1 && delete.err.contains("is no id"), "{}", delete.err);
        assert!(!delete.err.contains("Stripe knows"), "{}", delete.err);
        assert!(update.code == 1 && update.err.contains("is no id"), "{}", update.err);
    }
    assert_eq!(stripe.state().asked.len(), 0, "Stripe hears of none of them");
    stripe.state().endpoints.push(endpoint("we_free", &json!({ "api_version": null })));
    let said = shell.run(&["create", "--url", URL]).await;
    assert!(said.code == 1 && said.err.contains("no API version of its own"), "{}", said.err);
    assert!(said.err.contains("delete we_free") && !said.err.contains("--api-version"), "{}", said.err);
}

/// Stripe's list as it was before anybody asked for an endpoint.
const NOBODY: &str = r#"{"object":"list","has_more":false,"data":[]}"#;

#[actix_rt::test]
async fn two_who_create_the_same_endpoint_at_once_make_one() {
    let stripe = FakeStripe::start();
    let (one, other) = (Shell::of("endpoint", &stripe), Shell::of("endpoint", &stripe));
    let create = ["create", "--url", URL];
    assert_eq!(one.run(&create).await.code, 0);
    stripe.state().script.push_back((200, NOBODY.to_owned()));
    stripe.state().asked.clear();
    let said = other.run(&create).await;
    assert!(said.code == 0 && said.out.contains("signing secret: whsec_told_of_we_1\n"), "{}{}", said.out, said.err);
    assert_eq!(stripe.state().endpoints.len(), 1, "Stripe knows both as one request");

    stripe.state().script.push_back((200, NOBODY.to_owned()));
    let said = other.run(&["create", "--url", URL, "--events", "charge.refunded"]).await;
    assert!(said.code == 0 && said.out.starts_with("updated we_1 "), "{}{}", said.out, said.err);
    assert!(said.err.contains("at the same time"), "{}", said.err);
    let ids = |stripe: &FakeStripe| stripe.state().endpoints.iter().map(|e| e["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&stripe), ["we_1"], "the twin that asked for other events is gone");
    assert_eq!(stripe.state().endpoints[0]["enabled_events"], json!(["charge.refunded"]));

    assert_eq!(one.run(&["delete", "we_1"]).await.code, 0);
    let said = one.run(&create).await;
    assert!(
        said.out.contains("signing secret: whsec_told_of_we_3\n"),
        "not what Stripe repeats of one that is gone: {}",
        said.out
    );
    assert_eq!(ids(&stripe), ["we_3"]);
    assert_eq!(one.run(&["delete", "we_3"]).await.code, 0);
    stripe
        .state()
        .script
        .extend([(200, NOBODY.to_owned()), (409, r#"{"error":{"type":"idempotency_error"}}"#.to_owned())]);
    let said = one.run(&create).await;
    assert_eq!(said.code, 0, "another run is under way: {}", said.err);
}

#[actix_rt::test]
async fn a_refusal_says_whose_fault_it_is() {
    let stripe = FakeStripe::start();
    let base = stripe.base();
    let refusal = |code: &str| {
        json!({ "error": { "type": "invalid_request_error", "code": code, "message": "No." } }).to_string()
    };
    let said = async |key: &str, args: &[&str]| {
        let shell = Shell::new("endpoint", &[("STRIPE_SECRET_KEY", key), ("STRIPE_API_BASE", &base)]);
        let said = shell.with("STRIPE_ACCOUNTS", "acct_1").run(args).await;
        assert_eq!(said.code, 1);
        said.out + &said.err
    };
    stripe.state().key = Some("rk_test_of_1".to_owned());
    stripe.state().script.push_back((403, refusal("x")));
    let create = said("rk_test_of_1", &["create", "--url", URL]).await;
    assert!(create.contains("restricted key Webhook Endpoints: Write"), "all that it will need, at once: {create}");
    stripe.state().script.push_back((403, refusal("x")));
    let list = said("rk_test_of_1", &["list"]).await;
    assert!(list.contains("restricted key Webhook Endpoints: Read"), "{list}");
    stripe.state().key = Some("sk_test_of_1".to_owned());
    stripe.state().script.push_back((403, refusal("x")));
    let list = said("sk_test_of_1", &["list"]).await;
    assert!(list.contains("Stripe forbids this") && !list.contains("restricted"), "{list}");

    stripe.state().script_for = Some("/v1/events".to_owned());
    let empty = (200, NOBODY.to_owned());
    stripe.state().script.extend([empty.clone(), (403, refusal("account_invalid"))]);
    let doctor = said("sk_test_of_1", &["doctor"]).await;
    assert!(doctor.contains("cannot act for acct_1") && doctor.contains("STRIPE_ACCOUNTS"), "{doctor}");
    stripe.state().key = Some("rk_test_of_1".to_owned());
    stripe.state().script.extend([empty, (403, refusal("x"))]);
    let doctor = said("rk_test_of_1", &["doctor"]).await;
    assert!(doctor.contains("Events: Read for connected accounts"), "{doctor}");
}

#[actix_rt::test]
async fn without_a_way_to_stripe_each_command_says_what_fails() {
    let db = TestDb::new();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let base = format!("http://{closed}");
    let shell = |subcommand: &'static str| {
        let shell = Shell::new(subcommand, &[("STRIPE_SECRET_KEY", KEY), ("STRIPE_API_BASE", &base)]);
        shell
            .with("DATABASE_URL", &db.url())
            .with("STRIPE_WEBHOOK_SECRET", SECRET)
            .with("SMTP_URL", "file://mail")
            .with("MAIL_FROM", "orders@shop.example")
    };
    let (endpoint, sync) = (shell("endpoint"), shell("sync"));
    let update = ["update", "we_1", "--enable"];
    // Each tries again for some seconds.
    let said = futures_util::join!(
        endpoint.run(&["create", "--url", URL]),
        endpoint.run(&["list"]),
        endpoint.run(&update),
        endpoint.run(&["delete", "we_1"]),
        endpoint.run(&["doctor", "--url", URL, "--json"]),
        sync.run(&["--since", "1h"]),
    );
    for said in [said.0, said.1, said.2, said.3, said.4, said.5] {
        let told = said.out + &said.err;
        assert_eq!(said.code, 1, "{told}");
        assert!(told.contains(&base) && told.contains("refused") && told.contains("No proxy is used"), "{told}");
    }
}

#[actix_rt::test]
async fn what_is_there_is_listed_and_its_url_changed() {
    let stripe = FakeStripe::start();
    let connect = json!({ "url": "https://other.example/hook", "status": "disabled", "enabled_events": ["*"],
        "api_version": null, "application": "ca_1", "livemode": true });
    stripe.state().endpoints.extend([endpoint("we_1", &json!({})), endpoint("we_22", &connect)]);
    let shell = Shell::of("endpoint", &stripe);
    let listed = "\
ID     STATUS    MODE  OF       API VERSION        EVENTS  URL
we_1   enabled   test  own      2026-09-30.endive  49      https://shop.example/webhooks/stripe
we_22  disabled  live  connect  -                  all     https://other.example/hook
";
    assert_eq!(shell.run(&["list"]).await.out, listed);
    let moved = "https://new.example/webhooks/stripe";
    let said = shell.run(&["update", "we_1", "--url", moved]).await;
    assert!(said.code == 0 && said.out.contains(moved), "{}{}", said.out, said.err);
    assert_eq!(stripe.state().endpoints[0], endpoint("we_1", &json!({ "url": moved })), "all else stays");
    let odd = shell.run(&["update", "we_1", "--url", "new.example"]).await;
    assert!(odd.code == 1 && odd.err.contains("is not a URL"), "{}", odd.err);
}

#[actix_rt::test]
async fn every_page_is_read_and_a_busy_stripe_is_asked_again() {
    let stripe = FakeStripe::start();
    let url = |n: usize| json!({ "url": format!("https://shop{n}.example/webhooks/stripe") });
    stripe.state().endpoints.extend((0..250).map(|n| endpoint(&format!("we_{n}"), &url(n))));
    let shell = Shell::of("endpoint", &stripe);
    let said = shell.run(&["list", "--json"]).await;
    let ids: Vec<Value> =
        said.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].clone()).collect();
    assert_eq!(ids, (0..250).map(|n| json!(format!("we_{n}"))).collect::<Vec<_>>());
    stripe.state().asked.clear();
    stripe.refuse_next(429, "Too many requests");
    assert_eq!(shell.run(&["update", "we_7", "--disable"]).await.code, 0);
    let state = stripe.state();
    let keys: Vec<&str> = state.asked.iter().map(|asked| asked.header("idempotency-key")).collect();
    assert_eq!(keys.len(), 2);
    assert!(!keys[0].is_empty() && keys[0] == keys[1], "the second attempt is known as the same request: {keys:?}");
}

#[actix_rt::test]
async fn what_is_missing_is_said_in_one_line() {
    let stripe = FakeStripe::start();
    let base = stripe.base();
    let list = async |shell: Shell| {
        let said = shell.run(&["list"]).await;
        assert_eq!((said.code, &said.out[..], said.err.trim_end().lines().count()), (1, "", 1), "{}", said.err);
        said.err
    };
    let no_key = list(Shell::new("endpoint", &[("STRIPE_API_BASE", &base)])).await;
    assert!(no_key.contains("STRIPE_SECRET_KEY is not set"), "{no_key}");
    let wrong =
        list(Shell::new("endpoint", &[("STRIPE_SECRET_KEY", "sk_test_canary"), ("STRIPE_API_BASE", &base)])).await;
    assert!(wrong.contains("does not accept STRIPE_SECRET_KEY") && !wrong.contains("canary"), "{wrong}");
    stripe.refuse_next(403, "The provided key does not have the required permissions. Having the 'rak_webhook_read' permission would allow this.");
    let denied = list(Shell::of("endpoint", &stripe)).await;
    assert!(denied.contains("Webhook Endpoints: Read") && denied.contains("rak_webhook_read"), "{denied}");
    stripe.state().script.push_back((403, "<html>".to_owned()));
    let proxy = list(Shell::of("endpoint", &stripe)).await;
    assert!(proxy.contains(&base) && proxy.contains("not Stripe's"), "{proxy}");
    stripe.state().script.push_back((200, r#"{"data": 5}"#.to_owned()));
    assert!(list(Shell::of("endpoint", &stripe)).await.contains("cannot be read"));

    for (mode, key) in [("live", "sk_test_canary"), ("test", "rk_live_canary")] {
        let said = Shell::new("endpoint", &[("STRIPE_MODE", mode), ("STRIPE_SECRET_KEY", key)]).run(&["list"]).await;
        assert_eq!(said.code, 1);
        assert!(said.err.contains("STRIPE_SECRET_KEY") && !said.err.contains("canary"), "{}", said.err);
    }
    let url = Shell::of("endpoint", &stripe).run(&["create", "--url", "shop.example"]).await;
    assert!(url.code == 1 && url.err.contains("is not a URL"), "{}", url.err);
    let events = Shell::of("endpoint", &stripe).run(&["create", "--url", URL, "--events", "charge refunded"]).await;
    assert!(events.code == 1 && events.err.contains("is no event type"), "{}", events.err);
    assert_eq!(Shell::of("endpoint", &stripe).run(&["list", "--unheard"]).await.code, 2);
    assert_eq!(stripe.state().endpoints.len(), 0);
}

#[actix_rt::test]
async fn a_roll_adds_the_new_secret_and_says_when_the_old_one_can_go() {
    let db = TestDb::new();
    let receiver = Receiver::start(&db);
    let both = format!("{SECRET},{OLD_SECRET}");
    let shell = Shell::new("endpoint", &[("STRIPE_WEBHOOK_SECRET", OLD_SECRET)]);
    let env = shell.dir.path().join("s.env");
    std::fs::write(&env, format!("STRIPE_WEBHOOK_SECRET={OLD_SECRET}\n")).unwrap();
    let roll = ["roll-secret", "--write-env", "s.env"];
    for odd in ["", "sk_test_1\n", "whsec_a b\n", "whsec_a,whsec_b\n", &format!("{OLD_SECRET}\n")] {
        assert_eq!(shell.type_in(&roll, odd).await.code, 1, "{odd:?}");
    }
    let said = shell.type_in(&roll, &format!("{SECRET}\n")).await;
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(!said.out.contains(SECRET) && !said.err.contains(SECRET));
    assert_eq!(std::fs::read_to_string(&env).unwrap(), format!("STRIPE_WEBHOOK_SECRET={both}\n"));

    let metrics = receiver.url("/metrics");
    let check = ["roll-secret", "--check", "--metrics", &metrics];
    assert_eq!(shell.run(&check).await.code, 0, "there is no old one yet");
    let shell = Shell::new("endpoint", &[("STRIPE_WEBHOOK_SECRET", &both)]);
    let said = shell.run(&check).await;
    assert!(said.code == 1 && said.out.contains("no newer secret was used"), "{}", said.out);
    receiver.deliver(br#"{"id":"evt_1","type":"ping"}"#).await;
    let said = shell.run(&check).await;
    assert!(said.code == 1 && said.out.contains("24 hours later"), "{}{}", said.out, said.err);
    let other =
        Shell::new("endpoint", &[("STRIPE_WEBHOOK_SECRET", &format!("whsec_of_the_newest,{both}"))]).run(&check).await;
    assert!(other.code == 1 && other.err.contains("restart it"), "{}{}", other.out, other.err);
    let swapped = Shell::new("endpoint", &[("STRIPE_WEBHOOK_SECRET", &format!("{OLD_SECRET},{SECRET}"))]);
    assert!(swapped.run(&check).await.err.contains("other secrets"), "positions are the receiver's");
    let nobody = shell.run(&["roll-secret", "--check", "--metrics", &receiver.url("/healthz")]).await;
    assert!(nobody.code == 1 && nobody.err.contains("--metrics"), "{}", nobody.err);
}
