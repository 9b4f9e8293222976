//! The SQL of looking at the inbox. Nothing here locks.

use super::{About, EventName, Filter};
use crate::db::prepared;
use crate::source::stripe::PROBE;
use chrono::{DateTime, Utc};
use diesel::pg::PgConnection;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Integer, Nullable, Text, Timestamptz};
use diesel::{OptionalExtension, QueryResult, QueryableByName, RunQueryDsl, sql_query};
use serde::Serialize;

/// An event without its bytes.
#[derive(Clone, Debug, QueryableByName, Serialize)]
pub struct EventRow {
    /// Its row; grows in the sequence of storing.
    #[diesel(sql_type = BigInt)]
    pub id: i64,
    /// `stripe`, `github`, `shop` or `stripe_api`.
    #[diesel(sql_type = Text)]
    pub source: String,
    /// Connected account; empty is our own.
    #[diesel(sql_type = Text)]
    pub account: String,
    /// The sender's id.
    #[diesel(sql_type = Text)]
    pub event_id: String,
    /// Real money or a test.
    #[diesel(sql_type = Bool)]
    pub livemode: bool,
    /// The sender's event type.
    #[diesel(sql_type = Text, column_name = "type")]
    #[serde(rename = "type")]
    pub event_type: String,
    /// The API version of its body.
    #[diesel(sql_type = Nullable<Text>)]
    pub api_version: Option<String>,
    /// When the sender says that it happened, in Unix seconds.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub created: Option<i64>,
    /// What it is about.
    #[diesel(sql_type = Nullable<Text>)]
    pub object_id: Option<String>,
    /// `pending`, `processed`, `ignored` or `quarantined`.
    #[diesel(sql_type = Text)]
    pub state: String,
    /// Why it is ignored or quarantined.
    #[diesel(sql_type = Nullable<Text>)]
    pub reason: Option<String>,
    /// When the request was complete.
    #[diesel(sql_type = Timestamptz)]
    pub received_at: DateTime<Utc>,
}

/// When the last events of Stripe's of this account and mode came, the newest first: at most `limit`, out of the last
/// thousand of all events. The doctor's own are none of Stripe's.
pub fn arrivals(conn: &mut PgConnection, account: &str, livemode: bool, limit: i64) -> QueryResult<Vec<DateTime<Utc>>> {
    #[derive(QueryableByName)]
    struct Arrival {
        #[diesel(sql_type = Timestamptz)]
        received_at: DateTime<Utc>,
    }
    let arrivals: Vec<Arrival> = sql_query(
        "SELECT received_at FROM (SELECT source, account, livemode, type, received_at FROM events ORDER BY id DESC LIMIT 1000) last \
         WHERE source = 'stripe' AND account = $1 AND livemode = $2 AND type <> $3 ORDER BY received_at DESC LIMIT $4",
    )
    .bind::<Text, _>(account)
    .bind::<Bool, _>(livemode)
    .bind::<Text, _>(PROBE)
    .bind::<BigInt, _>(limit)
    .load(conn)?;
    Ok(arrivals.into_iter().map(|arrival| arrival.received_at).collect())
}

/// An event with its bytes.
#[derive(Clone, Debug, QueryableByName)]
pub struct StoredEvent {
    /// All but the bytes.
    #[diesel(embed)]
    pub event: EventRow,
    /// As signed.
    #[diesel(sql_type = Binary)]
    pub body: Vec<u8>,
}

/// What a pending event waits for.
#[derive(Clone, Debug, QueryableByName, Serialize)]
pub struct Waiting {
    /// How often a worker has tried.
    #[diesel(sql_type = Integer)]
    pub tries: i32,
    /// Not before this.
    #[diesel(sql_type = Timestamptz)]
    pub next_at: DateTime<Utc>,
    /// Why the last try failed.
    #[diesel(sql_type = Nullable<Text>)]
    pub last_error: Option<String>,
}

/// Finds an event.
pub fn find(conn: &mut PgConnection, name: &EventName) -> QueryResult<Option<EventRow>> {
    match name {
        EventName::Row(id) => sql_query("SELECT * FROM events WHERE id = $1").bind::<BigInt, _>(*id).get_result(conn),
        // The key begins with source and account: hop from one such pair to the next instead of reading all keys.
        EventName::Sent(id) => sql_query(
            "WITH RECURSIVE senders AS ( \
                 (SELECT source, account FROM events ORDER BY source, account LIMIT 1) \
                 UNION ALL SELECT next.* FROM senders s CROSS JOIN LATERAL ( \
                     SELECT source, account FROM events WHERE (source, account) > (s.source, s.account) \
                     ORDER BY source, account LIMIT 1) next) \
             SELECT e.* FROM senders JOIN events e USING (source, account) WHERE e.event_id = $1 ORDER BY e.id LIMIT 1",
        )
        .bind::<Text, _>(id)
        .get_result(conn),
    }
    .optional()
}

/// The bytes of an event, while they are kept.
pub fn body(conn: &mut PgConnection, id: i64) -> QueryResult<Option<Vec<u8>>> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Binary)]
        body: Vec<u8>,
    }
    let row = sql_query("SELECT body FROM payloads WHERE event = $1").bind::<BigInt, _>(id).get_result::<Row>(conn);
    Ok(row.optional()?.map(|row| row.body))
}

/// What a pending event waits for; none where it is not pending.
pub fn waiting(conn: &mut PgConnection, id: i64) -> QueryResult<Option<Waiting>> {
    sql_query("SELECT tries, next_at, last_error FROM pending WHERE event = $1")
        .bind::<BigInt, _>(id)
        .get_result(conn)
        .optional()
}

/// How many events are pending.
#[derive(Clone, Copy, Debug, QueryableByName)]
pub struct Pending {
    /// For their orders to be written.
    #[diesel(sql_type = BigInt)]
    pub to_apply: i64,
    /// For the objects that they name to be fetched.
    #[diesel(sql_type = BigInt)]
    pub to_fetch: i64,
}

/// Counts what is pending.
pub fn pending(conn: &mut PgConnection) -> QueryResult<Pending> {
    sql_query(
        "SELECT count(*) FILTER (WHERE NOT to_fetch) AS to_apply, count(*) FILTER (WHERE to_fetch) AS to_fetch FROM pending",
    )
    .get_result(conn)
}

/// Events before the row `before`, the newest first.
pub fn list(conn: &mut PgConnection, filter: &Filter, before: Option<i64>, limit: i64) -> QueryResult<Vec<EventRow>> {
    filtered(conn, filter, "e.id < coalesce($6, 9223372036854775807) ORDER BY e.id DESC", before, limit)
}

/// Events after the row `after`, the oldest first.
pub fn matching(
    conn: &mut PgConnection,
    filter: &Filter,
    after: Option<i64>,
    limit: i64,
) -> QueryResult<Vec<EventRow>> {
    filtered(conn, filter, "e.id > coalesce($6, 0) ORDER BY e.id", after, limit)
}

fn filtered(
    conn: &mut PgConnection,
    filter: &Filter,
    page: &str,
    cursor: Option<i64>,
    limit: i64,
) -> QueryResult<Vec<EventRow>> {
    // Planned with the values at hand: a filter that is not set is no condition then.
    sql_query(format!(
        "SELECT e.* FROM events e WHERE ($1 IS NULL OR e.state = $1) AND ($2 IS NULL OR e.type = $2) \
           AND ($3 IS NULL OR e.source = $3) AND ($4 IS NULL OR e.object_id = $4) \
           AND ($5 IS NULL OR e.received_at >= $5) AND {page} LIMIT $7"
    ))
    .bind::<Nullable<Text>, _>(filter.state.map(super::State::as_str))
    .bind::<Nullable<Text>, _>(filter.kind.as_deref())
    .bind::<Nullable<Text>, _>(filter.source.as_deref())
    .bind::<Nullable<Text>, _>(filter.object.as_deref())
    .bind::<Nullable<Timestamptz>, _>(filter.since)
    .bind::<Nullable<BigInt>, _>(cursor)
    .bind::<BigInt, _>(limit)
    .load(conn)
}

/// Events after the row `after` that are about one of these names, in the sequence of storing, with their bytes. The
/// shop names an order by its own reference or by an id; the other senders know only ids.
pub fn about(conn: &mut PgConnection, about: &About, after: i64, limit: i64) -> QueryResult<Vec<StoredEvent>> {
    // Columns by name: a prepared statement outlives a migration.
    prepared!(
        "SELECT e.id, e.source, e.account, e.event_id, e.livemode, e.type, e.api_version, e.created, e.object_id, e.state, e.reason, \
                e.received_at, p.body \
         FROM events e JOIN payloads p ON p.event = e.id, (SELECT $1 AS objects, $2 AS labels) given \
         WHERE e.object_id = ANY(given.objects || given.labels) AND e.account = $3 AND e.livemode = $4 AND e.id > $5 \
           AND (e.source = 'shop' OR (e.source IN ('stripe', 'stripe_api') AND e.object_id = ANY(given.objects))) \
         ORDER BY e.id LIMIT $6",
    )
    .bind::<Array<Text>, _>(&about.objects)
    .bind::<Array<Text>, _>(&about.labels)
    .bind::<Text, _>(&about.account)
    .bind::<Bool, _>(about.livemode)
    .bind::<BigInt, _>(after)
    .bind::<BigInt, _>(limit)
    .load(conn)
}
