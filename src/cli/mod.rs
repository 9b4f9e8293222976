//! The commands: one file a subcommand. A command reads its arguments, calls a room, and prints.
//!
//! Exit codes: 0 done, 1 could not be done, 2 the command line is wrong.

mod config;
pub mod dev;
mod endpoint;
mod events;
mod messages;
mod migrate;
mod moments;
mod orders;
mod serve;
mod subscriptions;
mod sync;
mod table;
mod templates;
pub mod trigger;
mod worker;

use crate::config::{Config, Logging, environment, program};
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// A Stripe webhook receiver that rings up every payment exactly once.
#[derive(Parser)]
#[command(name = "ringup", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Receives webhooks and works on what is left over.
    Serve(serve::Args),
    /// Works on what is left over, without HTTP.
    Worker,
    /// Applies pending migrations; safe from several processes at once.
    Migrate,
    /// Looks at what was received, and replays it.
    #[command(subcommand)]
    Events(events::Command),
    /// Looks at orders, releases and rebuilds them.
    #[command(subcommand)]
    Orders(orders::Command),
    /// Looks at messages, has them tried anew, or gives them up.
    #[command(subcommand)]
    Messages(messages::Command),
    /// Says who is told what: signed webhooks and Slack.
    #[command(subcommand)]
    Subscriptions(subscriptions::Command),
    /// Registers the receiver with Stripe, and looks whether all is well.
    #[command(subcommand)]
    Endpoint(endpoint::Command),
    Sync(sync::Args),
    Dev(dev::Args),
    Trigger(trigger::Args),
    /// Looks at the configuration.
    #[command(subcommand)]
    Config(config::Command),
    /// Looks at the mail templates.
    Templates(templates::Args),
}

/// Runs the command line.
pub fn run() -> ExitCode {
    // Tests of crashes name the points at which to stop; a build for use has none.
    #[cfg(feature = "failpoints")]
    let _scenario = fail::FailScenario::setup();
    let command = Cli::parse().command;
    crate::logging::start(&Logging::from_env());
    run_command(command).unwrap_or_else(|error| {
        eprintln!("ringup: {error:#}");
        ExitCode::FAILURE
    })
}

fn run_command(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(args) => serve::run(&args)?,
        Command::Worker => worker::run()?,
        Command::Migrate => migrate::run()?,
        Command::Config(command) => config::run(&command)?,
        Command::Events(command) => return events::run(&command),
        Command::Orders(command) => return orders::run(&command),
        Command::Messages(command) => return messages::run(&command),
        Command::Subscriptions(command) => return subscriptions::run(command),
        Command::Sync(args) => return sync::run(&args),
        Command::Endpoint(command) => return endpoint::run(command),
        Command::Templates(args) => return Ok(templates::run(&args)),
        Command::Trigger(args) => return trigger::run(&args, &environment()?, &mut std::io::stdout()),
        Command::Dev(args) => {
            let caller = dev::Caller { given: &environment()?, program: &program() };
            dev::run(&args, caller, &mut std::io::stdout(), |settings, ready| serve::run_dev(settings, ready))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn configuration() -> anyhow::Result<Config> {
    Ok(Config::from_env()?)
}

/// A connection for one command; a database that is down is told at once.
fn database(config: &Config) -> anyhow::Result<diesel::PgConnection> {
    let mut conn = crate::db::connect(config.database_url.expose())?;
    crate::db::check_schema(&mut conn)?;
    Ok(conn)
}

/// What is said where Stripe's API is to be asked and there is no key.
fn no_key(permission: &str) -> String {
    format!("STRIPE_SECRET_KEY is not set; Stripe's dashboard has it (sk_… or, with the permission {permission}, rk_…)")
}

/// Runs what talks over the network to its end.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
