//! What Stripe could not deliver lately. The doctor signs with the secrets that it has; where Stripe signs with another, only
//! Stripe's own list knows.

use super::doctor::Finding;
use super::events::{Listed, Window};
use super::{Error, StripeApi};

/// So far is looked back, in seconds: Stripe tries again for days, with ever longer pauses.
const SPAN: i64 = 24 * 60 * 60;
/// Younger events may still be on their way, in seconds.
const GRACE: i64 = 120;
/// So many failures are counted, in pages of Stripe's.
const PAGES: usize = 5;

/// Events that matter and that an endpoint did not take.
#[derive(Debug)]
pub struct Undelivered {
    /// The newest of them.
    newest: Listed,
    count: usize,
    /// There are more.
    more: bool,
    /// A later event was taken.
    over: bool,
}

impl StripeApi {
    /// What was not taken in the day before `now` (unix seconds), of these types, of our own account or a connected one;
    /// none where all was.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn undelivered(
        &self,
        account: Option<&str>,
        types: &[&str],
        now: i64,
    ) -> Result<Option<Undelivered>, Error> {
        let matters = |event: &Listed| types.contains(&&event.kind[..]);
        let failed = Window { account, from: now - SPAN, until: now - GRACE, only_failed: true };
        let (mut newest, mut count, mut more, mut after) = (None, 0, true, None);
        for _ in 0..PAGES {
            let page = self.events(&failed, after.as_deref()).await?;
            more = page.more;
            after = page.events.last().map(|last| last.id.clone());
            count += page.events.iter().filter(|event| matters(event)).count();
            newest = newest.or_else(|| page.events.into_iter().find(matters));
            if !more {
                break;
            }
        }
        let Some(newest) = newest else { return Ok(None) };
        let later = Window { from: newest.created.unwrap_or(now) + 1, only_failed: false, ..failed };
        let over = self.events(&later, None).await?.events.iter().any(matters);
        Ok(Some(Undelivered { newest, count, more, over }))
    }
}

/// What that says of `account` (empty is our own), whose events `endpoints` that are enabled hear of.
pub fn judge(account: &str, found: Result<Option<Undelivered>, Error>, endpoints: usize, now: i64) -> Finding {
    const CHECK: &str = "deliveries";
    let whose = if account.is_empty() { String::new() } else { format!("{account}: ") };
    let found = match found {
        Ok(None) => return Finding::well(CHECK, format!("{whose}no event of the last day that matters was refused")),
        Ok(Some(found)) => found,
        Err(error) => {
            let remedy = "without it nobody knows whether Stripe's own events are taken";
            return Finding::ill(CHECK, format!("{whose}{error}"), remedy);
        }
    };
    let hours = (now - found.newest.created.unwrap_or(now)) / 3600;
    let ago = if hours == 0 { "less than an hour ago".to_owned() } else { format!("{hours} h ago") };
    let or_more = if found.more { "at least " } else { "" };
    let told = format!("{whose}{or_more}{} of the last day's events that matter were not taken", found.count);
    if found.over {
        return Finding::well(CHECK, format!("{told}; later ones were. `ringup sync` fetches what is missing"));
    }
    let which =
        if endpoints > 1 { format!("; Stripe does not say by which of {endpoints} endpoints") } else { String::new() };
    let last = format!("the last is {} {}, {ago}", found.newest.kind, found.newest.id);
    Finding::ill(
        CHECK,
        format!("{told}, and no later one was: {last}{which}"),
        "does Stripe sign with a secret that is in STRIPE_WEBHOOK_SECRET? An endpoint made anew has a new one: the dashboard \
         shows it, and what was answered. Then ringup sync; this stays until a later event is taken",
    )
}
