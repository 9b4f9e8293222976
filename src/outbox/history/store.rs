//! The SQL of looking at messages. Nothing here locks.

use chrono::{DateTime, Utc};
use diesel::pg::PgConnection;
use diesel::sql_types::{Array, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel::{QueryResult, QueryableByName, RunQueryDsl, sql_query};
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
