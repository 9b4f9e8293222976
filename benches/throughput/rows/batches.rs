//! What a batch costs by its size, without HTTP and with nothing beside: the writer's threads and their Postgres backend,
//! by the scheduler's own clock. Batches of one and of many tell a batch's own cost from that of its events.

use std::fs;
use std::time::{Duration, Instant};

use super::Outcome;
use crate::figures::Figures;
use crate::traffic::{Tape, Traffic};
use crate::{Bench, postgres, process};
use anyhow::{Context, Result, ensure};
use ringup::inbox::NewEvent;
use ringup::intake::{Answer, Budget, Intake, Rules, Submission};
use ringup::orders::{Labelling, Settings};
use ringup::source::stripe;

/// How many events a batch has.
const SIZES: [usize; 4] = [1, 16, 64, 256];
/// How many batches of each size there are at most; the first quarter warms up and is not counted.
const MOST: usize = 1000;

/// Not measured unless asked for by name: it says nothing that is owed.
pub fn measure(bench: &Bench) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    if !bench.is_asked("batches") {
        return Ok(outcome);
    }
    let tape = bench.tape(Traffic::Checkouts)?;
    for size in SIZES {
        let costs: Vec<Cost> = (0..bench.rounds).map(|_| cost(bench, &tape, size)).collect::<Result<_>>()?;
        let of = |figure: fn(&Cost) -> f64| costs.iter().map(figure).collect::<Figures>();
        outcome.remarks.push(format!(
            "In batches of {size} an event costs {} µs of the writer and {} µs of Postgres; a batch is answered in {} µs.",
            of(|cost| cost.writer),
            of(|cost| cost.backend),
            of(|cost| cost.answered)
        ));
    }
    Ok(outcome)
}

/// Microseconds: of processor time an event, and until a batch is answered.
struct Cost {
    writer: f64,
    backend: f64,
    answered: f64,
}

fn cost(bench: &Bench, tape: &Tape, size: usize) -> Result<Cost> {
    bench.postgres.fresh()?;
    let database = bench.postgres.measured();
    let settings = Settings { labelling: Labelling::default(), grace_seconds: 60, largest: None };
    let (intake, writer) = Intake::new(&database, settings.clone(), || {})?;
    let rules = Rules::from(settings);
    let batches = (tape.len() / size).min(MOST);
    let warm_up = batches / 4;
    let (mut took, mut before) = (Duration::ZERO, Clocks::default());
    for n in 0..batches {
        if n == warm_up {
            (took, before) = (Duration::ZERO, Clocks::read(&database)?);
        }
        let made = (n * size..(n + 1) * size).map(|n| submission(tape.body(n), &rules));
        let made: Vec<Submission> = made.collect::<Result<_>>()?;
        let start = Instant::now();
        let answers: Vec<_> = made.into_iter().map(|submission| intake.submit(submission)).collect::<Result<_, _>>()?;
        for answer in answers {
            ensure!(answer.blocking_recv()? == Answer::Accepted, "an event was not accepted");
        }
        took += start.elapsed();
    }
    let after = Clocks::read(&database)?;
    drop(intake);
    writer.stop();
    #[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let each = |time: Duration, of: usize| time.as_secs_f64() * 1e6 / of as f64;
    let (measured, events) = (batches - warm_up, (batches - warm_up) * size);
    Ok(Cost {
        writer: each(after.writer.saturating_sub(before.writer), events),
        backend: each(after.backend.saturating_sub(before.backend), events),
        answered: each(took, measured),
    })
}

fn submission(body: &[u8], rules: &Rules) -> Result<Submission> {
    let event = stripe::parse(body)?;
    let verdict = rules.judge(&event);
    let stored = rules.stored(&event, &verdict, chrono::Utc::now());
    let permit = Budget::new(usize::MAX).reserve(0).context("no room")?;
    Ok(Submission::new(NewEvent { body: body.to_vec(), ..stored }, verdict.facts, permit))
}

/// Processor time so far.
#[derive(Default)]
struct Clocks {
    writer: Duration,
    backend: Duration,
}

impl Clocks {
    /// Of the writer's thread and of its backend.
    fn read(database: &str) -> Result<Self> {
        const BACKEND: &str = "SELECT pid::bigint AS number FROM pg_stat_activity \
                               WHERE datname = current_database() AND application_name = 'ringup'";
        let backend = postgres::count(database, BACKEND)?;
        let mut clocks = Self { backend: process::scheduled(format!("/proc/{backend}"))?, ..Self::default() };
        for task in fs::read_dir("/proc/self/task")?.filter_map(Result::ok) {
            if fs::read_to_string(task.path().join("comm"))?.starts_with("intake-writer") {
                clocks.writer += process::scheduled(task.path())?;
            }
        }
        Ok(clocks)
    }
}
