//! A wrong configuration refuses to start, names the key and never shows the value.

use crate::support::server::variables;
use ringup::config::Config;
use std::collections::BTreeMap;
use std::process::Command;

const CANARY: &str = "canary";

fn good() -> BTreeMap<String, String> {
    variables("postgres://ringup@localhost/ringup", "/tmp/mail")
}

fn with(changes: &[(&str, &str)]) -> Result<Config, String> {
    let mut vars = good();
    vars.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Config::from_vars(vars).map_err(|mistakes| mistakes.to_string())
}

#[test]
fn every_mistake_names_its_key_and_no_value() {
    let mistakes: [&[(&str, &str)]; 28] = [
        &[("STRIPE_WEBHOOK_SECRET", "")],
        &[("STRIPE_WEBHOOK_SECRET", "   ")],
        &[("STRIPE_WEBHOOK_SECRET", "canary")],
        &[("STRIPE_WEBHOOK_SECRET", "whsec_")],
        &[("STRIPE_WEBHOOK_SECRET", "whsec_canary_of_ours\n")],
        &[("STRIPE_WEBHOOK_SECRET", "whsec_can ary")],
        &[("STRIPE_WEBHOOK_SECRET", "whsec_canary_of_ours,")],
        &[("STRIPE_TOLERANCE", "0")],
        &[("STRIPE_TOLERANCE", "3601")],
        &[("STRIPE_TOLERANCE", "canary")],
        &[("STRIPE_MODE", "canary")],
        &[("STRIPE_SECRET_KEY", "canary")],
        &[("STRIPE_SECRET_KEY", "sk_test_canary"), ("STRIPE_MODE", "live")],
        &[("STRIPE_SECRET_KEY", "rk_live_canary"), ("STRIPE_MODE", "test")],
        &[("STRIPE_API_BASE", "canary")],
        &[("STRIPE_API_BASE", "http://canary.example")],
        &[("STRIPE_API_BASE", "ftp://127.0.0.1/canary")],
        &[("STRIPE_ACCOUNTS", "canary")],
        &[("STRIPE_WEBHOOK_SECRT", "whsec_canary_of_ours")],
        &[("ORDER_REFERENCE_FROM", "canary")],
        &[("CONFIRM_GRACE", "-1")],
        &[("DATABASE_URL", "canary")],
        &[("SMTP_URL", "http://user:canary@host")],
        &[("MAIL_FROM", "")],
        &[("API_TOKEN", "canary with blanks")],
        &[("PORT", "canary")],
        &[("LOG_FORMAT", "canary")],
        &[("SHOP_LOCALE", "canary, or another")],
    ];
    for changes in mistakes {
        let error = with(changes).expect_err(changes[0].0);
        assert!(error.contains(changes[0].0), "{changes:?}: {error}");
        assert!(!error.contains(CANARY), "{changes:?}: {error}");
    }
    assert!(with(&[]).is_ok());
    for base in ["https://canary.example", "http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1/"] {
        assert!(with(&[("STRIPE_API_BASE", base)]).is_ok(), "{base}");
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let error = with(&[("PORT", "x"), ("STRIPE_MODE", "y"), ("MAIL_FROM", "")]).unwrap_err();
    assert!(["PORT", "STRIPE_MODE", "MAIL_FROM"].iter().all(|key| error.contains(key)), "{error}");
}

#[test]
fn secrets_may_come_from_files() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "whsec_from_a_file\n").unwrap();
    let mut vars = good();
    vars.remove("STRIPE_WEBHOOK_SECRET");
    vars.insert("STRIPE_WEBHOOK_SECRET_FILE".into(), file.path().to_str().unwrap().into());
    let config = Config::from_vars(vars.clone()).unwrap();
    assert_eq!(
        config.stripe.secrets.iter().map(ringup::config::Secret::expose).collect::<Vec<_>>(),
        ["whsec_from_a_file"]
    );
    vars.insert("STRIPE_WEBHOOK_SECRET".into(), "whsec_too_many".into());
    assert!(Config::from_vars(vars).unwrap_err().to_string().contains("STRIPE_WEBHOOK_SECRET_FILE"));
}

#[test]
fn no_secret_is_in_the_debug_text() {
    let config = with(&[
        ("STRIPE_WEBHOOK_SECRET", "whsec_canary_of_ours"),
        ("API_TOKEN", "canary_of_ours"),
        ("SMTP_URL", "smtps://user:canary@mail.example.com"),
    ]);
    assert!(!format!("{:?}", config.unwrap()).contains(CANARY));
}

#[test]
fn the_command_checks_it_and_exits_as_documented() {
    let check = |vars: BTreeMap<String, String>| {
        Command::new(env!("CARGO_BIN_EXE_ringup")).args(["config", "check"]).env_clear().envs(vars).output().unwrap()
    };
    assert!(check(good()).status.success());
    let mut vars = good();
    vars.remove("DATABASE_URL");
    let output = check(vars);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("DATABASE_URL: is missing"), "{output:?}");
    let mut vars = good();
    for (locale, exists) in [("fr", true), ("de-AT", true), ("xx", false)] {
        vars.insert("SHOP_LOCALE".into(), locale.into());
        let output = check(vars.clone());
        let said = String::from_utf8_lossy(&output.stderr).contains("SHOP_LOCALE: there are no mails in that language");
        assert_eq!((output.status.success(), said), (exists, !exists), "{output:?}");
    }
    let unknown = Command::new(env!("CARGO_BIN_EXE_ringup")).arg("--no-such-flag").output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
}

#[test]
fn every_variable_is_in_the_example() {
    let example = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/.env.example")).unwrap();
    for name in ringup::config::KNOWN {
        assert!(example.contains(&format!("{name}=")), "{name} is missing in .env.example");
    }
}
