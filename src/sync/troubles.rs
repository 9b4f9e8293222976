//! A failure is told once, not each time that it is met again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What fails, with the reason that was told last. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Troubles(Arc<Mutex<BTreeMap<String, String>>>);

impl Troubles {
    /// Whether nobody was told yet that `what` fails for this reason.
    pub fn is_news(&self, what: &str, why: &str) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.insert(what.to_owned(), why.to_owned()).is_none_or(|before| before != why)
    }

    /// `what` works: its next failure is news.
    pub fn are_over(&self, what: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(what);
    }
}

#[cfg(test)]
mod tests {
    use super::Troubles;

    #[test]
    fn a_failure_is_news_until_it_was_told_and_again_after_a_success() {
        let troubles = Troubles::default();
        assert!(troubles.is_news("acct_1", "no answer"));
        assert!(!troubles.is_news("acct_1", "no answer"));
        assert!(troubles.is_news("acct_2", "no answer") && troubles.is_news("acct_1", "refused"));
        troubles.are_over("acct_1");
        assert!(troubles.is_news("acct_1", "refused") && !troubles.is_news("acct_2", "no answer"));
    }
}
