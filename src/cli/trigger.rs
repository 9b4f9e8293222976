//! `ringup trigger`: a sample purchase's events, signed and posted as Stripe would.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use chrono::Utc;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use crate::config::{Secret, signing_secrets};
use crate::dev::home;
use crate::dev::probe::Probe;
use crate::dev::scenarios::{self, Event, Stream};

/// Where a receiver listens unless told otherwise.
const DEFAULT_URL: &str = "http://127.0.0.1:8080/webhooks/stripe";
const ENDPOINT: &str = "/webhooks/stripe";

/// Signs and posts a realistic stream of events, without a Stripe account.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// What happens to the purchase: see --list
    #[arg(required_unless_present = "list")]
    pub scenario: Option<String>,
    /// The endpoint.
    #[arg(long, value_name = "URL", help = format!("The endpoint [default: that of a running dev, else {DEFAULT_URL}]"))]
    pub to: Option<String>,
    /// The signing secret.
    #[arg(long, help = "The signing secret [default: STRIPE_WEBHOOK_SECRET, else that of dev]")]
    pub secret: Option<String>,
    /// Purchases
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub count: u32,
    /// Posts all events in random order
    #[arg(long)]
    pub shuffle: bool,
    /// Posts each event this many times more
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub duplicate: u32,
    /// Posts at most so many events a second; without it each follows the answer to the one before
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rate: Option<u32>,
    /// The directory of the `ringup dev` to post to
    #[arg(long, default_value = ".ringup")]
    pub dir: PathBuf,
    /// Names the scenarios
    #[arg(long)]
    pub list: bool,
}

/// What a command line leaves open, looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    url: String,
    secret: Secret,
    /// The file that holds the API token, where the environment has none.
    env_file: Option<PathBuf>,
}

/// Posts, and prints a line for each event. `given` is the environment over `.env`. Fails where an answer isn't 2xx.
pub fn run(args: &Args, given: &BTreeMap<String, String>, out: &mut impl Write) -> Result<ExitCode> {
    if args.list {
        let width = scenarios::list().iter().map(|scenario| scenario.name.len()).max().unwrap_or(0);
        for scenario in scenarios::list() {
            writeln!(out, "{:width$}  {}", scenario.name, scenario.about)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut rng = StdRng::from_rng(&mut rand::rng());
    let streams = play(args, &mut rng)?;
    let target = Target::find(args, given)?;
    let probe = Probe::new(&target.url, target.secret.clone())?;
    let mut events: Vec<&Event> = streams.iter().flat_map(|stream| &stream.events).collect();
    let copies = args.duplicate as usize + 1;
    events = events.into_iter().flat_map(|event| std::iter::repeat_n(event, copies)).collect();
    if args.shuffle {
        events.shuffle(&mut rng);
    }
    let accepted = super::block_on(post(&probe, &events, args.rate, out))?;
    conclude(&target, &streams, out)?;
    Ok(if accepted { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn play(args: &Args, rng: &mut StdRng) -> Result<Vec<Stream>> {
    let name = args.scenario.as_deref().unwrap_or_default();
    let now = Utc::now().timestamp();
    let streams: Option<Vec<Stream>> = (0..args.count).map(|_| scenarios::play(name, rng, now)).collect();
    streams.with_context(|| {
        let names: Vec<&str> = scenarios::list().iter().map(|scenario| scenario.name).collect();
        format!("no scenario {name:?}; there are {}", names.join(", "))
    })
}

/// Whether all answers were 2xx. A receiver that can't be reached ends it.
async fn post(probe: &Probe, events: &[&Event], rate: Option<u32>, out: &mut impl Write) -> Result<bool> {
    let width = events.iter().map(|event| event.kind.len()).max().unwrap_or(0);
    let mut accepted = true;
    let mut refused = false;
    let mut pace = rate.map(|rate| tokio::time::interval(Duration::from_secs(1) / rate));
    for event in events {
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        let answer = probe.post(event.body.as_bytes(), Utc::now().timestamp()).await?;
        accepted &= answer.accepted();
        refused |= answer.status == 400 && answer.body.contains("invalid_signature");
        // What the other side sends reaches a terminal.
        let shown = answer.body.replace(char::is_control, " ");
        writeln!(out, "{:width$}  {}  {}  {shown}", event.kind, event.id, answer.status)?;
    }
    if refused {
        writeln!(out, "\nThe receiver has another secret than the one signed with: see --secret.")?;
    }
    Ok(accepted)
}

fn conclude(target: &Target, streams: &[Stream], out: &mut impl Write) -> Result<()> {
    writeln!(out)?;
    for stream in streams {
        writeln!(out, "order {}", stream.reference)?;
    }
    let (Some(base), Some(stream)) = (target.url.strip_suffix(ENDPOINT), streams.last()) else { return Ok(()) };
    writeln!(out, "{}", order_line(base, &stream.reference, target.env_file.as_deref()))?;
    Ok(())
}

/// The line to paste for one order; `env_file` is where the token stands if the shell does not have it.
pub fn order_line(base: &str, reference: &str, env_file: Option<&Path>) -> String {
    let curl = format!(r#"curl -s -H "Authorization: Bearer $API_TOKEN" {base}/api/orders/{reference}"#);
    match env_file {
        Some(file) => format!("(. {}; {curl})", quoted(file)),
        None => curl,
    }
}

/// A path as a shell takes it.
pub fn quoted(path: &Path) -> String {
    let path = path.to_string_lossy();
    if path.chars().all(|c| c.is_alphanumeric() || "/._-+@:,".contains(c)) {
        return path.into_owned();
    }
    format!("'{}'", path.replace('\'', r"'\''"))
}

impl Target {
    fn find(args: &Args, given: &BTreeMap<String, String>) -> Result<Self> {
        let note = home::running(&args.dir);
        let env_file = note.as_ref().map_or_else(|| args.dir.join("env"), |note| note.env_file.clone());
        let remembered = home::read_env(&env_file)?;
        let url = args.to.clone().or_else(|| note.map(|note| note.url + ENDPOINT));
        let secret = match &args.secret {
            Some(secret) => Secret::new(secret.trim()).context("--secret is blank")?,
            None => newest(given, &remembered)?,
        };
        let from_file = !given.contains_key("API_TOKEN") && remembered.contains_key("API_TOKEN");
        Ok(Self { url: url.unwrap_or_else(|| DEFAULT_URL.to_owned()), secret, env_file: from_file.then_some(env_file) })
    }
}

/// The newest signing secret that is set, or else that of dev.
fn newest(given: &BTreeMap<String, String>, remembered: &BTreeMap<String, String>) -> Result<Secret> {
    let set = signing_secrets(given.clone())?;
    let secrets = if set.is_empty() { signing_secrets(remembered.clone())? } else { set };
    secrets
        .into_iter()
        .next()
        .context("no signing secret: give --secret, set STRIPE_WEBHOOK_SECRET, or start `ringup dev` once")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use super::{order_line, quoted};

    #[test]
    fn the_printed_line_survives_a_shell() {
        assert_eq!(quoted(Path::new("/home/a b/it's")), r"'/home/a b/it'\''s'");
        let line = order_line("http://127.0.0.1:8080", "CS-1", Some(Path::new(".ringup/env")));
        assert!(line.starts_with("(. .ringup/env; curl "), "a path without a slash would be searched on PATH");
    }
}
