//! The commands: one file a subcommand.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub mod templates;

#[derive(Parser)]
#[command(name = "ringup", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Looks at the mail templates.
    Templates(templates::Args),
}

/// Runs the command line.
pub fn run() -> ExitCode {
    match Cli::parse().command {
        Command::Templates(args) => templates::run(&args),
    }
}
