//! `ringup endpoint doctor`: is the connection to Stripe as it must be, seen from outside.

use crate::config::{Secret, Stripe, mode_name};
use crate::dev::probe::{Answer, Probe, clock_of};
use crate::orders::UNDERSTOOD;
use crate::source::stripe::PROBE;
use crate::stripe_api::StripeApi;
use crate::stripe_api::doctor::{Finding, Needed, compare};
use crate::stripe_api::endpoints::{self, Endpoint};
use crate::stripe_api::undelivered;
use anyhow::Context;
use chrono::Utc;
use serde_json::{Value, json};
use std::process::ExitCode;

/// What the doctor needs of a restricted key.
const READ: &str = "Webhook Endpoints: Read and Events: Read";
/// Signs what nobody can have signed.
const FORGED: &str = "whsec_of_nobody";

/// Compares what is registered with what is needed, asks what Stripe could not deliver, and tries the endpoint from outside.
#[derive(clap::Args)]
pub struct Args {
    /// Where Stripe posts, such as `https://your-host/webhooks/stripe`; may be left out where one endpoint is registered
    #[arg(long)]
    url: Option<String>,
    /// As one JSON object.
    #[arg(long)]
    json: bool,
}

/// Looks at everything; exit 0 only where all is well.
pub async fn run(args: &Args, stripe: &Stripe) -> anyhow::Result<ExitCode> {
    let (mut findings, url) = registered(args, stripe).await;
    match url {
        Some(url) => findings.extend(probe(&url, stripe).await?),
        None => findings.push(Finding::ill("receiver", "not tried: no URL is known", "give --url")),
    }
    let ok = findings.iter().all(|finding| finding.ok);
    if args.json {
        println!("{}", json!({ "ok": ok, "findings": findings }));
    } else {
        print(&findings);
    }
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(findings: &[Finding]) {
    for finding in findings {
        let sign = if finding.ok { "ok " } else { "ILL" };
        // What others wrote reaches a terminal; our own apostrophes are none of its business.
        let found = finding.found.escape_debug().to_string().replace("\\'", "'").replace("\\\"", "\"");
        println!("{sign}  {:12} {found}", finding.check);
        if let Some(remedy) = &finding.remedy {
            println!("                  -> {remedy}");
        }
    }
}

/// What Stripe has, and the URL to try.
async fn registered(args: &Args, stripe: &Stripe) -> (Vec<Finding>, Option<String>) {
    let url = args.url.clone();
    let api = match super::api(stripe, READ) {
        Ok(api) => api,
        Err(error) => return (vec![Finding::ill("key", error.to_string(), "set STRIPE_SECRET_KEY")], url),
    };
    let endpoints = match api.endpoints(endpoints::READ).await {
        Ok(endpoints) => endpoints,
        Err(error) => return (vec![Finding::ill("key", error.to_string(), "see what Stripe says there")], url),
    };
    let livemode = is_live(stripe);
    let mut findings = vec![Finding::well("key", format!("Stripe accepts it; it is a {} key", mode_name(livemode)))];
    findings.push(clock("clock", "Stripe's", clock_of(api.base()).await, stripe.tolerance));
    let url = url.or_else(|| if let [only] = &endpoints[..] { Some(only.url.clone()) } else { None });
    if let Some(url) = &url {
        let connect = stripe.accounts.is_some();
        findings.extend(compare(&endpoints, Needed { url, events: &UNDERSTOOD, livemode, connect }));
    } else {
        let found = format!("Stripe has {} endpoints", endpoints.len());
        findings.push(Finding::ill("url", found, "say which one with --url"));
    }
    findings.extend(deliveries(&api, &endpoints, stripe).await);
    (findings, url)
}

/// What Stripe could not deliver, of our own account and of each connected one that is named.
async fn deliveries(api: &StripeApi, endpoints: &[Endpoint], stripe: &Stripe) -> Vec<Finding> {
    let now = Utc::now().timestamp();
    let posting =
        |connect: bool| endpoints.iter().filter(|e| e.status == "enabled" && e.is_connect() == connect).count();
    let mut findings = Vec::new();
    for account in std::iter::once("").chain(stripe.accounts.iter().flatten().map(|account| &account[..])) {
        let asked = Some(account).filter(|account| !account.is_empty());
        let found = api.undelivered(asked, &UNDERSTOOD, now).await;
        findings.push(undelivered::judge(account, found, posting(asked.is_some()), now));
    }
    findings
}

/// The key reaches real money.
fn is_live(stripe: &Stripe) -> bool {
    stripe.api.as_ref().is_some_and(|api| api.livemode)
}

/// What the receiver answers to what Stripe sends, and to what a forger would.
async fn probe(url: &str, stripe: &Stripe) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let livemode = is_live(stripe);
    if livemode && !url.starts_with("https://") {
        findings.push(Finding::ill("url", format!("{url} is not https"), "Stripe posts live events to https alone"));
    }
    let (now, body) = (Utc::now().timestamp(), ping(livemode));
    let nobodys = Secret::new(FORGED).context("the forged secret is blank")?;
    let forged = Probe::new(url, nobodys)?.post(body.as_bytes(), now).await;
    findings.push(refused(url, forged.as_ref().map_err(ToString::to_string)));
    let Ok(forged) = forged else { return Ok(findings) };
    findings.push(clock("server_clock", "the receiver's", forged.date.context("it tells no date"), stripe.tolerance));
    if stripe.secrets.is_empty() {
        let remedy = "ringup endpoint create prints it; an older endpoint's is in Stripe's dashboard";
        findings.push(Finding::ill("secret", "STRIPE_WEBHOOK_SECRET is not set here", remedy));
    }
    for (n, secret) in stripe.secrets.iter().enumerate() {
        let answer = Probe::new(url, secret.clone())?.post(ping(livemode).as_bytes(), Utc::now().timestamp()).await;
        findings.push(taken(n + 1, answer.as_ref().map_err(ToString::to_string)));
    }
    Ok(findings)
}

/// An event that changes nothing: it is stored as ignored.
fn ping(livemode: bool) -> String {
    let id = format!("evt_ringup_doctor_{}", uuid::Uuid::now_v7().simple());
    json!({ "id": id, "object": "event", "type": PROBE, "livemode": livemode, "created": Utc::now().timestamp(),
        "data": { "object": { "object": PROBE } } })
    .to_string()
}

fn code(answer: &Answer) -> String {
    let told: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    told["error"]["code"].as_str().or(told["status"].as_str()).unwrap_or_default().to_owned()
}

fn refused(url: &str, answer: Result<&Answer, String>) -> Finding {
    const CHECK: &str = "forgery";
    match answer {
        Err(error) => Finding::ill(CHECK, error, "is the receiver up, and its name, TLS and proxy right?"),
        Ok(answer) if answer.status == 400 && code(answer) == "invalid_signature" => {
            Finding::well(CHECK, "a forged event is refused with 400")
        }
        Ok(answer) if answer.accepted() => Finding::ill(
            CHECK,
            format!("{url} accepts a forged event with {}", answer.status),
            "something else than this receiver answers there: look at the proxy",
        ),
        Ok(answer) => Finding::ill(
            CHECK,
            format!("a forged event is answered {} {}", answer.status, code(answer)),
            "400 invalid_signature was expected: the proxy must pass POSTs of this path, body and headers unchanged",
        ),
    }
}

fn taken(n: usize, answer: Result<&Answer, String>) -> Finding {
    const CHECK: &str = "secret";
    match answer {
        Err(error) => Finding::ill(CHECK, error, "is the receiver up, and its name, TLS and proxy right?"),
        Ok(answer) if answer.accepted() => {
            Finding::well(CHECK, format!("an event signed with secret {n} is taken with {}", answer.status))
        }
        Ok(answer) => {
            let remedy = match &code(answer)[..] {
                "invalid_signature" => {
                    "the receiver runs with another STRIPE_WEBHOOK_SECRET than is set here: restart it"
                }
                "timestamp_out_of_tolerance" => "set the clocks",
                _ => "see the receiver's log and /readyz",
            };
            let found = format!("an event signed with secret {n} is answered {} {}", answer.status, code(answer));
            Finding::ill(CHECK, found, remedy)
        }
    }
}

fn clock(check: &'static str, whose: &str, date: anyhow::Result<i64>, tolerance: i64) -> Finding {
    match date {
        Err(error) => Finding::ill(check, format!("{whose} clock: {error}"), "is it reached directly?"),
        Ok(date) => {
            let off = date - Utc::now().timestamp();
            let found = format!("{whose} clock is {} s from this one", off.abs());
            // Half of the tolerance is for the way.
            if off.abs() * 2 <= tolerance {
                Finding::well(check, found)
            } else {
                Finding::ill(check, found, "set the clocks, by NTP")
            }
        }
    }
}
