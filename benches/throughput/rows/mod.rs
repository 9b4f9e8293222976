//! The rows of the table, each a file: what is measured, in which turns, and what it should come to.

mod batches;
mod connections;
mod hot;
mod idle;
mod mail;
mod paced;
mod rates;
mod start;
mod statements;
mod stored;
mod variants;

use anyhow::Result;

use crate::Bench;
use crate::figures::{Figures, Goal};
use crate::runs::Runs;

/// A figure beside what it should reach.
pub struct Line {
    /// What it is.
    pub figure: &'static str,
    /// Each round's value.
    pub values: Figures,
    /// What is owed.
    pub owed: Goal,
    /// Where it is going.
    pub aim: Goal,
}

/// What a row came to.
#[derive(Default)]
pub struct Outcome {
    /// Figures with goals.
    pub lines: Vec<Line>,
    /// What they are made of.
    pub runs: Vec<Runs>,
    /// What else is worth knowing, a sentence each.
    pub remarks: Vec<String>,
}

impl Outcome {
    fn at_least(&mut self, figure: &'static str, values: Figures, owed: f64, aim: f64) {
        self.lines.push(Line { figure, values, owed: Goal::AtLeast(owed), aim: Goal::AtLeast(aim) });
    }

    fn at_most(&mut self, figure: &'static str, values: Figures, owed: f64, aim: f64) {
        self.lines.push(Line { figure, values, owed: Goal::AtMost(owed), aim: Goal::AtMost(aim) });
    }
}

/// One row, or several that are measured together.
pub struct Row {
    /// What `--only` calls it.
    pub name: &'static str,
    /// Measures it.
    pub measure: fn(&Bench) -> Result<Outcome>,
}

/// All rows; those that take minutes last.
pub const ROWS: [Row; 12] = [
    Row { name: "rates-64", measure: rates::at_64 },
    Row { name: "rates-256", measure: rates::at_256 },
    Row { name: "variants", measure: variants::measure },
    Row { name: "paced", measure: paced::measure },
    Row { name: "idle", measure: idle::measure },
    Row { name: "hot", measure: hot::measure },
    Row { name: "connections", measure: connections::measure },
    Row { name: "mail", measure: mail::measure },
    Row { name: "start", measure: start::measure },
    Row { name: "batches", measure: batches::measure },
    Row { name: "statements", measure: statements::measure },
    Row { name: "stored", measure: stored::measure },
];
