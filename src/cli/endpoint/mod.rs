//! `ringup endpoint create|list|update|delete|roll-secret|doctor`

mod doctor;
mod env_file;
mod roll;

use super::table::Table;
use crate::config::{Stripe, mode_name};
use crate::orders::UNDERSTOOD;
use crate::stripe_api::endpoints::{Change, Endpoint, READ, WRITE};
use crate::stripe_api::register::{Registered, Wanted};
use crate::stripe_api::{API_VERSION, StripeApi};
use anyhow::{Context, bail};
use clap::Subcommand;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Subcommand)]
pub enum Command {
    /// Registers the receiver with Stripe; one that is registered for the URL is updated.
    Create {
        /// Where Stripe is to post, such as `https://your-host/webhooks/stripe`.
        #[arg(long)]
        url: String,
        /// Event types: default (those that say something of orders), all, or names with commas between.
        #[arg(long, default_value = "default")]
        events: String,
        /// How Stripe renders events.
        #[arg(long, default_value = API_VERSION)]
        api_version: String,
        /// For the events of connected accounts.
        #[arg(long)]
        connect: bool,
        /// Adds the signing secret to this file of variables, before those that are there; where the endpoint was there
        /// before, the file must have it.
        #[arg(long, value_name = "FILE")]
        write_env: Option<PathBuf>,
    },
    /// Lists the endpoints that Stripe has.
    List {
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Changes an endpoint; what is not said stays.
    Update {
        /// As `list` shows it.
        id: String,
        /// Another URL.
        #[arg(long)]
        url: Option<String>,
        /// Event types: default, all, or names with commas between.
        #[arg(long)]
        events: Option<String>,
        /// Has Stripe post again, also where failures had it disabled.
        #[arg(long, conflicts_with = "disable")]
        enable: bool,
        /// Has Stripe post no more.
        #[arg(long)]
        disable: bool,
    },
    /// Deletes an endpoint: Stripe posts there no more.
    Delete {
        /// As `list` shows it.
        id: String,
    },
    RollSecret(roll::Args),
    Doctor(doctor::Args),
}

/// Runs it.
pub fn run(command: Command) -> anyhow::Result<ExitCode> {
    let stripe = Stripe::from_env()?;
    match command {
        Command::RollSecret(args) => return super::block_on(roll::run(&args, &stripe)),
        Command::Doctor(args) => return super::block_on(doctor::run(&args, &stripe)),
        Command::Create { url, events, api_version, connect, write_env } => {
            let wanted = Wanted { api_version, connect, ..Wanted::new(posted_to(&url)?, types(&events)?) };
            let registered = super::block_on(async { Ok(api(&stripe, WRITE)?.register(&wanted).await?) })?;
            tell(&registered, write_env.as_deref())?;
        }
        Command::List { json } => {
            let endpoints = super::block_on(async { Ok(api(&stripe, READ)?.endpoints(READ).await?) })?;
            print(&endpoints, json)?;
        }
        Command::Update { id, url, events, enable, disable } => {
            let change = Change {
                url: url.as_deref().map(posted_to).transpose()?,
                enabled_events: events.as_deref().map(types).transpose()?,
                disabled: (enable || disable).then_some(disable),
            };
            let endpoint = super::block_on(async { Ok(api(&stripe, WRITE)?.change(&id, &change).await?) })?;
            print(&[endpoint], false)?;
        }
        Command::Delete { id } => {
            super::block_on(async { Ok(api(&stripe, WRITE)?.delete_endpoint(&id).await?) })?;
            println!("deleted {}: Stripe posts there no more", id.escape_debug());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Stripe's API; `needs` is the permission that a restricted key must have for the command.
fn api(stripe: &Stripe, needs: &str) -> anyhow::Result<StripeApi> {
    let api = stripe.api.as_ref().with_context(|| super::no_key(needs))?;
    Ok(StripeApi::new(api)?)
}

fn posted_to(url: &str) -> anyhow::Result<String> {
    let parsed = url::Url::parse(url.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let parsed = parsed.with_context(|| format!("{url:?} is not a URL such as https://your-host/webhooks/stripe"))?;
    if !parsed.path().ends_with("/webhooks/stripe") {
        log::warn!("the receiver listens at /webhooks/stripe; a proxy must lead {} there", parsed.path());
    }
    Ok(url.trim().to_owned())
}

fn types(events: &str) -> anyhow::Result<Vec<String>> {
    let named = match events.trim() {
        "default" => return Ok(UNDERSTOOD.iter().map(|kind| (*kind).to_owned()).collect()),
        "all" => return Ok(vec!["*".to_owned()]),
        named => named.split(',').map(|kind| kind.trim().to_owned()),
    };
    let named: Vec<String> = named.collect();
    let is_type =
        |kind: &String| kind.contains('.') && kind.chars().all(|c| c.is_ascii_alphanumeric() || "._".contains(c));
    match named.iter().find(|kind| !is_type(kind)) {
        Some(odd) => bail!("{odd:?} is no event type such as payment_intent.succeeded"),
        None => Ok(named),
    }
}

fn count(events: &[String]) -> String {
    if events == ["*"] { "all".to_owned() } else { events.len().to_string() }
}

fn tell(registered: &Registered, write_env: Option<&std::path::Path>) -> anyhow::Result<()> {
    let about = |endpoint: &Endpoint| {
        let (mode, count) = (mode_name(endpoint.livemode), count(&endpoint.enabled_events));
        let version = endpoint.api_version.as_deref().unwrap_or("the account's default");
        format!("{} for {}: {count} event types, API version {version}, {mode}", endpoint.id, endpoint.url)
    };
    match registered {
        Registered::Created(endpoint, secret) => {
            println!("created {}", about(endpoint));
            println!("\nsigning secret: {}", secret.expose());
            println!("Stripe does not show it here again.");
            match write_env {
                Some(file) => {
                    env_file::add_secret(file, secret.expose())?;
                    println!("It is in {} now: restart the receiver.", file.display());
                }
                None => println!(
                    "Set STRIPE_WEBHOOK_SECRET to it, before one that is there and a comma; then restart the receiver."
                ),
            }
        }
        Registered::Updated(endpoint) => {
            println!("updated {}", about(endpoint));
            println!("Its signing secret stays as it is; Stripe's dashboard shows it.");
            match write_env {
                Some(file) if env_file::has_secret(file) => println!(
                    "{} has a signing secret, and is left as it is; `ringup endpoint doctor` tries it.",
                    file.display()
                ),
                Some(file) => bail!(
                    "nothing was written to {}: Stripe tells a secret only when the endpoint is created",
                    file.display()
                ),
                None => {}
            }
        }
    }
    Ok(())
}

fn print(endpoints: &[Endpoint], json: bool) -> anyhow::Result<()> {
    if json {
        for endpoint in endpoints {
            println!("{}", serde_json::to_string(endpoint)?);
        }
        return Ok(());
    }
    let mut table = Table::new(&["ID", "STATUS", "MODE", "OF", "API VERSION", "EVENTS", "URL"]);
    for endpoint in endpoints {
        let (mode, count) = (mode_name(endpoint.livemode), count(&endpoint.enabled_events));
        let of = if endpoint.is_connect() { "connect" } else { "own" };
        let version = endpoint.api_version.as_deref().unwrap_or_default();
        table.row(&[&endpoint.id, &endpoint.status, mode, of, version, &count, &endpoint.url]);
    }
    print!("{table}");
    Ok(())
}
