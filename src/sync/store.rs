//! The SQL of the cursors. Stripe's times are unix seconds of Stripe's; leases are the database's clock.

use crate::stripe_api::events::KEPT;
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

/// How far a back-fill came that was cut off and had begun at `since` or earlier. One beyond `now` is not believed: when
/// it was kept the clock was wrong, or somebody asked for the future.
pub fn reached(conn: &mut PgConnection, run: &Run, since: i64, now: i64) -> QueryResult<Option<i64>> {
    let found: Option<Reached> = sql_query(
        "SELECT reached FROM sync_runs \
         WHERE account = $1 AND livemode = $2 AND only_failed = $3 AND since <= $4 AND reached > $4 AND reached <= $5",
    )
    .bind::<Text, _>(&run.account)
    .bind::<Bool, _>(run.livemode)
    .bind::<Bool, _>(run.only_failed)
    .bind::<BigInt, _>(since)
    .bind::<BigInt, _>(now)
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

/// Makes sure that there is a row. It has no cursor before its first comparison.
pub fn begin(conn: &mut PgConnection, key: &Key) -> QueryResult<usize> {
    sql_query("INSERT INTO gap_watch (account, livemode, reached) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING")
        .bind::<Text, _>(&key.account)
        .bind::<Bool, _>(key.livemode)
        .execute(conn)
}

/// A comparison in our hands.
#[derive(Clone, Copy, Debug, QueryableByName)]
pub struct Claimed {
    /// How far the one before came, in Stripe's unix seconds.
    #[diesel(sql_type = BigInt)]
    pub reached: i64,
    /// There was none before.
    #[diesel(sql_type = Bool)]
    pub is_first: bool,
    /// The one before is longer ago than Stripe keeps its events.
    #[diesel(sql_type = Bool)]
    pub is_stale: bool,
}

/// Claims the comparison for `lease` seconds where it is due, or, where `early` is set and nobody has it, that many
/// seconds after the last one.
pub fn claim(
    conn: &mut PgConnection,
    key: &Key,
    token: Uuid,
    lease: i32,
    early: Option<i32>,
) -> QueryResult<Option<Claimed>> {
    sql_query(
        "UPDATE gap_watch SET lease = $3, next_at = now() + make_interval(secs => $4) \
         WHERE account = $1 AND livemode = $2 \
           AND (next_at <= now() OR (lease IS NULL AND looked_at <= now() - make_interval(secs => $5))) \
         RETURNING reached, compared_at IS NULL AS is_first, \
             coalesce(compared_at <= now() - $6 * interval '1 second', false) AS is_stale",
    )
    .bind::<Text, _>(&key.account)
    .bind::<Bool, _>(key.livemode)
    .bind::<SqlUuid, _>(token)
    .bind::<Integer, _>(lease)
    .bind::<Nullable<Integer>, _>(early)
    .bind::<BigInt, _>(KEPT)
    .get_result(conn)
    .optional()
}

/// Counts what was missed (how many, and the oldest) and, where `token` still holds the comparison, keeps how far it came
/// and renews the lease; false where it does not.
pub fn move_on(
    conn: &mut PgConnection,
    key: &Key,
    token: Uuid,
    reached: i64,
    lease: i32,
    missed: Option<(u64, i64)>,
) -> QueryResult<bool> {
    #[derive(QueryableByName)]
    struct Held {
        #[diesel(sql_type = Bool)]
        held: bool,
    }
    let count = missed.map_or(0, |(count, _)| i64::try_from(count).unwrap_or(i64::MAX));
    let row: Option<Held> = sql_query(
        "UPDATE gap_watch SET reached = CASE WHEN lease = $3 THEN $4 ELSE reached END, \
             next_at = CASE WHEN lease = $3 THEN now() + make_interval(secs => $5) ELSE next_at END, \
             missed = missed + $6, missed_ever = missed_ever + $6, missed_from = least(missed_from, $7) \
         WHERE account = $1 AND livemode = $2 RETURNING coalesce(lease = $3, false) AS held",
    )
    .bind::<Text, _>(&key.account)
    .bind::<Bool, _>(key.livemode)
    .bind::<SqlUuid, _>(token)
    .bind::<BigInt, _>(reached)
    .bind::<Integer, _>(lease)
    .bind::<BigInt, _>(count)
    .bind::<Nullable<BigInt>, _>(missed.map(|(_, from)| from))
    .get_result(conn)
    .optional()?;
    Ok(row.is_some_and(|row| row.held))
}

/// Ends a comparison, `well` or not; anybody may do the next one in `again` seconds. False where `token` no longer holds it.
pub fn finish(conn: &mut PgConnection, key: &Key, token: Uuid, again: i32, well: bool) -> QueryResult<bool> {
    let ended = sql_query(
        "UPDATE gap_watch SET lease = NULL, looked_at = now(), next_at = now() + make_interval(secs => $4), \
             compared_at = CASE WHEN $5 THEN now() ELSE compared_at END, \
             failures = failures + CASE WHEN $5 THEN 0 ELSE 1 END \
         WHERE account = $1 AND livemode = $2 AND lease = $3",
    )
    .bind::<Text, _>(&key.account)
    .bind::<Bool, _>(key.livemode)
    .bind::<SqlUuid, _>(token)
    .bind::<Integer, _>(again)
    .bind::<Bool, _>(well)
    .execute(conn)?;
    Ok(ended == 1)
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

/// What is to be told now, where there is something and the last time is `told` seconds ago; it counts as told then.
pub fn tell(conn: &mut PgConnection, key: &Key, told: i32) -> QueryResult<Option<Untold>> {
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

/// Where the watch of one account stands.
#[derive(Clone, Debug, QueryableByName)]
pub struct Standing {
    /// Empty is our own.
    #[diesel(sql_type = Text)]
    pub account: String,
    /// Real money or a test.
    #[diesel(sql_type = Bool)]
    pub livemode: bool,
    /// When the last comparison came to its end, in unix seconds.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub compared: Option<i64>,
    /// Missed events since the first.
    #[diesel(sql_type = BigInt)]
    pub missed: i64,
    /// Comparisons that failed since the first.
    #[diesel(sql_type = BigInt)]
    pub failures: i64,
}

/// Where the watch stands, whichever process it runs in.
pub fn standing(conn: &mut PgConnection) -> QueryResult<Vec<Standing>> {
    sql_query(
        "SELECT account, livemode, extract(epoch FROM compared_at)::bigint AS compared, missed_ever AS missed, failures \
         FROM gap_watch",
    )
    .load(conn)
}
