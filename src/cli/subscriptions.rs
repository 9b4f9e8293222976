//! `ringup subscriptions list|add|remove|update|rotate|test|pause|resume`

use super::table::{Table, moment};
use crate::outbox::destinations::{self, Change, Subscription, Wanted, Way, Wish};
use anyhow::Context;
use clap::{Subcommand, ValueEnum};
use diesel::pg::PgConnection;
use serde_json::json;
use std::process::ExitCode;

/// Read at once.
const PAGE: i64 = 500;

#[derive(Subcommand)]
pub enum Command {
    /// Lists who is told what, and what fails; `mail` is `SMTP_URL`, `slack` is `SLACK_WEBHOOK_URL`.
    List {
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Registers a URL, and prints the secret that signs what goes there.
    Add {
        /// Where messages go: https://…
        url: String,
        /// What is told: names such as order.paid, families such as order.* or github.*, or *.
        #[arg(required = true)]
        events: Vec<String>,
        /// How it is told.
        #[arg(long, value_enum, default_value_t = Kind::Webhook)]
        kind: Kind,
        #[command(flatten)]
        filter: Filter,
        /// GitHub's events as GitHub sent them, with its signature.
        #[arg(long)]
        relay: bool,
    },
    /// Changes a subscription; what is not said stays.
    Update {
        /// As `list` shows it.
        id: String,
        /// Another URL.
        #[arg(long)]
        url: Option<String>,
        /// Other notices.
        #[arg(long, num_args = 1..)]
        events: Option<Vec<String>>,
        #[command(flatten)]
        filter: Filter,
    },
    /// Removes a subscription; what is queued for it is given up.
    Remove {
        /// As `list` shows it.
        id: String,
    },
    /// Keeps messages queued until it is resumed.
    Pause {
        /// As `list` shows it.
        id: String,
    },
    /// Lets messages go again, also where failures had it disabled.
    Resume {
        /// As `list` shows it.
        id: String,
    },
    /// Gives it a new secret; the one before signs beside it for 24 hours.
    Rotate {
        /// As `list` shows it.
        id: String,
    },
    /// Queues a test message.
    Test {
        /// As `list` shows it.
        id: String,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Kind {
    /// Signed webhooks, as Standard Webhooks has them.
    Webhook,
    /// A Slack incoming webhook.
    Slack,
}

#[derive(clap::Args)]
pub struct Filter {
    /// Of GitHub's events only those of this repository (owner/name).
    #[arg(long)]
    repository: Option<String>,
    /// Of GitHub's events only those of this ref (refs/heads/main).
    #[arg(long = "ref")]
    git_ref: Option<String>,
}

/// Runs it.
pub fn run(command: Command) -> anyhow::Result<ExitCode> {
    let config = super::configuration()?;
    let mut conn = super::database(&config)?;
    let allow_private = config.targets.allow_private;
    match command {
        Command::List { json } => list(&mut conn, json)?,
        Command::Add { url, events, kind, filter: Filter { repository, git_ref }, relay } => {
            check(&url, allow_private)?;
            let kind = match kind {
                Kind::Webhook => Way::Webhook,
                Kind::Slack => Way::Slack,
            };
            let wanted = Wanted { url, events, kind, repository, git_ref, relay };
            print_made(&destinations::create(&mut conn, &wanted, allow_private)?);
        }
        Command::Update { id, url, events, filter: Filter { repository, git_ref } } => {
            url.as_deref().map_or(Ok(()), |url| check(url, allow_private))?;
            let change = Change { url, events, repository, git_ref, ..Change::default() };
            print(&[destinations::update(&mut conn, &id, &change, allow_private)?]);
        }
        Command::Remove { id } => {
            destinations::delete(&mut conn, &id)?;
            println!("removed {id}");
        }
        Command::Pause { id } => wish(&mut conn, &id, Wish::Paused)?,
        Command::Resume { id } => wish(&mut conn, &id, Wish::Active)?,
        Command::Rotate { id } => print_made(&destinations::rotate(&mut conn, &id)?),
        Command::Test { id } => println!("queued {}", destinations::test(&mut conn, &id)?),
    }
    Ok(ExitCode::SUCCESS)
}

fn check(url: &str, allow_private: bool) -> anyhow::Result<()> {
    super::block_on(async { destinations::check_target(url, allow_private).await.context("the url is refused") })
}

fn wish(conn: &mut PgConnection, id: &str, state: Wish) -> anyhow::Result<()> {
    let change = Change { state: Some(state), ..Change::default() };
    print(&[destinations::update(conn, id, &change, true)?]);
    Ok(())
}

fn list(conn: &mut PgConnection, json: bool) -> anyhow::Result<()> {
    let mut all = Vec::new();
    loop {
        let after = all.last().map(|one: &Subscription| one.id.clone());
        let page = destinations::list(conn, after.as_deref(), PAGE)?;
        if page.is_empty() {
            break;
        }
        all.extend(page);
    }
    if json {
        for one in &all {
            println!("{}", json!(one));
        }
    } else {
        print(&all);
    }
    Ok(())
}

fn print_made(made: &Subscription) {
    print(std::slice::from_ref(made));
    if let Some(secret) = &made.secret {
        println!(
            "\nsecret: {secret}\nIt is not shown again. The receiver verifies with it, as Standard Webhooks says."
        );
    }
}

fn print(all: &[Subscription]) {
    let mut table = Table::new(&["ID", "KIND", "STATE", "QUEUED", "FAILING SINCE", "URL", "EVENTS", "ONLY", "WHY"]);
    for one in all {
        let only =
            [one.repository.as_deref(), one.git_ref.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(" ");
        table.row(&[
            &one.id,
            &one.kind,
            &one.state,
            &one.queued.to_string(),
            &one.failing_since.map(moment).unwrap_or_default(),
            one.url.as_deref().unwrap_or(if one.kind == "email" { "SMTP_URL" } else { "SLACK_WEBHOOK_URL" }),
            &one.events.join(" "),
            &only,
            one.reason.as_deref().or(one.trouble.as_deref()).unwrap_or_default(),
        ]);
    }
    print!("{table}");
}
