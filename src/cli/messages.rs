//! `ringup messages list|show|retry|discard`

use super::table::{Table, moment};
use crate::outbox::history::{self, Filter, MessageRow, Told};
use anyhow::Context;
use clap::Subcommand;
use diesel::QueryResult;
use diesel::pg::PgConnection;
use serde_json::json;
use std::process::ExitCode;
use uuid::Uuid;

#[derive(Subcommand)]
pub enum Command {
    /// Lists messages, the newest first.
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
    /// Shows a message with each attempt and what was answered.
    Show {
        /// As `list` shows it.
        id: Uuid,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Has messages tried anew, with all their attempts before them.
    Retry {
        /// As `list` shows them.
        #[arg(required = true)]
        ids: Vec<Uuid>,
    },
    /// Gives messages up.
    Discard {
        /// As `list` shows them.
        #[arg(required = true)]
        ids: Vec<Uuid>,
    },
}

#[derive(clap::Args)]
pub struct Which {
    /// Only messages that are queued, sent or dead.
    #[arg(long, value_parser = ["queued", "sent", "dead"])]
    state: Option<String>,
    /// Only messages by email, slack or webhook.
    #[arg(long, value_parser = ["email", "slack", "webhook"])]
    kind: Option<String>,
    /// Only messages to mail, slack or a subscription.
    #[arg(long)]
    destination: Option<String>,
    /// Only messages that tell this, such as order.paid.
    #[arg(long)]
    notice: Option<String>,
}

/// Runs it.
pub fn run(command: &Command) -> anyhow::Result<ExitCode> {
    let config = super::configuration()?;
    let mut conn = super::database(&config)?;
    match command {
        Command::List { which, limit, json } => {
            let filter = Filter {
                state: which.state.clone(),
                kind: which.kind.clone(),
                destination: which.destination.clone(),
                notice: which.notice.clone(),
            };
            list(&history::list(&mut conn, &filter, None, *limit)?, *json);
        }
        Command::Show { id, json } => {
            let told = history::find(&mut conn, *id)?.with_context(|| format!("there is no message {id}"))?;
            if *json { println!("{:#}", json!(told)) } else { show(&told) }
        }
        Command::Retry { ids } => {
            change(&mut conn, ids, history::retry, "was sent, is being sent right now, or is not there")?;
        }
        Command::Discard { ids } => {
            change(&mut conn, ids, history::discard, "is settled, is being sent right now, or is not there")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn change(
    conn: &mut PgConnection,
    ids: &[Uuid],
    change: fn(&mut PgConnection, Uuid) -> QueryResult<Option<MessageRow>>,
    refusal: &str,
) -> anyhow::Result<()> {
    let mut refused = 0;
    for id in ids {
        if let Some(message) = change(conn, *id)? {
            println!("{id}  {}", message.state);
        } else {
            refused += 1;
            eprintln!("{id}  {refusal}");
        }
    }
    anyhow::ensure!(refused == 0, "{refused} of {} could not be changed", ids.len());
    Ok(())
}

fn list(messages: &[MessageRow], json: bool) {
    if json {
        for message in messages {
            println!("{}", json!(message));
        }
        return;
    }
    let mut table = Table::new(&["ID", "QUEUED AT", "STATE", "TO", "KEY", "NEXT", "LAST ERROR"]);
    for message in messages {
        table.row(&[
            &message.id.to_string(),
            &moment(message.created_at),
            standing(message),
            &message.destination,
            &message.dedupe_key,
            &(if message.state == "queued" { moment(message.next_at) } else { String::new() }),
            message.last_error.as_deref().unwrap_or_default().lines().next().unwrap_or_default(),
        ]);
    }
    print!("{table}");
}

fn standing(message: &MessageRow) -> &str {
    match (&message.state[..], message.held, message.waiting) {
        ("queued", true, _) => "held",
        ("queued", _, true) => "waiting",
        (state, ..) => state,
    }
}

fn show(told: &Told) {
    let message = &told.message;
    println!("{}  {}  to {}", message.dedupe_key.escape_debug(), standing(message), message.destination);
    println!("queued {}", moment(message.created_at));
    for attempt in &told.attempts {
        println!(
            "{:>3}  {}  {} ms  {}  {}",
            attempt.number,
            moment(attempt.started_at),
            attempt.duration_ms,
            attempt.outcome,
            attempt.answer.escape_debug()
        );
    }
    match (&message.state[..], message.settled_at) {
        ("queued", _) => println!("next attempt not before {}", moment(message.next_at)),
        (state, Some(at)) => println!("{state} {}", moment(at)),
        (_, None) => {}
    }
    if let Some(error) = &message.last_error {
        println!("last error: {}", error.escape_debug());
    }
}
