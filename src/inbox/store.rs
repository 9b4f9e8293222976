//! The SQL of what is left over: events that wait, in workers' hands.

use super::State;
use crate::db::prepared;
use chrono::{DateTime, Utc};
use diesel::pg::PgConnection;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Integer, Nullable, Text, Timestamptz};
use diesel::{OptionalExtension, QueryResult, QueryableByName, RunQueryDsl, sql_query};
use uuid::Uuid;

/// Leaves events that were just stored to the workers.
pub(super) fn insert_pending(conn: &mut PgConnection, ids: &[i64], left: Left, error: &str) -> QueryResult<()> {
    if ids.is_empty() {
        return Ok(());
    }
    sql_query("INSERT INTO pending (event, last_error, to_fetch) SELECT id, $2, $3 FROM UNNEST($1) AS new (id) ON CONFLICT (event) DO NOTHING")
        .bind::<Array<BigInt>, _>(ids)
        .bind::<Text, _>(error)
        .bind::<Bool, _>(left == Left::ToFetch)
        .execute(conn)
        .map(drop)
}

/// Leaves events that were just stored as processed to the workers.
pub fn mark_pending(conn: &mut PgConnection, ids: &[i64], why: &str) -> QueryResult<()> {
    if ids.is_empty() {
        return Ok(());
    }
    sql_query("UPDATE events SET state = 'pending' WHERE id = ANY($1)").bind::<Array<BigInt>, _>(ids).execute(conn)?;
    insert_pending(conn, ids, Left::ToApply, why)
}

/// What a pending event waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// For its order to be written.
    ToApply,
    /// For the object that it names to be fetched.
    ToFetch,
}

/// A pending event in a worker's hands.
#[derive(Debug, QueryableByName)]
pub struct ClaimedEvent {
    /// Its row.
    #[diesel(sql_type = BigInt)]
    pub id: i64,
    /// `stripe`, `github`, `shop` or `stripe_api`.
    #[diesel(sql_type = Text)]
    pub source: String,
    /// Connected account; empty is our own.
    #[diesel(sql_type = Text)]
    pub account: String,
    /// Real money or a test.
    #[diesel(sql_type = Bool)]
    pub livemode: bool,
    /// The sender's id.
    #[diesel(sql_type = Text)]
    pub event_id: String,
    /// When the request that brought it was complete, by our clock.
    #[diesel(sql_type = Timestamptz)]
    pub received_at: DateTime<Utc>,
    /// How often it was claimed before.
    #[diesel(sql_type = Integer)]
    pub tries: i32,
    /// The bytes as signed.
    #[diesel(sql_type = Binary)]
    pub body: Vec<u8>,
}

/// Claims the oldest due events for `lease_seconds` of the database's clock.
pub fn claim(
    conn: &mut PgConnection,
    left: Left,
    token: Uuid,
    limit: i32,
    lease_seconds: i32,
) -> QueryResult<Vec<ClaimedEvent>> {
    claim_of(conn, left, None, token, limit, lease_seconds)
}

/// The same of events that are to be fetched, of one mode: a key reaches no other.
pub fn claim_to_fetch(
    conn: &mut PgConnection,
    livemode: bool,
    token: Uuid,
    limit: i32,
    lease_seconds: i32,
) -> QueryResult<Vec<ClaimedEvent>> {
    claim_of(conn, Left::ToFetch, Some(livemode), token, limit, lease_seconds)
}

fn claim_of(
    conn: &mut PgConnection,
    left: Left,
    livemode: Option<bool>,
    token: Uuid,
    limit: i32,
    lease_seconds: i32,
) -> QueryResult<Vec<ClaimedEvent>> {
    sql_query(
        "WITH due AS (SELECT event FROM pending WHERE to_fetch = $4 AND next_at <= now() \
               AND ($5 IS NULL OR EXISTS (SELECT FROM events e WHERE e.id = pending.event AND e.livemode = $5)) ORDER BY next_at, event LIMIT $1 FOR UPDATE SKIP LOCKED), \
         claimed AS (UPDATE pending p SET lease = $2, tries = p.tries + 1, next_at = now() + make_interval(secs => $3) \
                     FROM due WHERE p.event = due.event RETURNING p.event, p.tries - 1 AS tries) \
         SELECT e.id, e.source, e.account, e.livemode, e.event_id, e.received_at, claimed.tries, payloads.body \
         FROM claimed JOIN events e ON e.id = claimed.event JOIN payloads ON payloads.event = e.id ORDER BY e.id",
    )
    .bind::<Integer, _>(limit)
    .bind::<diesel::sql_types::Uuid, _>(token)
    .bind::<Integer, _>(lease_seconds)
    .bind::<Bool, _>(left == Left::ToFetch)
    .bind::<Nullable<Bool>, _>(livemode)
    .load(conn)
}

/// Says of the events that are to be fetched, and are not of this mode, why they wait; gives how many there are.
pub fn explain_other_mode(conn: &mut PgConnection, livemode: bool, why: &str) -> QueryResult<usize> {
    sql_query(
        "UPDATE pending p SET last_error = $2 FROM events e WHERE e.id = p.event AND p.to_fetch AND e.livemode <> $1",
    )
    .bind::<Bool, _>(livemode)
    .bind::<Text, _>(why)
    .execute(conn)
}

/// Has the object that a claimed event names fetched first, where `token` still holds it.
pub fn leave_to_fetch(conn: &mut PgConnection, token: Uuid, id: i64) -> QueryResult<usize> {
    sql_query(
        "UPDATE pending SET to_fetch = true, lease = NULL, tries = 0, next_at = now(), last_error = 'not yet tried' \
         WHERE event = $1 AND lease = $2",
    )
    .bind::<BigInt, _>(id)
    .bind::<diesel::sql_types::Uuid, _>(token)
    .execute(conn)
}

/// Ends the wait of claimed events, where `token` still holds them. `reason` says why they are ignored or quarantined.
pub fn settle(
    conn: &mut PgConnection,
    token: Uuid,
    ids: &[i64],
    state: State,
    reason: Option<&str>,
) -> QueryResult<usize> {
    if ids.is_empty() {
        return Ok(0);
    }
    prepared!(
        "WITH done AS (DELETE FROM pending WHERE event = ANY($1) AND lease = $2 RETURNING event) \
         UPDATE events SET state = $3, reason = $4 FROM done WHERE events.id = done.event",
    )
    .bind::<Array<BigInt>, _>(ids)
    .bind::<diesel::sql_types::Uuid, _>(token)
    .bind::<Text, _>(state.as_str())
    .bind::<Nullable<Text>, _>(reason)
    .execute(conn)
}

/// Puts a claimed event off, where `token` still holds it.
pub fn postpone(conn: &mut PgConnection, token: Uuid, id: i64, seconds: i32, why: &str) -> QueryResult<usize> {
    sql_query(
        "UPDATE pending SET lease = NULL, next_at = now() + make_interval(secs => $3), last_error = $4 WHERE event = $1 AND lease = $2",
    )
    .bind::<BigInt, _>(id)
    .bind::<diesel::sql_types::Uuid, _>(token)
    .bind::<Integer, _>(seconds)
    .bind::<Text, _>(why)
    .execute(conn)
}

/// Gives a claimed event back without counting the try, where `token` still holds it: someone else has its order.
pub fn put_back(conn: &mut PgConnection, token: Uuid, id: i64, seconds: i32, why: &str) -> QueryResult<usize> {
    sql_query(
        "UPDATE pending SET lease = NULL, tries = tries - 1, next_at = now() + make_interval(secs => $3), last_error = $4 \
         WHERE event = $1 AND lease = $2 AND tries > 0",
    )
    .bind::<BigInt, _>(id)
    .bind::<diesel::sql_types::Uuid, _>(token)
    .bind::<Integer, _>(seconds)
    .bind::<Text, _>(why)
    .execute(conn)
}

/// What became of the wish to replay an event.
#[derive(Debug)]
pub enum Reopened {
    /// It is pending and in the caller's hands, as if claimed.
    Ours(Box<ClaimedEvent>),
    /// It is pending already: a worker sees to it.
    InFlight,
    /// There is no such row, or its bytes are kept no longer.
    Gone,
}

/// Makes a stored event pending again, held by `token` for `lease_seconds` of the database's clock.
pub fn reopen(conn: &mut PgConnection, token: Uuid, id: i64, lease_seconds: i32) -> QueryResult<Reopened> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        state: String,
        #[diesel(embed)]
        event: ClaimedEvent,
    }
    let row: Option<Row> = sql_query(
        "SELECT e.state, e.id, e.source, e.account, e.livemode, e.event_id, e.received_at, 0 AS tries, p.body \
         FROM events e JOIN payloads p ON p.event = e.id WHERE e.id = $1 FOR NO KEY UPDATE OF e",
    )
    .bind::<BigInt, _>(id)
    .get_result(conn)
    .optional()?;
    let Some(row) = row else { return Ok(Reopened::Gone) };
    if row.state == State::Pending.as_str() {
        return Ok(Reopened::InFlight);
    }
    sql_query("UPDATE events SET state = 'pending', reason = NULL WHERE id = $1")
        .bind::<BigInt, _>(id)
        .execute(conn)?;
    sql_query(
        "INSERT INTO pending (event, tries, lease, next_at, last_error) \
         VALUES ($1, 1, $2, now() + make_interval(secs => $3), 'replayed')",
    )
    .bind::<BigInt, _>(id)
    .bind::<diesel::sql_types::Uuid, _>(token)
    .bind::<Integer, _>(lease_seconds)
    .execute(conn)?;
    Ok(Reopened::Ours(Box::new(row.event)))
}
