//! A batch sorted by its events' keys, each key once: so that two writers never wait for each other in a circle.

use super::{Answer, Submission};
use crate::inbox::{self, NewEvent};
use diesel::QueryResult;
use diesel::pg::PgConnection;

/// The first submission of each key, in the sequence of the keys.
pub(super) struct Sorted<'a> {
    batch: &'a [&'a Submission],
    firsts: Vec<usize>,
}

impl<'a> Sorted<'a> {
    /// `batch`, sorted.
    pub fn of(batch: &'a [&'a Submission]) -> Self {
        let mut firsts: Vec<usize> = (0..batch.len()).collect();
        // Stable: of one key the first stays the first.
        firsts.sort_by_key(|n| batch[*n].event.key());
        firsts.dedup_by_key(|n| batch[*n].event.key());
        Self { batch, firsts }
    }

    /// Each of them.
    pub fn each(&self) -> impl Iterator<Item = &'a Submission> {
        self.firsts.iter().map(|n| self.batch[*n])
    }

    /// Some key came more than once.
    pub fn has_doubles(&self) -> bool {
        self.firsts.len() < self.batch.len()
    }

    /// Their events.
    pub fn events(&self) -> Vec<&'a NewEvent> {
        self.each().map(|submission| &submission.event).collect()
    }

    /// One answer a submission of the batch: accepted where its event `is_new`, a flag for each of [`Sorted::each`].
    pub fn answers(&self, is_new: &[bool]) -> Vec<Answer> {
        let mut answers = vec![Answer::Duplicate; self.batch.len()];
        for (n, _) in self.firsts.iter().zip(is_new).filter(|(_, new)| **new) {
            answers[*n] = Answer::Accepted;
        }
        answers
    }

    /// Logs where one id came with two bodies: of the batch itself, and of what is stored.
    ///
    /// # Errors
    /// The database's.
    pub fn report_conflicts(&self, conn: &mut PgConnection, is_new: &[bool]) -> QueryResult<()> {
        let answers = self.answers(is_new);
        let duplicates = self.batch.iter().zip(answers).filter(|(_, answer)| *answer == Answer::Duplicate);
        let duplicates: Vec<&NewEvent> = duplicates.map(|(submission, _)| &submission.event).collect();
        for conflict in inbox::conflicts(conn, &duplicates)? {
            log::warn!(event = conflict.event_id.escape_debug().to_string(), account = conflict.account; "conflict: the same event id came with another body; the first is kept");
        }
        Ok(())
    }
}
