//! A stretch of Stripe's list, page by page. Stripe lists the newest first; it is walked from its oldest hour on, so that
//! what is cut off can go on.

use super::{Fetcher, asked};
use crate::stripe_api::Error;
use crate::stripe_api::events::{Listed, Window};

/// Walked in one go, in seconds: the newest first, so what is cut off within it is walked anew.
const HOUR: i64 = 3600;
/// The same where nothing happens: each empty stretch doubles the next, up to this.
const DAY: i64 = 86_400;

/// How far a walk is.
#[derive(Debug)]
pub(super) struct Walk {
    account: String,
    only_failed: bool,
    /// Events before this are on pages that were turned, in unix seconds.
    pub reached: i64,
    until: i64,
    step: i64,
    /// What the page before ended with, where there is more of its stretch.
    after: Option<String>,
}

impl Walk {
    /// All events of an account that were created from `from` on and before `until`.
    pub fn new(account: &str, from: i64, until: i64) -> Self {
        Self { account: account.to_owned(), only_failed: false, reached: from, until, step: HOUR, after: None }
    }

    /// Of these only those that at least one endpoint did not take, where `only_failed`.
    pub fn only_failed(self, only_failed: bool) -> Self {
        Self { only_failed, ..self }
    }

    fn turned(&mut self, end: i64, listed: &[Listed], more: bool) {
        let is_empty = listed.is_empty() && self.after.is_none();
        self.after = listed.last().filter(|_| more).map(|event| event.id.clone());
        if self.after.is_none() {
            self.reached = end;
            self.step = if is_empty { (self.step * 2).min(DAY) } else { HOUR };
        }
    }
}

impl Fetcher {
    /// The next page; none at the end.
    pub(super) async fn turn_page(&self, walk: &mut Walk) -> Result<Option<Vec<Listed>>, Error> {
        if walk.reached >= walk.until {
            return Ok(None);
        }
        let end = (walk.reached + walk.step).min(walk.until);
        let (account, only_failed) = (asked(&walk.account), walk.only_failed);
        let window = Window { account, from: walk.reached, until: end, only_failed };
        self.turn().await;
        let page = self.api.events(&window, walk.after.as_deref()).await?;
        walk.turned(end, &page.events, page.more);
        Ok(Some(page.events))
    }
}
