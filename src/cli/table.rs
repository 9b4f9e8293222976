//! Columns for people.

use chrono::{DateTime, Utc};
use std::fmt;

/// Rows of texts; a column is as wide as its widest.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With these headings.
    pub fn new(headings: &[&str]) -> Self {
        let mut table = Self { rows: Vec::new() };
        table.row(headings);
        table
    }

    /// Adds a row. What came from outside is escaped: it reaches a terminal.
    pub fn row(&mut self, cells: &[&str]) {
        let shown = |cell: &&str| if cell.is_empty() { "-".to_owned() } else { cell.escape_debug().to_string() };
        self.rows.push(cells.iter().map(shown).collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |n: usize| self.rows.iter().filter_map(|row| row.get(n)).map(|cell| cell.chars().count()).max();
        let widths: Vec<usize> = (0..columns).map(|n| width(n).unwrap_or(0)).collect();
        for row in &self.rows {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            writeln!(f, "{}", cells.join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// A moment to the second, in UTC.
pub fn moment(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn columns_line_up_and_controls_are_seen() {
        let mut table = Table::new(&["ID", "STATE"]);
        table.row(&["evt_1\u{1b}[2J", ""]);
        assert_eq!(table.to_string(), "ID              STATE\nevt_1\\u{1b}[2J  -\n");
    }
}
