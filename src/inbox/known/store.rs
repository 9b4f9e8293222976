//! The SQL of finding what is stored already.

use super::Told;
use crate::db::prepared;
use crate::inbox::NewEvent;
use diesel::pg::PgConnection;
use diesel::sql_types::{Array, BigInt, Binary, Nullable, Text};
use diesel::{QueryResult, QueryableByName, RunQueryDsl, sql_query};
use std::collections::HashSet;

/// Of these events of Stripe's, of one account, the ids of those that need not be taken in any more: it is stored under its
/// own id, or a thin event that tells the same is, and was or will be applied.
///
/// Where a thin event doesn't name its snapshot, one of the same type and object stands for all of it up to then: what is
/// fetched for it is the object's later state. Its milliseconds are cut off, hence the second.
///
/// An id that our own account's events have is known for every account: `STRIPE_ACCOUNTS` may name our own.
pub fn known(conn: &mut PgConnection, account: &str, told: &[Told]) -> QueryResult<HashSet<String>> {
    #[derive(QueryableByName)]
    struct Known {
        #[diesel(sql_type = Text)]
        id: String,
    }
    if told.is_empty() {
        return Ok(HashSet::new());
    }
    let known: Vec<Known> = sql_query(
        "WITH told AS (SELECT * FROM UNNEST($1, $2, $3, $4) AS told (id, type, object, created)) \
         SELECT told.id FROM told JOIN events e ON e.source = 'stripe' AND e.account IN ('', $5) AND e.event_id = told.id \
         UNION SELECT told.id FROM told JOIN events e ON e.snapshot_event = told.id \
             AND e.source = 'stripe' AND e.account IN ('', $5) AND e.state IN ('pending', 'processed') \
         UNION SELECT told.id FROM told JOIN events e ON e.object_id = told.object AND e.type = 'v1.' || told.type \
             AND e.source = 'stripe' AND e.account IN ('', $5) AND e.state IN ('pending', 'processed') \
             AND e.snapshot_event IS NULL AND coalesce(e.created >= told.created - 1, true)",
    )
    .bind::<Array<Text>, _>(told.iter().map(|told| &told.id[..]).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(told.iter().map(|told| &told.kind[..]).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(told.iter().map(|told| told.object.as_deref()).collect::<Vec<_>>())
    .bind::<Array<Nullable<BigInt>>, _>(told.iter().map(|told| told.created).collect::<Vec<_>>())
    .bind::<Text, _>(account)
    .load(conn)?;
    Ok(known.into_iter().map(|known| known.id).collect())
}

/// Writes a commit record behind all rows that are visible, so that the commit waits until a standby has them, too.
///
/// A row is visible before a standby has it where the session that wrote it was ended while it waited for the standby. An
/// answer that rests on such a row alone must wait for a commit of its own. Without a synchronous standby this writes
/// nothing.
pub fn wait_for_standby(conn: &mut PgConnection) -> QueryResult<()> {
    prepared!(
        "SELECT pg_logical_emit_message(true, 'ringup', '') IS NULL AS written \
         WHERE current_setting('synchronous_standby_names') <> ''",
    )
    .execute(conn)
    .map(drop)
}

/// The bytes that are stored under a duplicate's key.
#[derive(QueryableByName)]
pub struct Stored {
    /// Which of the duplicates.
    #[diesel(sql_type = BigInt)]
    pub position: i64,
    /// As they came.
    #[diesel(sql_type = Binary)]
    pub body: Vec<u8>,
}

/// What is stored under the keys of those `duplicates` that have other bytes, at an equal API version.
pub fn differing(conn: &mut PgConnection, duplicates: &[&NewEvent]) -> QueryResult<Vec<Stored>> {
    if duplicates.is_empty() {
        return Ok(Vec::new());
    }
    prepared!(
        "SELECT new.n - 1 AS position, p.body \
         FROM UNNEST($1, $2, $3, $4, $5) WITH ORDINALITY AS new (source, account, event_id, api_version, crc, n) \
         JOIN events e ON (e.source, e.account, e.event_id) = (new.source, new.account, new.event_id) \
         JOIN payloads p ON p.event = e.id \
         WHERE e.body_crc32 <> new.crc AND e.api_version IS NOT DISTINCT FROM new.api_version ORDER BY new.n",
    )
    .column::<Text, _, _>(duplicates, |e| e.source)
    .column::<Text, _, _>(duplicates, |e| &e.account)
    .column::<Text, _, _>(duplicates, |e| &e.event_id)
    .column::<Nullable<Text>, _, _>(duplicates, |e| e.api_version.as_deref())
    .column::<BigInt, _, _>(duplicates, |e| e.crc())
    .load(conn)
}
