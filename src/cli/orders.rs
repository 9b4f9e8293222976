//! `ringup orders list|show|release|rebuild`

mod rebuild;

use super::table::{Table, moment};
use crate::config::{Config, mode_name};
use crate::inbox::NewEvent;
use crate::intake::{Answer, Budget, Intake, Rules, Submission};
use crate::money::Money;
use crate::orders::browse::{Filter, Named, find, list, load};
use crate::orders::explain::{Step, timeline};
use crate::orders::present::shown;
use crate::orders::timeline::Change;
use crate::orders::words::Addressed;
use crate::orders::{Labelling, OrderRow};
use crate::outbox::history::{AttemptRow, MessageRow, of_order};
use anyhow::{Context, bail};
use clap::Subcommand;
use diesel::pg::PgConnection;
use serde_json::json;
use std::process::ExitCode;

#[derive(Subcommand)]
pub enum Command {
    /// Lists orders, the newest first.
    List {
        /// Only orders of this status, such as review.
        #[arg(long)]
        status: Option<String>,
        /// How many.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..=1000))]
        limit: i64,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Shows an order: what each event did to it and why, and each message with its attempts.
    Show {
        #[command(flatten)]
        which: Which,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Says that a person has looked: everything under review may go on.
    Release {
        #[command(flatten)]
        which: Which,
        /// Why, for those who read the order later.
        #[arg(long)]
        note: Option<String>,
    },
    /// Derives orders anew from their stored events, and reports every difference.
    ///
    /// Exits with 0 if no order differed, with 1 if one did, rewritten or not. Run it again: then none differs. Queues no
    /// message: what the events say was told when they came, or is history. A message that still waits and that the order
    /// owes no more is withdrawn; one that it owes goes out. After an update of the order law run it once with --all. It
    /// may run beside a receiver, and may be cut off and run again.
    Rebuild {
        /// The shop's reference, an alias, or an id of Stripe's.
        #[arg(required_unless_present = "all")]
        reference: Option<String>,
        /// Every order.
        #[arg(long, conflicts_with = "reference")]
        all: bool,
        /// Connected account.
        #[arg(long, default_value = "")]
        account: String,
        /// Real money (true) or a test (false); live orders come first where it is not said.
        #[arg(long, conflicts_with = "all")]
        livemode: Option<bool>,
        /// Only reports; writes nothing.
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(clap::Args)]
pub struct Which {
    /// The shop's reference, an alias, or an id of Stripe's.
    reference: String,
    /// Connected account.
    #[arg(long, default_value = "")]
    account: String,
    /// Real money (true) or a test (false); live orders come first where it is not said.
    #[arg(long)]
    livemode: Option<bool>,
}

/// Runs it.
pub fn run(command: &Command) -> anyhow::Result<ExitCode> {
    let config = super::configuration()?;
    let mut conn = super::database(&config)?;
    match command {
        Command::List { status, limit, json } => {
            let filter = Filter { status: status.clone(), ..Filter::default() };
            print_list(&list(&mut conn, &filter, None, *limit)?, *json, &Rules::new(&config).settings.labelling);
        }
        Command::Show { which, json } => show(&mut conn, &config, which, *json)?,
        Command::Release { which, note } => release(&mut conn, &config, which, note.as_deref())?,
        Command::Rebuild { reference, account, livemode, dry_run, .. } => {
            let settings = Rules::new(&config).settings;
            let report = match reference {
                Some(reference) => {
                    let named = Named { reference: reference.clone(), account: account.clone(), livemode: *livemode };
                    let order = find(&mut conn, &named)?.with_context(|| unknown(reference))?;
                    rebuild::one(&mut conn, &settings, order.id, *dry_run)?
                }
                None => rebuild::all(&mut conn, &settings, *dry_run)?,
            };
            return Ok(if report.differing == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn unknown(reference: &str) -> String {
    format!("no order answers to {reference:?}")
}

fn print_list(orders: &[OrderRow], json: bool, labelling: &Labelling) {
    if json {
        for order in orders {
            println!("{}", shown(order, labelling));
        }
        return;
    }
    let mut table = Table::new(&["REFERENCE", "STATUS", "PAID", "REFUNDED", "MODE", "UPDATED", "REVIEW"]);
    for order in orders {
        table.row(&[
            &order.reference,
            &order.status,
            &money(order, order.amount_paid),
            &money(order, order.amount_refunded),
            mode_name(order.livemode),
            &moment(order.updated_at),
            &order.review_reasons.join(" "),
        ]);
    }
    print!("{table}");
}

fn money(order: &OrderRow, amount: i64) -> String {
    order.currency.as_deref().map_or_else(|| "-".to_owned(), |currency| Money::new(amount, currency).format("en"))
}

fn show(conn: &mut PgConnection, config: &Config, which: &Which, json: bool) -> anyhow::Result<()> {
    let row = find(conn, &which.named())?.with_context(|| unknown(&which.reference))?;
    let order = load(conn, row.id, false)?.context("the order is gone")?;
    let settings = Rules::new(config).settings;
    let (steps, _) = timeline(conn, &settings, &order, 0, usize::MAX)?;
    let messages = of_order(conn, row.id)?;
    if json {
        println!("{:#}", json!({ "order": shown(&row, &settings.labelling), "events": steps, "messages": messages }));
        return Ok(());
    }
    println!("order {}  {}  ({})", row.reference, row.status, mode_name(row.livemode));
    println!("  paid {}, refunded {}", money(&row, row.amount_paid), money(&row, row.amount_refunded));
    if !row.review_reasons.is_empty() {
        let next = format!("ringup orders release {}", row.reference);
        println!("  in review: {}; when you have looked: {next}", row.review_reasons.join(", "));
    }
    println!("\nevents, in the sequence of storing");
    steps.iter().for_each(print_step);
    println!("\nmessages");
    for told in &messages {
        print_message(&told.message, &told.attempts);
    }
    Ok(())
}

impl Which {
    fn named(&self) -> Named {
        Named { reference: self.reference.clone(), account: self.account.clone(), livemode: self.livemode }
    }
}

fn print_step(Step { event, effect }: &Step) {
    let what = json!(effect.outcome);
    println!(
        "  {}  {}  {}  {}: {}",
        moment(event.received_at),
        event.event_type,
        event.event_id.escape_debug(),
        what.as_str().unwrap_or_default(),
        effect.because.escape_debug()
    );
    effect.changes.iter().for_each(print_change);
    effect.owes.iter().for_each(|key| println!("      owes {}", key.escape_debug()));
}

fn print_change(change: &Change) {
    println!("      {}: {} → {}", change.field, change.from, change.to);
}

fn print_message(message: &MessageRow, attempts: &[AttemptRow]) {
    let held = if message.held { ", held: the order is in review" } else { "" };
    println!(
        "  {}  {}  {}  {}{held}",
        moment(message.created_at),
        message.kind,
        message.dedupe_key.escape_debug(),
        message.state
    );
    for attempt in attempts {
        println!(
            "      {}. {}  {} ms  {}: {}",
            attempt.number,
            moment(attempt.started_at),
            attempt.duration_ms,
            attempt.outcome,
            attempt.answer.escape_debug()
        );
    }
}

/// It enters through the inbox like every word of the shop's.
fn release(conn: &mut PgConnection, config: &Config, which: &Which, note: Option<&str>) -> anyhow::Result<()> {
    let row = find(conn, &which.named())?.with_context(|| unknown(&which.reference))?;
    let order = load(conn, row.id, false)?.context("the order is gone")?;
    let Some(event) = Addressed::known(order)?.release(conn, note)? else {
        println!("order {} is not in review", row.reference);
        return Ok(());
    };
    submit(config, event)?;
    let row = find(conn, &which.named())?.context("the order is gone")?;
    println!("order {} is {}", row.reference, row.status);
    Ok(())
}

fn submit(config: &Config, event: NewEvent) -> anyhow::Result<()> {
    let rules = Rules::new(config);
    let facts = rules.judge_stored(event.source, &event.body).facts;
    let permit = Budget::new(event.body.len()).reserve(event.body.len()).context("no room for one event")?;
    let (intake, writer) = Intake::new(config.database_url.expose(), rules.settings, || ())?;
    let answer = intake.submit(Submission::new(event, facts, permit))?;
    drop(intake);
    // It ends even where the database never answers; then there is no answer here either.
    writer.stop();
    match answer.now() {
        Ok(Answer::Accepted) => Ok(()),
        Ok(Answer::Duplicate) => bail!("someone else released it at the same moment"),
        Ok(Answer::Unavailable) | Err(_) => bail!("the release could not be stored; the log says why"),
    }
}
