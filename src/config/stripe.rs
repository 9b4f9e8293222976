//! What concerns Stripe: its events' signatures, which of them are ours, and its API.

use std::collections::{BTreeMap, BTreeSet};
use url::{Host, Url};

use super::secret::{Form, Secret};
use super::vars::{Mistakes, Vars};
use super::{KNOWN, environment};

const SIGNING_SECRETS: &str = "STRIPE_WEBHOOK_SECRET";

/// What concerns Stripe.
#[derive(Clone, Debug)]
pub struct Stripe {
    /// Signing secrets, the newest first.
    pub secrets: Vec<Secret>,
    /// How far a signature's timestamp may be from our clock, in seconds.
    pub tolerance: i64,
    /// Which events are ours to apply.
    pub mode: Mode,
    /// Our own account's id, for events whose `context` names it.
    pub own_account: Option<String>,
    /// Connected accounts whose events are welcome; `None` welcomes all.
    pub accounts: Option<BTreeSet<String>>,
    /// How to reach Stripe's API, where there is a key.
    pub api: Option<Api>,
}

/// How to reach Stripe's API.
#[derive(Clone, Debug)]
pub struct Api {
    /// `STRIPE_SECRET_KEY`
    pub key: Secret,
    /// `STRIPE_API_BASE`, where it is not Stripe's own.
    pub base: Option<String>,
    /// The key reaches real money.
    pub livemode: bool,
}

/// Whether a signing secret must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secrets {
    /// Events are received.
    Required,
    /// The endpoint may yet have to be registered.
    Optional,
}

/// Which events are ours to apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Test events alone.
    Test,
    /// Live events alone.
    Live,
    /// Both; their orders never mix.
    Any,
}

impl Stripe {
    /// Reads `.env` and the environment for what speaks with Stripe alone: no database, no mail, and perhaps no signing
    /// secret yet.
    pub fn from_env() -> Result<Self, Mistakes> {
        let vars = Vars::new(environment()?);
        vars.refuse_unknown(&KNOWN);
        let stripe = Self::read(&vars, Secrets::Optional);
        vars.finish()?;
        Ok(stripe)
    }

    pub(super) fn read(vars: &Vars, secrets: Secrets) -> Self {
        if secrets == Secrets::Required {
            vars.require(SIGNING_SECRETS, "`stripe listen --print-secret` or the dashboard shows it (whsec_…)");
        }
        let secrets = vars.secrets(SIGNING_SECRETS, Form::SIGNING);
        let tolerance = vars.parse("STRIPE_TOLERANCE", 300, "a number of seconds");
        if !(1..=3600).contains(&tolerance) {
            vars.mistake("STRIPE_TOLERANCE", "is outside 1 to 3600 seconds");
        }
        let accounts: BTreeSet<_> = vars.list("STRIPE_ACCOUNTS").into_iter().collect();
        if accounts.iter().any(|account| !account.starts_with("acct_")) {
            vars.mistake("STRIPE_ACCOUNTS", "has an entry that is not acct_…");
        }
        let own_account = vars.get("STRIPE_ACCOUNT").filter(|account| !account.is_empty());
        if own_account.as_ref().is_some_and(|account| !account.starts_with("acct_")) {
            vars.mistake("STRIPE_ACCOUNT", "is not acct_…");
        }
        let mode = mode(vars);
        let accounts = (!accounts.is_empty()).then_some(accounts);
        Self { secrets, tolerance, mode, own_account, accounts, api: api(vars, mode) }
    }
}

/// What people call real money and tests.
pub fn mode_name(livemode: bool) -> &'static str {
    if livemode { "live" } else { "test" }
}

/// The signing secrets that `values` or a file of theirs has, the newest first.
///
/// # Errors
/// Fails if one of them has not the form of a signing secret.
pub fn signing_secrets(values: BTreeMap<String, String>) -> Result<Vec<Secret>, Mistakes> {
    let vars = Vars::new(values);
    let secrets = vars.secrets(SIGNING_SECRETS, Form::SIGNING);
    vars.finish()?;
    Ok(secrets)
}

fn mode(vars: &Vars) -> Mode {
    match vars.get("STRIPE_MODE").as_deref().map(str::trim) {
        None | Some("any") => Mode::Any,
        Some("test") => Mode::Test,
        Some("live") => Mode::Live,
        Some(_) => {
            vars.mistake("STRIPE_MODE", "is none of test, live, any");
            Mode::Any
        }
    }
}

fn api(vars: &Vars, mode: Mode) -> Option<Api> {
    const KEY: &str = "STRIPE_SECRET_KEY";
    let base = vars.get("STRIPE_API_BASE").map(|base| base.trim().trim_end_matches('/').to_owned());
    if let Some(why) = base.as_deref().and_then(unusable) {
        vars.mistake("STRIPE_API_BASE", why);
    }
    let key = vars.secret(KEY, Form::API_KEY)?;
    let is = |mode: &str| ["sk_", "rk_"].iter().any(|kind| key.expose().starts_with(&format!("{kind}{mode}_")));
    let (test, live) = (is("test"), is("live"));
    match mode {
        _ if !test && !live => vars.mistake(KEY, "is not sk_test_…, sk_live_…, rk_test_… or rk_live_…"),
        Mode::Live if test => vars.mistake(KEY, "is a test key, but STRIPE_MODE is live"),
        Mode::Test if live => vars.mistake(KEY, "is a live key, but STRIPE_MODE is test"),
        _ => {}
    }
    Some(Api { key, base, livemode: live })
}

/// Why the key may not be sent there.
fn unusable(base: &str) -> Option<&'static str> {
    let url = Url::parse(base).ok();
    match url.as_ref().map(|url| (url.scheme(), url.host())) {
        Some(("https", Some(_))) => None,
        Some(("http", Some(host))) => {
            let is_near = match host {
                Host::Domain(name) => name == "localhost",
                Host::Ipv4(ip) => ip.is_loopback(),
                Host::Ipv6(ip) => ip.is_loopback(),
            };
            (!is_near).then_some("would send the key in the clear: https, please; http is for this machine alone")
        }
        _ => Some("is not a URL such as https://api.stripe.com"),
    }
}
