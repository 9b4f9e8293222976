//! `ringup dev`: a receiver on a machine with nothing set up but Postgres' programs.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpListener;
use std::path::PathBuf;
use std::thread::JoinHandle;

use anyhow::{Context, Result, bail};
use tokio::sync::oneshot;

use super::trigger::{order_line, quoted};
use crate::config::signing_secrets;
use crate::dev::home::Home;
use crate::dev::postgres::Cluster;
use crate::dev::probe::Probe;
use crate::dev::{DevSettings, demo};

/// The database within the private cluster.
const DATABASE: &str = "ringup";
const DEFAULT_PORT: u16 = 8080;
/// How many ports above the wished one are tried.
const PORTS_TRIED: u16 = 100;

/// Starts a private Postgres, migrates, serves, and prints where to look.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A sample shop's events arrive by themselves
    #[arg(long)]
    pub demo: bool,
    /// Where the database, the mails and the secrets are kept
    #[arg(long, default_value = ".ringup")]
    pub dir: PathBuf,
    /// The port to listen on [default: PORT, else 8080, else the next free one]
    #[arg(long)]
    pub port: Option<u16>,
}

/// What a command learns of its surroundings.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The environment over `.env`.
    pub given: &'a BTreeMap<String, String>,
    /// How a person calls this program, such as `target/debug/ringup`.
    pub program: &'a str,
}

/// Prepares everything, and gives it to `receive`, which migrates, serves until SIGINT or SIGTERM, and calls its
/// second argument once it listens. Postgres is stopped in any case.
pub fn run(
    args: &Args,
    caller: Caller<'_>,
    out: &mut impl Write,
    receive: impl FnOnce(&DevSettings, &mut dyn FnMut() -> Result<()>) -> Result<()>,
) -> Result<()> {
    let home = Home::open(&args.dir)?;
    let remembered = home.secrets()?;
    let mail = home.mail()?;
    let host = caller.given.get("HOST").map_or("127.0.0.1", String::as_str);
    let port = choose_port(host, args.port, caller.given.get("PORT"), out)?;
    writeln!(out, "Starting a private Postgres in {}", home.dir().display())?;
    let cluster = Cluster::open(home.dir(), &crate::dev::postgres::Options::default())?;
    if !cluster.data_dir().starts_with(home.dir()) {
        writeln!(out, "Its files are in {}: its user can't enter the directory above", cluster.data_dir().display())?;
    }
    cluster.create_database(DATABASE)?;
    let settings = DevSettings::new(caller.given, remembered, &cluster.url(DATABASE), port, &mail)?;

    let mut demo = None;
    let ended = receive(&settings, &mut || {
        home.announce(&base(port))?;
        out.write_all(banner(args, caller, &home, &settings).as_bytes())?;
        out.flush()?;
        if args.demo {
            demo = Some(Demo::start(&settings)?);
        }
        Ok(())
    });
    drop(demo);
    let stopped = cluster.stop();
    ended.and(stopped)
}

fn base(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// A port that a person asked for by flag is taken or refused; any other may give way to the next free one.
fn choose_port(host: &str, asked: Option<u16>, given: Option<&String>, out: &mut impl Write) -> Result<u16> {
    let free = |port: u16| TcpListener::bind((host, port)).is_ok();
    if let Some(port) = asked {
        if !free(port) {
            bail!("port {port} is taken");
        }
        return Ok(port);
    }
    let wish = match given {
        Some(text) => text.parse().ok().filter(|port| *port > 0).context("PORT is not a port number")?,
        None => DEFAULT_PORT,
    };
    let last = wish.saturating_add(PORTS_TRIED);
    let port =
        (wish..=last).find(|port| free(*port)).with_context(|| format!("ports {wish} to {last} are all taken"))?;
    if port != wish {
        writeln!(out, "Port {wish} is taken: using {port}")?;
    }
    Ok(port)
}

/// What a person needs to go on. Each line can be pasted as it is.
fn banner(args: &Args, caller: Caller<'_>, home: &Home, settings: &DevSettings) -> String {
    let port = settings.get("PORT");
    let base = format!("http://127.0.0.1:{port}");
    let usual = args.dir.as_os_str() == ".ringup";
    let dir = if usual { String::new() } else { format!(" --dir {}", quoted(&args.dir)) };
    let env_file = args.dir.join("env");
    let token_file = (!caller.given.contains_key("API_TOKEN")).then_some(env_file.as_path());
    let order = order_line(&base, "REFERENCE", token_file);
    let secret = settings.get("STRIPE_WEBHOOK_SECRET");
    let demo = if args.demo { "\nThe sample shop is open: its orders arrive by themselves.\n" } else { "" };
    format!(
        "
  endpoint  {base}/webhooks/stripe
  secret    {secret}
  mails     {mail}
  secrets   {env}

Send a sample checkout:
  {program} trigger checkout{dir}
Look at an order, at the database:
  {order}
  psql {database}
Forward your Stripe sandbox (add the secret that it prints to STRIPE_WEBHOOK_SECRET in {env}, after a comma):
  stripe listen --all-snapshot --forward-to localhost:{port}/webhooks/stripe
{demo}
Ctrl-C stops the receiver and its Postgres; the data stay.
",
        mail = home.dir().join("mail").display(),
        env = home.env_file().display(),
        program = caller.program,
        database = settings.get("DATABASE_URL"),
    )
}

/// The sample shop on a thread of its own; closed when dropped.
struct Demo {
    close: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Demo {
    fn start(settings: &DevSettings) -> Result<Self> {
        let secrets = signing_secrets(settings.0.clone())?;
        let secret = secrets.into_iter().next().context("there is no signing secret")?;
        let probe = Probe::new(format!("http://127.0.0.1:{}/webhooks/stripe", settings.get("PORT")), secret)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (close, closed) = oneshot::channel();
        let thread = std::thread::Builder::new().name("demo".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = demo::run(probe) => {}
                    _ = closed => {}
                }
            });
        })?;
        Ok(Self { close: Some(close), thread: Some(thread) })
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.close = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
