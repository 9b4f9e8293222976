//! `make bench`: how fast the receiver is, beside baselines on the same machine, in the same run, in alternating
//! rounds. It starts a Postgres of its own and the real binary, makes and signs all bodies before any clock starts, and
//! counts a rate only where everything that was acknowledged is stored and applied.
//!
//! `ARGS="--only rates-64 --rounds 1"` measures one row. A whole run writes `benches/RESULTS.md`; `--only stored --with-5m`,
//! which fills the tables first and so takes minutes, writes `benches/RESULTS-5M.md`.

mod figures;
mod fill;
mod load;
mod paced;
mod pgbench;
mod postgres;
mod process;
mod product;
mod receivers;
mod report;
mod rows;
mod runs;
mod smtp;
mod traffic;
mod wire;

use std::cell::{Cell, RefCell};
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;

use postgres::Postgres;
use traffic::{Tape, Traffic};

/// A tape lasts at this rate; a faster receiver comes to its end, which is measured rightly.
const FASTEST: usize = 40_000;

/// Measures the receiver beside baselines
#[derive(Parser)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
struct Args {
    /// Only rows with this in their name; may be given several times
    #[arg(long)]
    only: Vec<String>,
    /// How often each is measured
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds that one measurement lasts
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Measures with 5 million events stored, too, which takes minutes and 20 GB
    #[arg(long)]
    with_5m: bool,
    /// Counts the statements that the product runs; only for the row of that name, since counting costs time
    #[arg(long)]
    statements: bool,
    /// A setting of the product's database sessions, such as jit=off, to see what it would do
    #[arg(long)]
    session: Vec<String>,
    /// Names the rows
    #[arg(long)]
    list: bool,
    /// What the program starts itself again as
    #[arg(long, hide = true, requires = "listen")]
    be: Option<Role>,
    #[arg(long, hide = true)]
    listen: Option<SocketAddr>,
    /// Said by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// A receiver to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// Verifies, and stores with one insert a request.
    OneInsert,
    /// Verifies and answers.
    Nothing,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::OneInsert => "one-insert",
            Self::Nothing => "nothing",
        }
    }
}

/// What all rows share.
pub struct Bench {
    /// The database.
    pub postgres: Postgres,
    /// Files of this run.
    pub home: PathBuf,
    /// How often each is measured.
    pub rounds: usize,
    /// How long.
    pub time: Duration,
    /// How many events the tables are filled with, where they are.
    pub stored: Option<u64>,
    /// Statements are counted.
    pub statements: bool,
    /// Settings of the product's sessions.
    pub session: Vec<String>,
    asked: Vec<String>,
    tapes: RefCell<Vec<(Traffic, Rc<Tape>)>>,
    numbers: Cell<u64>,
}

impl Bench {
    fn start(args: &Args) -> Result<Self> {
        // The server's account is another one where ours is root, and must be able to pass through.
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench");
        fs::create_dir_all(&home)?;
        fs::set_permissions(&home, fs::Permissions::from_mode(0o711))?;
        Ok(Self {
            postgres: Postgres::start(&home, args.statements)?,
            home,
            rounds: args.rounds,
            time: Duration::from_secs(args.seconds),
            stored: args.with_5m.then_some(5_000_000),
            statements: args.statements,
            session: args.session.clone(),
            asked: args.only.clone(),
            tapes: RefCell::default(),
            numbers: Cell::new(0),
        })
    }

    /// The tape of a kind of traffic, for fresh databases; made once.
    pub fn tape(&self, traffic: Traffic) -> Result<Rc<Tape>> {
        if let Some((_, tape)) = self.tapes.borrow().iter().find(|(made, _)| *made == traffic) {
            return Ok(Rc::clone(tape));
        }
        let tape = Rc::new(Tape::make(traffic, self.numbers(self.enough()), self.enough())?);
        self.tapes.borrow_mut().push((traffic, Rc::clone(&tape)));
        Ok(tape)
    }

    /// A row was asked for by its name.
    pub fn is_asked(&self, row: &str) -> bool {
        self.asked.iter().any(|part| row.contains(&part[..]))
    }

    /// Events that suffice for one measurement.
    pub fn enough(&self) -> usize {
        FASTEST * (usize::try_from(self.time.as_secs()).unwrap_or(3) + 1)
    }

    /// The first of `count` numbers that nobody else gets.
    pub fn numbers(&self, count: usize) -> u64 {
        self.numbers.replace(self.numbers.get() + count as u64)
    }
}

fn main() -> Result<()> {
    let args = Args::parse();
    if let (Some(role), Some(listen)) = (args.be, args.listen) {
        return receivers::be(role, listen);
    }
    if args.list {
        for row in &rows::ROWS {
            println!("{}", row.name);
        }
        return Ok(());
    }
    let wanted = |name: &str| args.only.is_empty() || args.only.iter().any(|part| name.contains(&part[..]));
    ensure!(rows::ROWS.iter().any(|row| wanted(row.name)), "no row has such a name; `--list` names them");
    ensure!(!cfg!(debug_assertions), "only a release build tells anything: run `make bench`");
    ensure!(args.rounds > 0 && args.seconds > 0, "there is nothing to measure in no rounds or no time");

    let (bench, before) = (Bench::start(&args)?, report::stolen());
    let mut outcomes = Vec::new();
    for row in rows::ROWS.iter().filter(|row| wanted(row.name)) {
        eprintln!("{}", row.name);
        outcomes.push((row.measure)(&bench).with_context(|| format!("measuring {}", row.name))?);
    }
    let after = report::stolen();
    let text = report::render(&bench, &outcomes, (after.1 - before.1) / (after.0 - before.0) * 100.0)?;
    println!("\n{text}");
    // What is only a part, or tried out, is for the eyes alone.
    let file = match (args.only.is_empty() && args.session.is_empty(), &args.only[..]) {
        (true, _) => "benches/RESULTS.md",
        (_, [row]) if row == "stored" && args.with_5m => "benches/RESULTS-5M.md",
        _ => return Ok(()),
    };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    fs::write(&file, &text).with_context(|| format!("writing {}", file.display()))
}
