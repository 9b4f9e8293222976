//! The outbox's SQL.
//!
//! Rows are locked in the order of their ids wherever a statement takes several and waits for them; a claim waits
//! for none. So no two of these statements can block each other in a circle.

use std::borrow::Cow;
use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Bool, Double, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::templates::told_to_the_shop;
use super::{MessageKind, NewMessage};
use crate::notices::{Kind, OrderView};

/// Queues messages, each once: a key that exists, under this or any of the message's other names, is left as it
/// is. Returns how many are new.
pub fn enqueue(conn: &mut PgConnection, messages: &[NewMessage]) -> QueryResult<usize> {
    let messages = without_twins(messages);
    if messages.is_empty() {
        return Ok(0);
    }
    let columns = Columns::of(&messages);
    // Sorted by key, since an insert waits for another transaction's uncommitted twin.
    sql_query(
        "INSERT INTO outbox (id, kind, notice, dedupe_key, order_id, about, next_at, waiting, held) \
         SELECT m.id, m.kind, m.notice, m.dedupe_key, m.order_id, m.about, \
                now() + make_interval(secs => m.delay), m.waiting, m.held \
         FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9) \
              AS m (id, kind, notice, dedupe_key, order_id, about, delay, waiting, held) \
         WHERE NOT EXISTS (SELECT FROM unnest($10, $11) AS twin (of, key) \
                           JOIN outbox o ON o.dedupe_key = twin.key WHERE twin.of = m.id) \
         ORDER BY m.dedupe_key COLLATE \"C\" \
         ON CONFLICT (dedupe_key) DO NOTHING",
    )
    .bind::<Array<SqlUuid>, _>(columns.ids)
    .bind::<Array<Text>, _>(columns.kinds)
    .bind::<Array<Text>, _>(columns.notices)
    .bind::<Array<Text>, _>(columns.keys)
    .bind::<Array<Nullable<SqlUuid>>, _>(columns.orders)
    .bind::<Array<Text>, _>(columns.abouts)
    .bind::<Array<Integer>, _>(columns.delays)
    .bind::<Array<Bool>, _>(columns.waiting)
    .bind::<Array<Bool>, _>(columns.held)
    .bind::<Array<SqlUuid>, _>(columns.twins_of)
    .bind::<Array<Text>, _>(columns.twins)
    .execute(conn)
}

/// The messages without those that another of the same call already stands for.
fn without_twins(messages: &[NewMessage]) -> Vec<&NewMessage> {
    let mut taken = HashSet::new();
    let mut kept = Vec::with_capacity(messages.len());
    for message in messages {
        let names = || std::iter::once(&message.dedupe_key).chain(&message.also);
        if names().any(|name| taken.contains(name)) {
            continue;
        }
        taken.insert(&message.dedupe_key);
        kept.push(message);
    }
    kept
}

/// New messages, a vector a column.
#[derive(Default)]
struct Columns<'a> {
    ids: Vec<Uuid>,
    kinds: Vec<&'static str>,
    notices: Vec<Cow<'static, str>>,
    keys: Vec<&'a str>,
    orders: Vec<Option<Uuid>>,
    abouts: Vec<String>,
    delays: Vec<i32>,
    waiting: Vec<bool>,
    held: Vec<bool>,
    twins_of: Vec<Uuid>,
    twins: Vec<&'a str>,
}

impl<'a> Columns<'a> {
    fn of(messages: &[&'a NewMessage]) -> Self {
        let mut columns = Self::default();
        for message in messages {
            let id = Uuid::now_v7();
            columns.ids.push(id);
            columns.kinds.push(message.kind.name());
            columns.notices.push(message.notice.name());
            columns.keys.push(&message.dedupe_key);
            columns.orders.push(message.order_id);
            columns.abouts.push(serde_json::json!(message.about).to_string());
            columns.delays.push(message.delay_seconds);
            columns.waiting.push(message.waiting);
            columns.held.push(message.held);
            for twin in &message.also {
                columns.twins_of.push(id);
                columns.twins.push(twin);
            }
        }
        columns
    }
}

/// Keeps the orders' queued messages to customers from being sent. What a worker is sending right now goes out.
pub fn hold(conn: &mut PgConnection, order_ids: &[Uuid]) -> QueryResult<usize> {
    sql_query(
        "WITH theirs AS MATERIALIZED (SELECT id FROM outbox WHERE order_id = ANY($1) AND state = 'queued' AND NOT held \
                                        AND notice <> ALL($2) ORDER BY id FOR NO KEY UPDATE) \
         UPDATE outbox SET held = true WHERE id IN (SELECT id FROM theirs)",
    )
    .bind::<Array<SqlUuid>, _>(order_ids)
    .bind::<Array<Text>, _>(told_to_the_shop())
    .execute(conn)
}

/// Lets the orders' held messages go: they are due now, unless they still wait for the order's reference.
pub fn release(conn: &mut PgConnection, order_ids: &[Uuid]) -> QueryResult<usize> {
    sql_query(
        "WITH theirs AS MATERIALIZED (SELECT id FROM outbox WHERE order_id = ANY($1) AND state = 'queued' AND held \
                                      ORDER BY id FOR NO KEY UPDATE) \
         UPDATE outbox SET held = false, \
                next_at = CASE WHEN waiting OR lease IS NOT NULL THEN next_at ELSE now() END \
         WHERE id IN (SELECT id FROM theirs)",
    )
    .bind::<Array<SqlUuid>, _>(order_ids)
    .execute(conn)
}

/// Ends the grace period of these messages: what they waited for has come.
pub fn end_wait(conn: &mut PgConnection, keys: &[String]) -> QueryResult<usize> {
    sql_query(
        "WITH theirs AS MATERIALIZED (SELECT id FROM outbox WHERE dedupe_key = ANY($1) AND state = 'queued' AND waiting \
                                      ORDER BY id FOR NO KEY UPDATE) \
         UPDATE outbox SET waiting = false, next_at = now() WHERE id IN (SELECT id FROM theirs)",
    )
    .bind::<Array<Text>, _>(keys)
    .execute(conn)
}

/// Gives up messages that later facts have made pointless. What a worker is sending right now goes out.
pub fn supersede(conn: &mut PgConnection, keys: &[String], why: &str) -> QueryResult<usize> {
    sql_query(
        "WITH theirs AS MATERIALIZED (SELECT id FROM outbox WHERE dedupe_key = ANY($1) AND state = 'queued' \
                                        AND (lease IS NULL OR next_at <= now()) \
                                      ORDER BY id FOR NO KEY UPDATE) \
         UPDATE outbox SET state = 'dead', lease = NULL, settled_at = now(), last_error = $2 \
         WHERE id IN (SELECT id FROM theirs)",
    )
    .bind::<Array<Text>, _>(keys)
    .bind::<Text, _>(storable(why))
    .execute(conn)
}

/// Of the messages queued under several names of one payment, only one goes out: the one that was sent or is being
/// sent, else the oldest.
pub fn keep_one(conn: &mut PgConnection, keys: &[String]) -> QueryResult<usize> {
    sql_query(
        "WITH theirs AS MATERIALIZED (SELECT id, state, lease, dedupe_key FROM outbox WHERE dedupe_key = ANY($1) ORDER BY id FOR NO KEY UPDATE), \
              kept AS (SELECT id, dedupe_key FROM theirs ORDER BY state = 'sent' DESC, lease IS NOT NULL DESC, id LIMIT 1) \
         UPDATE outbox SET state = 'dead', lease = NULL, settled_at = now(), last_error = 'superseded by ' || kept.dedupe_key \
         FROM kept WHERE outbox.id IN (SELECT id FROM theirs) AND outbox.id <> kept.id AND outbox.state = 'queued'",
    )
    .bind::<Array<Text>, _>(keys)
    .execute(conn)
}

/// Messages whose facts are in another order now are rendered from that one.
pub fn rehome(conn: &mut PgConnection, homes: &[(String, Uuid)]) -> QueryResult<usize> {
    sql_query(
        "WITH homes AS (SELECT * FROM unnest($1, $2) AS h (dedupe_key, order_id)), \
              theirs AS MATERIALIZED (SELECT o.id, h.order_id FROM outbox o JOIN homes h USING (dedupe_key) ORDER BY o.id FOR NO KEY UPDATE OF o) \
         UPDATE outbox o SET order_id = theirs.order_id FROM theirs WHERE o.id = theirs.id AND o.order_id IS DISTINCT FROM theirs.order_id",
    )
    .bind::<Array<Text>, _>(homes.iter().map(|(key, _)| key).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(homes.iter().map(|(_, id)| *id).collect::<Vec<_>>())
    .execute(conn)
}

/// Messages of the order `from[i]` now belong to `to[i]`, into which it was merged.
pub fn adopt(conn: &mut PgConnection, from: &[Uuid], to: &[Uuid]) -> QueryResult<usize> {
    sql_query(
        "WITH theirs AS MATERIALIZED (SELECT id FROM outbox WHERE order_id = ANY($1) ORDER BY id FOR NO KEY UPDATE) \
         UPDATE outbox o SET order_id = merged.into_id \
         FROM unnest($1, $2) AS merged (from_id, into_id) \
         WHERE o.order_id = merged.from_id AND o.id IN (SELECT id FROM theirs)",
    )
    .bind::<Array<SqlUuid>, _>(from)
    .bind::<Array<SqlUuid>, _>(to)
    .execute(conn)
}

/// A message that this worker alone may send until its lease ends.
#[derive(Debug)]
pub(super) struct Claimed {
    pub id: Uuid,
    /// Which attempt this is, from 1.
    pub number: i32,
    pub notice: String,
    pub about: String,
    /// The order as it is now; none where the message has none, or its row is gone.
    pub order: Option<OrderView>,
    /// When it was claimed, by the database's clock.
    pub since: DateTime<Utc>,
}

impl Claimed {
    /// It asks a person to look at an order that needs no look any more.
    pub fn is_settled_review(&self) -> bool {
        self.notice == Kind::OrderReview.name() && self.order.as_ref().is_some_and(|order| order.status != "review")
    }
}

/// Takes up to `limit` messages that are due, the longest due first, and keeps other workers away for `lease`.
///
/// Held messages stay. So do mails of an order in review, whatever `held` says: the flag is written with the
/// order, this line is for the day when it isn't.
pub(super) fn claim(
    conn: &mut PgConnection,
    token: Uuid,
    kinds: &[MessageKind],
    lease: Duration,
    limit: i32,
) -> QueryResult<Vec<Claimed>> {
    let kinds: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
    let rows: Vec<ClaimedRow> = sql_query(
        "WITH due AS MATERIALIZED ( \
             SELECT m.id, o.reference, o.status, o.currency, o.amount_expected, o.amount_paid, o.amount_refunded, \
                    o.customer_email, o.customer_name, o.locale, o.livemode, o.version \
             FROM outbox m LEFT JOIN LATERAL ( \
                 WITH RECURSIVE survivor AS ( \
                     SELECT id, merged_into FROM orders WHERE id = m.order_id \
                     UNION SELECT n.id, n.merged_into FROM orders n JOIN survivor s ON n.id = s.merged_into) \
                 SELECT o.* FROM survivor JOIN orders o USING (id) WHERE o.merged_into IS NULL) o ON true \
             WHERE m.state = 'queued' AND NOT m.held AND m.next_at <= now() AND m.kind = ANY($1) \
               AND NOT (m.kind = 'email' AND o.status IS NOT DISTINCT FROM 'review' AND m.notice <> ALL($5)) \
             ORDER BY m.next_at, m.id LIMIT $2 FOR NO KEY UPDATE OF m SKIP LOCKED) \
         UPDATE outbox m SET lease = $3, attempts = m.attempts + 1, waiting = false, \
                next_at = clock_timestamp() + make_interval(secs => $4) \
         FROM due WHERE m.id = due.id \
         RETURNING m.id, m.attempts, m.notice, m.about, clock_timestamp() AS claimed_at, due.reference, due.status, \
                   due.currency, due.amount_expected, due.amount_paid, due.amount_refunded, due.customer_email, \
                   due.customer_name, due.locale, due.livemode, due.version",
    )
    .bind::<Array<Text>, _>(kinds)
    .bind::<BigInt, _>(i64::from(limit))
    .bind::<SqlUuid, _>(token)
    .bind::<Double, _>(lease.as_secs_f64())
    .bind::<Array<Text>, _>(told_to_the_shop())
    .load(conn)?;
    Ok(rows.into_iter().map(Claimed::from).collect())
}

#[derive(QueryableByName)]
struct ClaimedRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Integer)]
    attempts: i32,
    #[diesel(sql_type = Text)]
    notice: String,
    #[diesel(sql_type = Text)]
    about: String,
    #[diesel(sql_type = Timestamptz)]
    claimed_at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Text>)]
    reference: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    status: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    currency: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    amount_expected: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    amount_paid: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    amount_refunded: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    customer_email: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    customer_name: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    locale: Option<String>,
    #[diesel(sql_type = Nullable<Bool>)]
    livemode: Option<bool>,
    #[diesel(sql_type = Nullable<BigInt>)]
    version: Option<i64>,
}

impl From<ClaimedRow> for Claimed {
    fn from(row: ClaimedRow) -> Self {
        let order = row.reference.map(|reference| OrderView {
            reference,
            status: row.status.unwrap_or_default(),
            currency: row.currency,
            amount_expected: row.amount_expected,
            amount_paid: row.amount_paid.unwrap_or_default(),
            amount_refunded: row.amount_refunded.unwrap_or_default(),
            customer_email: row.customer_email,
            customer_name: row.customer_name,
            locale: row.locale,
            livemode: row.livemode.unwrap_or_default(),
            version: row.version.unwrap_or_default(),
        });
        Self { id: row.id, number: row.attempts, notice: row.notice, about: row.about, order, since: row.claimed_at }
    }
}

/// How an attempt ended, ready to be written.
#[derive(Debug)]
pub(super) struct Attempt {
    pub message_id: Uuid,
    pub number: i32,
    pub started_at: DateTime<Utc>,
    pub duration_ms: i32,
    /// As `attempts.outcome` has it: sent, retry or refused.
    pub outcome: &'static str,
    pub answer: String,
    pub then: Then,
}

/// What becomes of the message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Then {
    Sent,
    Dead,
    Again { after: Duration },
}

/// Records attempts, and settles their messages where `token` still holds them. Returns how many it settled.
pub(super) fn settle(conn: &mut PgConnection, token: Uuid, attempts: &[Attempt]) -> QueryResult<usize> {
    conn.transaction(|conn| {
        record(conn, attempts)?;
        settle_messages(conn, token, attempts)
    })
}

/// The attempt took place, whoever holds the message now. A claim that was settled twice leaves one row.
fn record(conn: &mut PgConnection, attempts: &[Attempt]) -> QueryResult<usize> {
    sql_query(
        "INSERT INTO attempts (message_id, number, started_at, duration_ms, outcome, answer) \
         SELECT a.message_id, a.number, a.started_at, a.duration_ms, a.outcome, a.answer \
         FROM unnest($1, $2, $3, $4, $5, $6) AS a (message_id, number, started_at, duration_ms, outcome, answer) \
         JOIN outbox ON outbox.id = a.message_id \
         ORDER BY a.message_id \
         ON CONFLICT (message_id, number) DO NOTHING",
    )
    .bind::<Array<SqlUuid>, _>(column(attempts, |a| a.message_id))
    .bind::<Array<Integer>, _>(column(attempts, |a| a.number))
    .bind::<Array<Timestamptz>, _>(column(attempts, |a| a.started_at))
    .bind::<Array<Integer>, _>(column(attempts, |a| a.duration_ms))
    .bind::<Array<Text>, _>(column(attempts, |a| a.outcome))
    .bind::<Array<Text>, _>(column(attempts, |a| storable(&a.answer)))
    .execute(conn)
}

fn settle_messages(conn: &mut PgConnection, token: Uuid, attempts: &[Attempt]) -> QueryResult<usize> {
    sql_query(
        "WITH mine AS MATERIALIZED (SELECT id FROM outbox WHERE id = ANY($1) AND lease = $5 AND state = 'queued' \
                                    ORDER BY id FOR NO KEY UPDATE) \
         UPDATE outbox o SET state = a.state, lease = NULL, \
                next_at = CASE WHEN a.state = 'queued' THEN now() + make_interval(secs => a.delay) ELSE o.next_at END, \
                last_error = CASE WHEN a.state = 'sent' THEN NULL ELSE a.answer END, \
                settled_at = CASE WHEN a.state = 'queued' THEN NULL ELSE now() END \
         FROM unnest($1, $2, $3, $4) AS a (id, state, delay, answer) \
         WHERE o.id = a.id AND o.id IN (SELECT id FROM mine)",
    )
    .bind::<Array<SqlUuid>, _>(column(attempts, |a| a.message_id))
    .bind::<Array<Text>, _>(column(attempts, |a| match a.then {
        Then::Sent => "sent",
        Then::Dead => "dead",
        Then::Again { .. } => "queued",
    }))
    .bind::<Array<Double>, _>(column(attempts, |a| match a.then {
        Then::Again { after } => after.as_secs_f64(),
        Then::Sent | Then::Dead => 0.0,
    }))
    .bind::<Array<Text>, _>(column(attempts, |a| storable(&a.answer)))
    .bind::<SqlUuid, _>(token)
    .execute(conn)
}

fn column<'a, T>(attempts: &'a [Attempt], of: impl Fn(&'a Attempt) -> T) -> Vec<T> {
    attempts.iter().map(of).collect()
}

/// What the column takes: at most 2 KiB, cut between characters, and without NULs, which Postgres refuses.
fn storable(text: &str) -> String {
    const LIMIT: usize = 2048;
    let text = text.replace('\0', "");
    let end = (0..=LIMIT.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::storable;

    #[test]
    fn an_answer_is_cut_between_characters_and_has_no_nul() {
        assert_eq!(storable("a\0b"), "ab");
        assert_eq!(storable(&"é".repeat(1024)).len(), 2048);
        assert_eq!(storable(&format!("a{}", "é".repeat(2000))).len(), 2047);
    }
}
