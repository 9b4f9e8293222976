//! `ringup orders rebuild`: a transaction an order, one order in memory at a time.

use crate::orders::browse::{count, next};
use crate::orders::explain::{Rebuilt, rebuild};
use crate::orders::{Outcome, Settings};
use diesel::Connection;
use diesel::pg::PgConnection;
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Ids read at once.
const PAGE: i64 = 1000;

/// What the rebuilding of some orders found.
#[derive(Debug, Default)]
pub struct Report {
    orders: usize,
    /// Orders that differ from what their events say.
    pub differing: usize,
    /// How many orders differ in each field.
    fields: BTreeMap<&'static str, usize>,
    left: usize,
}

/// Rebuilds every order, the oldest row first, and sums up.
pub fn all(conn: &mut PgConnection, settings: &Settings, dry_run: bool) -> anyhow::Result<Report> {
    let bar = bar(u64::try_from(count(conn)?).unwrap_or(0));
    let (mut after, mut report) = (Uuid::nil(), Report::default());
    loop {
        let page = next(conn, after, PAGE)?;
        let Some(last) = page.last() else { break };
        after = *last;
        for id in page {
            let rebuilt = conn.transaction(|conn| rebuild(conn, settings, id, !dry_run))?;
            bar.inc(1);
            bar.suspend(|| report.take(rebuilt));
        }
        bar.set_message(format!("{} differ", report.differing));
    }
    bar.finish_and_clear();
    report.sum_up(dry_run);
    Ok(report)
}

/// Rebuilds one order.
pub fn one(conn: &mut PgConnection, settings: &Settings, id: Uuid, dry_run: bool) -> anyhow::Result<Report> {
    let mut report = Report::default();
    report.take(conn.transaction(|conn| rebuild(conn, settings, id, !dry_run))?);
    Ok(report)
}

/// On stderr, shown on a terminal alone.
fn bar(length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {pos} of {len} orders, {eta} left, {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style)
}

impl Report {
    fn take(&mut self, rebuilt: Option<Rebuilt>) {
        let Some(rebuilt) = rebuilt else { return };
        self.orders += 1;
        if rebuilt.differences.is_empty() {
            log::debug!(order = rebuilt.reference, events = rebuilt.events; "rebuilt without a difference");
            return;
        }
        self.differing += 1;
        for change in &rebuilt.differences {
            *self.fields.entry(change.field).or_default() += 1;
        }
        let left = match &rebuilt.outcome {
            Some(Outcome::Held(why)) => Some(*why),
            Some(Outcome::Failed(why)) => Some(&why[..]),
            Some(Outcome::Applied) | None => None,
        };
        self.left += usize::from(left.is_some());
        if left.is_some() || rebuilt.shows_difference() {
            print(&rebuilt, left);
        }
    }

    fn sum_up(&self, dry_run: bool) {
        println!("{} orders derived anew, {} differ", self.orders, self.differing);
        for (field, orders) in &self.fields {
            println!("  {orders:>7}  {field}");
        }
        if self.left > 0 {
            println!("{} were left as they are, as said above: run it again", self.left);
        }
        if dry_run && self.differing > 0 {
            println!("nothing was written; without --dry-run these are");
        }
    }
}

fn print(rebuilt: &Rebuilt, left: Option<&str>) {
    println!("order {} differs from what its {} events say", rebuilt.reference.escape_debug(), rebuilt.events);
    rebuilt.differences.iter().for_each(super::print_change);
    match (left, &rebuilt.outcome) {
        (Some(why), _) => println!("      left as it is: {why}"),
        (None, Some(_)) => println!("      written anew"),
        (None, None) => {}
    }
}
