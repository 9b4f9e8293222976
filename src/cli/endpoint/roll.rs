//! `ringup endpoint roll-secret`: from one signing secret to the next without a lost event.

use super::env_file;
use crate::cli::table::moment;
use crate::config::{Form, Stripe};
use crate::dev::probe::fetch;
use crate::source::signature::fingerprint;
use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;

/// Stripe signs with both secrets for at most this long, and repeats what failed within it, in seconds.
const OVERLAP: i64 = 24 * 60 * 60;

/// Guides from one signing secret to the next: adds the new one, then tells when the old one can go.
///
/// Stripe rolls a secret in its dashboard only (Workbench, Webhooks, the endpoint, Roll secret): let the old one live on for
/// 24 hours, and give the new one to this command.
#[derive(clap::Args)]
pub struct Args {
    /// Adds the new secret, read from standard input, to this file of variables.
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    write_env: Option<PathBuf>,
    /// Tells by the receiver's metrics whether the old secret can be removed; exit 0 only where it can.
    #[arg(long)]
    check: bool,
    /// The receiver's metrics.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080/metrics")]
    metrics: String,
}

/// Runs it.
pub async fn run(args: &Args, stripe: &Stripe) -> anyhow::Result<ExitCode> {
    if args.check {
        return check(args, stripe).await;
    }
    let secret = new_secret()?;
    if stripe.secrets.iter().any(|known| known.expose() == secret) {
        bail!("this secret is configured already; `ringup endpoint roll-secret --check` tells when the old one can go");
    }
    match &args.write_env {
        Some(file) => {
            env_file::add_secret(file, &secret)?;
            println!("The new secret stands before the old one in {}.", file.display());
        }
        None => println!("Put it before the old one: STRIPE_WEBHOOK_SECRET=NEW,OLD"),
    }
    println!("Restart the receiver: it takes events signed with either.");
    println!("`ringup endpoint roll-secret --check` tells when the old one can be removed.");
    Ok(ExitCode::SUCCESS)
}

fn new_secret() -> anyhow::Result<String> {
    let input = std::io::stdin();
    if input.is_terminal() {
        eprintln!(
            "Roll the secret in Stripe's dashboard, let the old one live on for 24 hours, and paste the new one (whsec_…):"
        );
    }
    let mut line = String::new();
    input.lock().read_line(&mut line)?;
    let secret = line.trim().to_owned();
    if !Form::SIGNING.fits(&secret) {
        bail!("that is not whsec_… in one piece");
    }
    Ok(secret)
}

async fn check(args: &Args, stripe: &Stripe) -> anyhow::Result<ExitCode> {
    if stripe.secrets.len() == 1 {
        println!("One signing secret is configured; there is no old one to remove.");
        return Ok(ExitCode::SUCCESS);
    }
    if stripe.secrets.is_empty() {
        bail!("STRIPE_WEBHOOK_SECRET is not set");
    }
    let metrics = fetch(&args.metrics).await.context("the receiver's metrics are needed: see --metrics")?;
    let use_of = Use::read(&metrics).context("these are not the metrics of a receiver: see --metrics")?;
    let configured: Vec<String> = stripe.secrets.iter().map(|secret| fingerprint(secret.expose())).collect();
    if use_of.held != configured {
        bail!("the receiver runs with other secrets than STRIPE_WEBHOOK_SECRET has here: restart it, then ask again");
    }
    let now = Utc::now().timestamp();
    let mut all_can_go = true;
    for position in 1..stripe.secrets.len() {
        let verdict = use_of.verdict(position, now);
        all_can_go &= verdict.is_ok();
        println!("secret {}: {}", position + 1, verdict.unwrap_or_else(|why| why));
    }
    Ok(if all_can_go { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// When each secret was last used, as a receiver tells it.
struct Use {
    started: i64,
    /// The fingerprints of the secrets that it was started with, the newest first.
    held: Vec<String>,
    last: BTreeMap<usize, i64>,
}

impl Use {
    fn read(metrics: &str) -> Option<Self> {
        let value = |line: &str| line.rsplit(' ').next()?.parse::<i64>().ok();
        let started = metrics.lines().find(|line| line.starts_with("ringup_start_time_seconds "))?;
        let label = |line: &str, name| line.split_once(&format!("{name}=\""))?.1.split('"').next().map(str::to_owned);
        let position = |line: &str| label(line, "position")?.parse::<usize>().ok();
        let of = |name: &'static str| metrics.lines().filter(move |line| line.starts_with(name));
        let held: BTreeMap<usize, String> = of("ringup_signing_secret{")
            .filter_map(|line| Some((position(line)?, label(line, "fingerprint")?)))
            .collect();
        let used = of("ringup_signing_secret_last_used_seconds{");
        Some(Self {
            started: value(started)?,
            held: held.into_values().collect(),
            last: used.filter_map(|line| Some((position(line)?, value(line)?))).collect(),
        })
    }

    /// `Ok` where the secret at this position can be removed, with why or why not.
    fn verdict(&self, position: usize, now: i64) -> Result<String, String> {
        let newer = (0..position).filter_map(|newer| self.last.get(&newer)).max();
        let last = self.last.get(&position);
        let since = last.copied().unwrap_or(self.started);
        let told = last.map_or_else(
            || format!("not used since the receiver started at {}", day(self.started)),
            |last| format!("last used at {}", day(*last)),
        );
        if newer.is_none_or(|newer| *newer < since) {
            return Err(format!("{told}; keep it: no newer secret was used since. Is the new one Stripe's?"));
        }
        if now - since < OVERLAP {
            return Err(format!("{told}; keep it until {}, 24 hours later", day(since + OVERLAP)));
        }
        Ok(format!("{told}; remove it from STRIPE_WEBHOOK_SECRET and restart the receiver"))
    }
}

fn day(at: i64) -> String {
    DateTime::from_timestamp(at, 0).map_or_else(|| at.to_string(), moment)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn metrics(started: i64, used: &[(usize, i64)]) -> String {
        let line = |(position, at): &(usize, i64)| {
            format!("ringup_signing_secret_last_used_seconds{{position=\"{position}\"}} {at}\n")
        };
        format!("# EOF\nringup_start_time_seconds {started}\n") + &used.iter().map(line).collect::<String>()
    }

    #[test]
    fn an_old_secret_goes_a_day_after_its_last_use_and_only_if_a_newer_one_is_used() {
        let can_go =
            |started, used: &[(usize, i64)], now| Use::read(&metrics(started, used)).unwrap().verdict(1, now).is_ok();
        assert!(!can_go(1000, &[], 1000 + 2 * OVERLAP), "neither was used: nothing is known");
        assert!(!can_go(1000, &[(1, 2000)], 2000 + 2 * OVERLAP), "only the old one was used");
        assert!(!can_go(1000, &[(0, 1500), (1, 2000)], 2000 + 2 * OVERLAP), "the old one was used last");
        assert!(!can_go(1000, &[(0, 3000), (1, 2000)], 2000 + OVERLAP - 1));
        assert!(can_go(1000, &[(0, 3000), (1, 2000)], 2000 + OVERLAP));
        assert!(!can_go(1000, &[(0, 3000)], 1000 + OVERLAP - 1));
        assert!(can_go(1000, &[(0, 3000)], 1000 + OVERLAP));
        assert!(Use::read("<html>").is_none());
    }

    #[test]
    fn the_receivers_secrets_are_read_by_position() {
        let told = metrics(1, &[])
            + "ringup_signing_secret{position=\"10\",fingerprint=\"c\"} 1\n\
               ringup_signing_secret{fingerprint=\"a\",position=\"0\"} 1\nringup_signing_secret_used_total{position=\"2\"} 4\n";
        assert_eq!(Use::read(&told).unwrap().held, ["a", "c"]);
        assert_eq!(fingerprint("whsec_a"), fingerprint("whsec_a"));
        assert_ne!(fingerprint("whsec_a"), fingerprint("whsec_b"));
    }
}
