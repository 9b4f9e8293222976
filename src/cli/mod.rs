//! The command line: one file a subcommand. Commands call the same functions of a room as HTTP handlers do.

pub mod dev;
pub mod trigger;

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Parser;

/// Rings up every payment exactly once.
#[derive(Debug, Parser)]
#[command(name = "ringup", version)]
enum Command {
    Trigger(trigger::Args),
}

/// Parses the command line and runs the subcommand.
pub fn run() -> ExitCode {
    let Command::Trigger(args) = Command::parse();
    match trigger::run(&args, &BTreeMap::new(), &mut std::io::stdout()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
