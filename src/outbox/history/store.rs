//! The SQL of looking at messages, and of what a person does with one.

use chrono::{DateTime, Utc};
use diesel::pg::PgConnection;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel::{OptionalExtension, QueryResult, QueryableByName, RunQueryDsl, sql_query};
use serde::Serialize;
use uuid::Uuid;

/// A message.
#[derive(Clone, Debug, QueryableByName, Serialize)]
pub struct MessageRow {
    /// Stable over all attempts.
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    /// `email`, `slack` or `webhook`.
    #[diesel(sql_type = Text)]
    pub kind: String,
    /// Where it goes: `mail`, `slack` or a subscription's id.
    #[diesel(sql_type = Text)]
    pub destination: String,
    /// What it tells, such as `order.paid`.
    #[diesel(sql_type = Text)]
    pub notice: String,
    /// One message a key, for ever.
    #[diesel(sql_type = Text)]
    pub dedupe_key: String,
    /// `queued`, `sent` or `dead`.
    #[diesel(sql_type = Text)]
    pub state: String,
    /// Its order is in review.
    #[diesel(sql_type = Bool)]
    pub held: bool,
    /// It waits for its order's reference.
    #[diesel(sql_type = Bool)]
    pub waiting: bool,
    /// Not before this, where it is queued.
    #[diesel(sql_type = Timestamptz)]
    pub next_at: DateTime<Utc>,
    /// The last refusal or failure.
    #[diesel(sql_type = Nullable<Text>)]
    pub last_error: Option<String>,
    /// When it was queued.
    #[diesel(sql_type = Timestamptz)]
    pub created_at: DateTime<Utc>,
    /// When it was sent or given up.
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub settled_at: Option<DateTime<Utc>>,
}

/// An attempt to deliver one.
#[derive(Clone, Debug, QueryableByName, Serialize)]
pub struct AttemptRow {
    /// The message.
    #[serde(skip)]
    #[diesel(sql_type = SqlUuid)]
    pub message_id: Uuid,
    /// Counts from 1.
    #[diesel(sql_type = Integer)]
    pub number: i32,
    /// When it began.
    #[diesel(sql_type = Timestamptz)]
    pub started_at: DateTime<Utc>,
    /// How long it took, in milliseconds.
    #[diesel(sql_type = Integer)]
    pub duration_ms: i32,
    /// `sent`, `retry` or `refused`.
    #[diesel(sql_type = Text)]
    pub outcome: String,
    /// What the other side said, or the error.
    #[diesel(sql_type = Text)]
    pub answer: String,
}

/// A message with all that was tried.
#[derive(Clone, Debug, Serialize)]
pub struct Told {
    /// The message.
    #[serde(flatten)]
    pub message: MessageRow,
    /// Its attempts, the first one first.
    pub attempts: Vec<AttemptRow>,
}

/// Which messages are looked for.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only `queued`, `sent` or `dead` ones.
    pub state: Option<String>,
    /// Only `email`, `slack` or `webhook` ones.
    pub kind: Option<String>,
    /// Only those that go there.
    pub destination: Option<String>,
    /// Only those that tell this, such as `order.paid`.
    pub notice: Option<String>,
}

/// Messages, the newest first; those before `before`, where it is said.
pub fn list(
    conn: &mut PgConnection,
    filter: &Filter,
    before: Option<Uuid>,
    limit: i64,
) -> QueryResult<Vec<MessageRow>> {
    sql_query(
        "SELECT * FROM outbox WHERE ($1 IS NULL OR state = $1) AND ($2 IS NULL OR kind = $2) \
           AND ($3 IS NULL OR destination = $3) AND ($4 IS NULL OR notice = $4) AND ($5 IS NULL OR id < $5) \
         ORDER BY id DESC LIMIT $6",
    )
    .bind::<Nullable<Text>, _>(filter.state.as_deref())
    .bind::<Nullable<Text>, _>(filter.kind.as_deref())
    .bind::<Nullable<Text>, _>(filter.destination.as_deref())
    .bind::<Nullable<Text>, _>(filter.notice.as_deref())
    .bind::<Nullable<SqlUuid>, _>(before)
    .bind::<BigInt, _>(limit)
    .load(conn)
}

/// How many messages wait, and how many were given up. Each number has an index of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, QueryableByName)]
pub struct Waiting {
    /// Those that go out as soon as they are due.
    #[diesel(sql_type = BigInt)]
    pub queued: i64,
    /// Those that wait for a person to look at their order.
    #[diesel(sql_type = BigInt)]
    pub held: i64,
    /// Dead ones.
    #[diesel(sql_type = BigInt)]
    pub dead: i64,
}

/// Counts what waits and what was given up.
pub fn waiting(conn: &mut PgConnection) -> QueryResult<Waiting> {
    sql_query(
        "SELECT (SELECT count(*) FROM outbox WHERE state = 'queued' AND NOT held) AS queued, \
                (SELECT count(*) FROM outbox WHERE state = 'queued' AND held) AS held, \
                (SELECT count(*) FROM outbox WHERE state = 'dead') AS dead",
    )
    .get_result(conn)
}

/// A message with all that was tried.
pub fn find(conn: &mut PgConnection, id: Uuid) -> QueryResult<Option<Told>> {
    let message = sql_query("SELECT * FROM outbox WHERE id = $1").bind::<SqlUuid, _>(id).get_result(conn).optional()?;
    let Some(message) = message else { return Ok(None) };
    let attempts = sql_query("SELECT * FROM attempts WHERE message_id = $1 ORDER BY number").bind::<SqlUuid, _>(id);
    Ok(Some(Told { message, attempts: attempts.load(conn)? }))
}

/// Has a message tried anew, with all its attempts before it. None: it was sent, is being sent, or is not there.
pub fn retry(conn: &mut PgConnection, id: Uuid) -> QueryResult<Option<MessageRow>> {
    sql_query(
        "UPDATE outbox SET state = 'queued', settled_at = NULL, lease = NULL, given_up = attempts, next_at = now() \
         WHERE id = $1 AND (state = 'dead' OR (state = 'queued' AND (lease IS NULL OR next_at <= now()))) RETURNING *",
    )
    .bind::<SqlUuid, _>(id)
    .get_result(conn)
    .optional()
}

/// Gives a message up. None: it is settled, is being sent, or is not there.
pub fn discard(conn: &mut PgConnection, id: Uuid) -> QueryResult<Option<MessageRow>> {
    sql_query(
        "UPDATE outbox SET state = 'dead', settled_at = now(), lease = NULL, last_error = 'discarded by a person' \
         WHERE id = $1 AND state = 'queued' AND (lease IS NULL OR next_at <= now()) RETURNING *",
    )
    .bind::<SqlUuid, _>(id)
    .get_result(conn)
    .optional()
}

/// The order's messages in the sequence of queueing, each with its attempts.
pub fn of_order(conn: &mut PgConnection, order: Uuid) -> QueryResult<Vec<Told>> {
    let messages: Vec<MessageRow> = sql_query("SELECT * FROM outbox WHERE order_id = $1 ORDER BY created_at, id")
        .bind::<SqlUuid, _>(order)
        .load(conn)?;
    let ids: Vec<Uuid> = messages.iter().map(|message| message.id).collect();
    let attempts: Vec<AttemptRow> =
        sql_query("SELECT * FROM attempts WHERE message_id = ANY($1) ORDER BY message_id, number")
            .bind::<Array<SqlUuid>, _>(ids)
            .load(conn)?;
    let of = |id: Uuid| attempts.iter().filter(|attempt| attempt.message_id == id).cloned().collect();
    Ok(messages.into_iter().map(|message| Told { attempts: of(message.id), message }).collect())
}
