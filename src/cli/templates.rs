//! `ringup templates`: what is wrong with the mail templates, and how a mail looks.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use crate::notices::Kind;
use crate::outbox::Templates;

/// The command's arguments.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Renders every template in every language with sample data, and says which is broken.
    Check {
        /// Templates to lay over the built-in ones.
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// Prints a mail with sample data: its subject and text, or its HTML.
    Preview {
        /// The notice, such as order.paid.
        #[arg(value_parser = notice)]
        notice: Kind,
        /// The customer's locale.
        #[arg(long)]
        locale: Option<String>,
        /// The case, such as "wholly from credit"; another word lists those that the mail has.
        #[arg(long)]
        case: Option<String>,
        /// The HTML part.
        #[arg(long)]
        html: bool,
        /// Templates to lay over the built-in ones.
        #[arg(long)]
        dir: Option<PathBuf>,
    },
}

/// Runs it; exit 1 where a template is broken.
pub fn run(args: &Args) -> ExitCode {
    let done = match &args.command {
        Command::Check { dir } => check(dir.as_deref()),
        Command::Preview { notice, locale, case, html, dir } => {
            preview(notice, locale.as_deref(), case.as_deref(), *html, dir.as_deref())
        }
    };
    match done {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("ringup: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn check(dir: Option<&Path>) -> anyhow::Result<String> {
    let templates = Templates::load(dir)?;
    let locales: BTreeSet<_> = Kind::OF_ORDERS.iter().flat_map(|notice| templates.locales(notice)).collect();
    Ok(format!("all templates are well, in {}", locales.into_iter().collect::<Vec<_>>().join(", ")))
}

fn preview(
    notice: &Kind,
    locale: Option<&str>,
    case: Option<&str>,
    html: bool,
    dir: Option<&Path>,
) -> anyhow::Result<String> {
    let previews = Templates::load(dir)?.previews(notice, locale)?;
    let names = previews.iter().map(|(name, _)| *name).collect::<Vec<_>>().join("\n  ");
    let mut wanted = previews.into_iter().filter(|(name, _)| case.is_none_or(|case| case == *name));
    let (_, [subject, text, page]) = wanted.next().with_context(|| format!("this mail has the cases\n  {names}"))?;
    Ok(if html { page } else { format!("Subject: {}\n\n{}", subject.trim(), text.trim_end()) })
}

fn notice(name: &str) -> anyhow::Result<Kind> {
    serde_json::from_value(name.into()).context("no notice has this name")
}
