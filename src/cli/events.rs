//! `ringup events list|show|replay`

use super::moments::moment_or_ago;
use super::table::{Table, moment};
use crate::inbox::State;
use crate::inbox::browse::{self, EventName, EventRow, Filter};
use crate::intake::Rules;
use crate::orders::OrderRow;
use crate::worker::{Replay, Report, replay};
use anyhow::Context;
use chrono::{DateTime, Utc};
use clap::Subcommand;
use diesel::pg::PgConnection;
use serde_json::json;
use std::process::ExitCode;

/// Events read at once.
const PAGE: i64 = 500;

#[derive(Subcommand)]
pub enum Command {
    /// Lists events, the newest first.
    List {
        #[command(flatten)]
        which: Which,
        /// How many.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..=1000))]
        limit: i64,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Shows an event with its body as it was signed.
    Show {
        /// The sender's id, or the row as `list` shows it.
        #[arg(value_parser = name)]
        id: EventName,
    },
    /// Judges and applies events anew, after a fix or a change of settings; sends no message again.
    Replay {
        /// The senders' ids, or rows as `list` shows them.
        #[arg(value_parser = name, required_unless_present = "since", conflicts_with_all = ["since", "state", "kind", "source", "object"])]
        ids: Vec<EventName>,
        #[command(flatten)]
        which: Which,
        /// Prints the orders before and after, and takes it all back.
        #[arg(long)]
        dry_run: bool,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
}

#[derive(clap::Args)]
pub struct Which {
    /// Received since: 90s, 30m, 2h, 3d, or a date such as 2026-11-24T08:00:00Z.
    #[arg(long, value_parser = moment_or_ago)]
    since: Option<DateTime<Utc>>,
    /// Only events that are pending, processed, ignored or quarantined.
    #[arg(long, value_parser = state)]
    state: Option<State>,
    /// Only events of this type.
    #[arg(long = "type")]
    kind: Option<String>,
    /// Only events of stripe, github, shop or `stripe_api`.
    #[arg(long)]
    source: Option<String>,
    /// Only events about this object.
    #[arg(long)]
    object: Option<String>,
}

impl Which {
    fn filter(&self) -> Filter {
        Filter {
            state: self.state,
            kind: self.kind.clone(),
            source: self.source.clone(),
            object: self.object.clone(),
            since: self.since,
        }
    }
}

fn name(text: &str) -> Result<EventName, &'static str> {
    EventName::parse(text).ok_or("is no id")
}

fn state(text: &str) -> Result<State, &'static str> {
    State::parse(text).ok_or("is none of pending, processed, ignored, quarantined")
}

/// Runs it.
pub fn run(command: &Command) -> anyhow::Result<ExitCode> {
    let config = super::configuration()?;
    let mut conn = super::database(&config)?;
    match command {
        Command::List { which, limit, json } => {
            print_list(&browse::list(&mut conn, &which.filter(), None, *limit)?, *json);
        }
        Command::Show { id } => show(&mut conn, id)?,
        Command::Replay { ids, which, dry_run, json } => {
            let mut replays =
                Replays { rules: Rules::new(&config), dry_run: *dry_run, json: *json, failed: 0, done: 0 };
            for id in ids {
                replays.one(&mut conn, id)?;
            }
            if ids.is_empty() {
                replays.all(&mut conn, &which.filter())?;
            }
            return Ok(replays.end());
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print_list(events: &[EventRow], json: bool) {
    if json {
        for event in events {
            println!("{}", json!(event));
        }
        return;
    }
    let mut table = Table::new(&["ROW", "RECEIVED", "SOURCE", "TYPE", "ID", "STATE", "REASON"]);
    for event in events {
        table.row(&[
            &event.id.to_string(),
            &moment(event.received_at),
            &event.source,
            &event.event_type,
            &event.event_id,
            &event.state,
            event.reason.as_deref().unwrap_or_default(),
        ]);
    }
    print!("{table}");
}

fn show(conn: &mut PgConnection, id: &EventName) -> anyhow::Result<()> {
    let event = browse::find(conn, id)?.context("there is no event of this id")?;
    println!("{:#}", json!(event));
    if let Some(waiting) = browse::waiting(conn, event.id)? {
        println!("waits: {:#}", json!(waiting));
    }
    match browse::body(conn, event.id)? {
        Some(body) => {
            let text = String::from_utf8_lossy(&body);
            println!("{}", text.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}"));
        }
        None => println!("its bytes are kept no longer"),
    }
    Ok(())
}

struct Replays {
    rules: Rules,
    dry_run: bool,
    json: bool,
    failed: usize,
    done: usize,
}

impl Replays {
    fn all(&mut self, conn: &mut PgConnection, filter: &Filter) -> anyhow::Result<()> {
        let mut after = None;
        loop {
            let page = browse::matching(conn, filter, after, PAGE)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id);
            for event in &page {
                self.one(conn, &EventName::Row(event.id))?;
            }
        }
    }

    fn one(&mut self, conn: &mut PgConnection, name: &EventName) -> anyhow::Result<()> {
        let told = match name {
            EventName::Row(row) => format!("row {row}"),
            EventName::Sent(id) => id.escape_debug().to_string(),
        };
        match replay(conn, &self.rules, name, self.dry_run)? {
            Replay::Done(report) => {
                self.done += 1;
                self.print(&report);
            }
            Replay::NotFound => {
                self.failed += 1;
                eprintln!("{told}: there is no such event, or its bytes are kept no longer");
            }
            Replay::InFlight => {
                self.failed += 1;
                eprintln!("{told}: pending already; a worker sees to it");
            }
        }
        Ok(())
    }

    fn print(&self, report: &Report) {
        if self.json {
            println!("{}", json!(report));
            return;
        }
        let event = &report.event;
        let reason = event.reason.as_deref().map(|reason| format!(" ({})", reason.escape_debug())).unwrap_or_default();
        println!(
            "{}  {}  {} → {}{reason}",
            event.event_id.escape_debug(),
            event.event_type,
            report.state_before,
            event.state
        );
        if report.before != report.after || report.dry_run {
            print_orders("before", &report.before);
            print_orders("after", &report.after);
        }
    }

    fn end(self) -> ExitCode {
        let how = if self.dry_run { "would be replayed" } else { "replayed" };
        if !self.json {
            println!("{} {how}, {} not", self.done, self.failed);
        }
        if self.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

fn print_orders(when: &str, orders: &[OrderRow]) {
    if orders.is_empty() {
        println!("    {when}: no order");
    }
    for order in orders {
        println!(
            "    {when}: {} {} paid {} refunded {} {} (version {})",
            order.reference.escape_debug(),
            order.status,
            order.amount_paid,
            order.amount_refunded,
            order.currency.as_deref().unwrap_or("-"),
            order.version
        );
    }
}
