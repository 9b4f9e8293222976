//! Events that were acknowledged before their order could be written.

use crate::db::DbPool;
use crate::inbox::{self, ClaimedEvent, Left, State};
use crate::intake::Rules;
use crate::orders::{self, Incoming, Outcome, Scope};
use anyhow::Context;
use diesel::Connection;
use diesel::pg::PgConnection;
use uuid::Uuid;

/// Events claimed at once.
const BATCH: i32 = 256;
/// After this a claim is anybody's again.
pub(super) const LEASE_SECONDS: i32 = 30;
/// An event that fails this often is quarantined.
const MAX_TRIES: i32 = 8;

/// Claims a batch of pending events and applies them; returns how many were claimed.
///
/// # Errors
/// The database's; claimed events come back after their lease.
pub fn apply_pending(pool: &DbPool, rules: &Rules) -> anyhow::Result<usize> {
    pool.run(|conn| {
        let token = Uuid::now_v7();
        let claimed = conn
            .transaction(|conn| inbox::claim(conn, Left::ToApply, token, BATCH, LEASE_SECONDS))
            .context("cannot claim pending events")?;
        settle_claimed(conn, rules, token, &claimed)?;
        anyhow::Ok(claimed.len())
    })
}

/// Applies events that `token` holds, and settles them or puts them off.
pub(super) fn settle_claimed(
    conn: &mut PgConnection,
    rules: &Rules,
    token: Uuid,
    claimed: &[ClaimedEvent],
) -> anyhow::Result<()> {
    let mut applicable = Vec::new();
    for event in claimed {
        let verdict = rules.judge_stored(&event.source, &event.body);
        let reason = verdict.reason.as_deref();
        match (verdict.facts, verdict.state) {
            (Some(facts), _) => {
                applicable.push((event, Incoming::new(Scope::new(&event.account, event.livemode), facts)));
            }
            (None, State::Pending) if verdict.to_fetch => {
                inbox::leave_to_fetch(conn, token, event.id).context("cannot put an event to those to be fetched")?;
            }
            (None, State::Pending) => give_up_or_postpone(conn, token, event, reason.unwrap_or_default())?,
            (None, state) => {
                inbox::settle(conn, token, &[event.id], state, reason).context("cannot settle an event")?;
            }
        }
    }
    if applicable.is_empty() {
        return Ok(());
    }
    // Together first; whatever that does not settle is tried by itself, so that a poison event stands alone.
    let applicable: Vec<_> = applicable.iter().map(|(event, incoming)| (*event, incoming)).collect();
    for event in apply(conn, rules, token, &applicable)? {
        let alone = apply(conn, rules, token, &[event])?;
        debug_assert!(alone.len() <= 1);
    }
    Ok(())
}

/// Applies `events` in one transaction and settles what was applied. Where more than one was tried, those that could
/// not be computed or written are returned; a single one is postponed or given up.
fn apply<'a>(
    conn: &mut PgConnection,
    rules: &Rules,
    token: Uuid,
    events: &[(&'a ClaimedEvent, &'a Incoming)],
) -> anyhow::Result<Vec<(&'a ClaimedEvent, &'a Incoming)>> {
    let alone = events.len() == 1;
    let outcomes = conn.transaction(|conn| {
        let incoming: Vec<&Incoming> = events.iter().map(|(_, incoming)| *incoming).collect();
        let outcomes = orders::reconcile(conn, &rules.settings, &incoming)?;
        let applied = events
            .iter()
            .zip(&outcomes)
            .filter(|(_, outcome)| **outcome == Outcome::Applied)
            .map(|((event, _), _)| event.id);
        inbox::settle(conn, token, &applied.collect::<Vec<_>>(), State::Processed, None)?;
        Ok::<_, diesel::result::Error>(outcomes)
    });
    let outcomes = match outcomes {
        Ok(outcomes) => outcomes,
        Err(error) => events.iter().map(|_| Outcome::Failed(error.to_string())).collect(),
    };
    let mut left = Vec::new();
    for ((event, incoming), outcome) in events.iter().zip(outcomes) {
        match outcome {
            Outcome::Applied => {}
            Outcome::Held(why) => {
                inbox::put_back(conn, token, event.id, 1, why).context("cannot postpone an event")?;
            }
            Outcome::Failed(why) if alone => give_up_or_postpone(conn, token, event, &why)?,
            Outcome::Failed(_) => left.push((*event, *incoming)),
        }
    }
    Ok(left)
}

fn give_up_or_postpone(conn: &mut PgConnection, token: Uuid, event: &ClaimedEvent, why: &str) -> anyhow::Result<()> {
    let id = event.event_id.escape_debug().to_string();
    if event.tries + 1 >= MAX_TRIES {
        log::error!(event = id, reason = why; "quarantined after {MAX_TRIES} tries; replay it after a fix");
        let reason = format!("failed {MAX_TRIES} times: {why}");
        inbox::settle(conn, token, &[event.id], State::Quarantined, Some(&reason))
            .context("cannot quarantine an event")?;
    } else {
        log::warn!(event = id, reason = why, tries = event.tries + 1; "a pending event failed; trying again later");
        let seconds = 1 << event.tries.clamp(0, 8);
        inbox::postpone(conn, token, event.id, seconds, why).context("cannot postpone an event")?;
    }
    Ok(())
}
