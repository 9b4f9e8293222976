//! `ringup sync`: what was missed is fetched from Stripe.

use super::moments::moment_or_ago;
use crate::config::Config;
use crate::db;
use crate::intake::{Budget, Intake, Rules};
use crate::stripe_api::events::KEPT;
use crate::sync::{Fetcher, Range, Tally, named};
use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use indicatif::{ProgressBar, ProgressStyle};
use std::process::ExitCode;
use std::sync::Arc;

/// Bodies in memory at once, in bytes.
const IN_FLIGHT: usize = 64 << 20;
/// Connections for looking events up and for the cursor.
const POOL: u32 = 2;

/// Takes in events that were missed, from Stripe's list, our own and those of the accounts in `STRIPE_ACCOUNTS`; what is
/// known costs nothing, and changes nothing.
#[derive(clap::Args)]
pub struct Args {
    /// Events that happened since: 90s, 30m, 2h, 3d, or a date such as 2026-11-24T08:00:00Z; at most 30 days.
    #[arg(long, default_value = "3d", value_parser = moment_or_ago)]
    since: DateTime<Utc>,
    /// Events that happened before, in the same words; at the latest, and without it, now.
    #[arg(long, value_parser = moment_or_ago)]
    until: Option<DateTime<Utc>>,
    /// Only events that at least one endpoint did not take.
    #[arg(long)]
    only_failed: bool,
    /// Counts what is missing and takes nothing in.
    #[arg(long)]
    dry_run: bool,
}

/// Runs it.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = super::configuration()?;
    db::check_schema(&mut db::connect(config.database_url.expose())?)?;
    let range = range(args, Utc::now())?;
    super::block_on(async {
        let rules = Arc::new(Rules::new(&config));
        let (intake, writer) = Intake::new(config.database_url.expose(), rules.settings.clone(), || ())?;
        let done = all(&config, rules, intake, range).await;
        tokio::task::spawn_blocking(move || writer.stop()).await.context("the writer could not be stopped")?;
        done
    })
}

/// What is yet to happen is not compared: it would count as done.
fn range(args: &Args, now: DateTime<Utc>) -> anyhow::Result<Range> {
    let (since, until) = (args.since.timestamp(), args.until.unwrap_or(now).min(now).timestamp());
    // A minute of slack, so that 30d is not too long by the time that it takes to get here.
    if since < now.timestamp() - KEPT - 60 {
        bail!("Stripe keeps its events for 30 days: --since may not be earlier");
    }
    if since >= until {
        bail!("--since is not before --until, or before now");
    }
    Ok(Range { since, until, only_failed: args.only_failed, dry_run: args.dry_run })
}

/// One account after the other: what keeps one from being asked need not keep the next.
async fn all(config: &Config, rules: Arc<Rules>, intake: Intake, range: Range) -> anyhow::Result<ExitCode> {
    let pool = db::pool(config.database_url.expose(), POOL);
    let fetcher = Fetcher::new(config, pool, rules, (intake, Budget::new(IN_FLIGHT)))?;
    let fetcher = fetcher.with_context(|| super::no_key("Events: Read"))?;
    let mut code = ExitCode::SUCCESS;
    for account in fetcher.accounts() {
        let whose = named(account, fetcher.livemode());
        let (bar, mut found) = (bar(&whose, range), Tally::default());
        let done = fetcher.backfill(account, &range, &mut found, |progress| {
            bar.set_position(u64::try_from(progress.reached - range.since).unwrap_or(0));
            bar.set_message(format!("{} listed, {} missed", progress.tally.listed, progress.tally.missed));
        });
        let done = done.await;
        bar.finish_and_clear();
        tell(&whose, &found, &range);
        if let Err(error) = done {
            eprintln!("ringup: {whose}: cut off; the same command goes on from there: {error:#}");
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

/// Shown on a terminal alone.
fn bar(whose: &str, range: Range) -> ProgressBar {
    let length = u64::try_from(range.until - range.since).unwrap_or(0);
    let style = ProgressStyle::with_template("{prefix} {wide_bar} {percent}% {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style).with_prefix(whose.to_owned())
}

fn tell(whose: &str, tally: &Tally, range: &Range) {
    let missed = if range.dry_run { "would be taken in" } else { "were missed, and are taken in" };
    println!(
        "{whose}: {} events listed, {} known, {} {missed}, {} say nothing of orders",
        tally.listed, tally.known, tally.missed, tally.of_no_concern
    );
    for (kind, count) in &tally.kinds {
        println!("  {count:>6}  {kind}");
    }
}
