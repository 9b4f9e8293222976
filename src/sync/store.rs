//! The SQL of the cursors. Stripe's times are unix seconds of Stripe's; leases are the database's clock.

use diesel::pg::PgConnection;
use diesel::sql_types::{BigInt, Bool, Integer, Nullable, Text, Uuid as SqlUuid};
use diesel::{OptionalExtension, QueryResult, QueryableByName, RunQueryDsl, sql_query};
use uuid::Uuid;

/// Which back-fill.
#[derive(Clone, Debug)]
pub struct Run {
    /// Empty is our own.
    pub account: String,
    /// Real money or a test.
    pub livemode: bool,
    /// Only of events that an endpoint did not take.
    pub only_failed: bool,
}

#[derive(QueryableByName)]
struct Reached {
    #[diesel(sql_type = BigInt)]
    reached: i64,
}

/// How far a back-fill came that was cut off and had begun at `since` or earlier.
pub fn reached(conn: &mut PgConnection, run: &Run, since: i64) -> QueryResult<Option<i64>> {
    let found: Option<Reached> = sql_query(
        "SELECT reached FROM sync_runs \
         WHERE account = $1 AND livemode = $2 AND only_failed = $3 AND since <= $4 AND reached > $4",
    )
    .bind::<Text, _>(&run.account)
    .bind::<Bool, _>(run.livemode)
    .bind::<Bool, _>(run.only_failed)
    .bind::<BigInt, _>(since)
    .get_result(conn)
    .optional()?;
    Ok(found.map(|found| found.reached))
}

/// Keeps how far it came.
pub fn reach(conn: &mut PgConnection, run: &Run, since: i64, reached: i64) -> QueryResult<usize> {
    sql_query(
        "INSERT INTO sync_runs (account, livemode, only_failed, since, reached) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (account, livemode, only_failed) DO UPDATE SET reached = EXCLUDED.reached, \
             since = CASE WHEN sync_runs.reached >= EXCLUDED.since THEN least(sync_runs.since, EXCLUDED.since) ELSE EXCLUDED.since END",
    )
    .bind::<Text, _>(&run.account)
    .bind::<Bool, _>(run.livemode)
    .bind::<Bool, _>(run.only_failed)
    .bind::<BigInt, _>(since)
    .bind::<BigInt, _>(reached)
    .execute(conn)
}

/// It came to its end.
pub fn end(conn: &mut PgConnection, run: &Run) -> QueryResult<usize> {
    sql_query("DELETE FROM sync_runs WHERE account = $1 AND livemode = $2 AND only_failed = $3")
        .bind::<Text, _>(&run.account)
        .bind::<Bool, _>(run.livemode)
        .bind::<Bool, _>(run.only_failed)
        .execute(conn)
}

/// Whose events the gap watch compares.
#[derive(Clone, Debug)]
pub struct Key {
    /// Empty is our own.
    pub account: String,
    /// Real money or a test.
    pub livemode: bool,
}

/// The first time it begins at `now`, in unix seconds: what was before is `ringup sync`'s.
pub fn begin(conn: &mut PgConnection, key: &Key, now: i64) -> QueryResult<usize> {
    sql_query("INSERT INTO gap_watch (account, livemode, reached) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
        .bind::<Text, _>(&key.account)
        .bind::<Bool, _>(key.livemode)
        .bind::<BigInt, _>(now)
        .execute(conn)
}

/// Claims the comparison for `lease` seconds where it is due, or, where `early` is set and nobody has it, that many
/// seconds after the last one; gives how far it came.
pub fn claim(
    conn: &mut PgConnection,
    key: &Key,
    token: Uuid,
    lease: i32,
    early: Option<i32>,
) -> QueryResult<Option<i64>> {
    let claimed: Option<Reached> = sql_query(
        "UPDATE gap_watch SET lease = $3, next_at = now() + make_interval(secs => $4) \
         WHERE account = $1 AND livemode = $2 \
           AND (next_at <= now() OR (lease IS NULL AND looked_at <= now() - make_interval(secs => $5))) \
         RETURNING reached",
    )
    .bind::<Text, _>(&key.account)
    .bind::<Bool, _>(key.livemode)
    .bind::<SqlUuid, _>(token)
    .bind::<Integer, _>(lease)
    .bind::<Nullable<Integer>, _>(early)
    .get_result(conn)
    .optional()?;
    Ok(claimed.map(|claimed| claimed.reached))
}

/// Keeps how far it came, counts what was missed (how many, and the oldest), and renews the lease; false where `token`
/// no longer holds it.
pub fn move_on(
    conn: &mut PgConnection,
    key: &Key,
    token: Uuid,
    reached: i64,
    lease: i32,
    missed: Option<(u64, i64)>,
) -> QueryResult<bool> {
    let count = missed.map_or(0, |(count, _)| i64::try_from(count).unwrap_or(i64::MAX));
    let moved = sql_query(
        "UPDATE gap_watch SET reached = $4, next_at = now() + make_interval(secs => $5), \
             missed = missed + $6, missed_from = least(missed_from, $7) \
         WHERE account = $1 AND livemode = $2 AND lease = $3",
    )
    .bind::<Text, _>(&key.account)
    .bind::<Bool, _>(key.livemode)
    .bind::<SqlUuid, _>(token)
    .bind::<BigInt, _>(reached)
    .bind::<Integer, _>(lease)
    .bind::<BigInt, _>(count)
    .bind::<Nullable<BigInt>, _>(missed.map(|(_, from)| from))
    .execute(conn)?;
    Ok(moved == 1)
}

/// Missed events of which nobody was told.
#[derive(Clone, Copy, Debug, QueryableByName)]
pub struct Untold {
    /// How many.
    #[diesel(sql_type = BigInt)]
    pub missed: i64,
    /// The oldest, in unix seconds.
    #[diesel(sql_type = BigInt)]
    pub missed_from: i64,
}

/// Ends a comparison, the next one in `every` seconds. Gives what is to be told now, where there is something and the
/// last time is `told` seconds ago; it counts as told then.
pub fn finish(conn: &mut PgConnection, key: &Key, token: Uuid, every: i32, told: i32) -> QueryResult<Option<Untold>> {
    let ended = sql_query(
        "UPDATE gap_watch SET lease = NULL, looked_at = now(), next_at = now() + make_interval(secs => $4) \
         WHERE account = $1 AND livemode = $2 AND lease = $3",
    )
    .bind::<Text, _>(&key.account)
    .bind::<Bool, _>(key.livemode)
    .bind::<SqlUuid, _>(token)
    .bind::<Integer, _>(every)
    .execute(conn)?;
    if ended == 0 {
        return Ok(None);
    }
    sql_query(
        "WITH due AS (SELECT account, livemode, missed, missed_from FROM gap_watch \
             WHERE account = $1 AND livemode = $2 AND missed > 0 \
               AND (told_at IS NULL OR told_at <= now() - make_interval(secs => $3)) FOR NO KEY UPDATE) \
         UPDATE gap_watch g SET missed = 0, missed_from = NULL, told_at = now() FROM due \
         WHERE g.account = due.account AND g.livemode = due.livemode RETURNING due.missed, due.missed_from",
    )
    .bind::<Text, _>(&key.account)
    .bind::<Bool, _>(key.livemode)
    .bind::<Integer, _>(told)
    .get_result(conn)
    .optional()
}

/// Gives a comparison up that failed: anybody may try again in `again` seconds.
pub fn give_back(conn: &mut PgConnection, key: &Key, token: Uuid, again: i32) -> QueryResult<usize> {
    sql_query(
        "UPDATE gap_watch SET lease = NULL, looked_at = now(), next_at = now() + make_interval(secs => $4) \
         WHERE account = $1 AND livemode = $2 AND lease = $3",
    )
    .bind::<Text, _>(&key.account)
    .bind::<Bool, _>(key.livemode)
    .bind::<SqlUuid, _>(token)
    .bind::<Integer, _>(again)
    .execute(conn)
}
